package pipeline

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/gitrepo/gitrepotest"
	"github.com/cachito-serverless/cachito/shared/resolver"
)

func TestRepositories(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t)
	repo := w.git.Init("o/dep")
	ref := repo.Commit(map[string]string{"sub/f": "content"}, gitrepotest.Symlink("out", "../.."), gitrepotest.Symlink("in", "sub/f"))
	repo.Tag("v1.0.0", ref)
	pr := w.start(-1)
	defer pr.close()
	git := repositories{pr.Git}
	commit, err := git.Resolve(ctx, w.git.URL("o/dep"), "v1.0.0")
	if err != nil || commit != ref {
		t.Fatalf("got %s (%v), want %s", commit, err, ref)
	}
	if _, err := git.Resolve(ctx, w.git.URL("o/dep"), "v9.9.9"); !fault.IsClient(err) {
		t.Errorf("got %v for a tag that is not there, want a fault of the client", err)
	}
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	out, err := git.CheckOut(ctx, w.git.URL("o/dep"), commit, root)
	if err != nil {
		t.Fatal(err)
	}
	content, err := root.ReadFile("in")
	if err != nil || string(content) != "content" {
		t.Errorf("got %q (%v) through the link", content, err)
	}
	if _, err := root.Lstat("out"); !errors.Is(err, fs.ErrNotExist) || len(out.Removed) != 1 || out.Removed[0] != "out" {
		t.Errorf("the link that leaves the tree: %v, removed %v", err, out.Removed)
	}
	t.Run("submodules are filled in when asked for", func(t *testing.T) {
		sub := w.git.Init("o/sub").Commit(map[string]string{"inner": "of the submodule"})
		app := w.git.Init("o/app").Commit(map[string]string{
			".gitmodules": "[submodule \"s\"]\n\tpath = s\n\turl = ../sub.git\n",
		}, gitrepotest.Gitlink("s", sub))
		for _, test := range []struct {
			options []resolver.CheckOutOption
			want    string
		}{{nil, ""}, {[]resolver.CheckOutOption{resolver.WithSubmodules}, "of the submodule"}} {
			root, err := os.OpenRoot(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			defer root.Close()
			if _, err := git.CheckOut(ctx, w.git.URL("o/app"), app, root, test.options...); err != nil {
				t.Fatal(err)
			}
			if content, _ := root.ReadFile("s/inner"); string(content) != test.want {
				t.Errorf("with %v: got %q, want %q", test.options, content, test.want)
			}
		}
	})
	t.Run("history comes along when asked for", func(t *testing.T) {
		repo := w.git.Init("o/history")
		first := repo.Commit(map[string]string{"a": "1"})
		repo.Tag("v1.0", first)
		second := repo.Commit(map[string]string{"a": "2"})
		dir := t.TempDir()
		root, err := os.OpenRoot(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer root.Close()
		if _, err := git.CheckOut(ctx, w.git.URL("o/history"), second, root, resolver.WithHistory); err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(ctx, "git", "-C", dir, "describe", "--tags", "--dirty")
		if got, err := cmd.CombinedOutput(); err != nil || strings.TrimSpace(string(got)) != "v1.0-1-g"+second[:7] {
			t.Errorf("git describe: got %s (%v)", got, err)
		}
	})
	if _, err := root.Lstat(".cachito-tree"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the temporary tree is still there: %v", err)
	}
}
