package api

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"
)

const (
	// largeDataBytes is the packages data from which an answer made of it counts as a large one: up to three
	// times as much memory is in use while it is made.
	largeDataBytes = 1 << 20
	// largeAnswerTime is how long a client may take over a large answer: others are waiting. That it takes
	// any of it in time is the server's business.
	largeAnswerTime = 10 * time.Minute

	defaultLargeAnswers    = 2
	defaultLargeAnswerWait = 10 * time.Second
)

// largeAnswers bounds how many answers that need much memory are made at once.
type largeAnswers struct {
	slots chan struct{}
	wait  time.Duration
}

func newLargeAnswers(c Config) largeAnswers {
	l := largeAnswers{make(chan struct{}, defaultLargeAnswers), defaultLargeAnswerWait}
	if c.LargeAnswers > 0 {
		l.slots = make(chan struct{}, c.LargeAnswers)
	}
	if c.LargeAnswerWait > 0 {
		l.wait = c.LargeAnswerWait
	}
	return l
}

// busyError is the answer when no slot came free in time.
type busyError struct{ retryAfter time.Duration }

func (e *busyError) Error() string {
	return "The service is making as many large answers as it can. Please try again in a few seconds."
}

// large is called before size bytes of packages data are read. If they are many the call waits for one of the
// few slots, which it keeps until it ends. *busyError when none came free in time; once a part of the answer
// was sent it can only wait on, as long as the client does.
func (c *call) large(ctx context.Context, size int64) error {
	if size < largeDataBytes || c.slot {
		return nil
	}
	timeout := c.answers.wait
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	expired := timer.C
	if c.begun {
		expired = nil
	}
	select {
	case c.answers.slots <- struct{}{}:
		c.slot, c.until = true, c.Clock().Add(largeAnswerTime)
		return nil
	case <-expired:
		return &busyError{timeout}
	case <-ctx.Done():
		return ctx.Err()
	}
}

// leave gives the slot back, if the call has one.
func (c *call) leave() {
	if c.slot {
		c.slot = false
		<-c.answers.slots
	}
}

// errTooSlow ends an answer that has taken too long.
var errTooSlow = errors.New("the client takes a large answer too slowly")

// inTime reports whether the call may go on with its answer.
func (c *call) inTime() error {
	if c.slot && c.Clock().After(c.until) {
		return errTooSlow
	}
	return nil
}

// tell answers that the client should come again.
func (e *busyError) tell(h http.Header) {
	h.Set("Retry-After", strconv.Itoa(max(1, int(e.retryAfter.Seconds()))))
}
