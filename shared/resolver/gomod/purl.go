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

// moduleOf finds the module of the request that name lies in: the longest whose name covers it.
func moduleOf(c packages.Context, name string) (*packages.Package, bool) {
	var best *packages.Package
	for i := range c.Packages {
		p := &c.Packages[i]
		if p.Type == typeModule && covers(p.Name, name) && (best == nil || len(p.Name) >= len(best.Name)) {
			best = p
		}
	}
	return best, best != nil
}

// below is the way from a module to a name that it covers: "" for the module itself.
func below(m *packages.Package, name string) string {
	return strings.TrimPrefix(strings.TrimPrefix(name, m.Name), "/")
}

// modulePURL of a module that a directory of the repository stands for is the purl of the module that
// contains it, with the rest of the way behind "#".
func modulePURL(c packages.Context, owner packages.Package, d packages.Dependency) (string, error) {
	if !isLocal(d) {
		return purl.Golang(d.Name, packages.Deref(d.Version)), nil
	}
	for _, name := range []string{d.Name, path.Join(owner.Name, *d.Version)} {
		if parent, ok := moduleOf(c, name); ok {
			text := purl.Golang(parent.Name, packages.Deref(parent.Version))
			if rest := below(parent, name); rest != "" {
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
	if parent, ok := moduleOf(c, d.Name); ok {
		return purl.Golang(d.Name, packages.Deref(parent.Version)), nil
	}
	if of, ok := moduleOf(c, owner.Name); ok {
		way := path.Join(of.Name, *d.Version)
		if parent, ok := moduleOf(c, way); ok {
			rest := below(parent, way)
			if rest == "" {
				rest = "."
			}
			return purl.Golang(parent.Name, packages.Deref(parent.Version)) + "#" + rest, nil
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
		if parent, ok := moduleOf(c, d.Name); ok {
			return parent.Version
		}
	}
	return d.Version
}

// packageContents: a Go package is built from its dependencies, and its sources are the modules that its
// own module needs.
func packageContents(c packages.Context, p packages.Package) (dependencies, sources []packages.Owned) {
	if parent, ok := moduleOf(c, p.Name); ok {
		sources = parent.Own()
	}
	return p.Own(), sources
}
