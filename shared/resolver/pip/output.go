package pip

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/packages"
	"github.com/cachito-serverless/cachito/shared/purl"
	"github.com/cachito-serverless/cachito/shared/resolver"
)

// dependency is what a need is reported as; ok is false when nothing was fetched for it.
func (n *need) dependency() (packages.Dependency, bool) {
	if len(n.items) == 0 {
		return packages.Dependency{}, false
	}
	r := n.requirement
	name, version := r.pkg, ""
	if r.kind == fromIndex {
		// The sdist's file name says how the project writes itself; wheels have no dashes.
		version = n.items[0].chosen.version
		for _, it := range n.items {
			if !it.chosen.isWheel {
				name, version = it.chosen.folder, it.chosen.version
			}
		}
	} else {
		version = r.reportedVersion()
	}
	dev := n.dev
	return packages.Dependency{Name: name, Type: Name, Version: &version, Dev: &dev}, true
}

// output puts together what the resolver returns.
func (b *batch) output(projects []*project) (resolver.Output, error) {
	out := resolver.Output{EnvironmentVariables: environment(), Checksums: map[string][]string{}}
	for _, one := range projects {
		p := one.reported()
		for _, n := range b.needs {
			if n.owner != one {
				continue
			}
			d, ok := n.dependency()
			if !ok {
				continue
			}
			p.Dependencies = append(p.Dependencies, d)
			if err := n.document(&out, d); err != nil {
				return out, err
			}
		}
		p.Dependencies = append(p.Dependencies, b.crates.dependencies(b.needs, one)...)
		out.Packages = append(out.Packages, p)
	}
	out.Packages = append(out.Packages, locals(projects, out.Packages)...)
	slices.Sort(out.Unverified)
	out.Unverified = slices.Compact(out.Unverified)
	var indexed []resolver.Entry
	stored := map[string]*need{}
	for _, n := range b.needs {
		for i := range n.items {
			entry := resolver.Entry{Path: n.items[i].place, File: &n.items[i].file}
			if other := stored[entry.Path]; other != nil {
				if err := sameFile(entry, n, other); err != nil {
					return out, err
				}
				continue
			}
			stored[entry.Path] = n
			out.Deps = append(out.Deps, entry)
			if n.items[i].chosen != nil {
				indexed = append(indexed, entry)
			}
		}
	}
	if err := b.crates.add(&out); err != nil {
		return out, err
	}
	out.Deps = sortEntries(append(out.Deps, writeIndex(sortEntries(indexed))))
	b.rewrite(&out, projects)
	return out, nil
}

// sameFile refuses two different files in one place: two indexes have them under one name.
func sameFile(entry resolver.Entry, a, b *need) error {
	for i := range b.items {
		if b.items[i].place == entry.Path && b.items[i].file.SHA256 != entry.File.SHA256 {
			return fault.Client(fault.InvalidRequestData, "%s differs between %s (%s) and %s (%s); a bundle can hold one of them",
				path.Base(entry.Path), b.index, b.file.path, a.index, a.file.path)
		}
	}
	return nil
}

// locals are the packages of the repository that lockfiles name, but those that are reported already.
func locals(projects []*project, reported []packages.Package) []packages.Package {
	seen := map[string]bool{}
	for _, p := range reported {
		seen[p.Path] = true
	}
	var list []packages.Package
	for _, one := range projects {
		for _, f := range slices.Concat(one.files, one.buildFiles) {
			for _, local := range f.locals {
				p := packages.Package{Type: Name, Name: local.name}
				if local.path != "." {
					p.Path = local.path
				}
				if local.version != "" {
					p.Version = &local.version
				}
				if !seen[p.Path] {
					seen[p.Path] = true
					list = append(list, p)
				}
			}
		}
	}
	return list
}

// document notes the files behind a dependency.
func (n *need) document(out *resolver.Output, d packages.Dependency) error {
	id, err := purl.PyPI(d.Name, d.Version)
	if err != nil {
		return fmt.Errorf("naming %s: %w", n.requirement.line, err)
	}
	for _, it := range n.items {
		if !slices.Contains(out.Checksums[id], it.file.SHA256) {
			out.Checksums[id] = append(out.Checksums[id], it.file.SHA256)
			slices.Sort(out.Checksums[id])
		}
	}
	if n.requirement.kind == fromIndex && !n.lock.any {
		out.Unverified = append(out.Unverified, id)
	}
	return nil
}

// rewrite adds the requirements files that must differ in the bundle. A file that several packages use is
// written once.
func (b *batch) rewrite(out *resolver.Output, projects []*project) {
	places := map[*requirement]string{}
	for _, n := range b.needs {
		if n.requirement.kind != fromIndex {
			places[n.requirement] = n.items[0].place
		}
	}
	hashed := map[*requirementsFile]bool{}
	var files, constraints []*requirementsFile
	for _, one := range projects {
		for _, listed := range slices.Concat(one.files, one.buildFiles) {
			all := listed.all()
			required := slices.ContainsFunc(all, func(f *requirementsFile) bool { return f.requireHashes })
			for _, f := range all {
				files, constraints = append(files, f), append(constraints, f.constraints...)
				hashed[f] = hashed[f] || required
			}
		}
	}
	// Of constraints only an --index-url matters; what else they say stays as it is.
	constraints = slices.DeleteFunc(constraints, func(f *requirementsFile) bool { return f.indexURL == "" })
	written := map[string]bool{}
	for _, f := range append(files, constraints...) {
		if written[f.path] || !f.needsRewriting() {
			continue
		}
		written[f.path] = true
		content := f.rewritten(places, hashed[f])
		out.Overlays = append(out.Overlays, resolver.Entry{Path: f.path, Inline: content})
		out.ConfigFiles = append(out.ConfigFiles, resolver.ConfigFile{Path: "app/" + f.path, Content: content})
	}
	slices.SortFunc(out.Overlays, func(a, b resolver.Entry) int { return strings.Compare(a.Path, b.Path) })
	slices.SortFunc(out.ConfigFiles, func(a, b resolver.ConfigFile) int { return strings.Compare(a.Path, b.Path) })
}
