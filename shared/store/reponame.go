package store

import "strings"

// RepoName is the repository name by which Latest finds a request: the path of the repository's URL
// without slashes at its ends and without one final ".git".
//
//	https://github.com/org/eggs.git   org/eggs
//	git@github.com:org/eggs           git@github.com:org/eggs (no URL, so nothing to take a path of)
func RepoName(repo string) string {
	rest := repo
	if scheme, after, ok := strings.Cut(repo, ":"); ok && isScheme(scheme) {
		rest = after
	}
	if after, ok := strings.CutPrefix(rest, "//"); ok {
		rest = ""
		if i := strings.IndexAny(after, "/?#"); i >= 0 {
			rest = after[i:]
		}
	}
	if i := strings.IndexAny(rest, "?#"); i >= 0 {
		rest = rest[:i]
	}
	return strings.TrimSuffix(strings.Trim(rest, "/"), ".git")
}

// isScheme reports whether s may stand before the colon of a URL (RFC 3986, 3.1).
func isScheme(s string) bool {
	for i, c := range []byte(s) {
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		later := '0' <= c && c <= '9' || strings.IndexByte("+-.", c) >= 0 // not as the first one
		if !letter && (i == 0 || !later) {
			return false
		}
	}
	return s != ""
}
