package purl

import (
	"net/url"
	"strings"
)

// NormalizePyPI is a Python project's name in purls: lower case, every run of characters outside
// a-z 0-9 . is one "-".
func NormalizePyPI(name string) string {
	var b strings.Builder
	dash := false
	for _, r := range strings.ToLower(name) {
		if 'a' <= r && r <= 'z' || '0' <= r && r <= '9' || r == '.' {
			b.WriteRune(r)
			dash = false
		} else if !dash {
			b.WriteByte('-')
			dash = true
		}
	}
	return b.String()
}

// PyPI is the purl of a Python dependency: of the index, a git repository, or a URL with its checksum
// in the fragment.
//
//	2.24.0                                          pkg:pypi/requests@2.24.0
//	git+https://github.com/quay/appr@abc            pkg:github/quay/appr@abc
//	https://host/x.tar.gz#cachito_hash=sha256:ab    pkg:generic/x?download_url=https%3A%2F%2F...&checksum=sha256:ab
func PyPI(name string, version *string) (string, error) {
	v, err := given(version)
	if err != nil {
		return "", err
	}
	scheme, _, hasScheme := strings.Cut(v, ":")
	switch {
	case !hasScheme || !isScheme(scheme): // a URL may do without slashes: file:./x
		return "pkg:pypi/" + NormalizePyPI(name) + "@" + v, nil
	case strings.HasPrefix(scheme, "git+"):
		return gitRequirement(name, v)
	}
	checksum := cachitoHash(v)
	if checksum == "" {
		return "", notConvertible(v)
	}
	return "pkg:generic/" + NormalizePyPI(name) + "?download_url=" + Escape(v, "") + "&checksum=" + checksum, nil
}

// cachitoHash is the value of cachito_hash in a URL's fragment, unescaped once; empty when there is none.
func cachitoHash(version string) string {
	_, fragment, _ := strings.Cut(version, "#")
	for _, part := range strings.Split(fragment, "&") {
		if value, ok := strings.CutPrefix(part, "cachito_hash="); ok {
			if plain, err := url.QueryUnescape(value); err == nil && plain != "" {
				return plain
			}
		}
	}
	return ""
}
