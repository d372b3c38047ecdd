package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/cachito-serverless/cachito/shared/archive"
	"github.com/cachito-serverless/cachito/shared/gitrepo"
	"github.com/cachito-serverless/cachito/shared/resolver"
)

// repositories is the resolvers' way to git.
type repositories struct{ git *gitrepo.Client }

// Resolve implements resolver.Repositories.
func (r repositories) Resolve(ctx context.Context, url, name string) (string, error) {
	return r.git.ResolveRef(ctx, url, name)
}

// CheckOut implements resolver.Repositories. The tree goes through a temporary file: which links leave it
// is known only at its end.
func (r repositories) CheckOut(ctx context.Context, url, commit string, into *os.Root, options ...resolver.CheckOutOption) (out resolver.Checkout, err error) {
	const name = ".cachito-tree" // no repository can have it: it is removed before anything is written
	tmp, err := into.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return out, fmt.Errorf("checking out a repository: %w", err)
	}
	defer tmp.Close()
	if err := into.Remove(name); err != nil { // the open file stays readable
		return out, fmt.Errorf("checking out a repository: %w", err)
	}
	tree, err := archive.NewTreeWriter(tmp)
	if err != nil {
		return out, err
	}
	info, err := r.git.Fetch(ctx, gitrepo.Request{
		URL: url, Ref: commit,
		Submodules: slices.Contains(options, resolver.WithSubmodules), GitDir: slices.Contains(options, resolver.WithHistory),
	}, tree)
	if err := errors.Join(err, tree.Close()); err != nil {
		return out, err
	}
	if _, err := tmp.Seek(0, io.SeekStart); err != nil {
		return out, err
	}
	out = resolver.Checkout{CommitTime: info.CommitTime.UTC(), Removed: tree.UnsafeLinks()}
	skip := map[string]bool{}
	for _, link := range out.Removed {
		skip[link] = true
	}
	return out, archive.ExtractTree(ctx, tmp, into, archive.Limits{Skip: skip})
}
