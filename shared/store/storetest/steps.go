package storetest

import (
	"errors"
	"fmt"
	"time"

	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/store"
)

// finish marks a step done.
func (w *world) finish(id int64, step string, u store.Update) request.Request {
	w.Helper()
	req, err := w.s.FinishStep(w.Context(), id, step, u)
	if err != nil {
		w.Fatalf("FinishStep(%d, %s): %v", id, step, err)
	}
	return req
}

var stepCases = []testCase{
	{"finish applies the update once", func(w *world) {
		id := w.create().ID
		w.ok(w.s.Lease(w.Context(), id, "source", start.Add(time.Hour)))
		u := store.Update{State: request.StateInProgress, Reason: "a", Source: new("s/1")}
		got := w.finish(id, "source", u)
		w.equal("step", got.Steps["source"], request.Step{State: request.StepDone, SentAt: start})
		w.equal("other step", got.Steps["bundle"], request.Step{State: request.StepWaiting})
		w.equal("source", got.Source, "s/1")
		w.equal("stored", w.get(id), got)
		w.equal("repeated", w.finish(id, "source", store.Update{State: request.StateFailed, Reason: "b", Source: new("s/2")}), got)
	}},
	{"finish of a request that is over", func(w *world) {
		id := w.create().ID
		w.finish(id, "source", store.Update{})
		want := w.update(id, toState(request.StateFailed, "x"))
		w.equal("a done step", w.finish(id, "source", store.Update{PackagesCount: new(int64(1))}), want)
		_, err := w.s.FinishStep(w.Context(), id, "bundle", store.Update{State: request.StateComplete, Reason: "y"})
		if !errors.Is(err, store.ErrConflict) {
			w.Errorf("a waiting step: got %v, want ErrConflict", err)
		}
		w.equal("request", w.get(id), want)
	}},
	{"finish that may not apply its update leaves the step waiting", func(w *world) {
		id := w.create().ID
		want := w.get(id)
		_, err := w.s.FinishStep(w.Context(), id, "bundle", store.Update{IfState: request.StateComplete})
		if !errors.Is(err, store.ErrConflict) {
			w.Errorf("got %v, want ErrConflict", err)
		}
		w.equal("request", w.get(id), want)
	}},
	{"the last step completes the request", func(w *world) {
		id := w.create().ID
		got := w.finish(id, "bundle", store.Update{State: request.StateComplete, Reason: "x", Bundle: &request.Bundle{Key: "b"}})
		w.equal("state", got.State, request.StateComplete)
		w.equal("step", got.Steps["bundle"].State, request.StepDone)
	}},
	{"a step that the request does not have", func(w *world) {
		id := w.create().ID
		want := w.get(id)
		for _, m := range []struct {
			name string
			err  error
		}{
			{"FinishStep", second(w.s.FinishStep(w.Context(), id, "resolve-npm", store.Update{}))},
			{"ReopenSteps", second(w.s.ReopenSteps(w.Context(), id, "source", "resolve-npm"))},
			{"MarkSent", w.s.MarkSent(w.Context(), id, "resolve-npm", false)},
			{"Lease", w.s.Lease(w.Context(), id, "resolve-npm", start)},
			{"HandBack", second(w.s.HandBack(w.Context(), id, "resolve-npm", true))},
			{"Progress", w.s.Progress(w.Context(), id, "resolve-npm", request.Progress{Done: 1})},
		} {
			if m.err == nil || errors.Is(m.err, store.ErrNotFound) || errors.Is(m.err, store.ErrConflict) {
				w.Errorf("%s: got %v, want an error of its own", m.name, m.err)
			}
		}
		w.equal("request", w.get(id), want)
	}},
	{"reopen forgets what the steps left", func(w *world) {
		id := w.create(func(n *store.New) { n.Steps = []string{"source", "resolve-gomod", "resolve-npm", "bundle"} }).ID
		w.ok(w.s.MarkSent(w.Context(), id, "resolve-gomod", true))
		w.ok(w.s.Progress(w.Context(), id, "resolve-gomod", request.Progress{Done: 3, Total: 3}))
		w.finish(id, "source", store.Update{Source: new("s")})
		w.finish(id, "resolve-gomod", store.Update{Results: map[string]string{"gomod": "g"}})
		w.finish(id, "resolve-npm", store.Update{Results: map[string]string{"npm": "n"}})
		w.finish(id, "bundle", store.Update{PackagesKey: new("p"), Bundle: &request.Bundle{Key: "b"}})
		reopen := func(steps ...string) request.Request {
			req, err := w.s.ReopenSteps(w.Context(), id, steps...)
			w.ok(err)
			w.equal("stored", w.get(id), req)
			return req
		}
		got := reopen("resolve-gomod", "bundle")
		w.equal("results", got.Results, map[string]string{"npm": "n"})
		w.equal("keys", []string{got.Source, got.PackagesKey}, []string{"s", ""})
		w.equal("bundle", got.Bundle, (*request.Bundle)(nil))
		w.equal("step", got.Steps["resolve-gomod"], request.Step{State: request.StepWaiting, SentAt: start, Sends: 1})
		w.equal("other step", got.Steps["resolve-npm"].State, request.StepDone)
		w.equal("repeated", reopen("resolve-gomod", "bundle"), got)
		got = reopen("source")
		w.equal("source", got.Source, "")
		for _, key := range []string{"s", "g", "p", "b"} {
			w.referenced(key, false)
		}
		w.referenced("n", true)
	}},
	{"reopen of a request that is over is a conflict", func(w *world) {
		id := w.create().ID
		w.finish(id, "source", store.Update{})
		want := w.update(id, toState(request.StateComplete, "x"))
		if _, err := w.s.ReopenSteps(w.Context(), id, "source"); !errors.Is(err, store.ErrConflict) {
			w.Errorf("got %v, want ErrConflict", err)
		}
		w.equal("request", w.get(id), want)
	}},
	{"sent, lease and progress are book-keeping", func(w *world) {
		id := w.create().ID
		at := w.advance(time.Minute)
		w.ok(w.s.MarkSent(w.Context(), id, "bundle", false))
		w.equal("sent", w.get(id).Steps["bundle"], request.Step{State: request.StepWaiting, SentAt: at})
		at = w.advance(time.Minute)
		w.ok(w.s.MarkSent(w.Context(), id, "bundle", true))
		w.ok(w.s.MarkSent(w.Context(), id, "bundle", true))
		w.ok(w.s.Lease(w.Context(), id, "bundle", at.Add(time.Hour)))
		w.ok(w.s.Progress(w.Context(), id, "bundle", request.Progress{Done: 1, Total: 2, Bytes: 1 << 40}))
		got := w.get(id)
		w.equal("step", got.Steps["bundle"], request.Step{
			State: request.StepWaiting, SentAt: at, Sends: 2, LeaseUntil: at.Add(time.Hour), Progress: request.Progress{Done: 1, Total: 2, Bytes: 1 << 40},
		})
		w.equal("updated", got.Updated, start)
		w.equal("history", reasons(got), []string{initiated})
		w.ok(w.s.Lease(w.Context(), id, "bundle", time.Time{}))
		w.equal("lease given back", w.get(id).Steps["bundle"].LeaseUntil, time.Time{})
	}},
	{"runs without progress are counted", func(w *world) {
		id := w.create().ID
		w.ok(w.s.Lease(w.Context(), id, "resolve-gomod", start.Add(time.Hour)))
		for i, run := range []struct {
			progress bool
			idle     int
		}{{false, 1}, {false, 2}, {true, 0}, {true, 0}, {false, 1}} {
			idle, err := w.s.HandBack(w.Context(), id, "resolve-gomod", run.progress)
			w.ok(err)
			w.equal(fmt.Sprintf("after run %d", i+1), idle, run.idle)
		}
		got := w.get(id)
		w.equal("step", got.Steps["resolve-gomod"], request.Step{State: request.StepWaiting, IdleRuns: 1})
		w.equal("other step", got.Steps["bundle"], request.Step{State: request.StepWaiting})
		w.equal("updated", got.Updated, start)
		w.equal("history", reasons(got), []string{initiated})
		w.finish(id, "resolve-gomod", store.Update{})
		if _, err := w.s.ReopenSteps(w.Context(), id, "resolve-gomod"); err != nil {
			w.Fatal(err)
		}
		w.equal("reopened", w.get(id).Steps["resolve-gomod"].IdleRuns, 0)
	}},
	{"a run for a request that is over is a conflict", func(w *world) {
		id := w.create().ID
		want := w.update(id, toState(request.StateFailed, "x"))
		if _, err := w.s.HandBack(w.Context(), id, "source", false); !errors.Is(err, store.ErrConflict) {
			w.Errorf("got %v, want ErrConflict", err)
		}
		w.equal("request", w.get(id), want)
	}},
	{"progress moves updated when that is old", func(w *world) {
		id := w.create().ID
		w.advance(store.TouchAfter)
		w.ok(w.s.Progress(w.Context(), id, "source", request.Progress{Done: 1}))
		w.equal("exactly TouchAfter", w.get(id).Updated, start)
		at := w.advance(time.Second)
		w.ok(w.s.Progress(w.Context(), id, "source", request.Progress{Done: 2}))
		got := w.get(id)
		w.equal("older", got.Updated, at)
		w.equal("history", reasons(got), []string{initiated})
		w.advance(time.Minute)
		w.ok(w.s.Progress(w.Context(), id, "source", request.Progress{Done: 3}))
		w.equal("soon after", w.get(id).Updated, at)
	}},
	{"progress leaves updated of a finished request alone", func(w *world) {
		id := w.create().ID
		w.update(id, toState(request.StateComplete, "x"))
		w.advance(2 * store.TouchAfter)
		w.ok(w.s.Progress(w.Context(), id, "source", request.Progress{Done: 1}))
		w.equal("updated", w.get(id).Updated, start)
	}},
}

func second[T any](_ T, err error) error { return err }
