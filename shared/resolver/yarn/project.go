package yarn

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/packages"
	"github.com/cachito-serverless/cachito/shared/resolver/javascript"
	"github.com/cachito-serverless/cachito/shared/resolver/yarn/berry"
	"github.com/cachito-serverless/cachito/shared/resolver/yarn/lines"
)

// project is one path of a request.
type project struct {
	dir        string // in the repository, "." for the root
	pkg        packages.Package
	manifest   manifest
	workspaces []workspace
	lock       *lockfile
	deps       []*dependency
}

// workspace is a member of a project.
type workspace struct {
	dir      string // relative to the project
	manifest manifest
}

// manifest is what is read of a package.json. A member of another type than expected counts as missing.
type manifest struct {
	name, version string
	workspaces    json.RawMessage
	// needs are "name@spec" of dependencies, peerDependencies and optionalDependencies.
	needs []string
	// installed are those that Yarn installs: of dependencies, devDependencies and optionalDependencies.
	installed []string
	// resolutions force versions: pattern -> spec.
	resolutions map[string]string
}

// parseManifest reads a package.json; it is an error when that is no JSON object.
func parseManifest(data []byte) (manifest, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")), &members); err != nil {
		return manifest{}, err
	}
	if members == nil {
		return manifest{}, errors.New("null instead of an object")
	}
	m := manifest{workspaces: members["workspaces"]}
	_ = json.Unmarshal(members["name"], &m.name) // of another type: stays empty
	_ = json.Unmarshal(members["version"], &m.version)
	for _, section := range []string{"dependencies", "peerDependencies", "optionalDependencies", "devDependencies"} {
		for name, spec := range textMap(members[section]) {
			if section != "devDependencies" {
				m.needs = append(m.needs, name+"@"+spec)
			}
			if section != "peerDependencies" {
				m.installed = append(m.installed, name+"@"+spec)
			}
		}
	}
	m.resolutions = textMap(members["resolutions"])
	return m, nil
}

// textMap reads an object's members that are texts.
func textMap(raw json.RawMessage) map[string]string {
	var all map[string]json.RawMessage
	if json.Unmarshal(raw, &all) != nil {
		return nil
	}
	out := make(map[string]string, len(all))
	for name, value := range all {
		var text string
		if json.Unmarshal(value, &text) == nil {
			out[name] = text
		}
	}
	return out
}

// open finds and reads the files of a path, and works out its dependencies. Faults are the client's. The lockfile
// is read first: it says which Yarn it is for.
func (r *run) open(ctx context.Context, dir string) (opened, error) {
	name, err := berry.LockfileName(r.in.Source, dir)
	if err != nil {
		return opened{}, err
	}
	if err := r.checkFiles(dir, name); err != nil {
		return opened{}, err
	}
	left := r.entriesLeft
	lock, err := r.readLockfile(path.Join(dir, name))
	if errors.Is(err, errBerry) {
		r.entriesLeft = left
		p, err := r.berry.Open(ctx, dir)
		return opened{berry: p}, err
	}
	if err != nil {
		return opened{}, err
	}
	p, err := r.openClassic(ctx, dir, lock)
	return opened{classic: p}, err
}

// openClassic opens a project of Yarn 1.
func (r *run) openClassic(ctx context.Context, dir string, lock *lockfile) (*project, error) {
	p := &project{dir: dir, lock: lock}
	var err error
	manifestPath := path.Join(dir, "package.json")
	if p.manifest, err = r.readManifest(manifestPath); err != nil {
		return nil, err
	}
	if p.manifest.name == "" || p.manifest.version == "" {
		return nil, fault.Client(fault.InvalidRequestData, "The package.json file is missing required data (name, version)")
	}
	p.pkg = packages.Package{Name: p.manifest.name, Type: Name, Version: &p.manifest.version}
	if dir != "." {
		p.pkg.Path = dir
	}
	patterns, err := javascript.WorkspacePatterns(manifestPath, p.manifest.workspaces)
	if err != nil {
		return nil, err
	}
	patterns = r.withoutNegated(ctx, patterns)
	if err := r.findWorkspaces(ctx, p, patterns); err != nil {
		return nil, err
	}
	r.warnOutdated(ctx, p)
	rule := javascript.FileRule{Workspaces: patterns, Allowed: r.allowlist[p.pkg.Name]}
	return p, r.findDependencies(p, rule)
}

