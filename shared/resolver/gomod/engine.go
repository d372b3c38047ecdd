package gomod

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"unique"
)

// workspace is where the go command works for one module.
type workspace struct {
	dir    string // absolute directory of the module
	goWork string // absolute path of go.work; empty: none
	// vendored: packages come from the vendor folder if go thinks so by itself; else the folder is
	// ignored.
	vendored bool
}

// engine answers what is asked of a module. The go command is one; every method maps to one of its
// commands, whose documentation is the contract (https://go.dev/ref/mod#mod-commands). Errors are
// *commandError, the context's, or unexpected. Not for concurrent use on one module, except the two
// list methods.
type engine interface {
	// replace adds a replace directive to go.mod.
	replace(ctx context.Context, w workspace, name, newName, newVersion string) error
	// download fetches the modules needed to build and test the main module, and lists them. A
	// replaced module is listed as its replacement.
	download(ctx context.Context, w workspace) ([]downloaded, error)
	// vendor writes the vendor folder: of the workspace when there is one.
	vendor(ctx context.Context, w workspace) error
	tidy(ctx context.Context, w workspace) error
	// mainModules lists the module itself and the others of its workspace.
	mainModules(ctx context.Context, w workspace) ([]listedModule, error)
	// packages calls each for every package that the pattern names, and what they import, after its
	// imports. Deps are filled in only if withDeps.
	packages(ctx context.Context, w workspace, pattern string, withDeps bool, each func(listedPackage)) error
}

// downloaded is an element of the output of `go mod download -json`.
type downloaded struct {
	Path, Version, Error, Zip string
}

// listedModule is a module in the output of `go list -m -json` and in that of packages.
type listedModule struct {
	Path    string
	Version string
	Main    bool
	Dir     string
	Replace *listedModule
}

// listedPackage is an element of the output of `go list -json`.
type listedPackage struct {
	ImportPath string
	Standard   bool
	Module     *listedModule
	Error      *struct{ Err string }
	Deps       []handle
}

// handle is a string of which equal ones share memory: the same import paths stand in thousands of
// Deps.
type handle struct{ unique.Handle[string] }

func (h *handle) UnmarshalJSON(raw []byte) error {
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		return err
	}
	h.Handle = unique.Make(s)
	return nil
}

// goEngine runs the go command.
type goEngine struct{ tool goTool }

func (e goEngine) in(w workspace) goTool {
	value := "off"
	if w.goWork != "" {
		value = w.goWork
	}
	env := e.tool.env
	return goTool{binary: e.tool.binary, env: append(env[:len(env):len(env)], "GOWORK="+value)}
}

func (e goEngine) replace(ctx context.Context, w workspace, name, newName, newVersion string) error {
	return e.in(w).run(ctx, w.dir, nil, "mod", "edit", "-replace="+name+"="+newName+"@"+newVersion)
}

func (e goEngine) tidy(ctx context.Context, w workspace) error {
	return e.in(w).run(ctx, w.dir, nil, "mod", "tidy")
}

func (e goEngine) vendor(ctx context.Context, w workspace) error {
	if w.goWork != "" {
		return e.in(w).run(ctx, w.dir, nil, "work", "vendor")
	}
	return e.in(w).run(ctx, w.dir, nil, "mod", "vendor")
}

// download reports the errors of single modules, which stand in the output and not in the standard
// error, as the command's own.
func (e goEngine) download(ctx context.Context, w workspace) ([]downloaded, error) {
	var (
		found  []downloaded
		wrongs []string
	)
	err := e.in(w).run(ctx, w.dir, decodeAll(func(d downloaded) {
		if d.Error != "" {
			wrongs = append(wrongs, d.Error)
			return
		}
		found = append(found, d)
	}), "mod", "download", "-json")
	var failed *commandError
	if errors.As(err, &failed) && len(wrongs) > 0 {
		failed.output = strings.Join(wrongs, "\n") + "\n" + failed.output
	}
	return found, err
}

// readonly is -mod for what lists: nothing is fetched that go.mod does not name, and a vendor folder
// is ignored.
func readonly(w workspace) []string {
	if w.vendored {
		return nil
	}
	return []string{"-mod", "readonly"}
}

func (e goEngine) mainModules(ctx context.Context, w workspace) ([]listedModule, error) {
	var found []listedModule
	args := append(append([]string{"list", "-e"}, readonly(w)...), "-m", "-json")
	err := e.in(w).run(ctx, w.dir, decodeAll(func(m listedModule) { found = append(found, m) }), args...)
	return found, err
}

func (e goEngine) packages(ctx context.Context, w workspace, pattern string, withDeps bool, each func(listedPackage)) error {
	fields := "-json=ImportPath,Module,Standard,Error"
	if withDeps {
		fields += ",Deps"
	}
	args := append(append([]string{"list", "-e"}, readonly(w)...), "-deps", fields, pattern)
	return e.in(w).run(ctx, w.dir, decodeAll(each), args...)
}

// decodeAll decodes a stream of JSON values.
func decodeAll[T any](each func(T)) func(io.Reader) error {
	return func(r io.Reader) error {
		for d := json.NewDecoder(r); ; {
			var v T
			if err := d.Decode(&v); errors.Is(err, io.EOF) {
				return nil
			} else if err != nil {
				return err
			}
			each(v)
		}
	}
}

func newHandle(s string) handle { return handle{unique.Make(s)} }
