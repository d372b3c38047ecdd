package pip

import (
	"context"
	"fmt"
	"net/url"
	"path"
	"regexp"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/pyrepr"
)

// localPackage is a package that a lockfile finds in the repository: reported, not fetched.
type localPackage struct{ name, version, path string }

var pylockPattern = regexp.MustCompile(`^pylock\.(?:[^.]+\.)?toml$`)

// lockfileParser reads the lockfiles of other tools than pip, by file name; nil for requirements files.
func lockfileParser(name string) func(l *lockfile, text string) error {
	switch base := path.Base(name); {
	case base == "uv.lock":
		return (*lockfile).parseUV
	case base == "poetry.lock":
		return (*lockfile).parsePoetry
	case pylockPattern.MatchString(base):
		return (*lockfile).parsePylock
	}
	return nil
}

// lockfile collects what a lockfile lists as requirements: everything is pinned and has hashes, and no other
// file is included.
type lockfile struct {
	*requirementsFile
	indexes indexes
}

// parseLockfile makes a requirements file of a lockfile.
func (rr *requirementsReader) parseLockfile(ctx context.Context, name, text string) (*requirementsFile, error) {
	l := &lockfile{requirementsFile: &requirementsFile{path: name, isLockfile: true}, indexes: rr.indexes}
	if err := lockfileParser(name)(l, text); err != nil {
		return nil, err
	}
	for _, local := range l.locals {
		rr.log.InfoContext(ctx, "A package of the lockfile is part of the repository: it is not fetched", "file", name, "name", local.name, "path", local.path)
	}
	return l.requirementsFile, nil
}

// decode reads TOML into a document. InvalidFileFormat.
func (l *lockfile) decode(text string, doc any) error {
	if err := toml.Unmarshal([]byte(text), doc); err != nil {
		return fault.Client(fault.InvalidFileFormat, "%s is not a valid lockfile: %v", l.path, err)
	}
	return nil
}

func (l *lockfile) unsupported(format string, args ...any) error {
	return fault.Client(fault.UnsupportedFeature, "%s: %s", l.path, fmt.Sprintf(format, args...))
}

// lockedFile is a file that a lockfile lists for a package.
type lockedFile struct {
	name, url string
	hashes    []string // "sha256:<hex>"
}

// addIndexed adds a package whose files the lockfile lists with their URLs. With no files at all it cannot be
// fetched.
func (l *lockfile) addIndexed(name, version string, files []lockedFile, dev bool) error {
	r, err := l.pinned(name, version, dev)
	if err != nil {
		return err
	}
	r.page = []distribution{}
	for _, f := range files {
		if len(f.hashes) == 0 {
			return missingHash(r.line, l.path)
		}
		d := distribution{file: f.name, url: f.url}
		for _, h := range f.hashes {
			algorithm, digits, _ := strings.Cut(h, ":")
			d.addDigest(algorithm, digits)
		}
		r.hashes = append(r.hashes, f.hashes...)
		r.page = append(r.page, d)
	}
	return nil
}

// missingHash is the error for what a lockfile has no hash of.
func missingHash(line, file string) error {
	return fault.Client(fault.ValidationError, "Hash is required, dependency does not specify any: %s (%s)", line, file)
}

// pinned adds a requirement for one version of a package.
func (l *lockfile) pinned(name, version string, dev bool) (*requirement, error) {
	r, err := newRequirement(name+"=="+version, nil)
	if err != nil {
		return nil, err
	}
	if err := r.check(false); err != nil {
		return nil, err
	}
	r.locked, r.dev = true, dev
	l.requirements = append(l.requirements, r)
	return r, nil
}

// addGit adds a package of a git repository. subdirectory may be "".
func (l *lockfile) addGit(name, repository, commit, subdirectory string, dev bool) error {
	repository = repository[:indexAny(repository, "?#")]
	text := name + " @ git+" + strings.TrimPrefix(repository, "git+") + "@" + commit
	if subdirectory != "" {
		text += "#subdirectory=" + url.PathEscape(subdirectory)
	}
	return l.addDirect(text, nil, dev)
}

// addURL adds a package that is one file at a URL.
func (l *lockfile) addURL(name, address string, hashes []string, dev bool) error {
	if len(hashes) == 0 {
		return missingHash(name+" @ "+withoutUserInfo(address), l.path)
	}
	return l.addDirect(name+" @ "+address, hashes[:1], dev)
}

func (l *lockfile) addDirect(text string, hashes []string, dev bool) error {
	r, err := newRequirement(text, nil)
	if err != nil {
		return err
	}
	r.hashes, r.locked, r.dev = hashes, true, dev
	l.requirements = append(l.requirements, r)
	return nil
}

// addLocal notes a package of the repository; its path is relative to the lockfile.
func (l *lockfile) addLocal(name, version, place string) error {
	where := path.Join(path.Dir(l.path), place)
	if path.IsAbs(place) || !isLocal(where) {
		return fault.Client(fault.ValidationError, "%s: the path %s of %s is outside of the repository", l.path, pyrepr.String(place), name)
	}
	l.locals = append(l.locals, localPackage{name, version, where})
	return nil
}

// fileName is the last element of a URL's path, decoded.
func fileName(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return path.Base(u.Path)
}
