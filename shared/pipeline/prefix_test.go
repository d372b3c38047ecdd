package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/blob"
	"github.com/cachito-serverless/cachito/shared/queue"
	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/resolver"
)

// noise is n bytes that no compression makes smaller, the same ones for the same seed.
func noise(seed uint64, n int) string {
	r := rand.New(rand.NewPCG(seed, 1))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return string(b)
}

// project serves two dependencies of this size, and is a repository with two commits that need them.
func (w *world) project(depBytes, appBytes int) (url string, refs []string) {
	w.serve("/lib-1.0.zip", noise(1, depBytes))
	w.serve("/tool-2.0.txt", noise(2, depBytes))
	repo := w.git.Init("o/project")
	for _, readme := range []string{"first\n", "second\n"} {
		refs = append(refs, repo.Commit(map[string]string{
			"needs.txt": "lib-1.0.zip tool-2.0.txt\n", "README": readme, "picture.png": noise(3, appBytes),
		}))
	}
	return w.git.URL("o/project"), refs
}

// onOtherData is the same world for a service that begins with nothing.
func (w *world) onOtherData(t *testing.T) *world {
	return &world{t: t, data: t.TempDir(), git: w.git, registry: w.registry, now: w.now, answers: w.answers}
}

// reading counts the bytes that are read, by the first element of the key.
type reading struct {
	blob.Blob
	mu sync.Mutex
	n  map[string]int64
}

func (r *reading) Open(ctx context.Context, key string) (blob.Object, error) {
	o, err := r.Blob.Open(ctx, key)
	if err != nil {
		return nil, err
	}
	return countedObject{o, r, shape(key)}, nil
}

func (r *reading) add(kind string, n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.n[kind] += int64(n)
}

// taken gives what was counted, and begins anew.
func (r *reading) taken() map[string]int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := r.n
	r.n = map[string]int64{}
	return n
}

type countedObject struct {
	blob.Object
	r    *reading
	kind string
}

func (o countedObject) Read(p []byte) (int, error) {
	n, err := o.Object.Read(p)
	o.r.add(o.kind, n)
	return n, err
}

func (o countedObject) ReadAt(p []byte, off int64) (int, error) {
	n, err := o.Object.ReadAt(p, off)
	o.r.add(o.kind, n)
	return n, err
}

// finishCounted runs a request to its end, and calls before each step's work and after it.
func (pr *process) finishCounted(t *testing.T, url, ref string, before func(), after func(step string)) request.Request {
	t.Helper()
	ctx := context.Background()
	req := pr.create(t, url, ref, nil, "synthetic")
	if err := pr.send(ctx, req.ID, StepSource, false); err != nil {
		t.Fatal(err)
	}
	for _, step := range []string{StepSource, resolvePrefix + "synthetic", StepBundle} {
		d, err := pr.Queue.Receive(ctx, step, Visibility, 0)
		if errors.Is(err, queue.ErrEmpty) {
			t.Fatalf("nothing in the queue %s", step)
		}
		if err != nil {
			t.Fatal(err)
		}
		before()
		if err := pr.Handle(ctx, d); err != nil {
			t.Fatal(err)
		}
		after(step)
	}
	req, err := pr.store.Get(ctx, req.ID)
	if err != nil {
		t.Fatal(err)
	}
	if req.State != request.StateComplete {
		t.Fatalf("the request is %s: %s", req.State, req.StateReason)
	}
	return req
}

// TestPrefix: a new commit with the same lockfile reads none of its dependencies, and has the bytes that it would
// have without an earlier bundle.
func TestPrefix(t *testing.T) {
	w := newWorld(t)
	url, refs := w.project(300_000, 100_000)
	counted := &reading{n: map[string]int64{}}
	pr := w.start(-1, func(_ *Settings, d *Deps) { counted.Blob, d.Blobs = d.Blobs, counted })
	defer pr.close()
	for i, c := range []struct {
		name, ref string
		read      []string // kinds of objects that the bundle step streams
	}{
		{"first build", refs[0], []string{"deps", "sources"}},
		{"new commit", refs[1], []string{"sources"}},
		{"same commit", refs[1], nil},
	} {
		req := pr.finishCounted(t, url, c.ref, func() { counted.taken() }, func(step string) {
			if step != StepBundle {
				return
			}
			n := counted.taken()
			delete(n, "bundles") // packages.json, read back
			for kind := range maps.Keys(n) {
				if !slices.Contains(c.read, kind) {
					t.Errorf("%s: the bundle step read %d bytes of %s", c.name, n[kind], kind)
				}
			}
			if i == 0 && n["deps"] != 600_000 {
				t.Errorf("%s: the bundle step read %d bytes of deps, want each once", c.name, n["deps"])
			}
		})
		alone := w.onOtherData(t).start(-1)
		want := alone.finish(t, url, c.ref, nil, "synthetic")
		alone.close()
		if diff := cmp.Diff(*want.Bundle, *req.Bundle); diff != "" {
			t.Errorf("%s (-without an earlier bundle +with):\n%s", c.name, diff)
		}
		pr.unpacked(t, req)
	}
}

