package gomod

import (
	"path"
	"slices"
	"strings"

	"github.com/cachito-serverless/cachito/shared/packages"
)

// goPackages is the list of 3.8: the packages of the main module that no package reported before has
// as a dependency, dependents first, each with everything it imports.
func (n naming) goPackages(dir string, list packageList) ([]packages.Package, error) {
	var out []packages.Package
	covered := map[handle]bool{}
	names := map[handle]*packages.Dependency{}
	for _, name := range slices.Backward(list.order) {
		entry := list.of[name]
		if entry.missingSum {
			return nil, errMissingSum(name)
		}
		if entry.module == nil || !entry.module.Main || entry.module.Path != n.main.path || covered[newHandle(name)] {
			continue
		}
		p := packages.Package{
			Name: name, Type: typePackage, Version: &n.main.version,
			Path:         subpath(path.Join(dir, strings.TrimPrefix(name, n.main.path))),
			Dependencies: make([]packages.Dependency, 0, len(entry.deps)),
		}
		for _, dep := range entry.deps {
			covered[dep] = true
			d := names[dep]
			if d == nil {
				made := packages.Dependency{Name: dep.Value(), Type: typePackage, Version: n.packageVersion(dep.Value(), list.of)}
				d = &made
				names[dep] = d
			}
			p.Dependencies = append(p.Dependencies, *d)
		}
		out = append(out, p)
	}
	return out, nil
}

// packageVersion is the version under which a package is reported as a dependency; nil for the
// standard library.
func (n naming) packageVersion(name string, all map[string]listedEntry) *string {
	entry := all[name]
	m := entry.module
	var version string
	switch {
	case entry.standard:
		return nil
	case m == nil:
		version = n.unknownVersion(name)
	case m.Main:
		version = n.main.version
		for _, other := range n.others {
			if m.Path == other.path {
				version = other.version
			}
		}
	case m.Replace != nil && isDirectory(m.Replace.Path):
		version = n.inLocal(name, m)
	case m.Replace != nil:
		version = m.Replace.Version
	default:
		version = m.Version
	}
	return &version
}

// unknownVersion is that of a package which go finds in no module: usually one that is still to be
// generated, so it belongs to the main module, unless a required module has its name.
func (n naming) unknownVersion(name string) string {
	if owner := longestCover(name, n.required, func(i int) string { return n.required[i].Path }); owner >= 0 &&
		len(n.required[owner].Path) > len(n.main.path) || owner >= 0 && !covers(n.main.path, name) {
		return n.required[owner].Version
	}
	return n.main.version
}

// inLocal is the package's directory in a module that is replaced by a directory.
func (n naming) inLocal(name string, m *moduleID) string {
	owner := longestCover(name, n.local, func(i int) string { return n.local[i].path })
	if owner < 0 {
		return n.localVersion(m.Replace.Path)
	}
	return joinLocal(n.local[owner].dir, strings.TrimPrefix(name, n.local[owner].path))
}

// joinLocal appends to a directory without cleaning it: "./a/../b" stays what go.mod says.
func joinLocal(dir, rest string) string {
	rest = strings.TrimPrefix(rest, "/")
	if rest == "" {
		return dir
	}
	return strings.TrimSuffix(dir, "/") + "/" + rest
}

// longestCover is the index of the longest module name that covers the package, or -1.
func longestCover[T any](name string, modules []T, pathOf func(i int) string) int {
	best := -1
	for i := range modules {
		if covers(pathOf(i), name) && (best < 0 || len(pathOf(i)) > len(pathOf(best))) {
			best = i
		}
	}
	return best
}
