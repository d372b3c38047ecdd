package pip

import (
	"github.com/cachito-serverless/cachito/shared/packages"
	"github.com/cachito-serverless/cachito/shared/purl"
	"github.com/cachito-serverless/cachito/shared/resolver"
)

// Name is the API's word for this package manager, and the type of its packages.
const Name = "pip"

// Descriptor of the package manager.
func Descriptor() resolver.Descriptor {
	return resolver.Descriptor{
		Name: Name, Rank: 30,
		Options: []resolver.Option{
			{Name: "path"},
			{Name: "requirements_files", List: true},
			{Name: "requirements_build_files", List: true},
			{Name: "binary", Properties: []string{"packages", "arch", "os", "py_version", "py_impl", "abi", "platform"}, Extension: true},
		},
		Types: Rules(), RefusesReplacements: "pip",
		Detect:  func(names map[string]bool) bool { return names[defaultFile] },
		Version: "3",
		New:     New,
	}
}

// Rules of pip's packages in the documents. Crates of Rust extensions have the rule of the manager cargo.
func Rules() []packages.Rule {
	return []packages.Rule{{
		Type: Name, PackagePURL: resolver.RepositoryPURL,
		DependencyPURL: func(_ packages.Context, _ packages.Package, d packages.Dependency) (string, error) {
			return purl.PyPI(d.Name, d.Version)
		},
		Contents: packages.RuntimeContents, ManifestRank: 3,
	}}
}
