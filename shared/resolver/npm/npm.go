// Package npm resolves npm packages: it fetches what a package-lock.json or npm-shrinkwrap.json locks, and
// rewrites the lockfile so that `npm ci` finds every file in the bundle, relative to the lockfile itself.
//
// Neither node nor npm runs, so nothing of the repository or of a dependency does. What is rewritten:
//
//	lockfile       "resolved" of every file in the bundle becomes file:../deps/npm/...
//	specifications that name a URL or a git repository become "", wherever npm would follow them: in the
//	               lockfile, in package.json and in those of workspaces; in "overrides" they become file: ones
//
// Settings (resolver.Settings.Values):
//
//	registry             base URL of the registry that is asked
//	registry_hosts       JSON array: hosts of lockfiles that stand for it
//	file_deps_allowlist  JSON object: package name to names of its file: dependencies that are allowed
package npm

import (
	"context"
	"fmt"

	"github.com/cachito-serverless/cachito/shared/packages"
	"github.com/cachito-serverless/cachito/shared/purl"
	"github.com/cachito-serverless/cachito/shared/resolver"
	"github.com/cachito-serverless/cachito/shared/resolver/javascript"
)

// Name is the API's word for this package manager, and the type of its packages.
const Name = "npm"

// Descriptor of the package manager.
func Descriptor() resolver.Descriptor {
	return resolver.Descriptor{
		Name: Name, Rank: 20, Options: []resolver.Option{{Name: "path"}}, Types: Rules(), RefusesReplacements: "npm",
		Detect:  func(names map[string]bool) bool { return names["package-lock.json"] || names["npm-shrinkwrap.json"] },
		Version: "2", New: New,
	}
}

// Rules of npm's packages in the documents.
func Rules() []packages.Rule {
	return []packages.Rule{{
		Type: Name, PackagePURL: resolver.RepositoryPURL,
		DependencyPURL: func(_ packages.Context, _ packages.Package, d packages.Dependency) (string, error) {
			return purl.NPM(Name, d.Name, d.Version)
		},
		Contents: packages.RuntimeContents, ManifestRank: 2,
	}}
}

// npm implements resolver.Resolver.
type npm struct {
	registry  javascript.Registry
	allowlist map[string][]string
}

// New makes the resolver; one may serve many requests at a time.
func New(s resolver.Settings) (resolver.Resolver, error) {
	registry, err := javascript.NewRegistry(s.Values)
	if err != nil {
		return nil, fmt.Errorf("npm: %w", err)
	}
	allowlist, err := javascript.ParseAllowlist(s.Values["file_deps_allowlist"])
	if err != nil {
		return nil, fmt.Errorf("npm: %w", err)
	}
	return &npm{registry: registry, allowlist: allowlist}, nil
}

// run is the work on one request.
type run struct {
	*npm
	in resolver.Input
	// entriesLeft may still come in lockfiles.
	entriesLeft int
	// placed are the files below deps/.
	placed javascript.Placed
	// changed are the files of the repository that were rewritten, by path; those that are too large to be
	// configuration files are in the cache.
	changed map[string]resolver.Entry
}

// Resolve implements resolver.Resolver. Everything is read and checked before anything is fetched.
func (n *npm) Resolve(ctx context.Context, in resolver.Input) (resolver.Output, error) {
	in.Fetcher = javascript.WordFaults(in.Fetcher)
	r := &run{
		npm: n, in: in, entriesLeft: MaxEntries,
		placed: javascript.Placed{}, changed: map[string]resolver.Entry{},
	}
	projects, err := javascript.Open(ctx, Name, in.Options, r.open, func(p *project) packages.Package { return p.pkg })
	if err != nil {
		return resolver.Output{}, err
	}
	for _, p := range projects {
		// The quote at the end is upstream's.
		if err := in.Reason(ctx, fmt.Sprintf("Fetching the npm dependencies at the \"%s\" directory\"", p.dir)); err != nil {
			return resolver.Output{}, err
		}
		if err := r.fetch(ctx, p); err != nil {
			return resolver.Output{}, err
		}
		if err := r.rewrite(ctx, p); err != nil {
			return resolver.Output{}, err
		}
	}
	return r.output(projects)
}
