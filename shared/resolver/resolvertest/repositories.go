package resolvertest

import (
	"context"
	"fmt"
	"os"
	"path"
	"slices"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/resolver"
)

// Repositories is a resolver.Repositories made of maps: URL -> commit -> tree. Submodules are part of the
// trees. Every other URL, and every other commit, is the client's fault.
type Repositories map[string]map[string]Tree

// Tree of a commit.
type Tree struct {
	Files       map[string]string
	Links       map[string]string
	Executables []string
	// Refs are branches and tags that stand for the commit.
	Refs []string
}

// Resolve implements resolver.Repositories.
func (r Repositories) Resolve(_ context.Context, url, name string) (string, error) {
	if r[url] == nil {
		return "", fault.Client(fault.RepositoryAccessError, "Failed cloning the Git repository")
	}
	for commit, tree := range r[url] {
		if slices.Contains(tree.Refs, name) {
			return commit, nil
		}
	}
	return "", fault.Client(fault.InvalidRequestData, "%s has no ref %s", url, name)
}

// CheckOut implements resolver.Repositories.
func (r Repositories) CheckOut(_ context.Context, url, commit string, into *os.Root, _ ...resolver.CheckOutOption) (resolver.Checkout, error) {
	if r[url] == nil {
		return resolver.Checkout{}, fault.Client(fault.RepositoryAccessError, "Failed cloning the Git repository")
	}
	tree, ok := r[url][commit]
	if !ok {
		return resolver.Checkout{}, fault.Client(fault.InvalidRequestData, "%s has no commit %s", url, commit)
	}
	return resolver.Checkout{CommitTime: CommitTime}, tree.write(into)
}

func (t Tree) write(into *os.Root) error {
	for name, content := range t.Files {
		mode := os.FileMode(0o644)
		if slices.Contains(t.Executables, name) {
			mode = 0o755
		}
		if err := into.MkdirAll(path.Dir(name), 0o755); err != nil {
			return fmt.Errorf("writing a tree: %w", err)
		}
		if err := into.WriteFile(name, []byte(content), mode); err != nil {
			return fmt.Errorf("writing a tree: %w", err)
		}
	}
	for name, target := range t.Links {
		if err := into.MkdirAll(path.Dir(name), 0o755); err != nil {
			return fmt.Errorf("writing a tree: %w", err)
		}
		if err := into.Symlink(target, name); err != nil {
			return fmt.Errorf("writing a tree: %w", err)
		}
	}
	return nil
}
