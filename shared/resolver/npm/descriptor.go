// Package npm describes the package manager npm to the API: its name, options, purls and place in the
// documents. Its resolver is not part of this program yet, so it cannot be enabled.
package npm

import (
	"github.com/cachito-serverless/cachito/shared/packages"
	"github.com/cachito-serverless/cachito/shared/purl"
	"github.com/cachito-serverless/cachito/shared/resolver"
)

// Name is the API's word for this package manager, and the type of its packages.
const Name = "npm"

// Descriptor of the package manager.
func Descriptor() resolver.Descriptor {
	return resolver.Descriptor{
		Name: Name, Rank: 20, Options: []resolver.Option{{Name: "path"}}, Types: Rules(), RefusesReplacements: "npm",
		Detect: func(names map[string]bool) bool { return names["package-lock.json"] || names["npm-shrinkwrap.json"] },
	}
}

// Rules of npm's packages in the documents.
func Rules() []packages.Rule {
	return []packages.Rule{{
		Type: Name, PackagePURL: resolver.RepositoryPURL,
		DependencyPURL: func(_ packages.Context, _ packages.Package, d packages.Dependency) (string, error) {
			return purl.NPM(Name, d.Name, d.Version)
		},
		Contents: packages.RuntimeContents, ManifestRank: 2,
	}}
}
