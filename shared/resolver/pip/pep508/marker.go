package pep508

import (
	"regexp"
	"strings"

	"github.com/cachito-serverless/cachito/shared/resolver/pip/pep440"
)

// maxDepth bounds parentheses in markers.
const maxDepth = 100

// Marker is a condition on the environment that a requirement is for.
type Marker struct{ root node }

// Truth is what is known of a condition.
type Truth int

// The truth values: Unknown comes of variables that the environment does not have.
const (
	Unknown Truth = iota
	False
	True
)

func truth(b bool) Truth {
	if b {
		return True
	}
	return False
}

// Environment are values of marker variables: "sys_platform": "linux".
type Environment map[string]string

// ParseMarker reads a marker. *SyntaxError.
func ParseMarker(text string) (*Marker, error) {
	p := &parser{text: text}
	root, err := p.markers()
	if err != nil {
		return nil, err
	}
	if !p.end() {
		return nil, p.fail("Expected end of marker expression")
	}
	return &Marker{root}, nil
}

// Evaluate says whether the marker holds. What depends on a variable that env lacks is Unknown.
func (m *Marker) Evaluate(env Environment) Truth { return m.root.evaluate(env) }

// String is the marker in normal form: python_version == "2.7" and os_name == "linux".
func (m *Marker) String() string { return m.root.text(true) }

type node interface {
	evaluate(env Environment) Truth
	text(outer bool) string
}

// anyOf is an "or", allOf an "and".
type (
	anyOf []node
	allOf []node
)

func (n anyOf) evaluate(env Environment) Truth {
	out := False
	for _, one := range n {
		switch one.evaluate(env) {
		case True:
			return True
		case Unknown:
			out = Unknown
		case False:
		}
	}
	return out
}

func (n allOf) evaluate(env Environment) Truth {
	out := True
	for _, one := range n {
		switch one.evaluate(env) {
		case False:
			return False
		case Unknown:
			out = Unknown
		case True:
		}
	}
	return out
}

func join(list []node, word string) string {
	texts := make([]string, len(list))
	for i, one := range list {
		texts[i] = one.text(false)
	}
	return strings.Join(texts, " "+word+" ")
}

func (n anyOf) text(outer bool) string {
	if outer {
		return join(n, "or")
	}
	return "(" + join(n, "or") + ")"
}

func (n allOf) text(bool) string { return join(n, "and") }

// operand is a variable or a quoted text.
type operand struct {
	variable string
	value    string
}

func (o operand) String() string {
	if o.variable != "" {
		return o.variable
	}
	return `"` + o.value + `"`
}

func (o operand) valueIn(env Environment) (string, bool) {
	if o.variable == "" {
		return o.value, true
	}
	v, ok := env[o.variable]
	return v, ok
}

type comparison struct {
	left, right operand
	operator    string
}

func (c comparison) text(bool) string {
	return c.left.String() + " " + c.operator + " " + c.right.String()
}

func (c comparison) evaluate(env Environment) Truth {
	left, okLeft := c.left.valueIn(env)
	right, okRight := c.right.valueIn(env)
	if !okLeft || !okRight {
		return Unknown
	}
	if c.left.variable == "extra" || c.right.variable == "extra" {
		left, right = Canonical(left), Canonical(right)
	}
	if spec, rest, ok := pep440.ScanSpecifier(c.operator + right); ok && strings.TrimSpace(rest) == "" {
		// An interpreter that was built from a work tree calls itself "3.11.1+".
		left = strings.TrimSuffix(left, "+")
		if _, err := pep440.Parse(left); err != nil && spec.Operator != "===" {
			return c.compareTexts(left, right)
		}
		return truth(spec.Contains(left))
	}
	return c.compareTexts(left, right)
}

func (c comparison) compareTexts(left, right string) Truth {
	switch c.operator {
	case "in":
		return truth(strings.Contains(right, left))
	case "not in":
		return truth(!strings.Contains(right, left))
	case "==":
		return truth(left == right)
	case "!=":
		return truth(left != right)
	case "<":
		return truth(left < right)
	case "<=":
		return truth(left <= right)
	case ">":
		return truth(left > right)
	case ">=":
		return truth(left >= right)
	}
	return Unknown // "~=" and "===" of what is no version
}

func (p *parser) markers() (node, error) {
	var alternatives anyOf
	var all allOf
	for {
		one, err := p.markerAtom()
		if err != nil {
			return nil, err
		}
		all = append(all, one)
		switch {
		case p.word("and"):
		case p.word("or"):
			alternatives = append(alternatives, simple(all))
			all = nil
		default:
			if alternatives == nil {
				return simple(all), nil
			}
			return append(alternatives, simple(all)), nil
		}
	}
}

func simple(all allOf) node {
	if len(all) == 1 {
		return all[0]
	}
	return all
}

// word takes a word that ends here.
func (p *parser) word(w string) bool {
	rest, ok := strings.CutPrefix(p.rest(), w)
	if !ok || rest != "" && isWordByte(rest[0]) {
		return false
	}
	p.at += len(w)
	return true
}

func isWordByte(c byte) bool {
	return c == '_' || c >= 0x80 || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

func (p *parser) markerAtom() (node, error) {
	p.blanks()
	if !p.take("(") {
		return p.markerItem()
	}
	if p.depth++; p.depth > maxDepth {
		return nil, p.fail("More than %d parentheses in each other", maxDepth)
	}
	inner, err := p.markers()
	if err != nil {
		return nil, err
	}
	p.depth--
	if !p.take(")") {
		return nil, p.fail("Expected matching RIGHT_PARENTHESIS for LEFT_PARENTHESIS, after marker expression")
	}
	p.blanks()
	return inner, nil
}

func (p *parser) markerItem() (node, error) {
	left, err := p.operand()
	if err != nil {
		return nil, err
	}
	p.blanks()
	c := comparison{left: left}
	switch {
	case p.word("in"):
		c.operator = "in"
	case p.word("not"):
		if p.blanks() == 0 {
			return nil, p.fail("Expected whitespace after 'not'")
		}
		if !p.word("in") {
			return nil, p.fail("Expected 'in' after 'not'")
		}
		c.operator = "not in"
	default:
		if c.operator = pep440.ScanOperator(p.rest()); c.operator == "" {
			return nil, p.fail("Expected marker operator, one of <=, <, !=, ==, >=, >, ~=, ===, in, not in")
		}
		p.at += len(c.operator)
	}
	p.blanks()
	if c.right, err = p.operand(); err != nil {
		return nil, err
	}
	p.blanks()
	return c, nil
}

// Names of PEP 345 with dots, and setuptools' python_implementation, still stand for today's.
var variablePattern = regexp.MustCompile(`^(?:python_version|python_full_version|os[._]name|sys[._]platform|platform_(?:release|system)` +
	`|platform[._](?:version|machine|python_implementation)|python_implementation|implementation_(?:name|version)|extras?|dependency_groups)\b`)

func (p *parser) operand() (operand, error) {
	if name := variablePattern.FindString(p.rest()); name != "" {
		p.at += len(name)
		name = strings.ReplaceAll(name, ".", "_")
		if name == "python_implementation" {
			name = "platform_python_implementation"
		}
		return operand{variable: name}, nil
	}
	for _, quote := range []string{"'", `"`} {
		if rest, ok := strings.CutPrefix(p.rest(), quote); ok {
			if value, _, ok := strings.Cut(rest, quote); ok {
				p.at += len(value) + 2
				return operand{value: value}, nil
			}
		}
	}
	return operand{}, p.fail("Expected a marker variable or quoted string")
}
