package yarn

import (
	"maps"
	"slices"
	"strings"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/resolver"
)

// merge puts what projects of both kinds of Yarn give together; Packages are left out. Both lay archives of the
// registry to the same places: two different files for one are the lockfiles' trouble.
func merge(a, b resolver.Output) (resolver.Output, error) {
	var err error
	out := resolver.Output{EnvironmentVariables: maps.Clone(a.EnvironmentVariables), Checksums: maps.Clone(a.Checksums)}
	maps.Copy(out.EnvironmentVariables, b.EnvironmentVariables)
	if out.Deps, err = mergeEntries(a.Deps, b.Deps); err != nil {
		return out, err
	}
	if out.Overlays, err = mergeEntries(a.Overlays, b.Overlays); err != nil {
		return out, err
	}
	if out.Root, err = mergeEntries(a.Root, b.Root); err != nil {
		return out, err
	}
	out.ConfigFiles = slices.Concat(a.ConfigFiles, b.ConfigFiles)
	slices.SortFunc(out.ConfigFiles, func(a, b resolver.ConfigFile) int { return strings.Compare(a.Path, b.Path) })
	out.Unverified = slices.Concat(a.Unverified, b.Unverified)
	slices.Sort(out.Unverified)
	out.Unverified = slices.Compact(out.Unverified)
	for id, list := range b.Checksums {
		list = slices.Concat(out.Checksums[id], list)
		slices.Sort(list)
		out.Checksums[id] = slices.Compact(list)
	}
	return out, nil
}

func mergeEntries(a, b []resolver.Entry) ([]resolver.Entry, error) {
	all := slices.Concat(a, b)
	slices.SortStableFunc(all, byPath)
	var out []resolver.Entry
	for _, e := range all {
		if n := len(out); n > 0 && out[n-1].Path == e.Path {
			if have := out[n-1]; have.File == nil || e.File == nil || have.File.SHA256 != e.File.SHA256 {
				return nil, fault.Client(fault.InvalidChecksum, "The lockfiles of Yarn 1 and of newer ones name two different files for %s", e.Path)
			}
			continue
		}
		out = append(out, e)
	}
	return out, nil
}
