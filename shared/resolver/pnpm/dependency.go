package pnpm

import (
	"context"
	"fmt"
	"net/url"
	"path"
	"regexp"
	"strings"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/integrity"
	"github.com/cachito-serverless/cachito/shared/resolver"
	"github.com/cachito-serverless/cachito/shared/resolver/javascript"
)

// dependency is one entry of a lockfile, or one project of its workspace.
type dependency struct {
	name, version string // as reported
	dev           bool
	kind          javascript.Kind
	entry         *entry // nil for a project of the workspace
	// url that is asked, of what is fetched.
	url     string
	digests []integrity.Digest
	git     javascript.GitSource // of FromGit
	// inTree: it is known by name and version, so that pnpm finds it in the bundle's registry, whatever server
	// it came from.
	inTree bool
	// forged: the archive that a forge makes of a commit.
	forged bool

	// What fetching adds.
	place string // below deps/
	file  resolver.File
}

// findDependencies turns the lockfile's entries and projects into dependencies. Nothing is fetched.
func (r *run) findDependencies(ctx context.Context, p *project) error {
	runtime := p.lock.runtimeKeys()
	for _, e := range append(p.lock.entries[:len(p.lock.entries):len(p.lock.entries)], p.config.extra...) {
		d := &dependency{entry: e, name: e.name, dev: !runtime[e.key]}
		if err := r.describe(p, d); err != nil {
			return err
		}
		p.deps = append(p.deps, d)
	}
	workspaces, err := r.workspaces(ctx, p)
	p.deps = append(p.deps, workspaces...)
	return err
}

// where names an entry in faults.
func (e *entry) where(p *project) string {
	file := p.lock.path
	if e.file != "" {
		file = e.file
	}
	return fmt.Sprintf("%s, line %d", file, e.line)
}

// describe reads an entry.
func (r *run) describe(p *project, d *dependency) error {
	e := d.entry
	if err := javascript.CheckName(e.where(p), e.name); err != nil {
		return err
	}
	res := e.resolution
	switch {
	case res.kind == "directory":
		return r.local(p, d, res.directory)
	case res.kind == "git":
		return r.gitSource(p, d, res.repo, res.commit)
	case res.kind != "" && res.kind != "tarball":
		return fault.Client(fault.UnsupportedFeature, "%s: %s is of the type %s, which is not supported: only registries, tarballs, git repositories and folders are",
			e.where(p), quoted(e.key), quoted(res.kind))
	case strings.HasPrefix(res.tarball, "file:"):
		return r.local(p, d, strings.TrimPrefix(res.tarball, "file:"))
	case res.tarball != "":
		return r.tarball(p, d)
	}
	if err := javascript.CheckVersion(e.where(p), e.name, e.version); err != nil {
		return err
	}
	d.inTree = true
	return r.fromRegistry(p, d, javascript.Registry{Base: r.registryOf(p, e.name)}.Tarball(e.name, fileVersion(e.version)))
}

// fileVersion is the version in a tarball's name: registries leave build metadata out.
func fileVersion(version string) string {
	version, _, _ = strings.Cut(version, "+")
	return version
}

// local is a folder or tarball of the repository.
func (r *run) local(p *project, d *dependency, target string) error {
	d.kind = javascript.FromFile
	if target == "" {
		return fault.Client(fault.InvalidFileFormat, "%s: %s has an empty path", d.entry.where(p), quoted(d.entry.key))
	}
	d.version = "file:" + path.Clean(target)
	return javascript.CheckInside(r.in.Source, p.dir, d.name, target)
}

func (r *run) gitSource(p *project, d *dependency, repo, commit string) error {
	d.kind = javascript.FromGit
	repo = gitURL(repo)
	source := repo + "#" + commit
	if kind, err := r.registry.Classify(d.name, source); err != nil || kind != javascript.FromGit {
		if err == nil {
			err = fault.Client(fault.UnsupportedFeature, "%s: %s is not in a git repository that is supported: %s", d.entry.where(p), quoted(d.entry.key), quoted(javascript.ReportedSource(repo)))
		}
		return err
	}
	var err error
	if d.git, err = javascript.ParseGit(d.name, source); err != nil {
		return err
	}
	d.version = javascript.ReportedSource(source)
	if sub := strings.Trim(d.entry.resolution.path, "/"); sub != "" {
		if sub != path.Clean(sub) || strings.HasPrefix(sub, "..") {
			return fault.Client(fault.InvalidFileFormat, "%s: the path %s of %s leads out of its repository", d.entry.where(p), quoted(sub), quoted(d.entry.key))
		}
		d.git.Path = sub
		d.version += "&path:/" + sub
	}
	return nil
}

