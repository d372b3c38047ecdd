// Package berry resolves what a yarn.lock of Yarn 2, 3 or 4 ("berry") locks, so that `yarn install --immutable` finds
// every file in the bundle. Neither node nor Yarn runs.
//
// The bundle holds the archives as the registry has them, in Cachito's layout. A plug-in of ours, which a .yarnrc.yml at
// the bundle's root names, answers Yarn's requests from them: Yarn reads the settings of parent folders, so nothing
// of the repository needs to change, and it makes its own archives, whatever their form. The lockfile's checksums
// are of those, zips that Yarn makes: here they are made as well, byte for byte, so that an archive that the lockfile
// does not mean is refused before it is in any bundle.
package berry

import (
	"context"

	"github.com/cachito-serverless/cachito/shared/resolver"
	"github.com/cachito-serverless/cachito/shared/resolver/javascript"
)

// packageType of packages and dependencies, and the folder below deps/.
const packageType = "yarn"

// Settings of the resolver.
type Settings struct {
	Registry javascript.Registry
	// JSR is the base URL of the registry of packages of the scope @jsr; empty: they are of Registry as well.
	JSR string
	// Sums are kept from request to request.
	Sums *Sums
}

// run is the work on the projects of one request.
type run struct {
	registry javascript.Registry
	jsr      string
	sums     *Sums
	in       resolver.Input
	// entriesLeft may still come in lockfiles.
	entriesLeft *int
	zippers     chan *zipper
}

// Projects are the paths of a request whose lockfiles are of Yarn 2 or newer.
type Projects struct {
	run  *run
	list []*Project
}

// New begins the work on a request. entriesLeft counts down what its lockfiles may still have; when it falls below zero,
// Open fails.
func New(s Settings, in resolver.Input, entriesLeft *int) *Projects {
	r := &run{registry: s.Registry, jsr: s.JSR, sums: s.Sums, in: in, entriesLeft: entriesLeft, zippers: make(chan *zipper, maxZippers)}
	for range maxZippers {
		r.zippers <- newZipper(in.Scratch)
	}
	return &Projects{run: r}
}

// Open reads and checks the files of a path, and adds it. Faults are the client's.
func (p *Projects) Open(ctx context.Context, dir string) (*Project, error) {
	project, err := p.run.open(ctx, dir)
	if err == nil {
		p.list = append(p.list, project)
	}
	return project, err
}

// Empty reports whether there are none.
func (p *Projects) Empty() bool { return len(p.list) == 0 }

// Fetch brings the files of a project's dependencies into the cache.
func (p *Projects) Fetch(ctx context.Context, project *Project) error {
	return p.run.fetch(ctx, project)
}
