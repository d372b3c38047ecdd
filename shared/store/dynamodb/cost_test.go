package dynamodb

import (
	"context"
	"testing"
	"time"

	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/store"
)

// TestCost holds what each use costs: calls, and units of capacity, as docs/design.md has them. A unit read is
// 4 KB; a unit written is 1 KB, two in a transaction.
func TestCost(t *testing.T) {
	m := &meter{base: whole}
	now := time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC)
	s := open(t, m, WithClock(func() time.Time { now = now.Add(time.Second); return now }))
	ctx := t.Context()
	for range 40 { // the store is not empty
		if _, err := s.Create(ctx, newRequest()); err != nil {
			t.Fatal(err)
		}
	}
	with := newRequest()
	with.Token = "t"
	page := store.Page{Number: 1, PerPage: 20}
	update := func(u store.Update) func(context.Context) error {
		return func(ctx context.Context) error { _, err := s.Update(ctx, 41, u); return err }
	}
	finish := func(step string, u store.Update) func(context.Context) error {
		return func(ctx context.Context) error { _, err := s.FinishStep(ctx, 41, step, u); return err }
	}
	list := func(f store.Filter, p store.Page) func(context.Context) error {
		return func(ctx context.Context) error { _, err := s.List(ctx, f, p); return err }
	}
	for _, c := range []struct {
		name  string
		do    func(context.Context) error
		calls int
		units float64
	}{
		{"create", func(ctx context.Context) error { _, err := s.Create(ctx, newRequest()); return err }, 2, 29},
		{"create with a token", func(ctx context.Context) error { _, err := s.Create(ctx, with); return err }, 3, 32},
		{"get", func(ctx context.Context) error { _, err := s.Get(ctx, 41); return err }, 1, 1},
		{"progress entry", update(store.Update{IfState: request.StateInProgress, State: request.StateInProgress, Reason: "a", Once: "resolve-gomod"}), 3, 8},
		{"progress entry again", update(store.Update{IfState: request.StateInProgress, State: request.StateInProgress, Reason: "a", Once: "resolve-gomod"}), 2, 2},
		{"lease", func(ctx context.Context) error { return s.Lease(ctx, 41, "source", now.Add(time.Hour)) }, 2, 2},
		{"progress", func(ctx context.Context) error {
			return s.Progress(ctx, 41, "source", request.Progress{Done: 1, Total: 2})
		}, 2, 2},
		{"sent", func(ctx context.Context) error { return s.MarkSent(ctx, 41, "resolve-gomod", false) }, 2, 2},
		{"sent again", func(ctx context.Context) error { return s.MarkSent(ctx, 41, "resolve-gomod", true) }, 2, 3},
		{"finish source", finish("source", store.Update{Source: new("sources/1")}), 2, 5},
		{"finish resolve", finish("resolve-gomod", store.Update{Results: map[string]string{"gomod": "results/1"}}), 2, 5},
		{"finish bundle, complete", finish("bundle", store.Update{
			State: request.StateComplete, Reason: "Completed successfully", PackagesKey: new("packages/1"), Bundle: &request.Bundle{Key: "bundles/1"},
		}), 2, 27},
		{"get when complete", func(ctx context.Context) error { _, err := s.Get(ctx, 41); return err }, 1, 1},
		{"stale", update(store.Update{IfState: request.StateComplete, State: request.StateStale, Reason: "The request has expired", DropBundle: true}), 2, 23},
		{"failed", func(ctx context.Context) error {
			_, err := s.Update(ctx, 1, store.Update{State: request.StateFailed, Reason: "x", ErrorOrigin: "client", ErrorType: "T"})
			return err
		}, 2, 29},
		{"list", list(store.Filter{}, page), 2, 21},
		{"list of a state", list(store.Filter{State: request.StateInProgress}, page), 3, 22},
		{"list of two values", list(store.Filter{State: request.StateInProgress, Repo: with.Repo}, page), 5, 24},
		{"list of a period", list(store.Filter{CreatedFrom: now.Add(-time.Hour)}, page), 3, 22},
		{"list with histories", list(store.Filter{}, store.Page{Number: 1, PerPage: 20, History: true}), 21, 21},
		{"latest", func(ctx context.Context) error { _, err := s.Latest(ctx, "org/eggs", with.Ref); return err }, 2, 2},
		{"unfinished, 20", func(ctx context.Context) error { _, err := s.Unfinished(ctx, 0, 20); return err }, 21, 21},
		{"expired, none", func(ctx context.Context) error {
			_, err := s.Expired(ctx, request.StateComplete, now.Add(-time.Hour), 0, 20)
			return err
		}, 1, 1},
		{"referenced", func(ctx context.Context) error { _, err := s.Referenced(ctx, "bundles/1"); return err }, 1, 1},
		{"add 2 configuration files", func(ctx context.Context) error {
			return s.AddConfigFiles(ctx, 41, []request.ConfigFile{{Path: "app/a", Key: "configfiles/1"}, {Path: "app/b", Key: "configfiles/2"}})
		}, 3, 6},
		{"configuration files", func(ctx context.Context) error { _, err := s.ConfigFiles(ctx, 41); return err }, 2, 2},
		{"counts", func(ctx context.Context) error { _, err := s.Counts(ctx); return err }, 5, 6},
		{"metrics", func(ctx context.Context) error { _, err := s.Metrics(ctx, store.MetricsFilter{}, page); return err }, 3, 4},
		{"summary", func(ctx context.Context) error { _, err := s.MetricsSummary(ctx, store.MetricsFilter{}); return err }, 1, 1},
		{"ping", s.Ping, 1, 1},
	} {
		m.spend()
		if err := c.do(ctx); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if calls, units := m.spend(); calls != c.calls || units != c.units {
			t.Errorf("%s: got %d calls, %g units, want %d, %g", c.name, calls, units, c.calls, c.units)
		}
	}
	for _, rule := range m.broken {
		t.Error(rule)
	}
}
