package yarn

import (
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/integrity"
	"github.com/cachito-serverless/cachito/shared/resolver"
	"github.com/cachito-serverless/cachito/shared/resolver/javascript"
	"github.com/cachito-serverless/cachito/shared/resolver/yarn/lines"
)

// dependency is one entry of a yarn.lock, or one workspace.
type dependency struct {
	name, version string // as reported
	dev           bool
	kind          javascript.Kind
	entry         *entry // nil for a workspace
	// source is where it comes from: entry.resolved, or "file:<path>".
	source  string
	digests []integrity.Digest
	git     javascript.GitSource // of FromGit
	// commit is that of a forge's archive, which pins a tarball that has no digest.
	commit string

	// What fetching adds.
	placeVersion string // in the file's name: that of the archive's package.json
	place        string // below deps/
	file         resolver.File
	mirror       mirrorFile
	moved        string // resolved, when the name in the mirror had to be another
}

// findDependencies turns the lockfile's entries and the workspaces into dependencies. Nothing is fetched.
func (r *run) findDependencies(p *project, rule javascript.FileRule) error {
	runtime := p.runtimeEntries()
	for _, e := range p.lock.entries {
		d := &dependency{entry: e, dev: !runtime[e]}
		if err := r.describe(p, d); err != nil {
			return err
		}
		if d.kind == javascript.FromFile {
			location, _, _ := strings.Cut(d.source, "#")
			if err := rule.Check(r.in.Source, p.dir, d.name, location); err != nil {
				return err
			}
		}
		p.deps = append(p.deps, d)
	}
	for _, w := range p.workspaces {
		source := "file:" + w.dir
		p.deps = append(p.deps, &dependency{name: w.manifest.name, version: source, source: source, kind: javascript.FromFile})
	}
	return nil
}

// describe reads an entry.
func (r *run) describe(p *project, d *dependency) error {
	e := d.entry
	d.name, d.version, d.source = realName(e.keys[0]), e.version, e.resolved
	if d.source == "" {
		_, spec := lines.SplitKey(e.keys[0])
		d.source = localSource(spec)
	} else if local := localSource(d.source); local != "" && !strings.HasPrefix(d.source, "file:") {
		d.source = local
	}
	if d.source == "" {
		return fault.Client(fault.InvalidRequestData, "The dependency %s@%s has no source", d.name, e.version)
	}
	if err := javascript.CheckName(p.lock.path, d.name); err != nil {
		return err
	}
	if git, ok := gitOverHTTP(d.source); ok && e.integrity == "" {
		d.source = git
	}
	var err error
	if d.kind, err = r.registry.Classify(d.name, d.source); err != nil {
		return err
	}
	if d.kind != javascript.FromFile {
		if _, err := mirrorName(d.kind, e.resolved); err != nil {
			return err
		}
	}
	switch d.kind {
	case javascript.FromRegistry:
		if err := javascript.CheckVersion(p.lock.path, d.name, d.version); err != nil {
			return err
		}
		return d.findDigests()
	case javascript.FromGit:
		d.version = javascript.ReportedSource(d.source)
		d.git, err = javascript.ParseGit(d.name, d.source)
		return err
	case javascript.FromURL:
		d.version = javascript.ReportedSource(d.source)
		if err := d.findDigests(); err != nil || len(d.digests) > 0 {
			return err
		}
		if d.commit = archivedCommit(d.source); d.commit == "" {
			return javascript.MissingIntegrity(d.name, d.source)
		}
		return nil
	default:
		d.version = d.source
		return nil
	}
}

// findDigests takes those of integrity, else the SHA-1 behind the URL's "#".
func (d *dependency) findDigests() error {
	var err error
	if d.digests, err = javascript.ParseIntegrity(d.name, d.source, d.entry.integrity); err != nil || len(d.digests) > 0 {
		return err
	}
	_, fragment, _ := strings.Cut(d.source, "#")
	if sha1, err := integrity.FromHex("sha1", fragment); err == nil {
		d.digests = []integrity.Digest{sha1}
	}
	return nil
}

// localSource is the path in a spec or in resolved, as "file:<path>"; "" when there is none.
//
//	file:./l -> file:l, link:../x -> file:../x, ./t.tgz#<sha1> -> file:t.tgz#<sha1>
func localSource(spec string) string {
	location, fragment, hashed := strings.Cut(spec, "#")
	for _, scheme := range []string{"file:", "link:"} {
		if p, ok := strings.CutPrefix(location, scheme); ok {
			location = "./" + p
			if strings.HasPrefix(p, "/") {
				location = p
			}
		}
	}
	if !strings.HasPrefix(location, "./") && !strings.HasPrefix(location, "../") && !strings.HasPrefix(location, "/") {
		return ""
	}
	source := "file:" + path.Clean(location)
	if hashed {
		source += "#" + fragment
	}
	return source
}

var (
	commitPattern = regexp.MustCompile(`^[0-9a-f]{40}$`)
	// gitHosts are those whose https://<host>/<namespace>/<name> Yarn 1 takes for a repository.
	gitHosts = []string{"github.com", "gitlab.com", "bitbucket.com", "bitbucket.org"}
)

// gitOverHTTP recognises https://host/ns/r.git#<commit>, which Yarn writes for a repository as well as
// git+https://host/ns/r.git#<commit>, and gives the latter form.
func gitOverHTTP(source string) (string, bool) {
	u, err := url.Parse(source)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.RawQuery != "" || !commitPattern.MatchString(u.Fragment) {
		return "", false
	}
	known := slices.Contains(gitHosts, u.Host) && strings.Count(strings.Trim(u.Path, "/"), "/") == 1
	return "git+" + source, known || strings.HasSuffix(u.Path, ".git")
}

// archivedCommit is the commit of an archive that a forge makes of a repository, which Yarn resolves
// github:ns/r, gitlab:ns/r and bitbucket:ns/r to; "" for any other URL.
//
//	https://codeload.github.com/ns/r/tar.gz/<commit>
//	https://bitbucket.org/ns/r/get/<commit>.tar.gz
//	https://gitlab.com/ns/r/repository/archive.tar.gz?ref=<commit>
func archivedCommit(source string) string {
	u, err := url.Parse(source)
	if err != nil || u.Scheme != "https" {
		return ""
	}
	elements := strings.Split(strings.TrimPrefix(u.Path, "/"), "/")
	commit := ""
	switch {
	case u.Host == "codeload.github.com" && len(elements) == 4 && elements[2] == "tar.gz":
		commit = elements[3]
	case u.Host == "bitbucket.org" && len(elements) == 4 && elements[2] == "get":
		commit = strings.TrimSuffix(elements[3], ".tar.gz")
	case u.Host == "gitlab.com" && len(elements) == 4 && elements[2] == "repository" && elements[3] == "archive.tar.gz":
		commit = u.Query().Get("ref")
	}
	if !commitPattern.MatchString(commit) {
		return ""
	}
	return commit
}
