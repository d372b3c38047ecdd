package storetest

import (
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/store"
)

var createCases = []testCase{
	{"everything given comes back", func(w *world) {
		n := store.New{
			Repo: "https://github.com/org/eggs.git", Ref: refA,
			PackageManagers: []string{"gomod", "npm"},
			Packages:        map[string]json.RawMessage{"npm": raw(`[{"path":"client"},{"path":"é/ü"}]`)},
			Flags:           []string{"cgo-disable", "force-gomod-tidy"},
			Replacements:    []request.Replacement{{Name: "a", Type: "gomod", Version: "v1", NewName: "b"}},
			User:            "ada", SubmittedBy: "bot",
			Steps: []string{"source", "resolve-gomod", "resolve-npm", "bundle"}, Token: "t",
		}
		req, err := w.s.Create(w.Context(), n)
		w.ok(err)
		waiting := request.Step{State: request.StepWaiting}
		want := request.Request{
			ID: 1, Repo: n.Repo, Ref: n.Ref, PackageManagers: n.PackageManagers, Packages: n.Packages, Flags: n.Flags,
			Replacements: n.Replacements, User: n.User, SubmittedBy: n.SubmittedBy,
			Created: start, State: request.StateInProgress, StateReason: request.ReasonInitiated, Updated: start,
			History: []request.StateChange{{State: request.StateInProgress, Reason: request.ReasonInitiated, At: start}},
			Steps: map[string]request.Step{
				"source":        {State: request.StepWaiting, SentAt: start},
				"resolve-gomod": waiting, "resolve-npm": waiting, "bundle": waiting,
			},
		}
		w.equal("created", req, want)
		w.equal("stored", w.get(1), want)
	}},
	{"the source step counts as sent wherever it stands", func(w *world) {
		req := w.create(func(n *store.New) { n.Steps = []string{"bundle", "source"} })
		w.equal("source sent", req.Steps["source"].SentAt, start)
		w.equal("bundle sent", req.Steps["bundle"].SentAt, time.Time{})
	}},
	{"ids count from 1", func(w *world) {
		for want := int64(1); want <= 3; want++ {
			w.equal("id", w.create().ID, want)
		}
	}},
	{"a repeat with the token is the first request", func(w *world) {
		first := w.create(func(n *store.New) { n.Token = "t" })
		w.update(first.ID, store.Update{State: request.StateInProgress, Reason: request.ReasonSource})
		again := w.create(func(n *store.New) { n.Token, n.Repo = "t", "https://other" })
		w.equal("repeated", again, w.get(first.ID))
		w.equal("other token", w.create(func(n *store.New) { n.Token = "u" }).ID, int64(2))
		w.equal("no token", w.create().ID, int64(3))
		w.equal("no token again", w.create().ID, int64(4))
	}},
	{"too large is refused and nothing stored", func(w *world) {
		n := newRequest()
		n.Token = "t"
		n.Packages = map[string]json.RawMessage{"npm": raw(`["` + strings.Repeat("x", store.MaxItemBytes) + `"]`)}
		if _, err := w.s.Create(w.Context(), n); !errors.Is(err, store.ErrItemTooLarge) {
			w.Errorf("Create: got %v, want ErrItemTooLarge", err)
		}
		w.equal("the next id", w.create(func(n *store.New) { n.Token = "t" }).ID, int64(1))
		list, err := w.s.List(w.Context(), store.Filter{}, store.Page{Number: 1, PerPage: 10})
		w.ok(err)
		w.equal("total", list.Total, int64(1))
	}},
	{"large but allowed is stored whole", func(w *world) {
		large := raw(`["` + strings.Repeat("x", store.MaxItemBytes-4096) + `"]`)
		req := w.create(func(n *store.New) { n.Packages = map[string]json.RawMessage{"npm": large} })
		w.equal("packages", len(w.get(req.ID).Packages["npm"]), len(large))
	}},
	{"no request with this id", func(w *world) {
		w.create()
		for _, m := range writes {
			for _, id := range []int64{missing, 0, -1} {
				if err := m.call(w.Context(), w.s, id); !errors.Is(err, store.ErrNotFound) {
					w.Errorf("%s(%d): got %v, want ErrNotFound", m.name, id, err)
				}
			}
		}
	}},
	{"ping", func(w *world) { w.ok(w.s.Ping(w.Context())) }},
}
