// Package pysource reads what setup.py and other Python files say about a project without running them:
// the arguments of the first call of setup(), and assignments of literals. It knows as much of Python's
// grammar as that takes: tokens, statements and their blocks, literals. Files that Python 3 would not
// compile are recognised by what commonly is wrong with them (Python 2's syntax, indentation, brackets);
// nothing is found in them.
package pysource

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// MaxBytes bounds a Python file; larger ones hold data, not a project's name.
	MaxBytes = 1 << 20
	// maxNesting bounds brackets and blocks in each other, as Python does.
	maxNesting = 100
)

// ErrSyntax: the file is not Python 3.
var ErrSyntax = errors.New("not valid Python source")

type kind uint8

const (
	kindName kind = iota
	kindNumber
	kindString
	kindOperator
	kindNewline
	kindIndent
	kindDedent
	kindEnd
)

// token is a piece of the source; text is as written, also of strings.
type token struct {
	kind kind
	text string
	line int
}

func (t token) is(op string) bool { return t.kind == kindOperator && t.text == op }

func (t token) named(name string) bool { return t.kind == kindName && t.text == name }

// isKeyword: it cannot be a variable.
func (t token) isKeyword() bool {
	if t.kind != kindName {
		return false
	}
	switch t.text {
	case "False", "None", "True", "and", "as", "assert", "async", "await", "break", "class", "continue", "def", "del", "elif", "else",
		"except", "finally", "for", "from", "global", "if", "import", "in", "is", "lambda", "nonlocal", "not", "or", "pass",
		"raise", "return", "try", "while", "with", "yield":
		return true
	}
	return false
}

// operators, longer ones before their beginnings.
var operators = []string{
	"**=", "//=", ">>=", "<<=", "...",
	"**", "//", ">>", "<<", "<=", ">=", "==", "!=", "->", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "@=", ":=",
	"+", "-", "*", "/", "%", "@", "&", "|", "^", "~", "<", ">", "(", ")", "[", "]", "{", "}", ",", ":", ".", ";", "=",
}

// tokenizer makes tokens of a source, with Python's rules of lines and indentation.
type tokenizer struct {
	src     string
	at      int
	line    int
	tokens  []token
	indents []int  // columns; the first is 0
	open    []byte // brackets
}

func tokenize(src string) ([]token, error) {
	if len(src) > MaxBytes || !utf8.ValidString(src) || strings.ContainsRune(src, 0) {
		return nil, ErrSyntax
	}
	src = strings.TrimPrefix(src, "\ufeff")
	src = strings.ReplaceAll(strings.ReplaceAll(src, "\r\n", "\n"), "\r", "\n")
	t := &tokenizer{src: src, line: 1, indents: []int{0}}
	for t.at < len(t.src) {
		if err := t.logicalLine(); err != nil {
			return nil, err
		}
	}
	if len(t.open) > 0 {
		return nil, ErrSyntax
	}
	for range t.indents[1:] {
		t.add(kindDedent, "")
	}
	t.add(kindEnd, "")
	return t.tokens, nil
}

func (t *tokenizer) add(k kind, text string) { t.tokens = append(t.tokens, token{k, text, t.line}) }

func (t *tokenizer) peek() byte {
	if t.at < len(t.src) {
		return t.src[t.at]
	}
	return 0
}

// logicalLine reads from the beginning of a line to the end of the statement in it.
func (t *tokenizer) logicalLine() error {
	column := t.indentation()
	if c := t.peek(); c == '\n' || c == '#' || c == 0 {
		t.comment()
		t.newline()
		return nil
	}
	if err := t.indent(column); err != nil {
		return err
	}
	for {
		t.blanks()
		switch c := t.peek(); {
		case t.at >= len(t.src) || c == '\n':
			if len(t.open) == 0 || t.at >= len(t.src) {
				t.add(kindNewline, "")
				t.newline()
				return nil
			}
			t.newline()
		case c == '#':
			t.comment()
		case c == '\\':
			t.at++
			if t.peek() != '\n' {
				return ErrSyntax
			}
			t.newline()
		default:
			if err := t.token(); err != nil {
				return err
			}
		}
	}
}

// indentation reads the blanks before a statement; a tab goes to the next multiple of eight.
func (t *tokenizer) indentation() int {
	column := 0
	for ; t.at < len(t.src); t.at++ {
		switch t.src[t.at] {
		case ' ':
			column++
		case '\t':
			column = (column/8 + 1) * 8
		case '\f':
			column = 0
		default:
			return column
		}
	}
	return column
}

func (t *tokenizer) indent(column int) error {
	top := t.indents[len(t.indents)-1]
	if column > top {
		if len(t.indents) > maxNesting {
			return ErrSyntax
		}
		t.indents = append(t.indents, column)
		t.add(kindIndent, "")
		return nil
	}
	for column < top {
		t.indents = t.indents[:len(t.indents)-1]
		t.add(kindDedent, "")
		top = t.indents[len(t.indents)-1]
	}
	if column != top {
		return ErrSyntax
	}
	return nil
}

func (t *tokenizer) blanks() {
	for t.at < len(t.src) && strings.IndexByte(" \t\f", t.src[t.at]) >= 0 {
		t.at++
	}
}

func (t *tokenizer) comment() {
	if t.peek() == '#' {
		if n := strings.IndexByte(t.src[t.at:], '\n'); n >= 0 {
			t.at += n
		} else {
			t.at = len(t.src)
		}
	}
}

func (t *tokenizer) newline() {
	if t.peek() == '\n' {
		t.at++
		t.line++
	}
}

