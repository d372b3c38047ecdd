package gomod

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"sync/atomic"

	"golang.org/x/mod/module"

	"github.com/cachito-serverless/cachito/shared/packages"
	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/resolver"
)

// run is the work on one request.
type run struct {
	*goModules
	in           resolver.Input
	replacements []request.Replacement
	source       string // absolute path of the work tree, without links
	folders      folders
	proxy        *moduleProxy
	before       *snapshot
	progress     progress

	found      []resolved
	unverified moduleSet
	// vendoring: the modules lie in vendor folders, and the module cache stays out of the bundle.
	vendoring bool
}

func (g *goModules) newRun(ctx context.Context, in resolver.Input, paths []string, replacements []request.Replacement) (*run, error) {
	r := &run{goModules: g, in: in, replacements: replacements, unverified: moduleSet{}}
	r.progress.report = in.Progress
	var err error
	if r.source, err = realPath(in.Source.Name()); err != nil {
		return nil, fmt.Errorf("finding the work tree: %w", err)
	}
	scratch, err := realPath(in.Scratch.Name())
	if err != nil {
		return nil, fmt.Errorf("finding the scratch folder: %w", err)
	}
	r.folders = newFolders(scratch)
	telemetry := filepath.Join(r.folders.home, ".config", "go", "telemetry")
	for _, dir := range []string{telemetry, r.folders.temp, r.folders.modCache, r.folders.buildCache} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("preparing the scratch folder: %w", err)
		}
	}
	// What `go telemetry off` does, without running it.
	if err := os.WriteFile(filepath.Join(telemetry, "mode"), []byte("off\n"), 0o600); err != nil {
		return nil, fmt.Errorf("preparing the scratch folder: %w", err)
	}
	r.vendoring = r.hasFlag(flagVendor) || r.hasFlag(flagVendorCheck)
	if r.before, err = takeSnapshot(in.Source, paths, r.vendoring); err != nil {
		return nil, err
	}
	r.proxy, err = startProxy(ctx, in.Fetcher, g.settings.proxies, g.settings.sumDB, &unpackBudget{}, r.progress.fetched, newDirect(ctx, in, scratch))
	return r, err
}

func realPath(name string) (string, error) {
	abs, err := filepath.Abs(name)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(abs)
}

func (r *run) close() { r.proxy.close() }

func (r *run) hasFlag(name string) bool { return slices.Contains(r.in.Flags, name) }

// abs is the absolute path of a directory of the work tree.
func (r *run) abs(dir string) string { return filepath.Join(r.source, filepath.FromSlash(dir)) }

// module resolves the module in one directory. The order of the commands is upstream's, except that
// tidy comes before the download (what it adds has to be downloaded too).
func (r *run) module(ctx context.Context, dir string) (resolved, error) {
	none := resolved{}
	files, err := readModuleFiles(r.in.Source, dir)
	if err != nil {
		return none, err
	}
	if err := files.checkLocal(r.in.Source); err != nil {
		return none, err
	}
	e, err := r.engine(ctx, files)
	if err != nil {
		return none, r.fault(err)
	}
	mode, err := r.vendorMode(files)
	if err != nil {
		return none, err
	}
	absDir, err := realPath(r.abs(dir))
	if err != nil {
		return none, fmt.Errorf("finding the module's directory: %w", err)
	}
	w := workspace{dir: absDir, vendored: mode.vendor}
	if files.workPath != "" {
		w.goWork = r.abs(files.workPath)
	}

	if err := r.applyReplacements(ctx, e, w, dir); err != nil {
		return none, err
	}
	fetched, err := r.fetch(ctx, e, w, files, mode)
	if err != nil {
		return none, err
	}
	mains, err := e.mainModules(ctx, w)
	if err != nil {
		return none, r.fault(err)
	}
	main, others, err := r.splitMains(mains, files, absDir)
	if err != nil {
		return none, err
	}
	return r.report(ctx, e, w, files, main, others, fetched)
}

// engine gives the engine of the release that the module asks for.
func (r *run) engine(ctx context.Context, files moduleFiles) (engine, error) {
	wanted := files.wantedGo()
	release := toolchainFor(wanted)
	env := r.folders.environment(r.settings.goCommand, r.proxy.base, r.settings)
	binary, err := r.toolchains.find(ctx, release, wanted, r.folders, env, r.settings)
	if err != nil {
		return nil, err
	}
	r.in.Log.InfoContext(ctx, "The Go toolchain is ready", "wanted", wanted, "toolchain", release)
	env = r.folders.environment(binary, r.proxy.base, r.settings)
	if r.hasFlag(flagCgoDisable) {
		env = append(env, "CGO_ENABLED=0")
	} else {
		env = append(env, "CGO_ENABLED=1")
	}
	return goEngine{tool: goTool{binary: binary, env: env}}, nil
}

