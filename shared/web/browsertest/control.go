package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/cachito-serverless/cachito/shared/gitrepo/gitrepotest"
	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/store"
)

// run makes a request that is in the middle of its work.
func (s *seed) run(ctx context.Context) (int64, error) {
	req, err := s.create(ctx, told{
		repo: "https://github.com/kubernetes/autoscaler.git", managers: []string{"gomod", "npm"}, ago: 47 * time.Second, user: "builder@EXAMPLE.ORG",
	})
	if err != nil {
		return 0, err
	}
	for i, reason := range []string{request.ReasonSource, `Fetching the gomod dependencies at the "." directory`} {
		s.now = s.now.Add(time.Duration(1+2*i) * time.Second)
		if _, err := s.store.Update(ctx, req.ID, store.Update{State: request.StateInProgress, Reason: reason}); err != nil {
			return 0, err
		}
	}
	if _, err := s.store.FinishStep(ctx, req.ID, "source", store.Update{}); err != nil {
		return 0, err
	}
	if err := s.store.Progress(ctx, req.ID, "resolve-gomod", request.Progress{Done: 812, Total: 1552, Bytes: 214_300_000}); err != nil {
		return 0, err
	}
	// Nothing runs here; the lease keeps the service's reaper from sending steps again.
	for _, step := range []string{"resolve-gomod", "resolve-npm"} {
		if err := s.store.Lease(ctx, req.ID, step, time.Now().Add(time.Hour)); err != nil {
			return 0, err
		}
	}
	return req.ID, s.log(ctx, req.ID, "checked out 4f1c", "812 of 1,552 modules")
}

// change is what happens to a request.
type change struct {
	ID int64 `json:"id"`
	// Step is at Done of Of.
	Step string `json:"step"`
	Done int64  `json:"done"`
	Of   int64  `json:"of"`
	// Log is added to the request's log.
	Log string `json:"log"`
	// State and Reason are a change of state.
	State  request.State `json:"state"`
	Reason string        `json:"reason"`
}

func (s *seed) change(ctx context.Context, c change) error {
	s.now = time.Now()
	if c.Log != "" {
		if err := s.log(ctx, c.ID, c.Log); err != nil {
			return err
		}
	}
	if c.Step != "" {
		if err := s.store.Progress(ctx, c.ID, c.Step, request.Progress{Done: c.Done, Total: c.Of, Bytes: 300_000 * c.Done}); err != nil {
			return err
		}
	}
	if c.State == "" {
		return nil
	}
	_, err := s.store.Update(ctx, c.ID, store.Update{State: c.State, Reason: c.Reason})
	return err
}

// foreign is a page of another site, which makes its visitors' browsers send requests to ?target.
var foreign = template.Must(template.New("foreign").Parse(`<!doctype html><title>Another site</title>
<form method="post" action="{{.}}/requests/new"><input name="repo" value="https://evil.example/a"><input name="ref" value="ffffffffffffffffffffffffffffffffffffffff"><button>Win</button></form>
<form method="post" action="{{.}}/api/v1/requests" enctype="text/plain"><input name='{"repo": "https://evil.example/a", "ref": "ffffffffffffffffffffffffffffffffffffffff", "x": "' value='"}'><button>Win more</button></form>`))

// commands change the world while the service runs.
//
//	POST /run       makes a request that is in progress; answers with its id
//	POST /change    a change
//	POST /hold      the git server answers nothing until /release
//	POST /release
//	GET  /foreign   a page of another site
func (s *seed) commands(repositories *gitrepotest.Server) http.Handler {
	var mu sync.Mutex // of s and held
	var held chan struct{}
	mux := http.NewServeMux()
	answer := func(pattern string, do func(w io.Writer, r *http.Request) error) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			if err := do(w, r); err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
			}
		})
	}
	answer("POST /run", func(w io.Writer, r *http.Request) error {
		id, err := s.run(r.Context())
		if err != nil {
			return err
		}
		_, err = fmt.Fprint(w, id)
		return err
	})
	answer("POST /change", func(_ io.Writer, r *http.Request) error {
		var c change
		if err := json.NewDecoder(r.Body).Decode(&c); err != nil {
			return err
		}
		return s.change(r.Context(), c)
	})
	answer("POST /hold", func(io.Writer, *http.Request) error {
		if held != nil {
			return errors.New("the git server is held already")
		}
		gate := make(chan struct{})
		held = gate
		repositories.Intercept(func(_ http.ResponseWriter, r *http.Request) bool {
			select {
			case <-gate:
			case <-r.Context().Done():
			}
			return false
		})
		return nil
	})
	answer("POST /release", func(io.Writer, *http.Request) error {
		if held == nil {
			return errors.New("the git server is not held")
		}
		close(held)
		held = nil
		repositories.Intercept(nil)
		return nil
	})
	answer("GET /foreign", func(w io.Writer, r *http.Request) error {
		return foreign.Execute(w, r.URL.Query().Get("target"))
	})
	return mux
}