func (t *tokenizer) token() error {
	rest := t.src[t.at:]
	first, _ := utf8.DecodeRuneInString(rest)
	switch {
	case isNameStart(first):
		return t.nameOrString()
	case first == '"' || first == '\'':
		return t.stringFrom(t.at, "")
	case '0' <= first && first <= '9', first == '.' && len(rest) > 1 && '0' <= rest[1] && rest[1] <= '9':
		return t.number()
	}
	for _, op := range operators {
		if strings.HasPrefix(rest, op) {
			t.at += len(op)
			t.add(kindOperator, op)
			return t.bracket(op)
		}
	}
	return ErrSyntax // $ ? ! ` and what else is nothing in Python 3
}

func isNameStart(r rune) bool { return r == '_' || unicode.IsLetter(r) }

func isNamePart(r rune) bool { return isNameStart(r) || unicode.IsDigit(r) || unicode.Is(unicode.M, r) }

func (t *tokenizer) bracket(op string) error {
	switch op {
	case "(", "[", "{":
		if len(t.open) >= maxNesting {
			return ErrSyntax
		}
		t.open = append(t.open, op[0])
	case ")", "]", "}":
		want := map[string]byte{")": '(', "]": '[', "}": '{'}[op]
		if len(t.open) == 0 || t.open[len(t.open)-1] != want {
			return ErrSyntax
		}
		t.open = t.open[:len(t.open)-1]
	}
	return nil
}

func (t *tokenizer) nameOrString() error {
	start := t.at
	name := t.src[start:]
	for i, r := range name {
		if !isNamePart(r) {
			name = name[:i]
			break
		}
	}
	t.at += len(name)
	if c := t.peek(); (c == '"' || c == '\'') && isStringPrefix(name) {
		return t.stringFrom(start, strings.ToLower(name))
	}
	t.add(kindName, name)
	return nil
}

func isStringPrefix(name string) bool {
	switch strings.ToLower(name) {
	case "r", "u", "b", "f", "t", "br", "rb", "fr", "rf", "tr", "rt":
		return true
	}
	return false
}

// number reads digits and what belongs to them; "0777" and "10L" are Python 2's.
func (t *tokenizer) number() error {
	start := t.at
	digits := "0123456789_"
	switch strings.ToLower(t.src[start:min(start+2, len(t.src))]) {
	case "0x":
		digits = "0123456789abcdef_"
	case "0o", "0b":
	default:
		return t.decimal(start)
	}
	t.at += 2
	t.run(digits)
	t.add(kindNumber, t.src[start:t.at])
	return nil
}

func (t *tokenizer) run(set string) {
	for t.at < len(t.src) && strings.IndexByte(set, lower(t.src[t.at])) >= 0 {
		t.at++
	}
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

func (t *tokenizer) decimal(start int) error {
	const digits = "0123456789_"
	t.run(digits)
	integer := t.src[start:t.at]
	isFloat := false
	if t.peek() == '.' {
		isFloat = true
		t.at++
		t.run(digits)
	}
	if c := t.peek(); c == 'e' || c == 'E' {
		mark := t.at
		t.at++
		if c := t.peek(); c == '+' || c == '-' {
			t.at++
		}
		if c := t.peek(); '0' <= c && c <= '9' {
			isFloat = true
			t.run(digits)
		} else {
			t.at = mark
		}
	}
	if c := t.peek(); c == 'j' || c == 'J' {
		isFloat = true
		t.at++
	}
	if !isFloat && len(integer) > 1 && integer[0] == '0' && strings.Trim(integer, "0_") != "" {
		return ErrSyntax
	}
	t.add(kindNumber, t.src[start:t.at])
	return nil
}

// stringFrom reads a string whose prefix begins at start; t.at is at its quote.
func (t *tokenizer) stringFrom(start int, prefix string) error {
	line := t.line
	if err := t.skipString(prefix, 0); err != nil {
		return err
	}
	t.tokens = append(t.tokens, token{kindString, t.src[start:t.at], line})
	return nil
}

// skipString goes behind the string whose quote is at t.at.
func (t *tokenizer) skipString(prefix string, depth int) error {
	if depth > maxNesting {
		return ErrSyntax
	}
	quote := t.src[t.at : t.at+1]
	if strings.HasPrefix(t.src[t.at:], strings.Repeat(quote, 3)) {
		quote = strings.Repeat(quote, 3)
	}
	t.at += len(quote)
	formatted := strings.ContainsAny(prefix, "ft")
	for t.at < len(t.src) {
		switch c := t.src[t.at]; {
		case strings.HasPrefix(t.src[t.at:], quote):
			t.at += len(quote)
			return nil
		case c == '\\' && t.at+1 < len(t.src):
			if t.src[t.at+1] == '\n' {
				t.line++
			}
			t.at += 2
		case c == '\n':
			if len(quote) == 1 {
				return ErrSyntax
			}
			t.newline()
		case c == '{' && formatted:
			if strings.HasPrefix(t.src[t.at:], "{{") {
				t.at += 2
			} else if err := t.skipField(depth); err != nil {
				return err
			}
		default:
			t.at++
		}
	}
	return ErrSyntax
}

// skipField goes behind the {...} of a formatted string, in which there may be strings again.
func (t *tokenizer) skipField(depth int) error {
	level := 0
	for t.at < len(t.src) {
		switch c := t.src[t.at]; c {
		case '{', '[', '(':
			level++
			t.at++
		case '}', ']', ')':
			t.at++
			if level--; level == 0 {
				return nil
			}
		case '"', '\'':
			if err := t.skipString("", depth+1); err != nil {
				return err
			}
		case '\n':
			t.newline()
		default:
			t.at++
		}
	}
	return ErrSyntax
}
