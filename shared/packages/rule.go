package packages

// Rule says what the documents (content manifest, SBOM) make of one package type.
type Rule struct {
	// Type on the wire: "gomod", "go-package".
	Type string
	// PackagePURL makes the purl of a package of the repository.
	PackagePURL func(c Context, p Package) (string, error)
	// DependencyPURL makes the purl of a dependency of owner.
	DependencyPURL func(c Context, owner Package, d Dependency) (string, error)
	// DependencyVersion is the version shown in the SBOM; nil: the stored one.
	DependencyVersion func(c Context, owner Package, d Dependency) *string
	// Contents gives the dependencies and sources of a package in the content manifest;
	// nil: packages of this type have no entry.
	Contents func(c Context, p Package) (dependencies, sources []Owned)
	// ManifestRank orders entries of equal purl in the content manifest.
	ManifestRank int
}

// Context is what a purl may depend on besides the package: the request it belongs to.
type Context struct {
	Repo     string
	Ref      string
	Packages []Package
}

// Owned is a dependency with the package that has it. Neither may be changed: they are the packages data
// itself, because lists of them are made for every package.
type Owned struct {
	Owner      *Package
	Dependency *Dependency
}
