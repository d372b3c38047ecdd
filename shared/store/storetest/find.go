package storetest

import (
	"errors"
	"time"

	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/store"
)

func (w *world) referenced(key string, want bool) {
	w.Helper()
	got, err := w.s.Referenced(w.Context(), key)
	w.ok(err)
	if got != want {
		w.Errorf("Referenced(%q): got %v, want %v", key, got, want)
	}
}

var findCases = []testCase{
	{"unfinished", func(w *world) {
		for range 7 {
			w.create()
		}
		w.update(2, toState(request.StateComplete, "x"))
		w.update(4, toState(request.StateFailed, "x"))
		for _, c := range []struct {
			after int64
			limit int
			want  []int64
		}{
			{0, 10, []int64{1, 3, 5, 6, 7}},
			{0, 2, []int64{1, 3}},
			{3, 2, []int64{5, 6}},
			{7, 10, nil},
		} {
			list, err := w.s.Unfinished(w.Context(), c.after, c.limit)
			w.ok(err)
			var got []int64
			for _, req := range list {
				got = append(got, req.ID)
				w.equal("request", req, w.get(req.ID))
			}
			w.equal("ids", got, c.want)
		}
	}},
	{"expired", func(w *world) {
		for range 4 {
			w.create()
		}
		at := w.advance(time.Hour)
		w.update(1, toState(request.StateComplete, "x"))
		w.update(2, toState(request.StateFailed, "x"))
		w.update(4, toState(request.StateComplete, "x"))
		w.advance(time.Hour)
		w.update(3, toState(request.StateComplete, "x"))
		for _, c := range []struct {
			name   string
			state  request.State
			before time.Time
			after  int64
			limit  int
			want   []int64
		}{
			{"exactly at the limit is kept", request.StateComplete, at, 0, 10, nil},
			{"just past it", request.StateComplete, at.Add(time.Microsecond), 0, 10, []int64{1, 4}},
			{"limit", request.StateComplete, at.Add(time.Microsecond), 0, 1, []int64{1}},
			{"after", request.StateComplete, at.Add(time.Microsecond), 1, 10, []int64{4}},
			{"all", request.StateComplete, at.Add(24 * time.Hour), 0, 10, []int64{1, 3, 4}},
			{"another state", request.StateFailed, at.Add(24 * time.Hour), 0, 10, []int64{2}},
			{"none in the state", request.StateInProgress, at.Add(24 * time.Hour), 0, 10, nil},
		} {
			got, err := w.s.Expired(w.Context(), c.state, c.before, c.after, c.limit)
			w.ok(err)
			w.equal(c.name, got, c.want)
		}
	}},
	{"referenced", func(w *world) {
		one, two := w.create().ID, w.create().ID
		all := store.Update{Source: new("s"), PackagesKey: new("p"), Results: map[string]string{"gomod": "r"}, Bundle: &request.Bundle{Key: "b"}}
		w.referenced("s", false)
		w.update(one, all)
		w.update(two, store.Update{Source: new("s")})
		for _, key := range []string{"s", "p", "r", "b"} {
			w.referenced(key, true)
		}
		w.referenced("", false)
		w.update(one, store.Update{Results: map[string]string{"gomod": "r2"}, PackagesKey: new("")})
		w.referenced("r", false)
		w.referenced("r2", true)
		w.referenced("p", false)
		w.update(one, toState(request.StateComplete, "x"))
		w.referenced("b", true)
		w.update(one, toState(request.StateStale, "x"))
		w.referenced("b", false)
		w.referenced("r2", false)
		w.referenced("s", true) // the other request's
		w.update(two, toState(request.StateStale, "x"))
		w.referenced("s", false)
	}},
	{"one key in two places of a request", func(w *world) {
		id := w.create().ID
		w.update(id, store.Update{Results: map[string]string{"gomod": "r", "npm": "r"}})
		w.update(id, store.Update{Results: map[string]string{"npm": "q"}})
		w.referenced("r", true)
	}},
	{"latest by the repository's name", func(w *world) {
		repo := func(url, ref string) func(*store.New) {
			return func(n *store.New) { n.Repo, n.Ref = url, ref }
		}
		w.create(repo("https://github.com/org/eggs.git", refA))         // 1
		w.create(repo("https://github.com/org/eggs", refB))             // 2
		w.create(repo("https://gitlab.example/org/eggs/", refA))        // 3
		w.create(repo("https://github.com/org/eggs.git.git", refB))     // 4
		w.create(repo("https://github.com/org/spam/sub.git?x=1", refA)) // 5
		w.update(3, toState(request.StateFailed, "x"))
		for _, c := range []struct {
			name, ref string
			want      int64
		}{
			{"org/eggs", refA, 3}, {"org/eggs", refB, 2}, {"org/eggs.git", refB, 4}, {"org/spam/sub", refA, 5},
		} {
			got, err := w.s.Latest(w.Context(), c.name, c.ref)
			w.ok(err)
			w.equal(c.name, got, w.get(c.want))
		}
		for _, c := range [][2]string{{"org/eggs/", refA}, {"eggs", refA}, {"org/spam/sub", refB}, {"", refA}, {"ORG/eggs", refA}} {
			if _, err := w.s.Latest(w.Context(), c[0], c[1]); !errors.Is(err, store.ErrNotFound) {
				w.Errorf("Latest(%q, %s): got %v, want ErrNotFound", c[0], c[1], err)
			}
		}
	}},
	{"counts", func(w *world) {
		check := func(want store.Counts) {
			w.Helper()
			got, err := w.s.Counts(w.Context())
			w.ok(err)
			w.equal("counts", got, want)
		}
		by := func(progress, complete, failed, stale int64) map[request.State]int64 {
			return map[request.State]int64{
				request.StateInProgress: progress, request.StateComplete: complete, request.StateFailed: failed, request.StateStale: stale,
			}
		}
		check(store.Counts{ByState: by(0, 0, 0, 0)})
		for range 4 {
			w.create()
		}
		check(store.Counts{Total: 4, ByState: by(4, 0, 0, 0)})
		w.advance(90 * time.Second)
		w.update(1, toState(request.StateComplete, "x"))
		w.update(2, toState(request.StateFailed, "x"))
		w.advance(10 * time.Second)
		w.update(3, toState(request.StateComplete, "x"))
		w.update(3, toState(request.StateComplete, "x"))
		check(store.Counts{Total: 4, ByState: by(1, 2, 1, 0), Completed: 2, CompletedSeconds: 190})
		w.advance(time.Hour)
		w.update(1, toState(request.StateStale, "x"))
		w.update(4, toState(request.StateStale, "x"))
		check(store.Counts{Total: 4, ByState: by(0, 1, 1, 2), Completed: 2, CompletedSeconds: 190})
	}},
}
