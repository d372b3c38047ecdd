package gitrepo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/gitrepo/gitrepotest"
)

func TestLimits(t *testing.T) {
	srv := gitrepotest.NewServer(t)
	repo := srv.Init("o/app")
	files := map[string]string{}
	for i := range 50 {
		files[fmt.Sprintf("d/%d.txt", i)] = strings.Repeat("x", 1000)
	}
	ref := repo.Commit(files)
	deepRef := srv.Init("o/deep").Commit(map[string]string{strings.Repeat("d/", MaxDepth+2) + "f": "x"})
	for _, tc := range []struct {
		name, repo, ref string
		change          func(*Settings)
		want            string
	}{
		{"transfer", "o/app", ref, func(s *Settings) { s.MaxBytes = 100 }, "is larger than 100 bytes, the limit for one transfer"},
		{"entries", "o/app", ref, func(s *Settings) { s.MaxEntries = 20 }, "more than 20 files"},
		{"all files together", "o/app", ref, func(s *Settings) { s.MaxTreeBytes = 30_000 }, "more than 30000 bytes together"},
		{"depth", "o/deep", deepRef, func(*Settings) {}, "levels deep"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := newClient(t, srv, tc.change).Fetch(t.Context(), Request{URL: srv.URL(tc.repo), Ref: tc.ref}, newMemory(t))
			wantFault(t, err, fault.OriginClient, fault.UnsupportedFeature, tc.want)
		})
	}
	t.Run("time", func(t *testing.T) {
		stop := make(chan struct{})
		srv.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
			select {
			case <-stop:
			case <-r.Context().Done():
			}
			return true
		})
		defer srv.Intercept(nil)
		defer close(stop)
		_, err := newClient(t, srv, func(s *Settings) { s.Timeout = 100 * time.Millisecond }).Fetch(t.Context(), Request{URL: srv.URL("o/app"), Ref: ref}, newMemory(t))
		wantFault(t, err, fault.OriginServer, fault.NetworkError, "The connection timed out while downloading the source")
	})
	t.Run("cancelled", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := newClient(t, srv).Fetch(ctx, Request{URL: srv.URL("o/app"), Ref: ref}, newMemory(t)); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("the answer breaks off", func(t *testing.T) {
		srv.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.HasSuffix(r.URL.Path, "git-upload-pack") {
				return false
			}
			w.Header().Set("Content-Type", "application/x-git-upload-pack-result")
			io.WriteString(w, "00000008NAK\n2000\x01PACK")
			return true
		})
		c := newClient(t, srv)
		_, err := c.Fetch(t.Context(), Request{URL: srv.URL("o/app"), Ref: ref}, newMemory(t))
		wantFault(t, err, fault.OriginServer, fault.RepositoryAccessError, "Failed cloning the Git repository")
		srv.Intercept(nil)
		mustFetch(t, c, Request{URL: srv.URL("o/app"), Ref: ref}) // nothing bad stayed
	})
}

