package gomod

import (
	"path"
	"strings"

	"github.com/cachito-serverless/cachito/shared/packages"
	"github.com/cachito-serverless/cachito/shared/purl"
)

// Rules of modules and Go packages in the documents.
func Rules() []packages.Rule {
	return []packages.Rule{
		{Type: typeModule, PackagePURL: ownPURL, DependencyPURL: modulePURL},
		{
			Type: typePackage, PackagePURL: ownPURL, DependencyPURL: packagePURL, DependencyVersion: packageVersion,
			Contents: packageContents, ManifestRank: 1,
		},
	}
}

func ownPURL(_ packages.Context, p packages.Package) (string, error) {
	return purl.Golang(p.Name, packages.Deref(p.Version)), nil
}

func isLocal(d packages.Dependency) bool { return strings.HasPrefix(packages.Deref(d.Version), ".") }

// modules are the names of the request's modules, with their packages.
func modules(c packages.Context) (names []string, byName map[string]packages.Package) {
	byName = map[string]packages.Package{}
	for _, p := range c.Packages {
		if p.Type == typeModule {
			names = append(names, p.Name)
			byName[p.Name] = p
		}
	}
	return names, byName
}

// modulePURL of a module that a directory of the repository stands for is the purl of the module that
// contains it, with the rest of the way behind "#".
func modulePURL(c packages.Context, owner packages.Package, d packages.Dependency) (string, error) {
	if !isLocal(d) {
		return purl.Golang(d.Name, packages.Deref(d.Version)), nil
	}
	names, byName := modules(c)
	for _, name := range []string{d.Name, path.Join(owner.Name, *d.Version)} {
		if parent, ok := packages.Parent(name, names); ok {
			text := purl.Golang(parent, packages.Deref(byName[parent].Version))
			if rest := strings.TrimPrefix(strings.TrimPrefix(name, parent), "/"); rest != "" {
				text += "#" + rest
			}
			return text, nil
		}
	}
	return "", noParent(d.Name)
}

// packagePURL of a package in a directory that stands for a module: in a module of the request an
// ordinary purl with that module's version, else the depending module's with the way behind "#".
func packagePURL(c packages.Context, owner packages.Package, d packages.Dependency) (string, error) {
	if !isLocal(d) {
		return purl.Golang(d.Name, packages.Deref(d.Version)), nil
	}
	names, byName := modules(c)
	if parent, ok := packages.Parent(d.Name, names); ok {
		return purl.Golang(d.Name, packages.Deref(byName[parent].Version)), nil
	}
	if of, ok := packages.Parent(owner.Name, names); ok {
		way := path.Join(of, *d.Version)
		if parent, ok := packages.Parent(way, names); ok {
			rest := strings.TrimPrefix(strings.TrimPrefix(way, parent), "/")
			if rest == "" {
				rest = "."
			}
			return purl.Golang(parent, packages.Deref(byName[parent].Version)) + "#" + rest, nil
		}
	}
	return "", noParent(d.Name)
}

func noParent(name string) error {
	return &purl.Error{Message: "Could not find parent Go module for package: " + name}
}

// packageVersion shows a local package that lies in a module of the request with that module's version.
func packageVersion(c packages.Context, _ packages.Package, d packages.Dependency) *string {
	if isLocal(d) {
		names, byName := modules(c)
		if parent, ok := packages.Parent(d.Name, names); ok {
			return byName[parent].Version
		}
	}
	return d.Version
}

// packageContents: a Go package is built from its dependencies, and its sources are the modules that its
// own module needs.
func packageContents(c packages.Context, p packages.Package) (dependencies, sources []packages.Owned) {
	names, byName := modules(c)
	if parent, ok := packages.Parent(p.Name, names); ok {
		sources = byName[parent].Own()
	}
	return p.Own(), sources
}
