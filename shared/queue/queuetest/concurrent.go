package queuetest

import (
	"errors"
	"sync"
	"time"

	"github.com/cachito-serverless/cachito/shared/queue"
)

// patience is how long a receiver waits that must be woken.
const patience = 30 * time.Second

var concurrentCases = []testCase{
	{"a waiting receiver is woken at once", func(w *world) {
		w.woken(func() { w.send("source", 1) })
	}},
	{"a waiting receiver is woken by a message handed back", func(w *world) {
		w.send("source", 1)
		d := w.receive("source", 1, 1)
		w.woken(func() {
			if err := w.q.Extend(w.Context(), d, 0); err != nil {
				w.Error(err)
			}
		})
	}},
	{"a waiting receiver finds what becomes visible", func(w *world) {
		w.ok(w.q.Send(w.Context(), queue.Message{RequestID: 1, Step: "source"}, w.visibility))
		time.AfterFunc(20*time.Millisecond, func() { w.advance(w.visibility) })
		if _, err := w.q.Receive(w.Context(), "source", w.visibility, patience); err != nil {
			w.Error(err)
		}
	}},
	{"each message goes to one of the receivers", func(w *world) {
		const messages, workers = 200, 8
		var mu sync.Mutex
		seen := map[int64]int{}
		var wg sync.WaitGroup
		for i := range workers {
			wg.Go(func() {
				for id := i; id < messages; id += workers {
					if err := w.q.Send(w.Context(), queue.Message{RequestID: int64(id), Step: "source"}, 0); err != nil {
						w.Error(err)
					}
				}
			})
			wg.Go(func() {
				for {
					d, err := w.q.Receive(w.Context(), "source", time.Minute, time.Second)
					if errors.Is(err, queue.ErrEmpty) {
						return
					}
					if err != nil {
						w.Error(err)
						return
					}
					mu.Lock()
					seen[d.RequestID]++
					mu.Unlock()
					if d.RequestID%2 == 0 { // the others stay invisible
						if err := w.q.Ack(w.Context(), d); err != nil {
							w.Error(err)
						}
					}
				}
			})
		}
		wg.Wait()
		for id := range int64(messages) {
			if seen[id] != 1 {
				w.Errorf("message %d was delivered %d times", id, seen[id])
			}
		}
	}},
	{"a message handed back by many is delivered one at a time", func(w *world) {
		w.send("source", 1)
		var mu sync.Mutex
		held := false
		var wg sync.WaitGroup
		for range queue.MaxReceives {
			wg.Go(func() {
				d, err := w.q.Receive(w.Context(), "source", w.visibility, patience)
				if err != nil {
					w.Error(err)
					return
				}
				mu.Lock()
				if held {
					w.Error("two receivers have the message")
				}
				held = true
				mu.Unlock()
				time.Sleep(time.Millisecond)
				mu.Lock()
				held = false
				mu.Unlock()
				if err := w.q.Extend(w.Context(), d, 0); err != nil {
					w.Error(err)
				}
			})
		}
		wg.Wait()
		w.empty("source")
		w.dead(10, 1)
	}},
}

// woken checks that a receiver which waits has a message as soon as wake makes one visible.
func (w *world) woken(wake func()) {
	w.Helper()
	received := make(chan time.Time, 1)
	go func() {
		if _, err := w.q.Receive(w.Context(), "source", w.visibility, patience); err != nil {
			w.Errorf("waiting: %v", err)
		}
		received <- time.Now()
	}()
	time.Sleep(50 * time.Millisecond) // let it begin to wait
	at := time.Now()
	wake()
	if d := (<-received).Sub(at); d > w.atOnce {
		w.Errorf("the receiver had the message after %s, want at most %s", d, w.atOnce)
	}
}
