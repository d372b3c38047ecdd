package npm

import (
	"github.com/cachito-serverless/cachito/shared/packages"
	"github.com/cachito-serverless/cachito/shared/purl"
	"github.com/cachito-serverless/cachito/shared/resolver"
	"github.com/cachito-serverless/cachito/shared/resolver/javascript"
)

// output puts together what was found. All its lists are sorted.
func (r *run) output(projects []*project) (resolver.Output, error) {
	out := resolver.Output{EnvironmentVariables: javascript.Environment(), Checksums: map[string][]string{}}
	for _, p := range projects {
		p.pkg.Dependencies = p.reported()
		out.Packages = append(out.Packages, p.pkg)
		for _, w := range p.files {
			id, err := purl.NPM(Name, w.name, &p.deps[w.dependency].version)
			if err != nil {
				return resolver.Output{}, err
			}
			// A commit vouches for a git dependency.
			javascript.AddArtifact(&out, id, w.file, w.kind == javascript.FromGit || len(w.digests) > 0)
		}
	}
	out.Deps = r.placed.Entries()
	if len(out.Deps) == 0 {
		out.Deps = []resolver.Entry{{Path: Name, Dir: true}}
	}
	for _, e := range r.changed {
		javascript.AddOverlays(&out, e)
	}
	javascript.Sort(&out)
	return out, nil
}

// reported are the dependencies as the API shows them.
func (p *project) reported() []packages.Dependency {
	list := make([]javascript.Dependency, len(p.deps))
	for i, d := range p.deps {
		list[i] = javascript.Dependency{Name: d.name, Version: d.version, Dev: d.dev, Bundled: d.bundled}
	}
	return javascript.Reported(Name, list)
}
