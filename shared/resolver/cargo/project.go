package cargo

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/packages"
	"github.com/cachito-serverless/cachito/shared/resolver"
	"github.com/cachito-serverless/cachito/shared/resolver/cargo/crate"
)

const (
	// MaxLockfileBytes bounds a Cargo.lock; the largest that are known have 500 KB.
	MaxLockfileBytes = 8 << 20
	// MaxPackages bounds the packages of all lockfiles of a request.
	MaxPackages = 20_000
)

// lockedPackage is a package of the lockfile with what is known of its source.
type lockedPackage struct {
	crate.Locked
	source source // for packages of the repository the zero value
	dir    string // of packages of the repository
}

// project is a package of the request.
type project struct {
	dir      string
	lockfile string // its path
	locals   []localPackage
	locked   []lockedPackage
	// unused are patches from git that nothing needs, but that cargo looks at.
	unused []lockedPackage
	pkg    packages.Package
}

// open reads and checks the files of a package.
func open(t *tree, dir, repoURL string) (*project, error) {
	p := &project{dir: dir, lockfile: path.Join(dir, lockfileName)}
	root, err := t.manifest(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.Client(fault.InvalidRepoStructure, "Required files not found: %s", path.Join(dir, manifestName))
	}
	if err != nil {
		return nil, err
	}
	content, err := resolver.ReadFile(t.root, p.lockfile, MaxLockfileBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, t.noLockfile(dir, root)
	}
	if err != nil {
		return nil, err
	}
	locked, unused, err := crate.ParseLockfile(content, p.lockfile)
	if err != nil {
		return nil, err
	}
	if p.locals, err = t.localPackages(dir); err != nil {
		return nil, err
	}
	if p.locked, err = p.sources(locked); err != nil {
		return nil, err
	}
	if p.unused, err = p.sources(unused); err != nil {
		return nil, err
	}
	if err := p.place(t); err != nil {
		return nil, err
	}
	if err := p.checkFresh(); err != nil {
		return nil, err
	}
	p.pkg = p.reported(root, repoURL)
	return p, nil
}

// noLockfile says what is missing, and where it may be.
func (t *tree) noLockfile(dir string, root manifest) error {
	missing := path.Join(dir, lockfileName)
	if at, err := t.workspaceOf(dir, root); err == nil && at != "" && at != dir {
		if _, err := t.root.Stat(path.Join(at, lockfileName)); err == nil {
			return fault.Client(fault.InvalidRepoStructure, "Required files not found: %s. The package belongs to the workspace at %q, which has one: request that path", missing, at)
		}
	}
	return fault.Client(fault.InvalidRepoStructure, `Required files not found: %s. Run "cargo generate-lockfile" and commit the file`, missing)
}

func (p *project) sources(locked []crate.Locked) ([]lockedPackage, error) {
	list := make([]lockedPackage, len(locked))
	for i, l := range locked {
		list[i].Locked = l
		if l.Source == "" {
			if l.Name == "" || l.Version == "" {
				return nil, fault.Client(fault.InvalidFileFormat, "%s is not a valid lockfile: its package %d has no name and version", p.lockfile, i+1)
			}
			continue
		}
		var err error
		if list[i].source, err = parseSource(l, p.lockfile); err != nil {
			return nil, err
		}
		if err := crate.Check(l.Name, l.Version, p.lockfile); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// isLocal: the package is one of the repository.
func (l lockedPackage) isLocal() bool { return l.Source == "" }

// place finds the folders of the repository's own packages. Those that no manifest leads to may be patches of
// cargo's configuration: they are searched for.
func (p *project) place(t *tree) error {
	dirs := map[string]string{}
	for _, l := range p.locals {
		if key := l.name + " " + l.version; dirs[key] == "" { // a link to a folder is another name of it
			dirs[key] = l.dir
		}
	}
	missing := map[string]bool{}
	for i := range p.locked {
		l := &p.locked[i]
		if !l.isLocal() {
			continue
		}
		dir, ok := dirs[l.Name+" "+l.Version]
		if l.dir = dir; !ok {
			missing[l.Name+" "+l.Version] = true
		}
	}
	if len(missing) == 0 {
		return nil
	}
	names, err := t.listManifests()
	if err != nil {
		return err
	}
	found, err := t.search(manifestDirs(names), missing)
	if err != nil {
		return err
	}
	for i := range p.locked {
		l := &p.locked[i]
		key := l.Name + " " + l.Version
		if !l.isLocal() || !missing[key] {
			continue
		}
		dir, ok := found[key]
		if !ok {
			return p.stale("%s has the package %s, which the repository does not have", p.lockfile, key)
		}
		l.dir = dir
	}
	return nil
}

// stale is the fault of a lockfile that cargo build --locked would refuse. The beginning is Hermeto's.
func (p *project) stale(format string, args ...any) error {
	return fault.Client(fault.InvalidRepoStructure,
		`%s contains a Cargo.lock that does not match the corresponding Cargo.toml: %s. Run "cargo update --workspace" and commit the Cargo.lock`, p.dir, fmt.Sprintf(format, args...))
}

// checkFresh compares the lockfile with the manifests, as far as names go: each member of the workspace must be in it,
// with all it depends on.
func (p *project) checkFresh() error {
	needs := map[string]map[string]bool{}
	for _, l := range p.locked {
		if !l.isLocal() {
			continue
		}
		names := map[string]bool{}
		for _, d := range l.Dependencies {
			name, _, _ := strings.Cut(d, " ")
			names[name] = true
		}
		needs[l.Name+" "+l.Version] = names
	}
	for _, local := range p.locals {
		if !local.member {
			continue
		}
		names, ok := needs[local.name+" "+local.version]
		if !ok {
			return p.stale("the package %s %s at %q is not in it", local.name, local.version, local.dir)
		}
		for _, r := range local.manifest.requirements() {
			if !names[r.name] && r.name != local.name {
				return p.stale("the package %s at %q depends on %s, which it does not say", local.name, local.dir, r.name)
			}
		}
	}
	return nil
}

// reported is the package's own entry in the packages data. A workspace without a package of its own is called
// as its folder is, the repository at its root.
func (p *project) reported(root manifest, repoURL string) packages.Package {
	out := packages.Package{Type: Name, Path: p.dir}
	if p.dir == "." {
		out.Path = ""
	}
	for _, l := range p.locals {
		if l.dir == p.dir {
			out.Name, out.Version = l.name, &l.version
		}
	}
	if out.Name == "" {
		out.Name = path.Base(p.dir)
		if p.dir == "." {
			out.Name = path.Base(strings.TrimSuffix(strings.TrimRight(repoURL, "/"), ".git"))
		}
		if v := text(table(table(root, "workspace"), "package"), "version"); v != "" {
			out.Version = &v
		}
	}
	for _, l := range p.locked {
		if l.isLocal() && l.dir == p.dir {
			continue // the package itself
		}
		out.Dependencies = append(out.Dependencies, l.dependency())
	}
	return out
}

// dependency is what a locked package is reported as.
func (l lockedPackage) dependency() packages.Dependency {
	version := l.source.version(l.Version)
	if l.isLocal() {
		version = fromPath + l.dir + "#" + l.Version
	}
	return packages.Dependency{Name: l.Name, Type: Name, Version: &version}
}