// TestPrefixLost: an earlier bundle that is gone or damaged costs time, and nothing else.
func TestPrefixLost(t *testing.T) {
	w := newWorld(t)
	url, refs := w.project(100_000, 1000)
	alone := w.onOtherData(t).start(-1)
	want := alone.finish(t, url, refs[1], nil, "synthetic")
	alone.close()
	change := func(name string, edit func([]byte) []byte) func(t *testing.T, w *world) {
		return func(t *testing.T, w *world) {
			n := 0
			err := filepath.WalkDir(filepath.Join(w.data, "blobs"), func(path string, d os.DirEntry, err error) error {
				if err != nil || d.IsDir() || !strings.Contains(path, name) {
					return err
				}
				n++
				raw, err := os.ReadFile(path)
				if err != nil {
					return err
				}
				return os.WriteFile(path, edit(raw), 0o600)
			})
			if err != nil || n != 1 {
				t.Fatalf("changed %d objects %s (%v), want 1", n, name, err)
			}
		}
	}
	const archive = "/bundle.tar.gz!" // the name of its file in the folder
	for name, damage := range map[string]func(t *testing.T, w *world){
		"bundle gone": func(t *testing.T, w *world) { removeMatching(t, w, "bundles") },
		"record gone": func(t *testing.T, w *world) { removeMatching(t, w, "prefixes") },
		"bundle damaged": change(archive, func(raw []byte) []byte {
			raw[len(raw)/3] ^= 1
			return raw
		}),
		"bundle truncated": change(archive, func(raw []byte) []byte { return raw[:len(raw)/3] }),
		"record damaged":   change("prefixes", func(raw []byte) []byte { return raw[:len(raw)-1] }),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := w.onOtherData(t)
			pr := w.start(-1)
			defer pr.close()
			pr.finish(t, url, refs[0], nil, "synthetic")
			damage(t, w)
			got := pr.finish(t, url, refs[1], nil, "synthetic")
			if got.Bundle == nil || *got.Bundle != *want.Bundle {
				t.Errorf("the request is %s (%s), bundle %v, want %v", got.State, got.StateReason, got.Bundle, want.Bundle)
			}
		})
	}
	t.Run("record of another version", func(t *testing.T) {
		w := w.onOtherData(t)
		pr := w.start(-1)
		defer pr.close()
		pr.finish(t, url, refs[0], nil, "synthetic")
		n := 0
		for info, err := range pr.blobs.List(t.Context(), "prefixes/") {
			if err != nil {
				t.Fatal(err)
			}
			n++
			var rec prefixRecord
			if err := pr.getSealed(t.Context(), info.Key, maxPrefixBytes, &rec); err != nil {
				t.Fatal(err)
			}
			rec.Places[0].Checkpoint.SHA256State = []byte("another form")
			if err := pr.putSealed(t.Context(), info.Key, rec, true); err != nil {
				t.Fatal(err)
			}
		}
		got := pr.finish(t, url, refs[1], nil, "synthetic")
		if n != 1 || got.Bundle == nil || *got.Bundle != *want.Bundle {
			t.Errorf("%d records; the request is %s (%s), bundle %v, want %v", n, got.State, got.StateReason, got.Bundle, want.Bundle)
		}
	})
}

