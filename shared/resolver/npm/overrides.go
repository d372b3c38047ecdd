package npm

import (
	"encoding/json"
	"net/url"
	"regexp"
	"strings"

	"github.com/cachito-serverless/cachito/shared/resolver/javascript"
)

// overrides is what a root package.json forces on the packages below it.
type overrides struct {
	// direct has the specifications of the root's own dependencies that are overridden: npm refuses
	// to override a direct dependency with anything but its own specification.
	direct map[string]string
	// value is what a specification in "overrides" that leads to the network becomes, for the package of
	// that name; nil: overrides do not count.
	value func(name, spec string) string
}

// overrides reads "overrides" of the root's package.json. What cannot be read is npm's to complain about.
func (p *project) overrides(manifest []byte) overrides {
	o := overrides{direct: map[string]string{}, value: p.override}
	var root struct {
		Overrides map[string]json.RawMessage `json:"overrides"`
	}
	if json.Unmarshal(manifest, &root) != nil {
		return o
	}
	for key, raw := range root.Overrides {
		name := overriddenName(key)
		var spec string
		var nested struct {
			Self string `json:"."`
		}
		if json.Unmarshal(raw, &spec) != nil && json.Unmarshal(raw, &nested) == nil {
			spec = nested.Self
		}
		if leadsToNetwork(spec) {
			o.direct[name] = p.override(name, spec)
		}
	}
	return o
}

// overriddenName takes the version off "name@^1".
func overriddenName(key string) string {
	if at := strings.IndexByte(key[min(1, len(key)):], '@'); at >= 0 {
		return key[:at+1]
	}
	return key
}

// overrides edits a value of "overrides": a specification, or an object of more, whose "." is that of the
// package itself.
func (e *editor) overrides(name string, value func(name, spec string) string) error {
	t, err := e.value()
	if err != nil {
		return err
	}
	if t == tokenObject {
		return e.membersRest(func(key string) error {
			if key == "." {
				return e.overrides(name, value)
			}
			return e.overrides(overriddenName(key), value)
		}, nil)
	}
	if t == tokenString {
		if spec := e.string(); leadsToNetwork(spec) {
			return e.put(value(name, spec))
		}
	}
	return e.copyRest(t)
}

// override is the file that a specification in "overrides" led to when the lockfile was made; empty when the
// lockfile has none, which means that nothing uses the override.
func (p *project) override(name, spec string) string {
	location, fragment, _ := strings.Cut(spec, "#")
	if i, ok := p.sources[location]; ok {
		return p.reference(i)
	}
	candidates := p.installed[name]
	repository := repositoryOf(location)
	for _, i := range candidates {
		w := p.files[i]
		if w.kind != javascript.FromGit || repository == "" {
			continue
		}
		if isCommit := fullCommit.MatchString(fragment); isCommit && !strings.EqualFold(fragment, w.git.Commit) {
			continue
		}
		for _, u := range w.git.URLs {
			if repositoryOf(u) == repository {
				return p.reference(i)
			}
		}
	}
	if len(candidates) > 0 {
		return p.reference(candidates[0])
	}
	return ""
}

var (
	fullCommit = regexp.MustCompile(`^[0-9a-fA-F]{40}$`)
	forgeHosts = map[string]string{"github": "github.com", "gitlab": "gitlab.com", "bitbucket": "bitbucket.org"}
)

// repositoryOf brings the many spellings of a repository's location to one: "github.com/ns/name", lower case.
func repositoryOf(location string) string {
	location = strings.TrimPrefix(location, "git+")
	if forge, rest, ok := strings.Cut(location, ":"); ok && forgeHosts[forge] != "" {
		location = forgeHosts[forge] + "/" + rest
	} else if u, err := url.Parse(location); err == nil && u.Host != "" {
		location = u.Hostname() + u.Path
	} else if host, dir, ok := strings.Cut(location, ":"); ok { // user@host:path
		location = host[strings.IndexByte(host, '@')+1:] + "/" + dir
	} else if strings.Count(location, "/") == 1 {
		location = forgeHosts["github"] + "/" + location
	}
	return strings.ToLower(strings.TrimSuffix(strings.TrimSuffix(location, "/"), ".git"))
}
