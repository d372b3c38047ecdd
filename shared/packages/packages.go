// Package packages holds the packages data of a request: what the resolvers found, in the form that
// GET /requests/{id}/packages answers and every document (content manifest, SBOM) is made from.
package packages

// Package is one package of the repository with everything it depends on.
//
//	{"name": "example.org/m", "type": "gomod", "version": "v1.0.0", "path": "sub", "dependencies": [...]}
type Package struct {
	Name string
	Type string
	// Version is nil where the package manager knows none.
	Version *string
	// Path is the package's directory, slash-separated and relative to the repository's root;
	// empty for the root itself (then the key is left out).
	Path         string
	Dependencies []Dependency
}

// Dependency is one thing that a package needs, in one version.
type Dependency struct {
	Name string
	Type string
	// Version is nil for Go's standard library.
	Version *string
	// Dev is nil for package managers that do not know development dependencies; the key is
	// then absent on the wire.
	Dev *bool
	// Bundled is set (only) by npm.
	Bundled *bool
	// Replaces names what this stands in for, from the request's dependency_replacements.
	Replaces *Replaced
	// HasReplaces says whether the packages data has the key at all (gomod has it, go-package
	// has not); GET /requests/{id} shows null either way.
	HasReplaces bool
}

// Replaced is the dependency that a replacement took the place of.
type Replaced struct {
	Name    string  `json:"name"`
	Type    string  `json:"type"`
	Version *string `json:"version"`
}

// Data is the packages data of one request.
type Data struct {
	Packages []Package
	// Artifacts say what was fetched for dependencies, sorted by purl, each purl once. Documents alone
	// read them; no route shows them as they are.
	Artifacts []Artifact
}

// Artifact is what is known of the files that stand for a dependency.
//
//	{"purl": "pkg:npm/a@1", "sha256": ["9f86d0..."], "unverified": true}
type Artifact struct {
	PURL string `json:"purl"`
	// SHA256 of each file in the bundle, lower-case hex.
	SHA256 []string `json:"sha256,omitempty"`
	// Unverified: no lockfile held a digest of it, so what was served first was taken.
	Unverified bool `json:"unverified,omitempty"`
}
