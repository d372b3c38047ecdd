package sqlite

import (
	"bytes"
	"sync"

	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/store"
)

// maxListed is how many requests one generation of listed holds: some pages of the largest size.
const maxListed = 500

// maxListedBytes is up to which size a row is kept: nearly all are of 1 or 2 KB, and may be of 400.
const maxListedBytes = 8 << 10

// listed keeps requests that lists showed, so that a page that many clients look at is not decoded every
// time (that was half of a page's cost). What is kept is compared with the row that was read:
// it can never be old.
type listed struct {
	mu sync.Mutex
	// Two generations: when the newer one is full the older one goes.
	newer, older map[int64]listedRequest
}

type listedRequest struct {
	body []byte
	req  request.Request
}

// decode gives the request of a row, without its history. Callers share it and must not change it.
func (l *listed) decode(id int64, body []byte) (request.Request, error) {
	if known, ok := l.find(id); ok && bytes.Equal(known.body, body) {
		return known.req, nil
	}
	req, err := store.DecodeRow(id, body)
	if err == nil && len(body) <= maxListedBytes {
		l.keep(id, listedRequest{bytes.Clone(body), req})
	}
	return req, err
}

func (l *listed) find(id int64) (listedRequest, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	known, ok := l.newer[id]
	if !ok {
		if known, ok = l.older[id]; ok {
			l.put(id, known)
		}
	}
	return known, ok
}

func (l *listed) keep(id int64, r listedRequest) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.put(id, r)
}

func (l *listed) put(id int64, r listedRequest) {
	if l.newer == nil || len(l.newer) >= maxListed {
		l.older, l.newer = l.newer, make(map[int64]listedRequest, maxListed)
	}
	l.newer[id] = r
}
