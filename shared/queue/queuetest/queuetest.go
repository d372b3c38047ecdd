// Package queuetest is the contract of queue.Queue as tests. Every adapter runs it.
package queuetest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/queue"
)

// Open makes empty queues whose delays and timeouts follow clock, and ends them with the test.
type Open func(t *testing.T, clock func() time.Time) queue.Queue

// Run runs the whole contract. Each subtest opens queues of its own.
func Run(t *testing.T, open func(t *testing.T, clock func() time.Time) queue.Queue) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w := &world{T: t, pace: withClock, now: start}
			w.q = open(t, w.clock)
			c.run(w)
		})
	}
}

// RealTime says how a service keeps the contract whose time cannot be set.
type RealTime struct {
	// LateExtend: the server extends a delivery after its timeout, as ministack does. (SQS refuses it.)
	LateExtend bool
}

// RunRealTime runs the whole contract in real time, for queues that are a service: all cases side by side, in
// about a minute. Such a service may round times up to seconds, move a message to the dead letters only when
// somebody receives from its queue again, give them in any order, and tell ages that are only about right.
func RunRealTime(t *testing.T, server RealTime, open func(t *testing.T) queue.Queue) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.run(&world{T: t, pace: realTime, now: start, real: &server, q: open(t)})
		})
	}
}

var start = time.Date(2024, 5, 6, 7, 8, 9, 123456000, time.UTC)

// pace is how time goes in the tests.
type pace struct {
	// visibility is the timeout of most deliveries here, and the delay of some messages.
	visibility time.Duration
	// instant is the shortest time that makes a difference, long one that is longer than every timeout.
	instant, long time.Duration
	// wait is how long a receiver waits for a message that must be there, atOnce how fast one must have it
	// that waited.
	wait, atOnce time.Duration
}

var (
	withClock = pace{visibility: time.Minute, instant: time.Microsecond, long: time.Hour, atOnce: 250 * time.Millisecond}
	realTime  = pace{visibility: 6 * time.Second, instant: 4 * time.Second, long: 13 * time.Second, wait: 10 * time.Second, atOnce: 3 * time.Second}
)

