package npm

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"strings"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/packages"
	"github.com/cachito-serverless/cachito/shared/resolver/javascript"
)

// lockfileNames in npm's order: the first that is there counts.
var lockfileNames = []string{"npm-shrinkwrap.json", "package-lock.json"}

// project is one path of a request.
type project struct {
	plan
	dir      string // as requested, "." for the root
	realDir  string // links followed
	lockPath string // of the lockfile that counts, in dir
	format   string // lockfileVersion
	pkg      packages.Package
}

// open finds and reads the files of a path, and plans what they lead to. Faults are the client's.
func (r *run) open(ctx context.Context, dir string) (*project, error) {
	p := &project{dir: dir}
	var err error
	if p.lockPath, err = r.checkFiles(dir); err != nil {
		return nil, err
	}
	if p.realDir, err = r.realDir(dir); err != nil {
		return nil, err
	}
	lock, err := r.readLockfile(p.lockPath)
	if err != nil {
		return nil, err
	}
	p.format = lock.format
	manifest, err := r.readPackageJSON(path.Join(dir, "package.json"))
	if err != nil {
		return nil, err
	}
	p.pkg = r.describe(dir, lock, manifest)
	if lock.format == "1" {
		if lock.workspaces, err = r.workspaces(path.Join(dir, "package.json")); err != nil {
			return nil, err
		}
	}
	rule := javascript.FileRule{Workspaces: lock.workspaces, Allowed: r.allowlist[p.pkg.Name]}
	if len(lock.workspaces) > javascript.MaxWorkspacePatterns {
		return nil, fault.Client(fault.UnsupportedFeature, "The lock file %s has %d workspaces, the limit is %d", p.lockPath, len(lock.workspaces), javascript.MaxWorkspacePatterns)
	}
	p.plan, err = makePlan(lock, p.lockPath, r.registry, func(name, source string) error {
		if err := ctx.Err(); err != nil { // many odd patterns take their time
			return err
		}
		return rule.Check(r.in.Source, dir, name, source)
	})
	return p, err
}

// checkFiles returns the path of the lockfile. The sentences are upstream's.
func (r *run) checkFiles(dir string) (string, error) {
	prefix := ""
	if dir != "." {
		prefix = dir + "/"
	}
	lock := ""
	for _, name := range lockfileNames {
		if lock == "" && r.isFile(path.Join(dir, name)) {
			lock = path.Join(dir, name)
		}
	}
	if lock == "" {
		return "", fault.Client(fault.InvalidRepoStructure, "The %[1]snpm-shrinkwrap.json or %[1]spackage-lock.json file must be present for the npm package manager", prefix)
	}
	if !r.isFile(path.Join(dir, "package.json")) {
		return "", fault.Client(fault.InvalidRepoStructure, "The %spackage.json file must be present for the npm package manager", prefix)
	}
	if _, err := r.in.Source.Lstat(path.Join(dir, "node_modules")); !errors.Is(err, fs.ErrNotExist) {
		return "", fault.Client(fault.InvalidRepoStructure, "The %snode_modules directory cannot be present in the source repository", prefix).Because(err)
	}
	return lock, nil
}

func (r *run) isFile(name string) bool {
	info, err := r.in.Source.Stat(name)
	return err == nil && info.Mode().IsRegular()
}

// realDir is where a folder of the repository really is: npm counts relative paths from there.
func (r *run) realDir(dir string) (string, error) {
	root, err := filepath.EvalSymlinks(r.in.Source.Name())
	if err != nil {
		return "", fmt.Errorf("finding the work tree: %w", err)
	}
	full, err := filepath.EvalSymlinks(filepath.Join(root, filepath.FromSlash(dir)))
	if err != nil {
		return "", fmt.Errorf("finding the folder %s: %w", dir, err)
	}
	rel, err := filepath.Rel(root, full)
	if err != nil || !filepath.IsLocal(rel) {
		return "", fault.Client(fault.InvalidRepoStructure, "The path %s leads out of the repository", dir).Because(err)
	}
	return filepath.ToSlash(rel), nil
}

func (r *run) readLockfile(name string) (lockfile, error) {
	f, err := r.in.Source.Open(name)
	if err != nil {
		return lockfile{}, fmt.Errorf("opening %s: %w", name, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return lockfile{}, fmt.Errorf("reading %s: %w", name, err)
	}
	if info.Size() > MaxLockfileBytes {
		return lockfile{}, fault.Client(fault.UnsupportedFeature, "The lock file %s has %d bytes, the limit is %d", name, info.Size(), MaxLockfileBytes)
	}
	return parseLockfile(f, name, &r.entriesLeft)
}

func (r *run) readPackageJSON(name string) (javascript.PackageJSON, error) {
	data, err := r.readSmall(name)
	if err != nil {
		return javascript.PackageJSON{}, err
	}
	p, err := javascript.ParsePackageJSON(data)
	if err != nil {
		return p, fault.Client(fault.InvalidFileFormat, "The file %s is not valid JSON: %s", name, err).Because(err)
	}
	return p, nil
}

// workspaces are the patterns of a package.json: a lockfile of version 1 does not have them.
func (r *run) workspaces(name string) ([]string, error) {
	data, err := r.readSmall(name)
	if err != nil {
		return nil, err
	}
	var root struct {
		Workspaces json.RawMessage `json:"workspaces"`
	}
	if err := json.Unmarshal(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")), &root); err != nil {
		return nil, fault.Client(fault.InvalidFileFormat, "The file %s is not valid JSON: %s", name, err).Because(err)
	}
	return javascript.WorkspacePatterns(name, root.Workspaces)
}

// readSmall reads a package.json of the repository.
func (r *run) readSmall(name string) ([]byte, error) {
	info, err := r.in.Source.Stat(name)
	if err == nil && info.Size() > javascript.MaxPackageJSONBytes {
		return nil, fault.Client(fault.UnsupportedFeature, "The file %s has %d bytes, the limit is %d", name, info.Size(), javascript.MaxPackageJSONBytes)
	}
	data, err := r.in.Source.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	return data, nil
}

// describe names the package: by the lockfile, else package.json, else the repository. Roots of workspaces
// often have neither name nor version.
func (r *run) describe(dir string, lock lockfile, manifest javascript.PackageJSON) packages.Package {
	name, version := lock.name, lock.version
	if name == "" {
		name = manifest.Name
	}
	if name == "" {
		name = strings.TrimSuffix(path.Base(strings.TrimRight(r.in.Repo.URL, "/")), ".git")
	}
	if version == "" {
		version = manifest.Version
	}
	if version == "" {
		version = r.in.Repo.Ref
	}
	p := packages.Package{Name: name, Type: Name, Version: &version}
	if dir != "." {
		p.Path = dir
	}
	return p
}
