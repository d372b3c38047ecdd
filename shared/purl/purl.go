// Package purl makes package URLs (https://github.com/package-url/purl-spec) in Cachito's spelling, which
// clients compare byte for byte: what is percent-encoded and what is not is part of the contract. It knows
// the purl types, not the package managers; those combine its functions in their descriptors.
package purl

import (
	"fmt"
	"net/url"
	"strings"
)

// Error says that no purl can be made; its text is shown to the client.
type Error struct{ Message string }

func (e *Error) Error() string { return e.Message }

func errorf(format string, args ...any) error { return &Error{fmt.Sprintf(format, args...)} }

const hexDigits = "0123456789ABCDEF"

// Escape percent-encodes every byte but A-Z a-z 0-9 _ . - ~ and those in keep.
func Escape(text, keep string) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("_.-~", c) >= 0, strings.IndexByte(keep, c) >= 0:
			b.WriteByte(c)
		default:
			b.WriteByte('%')
			b.WriteByte(hexDigits[c>>4])
			b.WriteByte(hexDigits[c&15])
		}
	}
	return b.String()
}

// Golang is the purl of a Go module or package; version may be empty (the standard library).
//
//	pkg:golang/golang.org%2Fx%2Ftext@v0.3.0
func Golang(name, version string) string {
	p := "pkg:golang/" + Escape(name, "")
	if version != "" {
		p += "@" + version
	}
	return p
}

// VCS is the purl of a repository at a commit: of its host where purl has a type for that, else generic.
//
//	pkg:github/org/repo@<ref>
//	pkg:generic/name?vcs_url=https%3A%2F%2Fgitlab.com%2Fq%2Fa.git%40<ref>
func VCS(name, repo, ref string) string {
	repo = strings.TrimRight(repo, "/")
	if u, err := url.Parse(repo); err == nil {
		host := strings.ToLower(u.Hostname())
		path := strings.ToLower(strings.TrimSuffix(strings.TrimLeft(u.Path, "/"), ".git"))
		switch host {
		case "github.com":
			return "pkg:github/" + path + "@" + ref
		case "bitbucket.org":
			return "pkg:bitbucket/" + path + "@" + ref
		}
	}
	return "pkg:generic/" + name + "?vcs_url=" + Escape(repo+"@"+ref, "")
}

// NPM is the purl of what npm or yarn installs; kind is the manager's name in messages.
func NPM(kind, name, version string) (string, error) {
	scheme, rest, hasScheme := strings.Cut(version, ":")
	switch {
	case version == "":
		return "", errorf("Could not convert version %s to purl", version)
	case !hasScheme:
		return "pkg:npm/" + Escape(name, "/") + "@" + version, nil
	case scheme == "file":
		path := rest
		if u, err := url.Parse(version); err == nil && strings.HasPrefix(rest, "//") {
			path = u.Path
		}
		path, _, _ = strings.Cut(path, "#")
		path, _, _ = strings.Cut(path, "?")
		return "pkg:generic/" + Escape(name, "/") + "?file=" + Escape(path, ""), nil
	case !strings.HasPrefix(rest, "//"):
		path, ref, ok := strings.Cut(rest, "#")
		at := strings.LastIndex(path, "/")
		if !ok || ref == "" || at <= 0 || at == len(path)-1 {
			return "", errorf("Could not convert version %s to purl", version)
		}
		return "pkg:" + scheme + "/" + path + "@" + ref, nil
	case scheme == "git" || scheme == "git+http" || scheme == "git+https" || scheme == "git+ssh":
		return "pkg:generic/" + Escape(name, "/") + "?vcs_url=" + Escape(version, ""), nil
	case scheme == "http" || scheme == "https":
		return "pkg:generic/" + Escape(name, "/") + "?download_url=" + Escape(version, ""), nil
	}
	return "", errorf("Unknown protocol in %s package version: %s", kind, version)
}

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
func PyPI(name, version string) (string, error) {
	scheme, rest, _ := strings.Cut(version, "://")
	switch {
	case version == "":
		return "", errorf("Could not convert version %s to purl", version)
	case rest == "":
		return "pkg:pypi/" + NormalizePyPI(name) + "@" + version, nil
	case strings.HasPrefix(scheme, "git+"):
		return gitRequirement(name, version)
	}
	_, fragment, _ := strings.Cut(version, "#")
	checksum := ""
	for _, part := range strings.Split(fragment, "&") {
		if value, ok := strings.CutPrefix(part, "cachito_hash="); ok {
			if plain, err := url.QueryUnescape(value); err == nil {
				checksum = plain
			}
		}
	}
	if checksum == "" {
		return "", errorf("Could not convert version %s to purl", version)
	}
	return "pkg:generic/" + NormalizePyPI(name) + "?download_url=" + Escape(version, "") + "&checksum=" + checksum, nil
}

// gitRequirement is the purl of "git+<scheme>://host/path@REF[#fragment]".
func gitRequirement(name, version string) (string, error) {
	text, _, _ := strings.Cut(strings.TrimPrefix(version, "git+"), "#")
	at := strings.LastIndex(text, "@")
	if at < 0 || !vcsPathKnown(text[:at]) {
		return "", errorf("Could not convert version %s to purl", version)
	}
	return VCS(name, text[:at], text[at+1:]), nil
}

// vcsPathKnown: a repository on a host with a purl type of its own needs a namespace and a name.
func vcsPathKnown(repo string) bool {
	u, err := url.Parse(repo)
	if err != nil {
		return true
	}
	switch strings.ToLower(u.Hostname()) {
	case "github.com", "bitbucket.org":
		return strings.Contains(strings.Trim(u.Path, "/"), "/")
	}
	return true
}

// Gem is the purl of a Ruby gem from a registry or a git repository.
func Gem(name, version string) (string, error) {
	if strings.HasPrefix(version, "git+") {
		return gitRequirement(name, version)
	}
	return "pkg:gem/" + name + "@" + version, nil
}

// Submodule is the purl of "URL#REF".
func Submodule(name, version string) (string, error) {
	at := strings.LastIndex(version, "#")
	if at < 0 || !vcsPathKnown(version[:at]) {
		return "", errorf("Could not convert version %s to purl", version)
	}
	return VCS(name, version[:at], version[at+1:]), nil
}
