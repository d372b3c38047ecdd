package gitrepo

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/gitrepo/gitrepotest"
	"github.com/cachito-serverless/cachito/shared/resolver"
)

func write(t testing.TB, dir string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestLocal(t *testing.T) {
	srv := gitrepotest.NewServer(t)
	lib := srv.Init("o/lib").Commit(map[string]string{"lib.go": "package lib\n"})
	remote := srv.Init("o/app")
	first := remote.Commit(map[string]string{"a": "1"})
	remote.AnnotatedTag("v1.0.0", first)
	head := remote.Commit(map[string]string{
		"a": "2", ".gitignore": "*.log\n/out/\n", "kept.log": "tracked although ignored", "sub/b": "b",
		".gitmodules": "[submodule \"lib\"]\npath=lib\nurl=../lib\n",
	}, gitrepotest.Gitlink("lib", lib))
	clone := filepath.Join(t.TempDir(), "clone")
	runGit(t, "/", "clone", "-q", srv.URL("o/app"), clone)
	linked := filepath.Join(t.TempDir(), "linked")
	runGit(t, clone, "worktree", "add", "-q", "--detach", linked, first)
	runGit(t, clone, "remote", "set-url", "origin", "https://u:secret@git.example/o/app.git")
	c := newClient(t, srv)
	committed := map[string]string{
		"a": "644 2", ".gitignore": "644 *.log\n/out/\n", "kept.log": "644 tracked although ignored", "sub/b": "644 b",
		".gitmodules": "644 [submodule \"lib\"]\npath=lib\nurl=../lib\n", "lib": "dir",
	}

	t.Run("clean", func(t *testing.T) {
		got, origin, dirty, err := LocalInfo(clone)
		if err != nil || got != head || origin != "https://git.example/o/app.git" || dirty != nil {
			t.Errorf("got %s, %s, %v, %v", got, origin, dirty, err)
		}
	})
	write(t, clone, map[string]string{"a": "changed", "new": "n", "x.log": "ignored", "out/y": "ignored", "lib-x": "x"})
	if err := os.Remove(filepath.Join(clone, "sub/b")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("new", filepath.Join(clone, "link")); err != nil {
		t.Fatal(err)
	}
	t.Run("dirty is told", func(t *testing.T) {
		_, _, dirty, err := LocalInfo(clone)
		if diff := cmp.Diff([]string{"a", "lib-x", "link", "new", "sub/b"}, dirty); diff != "" || err != nil {
			t.Errorf("%s%v", diff, err)
		}
	})
	t.Run("a commit, whatever the work tree holds", func(t *testing.T) {
		got, info := mustFetch(t, c, Request{LocalPath: clone, URL: srv.URL("o/app"), Ref: head, Tags: true})
		if diff := cmp.Diff(committed, got); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]resolver.Tag{{Name: "v1.0.0"}}, info.Tags); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("submodules come from their own server", func(t *testing.T) {
		got, info := mustFetch(t, c, Request{LocalPath: clone, URL: srv.URL("o/app"), Ref: head, Submodules: true})
		want := maps.Clone(committed)
		delete(want, "lib")
		want["lib/lib.go"] = "644 package lib\n"
		if diff := cmp.Diff(want, got); diff != "" || len(info.Submodules) != 1 {
			t.Errorf("%s%v", diff, info.Submodules)
		}
	})
	t.Run("work tree as it is", func(t *testing.T) {
		got, info := mustFetch(t, c, Request{LocalPath: clone, URL: srv.URL("o/app"), Ref: head, Dirty: true})
		want := maps.Clone(committed)
		delete(want, "sub/b")
		want["a"], want["new"], want["lib-x"], want["link"] = "644 changed", "644 n", "644 x", "-> new"
		if diff := cmp.Diff(want, got); diff != "" || !info.CommitTime.Equal(time.Unix(0, 0)) {
			t.Errorf("%s%v", diff, info.CommitTime)
		}
	})
	t.Run("work tree with a submodule", func(t *testing.T) {
		write(t, clone, map[string]string{"lib/lib.go": "here", "lib/z.log": "not ours to ignore"})
		got, _ := mustFetch(t, c, Request{LocalPath: clone, URL: srv.URL("o/app"), Ref: head, Dirty: true})
		if _, there := got["lib"]; there || got["lib/lib.go"] != "644 here" || got["lib/z.log"] == "" {
			t.Errorf("got %v", got)
		}
	})
	t.Run("git dir", func(t *testing.T) {
		out := &folder{dir: t.TempDir()}
		if _, err := c.Fetch(t.Context(), Request{LocalPath: clone, URL: "https://u:secret@git.example/o/app.git", Ref: head, GitDir: true}, out); err != nil {
			t.Fatal(err)
		}
		if got := runGit(t, out.dir, "log", "--format=%H") + runGit(t, out.dir, "status", "--porcelain"); got != head+"\n"+first {
			t.Errorf("got %s", got)
		}
		noSecretIn(t, out.dir, "secret")
	})
	t.Run("linked work tree", func(t *testing.T) {
		got, _, dirty, err := LocalInfo(linked)
		if err != nil || got != first || len(dirty) != 0 {
			t.Errorf("got %s, %v, %v", got, dirty, err)
		}
		files, _ := mustFetch(t, c, Request{LocalPath: linked, URL: srv.URL("o/app"), Ref: first})
		if diff := cmp.Diff(map[string]string{"a": "644 1"}, files); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("shallow clone", func(t *testing.T) {
		shallow := filepath.Join(t.TempDir(), "shallow")
		runGit(t, "/", "clone", "-q", "--depth=1", srv.URL("o/app"), shallow)
		runGit(t, shallow, "tag", "v0.1.0", "HEAD")
		write(t, shallow, map[string]string{"n": "n"})
		runGit(t, shallow, "add", ".")
		runGit(t, shallow, "commit", "-qm", "more")
		ref := runGit(t, shallow, "rev-parse", "HEAD")
		_, info := mustFetch(t, c, Request{LocalPath: shallow, URL: srv.URL("o/app"), Ref: ref, Tags: true})
		if len(info.Warnings) != 1 || len(info.Tags) != 1 {
			t.Errorf("got %v, %v", info.Warnings, info.Tags)
		}
	})
	t.Run("missing ref", func(t *testing.T) {
		_, err := c.Fetch(t.Context(), Request{LocalPath: clone, Ref: strings.Repeat("5", 40)}, newMemory(t))
		wantFault(t, err, fault.OriginClient, fault.InvalidRequestData, "Failed on checking out")
	})
	t.Run("no repository", func(t *testing.T) {
		_, _, _, err := LocalInfo(t.TempDir())
		wantFault(t, err, fault.OriginClient, fault.RepositoryAccessError, "is no git repository")
	})
	t.Run("no commit", func(t *testing.T) {
		dir := t.TempDir()
		runGit(t, dir, "init", "-q")
		_, _, _, err := LocalInfo(dir)
		wantFault(t, err, fault.OriginClient, fault.RepositoryAccessError, "has no commit yet")
	})
}
