package stack_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// root is the repository, from here.
const root = ".."

// value is a piece of the template: string, []value or map[string]value. Functions in their short form (!Ref X)
// are maps with one key ("Ref"), as in their long form.
type value any

// resource is one of the template's.
type resource struct {
	kind       string // AWS::SQS::Queue
	condition  string
	properties map[string]value
	metadata   map[string]value
}

type cloudFormation struct {
	parameters map[string]value
	globals    map[string]value // of functions
	resources  map[string]resource
	outputs    map[string]value
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func readTemplate(t *testing.T) cloudFormation {
	t.Helper()
	return parseTemplate(t, readFile(t, "template.yaml"))
}

func parseTemplate(t *testing.T, content string) cloudFormation {
	t.Helper()
	var document yaml.Node
	if err := yaml.Unmarshal([]byte(content), &document); err != nil {
		t.Fatalf("template.yaml: %v", err)
	}
	all := object(decode(t, document.Content[0]))
	tpl := cloudFormation{
		parameters: object(all["Parameters"]),
		globals:    object(object(all["Globals"])["Function"]),
		outputs:    object(all["Outputs"]),
		resources:  map[string]resource{},
	}
	for id, r := range object(all["Resources"]) {
		of := object(r)
		tpl.resources[id] = resource{text(of["Type"]), text(of["Condition"]), object(of["Properties"]), object(of["Metadata"])}
	}
	if len(tpl.resources) < 20 || len(tpl.parameters) < 10 {
		t.Fatalf("template.yaml: read only %d resources and %d parameters", len(tpl.resources), len(tpl.parameters))
	}
	return tpl
}

// decode also fails on keys that come twice, of which CloudFormation takes the last, and on anchors, which it
// does not know.
func decode(t *testing.T, n *yaml.Node) value {
	t.Helper()
	var v value
	switch n.Kind {
	case yaml.ScalarNode:
		v = n.Value
	case yaml.SequenceNode:
		list := []value{}
		for _, c := range n.Content {
			list = append(list, decode(t, c))
		}
		v = list
	case yaml.MappingNode:
		m := map[string]value{}
		for i := 0; i < len(n.Content); i += 2 {
			key := n.Content[i]
			if _, twice := m[key.Value]; twice {
				t.Errorf("template.yaml:%d: %s comes twice", key.Line, key.Value)
			}
			m[key.Value] = decode(t, n.Content[i+1])
		}
		v = m
	default:
		t.Fatalf("template.yaml:%d: CloudFormation knows no anchors and aliases", n.Line)
	}
	if n.Anchor != "" {
		t.Fatalf("template.yaml:%d: CloudFormation knows no anchors", n.Line)
	}
	if strings.HasPrefix(n.Tag, "!") && !strings.HasPrefix(n.Tag, "!!") {
		return map[string]value{n.Tag[1:]: v}
	}
	return v
}

// object, list and text are what a value is, or nothing.
func object(v value) map[string]value { m, _ := v.(map[string]value); return m }
func list(v value) []value            { l, _ := v.([]value); return l }
func text(v value) string             { s, _ := v.(string); return s }

// of gives the resources of a kind, by logical id.
func (tpl cloudFormation) of(kind string) map[string]resource {
	found := map[string]resource{}
	for id, r := range tpl.resources {
		if r.kind == kind {
			found[id] = r
		}
	}
	return found
}

// named shows a value as the template writes it, with the stack's name as "stack" and resources as their logical ids.
func named(v value) string {
	if s, ok := v.(string); ok {
		return s
	}
	m := object(v)
	if ref := text(m["Ref"]); ref == "AWS::StackName" {
		return "stack"
	} else if ref != "" {
		return ref
	}
	if s := text(m["Sub"]); s != "" {
		return strings.ReplaceAll(s, "${AWS::StackName}", "stack")
	}
	if s := text(m["GetAtt"]); s != "" {
		return s
	}
	return fmt.Sprint(v)
}

// number is a literal, or the default of the parameter that a value refers to.
func (tpl cloudFormation) number(t *testing.T, v value) int {
	t.Helper()
	s := text(v)
	if ref := text(object(v)["Ref"]); ref != "" {
		s = text(object(tpl.parameters[ref])["Default"])
	}
	var n int
	if _, err := fmt.Sscanf(s, "%d", &n); err != nil {
		t.Fatalf("want a number, got %v", v)
	}
	return n
}
