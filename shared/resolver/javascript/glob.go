package javascript

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// Bounds of a pattern. Those of packages and workspaces have some ten to a hundred characters.
const (
	maxGlobBytes    = 4096
	maxGlobBraces   = 1000 // alternatives that one pattern may stand for
	maxGlobNesting  = 20   // of extended globs and braces
	maxGlobSegments = 256
)

// glob is a pattern as the JavaScript tools (minimatch) read it: "*", "?", "[a-z]", "**" as a whole path
// element, "{a,b}", and the extended globs "@(a|b)", "?(a)", "*(a)", "+(a)", "!(a)". Files that begin with a
// dot are as good as others. Letter case matters unless it is made with ignoreCase.
//
// Matching takes polynomial time whatever the pattern is. A glob is safe for concurrent use.
type glob struct {
	negate       bool // an odd number of "!" before it
	ignoreCase   bool
	alternatives [][]globSegment // without braces
}

// globSegment is what one path element must match.
type globSegment struct {
	globstar bool
	magic    bool
	literal  string // when not magic
	nodes    []globNode
	// simple: one "*" between the two texts literal and suffix.
	simple bool
	suffix string
}

// globNode matches a part of a path element.
type globNode struct {
	kind         byte // 'c' one character, '?' any one, '*' any number, '[' one of a set, 'x' extended
	char         rune
	set          globSet
	extended     byte // '@', '?', '*', '+' or '!'
	alternatives [][]globNode
}

// globSet is what stands in brackets.
type globSet struct {
	negate  bool
	ranges  [][2]rune
	classes []func(rune) bool
}

// parseGlob reads a pattern. The error says what is too large; every text is some pattern.
func parseGlob(text string, ignoreCase bool) (*glob, error) {
	g := &glob{ignoreCase: ignoreCase}
	for strings.HasPrefix(text, "!") {
		g.negate, text = !g.negate, text[1:]
	}
	if len(text) > maxGlobBytes {
		return nil, fmt.Errorf("the pattern %.60q... is longer than %d bytes", text, maxGlobBytes)
	}
	if ignoreCase {
		text = strings.ToLower(text)
	}
	plain, err := expandBraces(text, 0)
	if err != nil {
		return nil, err
	}
	for _, p := range plain {
		segments, err := parseSegments(p)
		if err != nil {
			return nil, err
		}
		g.alternatives = append(g.alternatives, segments)
	}
	return g, nil
}

func parseSegments(text string) ([]globSegment, error) {
	var out []globSegment
	for _, element := range collapseParents(splitSlashes(text)) {
		if element == "**" {
			if n := len(out); n > 0 && out[n-1].globstar {
				continue // two say no more than one
			}
			out = append(out, globSegment{globstar: true, magic: true})
			continue
		}
		p := globParser{text: []rune(element)}
		nodes, err := p.sequence(0, "")
		if err != nil {
			return nil, err
		}
		out = append(out, newSegment(nodes))
	}
	if len(out) > maxGlobSegments {
		return nil, fmt.Errorf("the pattern %.60q has more than %d path elements", text, maxGlobSegments)
	}
	return out, nil
}

func newSegment(nodes []globNode) globSegment {
	var texts [2]strings.Builder
	stars := 0
	for _, n := range nodes {
		if n.kind == '*' {
			stars++
		} else if n.kind != 'c' {
			return globSegment{magic: true, nodes: nodes}
		}
		if stars > 1 {
			return globSegment{magic: true, nodes: nodes}
		}
		if n.kind == 'c' {
			texts[stars].WriteRune(n.char)
		}
	}
	return globSegment{literal: texts[0].String(), magic: stars == 1, simple: stars == 1, suffix: texts[1].String(), nodes: nodes}
}

// collapseParents turns "a/../b" into "b".
func collapseParents(elements []string) []string {
	var out []string
	for _, element := range elements {
		if n := len(out); element == ".." && n > 0 && !slices.Contains([]string{"", ".", "..", "**"}, out[n-1]) {
			out = out[:n-1]
			continue
		}
		out = append(out, element)
	}
	if len(out) == 0 {
		return []string{""}
	}
	return out
}

// splitSlashes splits at one or more slashes.
func splitSlashes(text string) []string {
	out := strings.Split(text, "/")
	kept := out[:0]
	for i, element := range out {
		if element == "" && i > 0 && i < len(out)-1 {
			continue
		}
		kept = append(kept, element)
	}
	return kept
}

// globParser reads one path element of a pattern.
type globParser struct {
	text []rune
	at   int
}

// sequence reads up to one of the characters of stop, or to the end.
func (p *globParser) sequence(depth int, stop string) ([]globNode, error) {
	if depth > maxGlobNesting {
		return nil, fmt.Errorf("the pattern %.60q is nested more than %d times", string(p.text), maxGlobNesting)
	}
	var out []globNode
	for p.at < len(p.text) {
		c := p.text[p.at]
		switch {
		case strings.ContainsRune(stop, c):
			return out, nil
		case strings.ContainsRune("@?*+!", c) && p.closes():
			n, err := p.extended(depth)
			if err != nil {
				return nil, err
			}
			out = append(out, n)
			continue
		case c == '\\' && p.at+1 < len(p.text):
			p.at++
			out = append(out, globNode{kind: 'c', char: p.text[p.at]})
		case c == '?':
			out = append(out, globNode{kind: '?'})
		case c == '*':
			if n := len(out); n == 0 || out[n-1].kind != '*' {
				out = append(out, globNode{kind: '*'})
			}
		case c == '[':
			if set, length, ok := parseSet(p.text[p.at:]); ok {
				out = append(out, globNode{kind: '[', set: set})
				p.at += length
				continue
			}
			out = append(out, globNode{kind: 'c', char: c})
		default:
			out = append(out, globNode{kind: 'c', char: c})
		}
		p.at++
	}
	return out, nil
}

