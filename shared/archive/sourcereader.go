package archive

import (
	"errors"
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
	err = notTheEnd(err)
	if err != nil && !errors.Is(err, io.EOF) && s.err == nil {
		s.err = err
	}
	return n, err
}

// notTheEnd hides the io.EOF inside of errors that are not the end: net/http says `Get "https://...": EOF`
// when a connection breaks, and that answers errors.Is(err, io.EOF).
func notTheEnd(err error) error {
	//nolint:errorlint // io.EOF itself is the end, a wrapped one is not
	if err == io.EOF || !errors.Is(err, io.EOF) {
		return err
	}
	return brokenError{err}
}

// brokenError is an error that wraps io.EOF, without it.
type brokenError struct{ err error }

func (e brokenError) Error() string        { return e.err.Error() }
func (e brokenError) Is(target error) bool { return target != io.EOF && errors.Is(e.err, target) }
func (e brokenError) As(target any) bool   { return errors.As(e.err, target) }

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
