// Package cargo resolves Rust projects: it fetches the crates and git repositories that Cargo.lock names.
//
// Nothing is resolved and nothing is run, and no cargo is needed: the lockfile says what is fetched, and
// the manifests (Cargo.toml) of the repository say which of its folders are packages. Beneath is the package
// crate, which pip uses as well.
//
// Settings (resolver.Settings.Values):
//
//	crates_url   base URL of crates.io's files, with "/" at its end
package cargo

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/resolver"
	"github.com/cachito-serverless/cachito/shared/resolver/cargo/crate"
)

// cargo implements resolver.Resolver.
type cargo struct {
	cratesURL string // ends in "/"
}

// New makes the resolver; one may serve many requests at a time.
func New(s resolver.Settings) (resolver.Resolver, error) {
	url := s.Values["crates_url"]
	if url == "" {
		return nil, fmt.Errorf("setting crates_url of cargo is missing")
	}
	return &cargo{cratesURL: strings.TrimRight(url, "/") + "/"}, nil
}

// run is the work on one request.
type run struct {
	*cargo
	in    resolver.Input
	tree  *tree
	files atomic.Int64 // of git trees
	// now is the progress; it is reported and changed under mu.
	mu  sync.Mutex
	now request.Progress
}

// report changes the progress and shows it.
func (r *run) report(change func(*request.Progress)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(&r.now)
	if r.in.Progress != nil {
		r.in.Progress(r.now)
	}
}

// Resolve implements resolver.Resolver. All files are read and checked before anything is fetched.
func (c *cargo) Resolve(ctx context.Context, in resolver.Input) (resolver.Output, error) {
	paths, err := resolver.OptionPaths(Name, in.Options, "")
	if err != nil {
		return resolver.Output{}, err
	}
	r := &run{cargo: c, in: in, tree: newTree(in.Source)}
	var projects []*project
	left := MaxPackages
	for _, dir := range paths {
		if err := in.Reason(ctx, fmt.Sprintf("Fetching the cargo dependencies at the %q directory", dir)); err != nil {
			return resolver.Output{}, err
		}
		p, err := open(r.tree, dir, in.Repo.URL)
		if err != nil {
			return resolver.Output{}, err
		}
		if left -= len(p.locked) + len(p.unused); left < 0 {
			return resolver.Output{}, fault.Client(fault.UnsupportedFeature, "The lockfiles of the request have more than %d packages", MaxPackages)
		}
		projects = append(projects, p)
	}
	registries := &registrySet{sources: map[string]source{}, crates: map[source]map[string]crate.Crate{}}
	git := newGitSet()
	for _, p := range projects {
		if err := p.collect(ctx, in, registries, git); err != nil {
			return resolver.Output{}, err
		}
	}
	crates, err := r.fetchCrates(ctx, registries)
	if err != nil {
		return resolver.Output{}, err
	}
	if err := r.fetchTrees(ctx, git); err != nil {
		return resolver.Output{}, err
	}
	return r.output(projects, crates, git)
}

// collect notes what the project needs.
func (p *project) collect(ctx context.Context, in resolver.Input, registries *registrySet, git *gitSet) error {
	for _, l := range p.locked {
		switch {
		case l.isLocal():
		case l.source.kind == fromGit:
			git.add(l, p)
		default:
			if err := registries.add(l, p.lockfile); err != nil {
				return err
			}
		}
	}
	for _, l := range p.unused {
		if l.source.kind == fromGit {
			git.add(l, p)
		} else if !l.isLocal() {
			in.Log.WarnContext(ctx, "A patch that nothing uses is not in the bundle; cargo may ask for it", "lockfile", p.lockfile, "crate", l.Name+" "+l.Version)
		}
	}
	return nil
}
