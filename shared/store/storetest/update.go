package storetest

import (
	"errors"
	"strings"
	"time"

	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/store"
)

func toState(s request.State, reason string) store.Update {
	return store.Update{State: s, Reason: reason}
}

const initiated = "in_progress: " + request.ReasonInitiated

var updateCases = []testCase{
	{"a transition appends to the history", func(w *world) {
		id := w.create().ID
		at := w.advance(time.Second)
		got := w.update(id, toState(request.StateInProgress, "a"))
		w.equal("history", got.History, []request.StateChange{
			{State: request.StateInProgress, Reason: "a", At: at},
			{State: request.StateInProgress, Reason: request.ReasonInitiated, At: start},
		})
		w.equal("updated", got.Updated, at)
		w.equal("reason", got.StateReason, "a")
		w.equal("stored", w.get(id), got)
	}},
	{"a repeat of the newest entry is dropped in every state", func(w *world) {
		id := w.create().ID
		for _, s := range []request.State{request.StateInProgress, request.StateComplete, request.StateStale} {
			want := w.update(id, toState(s, "x"))
			w.advance(time.Second)
			w.equal("repeated "+string(s), w.update(id, toState(s, "x")), want)
		}
		w.equal("history", reasons(w.get(id)), []string{initiated, "in_progress: x", "complete: x", "stale: x"})
	}},
	{"a repeat is harmless though IfState holds no more", func(w *world) {
		id := w.create().ID
		u := store.Update{IfState: request.StateInProgress, State: request.StateComplete, Reason: "x"}
		want := w.update(id, u)
		w.equal("repeated", w.update(id, u), want)
	}},
	{"an earlier entry again is no repeat", func(w *world) {
		id := w.create().ID
		for _, r := range []string{"a", "b", "a"} {
			w.update(id, toState(request.StateInProgress, r))
		}
		w.equal("history", reasons(w.get(id)), []string{initiated, "in_progress: a", "in_progress: b", "in_progress: a"})
	}},
	{"IfState that does not hold is a conflict and changes nothing", func(w *world) {
		id := w.create().ID
		want := w.update(id, toState(request.StateFailed, "x"))
		_, err := w.s.Update(w.Context(), id, store.Update{
			IfState: request.StateInProgress, State: request.StateStale, Reason: "y", PackagesCount: new(int64(3)),
		})
		if !errors.Is(err, store.ErrConflict) {
			w.Errorf("got %v, want ErrConflict", err)
		}
		w.equal("request", w.get(id), want)
		w.equal("with the state it is in", w.update(id, store.Update{IfState: request.StateFailed, PackagesCount: new(int64(3))}).PackagesCount, new(int64(3)))
	}},
	{"illegal transitions change nothing", func(w *world) {
		all := []request.State{request.StateInProgress, request.StateComplete, request.StateFailed, request.StateStale}
		for _, from := range all[1:] {
			id := w.create().ID
			want := w.update(id, toState(from, "x"))
			for _, to := range all {
				if from.CanBecome(to) {
					continue
				}
				u := toState(to, "y")
				u.EnvironmentVariables = map[string]request.EnvironmentVariable{"A": {Value: "1"}}
				u.Once = "name"
				_, err := w.s.Update(w.Context(), id, u)
				var bad *request.TransitionError
				if !errors.As(err, &bad) || *bad != (request.TransitionError{From: from, To: to}) {
					w.Errorf("%s -> %s: got %v, want a TransitionError", from, to, err)
				}
				w.equal("request", w.get(id), want)
			}
		}
	}},
	{"Once is applied once, the fields always", func(w *world) {
		id := w.create().ID
		for i := range int64(3) {
			u := toState(request.StateInProgress, "gomod")
			u.Once, u.PackagesCount = "resolve-gomod", new(i)
			w.update(id, u)
			w.update(id, store.Update{State: request.StateInProgress, Reason: "npm", Once: "resolve-npm"})
		}
		got := w.get(id)
		w.equal("history", reasons(got), []string{initiated, "in_progress: gomod", "in_progress: npm"})
		w.equal("count", got.PackagesCount, new(int64(2)))
	}},
	{"Once that conflicted was not applied", func(w *world) {
		id := w.create().ID
		u := store.Update{IfState: request.StateFailed, State: request.StateInProgress, Reason: "a", Once: "n"}
		if _, err := w.s.Update(w.Context(), id, u); !errors.Is(err, store.ErrConflict) {
			w.Errorf("got %v, want ErrConflict", err)
		}
		u.IfState = request.StateInProgress
		w.equal("history", reasons(w.update(id, u)), []string{initiated, "in_progress: a"})
	}},
	{"error fields only with failed and only both", func(w *world) {
		for _, c := range []struct {
			u            store.Update
			origin, kind string
		}{
			{store.Update{State: request.StateFailed, Reason: "x", ErrorOrigin: "client", ErrorType: "T"}, "client", "T"},
			{store.Update{State: request.StateFailed, Reason: "x", ErrorOrigin: "client"}, "", ""},
			{store.Update{State: request.StateFailed, Reason: "x", ErrorType: "T"}, "", ""},
			{store.Update{State: request.StateInProgress, Reason: "x", ErrorOrigin: "client", ErrorType: "T"}, "", ""},
			{store.Update{State: request.StateComplete, Reason: "x", ErrorOrigin: "client", ErrorType: "T"}, "", ""},
			{store.Update{ErrorOrigin: "client", ErrorType: "T"}, "", ""},
		} {
			id := w.create().ID
			w.update(id, c.u)
			got := w.get(id)
			w.equal("origin and type", []string{got.ErrorOrigin, got.ErrorType}, []string{c.origin, c.kind})
		}
	}},
	{"a second error replaces the first", func(w *world) {
		id := w.create().ID
		u := store.Update{State: request.StateFailed, Reason: "x", ErrorOrigin: "client", ErrorType: "T"}
		w.update(id, u)
		u.ErrorOrigin, u.ErrorType = "server", "U"
		got := w.update(id, u) // a repeat as far as the history goes
		w.equal("origin and type", []string{got.ErrorOrigin, got.ErrorType}, []string{"server", "U"})
		w.equal("history", reasons(got), []string{initiated, "failed: x"})
		for _, f := range []store.Filter{{ErrorOrigin: "client"}, {ErrorType: "T"}} {
			w.list(f, 1, 10, nil, 0)
		}
		w.list(store.Filter{ErrorOrigin: "server"}, 1, 10, []int64{id}, 1)
	}},
	{"environment variables and results are merged, the last write wins", func(w *world) {
		id := w.create().ID
		type vars = map[string]request.EnvironmentVariable
		w.update(id, store.Update{EnvironmentVariables: vars{"A": {Value: "1", Kind: "literal"}, "B": {Value: "1", Kind: "literal"}}, Results: map[string]string{"gomod": "r/1"}})
		w.update(id, store.Update{EnvironmentVariables: vars{"B": {Value: "deps/b", Kind: "path"}, "C": {Value: "3", Kind: "literal"}}, Results: map[string]string{"npm": "r/2"}})
		got := w.update(id, store.Update{})
		w.equal("variables", got.EnvironmentVariables, vars{"A": {Value: "1", Kind: "literal"}, "B": {Value: "deps/b", Kind: "path"}, "C": {Value: "3", Kind: "literal"}})
		w.equal("results", got.Results, map[string]string{"gomod": "r/1", "npm": "r/2"})
		w.equal("updated", got.Updated, start)
	}},
	{"counts, source, packages key and bundle", func(w *world) {
		id := w.create().ID
		bundle := request.Bundle{Key: "bundles/1", SHA256: strings.Repeat("ab", 32), Size: 1 << 40}
		w.update(id, store.Update{PackagesCount: new(int64(0)), DependenciesCount: new(int64(7)), Source: new("sources/1"), PackagesKey: new("packages/1"), Bundle: &bundle})
		got := w.update(id, store.Update{}) // zero fields change nothing
		w.equal("counts", []*int64{got.PackagesCount, got.DependenciesCount}, []*int64{new(int64(0)), new(int64(7))})
		w.equal("keys", []string{got.Source, got.PackagesKey}, []string{"sources/1", "packages/1"})
		w.equal("bundle", got.Bundle, &bundle)
		got = w.update(id, store.Update{PackagesKey: new(""), DropBundle: true})
		w.equal("dropped key", got.PackagesKey, "")
		w.equal("dropped bundle", got.Bundle, (*request.Bundle)(nil))
		w.equal("stored", w.get(id), got)
	}},
	{"too large is refused and changes nothing", func(w *world) {
		id := w.create().ID
		u := toState(request.StateComplete, "x")
		u.EnvironmentVariables = map[string]request.EnvironmentVariable{"A": {Value: strings.Repeat("x", store.MaxItemBytes)}}
		want := w.get(id)
		if _, err := w.s.Update(w.Context(), id, u); !errors.Is(err, store.ErrItemTooLarge) {
			w.Errorf("got %v, want ErrItemTooLarge", err)
		}
		w.equal("request", w.get(id), want)
		w.list(store.Filter{State: request.StateComplete}, 1, 10, nil, 0)
	}},
	{"history is monotone though the clock goes back", func(w *world) {
		id := w.create().ID
		w.advance(-time.Hour)
		w.update(id, toState(request.StateInProgress, "a"))
		w.advance(2 * time.Hour)
		got := w.update(id, toState(request.StateInProgress, "b"))
		want := []time.Time{start.Add(time.Hour), start, start}
		w.equal("times", []time.Time{got.History[0].At, got.History[1].At, got.History[2].At}, want)
		w.equal("updated", got.Updated, want[0])
	}},
	{"a long history keeps its order within one moment", func(w *world) {
		id := w.create().ID
		want := []string{initiated}
		for i := range 30 {
			r := "step " + string(rune('A'+i))
			w.update(id, toState(request.StateInProgress, r))
			want = append(want, "in_progress: "+r)
		}
		w.equal("history", reasons(w.get(id)), want)
	}},
	{"configuration files", func(w *world) {
		id, other := w.create().ID, w.create().ID
		type files = []request.ConfigFile
		add := func(f files) { w.ok(w.s.AddConfigFiles(w.Context(), id, f)) }
		got, err := w.s.ConfigFiles(w.Context(), id)
		w.ok(err)
		w.equal("none", len(got), 0)
		add(files{{Path: "b", Key: "2"}, {Path: "a", Key: "9"}, {Path: "a", Key: "9"}})
		add(files{{Path: "b", Key: "1"}, {Path: "a", Key: "9"}, {Path: "a/c", Key: "9"}, {Path: "B", Key: "0"}})
		add(files{{Path: "b", Key: "2"}})
		want := files{{Path: "B", Key: "0"}, {Path: "a", Key: "9"}, {Path: "a/c", Key: "9"}, {Path: "b", Key: "2"}, {Path: "b", Key: "1"}}
		got, err = w.s.ConfigFiles(w.Context(), id)
		w.ok(err)
		w.equal("files", got, want)
		got, err = w.s.ConfigFiles(w.Context(), other)
		w.ok(err)
		if len(got) != 0 {
			w.Errorf("files of another request: %v", got)
		}
	}},
}
