package archive

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
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

// TestResumedWithinARoot: at the end of a segment a checkpoint leaves no trace, and with the names before it more can
// follow below the same root.
func TestResumedWithinARoot(t *testing.T) {
	entries := variety()
	want, wantSum := write(t, entries)
	places := 0
	for n := 1; n < len(entries); n++ {
		var head, tail bytes.Buffer
		b := NewBundleWriter(&head)
		for _, e := range entries[:n] {
			if err := e.addTo(b); err != nil {
				t.Fatal(err)
			}
		}
		if !b.AtSegmentEnd() {
			b.Abort()
			continue
		}
		places++
		c, err := checkpoint(t, b)
		if err != nil {
			t.Fatal(err)
		}
		b.Abort()
		before := func(yield func(string, Mode) bool) {
			for _, e := range entries[:n] {
				if !yield(e.Name, e.Mode) {
					return
				}
			}
		}
		if b, err = ResumeBundleWriter(&tail, c, WithNamesBefore(before)); err != nil {
			t.Fatal(err)
		}
		if err := b.Add(t.Context(), Header{Name: entries[n-1].Name, Mode: Dir}, Bytes(nil)); err == nil {
			t.Errorf("after %d entries: the last one was added again", n)
		}
		b.Abort()
		tail.Reset()
		if b, err = ResumeBundleWriter(&tail, c, WithNamesBefore(before)); err != nil {
			t.Fatal(err)
		}
		for _, e := range entries[n:] {
			if err := e.addTo(b); err != nil {
				t.Fatal(err)
			}
		}
		sum, err := b.Close()
		if err != nil {
			t.Fatal(err)
		}
		if whole := append(head.Bytes()[:c.Size:c.Size], tail.Bytes()...); !bytes.Equal(want, whole) {
			t.Errorf("resumed after %d entries it is another bundle", n)
		}
		if diff := cmp.Diff(wantSum, sum); diff != "" {
			t.Errorf("after %d entries: summary (-want +got):\n%s", n, diff)
		}
	}
	if places < 3 {
		t.Errorf("%d places to go on from: the test tests little", places)
	}
}
