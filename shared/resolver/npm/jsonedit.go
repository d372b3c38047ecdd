package npm

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// editor copies a JSON document and changes values on the way. Order, keys and the spelling of everything
// that is not changed stay; white space becomes npm's own, two blanks a level and no newline at the end.
type editor struct {
	*scanner
	w     *bufio.Writer
	level int
	// counts has the members written so far, for each open object or array.
	counts []int
	// key is that of the member whose value comes next, as it stands in the file; nil: none.
	key []byte
	// changed says whether anything but white space differs.
	changed bool
}

func newEditor(r io.Reader, w io.Writer) *editor {
	return &editor{scanner: newScanner(r), w: bufio.NewWriterSize(w, 64<<10)}
}

// document edits the whole: member is called for each member of the outermost object and must call one of
// copy, replace, drop and members.
func (e *editor) document(member func(key string) error) error {
	ok, err := e.members(member, nil)
	if err != nil {
		return err
	}
	if !ok {
		return e.fail("an object is expected")
	}
	if err := e.end(); err != nil {
		return err
	}
	return e.w.Flush()
}

// members edits an object value: member for each member, then last (unless nil), which may add some. A value
// that is no object is copied, and false.
func (e *editor) members(member func(key string) error, last func() error) (bool, error) {
	t, err := e.value()
	if err != nil {
		return false, err
	}
	if t != tokenObject {
		return false, e.copyRest(t)
	}
	return true, e.membersRest(member, last)
}

func (e *editor) membersRest(member func(key string) error, last func() error) error {
	e.open('{')
	err := e.scanner.members(func(key string) error {
		e.key = append([]byte(nil), e.raw...)
		return member(key)
	})
	if err != nil {
		return err
	}
	if last != nil {
		if err := last(); err != nil {
			return err
		}
	}
	e.close('}')
	return nil
}

// copy copies the value that comes next.
func (e *editor) copy() error {
	t, err := e.value()
	if err != nil {
		return err
	}
	return e.copyRest(t)
}

func (e *editor) copyRest(t token) error {
	switch t {
	case tokenObject:
		return e.membersRest(func(string) error { return e.copy() }, nil)
	case tokenArray:
		e.open('[')
		if err := e.elements(e.copyRest); err != nil {
			return err
		}
		e.close(']')
		return nil
	}
	e.begin()
	_, err := e.w.Write(e.raw)
	return err
}

// text edits a value that is a string: change gives what it becomes. Anything else is copied.
func (e *editor) text(change func(old string) string) error {
	t, err := e.value()
	if err != nil {
		return err
	}
	if t != tokenString {
		return e.copyRest(t)
	}
	old := e.string()
	if now := change(old); now != old {
		return e.put(now)
	}
	return e.copyRest(t)
}

// replace writes a text instead of the value that comes next.
func (e *editor) replace(text string) error {
	t, err := e.value()
	if err != nil {
		return err
	}
	if t == tokenString && e.string() == text {
		return e.copyRest(t)
	}
	if err := e.rest(t); err != nil {
		return err
	}
	return e.put(text)
}

// drop leaves the member out whose value comes next.
func (e *editor) drop() error {
	e.key, e.changed = nil, true
	return e.skip()
}

// add writes a new member.
func (e *editor) add(key, text string) error {
	e.key = quoted(key)
	return e.put(text)
}

func (e *editor) put(text string) error {
	e.changed = true
	e.begin()
	_, err := e.w.Write(quoted(text))
	return err
}

// begin writes what comes before a value: comma, line break, key.
func (e *editor) begin() {
	if n := len(e.counts); n > 0 {
		if e.counts[n-1] > 0 {
			e.w.WriteByte(',')
		}
		e.counts[n-1]++
		e.newline()
	}
	if e.key != nil {
		e.w.Write(e.key)
		e.w.WriteString(": ")
		e.key = nil
	}
}

func (e *editor) newline() {
	e.w.WriteByte('\n')
	for range e.level {
		e.w.WriteString("  ")
	}
}

func (e *editor) open(c byte) {
	e.begin()
	e.w.WriteByte(c)
	e.level++
	e.counts = append(e.counts, 0)
}

func (e *editor) close(c byte) {
	n := len(e.counts) - 1
	e.level--
	if e.counts[n] > 0 {
		e.newline()
	}
	e.counts = e.counts[:n]
	e.w.WriteByte(c) // a write that failed is reported by Flush
}

func quoted(text string) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(text); err != nil {
		panic(fmt.Sprintf("a string cannot be encoded: %v", err)) // cannot be
	}
	return []byte(strings.TrimSuffix(b.String(), "\n"))
}
