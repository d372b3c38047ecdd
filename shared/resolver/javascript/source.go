// Package javascript holds what the package managers of the npm registry share: where a dependency comes
// from and whether that is supported, how integrity is checked, where files land in the bundle, how a
// package is read out of its archive, how a git dependency is packed, and how what was found is put together. It
// knows no lockfile; those are the managers' own.
package javascript

import (
	"net/url"
	"regexp"
	"strings"

	"github.com/cachito-serverless/cachito/shared/fault"
)

// Kind says where a dependency comes from.
type Kind int

const (
	// FromRegistry: a tarball of the public registry, whatever mirror it is really read from.
	FromRegistry Kind = iota + 1
	// FromGit: a commit of a git repository.
	FromGit
	// FromURL: a tarball anywhere else.
	FromURL
	// FromFile: a folder or file of the repository itself.
	FromFile
)

// maxSourceBytes bounds a source of a lockfile; data: URLs and worse are longer.
const maxSourceBytes = 4096

var (
	gitSchemes = []string{"git://", "git+http://", "git+https://", "git+ssh://"}
	// forges of the short form "github:namespace/name#commit", with their hosts.
	forges = map[string]string{"github": "github.com", "gitlab": "gitlab.com", "bitbucket": "bitbucket.org"}

	commitPattern = regexp.MustCompile(`^[0-9a-fA-F]{40}$`)
	// forgeSegment is a part of a forge's path; it becomes a folder of the bundle.
	forgeSegment = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9._-]*$`)
	// scpPath is the odd mixture "host:namespace/name" behind git+ssh://, where a port would be.
	scpPath = regexp.MustCompile(`^([^/:]+):([^/0-9][^:]*)$`)
)

// Classify says where a dependency comes from, by its source as the lockfile has it: a URL, or npm's short
// form of one. Faults are the client's: UnsupportedFeature for a source that is not supported.
//
//	https://registry.npmjs.org/a/-/a-1.0.0.tgz   FromRegistry (its host is one of r.Hosts)
//	https://example.org/a.tgz                    FromURL
//	git+ssh://git@host/ns/a.git#<commit>         FromGit
//	github:ns/a#<commit>                         FromGit
//	file:packages/a                              FromFile
func (r Registry) Classify(name, source string) (Kind, error) {
	switch {
	case len(source) > maxSourceBytes:
		return 0, fault.Client(fault.InvalidFileFormat, "The source of the dependency %s has %d bytes, the limit is %d", name, len(source), maxSourceBytes)
	case r.Has(source):
		return FromRegistry, nil
	case isGit(source):
		return FromGit, nil
	case strings.HasPrefix(source, "http://"), strings.HasPrefix(source, "https://"):
		return FromURL, nil
	case strings.HasPrefix(source, "file:"):
		return FromFile, nil
	}
	return 0, fault.Client(fault.UnsupportedFeature, "The dependency %s@%s is hosted in an unsupported location", name, withoutSecrets(source))
}

func isGit(source string) bool {
	for _, scheme := range gitSchemes {
		if strings.HasPrefix(source, scheme) {
			return true
		}
	}
	_, _, ok := forgeShorthand(source)
	return ok
}

// forgeShorthand splits "github:ns/name#commit" into forge and the rest.
func forgeShorthand(source string) (forge, rest string, ok bool) {
	forge, rest, _ = strings.Cut(source, ":")
	return forge, rest, forges[forge] != ""
}

// GitSource is a commit of a repository that a lockfile names.
type GitSource struct {
	// Text is the source as in the lockfile, with the commit: what is reported.
	Text string
	// URLs of the repository, in the order in which they are tried.
	URLs []string
	// Commit is 40 lower-case hex digits.
	Commit string
	// Path is the folder of the repository that is the package; empty: the root.
	Path string
	// Forge is "github/namespace/name" for the short form of three forges: the folder in the bundle; empty
	// for all others.
	Forge string
}

// ParseGit reads the source of a dependency that Classify calls FromGit. An ssh repository is tried over
// https first, because few installations have a key. The fault is the client's.
func ParseGit(name, source string) (GitSource, error) {
	at := strings.LastIndexByte(source, '#')
	odd := fault.Client(fault.InvalidFileFormat,
		"The url for the dependency %s@%s was in an unexpected format (expected <git_url>#<commit_hash>)", name, withoutSecrets(source))
	if at < 0 || !commitPattern.MatchString(source[at+1:]) {
		return GitSource{}, odd
	}
	git := GitSource{Text: source, Commit: strings.ToLower(source[at+1:])}
	location := source[:at]
	if forge, rest, ok := forgeShorthand(location); ok {
		segments := strings.Split(rest, "/")
		for _, s := range segments {
			if !forgeSegment.MatchString(s) {
				return GitSource{}, odd
			}
		}
		if len(segments) < 2 {
			return GitSource{}, odd
		}
		git.Forge = forge + "/" + rest
		location = "git+ssh://git@" + forges[forge] + "/" + strings.TrimSuffix(rest, ".git") + ".git"
	}
	location = strings.TrimPrefix(location, "git+")
	u, err := url.Parse(unscp(location))
	if err != nil || u.Hostname() == "" {
		return GitSource{}, odd
	}
	u.Fragment, u.RawFragment = "", ""
	if u.Scheme == "ssh" {
		https := *u
		https.Scheme, https.Host = "https", strings.TrimSuffix(u.Host, ":"+u.Port()) // the port is ssh's
		git.URLs = append(git.URLs, https.String())
	}
	git.URLs = append(git.URLs, u.String())
	return git, nil
}

// unscp makes a URL of "ssh://git@host:namespace/name", which git knows as two different things and npm
// writes all the same.
func unscp(location string) string {
	scheme, rest, _ := strings.Cut(location, "://")
	user, host := "", rest
	if at := strings.IndexByte(rest, '@'); at >= 0 && !strings.Contains(rest[:at], "/") {
		user, host = rest[:at+1], rest[at+1:]
	}
	if m := scpPath.FindStringSubmatch(host); scheme == "ssh" && m != nil {
		return scheme + "://" + user + m[1] + "/" + m[2]
	}
	return location
}
