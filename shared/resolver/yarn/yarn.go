// Package yarn resolves packages of Yarn 1 ("classic"): it fetches what a yarn.lock locks and lays it out so
// that `yarn install --frozen-lockfile` finds every file in the bundle.
//
// Neither node nor Yarn runs, so nothing of the repository or of a dependency does. Yarn's own offline mirror is
// used: a .yarnrc at the bundle's root, which Yarn reads as that of a parent folder, names the flat folder
// deps/yarn/mirror, whose files are relative links into deps/yarn/<package>. package.json and yarn.lock stay as
// they are, unless two different files would have one name in the mirror.
//
// A yarn.lock says of itself which Yarn it is for; those of Yarn 2 and newer are refused.
//
// Settings (resolver.Settings.Values):
//
//	registry             base URL of the registry that is asked
//	registry_hosts       JSON array: hosts of lockfiles that stand for it
//	file_deps_allowlist  JSON object: package name to names of its file: dependencies that are allowed
package yarn

import (
	"context"
	"fmt"

	"github.com/cachito-serverless/cachito/shared/packages"
	"github.com/cachito-serverless/cachito/shared/purl"
	"github.com/cachito-serverless/cachito/shared/resolver"
	"github.com/cachito-serverless/cachito/shared/resolver/javascript"
)

// Name is the API's word for this package manager, and the type of its packages.
const Name = "yarn"

// Descriptor of the package manager.
func Descriptor() resolver.Descriptor {
	return resolver.Descriptor{
		Name: Name, Rank: 60, Options: []resolver.Option{{Name: "path"}}, Types: Rules(), RefusesReplacements: "yarn",
		Detect:  func(names map[string]bool) bool { return names["yarn.lock"] },
		Version: "1",
		New:     New,
	}
}

// Rules of yarn's packages in the documents.
func Rules() []packages.Rule {
	return []packages.Rule{{
		Type: Name, PackagePURL: resolver.RepositoryPURL,
		DependencyPURL: func(_ packages.Context, _ packages.Package, d packages.Dependency) (string, error) {
			return purl.NPM(Name, d.Name, d.Version)
		},
		Contents: packages.RuntimeContents, ManifestRank: 4,
	}}
}

// yarn implements resolver.Resolver.
type yarn struct {
	registry  javascript.Registry
	allowlist map[string][]string
}

// New makes the resolver; one may serve many requests at a time.
func New(s resolver.Settings) (resolver.Resolver, error) {
	registry, err := javascript.NewRegistry(s.Values)
	if err != nil {
		return nil, fmt.Errorf("yarn: %w", err)
	}
	allowlist, err := javascript.ParseAllowlist(s.Values["file_deps_allowlist"])
	if err != nil {
		return nil, fmt.Errorf("yarn: %w", err)
	}
	return &yarn{registry: registry, allowlist: allowlist}, nil
}

// run is the work on one request.
type run struct {
	*yarn
	in resolver.Input
	// entriesLeft may still come in lockfiles.
	entriesLeft int
	// placed are the files below deps/ but for the mirror.
	placed map[string]resolver.File
}

// Resolve implements resolver.Resolver. Everything is read and checked before anything is fetched.
func (y *yarn) Resolve(ctx context.Context, in resolver.Input) (resolver.Output, error) {
	in.Fetcher = javascript.WordFaults(in.Fetcher)
	r := &run{yarn: y, in: in, entriesLeft: MaxEntries, placed: map[string]resolver.File{}}
	paths, err := javascript.OptionPaths(Name, in.Options)
	if err != nil {
		return resolver.Output{}, err
	}
	var projects []*project
	var found []packages.Package
	for _, dir := range paths {
		p, err := r.open(ctx, dir)
		if err != nil {
			return resolver.Output{}, err
		}
		projects = append(projects, p)
		found = append(found, p.pkg)
	}
	if err := javascript.CheckDuplicates(found); err != nil {
		return resolver.Output{}, err
	}
	for _, p := range projects {
		if err := in.Reason(ctx, fmt.Sprintf("Fetching the yarn dependencies at the %q directory", p.dir)); err != nil {
			return resolver.Output{}, err
		}
		if err := r.fetch(ctx, p); err != nil {
			return resolver.Output{}, err
		}
	}
	return r.output(ctx, projects)
}
