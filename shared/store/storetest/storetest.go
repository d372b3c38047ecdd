// Package storetest is the contract of store.Store as tests. Every adapter runs it; what an adapter
// promises beyond the port it tests itself.
package storetest

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/store"
)

// Open makes an empty store that takes its time from clock, and ends it with the test.
type Open func(t *testing.T, clock func() time.Time) store.Store

// Thousands is the case that takes longest: it makes thousands of requests.
const Thousands = "thousands"

// Run runs the contract, all of it unless the adapter runs it a second time under other conditions and names
// cases that it leaves out then. Each subtest opens a store of its own.
func Run(t *testing.T, open func(t *testing.T, clock func() time.Time) store.Store, without ...string) {
	groups := []struct {
		name  string
		cases []testCase
	}{
		{"Create", createCases},
		{"Update", updateCases},
		{"Steps", stepCases},
		{"Find", findCases},
		{"List", listCases},
		{"Metrics", metricsCases},
		{"Concurrent", concurrentCases},
	}
	for _, g := range groups {
		t.Run(g.name, func(t *testing.T) {
			for _, c := range g.cases {
				if slices.Contains(without, c.name) {
					continue
				}
				t.Run(c.name, func(t *testing.T) {
					w := &world{T: t, now: start}
					w.s = open(t, w.clock)
					c.run(w)
				})
			}
		})
	}
}

type testCase struct {
	name string
	run  func(w *world)
}

// start is when every test begins. It has microseconds, so that an adapter that rounds shows.
var start = time.Date(2024, 5, 6, 7, 8, 9, 123456000, time.UTC)

const (
	refA = "a7ac8d4c0b7fe90d51fb911511cbf6939655c877"
	refB = "b58e8d4c0b7fe90d51fb911511cbf6939655c877"
)

// world is a store, its clock, and what tests do with both.
type world struct {
	*testing.T
	s   store.Store
	mu  sync.Mutex
	now time.Time
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

// advance moves the clock and returns the new time.
func (w *world) advance(d time.Duration) time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
	return w.now
}

func newRequest() store.New {
	return store.New{
		Repo: "https://github.com/org/eggs.git", Ref: refA, PackageManagers: []string{"gomod"},
		Steps: []string{"source", "resolve-gomod", "bundle"},
	}
}

func (w *world) create(change ...func(*store.New)) request.Request {
	w.Helper()
	n := newRequest()
	for _, c := range change {
		c(&n)
	}
	req, err := w.s.Create(w.Context(), n)
	if err != nil {
		w.Fatalf("Create: %v", err)
	}
	return req
}

func (w *world) update(id int64, u store.Update) request.Request {
	w.Helper()
	req, err := w.s.Update(w.Context(), id, u)
	if err != nil {
		w.Fatalf("Update(%d, %+v): %v", id, u, err)
	}
	return req
}

func (w *world) get(id int64) request.Request {
	w.Helper()
	req, err := w.s.Get(w.Context(), id)
	if err != nil {
		w.Fatalf("Get(%d): %v", id, err)
	}
	return req
}

// ok ends the test when a preparation failed.
func (w *world) ok(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) equal(what string, got, want any) {
	w.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		w.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// reasons are a history as "state: reason", oldest first.
func reasons(req request.Request) []string {
	var list []string
	for _, c := range req.History {
		list = append([]string{fmt.Sprintf("%s: %s", c.State, c.Reason)}, list...)
	}
	return list
}

func raw(s string) json.RawMessage { return json.RawMessage(s) }

// missing is an id that no test creates.
const missing = 4711

// writes is every method that names a request, for what holds for all of them.
var writes = []struct {
	name string
	call func(ctx context.Context, s store.Store, id int64) error
}{
	{"Get", func(ctx context.Context, s store.Store, id int64) error { _, err := s.Get(ctx, id); return err }},
	{"Update", func(ctx context.Context, s store.Store, id int64) error {
		_, err := s.Update(ctx, id, store.Update{State: request.StateInProgress, Reason: "x"})
		return err
	}},
	{"FinishStep", func(ctx context.Context, s store.Store, id int64) error {
		_, err := s.FinishStep(ctx, id, "source", store.Update{})
		return err
	}},
	{"ReopenSteps", func(ctx context.Context, s store.Store, id int64) error {
		_, err := s.ReopenSteps(ctx, id, "source")
		return err
	}},
	{"MarkSent", func(ctx context.Context, s store.Store, id int64) error { return s.MarkSent(ctx, id, "source", true) }},
	{"Lease", func(ctx context.Context, s store.Store, id int64) error { return s.Lease(ctx, id, "source", start) }},
	{"HandBack", func(ctx context.Context, s store.Store, id int64) error {
		_, err := s.HandBack(ctx, id, "source", true)
		return err
	}},
	{"Progress", func(ctx context.Context, s store.Store, id int64) error {
		return s.Progress(ctx, id, "source", request.Progress{Done: 1})
	}},
	{"AddConfigFiles", func(ctx context.Context, s store.Store, id int64) error {
		return s.AddConfigFiles(ctx, id, []request.ConfigFile{{Path: "p", Key: "k"}})
	}},
	{"ConfigFiles", func(ctx context.Context, s store.Store, id int64) error { _, err := s.ConfigFiles(ctx, id); return err }},
}
