package gitrepo

import (
	"net/url"
	"path"
	"strings"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/fetch"
)

// remoteURL is a repository's URL that may be asked.
type remoteURL struct {
	*url.URL
}

// public is the URL without user info and query.
func (u remoteURL) public() string { return fetch.Redact(u.URL.String()) }

// allowedSchemes of a repository: nothing that reads local files or starts programs.
var allowedSchemes = map[string]bool{"http": true, "https": true, "ssh": true, "git": true}

// parseURL reads an absolute URL or the scp-like form user@host:path, and refuses what may not be
// asked. The faults are the client's and show no secret.
func parseURL(raw string) (remoteURL, error) {
	refuse := func(format string, args ...any) (remoteURL, error) {
		return remoteURL{}, fault.Client(fault.RepositoryAccessError, format, args...)
	}
	shown := fetch.Redact(raw)
	if len(shown) > 200 {
		shown = shown[:200] + "..."
	}
	if raw == "" || len(raw) > MaxURLBytes {
		return refuse("The repository URL must have 1 to %d characters, it has %d", MaxURLBytes, len(raw))
	}
	for _, r := range raw {
		if r <= ' ' || r == 0x7f {
			return refuse("The repository URL %q holds a blank or control character", shown)
		}
	}
	if strings.HasPrefix(raw, "-") {
		return refuse("The repository URL %q begins with a dash", shown)
	}
	if !strings.Contains(raw, "://") {
		host, dir, scp := strings.Cut(raw, ":")
		if !scp || strings.Contains(host, "/") || dir == "" || strings.HasPrefix(dir, ":") {
			return refuse("The repository URL %s has no protocol; allowed are http, https, ssh and git", shown)
		}
		raw = "ssh://" + host + "/" + strings.TrimPrefix(dir, "/")
	}
	u, err := url.Parse(raw)
	if err != nil {
		return refuse("The repository URL %s cannot be parsed", shown)
	}
	if !allowedSchemes[u.Scheme] {
		return refuse("The protocol %q of the repository URL %s is not allowed; allowed are http, https, ssh and git", u.Scheme, shown)
	}
	host := u.Hostname()
	if host == "" || strings.HasPrefix(host, "-") {
		return refuse("The repository URL %s names no host", shown)
	}
	if user := u.User.Username(); strings.HasPrefix(user, "-") {
		return refuse("The user in the repository URL %s begins with a dash", shown)
	}
	if strings.Trim(u.Path, "/") == "" || strings.HasPrefix(strings.TrimPrefix(u.Path, "/"), "-") {
		return refuse("The repository URL %s names no repository", shown)
	}
	u.Fragment, u.RawFragment = "", ""
	return remoteURL{u}, nil
}

// resolve gives the URL of a submodule as git does: "./" and "../" are relative to the repository's
// own URL, taken as a folder.
func (u remoteURL) resolve(raw string) (remoteURL, error) {
	if !strings.HasPrefix(raw, "./") && !strings.HasPrefix(raw, "../") {
		return parseURL(raw)
	}
	dir := strings.TrimSuffix(u.Path, "/")
	rest := raw
	for {
		if after, ok := strings.CutPrefix(rest, "./"); ok {
			rest = after
			continue
		}
		after, ok := strings.CutPrefix(rest, "../")
		if !ok {
			break
		}
		if strings.Trim(dir, "/") == "" {
			return remoteURL{}, fault.Client(fault.RepositoryAccessError, "The relative URL %q leads out of %s", raw, u.public())
		}
		dir, rest = path.Dir(dir), after
	}
	out := *u.URL
	out.Path, out.RawPath = strings.TrimSuffix(dir, "/")+"/"+rest, ""
	return parseURL(out.String())
}
