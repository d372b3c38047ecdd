package pipeline

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"testing"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/gitrepo/gitrepotest"
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
	if _, err := root.Lstat(".cachito-tree"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the temporary tree is still there: %v", err)
	}
}
