// Package yarn describes the package manager yarn to the API: its name, options, purls and place in the
// documents. Its resolver is not part of this program yet, so it cannot be enabled.
package yarn

import (
	"github.com/cachito-serverless/cachito/shared/packages"
	"github.com/cachito-serverless/cachito/shared/purl"
	"github.com/cachito-serverless/cachito/shared/resolver"
)

// Name is the API's word for this package manager, and the type of its packages.
const Name = "yarn"

// Descriptor of the package manager.
func Descriptor() resolver.Descriptor {
	return resolver.Descriptor{
		Name: Name, Rank: 60, Options: []resolver.Option{{Name: "path"}}, Types: Rules(), RefusesReplacements: "yarn",
		Detect: func(names map[string]bool) bool { return names["yarn.lock"] },
	}
}

// Rules of yarn's packages in the documents.
func Rules() []packages.Rule {
	return []packages.Rule{{
		Type: Name, PackagePURL: resolver.RepositoryPURL,
		DependencyPURL: func(_ packages.Context, _ packages.Package, d packages.Dependency) (string, error) {
			return purl.NPM(Name, d.Name, d.Version)
		},
		Contents: packages.RuntimeContents, ManifestRank: 4,
	}}
}
