package generic

import (
	"path"
	"strings"

	"github.com/cachito-serverless/cachito/shared/packages"
	"github.com/cachito-serverless/cachito/shared/purl"
	"github.com/cachito-serverless/cachito/shared/resolver"
)

// Name is the API's word for this package manager, and the type of its packages.
const Name = "generic"

// Descriptor of the package manager.
func Descriptor() resolver.Descriptor {
	return resolver.Descriptor{
		Name: Name, Rank: 90, OptIn: true, Options: []resolver.Option{{Name: "path"}, {Name: "lockfile"}}, Types: Rules(), RefusesReplacements: Name,
		Detect:  func(names map[string]bool) bool { return names[lockfileName] },
		Version: "1", New: New,
	}
}

// Rules of artifacts in the documents.
func Rules() []packages.Rule {
	return []packages.Rule{{
		Type: Name, PackagePURL: resolver.RepositoryPURL, DependencyPURL: dependencyPURL,
		DependencyVersion: func(_ packages.Context, _ packages.Package, d packages.Dependency) *string {
			if _, _, c := splitVersion(packages.Deref(d.Version)); c != nil {
				return &c.version
			}
			return nil
		},
		Contents: packages.AllContents, ManifestRank: 8,
	}}
}

// A dependency's version is its URL with what is known of it in the fragment, as that of pip's URLs:
//
//	https://example.org/a.zip#cachito_hash=sha256:<hex>
//	https://example.org/m2/org/ant/1.0/ant-1.0.jar#cachito_hash=sha256:<hex>&maven=org:ant:jar::1.0
const (
	hashMark  = "#cachito_hash="
	mavenMark = "&maven="
)

// reportedVersion is the version as the packages data has it.
func (a artifact) reportedVersion() string {
	text := a.url + hashMark + a.digest.String()
	if c := a.maven; c != nil {
		text += mavenMark + strings.Join([]string{c.group, c.artifact, c.kind, c.classifier, c.version}, ":")
	}
	return text
}

// splitVersion takes a version apart; c is nil for what is no Maven artifact.
func splitVersion(version string) (url, checksum string, c *coordinates) {
	at := strings.LastIndex(version, hashMark)
	if at < 0 {
		return version, "", nil
	}
	url = version[:at]
	checksum, maven, ok := strings.Cut(version[at+len(hashMark):], mavenMark)
	if parts := strings.Split(maven, ":"); ok && len(parts) == 5 {
		c = &coordinates{group: parts[0], artifact: parts[1], kind: parts[2], classifier: parts[3], version: parts[4]}
		c.repository = strings.TrimSuffix(url, "/"+c.path())
	}
	return url, checksum, c
}

// dependencyPURL is what Hermeto makes:
//
//	pkg:generic/a.zip?checksum=sha256:<hex>&download_url=https://example.org/a.zip
//	pkg:maven/org/ant@1.0?checksum=sha256:<hex>&repository_url=https://example.org/m2&type=jar
func dependencyPURL(_ packages.Context, _ packages.Package, d packages.Dependency) (string, error) {
	url, checksum, c := splitVersion(packages.Deref(d.Version))
	if c == nil {
		return "pkg:generic/" + purl.Escape(d.Name, "") + "?checksum=" + checksum + "&download_url=" + purl.Escape(url, "/:"), nil
	}
	text := "pkg:maven/" + purl.Escape(c.group, "") + "/" + purl.Escape(c.artifact, "") + "@" + purl.Escape(c.version, "") + "?checksum=" + checksum
	if c.classifier != "" {
		text += "&classifier=" + purl.Escape(c.classifier, "")
	}
	return text + "&repository_url=" + purl.Escape(c.repository, "/:") + "&type=" + purl.Escape(c.kind, ""), nil
}

// dependency is what an artifact is reported as.
func (a artifact) dependency() packages.Dependency {
	version := a.reportedVersion()
	name := path.Base(a.filename)
	if a.maven != nil {
		name = a.maven.artifact
	}
	return packages.Dependency{Name: name, Type: Name, Version: &version}
}
