package pysource

import (
	"encoding/json"
	"math/big"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/cachito-serverless/cachito/shared/pyrepr"
)

// Value is a literal. The zero Value is one that could not be found out, or that Python takes for false
// (None, "", 0, an empty list): neither names anything.
type Value struct {
	// Text is the value's str(), of a sequence its items' with "." between them.
	Text string
	// IsString: it is text in the source too.
	IsString bool
}

// literal evaluates tokens. ok is false when they are no literal, or one that names nothing sensible: a
// set, a dict, bytes.
func literal(tokens []token) (v Value, ok bool) {
	tokens = unwrapped(tokens)
	switch {
	case len(tokens) == 0:
		return Value{}, false
	case hasComma(tokens):
		return sequence(tokens)
	case tokens[0].kind == kindString:
		return stringLiteral(tokens)
	case tokens[0].is("(") || tokens[0].is("["):
		if closing(tokens) != len(tokens)-1 {
			return Value{}, false
		}
		return sequence(tokens[1 : len(tokens)-1])
	}
	text, ok := scalar(tokens)
	switch text {
	case "None", "False", "0", "0.0":
		return Value{}, ok
	}
	return Value{Text: text}, ok
}

// unwrapped takes off parentheses that only group.
func unwrapped(tokens []token) []token {
	for len(tokens) >= 3 && tokens[0].is("(") && closing(tokens) == len(tokens)-1 && !hasComma(tokens[1:len(tokens)-1]) {
		tokens = tokens[1 : len(tokens)-1]
	}
	return tokens
}

// closing is the index of the bracket that closes the first token.
func closing(tokens []token) int {
	depth := 0
	for i, t := range tokens {
		switch {
		case t.is("("), t.is("["), t.is("{"):
			depth++
		case t.is(")"), t.is("]"), t.is("}"):
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}

// split cuts tokens at commas that are in no bracket. A comma at the end adds nothing.
func split(tokens []token) [][]token {
	var parts [][]token
	depth, start := 0, 0
	for i, t := range tokens {
		switch {
		case t.is("("), t.is("["), t.is("{"):
			depth++
		case t.is(")"), t.is("]"), t.is("}"):
			depth--
		case t.is(",") && depth == 0:
			parts = append(parts, tokens[start:i])
			start = i + 1
		}
	}
	if start < len(tokens) {
		parts = append(parts, tokens[start:])
	}
	return parts
}

// hasComma reports whether tokens are a tuple without parentheses.
func hasComma(tokens []token) bool {
	return len(split(tokens)) > 1 || tokens[len(tokens)-1].is(",")
}

// sequence reads the items of a list or tuple, without its brackets.
func sequence(tokens []token) (Value, bool) {
	parts := split(tokens)
	texts := make([]string, len(parts))
	for i, part := range parts {
		part = unwrapped(part)
		switch {
		case len(part) == 0:
			return Value{}, false
		case part[0].kind == kindString:
			v, ok := stringLiteral(part)
			if !ok {
				return Value{}, false
			}
			texts[i] = v.Text
		default:
			text, ok := scalar(part)
			if !ok {
				return Value{}, false
			}
			texts[i] = text
		}
	}
	return Value{Text: strings.Join(texts, ".")}, true
}

// scalar is the str() of a number or constant.
func scalar(tokens []token) (string, bool) {
	sign := ""
	for len(tokens) == 2 && (tokens[0].is("-") || tokens[0].is("+")) {
		if sign = ""; tokens[0].is("-") {
			sign = "-"
		}
		tokens = tokens[1:]
	}
	if len(tokens) != 1 {
		return "", false
	}
	t := tokens[0]
	switch {
	case t.kind == kindNumber:
		text, ok := numberText(t.text)
		if text == "0" {
			sign = ""
		}
		return sign + text, ok
	case sign == "" && (t.named("None") || t.named("True") || t.named("False")):
		return t.text, true
	}
	return "", false
}

// numberText is Python's str() of a number; complex ones name nothing.
func numberText(text string) (string, bool) {
	if strings.HasSuffix(text, "_") || strings.Contains(text, "__") {
		return "", false
	}
	if n, ok := new(big.Int).SetString(text, 0); ok {
		return n.String(), true
	}
	plain := strings.ReplaceAll(text, "_", "")
	if strings.Trim(plain, "0") == "" && plain != "" { // 00
		return "0", true
	}
	f, err := strconv.ParseFloat(plain, 64)
	if err != nil || strings.ContainsAny(plain, "xXpPiInN") {
		return "", false
	}
	number := strconv.FormatFloat(f, 'g', -1, 64)
	if !strings.ContainsAny(number, ".e") {
		number += ".0"
	}
	return pyrepr.Value(json.Number(number)), true
}

// stringLiteral joins strings that stand side by side.
func stringLiteral(tokens []token) (Value, bool) {
	var b strings.Builder
	for _, t := range tokens {
		if t.kind != kindString {
			return Value{}, false
		}
		text, ok := unquote(t.text)
		if !ok {
			return Value{}, false
		}
		b.WriteString(text)
	}
	return Value{Text: b.String(), IsString: true}, true
}

// unquote is the content of a string token; ok is false for bytes and formatted strings, and for
// characters by name.
func unquote(text string) (string, bool) {
	quote := strings.IndexAny(text, `'"`)
	prefix, body := strings.ToLower(text[:quote]), text[quote:]
	if strings.ContainsAny(prefix, "bft") {
		return "", false
	}
	size := 1
	if len(body) >= 6 && body[1] == body[0] && body[2] == body[0] {
		size = 3
	}
	body = body[size : len(body)-size]
	if strings.Contains(prefix, "r") {
		return body, true
	}
	return unescape(body)
}

var simpleEscapes = map[byte]string{
	'\n': "", '\\': `\`, '\'': "'", '"': `"`, 'a': "\a", 'b': "\b", 'f': "\f", 'n': "\n", 'r': "\r", 't': "\t", 'v': "\v",
}

func unescape(body string) (string, bool) {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(body, `\`)
		b.WriteString(before)
		if !found {
			return b.String(), true
		}
		if after == "" {
			return "", false
		}
		c := after[0]
		if plain, ok := simpleEscapes[c]; ok {
			b.WriteString(plain)
			body = after[1:]
			continue
		}
		digits := map[byte]int{'x': 2, 'u': 4, 'U': 8}[c]
		switch {
		case digits > 0:
			if len(after) < 1+digits {
				return "", false
			}
			code, err := strconv.ParseUint(after[1:1+digits], 16, 32)
			if err != nil || code > utf8.MaxRune {
				return "", false
			}
			b.WriteRune(rune(code))
			body = after[1+digits:]
		case '0' <= c && c <= '7':
			n := 1
			for n < 3 && n < len(after) && '0' <= after[n] && after[n] <= '7' {
				n++
			}
			code, _ := strconv.ParseUint(after[:n], 8, 32) // at most 0777
			b.WriteRune(rune(code))
			body = after[n:]
		case c == 'N':
			return "", false
		default: // an unknown escape stays as it is
			b.WriteByte('\\')
			body = after
		}
	}
}
