package pnpm

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
)

const (
	// maxPieceBytes bounds what of a lockfile is in memory at a time: one package, one project of a
	// workspace, or one of the small sections.
	maxPieceBytes = 4 << 20
	// maxLines bounds the lines of a lockfile.
	maxLines = 8_000_000
)

// piece is a part of a lockfile that is YAML by itself.
type piece struct {
	// section is the key at the left margin that it belongs to; document counts from 0.
	section  string
	document int
	// whole: it is the section with its key, else one entry of a large one.
	whole bool
	text  []byte
	line  int   // of its first line, from 1
	at    int64 // of its first byte
}

// largeSections are read entry by entry.
var largeSections = map[string]bool{"packages": true, "snapshots": true, "importers": true}

// splitter cuts a lockfile into pieces by its indentation, as pnpm writes it. So a large one needs no more
// memory than its largest package, and what YAML makes of one place cannot change another.
type splitter struct {
	emit    func(piece) error
	fault   func(line int, format string, args ...any) error
	now     piece
	large   bool
	indent  int // of the entries of a large section; 0: none seen yet
	pending bool
	seen    map[string]bool // sections of the document
}

// split reads a whole lockfile.
func (s *splitter) split(r io.Reader) error {
	in := bufio.NewReaderSize(r, 64<<10)
	s.seen = map[string]bool{}
	var at int64
	for line := 1; ; line++ {
		text, err := readLine(in)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if len(text) == 0 && err != nil {
			return s.flush()
		}
		if len(text) > maxPieceBytes || line > maxLines {
			return s.fault(line, "the file has more lines, or longer ones, than a lockfile may have")
		}
		if err := s.take(text, line, at); err != nil {
			return err
		}
		at += int64(len(text))
		if err != nil {
			return s.flush()
		}
	}
}

// readLine gives a line with its end; one that is too long comes back longer than maxPieceBytes.
func readLine(in *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := in.ReadSlice('\n')
		line = append(line, part...)
		if !errors.Is(err, bufio.ErrBufferFull) || len(line) > maxPieceBytes {
			if errors.Is(err, bufio.ErrBufferFull) {
				err = nil
			}
			return line, err
		}
	}
}

func (s *splitter) take(text []byte, line int, at int64) error {
	if line == 1 {
		text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	}
	bare := bytes.TrimRight(text, "\r\n \t")
	indent := len(bare) - len(bytes.TrimLeft(bare, " "))
	content := bare[indent:]
	switch {
	case len(content) == 0 || content[0] == '#':
		return s.add(text, line, at) // belongs to what is before it
	case indent == 0 && (string(content) == "---" || string(content) == "..."):
		if err := s.flush(); err != nil {
			return err
		}
		if len(s.seen) > 0 {
			s.now.document++
			s.seen = map[string]bool{}
		}
		s.now.section, s.large = "", false
		return nil
	case indent == 0 && !s.continues(content):
		return s.begin(text, content, line, at)
	case s.now.section == "":
		return s.fault(line, "want a key at the left margin, as pnpm writes it")
	}
	if s.large {
		if s.indent == 0 {
			s.indent = indent
		}
		if indent < s.indent {
			return s.fault(line, "the indentation fits nothing above it")
		}
		if indent == s.indent && content[0] != ':' {
			if err := s.flush(); err != nil {
				return err
			}
		}
	}
	return s.add(text, line, at)
}

// continues: the closing bracket of a section that is written in brackets may stand at the left margin.
func (s *splitter) continues(content []byte) bool {
	return !s.large && s.now.section != "" && (content[0] == '}' || content[0] == ']')
}

// begin starts a section.
func (s *splitter) begin(text, content []byte, line int, at int64) error {
	if err := s.flush(); err != nil {
		return err
	}
	name, value, ok := strings.Cut(string(content), ":")
	name = strings.Trim(strings.TrimSpace(name), `"'`)
	if !ok || name == "" || strings.ContainsAny(name, "{}[]&*!|>%@` ") {
		return s.fault(line, "want a key at the left margin, as pnpm writes it, got %.60q", content)
	}
	if s.seen[name] {
		return s.fault(line, "%.60q is there twice", name)
	}
	s.seen[name] = true
	if len(s.seen) > maxSections {
		return s.fault(line, "the file has more than %d keys at the left margin", maxSections)
	}
	s.now.section = name
	value, _, _ = strings.Cut(value, " #")
	s.large, s.indent = largeSections[name] && strings.TrimSpace(value) == "", 0
	if s.large {
		return nil
	}
	return s.add(text, line, at)
}

// maxSections bounds the keys at the left margin; pnpm knows some twenty.
const maxSections = 1000

func (s *splitter) add(text []byte, line int, at int64) error {
	if s.now.section == "" {
		return nil // a comment before everything
	}
	if !s.pending {
		s.now.text, s.now.line, s.now.at = s.now.text[:0], line, at
		s.pending = true
	}
	if len(s.now.text)+len(text) > maxPieceBytes {
		return s.fault(s.now.line, "an entry of %q has more than %d bytes", s.now.section, maxPieceBytes)
	}
	s.now.text = append(s.now.text, text...)
	return nil
}

func (s *splitter) flush() error {
	if !s.pending {
		return nil
	}
	s.pending = false
	s.now.whole = !s.large
	return s.emit(s.now)
}