// checkFiles says what must be there and what must not. The sentences are upstream's.
func (r *run) checkFiles(dir, lockfile string) error {
	prefix := ""
	if dir != "." {
		prefix = dir + "/"
	}
	failed := func(format string, name string) error {
		return fault.Client(fault.InvalidRepoStructure, "File check failed for yarn: "+format, prefix+name)
	}
	for _, name := range []string{"package.json", lockfile} {
		info, err := r.in.Source.Stat(path.Join(dir, name))
		if err != nil {
			return failed("the %s file must be present", name)
		}
		if !info.Mode().IsRegular() {
			return failed("%s must be a file", name)
		}
	}
	for _, name := range []string{"package-lock.json", "npm-shrinkwrap.json"} {
		if _, err := r.in.Source.Lstat(path.Join(dir, name)); !errors.Is(err, fs.ErrNotExist) {
			return failed("the %s file must not be present", name)
		}
	}
	if _, err := r.in.Source.Lstat(path.Join(dir, "node_modules")); !errors.Is(err, fs.ErrNotExist) {
		return failed("the %s directory must not be present", "node_modules")
	}
	return nil
}

func (r *run) readManifest(name string) (manifest, error) {
	info, err := r.in.Source.Stat(name)
	if err == nil && info.Size() > javascript.MaxPackageJSONBytes {
		return manifest{}, fault.Client(fault.UnsupportedFeature, "The file %s has %d bytes, the limit is %d", name, info.Size(), javascript.MaxPackageJSONBytes)
	}
	data, err := r.in.Source.ReadFile(name)
	if err != nil {
		return manifest{}, fmt.Errorf("reading %s: %w", name, err)
	}
	m, err := parseManifest(data)
	if err != nil {
		return m, fault.Client(fault.InvalidFileFormat, "The file %s is not valid JSON: %s", name, err).Because(err)
	}
	return m, nil
}

func (r *run) readLockfile(name string) (*lockfile, error) {
	f, err := r.in.Source.Open(name)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", name, err)
	}
	defer f.Close()
	return parseLockfile(f, name, &r.entriesLeft)
}

// withoutNegated drops patterns that begin with "!". Yarn 1 takes that for a letter of a name, so they take
// nothing out.
func (r *run) withoutNegated(ctx context.Context, patterns []string) []string {
	var positive []string
	for _, pattern := range patterns {
		if strings.HasPrefix(pattern, "!") {
			r.in.Log.WarnContext(ctx, "Yarn 1 does not understand negated workspace patterns: it is without effect", "pattern", pattern)
			continue
		}
		positive = append(positive, pattern)
	}
	return positive
}

// findWorkspaces reads the members of a project. As with Yarn, those without a name are left out.
func (r *run) findWorkspaces(ctx context.Context, p *project, patterns []string) error {
	dirs, err := javascript.FindWorkspaces(r.in.Source, p.dir, patterns)
	if err != nil {
		return err
	}
	for _, dir := range dirs {
		name := path.Join(p.dir, dir, "package.json")
		m, err := r.readManifest(name)
		if err != nil {
			return err
		}
		if m.name == "" {
			r.in.Log.WarnContext(ctx, "A workspace has no name and is left out, as Yarn does", "file", name)
			continue
		}
		p.workspaces = append(p.workspaces, workspace{dir, m})
	}
	return nil
}

// maxWarnings bounds the lines of one kind in the log.
const maxWarnings = 10

// warnOutdated says what package.json has and yarn.lock has not: the bundle is whole, but
// `yarn install --frozen-lockfile` will refuse it.
func (r *run) warnOutdated(ctx context.Context, p *project) {
	members := map[string]bool{}
	for _, w := range p.workspaces {
		members[w.manifest.name] = true
	}
	forced := forcedKeys(p.manifest.resolutions)
	var missing []string
	for _, m := range append([]workspace{{".", p.manifest}}, p.workspaces...) {
		for _, key := range m.manifest.installed {
			name, _ := lines.SplitKey(key)
			if p.lock.byKey[key] == nil && !members[name] && forced[name] == nil {
				missing = append(missing, path.Join(p.dir, m.dir, "package.json")+" needs "+key)
			}
		}
	}
	slices.Sort(missing)
	for i, text := range missing {
		if i == maxWarnings {
			r.in.Log.WarnContext(ctx, "yarn.lock lacks more than is shown here", "file", p.lock.path, "missing", len(missing))
			return
		}
		r.in.Log.WarnContext(ctx, "yarn.lock does not fit package.json: run yarn install and commit the result", "file", p.lock.path, "missing", text)
	}
}
