package npm

import (
	"regexp"
	"strings"
)

var (
	// As npm-package-arg 13 tells specifications apart
	// (https://github.com/npm/npm-package-arg/blob/v13.0.0/lib/npa.js).
	specScheme = regexp.MustCompile(`^(?i)[a-z][a-z0-9+.-]*:`)
	specPath   = regexp.MustCompile(`^(?:\.|~/|/|[a-zA-Z]:[/\\])`)
	specSCP    = regexp.MustCompile(`^[^@/]+@[^:./]+(?:\.[^:./]+)*:.+$`)
)

// leadsToNetwork reports whether npm would follow a specification of a package.json to somewhere outside the
// registry: to a URL, a git repository, or "user/repository" on GitHub.
//
//	https://host/a.tgz  git+ssh://git@host/a.git  github:a/b  a/b#v1  git@host:a/b.git   true
//	^1.2.3  latest  npm:real@1  file:../a  ./a  ~/a  a.tgz                               false
func leadsToNetwork(spec string) bool {
	spec = strings.TrimSpace(spec)
	lower := strings.ToLower(spec)
	switch {
	case specPath.MatchString(spec), strings.HasPrefix(lower, "file:"), strings.HasPrefix(lower, "npm:"):
		return false
	case specScheme.MatchString(spec), specSCP.MatchString(spec):
		return true
	}
	before, _, _ := strings.Cut(spec, "#")
	return strings.Count(before, "/") == 1 && !strings.ContainsAny(before, " \t") && !strings.HasPrefix(before, "@") && !strings.HasSuffix(before, "/")
}
