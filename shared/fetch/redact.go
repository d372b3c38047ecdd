package fetch

import (
	"net/url"
	"strings"
)

// Redact gives a URL without user info, query and fragment: what may stand in logs and errors. An
// scp-like address (user@host:path) loses its user; of what cannot be parsed only the scheme is left.
//
//	https://user:secret@host/a/b.git?token=x -> https://host/a/b.git
func Redact(raw string) string {
	if !strings.Contains(raw, "://") {
		rest := raw
		if at := strings.LastIndex(rest, "@"); at >= 0 {
			rest = rest[at+1:]
		}
		return strings.ToValidUTF8(cutQuery(rest), "\uFFFD")
	}
	u, err := url.Parse(raw)
	if err != nil || u.Opaque != "" {
		scheme, _, _ := strings.Cut(raw, "://")
		if len(scheme) > 20 || strings.ContainsAny(scheme, "@:/ ") {
			scheme = "?"
		}
		return scheme + "://(URL that cannot be parsed)"
	}
	u.User, u.RawQuery, u.ForceQuery, u.Fragment, u.RawFragment = nil, "", false, "", ""
	return u.String()
}

func cutQuery(s string) string {
	if i := strings.IndexAny(s, "?#"); i >= 0 {
		return s[:i]
	}
	return s
}

// hostPort is the lower-case host with its port, the scheme's own one when none is written.
func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		switch u.Scheme {
		case "https":
			port = "443"
		case "http":
			port = "80"
		case "ssh":
			port = "22"
		case "git":
			port = "9418"
		}
	}
	return normalHost(u.Hostname()) + ":" + port
}

func normalHost(h string) string {
	return strings.TrimRight(strings.TrimLeft(strings.ToLower(h), "["), "].")
}