type world struct {
	*testing.T
	pace
	q    queue.Queue
	real *RealTime // nil: time goes as the clock says
	mu   sync.Mutex
	now  time.Time
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) advance(d time.Duration) {
	if w.real != nil {
		time.Sleep(d)
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

func (w *world) ok(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) equal(what string, got, want any) {
	w.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		w.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func (w *world) send(step string, ids ...int64) {
	w.Helper()
	for _, id := range ids {
		w.ok(w.q.Send(w.Context(), queue.Message{RequestID: id, Step: step}, 0))
	}
}

// receive takes a message that must be there, and checks whose it is and how often it was delivered.
func (w *world) receive(step string, id int64, count int) queue.Delivery {
	w.Helper()
	d, err := w.q.Receive(w.Context(), step, w.visibility, w.wait)
	if err != nil {
		w.Fatalf("Receive(%s): %v, want request %d", step, err, id)
	}
	w.equal("message", d.Message, queue.Message{RequestID: id, Step: step})
	w.equal("receive count", d.ReceiveCount, count)
	if d.Receipt == "" {
		w.Error("no receipt")
	}
	return d
}

func (w *world) empty(step string) {
	w.Helper()
	if d, err := w.q.Receive(w.Context(), step, w.visibility, 0); !errors.Is(err, queue.ErrEmpty) {
		w.Errorf("Receive(%s): got %+v, %v, want ErrEmpty", step, d, err)
	}
}

// dead takes what must be among the dead letters now.
func (w *world) dead(limit int, ids ...int64) []queue.Delivery {
	w.Helper()
	var list []queue.Delivery
	for deadline := time.Now().Add(w.wait); ; {
		some, err := w.q.DeadLetters(w.Context(), w.visibility, limit-len(list))
		w.ok(err)
		list = append(list, some...)
		if len(list) >= len(ids) || time.Now().After(deadline) {
			break
		}
	}
	var got []int64
	for _, d := range list {
		got = append(got, d.RequestID)
	}
	if w.real != nil {
		slices.Sort(got)
	}
	w.equal("dead letters", got, ids)
	if len(got) != len(ids) {
		w.FailNow()
	}
	return list
}

// bury has a service move what nobody receives any more.
func (w *world) bury(steps ...string) {
	w.Helper()
	if w.real == nil {
		return
	}
	for _, step := range steps {
		w.empty(step)
	}
}

// sent checks when a message was sent: after after, in real time.
func (w *world) sent(d queue.Delivery, want, after time.Time) {
	w.Helper()
	if w.real == nil {
		w.equal("sent", d.SentAt, want)
	} else if d.SentAt.Before(after.Add(-time.Second)) || d.SentAt.After(time.Now().Add(time.Second)) {
		w.Errorf("sent: got %s, want after %s", d.SentAt, after)
	}
}

func (w *world) age(step string, want time.Duration) {
	w.Helper()
	got, err := w.q.OldestAge(w.Context(), step)
	w.ok(err)
	if w.real != nil && want > 0 {
		if got <= 0 {
			w.Errorf("age of %s: got %s, want some", step, got)
		}
		return
	}
	w.equal("age of "+step, got, want)
}

type testCase struct {
	name string
	run  func(w *world)
}

var cases = append(append(deliveryCases, deadCases...), concurrentCases...)

var deliveryCases = []testCase{
	{"empty", func(w *world) {
		w.empty("source")
		w.dead(10)
		w.age("source", 0)
	}},
	{"in order, each queue by itself", func(w *world) {
		began := time.Now()
		w.send("source", 1, 2)
		w.send("bundle", 3)
		w.advance(time.Second)
		w.send("source", 4)
		d := w.receive("source", 1, 1)
		w.sent(d, start, began)
		w.receive("source", 2, 1)
		w.sent(w.receive("source", 4, 1), start.Add(time.Second), began.Add(time.Second))
		w.empty("source")
		w.receive("bundle", 3, 1)
		w.empty("bundle")
	}},
	{"delay", func(w *world) {
		w.ok(w.q.Send(w.Context(), queue.Message{RequestID: 1, Step: "source"}, w.visibility))
		w.send("source", 2)
		w.receive("source", 2, 1)
		w.advance(w.visibility - w.instant)
		w.empty("source")
		w.advance(w.instant)
		w.receive("source", 1, 1)
	}},
	{"invisible until the timeout", func(w *world) {
		w.send("source", 1)
		first := w.receive("source", 1, 1)
		w.advance(w.visibility - w.instant)
		w.empty("source")
		w.advance(w.instant)
		second := w.receive("source", 1, 2)
		if first.Receipt == second.Receipt {
			w.Error("two deliveries have the same receipt")
		}
		w.sent(second, start, first.SentAt)
	}},
	{"acknowledged for good, twice is no error", func(w *world) {
		w.send("source", 1, 2)
		d := w.receive("source", 1, 1)
		w.ok(w.q.Ack(w.Context(), d))
		w.ok(w.q.Ack(w.Context(), d))
		w.advance(w.long)
		w.receive("source", 2, 1)
		w.empty("source")
	}},
	{"a late Ack removes a message that nobody has", func(w *world) {
		w.send("source", 1)
		d := w.receive("source", 1, 1)
		w.advance(2 * w.visibility)
		w.ok(w.q.Ack(w.Context(), d))
	}},
	{"a late Ack does not remove a message delivered again", func(w *world) {
		w.send("source", 1)
		late := w.receive("source", 1, 1)
		w.advance(w.visibility)
		w.receive("source", 1, 2)
		w.ok(w.q.Ack(w.Context(), late))
		w.advance(w.visibility)
		w.receive("source", 1, 3)
	}},
	{"no receipt acknowledges and extends nothing", func(w *world) {
		w.send("source", 1)
		none := queue.Delivery{Message: queue.Message{RequestID: 1, Step: "source"}}
		w.ok(w.q.Ack(w.Context(), none))
		if err := w.q.Extend(w.Context(), none, w.visibility); !errors.Is(err, queue.ErrReceiptExpired) {
			w.Errorf("Extend: got %v, want ErrReceiptExpired", err)
		}
		w.receive("source", 1, 1)
	}},
	{"extend", func(w *world) {
		w.send("source", 1)
		d := w.receive("source", 1, 1)
		w.advance(w.visibility - max(w.instant, time.Second))
		w.ok(w.q.Extend(w.Context(), d, w.visibility))
		w.advance(w.visibility - w.instant)
		w.empty("source")
		w.advance(w.instant)
		w.receive("source", 1, 2)
	}},
	{"extend by zero hands back", func(w *world) {
		w.send("source", 1)
		d := w.receive("source", 1, 1)
		w.ok(w.q.Extend(w.Context(), d, 0))
		again := w.receive("source", 1, 2)
		if err := w.q.Extend(w.Context(), d, w.visibility); !errors.Is(err, queue.ErrReceiptExpired) {
			w.Errorf("the old receipt: got %v, want ErrReceiptExpired", err)
		}
		w.ok(w.q.Extend(w.Context(), again, w.visibility))
	}},
	{"extend too late", func(w *world) {
		w.send("source", 1)
		d := w.receive("source", 1, 1)
		w.advance(w.visibility)
		for _, v := range []time.Duration{w.visibility, 0} {
			if w.real != nil && w.real.LateExtend {
				break
			}
			if err := w.q.Extend(w.Context(), d, v); !errors.Is(err, queue.ErrReceiptExpired) {
				w.Errorf("expired: got %v, want ErrReceiptExpired", err)
			}
		}
		again := w.receive("source", 1, 2)
		w.ok(w.q.Ack(w.Context(), again))
		if err := w.q.Extend(w.Context(), again, w.visibility); !errors.Is(err, queue.ErrReceiptExpired) {
			w.Errorf("acknowledged: got %v, want ErrReceiptExpired", err)
		}
	}},
	{"age of the oldest", func(w *world) {
		w.send("source", 1)
		w.advance(w.long)
		w.send("source", 2)
		w.send("bundle", 3)
		w.advance(time.Second)
		w.age("source", w.long+time.Second)
		w.age("bundle", time.Second)
		d := w.receive("source", 1, 1)
		w.age("source", w.long+time.Second)
		w.ok(w.q.Ack(w.Context(), d))
		w.age("source", time.Second)
		w.age("resolve-gomod", 0)
	}},
	{"too large", func(w *world) {
		err := w.q.Send(w.Context(), queue.Message{RequestID: 1, Step: strings.Repeat("x", queue.MaxMessageBytes)}, 0)
		if !errors.Is(err, queue.ErrMessageTooLarge) {
			w.Errorf("got %v, want ErrMessageTooLarge", err)
		}
	}},
	{"a cancelled receiver returns", func(w *world) {
		ctx, cancel := context.WithCancel(w.Context())
		time.AfterFunc(20*time.Millisecond, cancel)
		at := time.Now()
		if _, err := w.q.Receive(ctx, "source", w.visibility, time.Minute); !errors.Is(err, context.Canceled) {
			w.Errorf("got %v, want context.Canceled", err)
		}
		if d := time.Since(at); d > 10*time.Second {
			w.Errorf("it took %s", d)
		}
	}},
	{"a receiver waits as long as it was told", func(w *world) {
		at := time.Now()
		if _, err := w.q.Receive(w.Context(), "source", w.visibility, 60*time.Millisecond); !errors.Is(err, queue.ErrEmpty) {
			w.Errorf("got %v, want ErrEmpty", err)
		}
		if d := time.Since(at); d < 60*time.Millisecond {
			w.Errorf("it waited only %s", d)
		}
	}},
}

var deadCases = []testCase{
	{"dead letters", func(w *world) {
		began := time.Now()
		w.send("source", 1, 2)
		for count := 1; count <= queue.MaxReceives; count++ {
			d := w.receive("source", 1, count)
			w.equal("last", d.Last(), count == queue.MaxReceives)
			w.dead(10)
			w.ok(w.q.Extend(w.Context(), d, 0))
		}
		w.receive("source", 2, 1) // the next one, not the dead one
		w.empty("source")
		d := w.dead(10, 1)[0]
		w.equal("message", d.Message, queue.Message{RequestID: 1, Step: "source"})
		w.sent(d, start, began)
		w.dead(10) // invisible
		w.advance(w.visibility)
		d = w.dead(10, 1)[0]
		w.ok(w.q.Ack(w.Context(), d))
		w.advance(w.visibility)
		w.dead(10)
		w.receive("source", 2, 2)
	}},
	{"a message whose last receiver died", func(w *world) {
		w.send("source", 1)
		var d queue.Delivery
		for count := 1; count <= queue.MaxReceives; count++ {
			d = w.receive("source", 1, count)
			w.dead(10)
			w.advance(w.visibility)
		}
		// Nobody receives from the queue any more, as when a package manager was taken out.
		w.bury("source")
		w.dead(10, 1)
		w.age("source", 0)
		if err := w.q.Extend(w.Context(), d, w.visibility); !errors.Is(err, queue.ErrReceiptExpired) {
			w.Errorf("the last receipt: got %v, want ErrReceiptExpired", err)
		}
	}},
	{"the last delivery can be acknowledged", func(w *world) {
		w.send("source", 1)
		for count := 1; count < queue.MaxReceives; count++ {
			w.ok(w.q.Extend(w.Context(), w.receive("source", 1, count), 0))
		}
		w.ok(w.q.Ack(w.Context(), w.receive("source", 1, queue.MaxReceives)))
		w.advance(w.long)
		w.empty("source")
		w.dead(10)
	}},
	{"dead letters of several queues, in parts", func(w *world) {
		w.send("source", 1)
		w.send("bundle", 2)
		w.send("source", 3)
		for range queue.MaxReceives {
			for _, step := range []string{"source", "source", "bundle"} {
				if _, err := w.q.Receive(w.Context(), step, w.visibility, 0); err != nil {
					w.Fatal(err)
				}
			}
			w.advance(w.visibility)
		}
		w.bury("source", "bundle")
		if w.real != nil { // in any order
			w.dead(10, 1, 2, 3)
			return
		}
		w.dead(2, 1, 2)
		w.dead(2, 3)
		w.dead(2)
	}},
}
