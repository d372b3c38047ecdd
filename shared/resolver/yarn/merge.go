package yarn

import (
	"maps"
	"slices"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/resolver"
	"github.com/cachito-serverless/cachito/shared/resolver/javascript"
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
	out.Unverified = slices.Concat(a.Unverified, b.Unverified)
	for id, list := range b.Checksums {
		out.Checksums[id] = slices.Concat(out.Checksums[id], list)
	}
	javascript.Sort(&out)
	return out, nil
}

func mergeEntries(a, b []resolver.Entry) ([]resolver.Entry, error) {
	all := slices.Concat(a, b)
	slices.SortStableFunc(all, javascript.ByPath)
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
