package pnpm

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/packages"
	"github.com/cachito-serverless/cachito/shared/resolver/javascript"
)

// project is one path of a request: a folder with a pnpm-lock.yaml.
type project struct {
	dir     string // as requested, "." for the root
	realDir string // links followed: pnpm counts relative paths from there
	pkg     packages.Package
	lock    *lockfile
	config  config
	deps    []*dependency
	tool    *tool // the pnpm that package.json asks for
}

// open finds and reads the files of a path, and works out its dependencies. Faults are the client's.
func (r *run) open(ctx context.Context, dir string) (*project, error) {
	if err := r.checkFiles(dir); err != nil {
		return nil, err
	}
	p := &project{dir: dir}
	var err error
	if p.realDir, err = javascript.RealPath(r.in.Source, dir); err != nil {
		return nil, fault.Client(fault.InvalidRepoStructure, "The path %s leads out of the repository", dir).Because(err)
	}
	if p.lock, err = r.readLockfile(path.Join(dir, lockfileName)); err != nil {
		return nil, err
	}
	manifestPath := path.Join(dir, "package.json")
	data, err := r.readSmall(manifestPath, javascript.MaxPackageJSONBytes)
	if err != nil {
		return nil, err
	}
	manifest, err := javascript.ParsePackageJSON(data)
	if err != nil {
		return nil, fault.Client(fault.InvalidFileFormat, "The file %s is not valid JSON: %s", manifestPath, err).Because(err)
	}
	p.pkg = r.describePackage(dir, manifest)
	if p.tool, err = r.wantedTool(ctx, manifestPath, data); err != nil {
		return nil, err
	}
	if p.config, err = r.readConfig(ctx, p); err != nil {
		return nil, err
	}
	return p, r.findDependencies(ctx, p)
}

// checkFiles says what must be there and what must not.
func (r *run) checkFiles(dir string) error {
	failed := func(format, name string) error {
		return fault.Client(fault.InvalidRepoStructure, "File check failed for pnpm: "+format, path.Join(dir, name))
	}
	for _, name := range []string{lockfileName, "package.json"} {
		info, err := r.in.Source.Stat(path.Join(dir, name))
		if err != nil {
			return failed("the %s file must be present", name)
		}
		if !info.Mode().IsRegular() {
			return failed("%s must be a file", name)
		}
	}
	if _, err := r.in.Source.Lstat(path.Join(dir, "node_modules")); !errors.Is(err, fs.ErrNotExist) {
		return failed("the %s directory must not be present", "node_modules")
	}
	return nil
}

func (r *run) readLockfile(name string) (*lockfile, error) {
	f, err := r.in.Source.Open(name)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", name, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	if info.Size() > MaxLockfileBytes {
		return nil, fault.Client(fault.UnsupportedFeature, "The file %s has %d bytes, the limit is %d", name, info.Size(), MaxLockfileBytes)
	}
	return parseLockfile(f, name, &r.entriesLeft)
}

// readSmall reads a file of the repository whole.
func (r *run) readSmall(name string, limit int64) ([]byte, error) {
	info, err := r.in.Source.Stat(name)
	if err == nil && info.Size() > limit {
		return nil, fault.Client(fault.UnsupportedFeature, "The file %s has %d bytes, the limit is %d", name, info.Size(), limit)
	}
	data, err := r.in.Source.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	return data, nil
}

// describePackage names the package by its package.json, else by the repository: roots of workspaces often have
// neither name nor version.
func (r *run) describePackage(dir string, manifest javascript.PackageJSON) packages.Package {
	name, version := manifest.Name, manifest.Version
	if name == "" {
		name = strings.TrimSuffix(path.Base(strings.TrimRight(r.in.Repo.URL, "/")), ".git")
		if dir != "." {
			name = path.Base(dir)
		}
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

// workspaces are the other projects of the lockfile, as dependencies. pnpm has them in the lockfile, so that
// nobody need look for them.
func (r *run) workspaces(ctx context.Context, p *project) ([]*dependency, error) {
	var out []*dependency
	for _, i := range p.lock.importers {
		if i.dir == "." {
			continue
		}
		source := "file:" + i.dir
		if err := javascript.CheckInside(r.in.Source, p.dir, i.dir, i.dir); err != nil {
			return nil, err
		}
		name := path.Join(p.dir, i.dir, "package.json")
		if info, err := r.in.Source.Stat(name); err != nil || !info.Mode().IsRegular() {
			r.in.Log.WarnContext(ctx, "The lockfile has a project that the repository has not; it is left out", "file", p.lock.path, "project", i.dir)
			continue
		}
		data, err := r.readSmall(name, javascript.MaxPackageJSONBytes)
		if err != nil {
			return nil, err
		}
		manifest, err := javascript.ParsePackageJSON(data)
		if err != nil {
			return nil, fault.Client(fault.InvalidFileFormat, "The file %s is not valid JSON: %s", name, err).Because(err)
		}
		if manifest.Name == "" {
			manifest.Name = path.Base(i.dir)
		}
		out = append(out, &dependency{name: manifest.Name, version: source, kind: javascript.FromFile})
	}
	return out, nil
}

// textMember reads a text of a JSON object; of another type it counts as missing.
func textMember(data []byte, keys ...string) string {
	raw := json.RawMessage(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")))
	for _, key := range keys {
		var members map[string]json.RawMessage
		if json.Unmarshal(raw, &members) != nil {
			return ""
		}
		raw = members[key]
	}
	var text string
	_ = json.Unmarshal(raw, &text) // of another type: empty, as documented
	return text
}
