package cargo

import (
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/cachito-serverless/cachito/shared/packages"
	"github.com/cachito-serverless/cachito/shared/resolver"
	"github.com/cachito-serverless/cachito/shared/resolver/cargo/crate"
)

// output puts together what the resolver returns.
func (r *run) output(projects []*project, crates map[source][]crate.Fetched, git *gitSet) (resolver.Output, error) {
	out := resolver.Output{Checksums: map[string][]string{}}
	dirs := map[string]bool{}
	for _, p := range projects {
		out.Packages = append(out.Packages, p.pkg)
		dirs[p.dir] = true
		for _, l := range p.locals {
			dirs[l.dir] = true
		}
	}
	config := newConfig()
	if err := r.addRegistries(&out, config, crates); err != nil {
		return out, err
	}
	own := addTrees(&out, config, git)
	slices.SortFunc(out.Deps, func(a, b resolver.Entry) int { return strings.Compare(a.Path, b.Path) })
	var err error
	if out.Overlays, err = r.tree.configs(dirs, own); err != nil {
		return out, err
	}
	slices.SortFunc(out.Overlays, func(a, b resolver.Entry) int { return strings.Compare(a.Path, b.Path) })
	out.Root = []resolver.Entry{{Path: configPath, Inline: []byte(config.String())}}
	out.ConfigFiles = []resolver.ConfigFile{{Path: configPath, Content: []byte(config.String())}}
	for _, e := range out.Overlays {
		out.ConfigFiles = append(out.ConfigFiles, resolver.ConfigFile{Path: "app/" + e.Path, Content: e.Inline})
	}
	return out, nil
}

// addRegistries adds the crates, a local registry for each registry. That of crates.io is there even when it is
// empty: cargo opens it.
func (r *run) addRegistries(out *resolver.Output, config *configWriter, crates map[source][]crate.Fetched) error {
	sources := slices.SortedFunc(maps.Keys(crates), func(a, b source) int { return strings.Compare(a.key(), b.key()) })
	config.table("crates-io", "replace-with", "cachito")
	config.table("cachito", "local-registry", "deps/"+cratesFolder)
	if len(crates[source{}]) == 0 {
		out.Deps = append(out.Deps, resolver.Entry{Path: cratesFolder + "/index", Dir: true})
	}
	for _, s := range sources {
		folder := cratesFolder
		if s.kind != "" {
			name := folderName(s.base(), s.key())
			folder = registriesFolder + "/" + name
			config.table(s.key(), "registry", s.registry(), "replace-with", "cachito-registry-"+name)
			config.table("cachito-registry-"+name, "local-registry", "deps/"+folder)
		}
		entries, err := crate.LocalRegistry(folder, crates[s])
		if err != nil {
			return err
		}
		out.Deps = append(out.Deps, entries...)
		for _, c := range crates[s] {
			version := s.version(c.Version)
			id, err := dependencyPURL(packages.Context{}, packages.Package{}, packages.Dependency{Name: c.Name, Version: &version})
			if err != nil {
				return err
			}
			out.Checksums[id] = []string{c.File.SHA256}
		}
	}
	return nil
}

// addTrees adds the trees, and for each source a folder of its crates: cargo looks only at direct subfolders, and the
// crates of a repository may name files beside them. A branch that lockfiles have at several commits cannot stand in the
// configuration of the whole bundle; own are those of the packages' folders, which cargo prefers there.
func addTrees(out *resolver.Output, config *configWriter, git *gitSet) (own map[string]*configWriter) {
	for _, at := range slices.Sorted(maps.Keys(git.trees)) {
		g := git.trees[at]
		for _, e := range g.entries {
			e.Path = path.Join(treesFolder, g.name(), e.Path)
			out.Deps = append(out.Deps, e)
		}
	}
	own = map[string]*configWriter{}
	for _, id := range slices.Sorted(maps.Keys(git.uses)) {
		use := git.uses[id]
		s, g := use.source, git.trees[use.source.url+"#"+use.source.commit]
		name := folderName(s.base(), id)
		folder := sourcesFolder + "/" + name
		for wanted := range use.wanted {
			out.Deps = append(out.Deps, resolver.Entry{
				Path: folder + "/" + strings.Replace(wanted, " ", "-", 1),
				Link: path.Join("../../trees", g.name(), g.folders[wanted]),
			})
		}
		if len(git.commits[s.key()]) == 1 {
			config.gitSource(s, name, "deps/"+folder)
			continue
		}
		for dir := range use.dirs {
			if own[dir] == nil {
				own[dir] = &configWriter{}
			}
			own[dir].gitSource(s, name, upFrom(dir)+"deps/"+folder)
		}
	}
	return own
}

// upFrom leads from a folder of app/ to the bundle's root.
func upFrom(dir string) string {
	if dir == "." {
		return "../"
	}
	return strings.Repeat("../", strings.Count(dir, "/")+2)
}
