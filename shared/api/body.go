package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/cachito-serverless/cachito/shared/pyrepr"
)

const (
	// MaxBodyBytes bounds a request's body: configuration files are the largest (Lambda takes 6 MB).
	MaxBodyBytes = 6 << 20
	// maxBodyDepth bounds how deep values are nested.
	maxBodyDepth = 64
)

// readBody reads, decodes and checks the body of a route that has one.
func (c *call) readBody() error {
	raw, err := io.ReadAll(http.MaxBytesReader(c.w, c.r.Body, MaxBodyBytes))
	if err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			return err
		}
		return badRequest("The request body could not be read")
	}
	if len(raw) > 0 {
		contentType := c.r.Header.Get("Content-Type")
		if !isJSON(contentType) {
			return &problemError{http.StatusUnsupportedMediaType, "Unsupported Media Type",
				fmt.Sprintf("Invalid Content-type (%s), expected JSON data", contentType)}
		}
		raw = bytes.TrimPrefix(raw, []byte("\ufeff"))
		if c.body, err = parseJSON(raw); err != nil || c.body == nil {
			return &problemError{http.StatusBadRequest, "Bad Request", "Request body is not valid JSON"}
		}
	}
	return c.route.body.check(c.body)
}

// isJSON: application/json or application/<anything>+json.
func isJSON(contentType string) bool {
	media, _, err := mime.ParseMediaType(contentType)
	if err != nil && media == "" {
		media, _, _ = strings.Cut(contentType, ";")
		media = strings.ToLower(strings.TrimSpace(media))
	}
	return media == "application/json" || strings.HasPrefix(media, "application/") && strings.HasSuffix(media, "+json")
}

var errJSON = errors.New("not valid JSON")

// parseJSON decodes JSON as Python's json module does, with the order of keys kept: nil, bool, string,
// json.Number, []any, pyrepr.Object. NaN and Infinity are accepted, invalid UTF-8 is not.
func parseJSON(raw []byte) (any, error) {
	if !utf8.Valid(raw) {
		return nil, errJSON
	}
	p := &parser{text: string(raw)}
	v, err := p.value(0)
	if err != nil {
		return nil, err
	}
	p.space()
	if p.at != len(p.text) {
		return nil, errJSON
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
	if depth > maxBodyDepth || p.at == len(p.text) {
		return nil, errJSON
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
			return nil, errJSON
		}
		key, err := p.string()
		if err != nil {
			return nil, err
		}
		p.space()
		if !p.take(":") {
			return nil, errJSON
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
			return nil, errJSON
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
			return nil, errJSON
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
			return "", errJSON
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
	return "", errJSON
}

// escape reads a backslash and what follows. A surrogate without its pair becomes U+FFFD.
func (p *parser) escape() (rune, error) {
	if p.at+1 >= len(p.text) {
		return 0, errJSON
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
		return 0, errJSON
	}
	n, err := strconv.ParseUint(p.text[p.at+2:p.at+6], 16, 16)
	if err != nil {
		return 0, errJSON
	}
	p.at += 6
	return rune(n), nil
}

func (p *parser) number() (any, error) {
	start := p.at
	p.take("-")
	if !p.take("0") && !p.digits() {
		return nil, errJSON
	}
	if p.take(".") && !p.digits() {
		return nil, errJSON
	}
	if p.take("e") || p.take("E") {
		if !p.take("+") {
			p.take("-")
		}
		if !p.digits() {
			return nil, errJSON
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
