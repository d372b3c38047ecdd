package purl

import "strings"

// NPM is the purl of what npm or yarn installs; kind is the manager's name in messages.
//
//	4.17.21                   pkg:npm/%40types/events@4.17.21
//	file:./dir                pkg:generic/name?file=.%2Fdir
//	github:org/repo#abc       pkg:github/org/repo@abc
//	git+ssh://host/repo#abc   pkg:generic/name?vcs_url=git%2Bssh%3A%2F%2Fhost%2Frepo%23abc
//	https://host/p.tgz        pkg:generic/name?download_url=https%3A%2F%2Fhost%2Fp.tgz
func NPM(kind, name string, version *string) (string, error) {
	v, err := given(version)
	if err != nil {
		return "", err
	}
	scheme, rest, hasScheme := strings.Cut(v, ":")
	generic := "pkg:generic/" + Escape(name, "/")
	switch {
	case !hasScheme:
		return "pkg:npm/" + Escape(name, "/") + "@" + v, nil
	case scheme == "file":
		return generic + "?file=" + Escape(filePath(v), ""), nil
	case !strings.HasPrefix(rest, "//"):
		return forgeShorthand(scheme, rest, v)
	case scheme == "git", scheme == "git+http", scheme == "git+https", scheme == "git+ssh":
		return generic + "?vcs_url=" + Escape(v, ""), nil
	case scheme == "http", scheme == "https":
		return generic + "?download_url=" + Escape(v, ""), nil
	}
	return "", errorf("Unknown protocol in %s package version: %s", kind, v)
}

// filePath is the path of a file: URL, without host, query and fragment; not unescaped.
func filePath(version string) string {
	if l, ok := locate(version); ok {
		return l.path
	}
	path := strings.TrimPrefix(version, "file:")
	if at := strings.IndexAny(path, "?#"); at >= 0 {
		path = path[:at]
	}
	return path
}

// forgeShorthand is the purl of "github:namespace/name#ref", whatever the forge's name. A version without
// one of these parts ("workspace:*", "npm:other@1.0.0") has no purl.
func forgeShorthand(forge, rest, version string) (string, error) {
	path, ref, _ := strings.Cut(rest, "#")
	at := strings.LastIndexByte(path, '/')
	isName := forge != "" && strings.IndexFunc(forge, func(r rune) bool { return r >= 0x80 || !isWord(byte(r)) }) < 0
	if !isName || ref == "" || at <= 0 || at == len(path)-1 {
		return "", notConvertible(version)
	}
	return "pkg:" + forge + "/" + path + "@" + ref, nil
}
