package api

import (
	"bytes"
	_ "embed" // the description
	"fmt"
	"io"
	"net/http"
	"strconv"

	"gopkg.in/yaml.v3"

	"github.com/cachito-serverless/cachito/shared/request"
)

//go:embed openapi.yaml
var openAPISource []byte

// description is the API's own description, with what the package managers add to it.
type description struct {
	yaml []byte
	tree map[string]any
}

// describe fills in what depends on the package managers.
func describe(rules request.Rules) (description, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(openAPISource, &doc); err != nil {
		return description{}, fmt.Errorf("openapi.yaml: %w", err)
	}
	schemas := member(member(doc.Content[0], "components"), "schemas")
	names := &yaml.Node{Kind: yaml.SequenceNode}
	options := &yaml.Node{Kind: yaml.MappingNode}
	for _, m := range rules.Managers {
		names.Content = append(names.Content, text(m.Name))
		if m.Options == nil {
			continue
		}
		properties := &yaml.Node{Kind: yaml.MappingNode}
		for _, o := range m.Options {
			properties.Content = append(properties.Content, text(o.Name), optionSchema(o))
		}
		entry := closedObject(properties)
		list := mapping("type", "array")
		list.Content = append(list.Content, text("items"), entry)
		options.Content = append(options.Content, text(m.Name), list)
	}
	flags := &yaml.Node{Kind: yaml.SequenceNode}
	for _, name := range rules.KnownFlags() {
		flags.Content = append(flags.Content, text(name))
	}
	*member(member(schemas, "PackageManager"), "enum") = *names
	*member(member(schemas, "Flag"), "enum") = *flags
	*member(member(schemas, "PackageOptions"), "properties") = *options

	var d description
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := enc.Encode(&doc); err != nil {
		return description{}, fmt.Errorf("openapi.yaml: %w", err)
	}
	if err := enc.Close(); err != nil {
		return description{}, fmt.Errorf("openapi.yaml: %w", err)
	}
	d.yaml = b.Bytes()
	if err := doc.Decode(&d.tree); err != nil {
		return description{}, fmt.Errorf("openapi.yaml: %w", err)
	}
	return d, nil
}

// optionSchema describes a value that request.Rules.OrderSchema accepts.
func optionSchema(o request.Option) *yaml.Node {
	switch {
	case o.Properties != nil:
		properties := &yaml.Node{Kind: yaml.MappingNode}
		for _, name := range o.Properties {
			word := mapping("type", "string")
			word.Content = append(word.Content, text("nullable"), boolean("true"))
			kinds := &yaml.Node{Kind: yaml.SequenceNode, Content: []*yaml.Node{word, mapping("type", "integer")}}
			properties.Content = append(properties.Content, text(name), &yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{text("anyOf"), kinds}})
		}
		return closedObject(properties)
	case o.List:
		value := mapping("type", "array")
		value.Content = append(value.Content, text("items"), mapping("type", "string"))
		return value
	}
	return mapping("type", "string")
}

// closedObject takes no other properties than these.
func closedObject(properties *yaml.Node) *yaml.Node {
	object := mapping("type", "object")
	object.Content = append(object.Content,
		text("additionalProperties"), boolean("false"),
		text("properties"), properties)
	return object
}

// member finds a key of a mapping. The document is ours, so it is there.
func member(mapping *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == key {
			return mapping.Content[i+1]
		}
	}
	panic("openapi.yaml has no " + key)
}

func text(s string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s} }

func boolean(s string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: s} }

func mapping(key, value string) *yaml.Node {
	return &yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{text(key), text(value)}}
}

// openAPIJSON answers GET /openapi.json.
func (c *call) openAPIJSON() error { return c.write(http.StatusOK, c.description.tree) }

// openAPIYAML answers GET /openapi.yaml.
func (c *call) openAPIYAML() error { return c.sendBytes("application/yaml", c.description.yaml) }

// sendBytes answers with a small thing that is ready.
func (c *call) sendBytes(contentType string, content []byte) error {
	h := c.w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(len(content)))
	c.w.WriteHeader(http.StatusOK)
	if c.r.Method != http.MethodHead {
		if _, err := io.Copy(c.w, bytes.NewReader(content)); err != nil {
			c.cut()
		}
	}
	return nil
}
