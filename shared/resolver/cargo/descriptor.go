package cargo

import (
	"strings"

	"github.com/cachito-serverless/cachito/shared/packages"
	"github.com/cachito-serverless/cachito/shared/purl"
	"github.com/cachito-serverless/cachito/shared/resolver"
	"github.com/cachito-serverless/cachito/shared/resolver/cargo/crate"
)

// Name is the API's word for this package manager, and the type of its packages.
const Name = crate.Type

// Descriptor of the package manager.
func Descriptor() resolver.Descriptor {
	return resolver.Descriptor{
		Name: Name, Rank: 80, OptIn: true, Options: []resolver.Option{{Name: "path"}}, Types: Rules(), RefusesReplacements: Name,
		Detect:  func(names map[string]bool) bool { return names[lockfileName] },
		Version: "1", New: New,
	}
}

// Files of a package.
const (
	lockfileName = "Cargo.lock"
	manifestName = "Cargo.toml"
)

// Rules of crates in the documents; those of Python's Rust extensions among them.
func Rules() []packages.Rule {
	return []packages.Rule{{
		Type: Name,
		PackagePURL: func(c packages.Context, p packages.Package) (string, error) {
			return repositoryPURL(c, p.Name, packages.Deref(p.Version), p.Path), nil
		},
		DependencyPURL: dependencyPURL,
		DependencyVersion: func(_ packages.Context, _ packages.Package, d packages.Dependency) *string {
			_, version := splitVersion(packages.Deref(d.Version))
			return &version
		},
		Contents: packages.AllContents, ManifestRank: 7,
	}}
}

// A dependency's version says where it comes from, unless that is crates.io. It has the form of cargo's own
// package ids (https://doc.rust-lang.org/cargo/reference/pkgid-spec.html), with git's commit:
//
//	1.0.200                                      crates.io
//	sparse+https://example.org/index/#1.0.200    another registry; also registry+https://..
//	git+https://example.org/r@<commit>#1.0.200
//	path+crates/core#0.1.0                       a package of the repository, by its folder
const (
	fromGit    = "git+"
	fromPath   = "path+"
	fromIndex  = "registry+" // a registry whose index is a git repository
	fromSparse = "sparse+"   // one whose index is asked over HTTP
)

// splitVersion gives the source, "" for crates.io, and the version proper.
func splitVersion(version string) (source, plain string) {
	at := strings.LastIndexByte(version, '#')
	if at < 0 {
		return "", version
	}
	return version[:at], version[at+1:]
}

// dependencyPURL is what Hermeto makes, without its checksum, which documents show in its own place:
//
//	pkg:cargo/libc@0.2.150
//	pkg:cargo/libc@0.2.150?repository_url=https://example.org/index/
//	pkg:cargo/rand@0.8.4?vcs_url=git%2Bhttps://github.com/rust-random/rand%40<commit>
//	pkg:cargo/core@0.1.0?vcs_url=git%2B<repository>%40<ref>#crates/core
func dependencyPURL(c packages.Context, _ packages.Package, d packages.Dependency) (string, error) {
	source, version := splitVersion(packages.Deref(d.Version))
	switch {
	case strings.HasPrefix(source, fromPath):
		dir := strings.TrimPrefix(source, fromPath)
		if dir == "." {
			dir = ""
		}
		return repositoryPURL(c, d.Name, version, dir), nil
	case strings.HasPrefix(source, fromGit):
		return crate.PURL(d.Name, version) + "?vcs_url=" + escapeURL(source), nil
	case source != "":
		url := strings.TrimPrefix(strings.TrimPrefix(source, fromIndex), fromSparse)
		return crate.PURL(d.Name, version) + "?repository_url=" + escapeURL(url), nil
	}
	return crate.PURL(d.Name, version), nil
}

// repositoryPURL is the purl of a package of the request's repository.
func repositoryPURL(c packages.Context, name, version, dir string) string {
	text := "pkg:" + Name + "/" + purl.Escape(name, "")
	if version != "" {
		text += "@" + purl.Escape(version, "")
	}
	text += "?vcs_url=" + escapeURL(fromGit+c.Repo+"@"+c.Ref)
	if dir != "" {
		text += "#" + purl.Escape(dir, "/")
	}
	return text
}

// escapeURL escapes a qualifier's value as Hermeto does: "/" and ":" stay.
func escapeURL(text string) string { return purl.Escape(text, "/:") }
