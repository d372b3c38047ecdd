package request

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/cachito-serverless/cachito/shared/pyrepr"
)

// MaxJSONDepth bounds how deep the values of a body are nested.
const MaxJSONDepth = 64

// ErrJSON: a text that is not JSON, or nested too deep.
var ErrJSON = errors.New("not valid JSON")

// ParseJSON decodes JSON as Python's json module does, with the order of keys kept: nil, bool, string,
// json.Number, []any, pyrepr.Object. NaN and Infinity and a leading byte order mark are accepted, invalid
// UTF-8 is not. Of repeated keys the last counts.
func ParseJSON(raw []byte) (any, error) {
	if !utf8.Valid(raw) {
		return nil, ErrJSON
	}
	p := &parser{text: strings.TrimPrefix(string(raw), "\ufeff")}
	v, err := p.value(0)
	if err != nil {
		return nil, err
	}
	p.space()
	if p.at != len(p.text) {
		return nil, ErrJSON
	}
	return v, nil
}

type parser struct {
	text string
	at   int
}

func (p *parser) space() {
	for p.at < len(p.text) && strings.IndexByte(" \t\r\n", p.text[p.at]) >= 0 {
		p.at++
	}
}

func (p *parser) take(text string) bool {
	if strings.HasPrefix(p.text[p.at:], text) {
		p.at += len(text)
		return true
	}
	return false
}

func (p *parser) value(depth int) (any, error) {
	p.space()
	if depth > MaxJSONDepth || p.at == len(p.text) {
		return nil, ErrJSON
	}
	switch p.text[p.at] {
	case '{':
		return p.object(depth)
	case '[':
		return p.array(depth)
	case '"':
		return p.string()
	}
	for _, word := range []struct {
		text  string
		value any
	}{
		{"null", nil},
		{"true", true},
		{"false", false},
		{"NaN", json.Number("NaN")},
		{"Infinity", json.Number("Infinity")},
		{"-Infinity", json.Number("-Infinity")},
	} {
		if p.take(word.text) {
			return word.value, nil
		}
	}
	return p.number()
}

func (p *parser) object(depth int) (any, error) {
	p.at++
	object := pyrepr.Object{}
	p.space()
	if p.take("}") {
		return object, nil
	}
	index := map[string]int{}
	for {
		p.space()
		if p.at == len(p.text) || p.text[p.at] != '"' {
			return nil, ErrJSON
		}
		key, err := p.string()
		if err != nil {
			return nil, err
		}
		p.space()
		if !p.take(":") {
			return nil, ErrJSON
		}
		v, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		if i, again := index[key]; again {
			object[i].Value = v // of repeated keys the last counts, in the place of the first
		} else {
			index[key] = len(object)
			object = append(object, pyrepr.Member{Key: key, Value: v})
		}
		p.space()
		if p.take("}") {
			return object, nil
		}
		if !p.take(",") {
			return nil, ErrJSON
		}
	}
}

func (p *parser) array(depth int) (any, error) {
	p.at++
	list := []any{}
	p.space()
	if p.take("]") {
		return list, nil
	}
	for {
		v, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
		p.space()
		if p.take("]") {
			return list, nil
		}
		if !p.take(",") {
			return nil, ErrJSON
		}
	}
}

func (p *parser) string() (string, error) {
	p.at++
	var b strings.Builder
	for p.at < len(p.text) {
		switch ch := p.text[p.at]; {
		case ch == '"':
			p.at++
			return b.String(), nil
		case ch < 0x20:
			return "", ErrJSON
		case ch != '\\':
			b.WriteByte(ch)
			p.at++
		default:
			r, err := p.escape()
			if err != nil {
				return "", err
			}
			b.WriteRune(r)
		}
	}
	return "", ErrJSON
}

// escape reads a backslash and what follows. A surrogate without its pair becomes U+FFFD.
func (p *parser) escape() (rune, error) {
	if p.at+1 >= len(p.text) {
		return 0, ErrJSON
	}
	ch := p.text[p.at+1]
	if i := strings.IndexByte(`"\/bfnrt`, ch); i >= 0 {
		p.at += 2
		return rune("\"\\/\b\f\n\r\t"[i]), nil
	}
	r, err := p.hex4()
	if err != nil || !utf16.IsSurrogate(r) {
		return r, err
	}
	if strings.HasPrefix(p.text[p.at:], `\u`) {
		back := p.at
		second, err := p.hex4()
		if err != nil {
			return 0, err
		}
		if pair := utf16.DecodeRune(r, second); pair != utf8.RuneError {
			return pair, nil
		}
		p.at = back
	}
	return utf8.RuneError, nil
}

func (p *parser) hex4() (rune, error) {
	if p.at+6 > len(p.text) || p.text[p.at+1] != 'u' {
		return 0, ErrJSON
	}
	n, err := strconv.ParseUint(p.text[p.at+2:p.at+6], 16, 16)
	if err != nil {
		return 0, ErrJSON
	}
	p.at += 6
	return rune(n), nil
}

func (p *parser) number() (any, error) {
	start := p.at
	p.take("-")
	if !p.take("0") && !p.digits() {
		return nil, ErrJSON
	}
	if p.take(".") && !p.digits() {
		return nil, ErrJSON
	}
	if p.take("e") || p.take("E") {
		if !p.take("+") {
			p.take("-")
		}
		if !p.digits() {
			return nil, ErrJSON
		}
	}
	return json.Number(p.text[start:p.at]), nil
}

func (p *parser) digits() bool {
	start := p.at
	for p.at < len(p.text) && '0' <= p.text[p.at] && p.text[p.at] <= '9' {
		p.at++
	}
	return p.at > start
}
