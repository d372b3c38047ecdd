package archive

import (
	"io"
	"sync"
)

// sourceReader counts what is read and remembers the reader's own failure, which decoders hide behind
// errors of their own. It may be asked from another goroutine than the one that reads.
type sourceReader struct {
	r  io.Reader
	mu sync.Mutex
	n  int64
	// err is the first failure that is not the end.
	err error
}

func (s *sourceReader) Read(b []byte) (int, error) {
	n, err := s.r.Read(b)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n += int64(n)
	if err != nil && err != io.EOF && s.err == nil {
		s.err = err
	}
	return n, err
}

func (s *sourceReader) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

func (s *sourceReader) count() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.n
}
