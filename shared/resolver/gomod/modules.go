package gomod

import (
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/module"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/packages"
	"github.com/cachito-serverless/cachito/shared/request"
)

// mainModule is a module of the repository itself: the one of the request's path, or another one of
// its workspace.
type mainModule struct {
	path    string
	dir     string // relative to the repository's root
	version string
}

// splitMains finds the module in absDir among those of the workspace, and gives all their versions.
func (r *run) splitMains(mains []listedModule, files moduleFiles, absDir string) (mainModule, []mainModule, error) {
	var (
		main   mainModule
		others []mainModule
	)
	for _, m := range mains {
		rel, err := filepath.Rel(r.source, m.Dir)
		if err != nil || !isRelativeInside(filepath.ToSlash(rel)) {
			return main, nil, errOutside(m.Path)
		}
		dir := filepath.ToSlash(rel)
		found := mainModule{path: m.Path, dir: dir, version: versionOf(m.Path, dir, r.in.Repo)}
		if m.Dir == absDir {
			main = found
		} else {
			others = append(others, found)
		}
	}
	if main.path == "" {
		return main, nil, errNotListed(files.dir)
	}
	return main, others, nil
}

// naming knows under which name and version modules and packages of one resolved module are reported.
type naming struct {
	main     mainModule
	others   []mainModule
	required []module.Version
	local    []localModule // replaced by a directory
	base     string        // what the directories in go's output are relative to
}

type localModule struct {
	path string
	dir  string // as it is reported
}

// localVersion is the directory of a replacement as it is reported: exactly as go.mod has it. In a
// workspace go names it relative to go.work; then it is made relative to the module again.
func (n naming) localVersion(dir string) string {
	if n.base == n.main.dir || isAbsolute(dir) {
		return dir
	}
	rel, err := filepath.Rel(filepath.FromSlash(n.main.dir), filepath.FromSlash(path.Join(n.base, dir)))
	if err != nil {
		return dir
	}
	rel = filepath.ToSlash(rel)
	if !strings.HasPrefix(rel, ".") {
		rel = "./" + rel
	}
	return rel
}

// module gives name and version of a dependency: a module that replaces another one goes by its own
// name, a directory by that of the module it replaces.
func (n naming) module(m moduleID) module.Version {
	switch {
	case m.Replace == nil:
		return module.Version{Path: m.Path, Version: m.Version}
	case isDirectory(m.Replace.Path):
		return module.Version{Path: m.Path, Version: n.localVersion(m.Replace.Path)}
	}
	return *m.Replace
}

// moduleID is a module as go lists it, comparable by value.
type moduleID struct {
	Path, Version string
	Main          bool
	Replace       *module.Version
}

// moduleDependencies is the list of 3.7: what packages come from, what was downloaded or vendored,
// and the rest of the workspace; each name and version once, sorted.
func (n naming) moduleDependencies(listed map[*moduleID]bool, fetched []module.Version, replacements []request.Replacement, required map[string]string) []packages.Dependency {
	all := map[module.Version]*packages.Replaced{}
	for m := range listed {
		if !m.Main {
			all[n.module(*m)] = nil
		}
	}
	for _, m := range fetched {
		if isDirectory(m.Version) {
			m.Version = n.localVersion(m.Version) // of modules.txt
		}
		all[m] = nil
	}
	for _, m := range n.others {
		all[module.Version{Path: m.path, Version: m.version}] = nil
	}
	for _, r := range replacements {
		name := r.NewName
		if name == "" {
			name = r.Name
		}
		key := module.Version{Path: name, Version: r.Version}
		if _, found := all[key]; !found {
			continue
		}
		replaced := &packages.Replaced{Name: r.Name, Type: typeModule}
		for m := range listed {
			if m.Path == r.Name && m.Replace != nil {
				replaced.Version = &m.Version
			}
		}
		if v, ok := required[r.Name]; ok && replaced.Version == nil {
			replaced.Version = &v
		}
		all[key] = replaced
	}
	var out []packages.Dependency
	for _, m := range slices.SortedFunc(maps.Keys(all), compareModules) {
		version := m.Version
		out = append(out, packages.Dependency{
			Name: m.Path, Type: typeModule, Version: &version, HasReplaces: true, Replaces: all[m],
		})
	}
	return out
}

// errMissingSum: go reports the package without a module then, which would give it a wrong version.
func errMissingSum(name string) error {
	return fault.Client(fault.InvalidRepoStructure,
		"missing go.sum entry for module providing package %s; run `go mod tidy` and commit go.sum", name)
}
