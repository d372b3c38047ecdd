package berry

import (
	"crypto/sha256"
	"fmt"
	"io"
	"sync"
)

// maxSums bounds what is remembered; each takes some 300 bytes.
const maxSums = 50_000

// Sums remembers what zips have which checksum: making one takes twenty times as long as hashing the archive that it is
// made of, and the next commit of a repository has the same dependencies. The zero value is ready. Safe for concurrent
// use.
type Sums struct {
	mu    sync.Mutex
	known map[sumKey]string
}

// sumKey is all that a zip depends on.
type sumKey struct {
	archive [sha256.Size]byte
	name    string
	form    zipForm
}

// get gives the checksum of the zip of an archive, of which make makes one when it is not known.
func (s *Sums) get(archive io.ReadSeeker, name string, form zipForm, make func() (string, error)) (string, error) {
	sum := sha256.New()
	if _, err := io.Copy(sum, archive); err != nil {
		return "", fmt.Errorf("reading the archive: %w", err)
	}
	if _, err := archive.Seek(0, io.SeekStart); err != nil {
		return "", fmt.Errorf("reading the archive again: %w", err)
	}
	key := sumKey{[sha256.Size]byte(sum.Sum(nil)), name, form}
	s.mu.Lock()
	known, ok := s.known[key]
	s.mu.Unlock()
	if ok {
		return known, nil
	}
	made, err := make()
	if err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known == nil || len(s.known) >= maxSums {
		s.known = map[sumKey]string{}
	}
	s.known[key] = made
	return made, nil
}
