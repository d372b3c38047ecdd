package storetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/store"
)

const workers, rounds = 8, 50

// together runs do in workers goroutines at once and waits for them.
func together(do func(worker int)) {
	var wg sync.WaitGroup
	for i := range workers {
		wg.Go(func() { do(i) })
	}
	wg.Wait()
}

var concurrentCases = []testCase{
	{"ids have no gaps", func(w *world) {
		var mu sync.Mutex
		var ids []int64
		together(func(int) {
			for range rounds {
				req, err := w.s.Create(w.Context(), newRequest())
				if err != nil {
					w.Errorf("Create: %v", err)
					return
				}
				mu.Lock()
				ids = append(ids, req.ID)
				mu.Unlock()
			}
		})
		slices.Sort(ids)
		want := span(workers*rounds, 1)
		slices.Reverse(want)
		w.equal("ids", ids, want)
	}},
	{"one token makes one request", func(w *world) {
		n := newRequest()
		n.Token = "t"
		together(func(int) {
			if req, err := w.s.Create(w.Context(), n); err != nil || req.ID != 1 {
				w.Errorf("Create: got id %d, %v, want 1", req.ID, err)
			}
		})
		w.list(store.Filter{}, 1, 10, []int64{1}, 1)
	}},
	{"no update is lost", func(w *world) {
		id := w.create().ID
		name := func(worker, round int) string { return fmt.Sprintf("V_%d_%d", worker, round) }
		together(func(worker int) {
			for round := range rounds {
				_, err := w.s.Update(w.Context(), id, store.Update{
					IfState:              request.StateInProgress,
					EnvironmentVariables: map[string]request.EnvironmentVariable{name(worker, round): {Value: "x", Kind: "literal"}},
				})
				if err != nil {
					w.Errorf("Update: %v", err)
					return
				}
			}
		})
		got := w.get(id).EnvironmentVariables
		w.equal("variables", len(got), workers*rounds)
		for worker := range workers {
			for round := range rounds {
				if _, ok := got[name(worker, round)]; !ok {
					w.Errorf("%s is lost", name(worker, round))
				}
			}
		}
	}},
	{"book-keeping of several steps is not lost", func(w *world) {
		id := w.create().ID
		steps := newRequest().Steps
		together(func(worker int) {
			for range rounds / 5 {
				if err := w.s.MarkSent(w.Context(), id, steps[worker%len(steps)], true); err != nil {
					w.Errorf("MarkSent: %v", err)
				}
			}
		})
		sends := 0
		for _, s := range w.get(id).Steps {
			sends += s.Sends
		}
		w.equal("sends", sends, workers*(rounds/5))
	}},
	{"one transition wins", func(w *world) {
		id := w.create().ID
		var won atomic.Int32
		together(func(worker int) {
			_, err := w.s.Update(w.Context(), id, store.Update{
				IfState: request.StateInProgress, State: request.StateFailed, Reason: fmt.Sprintf("worker %d", worker),
			})
			switch {
			case err == nil:
				won.Add(1)
			case !errors.Is(err, store.ErrConflict):
				w.Errorf("got %v, want ErrConflict", err)
			}
		})
		w.equal("winners", won.Load(), int32(1))
		w.equal("entries", len(w.get(id).History), 2)
		w.list(store.Filter{State: request.StateFailed}, 1, 10, []int64{id}, 1)
	}},
	{"one finish applies its update", func(w *world) {
		id := w.create().ID
		together(func(worker int) {
			_, err := w.s.FinishStep(w.Context(), id, "source", store.Update{
				State: request.StateInProgress, Reason: fmt.Sprintf("worker %d", worker), Source: new(fmt.Sprintf("worker %d", worker)),
			})
			if err != nil {
				w.Errorf("FinishStep: %v", err)
			}
		})
		got := w.get(id)
		w.equal("history", reasons(got), []string{initiated, "in_progress: " + got.Source})
		if !strings.HasPrefix(got.Source, "worker ") {
			w.Errorf("source: got %q", got.Source)
		}
	}},
	{"Once is applied once", func(w *world) {
		id := w.create().ID
		together(func(worker int) {
			w.s.Update(w.Context(), id, store.Update{State: request.StateInProgress, Reason: fmt.Sprintf("worker %d", worker), Once: "n"})
		})
		w.equal("entries", len(w.get(id).History), 2)
	}},
	{"state and history are of one moment", func(w *world) {
		id := w.create().ID
		together(func(worker int) {
			for round := range rounds {
				if worker == 0 {
					w.update(id, toState(request.StateInProgress, fmt.Sprintf("round %d", round)))
					continue
				}
				got := w.get(id)
				newest := got.History[0]
				if newest.Reason != got.StateReason || !newest.At.Equal(got.Updated) {
					w.Errorf("reason %q, history begins with %q", got.StateReason, newest.Reason)
				}
			}
		})
		w.equal("entries", len(w.get(id).History), rounds+1)
	}},
	{"lists agree with themselves while requests change", func(w *world) {
		for range 40 {
			w.create()
		}
		together(func(worker int) {
			if worker%2 == 0 {
				for i := range int64(10) {
					if _, err := w.s.Update(w.Context(), int64(worker/2)*10+i+1, complete); err != nil {
						w.Errorf("Update: %v", err)
					}
				}
				return
			}
			for range 10 {
				got, err := w.s.List(w.Context(), store.Filter{State: request.StateInProgress}, store.Page{Number: 1, PerPage: 100})
				if err != nil {
					w.Errorf("List: %v", err)
					return
				}
				if int64(len(got.Requests)) != got.Total {
					w.Errorf("%d requests, total %d", len(got.Requests), got.Total)
				}
				for _, req := range got.Requests {
					if req.State != request.StateInProgress {
						w.Errorf("request %d is %s", req.ID, req.State)
					}
				}
			}
		})
		w.list(store.Filter{State: request.StateInProgress}, 1, 10, nil, 0)
		w.list(store.Filter{State: request.StateComplete}, 1, 1, []int64{40}, 40)
	}},
}
