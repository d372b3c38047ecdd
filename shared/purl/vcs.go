package purl

import "strings"

// VCS is the purl of a repository at a commit: of its host where purl has a type for that, else generic.
// *Error when the host is such a one, but the URL's path has no namespace.
//
//	pkg:github/org/repo@<ref>
//	pkg:generic/name?vcs_url=https%3A%2F%2Fgitlab.com%2Fq%2Fa.git%40<ref>
func VCS(name, repo, ref string) (string, error) { return vcs(name, repo, ref, repo+"@"+ref) }

// vcs is VCS for a repository and ref that were written as version, which the error quotes.
func vcs(name, repo, ref, version string) (string, error) {
	repo = strings.TrimRight(repo, "/")
	if ref == "" {
		return "", notConvertible(version)
	}
	l, _ := locate(repo)
	forge := ""
	switch l.host {
	case "github.com":
		forge = "github"
	case "bitbucket.org":
		forge = "bitbucket"
	default:
		return "pkg:generic/" + name + "?vcs_url=" + Escape(repo+"@"+ref, ""), nil
	}
	path := strings.TrimSuffix(strings.TrimLeft(l.path, "/"), ".git")
	if at := strings.LastIndexByte(path, '/'); at <= 0 || at == len(path)-1 {
		return "", notConvertible(version)
	}
	return "pkg:" + forge + "/" + strings.ToLower(path) + "@" + ref, nil
}

// gitRequirement is the purl of "git+<scheme>://host/path@REF[#fragment]".
func gitRequirement(name, version string) (string, error) {
	text, _, _ := strings.Cut(strings.TrimPrefix(version, "git+"), "#")
	l, ok := locate(text)
	at := strings.LastIndexByte(text, '@')
	if !ok || at < l.end { // an @ before the path is behind the user's name
		return "", notConvertible(version)
	}
	return vcs(name, text[:at], text[at+1:], version)
}

// Submodule is the purl of "URL#REF"; the last # counts.
func Submodule(name string, version *string) (string, error) {
	v, err := given(version)
	if err != nil {
		return "", err
	}
	at := strings.LastIndexByte(v, '#')
	if at < 0 {
		return "", notConvertible(v)
	}
	return vcs(name, v[:at], v[at+1:], v)
}

// location is what purls take of a URL. Nothing in it is unescaped: net/url would do so, and refuses URLs
// that Cachito takes.
type location struct {
	scheme string
	host   string // lower case, without user and port
	path   string // without query and fragment
	end    int    // where the path, or what stands in its place, begins in the URL
}

// locate takes scheme://[user@]host[:port][/path][?query][#fragment] apart; false for anything else,
// git@host:path among it.
func locate(text string) (location, bool) {
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok || !isScheme(scheme) {
		return location{}, false
	}
	authority, path := rest, ""
	if at := strings.IndexAny(rest, "/?#"); at >= 0 {
		authority, path = rest[:at], rest[at:]
	}
	if at := strings.IndexAny(path, "?#"); at >= 0 {
		path = path[:at]
	}
	host := authority[strings.LastIndexByte(authority, '@')+1:]
	if !strings.HasPrefix(host, "[") { // no IPv6 address
		host, _, _ = strings.Cut(host, ":")
	}
	return location{scheme, strings.ToLower(host), path, len(scheme) + len("://") + len(authority)}, true
}

// isScheme is RFC 3986's rule: a letter, then letters, digits, "+", "-" and ".".
func isScheme(text string) bool { return startsWithLetter(text, "0123456789+-.") }
