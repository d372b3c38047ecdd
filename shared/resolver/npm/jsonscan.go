package npm

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"unicode/utf8"
)

const (
	// maxJSONDepth bounds the nesting of a document; npm's own lockfiles have some tens at most.
	maxJSONDepth = 1000
	// maxJSONTextBytes bounds one string or number.
	maxJSONTextBytes = 1 << 20
)

// token is one step through a JSON document.
type token int

const (
	tokenObject    token = iota // {
	tokenObjectEnd              // }
	tokenArray                  // [
	tokenArrayEnd               // ]
	tokenString                 // raw with its quotes
	tokenOther                  // a number, true, false or null
)

// scanner reads a JSON document token by token, holding one string at a time: a lockfile may have 100 MB.
// Texts come as they stand in the file, so that a rewritten document keeps what it need not change.
type scanner struct {
	r     *bufio.Reader
	line  int
	depth int
	raw   []byte // of the last string or other token
}

func newScanner(r io.Reader) *scanner {
	s := &scanner{r: bufio.NewReaderSize(r, 64<<10), line: 1}
	if mark, err := s.r.Peek(3); err == nil && string(mark) == "\xef\xbb\xbf" {
		s.r.Discard(3) // npm passes over a byte order mark as well
	}
	return s
}

// syntaxError is what is wrong with a document, and where.
type syntaxError struct {
	line   int
	reason string
}

func (e *syntaxError) Error() string { return fmt.Sprintf("line %d: %s", e.line, e.reason) }

func (s *scanner) fail(format string, args ...any) error {
	return &syntaxError{s.line, fmt.Sprintf(format, args...)}
}

// unexpected words a byte that does not belong where it is.
func (s *scanner) unexpected(c byte) error {
	if c == '<' || c == '>' {
		return s.fail("unexpected %q; are these the conflict marks of a merge?", c)
	}
	return s.fail("unexpected %q", c)
}

// byte gives the next byte that is no white space.
func (s *scanner) byte() (byte, error) {
	for {
		c, err := s.r.ReadByte()
		if errors.Is(err, io.EOF) {
			return 0, s.fail("the file ends too early")
		}
		if err != nil {
			return 0, err
		}
		switch c {
		case '\n':
			s.line++
		case ' ', '\t', '\r':
		default:
			return c, nil
		}
	}
}

// value reads the first token of a value.
func (s *scanner) value() (token, error) {
	c, err := s.byte()
	if err != nil {
		return 0, err
	}
	return s.valueAt(c)
}

func (s *scanner) valueAt(c byte) (token, error) {
	switch {
	case c == '{' || c == '[':
		if s.depth++; s.depth > maxJSONDepth {
			return 0, s.fail("nested more than %d levels deep", maxJSONDepth)
		}
		if c == '{' {
			return tokenObject, nil
		}
		return tokenArray, nil
	case c == '"':
		return tokenString, s.text()
	case c == '-' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z':
		return tokenOther, s.word(c)
	}
	return 0, s.unexpected(c)
}

// text reads the rest of a string into raw.
func (s *scanner) text() error {
	s.raw = append(s.raw[:0], '"')
	for {
		piece, err := s.r.ReadSlice('"')
		if slices.IndexFunc(piece, func(c byte) bool { return c < ' ' }) >= 0 {
			return s.fail("a control character within a text")
		}
		s.raw = append(s.raw, piece...)
		switch {
		case len(s.raw) > maxJSONTextBytes:
			return s.fail("a text of more than %d bytes", maxJSONTextBytes)
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF):
			return s.fail("the file ends within a text")
		case err != nil:
			return err
		}
		before := s.raw[:len(s.raw)-1]
		if backslashes := len(before) - len(bytes.TrimRight(before, `\\`)); backslashes%2 == 0 {
			break
		}
	}
	if bytes.IndexByte(s.raw, '\\') >= 0 && !json.Valid(s.raw) {
		return s.fail("%.60s is no JSON text", s.raw)
	}
	return nil
}

