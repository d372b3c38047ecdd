// Package generic fetches files that no package manager knows: whatever artifacts.lock.yaml names by URL and
// checksum, in the form that Hermeto gave it. Nothing is injected: builds read the files below deps/generic/.
package generic

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/integrity"
	"github.com/cachito-serverless/cachito/shared/packages"
	"github.com/cachito-serverless/cachito/shared/resolver"
)

// depsFolder holds the files, below deps/.
const depsFolder = Name

// generic implements resolver.Resolver.
type generic struct{}

// New makes the resolver; one may serve many requests at a time. It has no settings.
func New(resolver.Settings) (resolver.Resolver, error) { return generic{}, nil }

// placed is an artifact with the lockfile that wants it.
type placed struct {
	artifact
	lockfile string
}

// Resolve implements resolver.Resolver. All lockfiles are read and checked before anything is fetched.
func (generic) Resolve(ctx context.Context, in resolver.Input) (resolver.Output, error) {
	options, err := parseOptions(in.Options)
	if err != nil {
		return resolver.Output{}, err
	}
	out := resolver.Output{Checksums: map[string][]string{}}
	var all []placed
	for _, o := range options {
		if err := in.Reason(ctx, fmt.Sprintf("Fetching the generic artifacts at the %q directory", o.path)); err != nil {
			return resolver.Output{}, err
		}
		content, err := resolver.ReadFile(in.Source, o.lockfile, MaxLockfileBytes)
		if errors.Is(err, fs.ErrNotExist) {
			err = fault.Client(fault.InvalidRepoStructure, "Required files not found: %s", o.lockfile)
		}
		if err != nil {
			return resolver.Output{}, err
		}
		artifacts, err := parseLockfile(content, o.lockfile)
		if err != nil {
			return resolver.Output{}, err
		}
		p := reported(in.Repo, o)
		for _, a := range artifacts {
			if a.byHost {
				in.Log.InfoContext(ctx, "The lockfile takes credentials from environment variables: those are used that the server has for the host, if any", "lockfile", o.lockfile, "file", a.filename)
			}
			all = append(all, placed{a, o.lockfile})
			p.Dependencies = append(p.Dependencies, a.dependency())
		}
		out.Packages = append(out.Packages, p)
	}
	if len(all) > MaxArtifacts {
		return resolver.Output{}, fault.Client(fault.UnsupportedFeature, "The lockfiles of the request have more than %d artifacts", MaxArtifacts)
	}
	if all, err = checkPlaces(all); err != nil {
		return resolver.Output{}, err
	}
	err = fetch(ctx, in, all, &out)
	return out, err
}

// reported is the package's own entry: files belong to nothing but the repository.
func reported(repo resolver.Repo, o pkgOptions) packages.Package {
	p := packages.Package{Type: Name, Name: path.Base(strings.TrimSuffix(strings.TrimRight(repo.URL, "/"), ".git")), Version: &repo.Ref}
	if o.path != "." {
		p.Name, p.Path = p.Name+"/"+o.path, o.path
	}
	return p
}

// checkPlaces drops artifacts that several packages share, and refuses different ones that want one place.
func checkPlaces(all []placed) ([]placed, error) {
	slices.SortStableFunc(all, func(a, b placed) int { return strings.Compare(a.filename, b.filename) })
	names := map[string]placed{}
	var kept []placed
	for _, a := range all {
		if other, ok := names[a.filename]; ok {
			if other.url != a.url || other.digest != a.digest {
				return nil, fault.Client(fault.InvalidFileFormat, "%s and %s want different files at deps/%s/%s", other.lockfile, a.lockfile, depsFolder, a.filename)
			}
			continue
		}
		names[a.filename] = a
		kept = append(kept, a)
	}
	for _, a := range kept {
		for dir := path.Dir(a.filename); dir != "."; dir = path.Dir(dir) {
			if other, ok := names[dir]; ok {
				return nil, fault.Client(fault.InvalidFileFormat, "deps/%s/%s of %s would be a file, and the folder of %s of %s", depsFolder, dir, other.lockfile, a.filename, a.lockfile)
			}
		}
	}
	return kept, nil
}

// fetch downloads the artifacts, which are in order, and adds them to the output.
func fetch(ctx context.Context, in resolver.Input, all []placed, out *resolver.Output) error {
	if len(all) == 0 {
		out.Deps = []resolver.Entry{{Path: depsFolder, Dir: true}}
		return nil
	}
	wanted := make([]resolver.Artifact, len(all))
	for i, a := range all {
		wanted[i] = resolver.Artifact{URL: a.url, Want: []integrity.Digest{a.digest}, Header: a.header, Describe: a.filename + " (" + a.lockfile + ")"}
	}
	files, err := resolver.FetchAll(ctx, in, wanted)
	if err != nil {
		return err
	}
	for i, a := range all {
		out.Deps = append(out.Deps, resolver.Entry{Path: depsFolder + "/" + a.filename, File: &files[i]})
		id, err := dependencyPURL(packages.Context{}, packages.Package{}, a.dependency())
		if err != nil {
			return err
		}
		out.Checksums[id] = []string{files[i].SHA256}
	}
	return nil
}
