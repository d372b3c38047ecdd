package npm

import (
	"slices"
	"strings"

	"github.com/cachito-serverless/cachito/shared/packages"
	"github.com/cachito-serverless/cachito/shared/purl"
	"github.com/cachito-serverless/cachito/shared/resolver"
	"github.com/cachito-serverless/cachito/shared/resolver/javascript"
)

// output puts together what was found. All its lists are sorted.
func (r *run) output(projects []*project) (resolver.Output, error) {
	out := resolver.Output{EnvironmentVariables: javascript.Environment(), Checksums: map[string][]string{}}
	unverified := map[string]bool{}
	for _, p := range projects {
		p.pkg.Dependencies = reported(p.deps)
		out.Packages = append(out.Packages, p.pkg)
		for _, w := range p.files {
			id, err := purl.NPM(Name, w.name, &p.deps[w.dependency].version)
			if err != nil {
				return resolver.Output{}, err
			}
			if !slices.Contains(out.Checksums[id], w.file.SHA256) {
				out.Checksums[id] = append(out.Checksums[id], w.file.SHA256)
			}
			// A commit vouches for a git dependency.
			if w.kind != javascript.FromGit && len(w.digests) == 0 {
				unverified[id] = true
			}
		}
	}
	for id := range unverified {
		out.Unverified = append(out.Unverified, id)
	}
	slices.Sort(out.Unverified)
	for _, list := range out.Checksums {
		slices.Sort(list)
	}
	for name, f := range r.placed {
		out.Deps = append(out.Deps, resolver.Entry{Path: name, File: &f})
	}
	if len(out.Deps) == 0 {
		out.Deps = []resolver.Entry{{Path: Name, Dir: true}}
	}
	slices.SortFunc(out.Deps, byPath)
	for _, e := range r.changed {
		out.Overlays = append(out.Overlays, e)
		if e.File == nil {
			out.ConfigFiles = append(out.ConfigFiles, resolver.ConfigFile{Path: "app/" + e.Path, Content: e.Inline})
		}
	}
	slices.SortFunc(out.Overlays, byPath)
	slices.SortFunc(out.ConfigFiles, func(a, b resolver.ConfigFile) int { return strings.Compare(a.Path, b.Path) })
	return out, nil
}

func byPath(a, b resolver.Entry) int { return strings.Compare(a.Path, b.Path) }

// reported are the dependencies as the API shows them: once each, the same name and version may have come
// from several places.
func reported(deps []dependency) []packages.Dependency {
	type key struct{ name, version string }
	at := map[key]int{}
	var merged []dependency
	for _, d := range deps {
		k := key{d.name, d.version}
		if i, ok := at[k]; ok {
			merged[i].dev = merged[i].dev && d.dev
			merged[i].bundled = merged[i].bundled && d.bundled
			continue
		}
		at[k] = len(merged)
		merged = append(merged, d)
	}
	list := make([]packages.Dependency, len(merged))
	for i := range merged {
		d := &merged[i]
		list[i] = packages.Dependency{Name: d.name, Type: Name, Version: &d.version, Dev: &d.dev, HasReplaces: true}
		if d.bundled {
			// Upstream never shows the key: only what it is true for has it.
			list[i].Bundled = &d.bundled
		}
	}
	slices.SortFunc(list, func(a, b packages.Dependency) int {
		if c := strings.Compare(a.Name, b.Name); c != 0 {
			return c
		}
		return strings.Compare(*a.Version, *b.Version)
	})
	return list
}
