package pipeline

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/emulatortest"
)

// prune does a whole pass, a slice at a time, and tells how many slices it took.
func (pr *process) prune(t *testing.T) int {
	t.Helper()
	for n := 1; ; n++ {
		if err := pr.pruneCache(t.Context()); err != nil {
			t.Fatal(err)
		}
		var s pruneState
		if err := pr.getSealed(t.Context(), pruneStateKey, maxPruneStateBytes, &s); err != nil {
			t.Fatal(err)
		}
		if s.Ended {
			return n
		}
		if n > 1000 {
			t.Fatalf("the pass does not end: %+v", s)
		}
	}
}

func (pr *process) put(t *testing.T, keys ...string) {
	t.Helper()
	for _, key := range keys {
		if err := pr.blobs.Put(t.Context(), key, []byte("0123456789"), true); err != nil {
			t.Fatal(err)
		}
	}
}

// kept lists what is there besides the reaper's own state.
func (pr *process) kept(t *testing.T) []string {
	t.Helper()
	var keys []string
	for info, err := range pr.blobs.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		if info.Key != pruneStateKey {
			keys = append(keys, info.Key)
		}
	}
	return keys
}

// TestPrune: what was not used for longest goes, until the rest fits; a slice is two objects.
func TestPrune(t *testing.T) {
	// Written an hour after each other; requests live for a day, failed ones for a week.
	keys := []string{"results/x/old.json", "logs/1/old", "configfiles/old", "bundles/h/bundle.json", "deps/c", "deps/b", "deps/a", "sources/s", "deps/d"}
	for _, c := range []struct {
		name  string
		limit int64
		after time.Duration // since the last one was written
		gone  []string
	}{
		{"it fits", 90, day, nil},
		{"one too many", 85, 5 * time.Hour, []string{"deps/c"}},
		{"three too many", 65, 5 * time.Hour, []string{"deps/c", "deps/b", "deps/a"}},
		{"some were used lately", 1, 2*time.Hour + 30*time.Minute, []string{"deps/c", "deps/b", "deps/a", "sources/s", "deps/d"}},
		{"all were used lately", 1, 30 * time.Minute, []string{"deps/c", "deps/b", "deps/a", "sources/s"}},
		{"results stay as long as a failed request", 85, 8 * day, []string{"results/x/old.json"}},
		{"no limit", 0, 8 * day, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			change := func(s *Settings, _ *Deps) { s.CacheMaxBytes = c.limit }
			pr := w.start(-1, change)
			for _, key := range keys {
				pr.put(t, key)
				w.advance(time.Hour)
			}
			w.advance(c.after - time.Hour)
			pr.pruneSize = 2
			if err := pr.pruneCache(t.Context()); err != nil {
				t.Fatal(err)
			}
			pr.close()
			pr = w.start(-1, change) // another function goes on
			defer pr.close()
			pr.pruneSize = 2
			pr.prune(t)
			want := slices.DeleteFunc(slices.Sorted(slices.Values(keys)), func(key string) bool { return slices.Contains(c.gone, key) })
			if diff := cmp.Diff(want, pr.kept(t)); diff != "" {
				t.Errorf("left (-want +got):\n%s", diff)
			}
		})
	}
}

// TestPruneGoesOn: a pass survives what happens between its slices.
func TestPruneGoesOn(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t)
	pr := w.start(-1, func(s *Settings, _ *Deps) { s.CacheMaxBytes = 30 })
	defer pr.close()
	pr.pruneSize = 3
	all := []string{"deps/a", "deps/b", "deps/c", "deps/d", "deps/e"}
	begin := func() {
		pr.put(t, all...)
		w.advance(day)
		if err := pr.pruneCache(ctx); err != nil { // a, b and c were seen
			t.Fatal(err)
		}
	}
	t.Run("what is used meanwhile stays", func(t *testing.T) {
		begin()
		for _, key := range []string{"deps/a", "deps/d"} {
			if err := pr.Blobs.Touch(ctx, key); err != nil {
				t.Fatal(err)
			}
		}
		pr.prune(t)
		if got := pr.kept(t); len(got) > 4 || !slices.Contains(got, "deps/a") || !slices.Contains(got, "deps/d") {
			t.Errorf("left: %v", got)
		}
	})
	t.Run("a damaged state begins the pass anew", func(t *testing.T) {
		w.advance(day)
		begin()
		if err := pr.Blobs.Put(ctx, pruneStateKey, []byte("{"), true); err != nil {
			t.Fatal(err)
		}
		pr.prune(t)
		if got := pr.kept(t); len(got) != 3 {
			t.Errorf("left: %v, want 3", got)
		}
	})
	t.Run("the next pass waits", func(t *testing.T) {
		pr.put(t, all...)
		if err := pr.pruneCache(ctx); err != nil {
			t.Fatal(err)
		}
		if got := pr.kept(t); len(got) != len(all) {
			t.Errorf("left: %v", got)
		}
		w.advance(day)
		pr.prune(t)
		if got := pr.kept(t); len(got) != 3 {
			t.Errorf("a day later: %v, want 3", got)
		}
	})
	t.Run("a function whose time is over does nothing", func(t *testing.T) {
		pr.put(t, all...)
		w.advance(day)
		short, cancel := context.WithTimeout(ctx, pruneStop/2)
		defer cancel()
		for range 10 {
			if err := pr.pruneCache(short); err != nil {
				t.Fatal(err)
			}
		}
		if got := pr.kept(t); len(got) != len(all) {
			t.Errorf("left: %v", got)
		}
	})
}

