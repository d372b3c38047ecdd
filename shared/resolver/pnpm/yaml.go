package pnpm

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/cachito-serverless/cachito/shared/fault"
)

// document is a piece of a YAML file with its place, for faults.
type document struct {
	path string
	line int // of the piece's first line
}

// fault of the client, about a line of the piece (from 1).
func (d document) fault(line int, format string, args ...any) error {
	return d.fileFault(line, format, args...)
}

func (d document) fileFault(line int, format string, args ...any) *fault.Error {
	return fault.Client(fault.InvalidFileFormat, "%s, line %d: "+format, append([]any{d.path, d.line + line - 1}, args...)...)
}

var (
	yamlLine = regexp.MustCompile(`line ([0-9]+): `)
	// yamlParser are the errors that the library counts lines from 0 for.
	yamlParser = regexp.MustCompile(`^did not find expected (?:node content|',' or|key|'-' indicator|<)`)
)

// parse reads YAML into a node, nil when there is nothing in it. Anchors and aliases are refused: pnpm writes
// none, and a few lines of them can stand for gigabytes.
func (d document) parse(text []byte) (node *yaml.Node, err error) {
	defer func() {
		// The library panics for some inputs that it should refuse.
		if recover() != nil {
			node, err = nil, d.fault(1, "cannot be read as YAML")
		}
	}()
	if at := oddBreak(text); at >= 0 {
		return nil, d.fault(1+bytes.Count(text[:at], []byte("\n")), "an end of line that is neither LF nor CR LF")
	}
	var root yaml.Node
	err = yaml.NewDecoder(strings.NewReader(string(text))).Decode(&root)
	if errors.Is(err, io.EOF) {
		return nil, nil
	}
	if err != nil {
		reason, line := strings.TrimPrefix(err.Error(), "yaml: "), 1
		if m := yamlLine.FindStringSubmatch(reason); m != nil {
			line, _ = strconv.Atoi(m[1]) // digits
			reason = strings.Replace(reason, m[0], "", 1)
			if yamlParser.MatchString(reason) {
				line++
			}
		}
		return nil, d.fileFault(line, "%s", reason).Because(err)
	}
	if err := d.refuseAliases(&root); err != nil {
		return nil, err
	}
	if len(root.Content) == 0 || isNull(root.Content[0]) {
		return nil, nil
	}
	return root.Content[0], nil
}

// oddBreak finds what YAML takes for the end of a line, and hardly anything else does; -1: there is none.
func oddBreak(text []byte) int {
	for _, odd := range []string{"\u0085", "\u2028", "\u2029"} {
		if at := bytes.Index(text, []byte(odd)); at >= 0 {
			return at
		}
	}
	for at := 0; ; at++ {
		next := bytes.IndexByte(text[at:], '\r')
		if next < 0 {
			return -1
		}
		if at += next; at+1 == len(text) || text[at+1] != '\n' {
			return at
		}
	}
}

func (d document) refuseAliases(n *yaml.Node) error {
	if n.Kind == yaml.AliasNode || n.Anchor != "" {
		return d.fault(n.Line, "anchors and aliases (& and *) are not supported")
	}
	for _, child := range n.Content {
		if err := d.refuseAliases(child); err != nil {
			return err
		}
	}
	return nil
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

// each calls do for every member of a mapping; what names it in the fault when it is none. Nothing and null are
// empty. Keys that are there twice are refused.
func (d document) each(n *yaml.Node, what string, do func(key string, keyNode, value *yaml.Node) error) error {
	if n == nil || isNull(n) {
		return nil
	}
	if n.Kind != yaml.MappingNode {
		return d.fault(n.Line, "%s must be a mapping", what)
	}
	seen := make(map[string]bool, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if key.Kind != yaml.ScalarNode {
			return d.fault(key.Line, "a key of %s is not a text", what)
		}
		if seen[key.Value] {
			return d.fault(key.Line, "%.200q is there twice in %s", key.Value, what)
		}
		seen[key.Value] = true
		if err := do(key.Value, key, n.Content[i+1]); err != nil {
			return err
		}
	}
	return nil
}

// text is a scalar's, whatever its type.
func (d document) text(n *yaml.Node, what string) (string, error) {
	if n.Kind != yaml.ScalarNode {
		return "", d.fault(n.Line, "%s must be a text", what)
	}
	if isNull(n) {
		return "", nil
	}
	// n.Value is a piece of nothing larger, so it can be kept.
	return n.Value, nil
}

// member is a value of a mapping, nil when it is not there.
func member(n *yaml.Node, name string) *yaml.Node {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == name {
			return n.Content[i+1]
		}
	}
	return nil
}
