package gitsubmodule

import (
	"github.com/cachito-serverless/cachito/shared/packages"
	"github.com/cachito-serverless/cachito/shared/purl"
)

// Rules of submodules in the documents: each stands for itself.
func Rules() []packages.Rule {
	return []packages.Rule{{
		Type: Name,
		PackagePURL: func(_ packages.Context, p packages.Package) (string, error) {
			return purl.Submodule(p.Name, p.Version)
		},
		DependencyPURL: func(_ packages.Context, _ packages.Package, d packages.Dependency) (string, error) {
			return purl.Submodule(d.Name, d.Version)
		},
		Contents: packages.NoContents, ManifestRank: 6,
	}}
}
