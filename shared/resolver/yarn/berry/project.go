package berry

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/packages"
	"github.com/cachito-serverless/cachito/shared/resolver/javascript"
	"github.com/cachito-serverless/cachito/shared/resolver/yarn/lines"
)

// Project is one path of a request whose lockfile is of Yarn 2 or newer.
type Project struct {
	// Dir in the repository, "." for the root.
	Dir string
	// Package as it is reported; Output adds the dependencies.
	Package packages.Package

	config  rc
	release release
	lock    *lockfile
	// members are the packages of the project: itself and its workspaces, in the lockfile's order.
	members []member
	deps    []*dependency
	// yarn is the release that the bundle brings, once it is fetched.
	yarn *bundledYarn
	// ownCache: the repository holds archives of Yarn's, and the lockfile vouches for all of them (a zero-install).
	ownCache bool
	// moved are checksums of the lockfile that are others in the bundle, by entry.
	moved map[*entry]string
}

// member is a package of the project.
type member struct {
	dir      string // relative to the project
	entry    *entry // nil when the lockfile lacks it
	manifest manifest
}

// open reads the files of a path, and works out its dependencies. Faults are the client's.
func (r *run) open(ctx context.Context, dir string) (*Project, error) {
	p := &Project{Dir: dir, moved: map[*entry]string{}}
	var err error
	if p.config, err = readRC(r.in.Source, dir); err != nil {
		return nil, err
	}
	name := p.config.lockfile
	if name == "" {
		name = defaultLockfile
	}
	if p.lock, err = r.readLockfile(path.Join(dir, name)); err != nil {
		return nil, err
	}
	root, _, err := r.readManifest(path.Join(dir, "package.json"))
	if err != nil {
		return nil, err
	}
	if p.release, err = findRelease(p.config, root.packageManager); err != nil {
		return nil, err
	}
	if err := r.checkRelease(p); err != nil {
		return nil, err
	}
	if err := r.findMembers(ctx, p, root); err != nil {
		return nil, err
	}
	p.describe(root, r.in.Repo.Ref)
	if err := p.checkNeeds(); err != nil {
		return nil, err
	}
	return p, r.findDependencies(p)
}

func (r *run) readLockfile(name string) (*lockfile, error) {
	f, err := r.in.Source.Open(name)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", name, err)
	}
	defer f.Close()
	return parseLockfile(f, name, r.entriesLeft)
}

// checkRelease sees that the Yarn that a project says it brings is there.
func (r *run) checkRelease(p *Project) error {
	if !p.release.inRepository {
		return nil
	}
	name := path.Join(p.Dir, p.config.yarnPath)
	if info, err := r.in.Source.Stat(name); err != nil || !info.Mode().IsRegular() {
		return fault.Client(fault.InvalidRepoStructure, "The file %s, which yarnPath of %s names, must be present", name, p.config.path).Because(err)
	}
	return nil
}

// findMembers reads the workspaces that the lockfile names; the project itself is one of them.
func (r *run) findMembers(ctx context.Context, p *Project, root manifest) error {
	for _, e := range p.lock.entries {
		if e.locator.protocol != protocolWorkspace {
			continue
		}
		m := member{dir: path.Clean(e.locator.selector), entry: e}
		if err := javascript.CheckInside(r.in.Source, p.Dir, e.locator.name, e.locator.selector); err != nil {
			return err
		}
		if m.dir == "." {
			m.manifest = root
			p.members = append(p.members, m)
			continue
		}
		file := path.Join(p.Dir, m.dir, "package.json")
		var ok bool
		var err error
		if m.manifest, ok, err = r.readManifest(file); err != nil {
			return err
		}
		if !ok {
			r.in.Log.WarnContext(ctx, "yarn.lock names a workspace that has no package.json: run yarn install and commit the result", "workspace", e.locator.name, "file", file)
		}
		p.members = append(p.members, m)
	}
	if !slices.ContainsFunc(p.members, func(m member) bool { return m.dir == "." }) {
		p.members = append(p.members, member{dir: ".", manifest: root})
	}
	return nil
}

// describe is the package as it is reported. A root that only holds workspaces has often neither name nor version:
// then the lockfile has a name for it, and the commit is its version.
func (p *Project) describe(root manifest, ref string) {
	name, version := root.name, root.version
	for _, m := range p.members {
		if name == "" && m.dir == "." && m.entry != nil {
			name = m.entry.locator.name
		}
	}
	if name == "" {
		name = "root-workspace"
	}
	if version == "" {
		version = ref
	}
	p.Package = packages.Package{Name: name, Type: packageType, Version: &version}
	if p.Dir != "." {
		p.Package.Path = p.Dir
	}
}

// checkNeeds refuses a lockfile that lacks what a package.json needs, by name: `yarn install --immutable` will
// refuse it as well. Ranges are not compared, since Yarn may have put others in their place.
func (p *Project) checkNeeds() error {
	var missing []string
	for _, m := range p.members {
		for _, key := range m.manifest.all {
			if name, _ := lines.SplitKey(key); len(p.lock.byName[name]) == 0 {
				missing = append(missing, fmt.Sprintf("%s needs %s", path.Join(p.Dir, m.dir, "package.json"), key))
			}
		}
	}
	if len(missing) == 0 {
		return nil
	}
	slices.Sort(missing)
	const most = 5
	more := ""
	if len(missing) > most {
		more = fmt.Sprintf(", and %d more", len(missing)-most)
		missing = missing[:most]
	}
	return fault.Client(fault.InvalidRepoStructure,
		"The file %s does not fit: %s%s. The lockfile would have been modified by `yarn install`, which --immutable forbids: run it and commit the result",
		p.lock.path, strings.Join(missing, ", "), more)
}

// cache are the archives of a zero-install, relative to the repository; nil when none are committed.
func (r *run) cache(p *Project) ([]string, error) {
	folder := p.config.cacheFolder
	if folder == "" {
		folder = ".yarn/cache"
	}
	if path.IsAbs(folder) || strings.Contains(folder, "$") {
		return nil, nil
	}
	folder = path.Join(p.Dir, folder)
	if folder == ".." || strings.HasPrefix(folder, "../") {
		return nil, nil
	}
	f, err := r.in.Source.Open(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fault.Client(fault.InvalidRepoStructure, "The folder %s cannot be read, or leads out of the repository", folder).Because(err)
	}
	defer f.Close()
	entries, err := f.ReadDir(-1)
	if err != nil {
		return nil, fmt.Errorf("listing %s: %w", folder, err)
	}
	var out []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".zip") {
			out = append(out, path.Join(folder, e.Name()))
		}
	}
	slices.Sort(out)
	return out, nil
}
