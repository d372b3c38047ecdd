// Package yarn resolves packages of Yarn: it fetches what a yarn.lock locks and lays it out so that Yarn finds every
// file in the bundle. A yarn.lock says of itself which Yarn it is for: those of Yarn 2 and newer are package berry's,
// those of Yarn 1 ("classic") are read here, for `yarn install --frozen-lockfile`.
//
// Neither node nor Yarn runs, so nothing of the repository or of a dependency does. Yarn 1's own offline mirror is
// used: a .yarnrc at the bundle's root, which Yarn reads as that of a parent folder, names the flat folder
// deps/yarn/mirror, whose files are relative links into deps/yarn/<package>. package.json and yarn.lock stay as
// they are, unless two different files would have one name in the mirror.
//
// Settings (resolver.Settings.Values):
//
//	registry             base URL of the registry that is asked
//	registry_hosts       JSON array: hosts of lockfiles that stand for it
//	jsr_registry         base URL of the registry of the scope @jsr (Yarn 4)
//	file_deps_allowlist  JSON object: package name to names of its file: dependencies that are allowed (Yarn 1)
package yarn

import (
	"context"
	"fmt"

	"github.com/cachito-serverless/cachito/shared/packages"
	"github.com/cachito-serverless/cachito/shared/purl"
	"github.com/cachito-serverless/cachito/shared/resolver"
	"github.com/cachito-serverless/cachito/shared/resolver/javascript"
	"github.com/cachito-serverless/cachito/shared/resolver/yarn/berry"
)

// Name is the API's word for this package manager, and the type of its packages.
const Name = "yarn"

// Descriptor of the package manager.
func Descriptor() resolver.Descriptor {
	return resolver.Descriptor{
		Name: Name, Rank: 60, Options: []resolver.Option{{Name: "path"}}, Types: Rules(), RefusesReplacements: "yarn",
		Detect:  func(names map[string]bool) bool { return names["yarn.lock"] },
		Version: "2",
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
	jsr       string
	sums      berry.Sums
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
	return &yarn{registry: registry, jsr: s.Values["jsr_registry"], allowlist: allowlist}, nil
}

// run is the work on one request.
type run struct {
	*yarn
	in resolver.Input
	// entriesLeft may still come in lockfiles.
	entriesLeft int
	// placed are the files below deps/ but for the mirror.
	placed javascript.Placed
	// berry are the projects of Yarn 2 and newer.
	berry *berry.Projects
}

// opened is one path of a request: exactly one of the two is set.
type opened struct {
	classic *project
	berry   *berry.Project
}

func (o opened) dir() string {
	if o.berry != nil {
		return o.berry.Dir
	}
	return o.classic.dir
}

func (o opened) pkg() packages.Package {
	if o.berry != nil {
		return o.berry.Package
	}
	return o.classic.pkg
}

// Resolve implements resolver.Resolver. Everything is read and checked before anything is fetched.
func (y *yarn) Resolve(ctx context.Context, in resolver.Input) (resolver.Output, error) {
	in.Fetcher = javascript.WordFaults(in.Fetcher)
	r := &run{yarn: y, in: in, entriesLeft: MaxEntries, placed: javascript.Placed{}}
	r.berry = berry.New(berry.Settings{Registry: y.registry, JSR: y.jsr, Sums: &y.sums}, in, &r.entriesLeft)
	list, err := javascript.Open(ctx, Name, in.Options, r.open, opened.pkg)
	if err != nil {
		return resolver.Output{}, err
	}
	for _, o := range list {
		if err := in.Reason(ctx, fmt.Sprintf("Fetching the yarn dependencies at the %q directory", o.dir())); err != nil {
			return resolver.Output{}, err
		}
		if o.berry != nil {
			err = r.berry.Fetch(ctx, o.berry)
		} else {
			err = r.fetch(ctx, o.classic)
		}
		if err != nil {
			return resolver.Output{}, err
		}
	}
	return r.output(ctx, list)
}