var scpForm = regexp.MustCompile(`^([A-Za-z0-9._-]+@)?([A-Za-z0-9.-]+):([^/].*)$`)

// gitURL is a repository with npm's prefix: git+https://h/r.git, git+ssh://git@h/r.git.
func gitURL(repo string) string {
	if !strings.Contains(repo, "://") {
		if m := scpForm.FindStringSubmatch(repo); m != nil {
			return "git+ssh://" + m[1] + m[2] + "/" + m[3]
		}
		return repo
	}
	if strings.HasPrefix(repo, "git") {
		return repo
	}
	return "git+" + repo
}

// tarball is one with a URL.
func (r *run) tarball(p *project, d *dependency) error {
	e := d.entry
	kind, err := r.registry.Classify(e.name, e.resolution.tarball)
	if err != nil {
		return err
	}
	if kind != javascript.FromRegistry && kind != javascript.FromURL {
		return fault.Client(fault.UnsupportedFeature, "%s: the tarball of %s is not at an http or https URL", e.where(p), quoted(e.key))
	}
	repo, commit := forgeCommit(e.resolution.tarball)
	if strings.Trim(e.resolution.path, "/") != "" {
		if commit == "" {
			return fault.Client(fault.UnsupportedFeature, "%s: %s is a folder in a tarball, which is only supported for commits of GitHub, GitLab and Bitbucket", e.where(p), quoted(e.key))
		}
		return r.gitSource(p, d, repo, commit)
	}
	d.forged = commit != ""
	if javascript.CheckVersion(e.where(p), e.name, e.version) == nil {
		d.inTree = true
		return r.fromRegistry(p, d, e.resolution.tarball)
	}
	d.kind, d.url = javascript.FromURL, e.resolution.tarball
	d.version = javascript.ReportedSource(d.url)
	return d.readDigests()
}

// fromRegistry is a tarball that a registry has at a URL. A registry that is not the public one shows in the version,
// but JSR's, which the name tells.
func (r *run) fromRegistry(p *project, d *dependency, at string) error {
	d.kind, d.url, d.version = javascript.FromRegistry, at, d.entry.version
	switch {
	case r.registry.Has(at):
		var err error
		if d.url, err = r.registry.Mapped(d.name, at); err != nil {
			return err
		}
	case strings.HasPrefix(at, r.registry.Base):
	case strings.HasPrefix(d.name, jsrScope+"/"):
		if rest, ok := strings.CutPrefix(at, jsrURL+"/"); ok {
			d.url = r.jsrRegistry + rest
		}
	default:
		d.kind, d.version = javascript.FromURL, javascript.ReportedSource(at)
	}
	return d.readDigests()
}

func (d *dependency) readDigests() error {
	var err error
	d.digests, err = javascript.ParseIntegrity(d.name, d.url, d.entry.resolution.integrity)
	return err
}

var commitPattern = regexp.MustCompile(`^[0-9a-f]{40}$`)

// forgeCommit is the repository and commit of an archive that a forge makes, as pnpm writes those of github:o/r,
// gitlab:o/r and bitbucket:o/r; empty for any other URL.
//
//	https://codeload.github.com/o/r/tar.gz/<commit>
//	https://gitlab.com/o/r/-/archive/<commit>/r-<commit>.tar.gz
//	https://gitlab.com/api/v4/projects/o%2Fr/repository/archive.tar.gz?ref=<commit>
//	https://bitbucket.org/o/r/get/<commit>.tar.gz
func forgeCommit(source string) (repo, commit string) {
	u, err := url.Parse(source)
	if err != nil || u.Scheme != "https" {
		return "", ""
	}
	elements := strings.Split(strings.TrimPrefix(u.EscapedPath(), "/"), "/")
	n := len(elements)
	switch {
	case u.Host == "codeload.github.com" && n == 4 && elements[2] == "tar.gz":
		repo, commit = "github.com/"+elements[0]+"/"+elements[1], elements[3]
	case u.Host == "bitbucket.org" && n == 4 && elements[2] == "get":
		repo, commit = "bitbucket.org/"+elements[0]+"/"+elements[1], strings.TrimSuffix(elements[3], ".tar.gz")
	case u.Host == "gitlab.com" && n >= 6 && elements[n-4] == "-" && elements[n-3] == "archive":
		repo, commit = "gitlab.com/"+strings.Join(elements[:n-4], "/"), elements[n-2]
	case u.Host == "gitlab.com" && n == 6 && elements[2] == "projects" && elements[5] == "archive.tar.gz":
		if name, err := url.PathUnescape(elements[3]); err == nil {
			repo, commit = "gitlab.com/"+name, u.Query().Get("ref")
		}
	}
	if !commitPattern.MatchString(commit) {
		return "", ""
	}
	return "https://" + repo + ".git", commit
}
