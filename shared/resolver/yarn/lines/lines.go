// Package lines holds what the two forms of yarn.lock have in common, that of Yarn 1 and the YAML of newer ones: both are
// read line by line, with texts that may be quoted as in JSON. What the lines mean is not known here.
package lines

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/cachito-serverless/cachito/shared/fault"
)

// MaxLineBytes bounds a line: the keys of an entry are one.
const MaxLineBytes = 1 << 20

// Reader reads a yarn.lock. Its faults are the client's and name file and line.
type Reader struct {
	// Path of the file, for faults.
	Path string
	// Line is the number of the current one, from 1.
	Line int
}

// Each calls do for each line, with its end, which it must not keep. More than maxBytes are a fault.
func (l *Reader) Each(r io.Reader, maxBytes int, do func(text []byte) error) error {
	lines := bufio.NewReaderSize(io.LimitReader(r, int64(maxBytes)+1), 64<<10)
	var long []byte
	total := 0
	for {
		piece, err := lines.ReadSlice('\n')
		if total += len(piece); total > maxBytes {
			return fault.Client(fault.UnsupportedFeature, "The file %s has more than %d bytes, the limit", l.Path, maxBytes)
		}
		if len(long)+len(piece) > MaxLineBytes {
			l.Line++
			return l.Wrong("the line has more than %d bytes", MaxLineBytes)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			long = append(long, piece...)
			continue
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("reading %s: %w", l.Path, err)
		}
		text := piece
		if len(long) > 0 {
			text = append(long, piece...)
			long = long[:0]
		}
		l.Line++
		if failed := do(text); failed != nil {
			return failed
		}
		if err != nil {
			return nil
		}
	}
}

// Wrong is the fault for a line that is not as the format has it.
func (l *Reader) Wrong(format string, args ...any) error {
	return l.fault(fault.InvalidFileFormat, fmt.Sprintf(format, args...))
}

// Unsupported is the fault for a lockfile of another version, or with more of something than there may be.
func (l *Reader) Unsupported(format string, args ...any) error {
	return l.fault(fault.UnsupportedFeature, fmt.Sprintf(format, args...))
}

func (l *Reader) fault(kind fault.Type, text string) error {
	return fault.Client(kind, "%s:%d: %s", l.Path, l.Line, text)
}

var conflictMarkers = []string{"<<<<<<<", "|||||||", "=======", ">>>>>>>"}

// CheckConflict refuses a line that git leaves behind.
func (l *Reader) CheckConflict(text string) error {
	for _, marker := range conflictMarkers {
		if strings.HasPrefix(text, marker) {
			return l.Wrong("there is a merge conflict (%s); resolve it, `yarn install` does, and commit the result", marker)
		}
	}
	return nil
}

// OddIndent is the fault for a line that no multiple of two spaces begins.
func (l *Reader) OddIndent(spaces int) error {
	return l.Wrong("want an even number of spaces at the beginning of the line, got %d", spaces)
}

// Quoted reads a text in quotes, as in JSON, at the beginning of a longer one, and says where it ends.
//
//	"a\"b" "c"  -> a"b, 6
func (l *Reader) Quoted(text string) (value string, end int, err error) {
	end = 1
	for end < len(text) && text[end] != '"' {
		if text[end] == '\\' {
			end++
		}
		end++
	}
	if end >= len(text) {
		return "", 0, l.Wrong("the quotes at %q do not end", Shorten(text))
	}
	end++
	if err := json.Unmarshal([]byte(text[:end]), &value); err != nil {
		return "", 0, l.Wrong("the text %q is not quoted as in JSON", Shorten(text[:end]))
	}
	return value, end, nil
}

// CheckText refuses a text that nothing in a lockfile has.
func (l *Reader) CheckText(value string) error {
	if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\ufffd' }) {
		return l.Wrong("the text %q has a control character, or is not UTF-8", Shorten(value))
	}
	return nil
}

// Shorten makes a text fit for a message.
func Shorten(text string) string {
	const most = 60
	if len(text) > most {
		return strings.ToValidUTF8(text[:most], "") + "..."
	}
	return text
}

// SplitKey splits "name@range"; the "@" of a scope belongs to the name.
func SplitKey(key string) (name, spec string) {
	if key == "" {
		return "", ""
	}
	at := strings.IndexByte(key[1:], '@')
	if at < 0 {
		return key, ""
	}
	return key[:at+1], key[at+2:]
}
