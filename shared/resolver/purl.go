package resolver

import (
	"github.com/cachito-serverless/cachito/shared/packages"
	"github.com/cachito-serverless/cachito/shared/purl"
)

// RepositoryPURL is the purl of a package that is part of the request's repository: the repository's, with
// the package's directory behind "#".
func RepositoryPURL(c packages.Context, p packages.Package) (string, error) {
	text, err := purl.VCS(p.Name, c.Repo, c.Ref)
	if err != nil {
		return "", err
	}
	if p.Path != "" {
		text += "#" + p.Path
	}
	return text, nil
}
