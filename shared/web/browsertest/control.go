package main

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"github.com/cachito-serverless/cachito/shared/gitrepo/gitrepotest"
	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/store"
)

// begin brings a request to the middle of its work.
func (s *seed) begin(ctx context.Context, id int64) error {
	s.now = time.Now().Add(-40 * time.Second)
	for _, reason := range []string{request.ReasonSource, `Fetching the gomod dependencies at the "." directory`} {
		if _, err := s.store.Update(ctx, id, store.Update{State: request.StateInProgress, Reason: reason}); err != nil {
			return err
		}
	}
	if _, err := s.store.FinishStep(ctx, id, "source", store.Update{}); err != nil {
		return err
	}
	if err := s.store.Progress(ctx, id, "resolve-gomod", request.Progress{Done: 812, Total: 1552, Bytes: 214_300_000}); err != nil {
		return err
	}
	// Nothing runs here; the lease keeps the service's reaper from sending steps again.
	for _, step := range []string{"resolve-gomod", "resolve-npm"} {
		if err := s.store.Lease(ctx, id, step, time.Now().Add(time.Hour)); err != nil {
			return err
		}
	}
	return s.log(ctx, id, "checked out 4f1c", "812 of 1,552 modules")
}

// order is a command of a test.
type order struct {
	ID   int64 `json:"id"`
	Step string
	Done int64
	Of   int64
	// Log is added to the request's log.
	Log string
	// Reason makes the request complete when State says so, else it is what happens now.
	State  request.State
	Reason string
}

// commands change the world while the service runs.
//
//	POST /change   an order: what happens to a request
//	POST /hold     the git server answers nothing until /release
//	POST /release
func (s *seed) commands(repositories *gitrepotest.Server) http.Handler {
	var mu sync.Mutex // of s
	mux := http.NewServeMux()
	answer := func(pattern string, do func(r *http.Request) error) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			if err := do(r); err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
			}
		})
	}
	answer("POST /change", func(r *http.Request) error {
		var o order
		if err := json.NewDecoder(r.Body).Decode(&o); err != nil {
			return err
		}
		return s.change(r.Context(), o)
	})
	held := make(chan struct{})
	answer("POST /hold", func(*http.Request) error {
		held = make(chan struct{})
		gate := held
		repositories.Intercept(func(_ http.ResponseWriter, r *http.Request) bool {
			select {
			case <-gate:
			case <-r.Context().Done():
			}
			return false
		})
		return nil
	})
	answer("POST /release", func(*http.Request) error {
		close(held)
		repositories.Intercept(nil)
		return nil
	})
	return mux
}

func (s *seed) change(ctx context.Context, o order) error {
	s.now = time.Now()
	if o.Log != "" {
		if err := s.log(ctx, o.ID, o.Log); err != nil {
			return err
		}
	}
	if o.Step != "" {
		if err := s.store.Progress(ctx, o.ID, o.Step, request.Progress{Done: o.Done, Total: o.Of, Bytes: 300_000 * o.Done}); err != nil {
			return err
		}
	}
	if o.State != "" {
		if _, err := s.store.Update(ctx, o.ID, store.Update{State: o.State, Reason: o.Reason}); err != nil {
			return err
		}
	}
	return nil
}
