package pnpm

import (
	"strings"

	"github.com/cachito-serverless/cachito/shared/packages"
	"github.com/cachito-serverless/cachito/shared/purl"
	"github.com/cachito-serverless/cachito/shared/resolver"
)

const (
	// jsrScope is the scope under which JSR offers its packages to npm's clients: @luca/cases is
	// @jsr/luca__cases there (https://jsr.io/docs/npm-compatibility).
	jsrScope = "@jsr"
	// jsrURL identifies that registry in purls, whatever mirror it is read from.
	jsrURL = "https://npm.jsr.io"
)

// Rules of pnpm's packages in the documents.
func Rules() []packages.Rule {
	return []packages.Rule{{
		Type: Name, PackagePURL: resolver.RepositoryPURL,
		DependencyPURL: func(_ packages.Context, _ packages.Package, d packages.Dependency) (string, error) {
			return dependencyPURL(d.Name, d.Version)
		},
		Contents: packages.RuntimeContents, ManifestRank: 10,
	}}
}

// dependencyPURL is that of npm's packages, but JSR's have their real name and their registry.
//
//	@jsr/luca__cases 1.0.0 -> pkg:npm/%40luca/cases@1.0.0?repository_url=https://npm.jsr.io
func dependencyPURL(name string, version *string) (string, error) {
	text, err := purl.NPM(Name, jsrName(name), version)
	if err == nil && jsrName(name) != name && strings.HasPrefix(text, "pkg:npm/") {
		text += "?repository_url=" + jsrURL
	}
	return text, err
}

// jsrName is the name on JSR of a package of the scope @jsr; other names stay.
func jsrName(name string) string {
	rest, ok := strings.CutPrefix(name, jsrScope+"/")
	scope, base, split := strings.Cut(rest, "__")
	if !ok || !split {
		return name
	}
	return "@" + scope + "/" + base
}
