package yarn

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/packages"
	"github.com/cachito-serverless/cachito/shared/purl"
	"github.com/cachito-serverless/cachito/shared/resolver"
	"github.com/cachito-serverless/cachito/shared/resolver/javascript"
)

// output puts together what was found, the packages in the request's order. All other lists are sorted.
func (r *run) output(ctx context.Context, list []opened) (resolver.Output, error) {
	var projects []*project
	for _, o := range list {
		if o.classic != nil {
			projects = append(projects, o.classic)
		}
	}
	out, err := r.classicOutput(ctx, projects)
	if err != nil {
		return out, err
	}
	if !r.berry.Empty() {
		newer, err := r.berry.Output(ctx, len(projects) > 0)
		if err != nil {
			return out, err
		}
		if out, err = merge(out, newer); err != nil {
			return out, err
		}
	}
	out.Packages = nil
	for _, o := range list {
		out.Packages = append(out.Packages, o.pkg())
	}
	if len(out.Deps) == 0 {
		out.Deps = []resolver.Entry{{Path: Name, Dir: true}}
	}
	return out, nil
}

// classicOutput is what the projects of Yarn 1 give.
func (r *run) classicOutput(ctx context.Context, projects []*project) (resolver.Output, error) {
	out := resolver.Output{EnvironmentVariables: javascript.Environment(), Checksums: map[string][]string{}}
	for _, p := range projects {
		p.pkg.Dependencies = p.reported()
		if err := p.addArtifacts(&out); err != nil {
			return out, err
		}
	}
	out.Deps = r.placed.Entries()
	if len(out.Deps) == 0 {
		javascript.Sort(&out)
		return out, nil
	}
	mirrored, err := r.mirror(projects)
	if err != nil {
		return out, err
	}
	out.Deps = append(out.Deps, mirrored...)

	root := []byte(rcLines("./"))
	out.Root = []resolver.Entry{{Path: rcName, Inline: root}}
	out.ConfigFiles = []resolver.ConfigFile{{Path: rcName, Content: root}}
	changed, err := r.changedFiles(ctx, projects)
	if err != nil {
		return out, err
	}
	javascript.AddOverlays(&out, changed...)
	javascript.Sort(&out)
	return out, nil
}

// addArtifacts notes checksums, and what no digest of a lockfile vouches for. A commit vouches for a git
// dependency, but not for the archive that a forge makes of it.
func (p *project) addArtifacts(out *resolver.Output) error {
	for _, d := range p.deps {
		if d.kind == javascript.FromFile {
			continue
		}
		id, err := purl.NPM(Name, d.name, &d.version)
		if err != nil {
			return err
		}
		javascript.AddArtifact(out, id, d.file, d.kind == javascript.FromGit || len(d.digests) > 0)
	}
	return nil
}

// reported are the dependencies as the API shows them.
func (p *project) reported() []packages.Dependency {
	list := make([]javascript.Dependency, len(p.deps))
	for i, d := range p.deps {
		list[i] = javascript.Dependency{Name: d.name, Version: d.version, Dev: d.dev}
	}
	return javascript.Reported(Name, list)
}

// mirror gives every file its name in Yarn's mirror.
func (r *run) mirror(projects []*project) ([]resolver.Entry, error) {
	m := mirror{}
	for place, f := range r.placed {
		if name, ok := strings.CutPrefix(place, mirrorDir+"/"); ok { // of the package "mirror"
			m[name] = mirrorFile{name: name, content: f.SHA256}
		}
	}
	entries := map[string]resolver.Entry{}
	for _, p := range projects {
		for _, d := range p.deps {
			if d.kind == javascript.FromFile {
				continue
			}
			if err := m.add(d); err != nil {
				return nil, err
			}
			if e, ok := m.entry(d); ok {
				if _, have := entries[e.Path]; !have {
					entries[e.Path] = e
				}
			}
		}
	}
	var out []resolver.Entry
	for _, e := range entries {
		out = append(out, e)
	}
	return out, nil
}

// changedFiles are the files of the repository that must be others in the bundle: as a rule none.
func (r *run) changedFiles(ctx context.Context, projects []*project) ([]resolver.Entry, error) {
	out, err := r.overrideRC(projects)
	if err != nil {
		return nil, err
	}
	for _, p := range projects {
		e, changed, err := r.rewriteLockfile(ctx, p)
		if err != nil {
			return nil, err
		}
		if changed {
			out = append(out, e)
		}
	}
	return out, nil
}

// rewriteLockfile changes the URLs of those dependencies whose file in the mirror has another name than Yarn
// would derive. Everything else stays as it is, byte for byte.
func (r *run) rewriteLockfile(ctx context.Context, p *project) (resolver.Entry, bool, error) {
	var none resolver.Entry
	var moved []*dependency
	for _, d := range p.deps {
		if d.moved != "" {
			moved = append(moved, d)
		}
	}
	if len(moved) == 0 {
		return none, false, nil
	}
	slices.SortFunc(moved, func(a, b *dependency) int { return int(a.entry.resolvedAt.from - b.entry.resolvedAt.from) })
	content, err := r.in.Source.ReadFile(p.lock.path)
	if err != nil {
		return none, false, fmt.Errorf("reading %s: %w", p.lock.path, err)
	}
	var text bytes.Buffer
	at := int64(0)
	for _, d := range moved {
		r.in.Log.WarnContext(ctx, "Two files have the same name in Yarn's offline mirror; this dependency gets another URL in yarn.lock",
			"dependency", d.name+"@"+d.entry.version, "from", publicURL(d.entry.resolved), "file", d.mirror.name)
		text.Write(content[at:d.entry.resolvedAt.from])
		quoted := json.NewEncoder(&text)
		quoted.SetEscapeHTML(false)
		if err := quoted.Encode(d.moved); err != nil {
			return none, false, fmt.Errorf("rewriting %s: %w", p.lock.path, err)
		}
		text.Truncate(text.Len() - 1) // Encode ends the line
		at = d.entry.resolvedAt.to
	}
	text.Write(content[at:])
	name, err := javascript.RealPath(r.in.Source, path.Join(p.dir, "yarn.lock"))
	if err != nil {
		return none, false, fault.Client(fault.InvalidRepoStructure, "The file %s leads out of the repository", p.lock.path).Because(err)
	}
	e, err := javascript.Changed(ctx, r.in.Fetcher, name, &text, int64(text.Len()))
	if err != nil {
		return none, false, err
	}
	return e, true, nil
}
