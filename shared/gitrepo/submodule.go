package gitrepo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/storer"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/resolver"
)

// gitlink is an entry of a tree that names a commit of another repository.
type gitlink struct {
	path   string
	commit plumbing.Hash
}

// checkedModule is a submodule that will be filled in.
type checkedModule struct {
	module
	remote remoteURL
	commit plumbing.Hash
}

// scan finds the gitlinks of the commit's tree, and .gitmodules if it is a file.
func (p *prepared) scan(s storer.EncodedObjectStorer, maxEntries int) error {
	n := 0
	var visit func(tree plumbing.Hash, prefix string, depth int) error
	visit = func(tree plumbing.Hash, prefix string, depth int) error {
		entries, err := readTree(s, tree, prefix, depth)
		if err != nil {
			return err
		}
		if n += len(entries); n > maxEntries {
			return tooMany(maxEntries)
		}
		for _, e := range entries {
			switch {
			case e.mode == filemode.Dir:
				if err := visit(e.hash, prefix+e.name+"/", depth+1); err != nil {
					return err
				}
			case e.mode == filemode.Submodule:
				p.links = append(p.links, gitlink{prefix + e.name, e.hash})
			case prefix == "" && e.name == ".gitmodules" && e.mode != filemode.Symlink:
				if p.modules, err = readBlob(s, e.hash, MaxModulesBytes); err != nil {
					return fault.Client(fault.InvalidFileFormat, ".gitmodules cannot be read: %v", err)
				}
			}
		}
		return nil
	}
	err := visit(p.commit.tree, "", 0)
	if errors.Is(err, plumbing.ErrObjectNotFound) {
		return fmt.Errorf("%w: %v", errDamaged, err)
	}
	return err
}

// submodules pairs the gitlinks with .gitmodules. A gitlink without an entry is skipped with a
// warning (its folder stays empty, as for everyone who clones), an entry without a gitlink silently.
func (p *prepared) submodules(u remoteURL) (mods []checkedModule, warnings []string, err error) {
	if len(p.links) == 0 {
		return nil, nil, nil
	}
	all, err := parseModules(p.modules)
	if err != nil {
		return nil, nil, fault.Client(fault.InvalidFileFormat, ".gitmodules: %v", err)
	}
	byPath := map[string]module{}
	for _, m := range all {
		byPath[strings.TrimSuffix(m.path, "/")] = m
	}
	slices.SortFunc(p.links, func(a, b gitlink) int { return strings.Compare(a.path, b.path) })
	for _, link := range p.links {
		m, ok := byPath[link.path]
		if !ok {
			warnings = append(warnings, fmt.Sprintf("The submodule at %s has no entry in .gitmodules; its directory is empty", link.path))
			continue
		}
		m.path = link.path
		if err := m.check(); err != nil {
			return nil, nil, submoduleFault(m, fault.Client(fault.SubprocessCallError, "%v", err))
		}
		remote, err := u.resolve(m.url)
		if err != nil {
			return nil, nil, submoduleFault(m, err)
		}
		mods = append(mods, checkedModule{module: m, remote: remote, commit: link.commit})
	}
	if len(mods) > MaxSubmodules {
		return nil, nil, fault.Client(fault.UnsupportedFeature, "The repository has %d submodules; the limit is %d", len(mods), MaxSubmodules)
	}
	return mods, warnings, nil
}

func (c *Client) prepareSubmodule(ctx context.Context, m checkedModule, tags bool) (*prepared, error) {
	p, err := c.prepare(ctx, m.remote, m.commit, want{tags: tags})
	if err != nil {
		return nil, submoduleFault(m.module, err)
	}
	return p, nil
}

// describe tells the resolvers of a submodule.
func (p *prepared) describe(m checkedModule) resolver.Submodule {
	url := m.remote.public()
	return resolver.Submodule{
		Name: m.name, Path: m.path, URL: url,
		Repo: resolver.Repo{URL: url, Ref: m.commit.String(), CommitTime: p.commit.time, Tags: p.tags},
	}
}

// submoduleFault has upstream's type and sentence; a fault of the client says which submodule and why.
func submoduleFault(m module, err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	f := fault.From(err)
	if f.Origin == fault.OriginClient {
		return fault.Client(fault.SubprocessCallError, "%s: %s at %s: %s", textSubmodule, m.name, m.path, f.Message).Because(err)
	}
	out := fault.Server(fault.SubprocessCallError, "%s", textSubmodule).Because(fmt.Errorf("submodule %q at %q: %w", m.name, m.path, err))
	out.Final = f.Final
	return out
}
