package archive

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// cut splits the entries where deps/ ends.
func cut(entries []entry) (deps, rest []entry) {
	for i, e := range entries {
		if e.Name != "deps" && !strings.HasPrefix(e.Name, "deps/") {
			return entries[:i], entries[i:]
		}
	}
	return entries, nil
}

// checkpoint is a mark that is waited for.
func checkpoint(t *testing.T, b *BundleWriter) (Checkpoint, error) {
	t.Helper()
	reached := make(chan Checkpoint, 1)
	if err := b.Mark(t.Context(), func(c Checkpoint) { reached <- c }); err != nil {
		return Checkpoint{}, err
	}
	select {
	case c := <-reached:
		return c, nil
	case <-b.stage.failed:
		return Checkpoint{}, b.stage.err
	}
}

func TestResumedBundleIsTheSame(t *testing.T) {
	entries := variety()
	want, wantSum := write(t, entries)
	deps, rest := cut(entries)

	var prefix bytes.Buffer
	b := NewBundleWriter(&prefix)
	for _, e := range deps {
		if err := e.addTo(b); err != nil {
			t.Fatal(err)
		}
	}
	c, err := checkpoint(t, b)
	if err != nil {
		t.Fatal(err)
	}
	if c.Size != int64(prefix.Len()) || !bytes.HasPrefix(want, prefix.Bytes()) {
		t.Fatalf("checkpoint at %d, %d bytes written, prefix of the whole bundle: %v", c.Size, prefix.Len(), bytes.HasPrefix(want, prefix.Bytes()))
	}
	if diff := cmp.Diff([]string{"deps"}, c.Roots); diff != "" {
		t.Errorf("roots (-want +got):\n%s", diff)
	}
	b.Abort()
	prefixBytes := bytes.Clone(prefix.Bytes()[:c.Size])

	raw, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	var stored Checkpoint
	if err := json.Unmarshal(raw, &stored); err != nil {
		t.Fatal(err)
	}
	var tail bytes.Buffer
	b, err = ResumeBundleWriter(&tail, stored)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range rest {
		if err := e.addTo(b); err != nil {
			t.Fatal(err)
		}
	}
	sum, err := b.Close()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(want, append(prefixBytes, tail.Bytes()...)) {
		t.Error("prefix and resumed part together are not the bundle written in one go")
	}
	if diff := cmp.Diff(wantSum, sum); diff != "" {
		t.Errorf("summary (-want +got):\n%s", diff)
	}
}

func TestCheckpointGoesOn(t *testing.T) {
	entries := variety()
	want, _ := write(t, entries)
	deps, rest := cut(entries)
	var out bytes.Buffer
	b := NewBundleWriter(&out)
	for _, e := range deps {
		if err := e.addTo(b); err != nil {
			t.Fatal(err)
		}
	}
	first, err := checkpoint(t, b)
	if err != nil {
		t.Fatal(err)
	}
	second, err := checkpoint(t, b)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first, second); diff != "" {
		t.Errorf("two checkpoints in one place (-first +second):\n%s", diff)
	}
	for _, e := range rest {
		if err := e.addTo(b); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(want, out.Bytes()) {
		t.Error("a checkpoint between deps/ and app/ changed the bytes")
	}
}

func TestResumeRefuses(t *testing.T) {
	b := NewBundleWriter(&bytes.Buffer{})
	if err := b.Add(t.Context(), Header{Name: "deps/a"}, Bytes(nil)); err != nil {
		t.Fatal(err)
	}
	c, err := checkpoint(t, b)
	if err != nil {
		t.Fatal(err)
	}
	b.Abort()
	resumed, err := ResumeBundleWriter(&bytes.Buffer{}, c)
	if err != nil {
		t.Fatal(err)
	}
	defer resumed.Abort()
	var named *NameError
	if err := resumed.Add(t.Context(), Header{Name: "deps/b"}, Bytes(nil)); !errors.As(err, &named) || named.Name != "deps/b" {
		t.Errorf("a name below a root of the prefix: got %v, want a NameError", err)
	}
	c.SHA256State = c.SHA256State[:10]
	if _, err := ResumeBundleWriter(&bytes.Buffer{}, c); err == nil {
		t.Error("a broken SHA-256 state was taken")
	}
}

// The bytes of deps/ do not depend on what follows.
func TestBundlePrefixDependsOnDepsAlone(t *testing.T) {
	deps, rest := cut(variety())
	alone, _ := write(t, deps)
	whole, _ := write(t, append(deps[:len(deps):len(deps)], rest...))
	b := NewBundleWriter(&bytes.Buffer{})
	defer b.Abort()
	for _, e := range deps {
		if err := e.addTo(b); err != nil {
			t.Fatal(err)
		}
	}
	c, err := checkpoint(t, b)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(alone[:c.Size], whole[:c.Size]) {
		t.Errorf("the first %d bytes differ", c.Size)
	}
}

// TestResumedWithinARoot: at the end of a segment a mark leaves no trace, and with the names before it more can follow
// below the same root.
func TestResumedWithinARoot(t *testing.T) {
	entries := variety()
	want, wantSum := write(t, entries)
	places := map[int]Checkpoint{}
	var mu sync.Mutex
	var marked bytes.Buffer
	b := NewBundleWriter(&marked)
	for i, e := range entries {
		if err := e.addTo(b); err != nil {
			t.Fatal(err)
		}
		if !b.AtSegmentEnd() {
			continue
		}
		err := b.Mark(t.Context(), func(c Checkpoint) {
			mu.Lock()
			defer mu.Unlock()
			places[i+1] = c
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if sum, err := b.Close(); err != nil || sum != wantSum || !bytes.Equal(want, marked.Bytes()) {
		t.Errorf("with marks it is another bundle: %+v, %v, want %+v", sum, err, wantSum)
	}
	if len(places) < 3 {
		t.Fatalf("%d places to go on from: the test tests little", len(places))
	}
	ends := slices.Sorted(maps.Keys(places))
	for _, n := range []int{ends[0], ends[len(ends)/2], ends[len(ends)-1]} {
		c := places[n]
		if got := crcOf(0, want[:c.Size]); got != c.SizeCRC32 {
			t.Errorf("after %d entries: CRC %08x, want %08x", n, c.SizeCRC32, got)
		}
		resume := func(w io.Writer) *BundleWriter {
			b, err := ResumeBundleWriter(w, c, WithNamesBefore(func(yield func(string, Mode) bool) {
				for _, e := range entries[:n] {
					if !yield(e.Name, e.Mode) {
						return
					}
				}
			}))
			if err != nil {
				t.Fatal(err)
			}
			return b
		}
		b := resume(io.Discard)
		if err := b.Add(t.Context(), Header{Name: entries[n-1].Name, Mode: Dir}, Bytes(nil)); err == nil {
			t.Errorf("after %d entries: the last one was added again", n)
		}
		b.Abort()
		var tail bytes.Buffer
		b = resume(&tail)
		for _, e := range entries[n:] {
			if err := e.addTo(b); err != nil {
				t.Fatal(err)
			}
		}
		sum, err := b.Close()
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(want[c.Size:], tail.Bytes()) {
			t.Errorf("resumed after %d entries it is another bundle", n)
		}
		if diff := cmp.Diff(wantSum, sum); diff != "" {
			t.Errorf("after %d entries: summary (-want +got):\n%s", n, diff)
		}
	}
}
