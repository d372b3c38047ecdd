package javascript

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/cachito-serverless/cachito/shared/packages"
	"github.com/cachito-serverless/cachito/shared/resolver"
)

// Open opens the paths that a request names for a manager, each once, and refuses two packages of one name and version.
// pkg is the package of what open returned.
func Open[P any](ctx context.Context, manager string, options json.RawMessage,
	open func(ctx context.Context, dir string) (P, error), pkg func(P) packages.Package,
) ([]P, error) {
	paths, err := optionPaths(manager, options)
	if err != nil {
		return nil, err
	}
	var projects []P
	var found []packages.Package
	for _, dir := range paths {
		p, err := open(ctx, dir)
		if err != nil {
			return nil, err
		}
		projects = append(projects, p)
		found = append(found, pkg(p))
	}
	return projects, checkDuplicates(found)
}

// optionPaths reads packages.<manager> as resolver.OptionPaths does. Missing and empty paths are ignored, equal
// ones count once.
func optionPaths(manager string, raw json.RawMessage) ([]string, error) {
	paths, err := resolver.OptionPaths(manager, raw, "")
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	return slices.DeleteFunc(paths, func(p string) bool {
		again := seen[p]
		seen[p] = true
		return again
	}), nil
}
