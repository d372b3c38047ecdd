package api

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"slices"
	"sync"
	"unicode/utf8"
)

// write answers with a JSON value: keys sorted, ASCII only, a newline at the end.
func (c *call) write(status int, v any) error {
	return c.stream("application/json", status, func(w io.Writer) error {
		if err := writeValue(w, v); err != nil {
			return err
		}
		_, err := io.WriteString(w, "\n")
		return err
	})
}

// object is a JSON object whose members are written one after the other.
type object map[string]any

// streamed is a JSON value that is made while it is written.
type streamed func(w io.Writer) error

// writeValue writes a value as JSON text; of objects and lists no more than one member is held as text.
func writeValue(w io.Writer, v any) error {
	switch v := v.(type) {
	case streamed:
		return v(w)
	case object:
		return writeObject(w, v)
	}
	return writePlain(w, v)
}

// scratch holds the text of an object's plain members while they are put together.
var scratch = sync.Pool{New: func() any { return new([]byte) }}

// maxScratch is what is worth keeping: an object of a list is of one or two kilobytes.
const maxScratch = 16 << 10

// writeObject puts the plain members together and writes them at once.
func writeObject(w io.Writer, v object) error {
	buffer := scratch.Get().(*[]byte)
	b := append((*buffer)[:0], '{')
	defer func() {
		if *buffer = b; cap(b) <= maxScratch {
			scratch.Put(buffer)
		}
	}()
	var few [32]string
	keys := slices.AppendSeq(few[:0], maps.Keys(v))
	slices.Sort(keys)
	for i, key := range keys {
		if i > 0 {
			b = append(b, ", "...)
		}
		var ok bool
		if b, ok = appendPlain(b, key); !ok { // a name that clients chose
			raw, err := marshal(key)
			if err != nil {
				return err
			}
			b = append(b, raw...)
		}
		if b, ok = appendPlain(append(b, ": "...), v[key]); ok {
			continue
		}
		if _, err := w.Write(b); err != nil {
			return err
		}
		b = b[:0]
		if err := writeValue(w, v[key]); err != nil {
			return err
		}
	}
	b = append(b, '}')
	_, err := w.Write(b)
	return err
}

func writePlain(w io.Writer, v any) error {
	b, ok := appendPlain(nil, v)
	if !ok {
		var err error
		if b, err = marshal(v); err != nil {
			return err
		}
	}
	_, err := w.Write(b)
	return err
}

// marshal is encoding/json's text with < > & as they are.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// writeText writes what r holds as one JSON string, without holding it whole.
func writeText(w io.Writer, r io.Reader) error {
	if _, err := io.WriteString(w, `"`); err != nil {
		return err
	}
	chunk := make([]byte, 32<<10)
	kept := 0 // bytes of a character that is not complete yet
	for {
		n, err := io.ReadFull(r, chunk[kept:])
		end := kept + n
		last := err == io.EOF || err == io.ErrUnexpectedEOF
		if err != nil && !last {
			return err
		}
		whole := end
		for back := 1; !last && back < utf8.UTFMax && back <= end; back++ {
			if utf8.RuneStart(chunk[end-back]) {
				if !utf8.FullRune(chunk[end-back : end]) {
					whole = end - back
				}
				break
			}
		}
		raw, err := json.Marshal(string(chunk[:whole]))
		if err != nil {
			return err
		}
		if _, err := w.Write(raw[1 : len(raw)-1]); err != nil {
			return err
		}
		if last {
			_, err := io.WriteString(w, `"`)
			return err
		}
		kept = copy(chunk, chunk[whole:end])
	}
}

// listOf is a JSON array of what each makes of the items, made while it is written.
func listOf[T any](list []T, each func(T) any) streamed {
	return func(w io.Writer) error {
		separator := "["
		for _, item := range list {
			if _, err := io.WriteString(w, separator); err != nil {
				return err
			}
			if err := writeValue(w, each(item)); err != nil {
				return err
			}
			separator = ", "
		}
		if len(list) > 0 {
			separator = ""
		}
		_, err := io.WriteString(w, separator+"]")
		return err
	}
}

func itself[T any](v T) any { return v }

// ascii passes JSON text on, escaped to ASCII as upstream's answers are.
type ascii struct {
	next    io.Writer
	partial []byte // the beginning of a character
	escaped []byte
}

// Write implements io.Writer for JSON text in UTF-8.
func (a *ascii) Write(p []byte) (int, error) {
	n := len(p)
	if len(a.partial) == 0 && isASCII(p) {
		return a.next.Write(p)
	}
	p = append(a.partial, p...)
	a.partial, a.escaped = nil, a.escaped[:0]
	for len(p) > 0 {
		if p[0] < utf8.RuneSelf {
			a.escaped = append(a.escaped, p[0])
			p = p[1:]
			continue
		}
		if !utf8.FullRune(p) {
			a.partial = bytes.Clone(p)
			break
		}
		r, size := utf8.DecodeRune(p)
		a.escaped = appendEscaped(a.escaped, r)
		p = p[size:]
	}
	if _, err := a.next.Write(a.escaped); err != nil {
		return 0, err
	}
	return n, nil
}

func isASCII(p []byte) bool {
	for _, c := range p {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

func appendEscaped(out []byte, r rune) []byte {
	const hex = "0123456789abcdef"
	unit := func(u rune) {
		out = append(out, '\\', 'u', hex[u>>12&15], hex[u>>8&15], hex[u>>4&15], hex[u&15])
	}
	if r < 0x10000 {
		unit(r)
	} else {
		unit(0xd800 + (r-0x10000)>>10)
		unit(0xdc00 + (r-0x10000)&0x3ff)
	}
	return out
}