// applyReplacements writes the request's replacements into go.mod and tidies it when that is needed.
func (r *run) applyReplacements(ctx context.Context, e engine, w workspace, dir string) error {
	for _, rep := range r.replacements {
		newName := rep.NewName
		if newName == "" {
			newName = rep.Name
		}
		if err := e.replace(ctx, w, rep.Name, newName, rep.Version); err != nil {
			return r.replacementFault(err, rep)
		}
	}
	if len(r.replacements) == 0 && !r.hasFlag(flagForceTidy) {
		return nil
	}
	if len(r.replacements) > 0 {
		// The request may have named a directory.
		changed, err := readModuleFiles(r.in.Source, dir)
		if err == nil {
			err = changed.checkLocal(r.in.Source)
		}
		if err != nil {
			return err
		}
	}
	if err := e.tidy(ctx, w); err != nil {
		return r.fault(err)
	}
	r.in.Log.InfoContext(ctx, "go.mod was tidied", "path", dir)
	return nil
}

// fetch vendors or downloads, and returns the modules that this gave, named as they are reported.
func (r *run) fetch(ctx context.Context, e engine, w workspace, files moduleFiles, mode vendorMode) ([]module.Version, error) {
	// What go.mod says now: a replacement may have changed it.
	now, err := readModuleFiles(r.in.Source, files.dir)
	if err != nil {
		return nil, err
	}
	wanted := now.prefetchable(mode.vendor)
	r.progress.expect(len(wanted))
	r.proxy.prefetch(wanted)

	if mode.vendor {
		return r.vendor(ctx, e, w, files, mode)
	}
	var found []downloaded
	err = r.keepingGoMod(ctx, files.dir, func() error {
		return retry(ctx, r.in.Log, func() error {
			var err error
			found, err = e.download(ctx, w)
			return r.fault(err)
		})
	})
	if err != nil {
		return nil, err
	}
	var out []module.Version
	for _, d := range found {
		m := module.Version{Path: d.Path, Version: d.Version}
		out = append(out, m)
		if d.Zip != "" && !files.sums[m] {
			r.unverified[m] = true
			r.in.Log.WarnContext(ctx, "A module is not in go.sum: nothing verifies it", "module", m.String(), "path", files.dir)
		}
	}
	return out, nil
}

// keepingGoMod undoes what the work does to go.mod: `go mod download` of 1.20 adds a go line, and much
// with it, where there is none. Nobody asked for that, and the bundle's app/ is the commit's tree.
func (r *run) keepingGoMod(ctx context.Context, dir string, work func() error) error {
	name := path.Join(dir, "go.mod")
	before, err := readFile(r.in.Source, name, MaxGoModBytes)
	if err != nil {
		return err
	}
	if err := work(); err != nil {
		return err
	}
	after, err := readFile(r.in.Source, name, MaxGoModBytes)
	if err != nil || bytes.Equal(before, after) {
		return err
	}
	r.in.Log.InfoContext(ctx, "go.mod is kept as it is, go would have changed it", "file", name)
	file, err := r.in.Source.OpenFile(name, os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		return fmt.Errorf("restoring %s: %w", name, err)
	}
	_, err = file.Write(before)
	if err := errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("restoring %s: %w", name, err)
	}
	return nil
}

// report puts together what is said of the module and its packages.
func (r *run) report(ctx context.Context, e engine, w workspace, files moduleFiles, main mainModule, others []mainModule, fetched []module.Version) (resolved, error) {
	l, err := r.list(ctx, e, w)
	if err != nil {
		return resolved{}, err
	}
	n := naming{main: main, others: others, required: files.required, base: files.localBase()}
	for m := range l.modules {
		if m.Replace != nil && isDirectory(m.Replace.Path) {
			n.local = append(n.local, localModule{path: m.Path, dir: n.localVersion(m.Replace.Path)})
		}
	}
	deps := n.moduleDependencies(l.modules, fetched, r.replacements, files.requiredVersions())
	out := resolved{dir: files.dir, module: packages.Package{
		Name: main.path, Type: typeModule, Version: &main.version, Path: subpath(files.dir), Dependencies: deps,
	}}
	if out.packages, err = n.goPackages(files.dir, l.own); err != nil {
		return resolved{}, err
	}
	if err := checkLocalVersions(files.dir, out); err != nil {
		return resolved{}, err
	}
	r.in.Log.InfoContext(ctx, "The module is resolved", "module", main.path, "version", main.version,
		"path", path.Clean(files.dir), "dependencies", len(deps), "packages", len(out.packages))
	return out, nil
}

// progress counts modules.
type progress struct {
	report             func(request.Progress)
	total, done, bytes atomic.Int64
}

func (p *progress) expect(n int) { p.total.Add(int64(n)) }

func (p *progress) fetched(bytes int64) {
	done, sum := p.done.Add(1), p.bytes.Add(bytes)
	if p.report != nil {
		p.report(request.Progress{Done: done, Total: max(done, p.total.Load()), Bytes: sum})
	}
}
