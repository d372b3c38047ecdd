package fetch

import (
	"context"
	"sync"
)

// limiter bounds running requests, all together and per host.
type limiter struct {
	all     chan struct{}
	perHost int

	mu    sync.Mutex
	hosts map[string]*hostSlots
}

type hostSlots struct {
	slots chan struct{}
	users int // running and waiting; the entry goes with the last one
}

func newLimiter(all, perHost int) *limiter {
	return &limiter{all: make(chan struct{}, all), perHost: perHost, hosts: map[string]*hostSlots{}}
}

// acquire waits for a place; release gives it back (once).
func (l *limiter) acquire(ctx context.Context, host string) (release func(), err error) {
	l.mu.Lock()
	h := l.hosts[host]
	if h == nil {
		h = &hostSlots{slots: make(chan struct{}, l.perHost)}
		l.hosts[host] = h
	}
	h.users++
	l.mu.Unlock()
	leave := func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if h.users--; h.users == 0 {
			delete(l.hosts, host)
		}
	}
	// The host's place first: waiting for a slow host must not hold places of all.
	select {
	case h.slots <- struct{}{}:
	case <-ctx.Done():
		leave()
		return nil, ctx.Err()
	}
	select {
	case l.all <- struct{}{}:
	case <-ctx.Done():
		<-h.slots
		leave()
		return nil, ctx.Err()
	}
	return func() {
		<-l.all
		<-h.slots
		leave()
	}, nil
}
