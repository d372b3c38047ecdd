package api

import (
	"bytes"
	_ "embed" // the page
	"fmt"
	"html/template"
	"strings"

	"gopkg.in/yaml.v3"
)

//go:embed page.html
var pageSource string

var pageTemplate = template.Must(template.New("page").Parse(pageSource))

// operation of the API as the page shows it.
type operation struct {
	Method, Path, Summary string
	Parameters            []parameter
	Answers               []answerOf
}

type parameter struct {
	Name, In, Description string
	Required              bool
}

type answerOf struct{ Status, Description string }

// renderPage makes the page of the description. It loads nothing from elsewhere, so it works offline.
func renderPage(description []byte) ([]byte, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(description, &doc); err != nil {
		return nil, fmt.Errorf("openapi.yaml: %w", err)
	}
	root := doc.Content[0]
	components := member(root, "components")
	var operations []operation
	paths := member(root, "paths")
	for i := 0; i+1 < len(paths.Content); i += 2 {
		path, item := paths.Content[i].Value, paths.Content[i+1]
		var shared []parameter
		for j := 0; j+1 < len(item.Content); j += 2 {
			method, op := item.Content[j].Value, item.Content[j+1]
			if method == "parameters" {
				shared = parametersOf(op, components)
				continue
			}
			o := operation{Method: method, Path: path, Parameters: shared}
			for k := 0; k+1 < len(op.Content); k += 2 {
				switch value := op.Content[k+1]; op.Content[k].Value {
				case "summary":
					o.Summary = value.Value
				case "parameters":
					o.Parameters = append(o.Parameters[:len(shared):len(shared)], parametersOf(value, components)...)
				case "responses":
					for n := 0; n+1 < len(value.Content); n += 2 {
						response := resolve(value.Content[n+1], components)
						o.Answers = append(o.Answers, answerOf{value.Content[n].Value, member(response, "description").Value})
					}
				}
			}
			operations = append(operations, o)
		}
	}
	info := member(root, "info")
	var b bytes.Buffer
	err := pageTemplate.Execute(&b, map[string]any{
		"Title": member(info, "title").Value, "Description": member(info, "description").Value,
		"Base": Base, "Operations": operations, "Source": string(description),
	})
	return b.Bytes(), err
}

func parametersOf(list, components *yaml.Node) []parameter {
	var out []parameter
	for _, node := range list.Content {
		node = resolve(node, components)
		var p parameter
		for i := 0; i+1 < len(node.Content); i += 2 {
			switch value := node.Content[i+1].Value; node.Content[i].Value {
			case "name":
				p.Name = value
			case "in":
				p.In = value
			case "description":
				p.Description = value
			case "required":
				p.Required = value == "true"
			}
		}
		out = append(out, p)
	}
	return out
}

// resolve follows a reference like #/components/parameters/page.
func resolve(node, components *yaml.Node) *yaml.Node {
	if len(node.Content) != 2 || node.Content[0].Value != "$ref" {
		return node
	}
	kind, name, ok := strings.Cut(strings.TrimPrefix(node.Content[1].Value, "#/components/"), "/")
	if !ok {
		panic("openapi.yaml: odd reference " + node.Content[1].Value)
	}
	return member(member(components, kind), name)
}