const day = 24 * time.Hour

// TestPruneTells: a limit that cannot be kept is a warning.
func TestPruneTells(t *testing.T) {
	w := newWorld(t)
	var logged bytes.Buffer
	pr := w.start(-1, func(s *Settings, d *Deps) {
		s.CacheMaxBytes = 5
		d.Log = slog.New(slog.NewJSONHandler(&logged, nil))
	})
	defer pr.close()
	pr.put(t, "deps/a", "logs/1/x")
	w.advance(day)
	pr.prune(t)
	for _, want := range []string{`"msg":"cache over its limit, and in use","bytes":20,"limit":5,"can_go":10`, `"msg":"cache pruned","bytes":10,"bytes_before":20`} {
		if !strings.Contains(logged.String(), want) {
			t.Errorf("no %s in\n%s", want, logged.String())
		}
	}
}

// TestRenewals: what is used often is not renewed each time, and never so seldom that it could go.
func TestRenewals(t *testing.T) {
	w := newWorld(t)
	url, ref := w.repository()
	pr := w.start(-1)
	defer pr.close()
	pr.finish(t, url, ref, nil, "synthetic")
	uses := func() map[string]time.Time {
		m := map[string]time.Time{}
		for info, err := range pr.blobs.List(t.Context(), "") {
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(info.Key, "logs/") && !strings.HasPrefix(info.Key, "configfiles/") {
				m[info.Key] = info.LastUse
			}
		}
		return m
	}
	first := uses()
	w.advance(pruneGrace/renewals - time.Second)
	pr.finish(t, url, ref, nil, "synthetic")
	if diff := cmp.Diff(first, uses()); diff != "" {
		t.Errorf("renewed although it is young (-before +after):\n%s", diff)
	}
	w.advance(2 * time.Second)
	removeMatching(t, w, "results") // so that dependencies are looked for
	pr.finish(t, url, ref, nil, "synthetic")
	for key, used := range uses() {
		if strings.HasPrefix(key, "prefixes/") || strings.HasSuffix(key, ".json") && strings.HasPrefix(key, "deps/sha256/") {
			continue // not used: the bundle was there, and the files were found by their URLs
		}
		if !used.Equal(w.clock()) {
			t.Errorf("%s was last used at %s, want now", key, used)
		}
	}
}

// TestPruneAWS is TestPrune in real time, on S3, where last uses are the server's.
func TestPruneAWS(t *testing.T) {
	for _, s := range []emulatortest.Server{emulatortest.Ministack, emulatortest.Versitygw} {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			bucket := s.Blob(t, nil)
			pr := w.start(-1, func(s *Settings, d *Deps) {
				d.Blobs, d.Clock = bucket, time.Now
				s.CacheMaxBytes, s.CacheGrace = 45, 2*time.Second
			})
			defer pr.close()
			pr.blobs, pr.pruneSize = bucket, 2
			pr.put(t, "deps/a", "deps/b", "deps/c", "sources/d", "logs/1/x")
			time.Sleep(4 * time.Second)
			if err := bucket.Touch(t.Context(), "deps/a"); err != nil {
				t.Fatal(err)
			}
			pr.put(t, "deps/e")
			time.Sleep(4 * time.Second) // all are older than the grace
			if n := pr.prune(t); n < 4 {
				t.Errorf("it took %d slices for two walks of 7 objects", n)
			}
			got := pr.kept(t)
			for _, key := range []string{"deps/a", "deps/e", "logs/1/x"} {
				if !slices.Contains(got, key) {
					t.Errorf("%s is gone; left: %v", key, got)
				}
			}
			if len(got) != 4 {
				t.Errorf("left: %v, want 4 objects", got)
			}
		})
	}
}

// TestPruneMany: more goes than one call takes, and no more than must.
func TestPruneMany(t *testing.T) {
	w := newWorld(t)
	const n, keep = pruneBatch + 200, 50
	pr := w.start(-1, func(s *Settings, _ *Deps) { s.CacheMaxBytes = 10 * keep })
	defer pr.close()
	for i := range n {
		pr.put(t, fmt.Sprintf("deps/%04d", i))
	}
	w.advance(day)
	if slices := pr.prune(t); slices != 1 {
		t.Errorf("it took %d slices, want 1", slices)
	}
	got := pr.kept(t)
	if len(got) != keep || got[0] != fmt.Sprintf("deps/%04d", n-keep) {
		t.Errorf("left: %d objects from %s on, want %d", len(got), got[0], keep)
	}
}
