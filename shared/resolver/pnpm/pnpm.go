// Package pnpm resolves packages of pnpm: it fetches what a pnpm-lock.yaml locks and lays it out so that
// `pnpm install --frozen-lockfile` finds every file in the bundle.
//
// Neither node nor pnpm runs, so nothing of the repository or of a dependency does. deps/pnpm is a registry made
// of files, named as pnpm itself names tarballs: pnpm reads it because deps/pnpm/.npmrc, which the environment
// makes the user's configuration, says so. In pnpm-lock.yaml only those entries change that name a URL or a
// git repository; configuration files of the repository lose the lines that name registries.
//
// Settings (resolver.Settings.Values):
//
//	registry        base URL of the registry that is asked
//	registry_hosts  JSON array: hosts of lockfiles that stand for it
//	jsr_registry    base URL of the registry of the scope @jsr
package pnpm

import (
	"context"
	"fmt"

	"github.com/cachito-serverless/cachito/shared/packages"
	"github.com/cachito-serverless/cachito/shared/resolver"
	"github.com/cachito-serverless/cachito/shared/resolver/javascript"
)

// Name is the API's word for this package manager, and the type of its packages.
const Name = "pnpm"

// Descriptor of the package manager.
func Descriptor() resolver.Descriptor {
	return resolver.Descriptor{
		Name: Name, Rank: 70, OptIn: true, Options: []resolver.Option{{Name: "path"}}, Types: Rules(), RefusesReplacements: "pnpm",
		Detect:  func(names map[string]bool) bool { return names[lockfileName] },
		Version: "1",
		New:     New,
	}
}

// pnpm implements resolver.Resolver.
type pnpm struct {
	registry    javascript.Registry
	jsrRegistry string
}

// New makes the resolver; one may serve many requests at a time.
func New(s resolver.Settings) (resolver.Resolver, error) {
	registry, err := javascript.NewRegistry(s.Values)
	if err != nil {
		return nil, fmt.Errorf("pnpm: %w", err)
	}
	jsr, err := javascript.NewRegistry(map[string]string{"registry": s.Values["jsr_registry"]})
	if err != nil {
		return nil, fmt.Errorf("pnpm: jsr_registry: %w", err)
	}
	return &pnpm{registry: registry, jsrRegistry: jsr.Base}, nil
}

// run is the work on one request.
type run struct {
	*pnpm
	in resolver.Input
	// entriesLeft may still come in lockfiles.
	entriesLeft int
	// placed are the files below deps/, by their path there.
	placed javascript.Placed
	// scopes have a registry of their own, as "@scope": their packages lie in the bundle's registry all the same.
	scopes map[string]bool
	// tools are pnpm releases, unpacked for Corepack, by their folder below deps/.
	tools map[string][]resolver.Entry
}

// Resolve implements resolver.Resolver. Everything is read and checked before anything is fetched.
func (n *pnpm) Resolve(ctx context.Context, in resolver.Input) (resolver.Output, error) {
	in.Fetcher = javascript.WordFaults(in.Fetcher)
	r := &run{
		pnpm: n, in: in, entriesLeft: MaxEntries, placed: javascript.Placed{},
		scopes: map[string]bool{jsrScope: true}, tools: map[string][]resolver.Entry{},
	}
	projects, err := javascript.Open(ctx, Name, in.Options, r.open, func(p *project) packages.Package { return p.pkg })
	if err != nil {
		return resolver.Output{}, err
	}
	for _, p := range projects {
		if err := in.Reason(ctx, fmt.Sprintf("Fetching the pnpm dependencies at the %q directory", p.dir)); err != nil {
			return resolver.Output{}, err
		}
		if err := r.fetch(ctx, p); err != nil {
			return resolver.Output{}, err
		}
	}
	return r.output(ctx, projects)
}