// Trees that git itself would not check out.
func TestHostileTrees(t *testing.T) {
	srv := gitrepotest.NewServer(t)
	repo := srv.Init("o/app")
	repo.Commit(map[string]string{"a": "1"})
	store := newStorage(repo.Dir)
	defer store.Close()
	put := func(o interface {
		Encode(plumbing.EncodedObject) error
	},
	) plumbing.Hash {
		t.Helper()
		e := store.NewEncodedObject()
		if err := o.Encode(e); err != nil {
			t.Fatal(err)
		}
		h, err := store.SetEncodedObject(e)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	blob := plumbing.NewHash(runGit(t, repo.Dir, "rev-parse", "main:a"))
	sub := put(&object.Tree{Entries: []object.TreeEntry{{Name: "config", Mode: filemode.Regular, Hash: blob}}})
	for name, entries := range map[string][]object.TreeEntry{
		"dot git":         {{Name: ".git", Mode: filemode.Dir, Hash: sub}},
		"dot git in caps": {{Name: ".GIT", Mode: filemode.Dir, Hash: sub}},
		"dot dot":         {{Name: "..", Mode: filemode.Dir, Hash: sub}},
		"dot":             {{Name: ".", Mode: filemode.Dir, Hash: sub}},
		"slash":           {{Name: "x/../../y", Mode: filemode.Regular, Hash: blob}},
		"link and folder": {{Name: "a", Mode: filemode.Symlink, Hash: blob}, {Name: "a", Mode: filemode.Dir, Hash: sub}},
	} {
		t.Run(name, func(t *testing.T) {
			// Encoded by hand: go-git writes no such tree.
			e := store.NewEncodedObject()
			e.SetType(plumbing.TreeObject)
			w, err := e.Writer()
			if err != nil {
				t.Fatal(err)
			}
			for _, entry := range entries {
				fmt.Fprintf(w, "%o %s\x00%s", uint32(entry.Mode), entry.Name, entry.Hash[:])
			}
			w.Close()
			tree, err := store.SetEncodedObject(e)
			if err != nil {
				t.Fatal(err)
			}
			ref := put(&object.Commit{Message: "x", TreeHash: tree}).String()
			m := newMemory(t)
			_, err = newClient(t, srv).Fetch(t.Context(), Request{URL: srv.URL("o/app"), Ref: ref}, m)
			wantFault(t, err, fault.OriginClient, fault.InvalidRepoStructure, "The repository cannot be checked out")
			if len(m.files) != 0 {
				t.Errorf("got %v", m.files)
			}
		})
	}
}

// Modes that git knows no more, or never knew, mean what they mean to git.
func TestOddModes(t *testing.T) {
	srv := gitrepotest.NewServer(t)
	repo := srv.Init("o/app")
	repo.Commit(map[string]string{"a": "1"})
	blob := runGit(t, repo.Dir, "rev-parse", "main:a")
	store := newStorage(repo.Dir)
	defer store.Close()
	e := store.NewEncodedObject()
	e.SetType(plumbing.TreeObject)
	w, err := e.Writer()
	if err != nil {
		t.Fatal(err)
	}
	raw := plumbing.NewHash(blob)
	fmt.Fprintf(w, "20644 device\x00%s100664 group\x00%s100775 run\x00%s", raw[:], raw[:], raw[:])
	w.Close()
	tree, err := store.SetEncodedObject(e)
	if err != nil {
		t.Fatal(err)
	}
	c := store.NewEncodedObject()
	if err := (&object.Commit{Message: "x", TreeHash: tree}).Encode(c); err != nil {
		t.Fatal(err)
	}
	ref, err := store.SetEncodedObject(c)
	if err != nil {
		t.Fatal(err)
	}
	got, _ := mustFetch(t, newClient(t, srv), Request{URL: srv.URL("o/app"), Ref: ref.String()})
	if diff := cmp.Diff(map[string]string{"device": "dir", "group": "644 1", "run": "755 1"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestManyAtOnce(t *testing.T) {
	srv := gitrepotest.NewServer(t)
	repo := srv.Init("o/app")
	var refs []string
	for i := range 4 {
		refs = append(refs, repo.Commit(map[string]string{"a": fmt.Sprint(i)}))
		repo.Tag(fmt.Sprintf("v0.0.%d", i), refs[i])
	}
	dir := t.TempDir()
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			c := newClient(t, srv, func(s *Settings) { s.CacheDir = dir; s.CacheMaxBytes = 1 + int64(i%2)<<40 })
			m := newMemory(t)
			info, err := c.Fetch(t.Context(), Request{URL: srv.URL("o/app"), Ref: refs[i%4], Tags: true, GitDir: i%3 == 0}, m)
			if err != nil || m.files["a"] != fmt.Sprintf("644 %d", i%4) || len(info.Tags) != i%4+1 {
				t.Errorf("ref %d: %q, %v, %v (%v)", i%4, m.files["a"], info.Tags, err, errors.Unwrap(fault.From(err)))
			}
		})
	}
	wg.Wait()
}

// TestReplacedMeanwhile: a cached repository that lost its commit between filling and reading is said to have
// changed, and its lock is given back.
func TestReplacedMeanwhile(t *testing.T) {
	srv := gitrepotest.NewServer(t)
	ref := srv.Init("o/app").Commit(map[string]string{"a": "1"})
	c := newClient(t, srv)
	mustFetch(t, c, Request{URL: srv.URL("o/app"), Ref: ref})
	u, err := parseURL(srv.URL("o/app"))
	if err != nil {
		t.Fatal(err)
	}
	p := &prepared{dir: filepath.Join(c.settings.CacheDir, c.cacheKey(u))}
	p.commit.hash = plumbing.NewHash(strings.Repeat("1", 40))
	if _, err := c.openAll(t.Context(), []*prepared{p}); !errors.Is(err, errCacheChanged) {
		t.Errorf("got %v, want %v", err, errCacheChanged)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	unlock, err := lockFile(ctx, p.dir, true)
	if err != nil {
		t.Fatalf("the lock was kept: %v", err)
	}
	unlock()
}

func TestPrune(t *testing.T) {
	srv := gitrepotest.NewServer(t)
	c := newClient(t, srv)
	for i, name := range []string{"o/old", "o/new"} {
		ref := srv.Init(name).Commit(map[string]string{"a": strings.Repeat("x", 100)})
		mustFetch(t, c, Request{URL: srv.URL(name), Ref: ref})
		u, err := parseURL(srv.URL(name))
		if err != nil {
			t.Fatal(err)
		}
		at := time.Now().Add(time.Duration(i-2) * time.Hour)
		if err := os.Chtimes(filepath.Join(c.settings.CacheDir, c.cacheKey(u)+".lock"), at, at); err != nil {
			t.Fatal(err)
		}
	}
	count := func() int {
		t.Helper()
		locks, _ := filepath.Glob(filepath.Join(c.settings.CacheDir, "*.lock"))
		return len(locks)
	}
	c.settings.CacheMaxBytes = 1 << 30
	c.prune()
	if n := count(); n != 2 {
		t.Errorf("%d repositories after pruning to more than there is", n)
	}
	c.settings.CacheMaxBytes = 2000 // one of them
	c.prune()
	u, _ := parseURL(srv.URL("o/new"))
	if _, err := os.Stat(filepath.Join(c.settings.CacheDir, c.cacheKey(u), "commits")); err != nil || count() != 1 {
		t.Errorf("%d repositories are left; the newer one: %v", count(), err)
	}
}

// Time grows with the number of files and no faster: 100,000 took 3 s when this was written.
func TestManyFiles(t *testing.T) {
	srv := gitrepotest.NewServer(t)
	dir := filepath.Join(srv.Dir, "o/many.git")
	runGit(t, "/", "init", "-q", "--bare", dir)
	var stream strings.Builder
	stream.WriteString("commit refs/heads/main\ncommitter a <a@x> 1700000000 +0000\ndata 1\nx\n")
	const n = 10_000
	for i := range n {
		text := fmt.Sprint(i)
		fmt.Fprintf(&stream, "M 644 inline d%d/e%d/f%d\ndata %d\n%s\n", i%100, i/100%10, i, len(text), text)
	}
	runGitIn(t, dir, stream.String(), "fast-import", "--quiet")
	ref := runGit(t, dir, "rev-parse", "main")
	start := time.Now()
	s := &counting{}
	if _, err := newClient(t, srv).Fetch(t.Context(), Request{URL: srv.URL("o/many"), Ref: ref}, s); err != nil {
		t.Fatal(err)
	}
	if s.files != n {
		t.Errorf("got %d files, want %d", s.files, n)
	}
	if d := time.Since(start); d > 30*time.Second {
		t.Errorf("it took %v", d)
	}
}