// TestPlaces: everything that changes the bytes before a place changes its key, and nothing behind it does.
func TestPlaces(t *testing.T) {
	file := func(path string, size int64) resolver.Entry {
		return resolver.Entry{Path: path, File: &resolver.File{SHA256: path, Size: size}}
	}
	t.Run("keys", func(t *testing.T) {
		seen := map[string]string{}
		for _, text := range []string{
			`[{"path":"a"}]`, `[{"path":"b"}]`, `[{"path":"a","executable":true}]`, `[{"path":"a","dir":true}]`,
			`[{"path":"a","inline":"eA=="}]`, `[{"path":"a","link":"b"}]`, `[{"path":"a"},{"path":"b"}]`,
		} {
			var entries []resolver.Entry
			if err := json.Unmarshal([]byte(text), &entries); err != nil {
				t.Fatal(err)
			}
			if got := placesOf(entries, placeBytes); got != nil {
				t.Errorf("%s: got %v although nothing of it is in the cache", text, got)
			}
			entries[0].File = &resolver.File{SHA256: "00", Size: 1}
			got := placesOf(entries, placeBytes)
			if len(got) != 1 || got[0].entries != len(entries) {
				t.Fatalf("%s: got %v, want its end", text, got)
			}
			if other, ok := seen[got[0].key]; ok {
				t.Errorf("%s has the key of %s", text, other)
			}
			seen[got[0].key] = text
		}
	})
	t.Run("where", func(t *testing.T) {
		list := []resolver.Entry{
			file("a.zip", 60), file("b.txt", 60), {Path: "c", Link: "a.zip"}, file("d.zip", 10), file("e.zip", 99), file("f.zip", 1), file("g.zip", 5),
		}
		where := func(list []resolver.Entry) (ends []int) {
			for _, c := range placesOf(list, 100) {
				ends = append(ends, c.entries)
			}
			return ends
		}
		// b.txt is compressed with its neighbours, so the first place is behind d.zip.
		if diff := cmp.Diff([]int{4, 6, 7}, where(list)); diff != "" {
			t.Errorf("places (-want +got):\n%s", diff)
		}
		changed := slices.Clone(list)
		changed[6] = file("h.zip", 7)
		one, other := placesOf(list, 100), placesOf(changed, 100)
		if one[0] != other[0] || one[1] != other[1] || one[2].key == other[2].key {
			t.Errorf("with another end: got %v and %v", one, other)
		}
		var many []resolver.Entry
		for i := range 3 * maxPlaces {
			many = append(many, file(fmt.Sprintf("%04d.zip", i), 100))
		}
		if got := where(many); len(got) != maxPlaces || got[maxPlaces-1] != len(many) || got[0] != 1 {
			t.Errorf("of many: got %v", got)
		}
	})
}

// TestChangedLockfile: a bundle with other dependencies begins with the copy of what they have in common.
func TestChangedLockfile(t *testing.T) {
	w := newWorld(t)
	const size = 100_000
	repo := w.git.Init("o/changing")
	var names []string
	for i := range 6 {
		names = append(names, fmt.Sprintf("dep-%d.zip", i))
		w.serve("/"+names[i], noise(uint64(i), size))
	}
	w.serve("/new.zip", noise(9, size))
	w.serve("/dep-9.zip", noise(10, size))
	without := func(i int) []string { return slices.Delete(slices.Clone(names), i, i+1) }
	counted := &reading{n: map[string]int64{}}
	pr := w.start(-1, func(_ *Settings, d *Deps) { counted.Blob, d.Blobs = d.Blobs, counted })
	defer pr.close()
	pr.placeBytes = 2 * size
	for _, c := range []struct {
		name  string
		needs []string
		read  int64 // dependencies that are read for the bundle
	}{
		{"first", names, 6},
		{"same", names, 0},
		{"one more at the end", append(slices.Clone(names), "new.zip"), 1},
		{"without the last", without(5), 1}, // the last place is behind the fourth
		{"without the third", without(2), 3},
		{"without the first", without(0), 5},
		{"all again", names, 0},
	} {
		ref := repo.Commit(map[string]string{"needs.txt": strings.Join(c.needs, "\n"), "README": c.name})
		req := pr.finishCounted(t, w.git.URL("o/changing"), ref, func() { counted.taken() }, func(step string) {
			if step != StepBundle {
				return
			}
			if got := counted.taken()["deps"]; got != c.read*size {
				t.Errorf("%s: %d bytes of dependencies were read, want those of %d", c.name, got, c.read)
			}
		})
		alone := w.onOtherData(t).start(-1)
		want := alone.finish(t, w.git.URL("o/changing"), ref, nil, "synthetic")
		alone.close()
		if diff := cmp.Diff(*want.Bundle, *req.Bundle); diff != "" {
			t.Errorf("%s (-without earlier bundles and places +with):\n%s", c.name, diff)
		}
		pr.unpacked(t, req)
	}
}
