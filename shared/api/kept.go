package api

import (
	"io"
	"sync"
)

const (
	// maxKeptText is the size up to which the text of a part of an answer is kept: some thousand dependencies.
	maxKeptText = 256 << 10
	// maxKeptTexts bounds each of two generations of them.
	maxKeptTexts = 2 << 20
)

// texts keeps parts of answers that are made of an object in the storage which never changes, such as a
// complete request's packages: reading and writing them costs far more than the rest of the answer. The zero
// value is ready; it may be used concurrently.
type texts struct {
	mu           sync.Mutex
	newer, older map[string][]byte // when the newer generation is full the older one goes
	size         int               // of the newer one
}

func (t *texts) find(key string) ([]byte, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	text, ok := t.newer[key]
	if !ok {
		if text, ok = t.older[key]; ok {
			t.put(key, text)
		}
	}
	return text, ok
}

func (t *texts) keep(key string, text []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.put(key, text)
}

func (t *texts) put(key string, text []byte) {
	if t.newer == nil || t.size+len(text) > maxKeptTexts {
		t.older, t.newer, t.size = t.newer, map[string][]byte{}, 0
	}
	if _, known := t.newer[key]; !known {
		t.size += len(text)
	}
	t.newer[key] = text
}

// kept is a JSON value that write makes the first time, and that is known from then on under key. write tells
// whether it made what will never change.
func (s *server) kept(key string, write func(w io.Writer) (final bool, err error)) streamed {
	return func(w io.Writer) error {
		if text, ok := s.texts.find(key); ok {
			_, err := w.Write(text)
			return err
		}
		copied := &copying{w: w}
		final, err := write(copied)
		if err == nil && final && len(copied.text) <= maxKeptText {
			s.texts.keep(key, copied.text)
		}
		return err
	}
}

// copying remembers what was written, until that is too much.
type copying struct {
	w    io.Writer
	text []byte
}

func (c *copying) Write(p []byte) (int, error) {
	if len(c.text) <= maxKeptText {
		c.text = append(c.text, p...)
	}
	return c.w.Write(p)
}
