package berry

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"os"
)

// spoolInMemory is how much of a spool stays in memory.
const spoolInMemory = 1 << 20

// spool takes bytes and gives them back: small amounts stay in memory, all else goes to a file of the scratch
// folder. The zero value with a folder is ready.
type spool struct {
	scratch *os.Root
	memory  bytes.Buffer
	file    *os.File
	name    string
	size    int64
}

// Write implements io.Writer.
func (s *spool) Write(p []byte) (int, error) {
	if s.file == nil && s.memory.Len()+len(p) > spoolInMemory {
		name := "spool-" + rand.Text()
		file, err := s.scratch.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return 0, fmt.Errorf("making a temporary file: %w", err)
		}
		s.file, s.name = file, name
		if _, err := file.Write(s.memory.Bytes()); err != nil {
			return 0, fmt.Errorf("writing a temporary file: %w", err)
		}
	}
	var n int
	var err error
	if s.file != nil {
		n, err = s.file.Write(p)
	} else {
		n, err = s.memory.Write(p)
	}
	s.size += int64(n)
	return n, err
}

// section reads a part of what was written.
func (s *spool) section(offset, size int64) io.Reader {
	if s.file != nil {
		return io.NewSectionReader(s.file, offset, size)
	}
	return bytes.NewReader(s.memory.Bytes()[offset : offset+size])
}

// reset forgets everything; the file goes.
func (s *spool) reset() {
	s.memory.Reset()
	s.size = 0
	if s.file != nil {
		s.file.Close()
		// It lies in a folder that is cleared in the end.
		_ = s.scratch.Remove(s.name)
		s.file = nil
	}
}
