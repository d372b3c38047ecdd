package rubygems

import (
	"path"
	"strings"

	"github.com/cachito-serverless/cachito/shared/packages"
	"github.com/cachito-serverless/cachito/shared/purl"
	"github.com/cachito-serverless/cachito/shared/resolver"
)

// Name is the API's word for this package manager, and the type of its packages.
const Name = "rubygems"

// Descriptor of the package manager.
func Descriptor() resolver.Descriptor {
	return resolver.Descriptor{
		Name: Name, Rank: 40, Options: []resolver.Option{{Name: "path"}}, Types: Rules(), RefusesReplacements: "RubyGems",
		Detect:  func(names map[string]bool) bool { return names[lockfileName] },
		Version: "3", New: New,
	}
}

// Rules of gems in the documents.
func Rules() []packages.Rule {
	return []packages.Rule{{
		Type: Name, PackagePURL: resolver.RepositoryPURL, DependencyPURL: dependencyPURL,
		Contents: packages.AllContents, ManifestRank: 5,
	}}
}

// dependencyPURL of a gem in the repository itself is the repository's, with the gem's path behind "#" unless the gem is
// the whole repository.
func dependencyPURL(c packages.Context, owner packages.Package, d packages.Dependency) (string, error) {
	version := packages.Deref(d.Version)
	if !strings.HasPrefix(version, "./") && !strings.HasPrefix(version, "../") && version != ".." {
		return purl.Gem(d.Name, d.Version)
	}
	text, err := purl.VCS(owner.Name, c.Repo, c.Ref)
	if err != nil {
		return "", err
	}
	if place := path.Join(owner.Path, version); place != "" && place != "." {
		text += "#" + place
	}
	return text, nil
}