// closes reports whether an extended glob begins here, and ends.
func (p *globParser) closes() bool {
	if p.at+1 >= len(p.text) || p.text[p.at+1] != '(' {
		return false
	}
	depth := 0
	for i := p.at + 1; i < len(p.text); i++ {
		switch p.text[i] {
		case '\\':
			i++
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return true
			}
		}
	}
	return false
}

func (p *globParser) extended(depth int) (globNode, error) {
	n := globNode{kind: 'x', extended: byte(p.text[p.at])}
	p.at += 2
	for {
		alternative, err := p.sequence(depth+1, "|)")
		if err != nil {
			return n, err
		}
		n.alternatives = append(n.alternatives, alternative)
		if p.at >= len(p.text) {
			return n, nil
		}
		p.at++
		if p.text[p.at-1] == ')' {
			return n, nil
		}
	}
}

var posixClasses = map[string]func(rune) bool{
	"[:alnum:]": func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) },
	"[:alpha:]": unicode.IsLetter, "[:digit:]": unicode.IsDigit, "[:lower:]": unicode.IsLower,
	"[:upper:]": unicode.IsUpper, "[:space:]": unicode.IsSpace, "[:punct:]": unicode.IsPunct,
	"[:word:]":   func(r rune) bool { return r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) },
	"[:xdigit:]": func(r rune) bool { return unicode.Is(unicode.ASCII_Hex_Digit, r) },
}

// parseSet reads "[a-z_]", "[!a]", "[[:alpha:]]" at the beginning of text. Without an end it is no set.
func parseSet(text []rune) (set globSet, length int, ok bool) {
	i := 1
	if i < len(text) && (text[i] == '!' || text[i] == '^') {
		set.negate = true
		i++
	}
	first := true
	for i < len(text) {
		c := text[i]
		if c == ']' && !first {
			return set, i + 1, true
		}
		first = false
		if c == '[' {
			if class, n := posixClass(text[i:]); n > 0 {
				set.classes = append(set.classes, class)
				i += n
				continue
			}
		}
		if c == '\\' && i+1 < len(text) {
			i++
			c = text[i]
		}
		i++
		if i+1 < len(text) && text[i] == '-' && text[i+1] != ']' {
			end := text[i+1]
			i += 2
			if end == '\\' && i < len(text) {
				end = text[i]
				i++
			}
			set.ranges = append(set.ranges, [2]rune{c, end})
			continue
		}
		set.ranges = append(set.ranges, [2]rune{c, c})
	}
	return globSet{}, 0, false
}

func posixClass(text []rune) (func(rune) bool, int) {
	for name, class := range posixClasses {
		if n := len(name); len(text) >= n && string(text[:n]) == name {
			return class, n
		}
	}
	return nil, 0
}

func (s globSet) has(r rune) bool {
	for _, pair := range s.ranges {
		if pair[0] <= r && r <= pair[1] {
			return !s.negate
		}
	}
	for _, class := range s.classes {
		if class(r) {
			return !s.negate
		}
	}
	return s.negate
}

// expandBraces turns "a{b,c}" into "ab" and "ac". Braces without a comma in them stay.
func expandBraces(text string, depth int) ([]string, error) {
	if depth > maxGlobNesting {
		return nil, fmt.Errorf("the pattern %.60q has too many braces", text)
	}
	open, end, commas := findBraces(text)
	if open < 0 {
		return []string{text}, nil
	}
	tails, err := expandBraces(text[end+1:], depth+1)
	if err != nil {
		return nil, err
	}
	var out []string
	from := open + 1
	for _, to := range append(commas, end) {
		heads, err := expandBraces(text[from:to], depth+1)
		if err != nil {
			return nil, err
		}
		for _, head := range heads {
			for _, tail := range tails {
				if out = append(out, text[:open]+head+tail); len(out) > maxGlobBraces {
					return nil, fmt.Errorf("the pattern %.60q stands for more than %d others", text, maxGlobBraces)
				}
			}
		}
		from = to + 1
	}
	return out, nil
}

// findBraces gives the first pair of braces with a comma between them, and where its own commas are.
func findBraces(text string) (open, end int, commas []int) {
	for start := 0; start < len(text); start++ {
		switch text[start] {
		case '\\':
			start++
		case '{':
			if end, commas := closeBrace(text, start); end > 0 && len(commas) > 0 && (start == 0 || text[start-1] != '$') {
				return start, end, commas
			}
		}
	}
	return -1, -1, nil
}

func closeBrace(text string, start int) (end int, commas []int) {
	depth := 0
	for i := start; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '{':
			depth++
		case ',':
			if depth == 1 {
				commas = append(commas, i)
			}
		case '}':
			if depth--; depth == 0 {
				return i, commas
			}
		}
	}
	return -1, nil
}
