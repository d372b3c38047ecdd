package api

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/cachito-serverless/cachito/shared/blob"
)

// Health is what works and what does not.
type Health struct {
	// Services in the order in which they are shown. One that is Core takes every package manager
	// with it.
	Services []Service
	// Workers that resolve requests; without one that works nothing can be processed.
	Workers []Worker
}

// Service that requests depend on. Reason is empty when it works; it holds no URL and no credential.
type Service struct {
	Name, Reason string
	Core         bool
	// Managers that need it.
	Managers []string
}

// Worker is one of the processes or functions that run steps.
type Worker struct{ Name, Reason string }

// checkTimeout is when a service that does not answer counts as down.
const checkTimeout = 5 * time.Second

// health asks the three things that nothing works without.
func (s *server) health(ctx context.Context) Health {
	if s.Deps.Health != nil {
		return s.Deps.Health(ctx)
	}
	checks := []struct {
		name string
		ask  func(ctx context.Context) error
	}{
		{"database", s.Store.Ping},
		{"queue", func(ctx context.Context) error {
			_, err := s.Queue.OldestAge(ctx, s.Steps(nil)[0])
			return err
		}},
		{"storage", func(ctx context.Context) error {
			_, err := s.Blobs.Stat(ctx, "health/no-such-object")
			if errors.Is(err, blob.ErrNotFound) {
				return nil
			}
			return err
		}},
	}
	h := Health{Services: make([]Service, len(checks)), Workers: []Worker{{Name: "pipeline"}}}
	var all sync.WaitGroup
	for i, check := range checks {
		h.Services[i] = Service{Name: check.name, Core: true}
		all.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, checkTimeout)
			defer cancel()
			if err := check.ask(ctx); err != nil {
				s.Log.WarnContext(ctx, "service does not work", "service", check.name, "error", err)
				h.Services[i].Reason = check.name + " connection failed"
			}
		})
	}
	all.Wait()
	return h
}

// status answers GET /status: 200 even when everything is down.
func (c *call) status() error {
	h := c.health(c.r.Context())
	entry := func(name, reason string) object {
		e := object{"name": name, "ok": reason == ""}
		if reason != "" {
			e["reason"] = reason
		}
		return e
	}
	services, workers := []object{}, []object{}
	all := slices.ContainsFunc(h.Workers, func(w Worker) bool { return w.Reason == "" })
	can := map[string]bool{}
	for _, name := range c.PackageManagers {
		can[name] = true
	}
	for _, s := range h.Services {
		services = append(services, entry(s.Name, s.Reason))
		if s.Reason == "" {
			continue
		}
		all = all && !s.Core
		for _, name := range s.Managers {
			if _, enabled := can[name]; enabled {
				can[name] = false
			}
		}
	}
	slices.SortFunc(h.Workers, func(a, b Worker) int { return cmp.Compare(a.Name, b.Name) })
	for _, w := range h.Workers {
		workers = append(workers, entry(w.Name, w.Reason))
	}
	for name := range can {
		can[name] = can[name] && all
	}
	return c.write(http.StatusOK, object{"can_process": can, "services": services, "workers": workers})
}

// statusShort answers GET /status/short: the first thing that does not work.
func (c *call) statusShort() error {
	h := c.health(c.r.Context())
	reason := ""
	for _, s := range h.Services {
		if s.Reason != "" {
			reason = s.Name + " unavailable: " + s.Reason
			break
		}
	}
	if reason == "" && !slices.ContainsFunc(h.Workers, func(w Worker) bool { return w.Reason == "" }) {
		reason = "no workers are available"
	}
	if reason != "" {
		return c.write(http.StatusServiceUnavailable, object{"ok": false, "reason": reason})
	}
	return c.write(http.StatusOK, object{"ok": true})
}

// healthcheck answers GET /healthcheck after one cheap read of the database.
func (c *call) healthcheck() error {
	if err := c.Store.Ping(c.r.Context()); err != nil {
		return err
	}
	c.w.Header().Set("Content-Type", "text/plain")
	c.w.WriteHeader(http.StatusOK)
	if c.r.Method != http.MethodHead {
		io.WriteString(c.w, "OK")
	}
	return nil
}
