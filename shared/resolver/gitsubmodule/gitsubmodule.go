// Package gitsubmodule reports the submodules of a repository as packages. The source step has
// checked them out already (the descriptor asks for it), first level only, so nothing is fetched here.
package gitsubmodule

import (
	"context"

	"github.com/cachito-serverless/cachito/shared/packages"
	"github.com/cachito-serverless/cachito/shared/resolver"
)

// Name is the API's word for this package manager, and the type of its packages.
const Name = "git-submodule"

// Descriptor of the package manager. It takes no options: all submodules, one level.
func Descriptor() resolver.Descriptor {
	return resolver.Descriptor{
		Name:            Name,
		Rank:            50,
		Types:           Rules(),
		NeedsSubmodules: true,
		NoTree:          true,
		Detect:          func(names map[string]bool) bool { return names[".gitmodules"] },
		Version:         "1",
		New:             func(resolver.Settings) (resolver.Resolver, error) { return submodules{}, nil },
	}
}

type submodules struct{}

// Resolve reports each first-level submodule as
//
//	{"type": "git-submodule", "name": "lib", "version": "https://host/o/lib.git#<commit>", "path": "third/lib"}
func (submodules) Resolve(ctx context.Context, in resolver.Input) (resolver.Output, error) {
	var out resolver.Output
	for _, sub := range in.Repo.Submodules {
		version := sub.URL + "#" + sub.Repo.Ref
		out.Packages = append(out.Packages, packages.Package{
			Type: Name, Name: sub.Name, Version: &version, Path: sub.Path,
		})
		in.Log.InfoContext(ctx, "submodule found", "name", sub.Name, "path", sub.Path, "version", version)
	}
	if len(out.Packages) == 0 {
		in.Log.InfoContext(ctx, "the repository has no submodules")
	}
	return out, nil
}