// word reads a number, true, false or null into raw.
func (s *scanner) word(c byte) error {
	s.raw = append(s.raw[:0], c)
	for {
		c, err := s.r.ReadByte()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if c != '-' && c != '+' && c != '.' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			if err := s.r.UnreadByte(); err != nil {
				return err
			}
			break
		}
		if s.raw = append(s.raw, c); len(s.raw) > maxJSONTextBytes {
			return s.fail("a number of more than %d bytes", maxJSONTextBytes)
		}
	}
	if !json.Valid(s.raw) {
		return s.fail("unexpected %.60s", s.raw)
	}
	return nil
}

// members reads an object whose brace was read. each is called with every key, and reads the value.
func (s *scanner) members(each func(key string) error) error {
	for first := true; ; first = false {
		c, err := s.byte()
		if err != nil {
			return err
		}
		if c == '}' && first {
			break
		}
		if !first {
			if c == '}' {
				break
			}
			if c != ',' {
				return s.unexpected(c)
			}
			if c, err = s.byte(); err != nil {
				return err
			}
		}
		if c != '"' {
			return s.unexpected(c)
		}
		if err := s.text(); err != nil {
			return err
		}
		key := s.string()
		if c, err = s.byte(); err != nil {
			return err
		}
		if c != ':' {
			return s.unexpected(c)
		}
		if err := each(key); err != nil {
			return err
		}
	}
	s.depth--
	return nil
}

// elements reads an array whose bracket was read. each is called at every element with its first token.
func (s *scanner) elements(each func(t token) error) error {
	for first := true; ; first = false {
		c, err := s.byte()
		if err != nil {
			return err
		}
		if c == ']' && first {
			break
		}
		if !first {
			if c == ']' {
				break
			}
			if c != ',' {
				return s.unexpected(c)
			}
			if c, err = s.byte(); err != nil {
				return err
			}
		}
		t, err := s.valueAt(c)
		if err != nil {
			return err
		}
		if err := each(t); err != nil {
			return err
		}
	}
	s.depth--
	return nil
}

// object reads a value; of an object each member with each, anything else is passed over and false.
func (s *scanner) object(each func(key string) error) (bool, error) {
	t, err := s.value()
	if err != nil {
		return false, err
	}
	if t != tokenObject {
		return false, s.rest(t)
	}
	return true, s.members(each)
}

// skip passes over a value.
func (s *scanner) skip() error {
	t, err := s.value()
	if err != nil {
		return err
	}
	return s.rest(t)
}

// rest passes over what follows the first token of a value.
func (s *scanner) rest(t token) error {
	switch t {
	case tokenObject:
		return s.members(func(string) error { return s.skip() })
	case tokenArray:
		return s.elements(s.rest)
	}
	return nil
}

// readText reads a value: its text when it is a string, else "" and false.
func (s *scanner) readText() (string, bool, error) {
	t, err := s.value()
	if err != nil {
		return "", false, err
	}
	if t != tokenString {
		return "", false, s.rest(t)
	}
	return s.string(), true, nil
}

// readTrue reads a value and reports whether it is true.
func (s *scanner) readTrue() (bool, error) {
	t, err := s.value()
	if err != nil {
		return false, err
	}
	is := t == tokenOther && string(s.raw) == "true"
	return is, s.rest(t)
}

// end reports what follows the document.
func (s *scanner) end() error {
	for {
		c, err := s.r.ReadByte()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		switch c {
		case '\n':
			s.line++
		case ' ', '\t', '\r':
		default:
			return s.unexpected(c)
		}
	}
}

// string decodes the string token that was read last.
func (s *scanner) string() string {
	inner := s.raw[1 : len(s.raw)-1]
	if bytes.IndexByte(inner, '\\') < 0 && utf8.Valid(inner) {
		return string(inner)
	}
	var out string
	// Valid, as text has checked what has escapes; other bytes become U+FFFD.
	if err := json.Unmarshal(s.raw, &out); err != nil {
		return string(inner)
	}
	return out
}
