package cargo

import (
	"net/url"
	"path"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/resolver/cargo/crate"
)

// source is where a lockfile says that a package comes from.
//
//	registry+https://github.com/rust-lang/crates.io-index
//	sparse+https://example.org/index/
//	git+https://example.org/r?branch=main#<commit>
type source struct {
	// kind is fromGit, fromIndex or fromSparse; "" for crates.io.
	kind string
	// url without query and fragment.
	url string
	// refKind of git: "rev", "branch", "tag"; "" for the default branch.
	refKind, ref string
	commit       string // 40 lower-case hex digits
}

var commitPattern = regexp.MustCompile(`^[0-9a-fA-F]{40}$`)

// parseSource reads a lockfile's source. Faults: InvalidFileFormat and UnsupportedFeature, client.
func parseSource(l crate.Locked, shown string) (source, error) {
	if crate.IsCratesIO(l.Source) {
		return source{}, nil
	}
	s := source{}
	for _, kind := range []string{fromGit, fromIndex, fromSparse} {
		if strings.HasPrefix(l.Source, kind) {
			s.kind = kind
		}
	}
	u, err := url.Parse(strings.TrimPrefix(l.Source, s.kind))
	if s.kind == "" || err != nil || u.Host == "" || u.Opaque != "" {
		return source{}, fault.Client(fault.InvalidFileFormat, "%s: the package %.100s %.100s has the source %.200q, which cargo does not write", shown, l.Name, l.Version, withoutUser(l.Source))
	}
	switch {
	case u.Scheme == "https" || u.Scheme == "http":
		if u.User != nil {
			return source{}, fault.Client(fault.UnsupportedFeature,
				"%s: the source of %s %s holds user info, which does not belong into a repository; credentials are configured on the server: %s", shown, l.Name, l.Version, u.Redacted())
		}
	case s.kind != fromSparse && (u.Scheme == "ssh" || u.Scheme == "git"):
		if _, ok := u.User.Password(); ok {
			return source{}, fault.Client(fault.UnsupportedFeature, "%s: the source of %s %s holds a password, which does not belong into a repository: %s", shown, l.Name, l.Version, u.Redacted())
		}
	default:
		return source{}, fault.Client(fault.UnsupportedFeature, "%s: the package %s %s is hosted in an unsupported location: %s", shown, l.Name, l.Version, l.Source)
	}
	if s.kind != fromGit {
		s.url = u.String()
		return s, nil
	}
	s.commit = strings.ToLower(u.Fragment)
	if !commitPattern.MatchString(s.commit) {
		return source{}, fault.Client(fault.InvalidFileFormat, "%s: the source of %s %s has no commit (expected git+<url>#<commit>): %s", shown, l.Name, l.Version, l.Source)
	}
	query := u.Query()
	for _, kind := range []string{"branch", "tag", "rev"} {
		if query.Has(kind) {
			s.refKind, s.ref = kind, query.Get(kind)
		}
	}
	if !utf8.ValidString(s.ref) || strings.ContainsFunc(s.ref, func(c rune) bool { return c < ' ' || c == 0x7f }) {
		return source{}, fault.Client(fault.InvalidFileFormat, "%s: the source of %s %s names no branch, tag or commit: %s", shown, l.Name, l.Version, l.Source)
	}
	u.RawQuery, u.ForceQuery, u.Fragment, u.RawFragment = "", false, "", ""
	s.url = u.String()
	return s, nil
}

// withoutUser takes user info off a text that may be no URL.
func withoutUser(text string) string {
	scheme, rest, ok := strings.Cut(text, "://")
	if at := strings.LastIndexByte(rest, '@'); ok && at >= 0 {
		return scheme + "://" + rest[at+1:]
	}
	return text
}

// key tells sources apart as cargo does: the commit is not part of it.
func (s source) key() string {
	if s.refKind == "" {
		return s.kind + s.url
	}
	return s.kind + s.url + "?" + s.refKind + "=" + s.ref
}

// registry is the source as manifests of crates name it: "" for crates.io.
func (s source) registry() string {
	if s.kind == fromSparse {
		return fromSparse + s.url
	}
	return s.url
}

// base is what people call the source: the name of a repository, the host of a registry.
func (s source) base() string {
	if s.kind == fromGit {
		return path.Base(strings.TrimSuffix(strings.TrimRight(s.url, "/"), ".git"))
	}
	u, err := url.Parse(s.url)
	if err != nil {
		return "" // it was parsed before
	}
	return u.Host
}

// version of a package of this source as it is reported; see splitVersion.
func (s source) version(plain string) string {
	switch s.kind {
	case "":
		return plain
	case fromGit:
		return fromGit + s.url + "@" + s.commit + "#" + plain
	}
	return s.kind + s.url + "#" + plain
}

// urls are where the repository is looked for. One over ssh is tried over https first, because few
// installations have a key.
func (s source) urls() []string {
	u, err := url.Parse(s.url)
	if err != nil || u.Scheme != "ssh" {
		return []string{s.url}
	}
	https := *u
	https.Scheme, https.Host, https.User = "https", u.Hostname(), nil
	return []string{https.String(), s.url}
}
