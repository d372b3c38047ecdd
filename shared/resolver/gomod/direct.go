package gomod

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
	"golang.org/x/mod/semver"
	modzip "golang.org/x/mod/zip"
	"golang.org/x/sync/singleflight"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/resolver"
)

// direct makes modules from their git repositories, where the setting goproxy ends in "direct" and no
// module proxy has them: private modules, mostly. The go command could do it, but then it would need a
// network of its own; this way the address checks, mirrors and credentials of the request's own source
// apply. What comes out is what go makes (golang.org/x/mod/zip is go's own code), and go.sum is compared
// with it as with any other.
//
// Only tagged versions can be had: no git server tells which commit begins with the twelve digits of a
// pseudo-version.
type direct struct {
	ctx     context.Context
	git     resolver.Repositories
	fetcher resolver.Fetcher
	scratch string // folder for checkouts
	flight  singleflight.Group

	mu   sync.Mutex
	made map[module.Version]*directModule
}

// directModule is a module at a version, made from its repository.
type directModule struct {
	time  time.Time
	goMod []byte
	zip   resolver.File
}

func newDirect(ctx context.Context, in resolver.Input, scratch string) *direct {
	return &direct{ctx: ctx, git: in.Git, fetcher: in.Fetcher, scratch: scratch, made: map[module.Version]*directModule{}}
}

// file is a .zip or .mod file of the protocol.
func (d *direct) file(name string) (resolver.File, error) {
	m, kind, err := d.module(name)
	if err != nil {
		return resolver.File{}, err
	}
	if kind == ".zip" {
		return m.zip, nil
	}
	return d.fetcher.Store(d.ctx, strings.NewReader(string(m.goMod)))
}

// answer is a .info file of the protocol.
func (d *direct) answer(name string) ([]byte, error) {
	m, _, err := d.module(name)
	if err != nil {
		return nil, err
	}
	_, rest, _ := strings.Cut(name, "/@v/")
	version, err := module.UnescapeVersion(strings.TrimSuffix(rest, ".info"))
	if err != nil {
		return nil, err
	}
	return json.Marshal(versionInfo{Version: version, Time: m.time})
}

// module makes the module that a path of the protocol names, once.
func (d *direct) module(name string) (m *directModule, kind string, err error) {
	escaped, rest, ok := strings.Cut(name, "/@v/")
	kind = path.Ext(rest)
	if !ok || kind != ".zip" && kind != ".mod" && kind != ".info" {
		return nil, "", d.notFound(name, "only versions can be had from a repository, no lists of them")
	}
	var v module.Version
	if v.Path, err = module.UnescapePath(escaped); err != nil {
		return nil, "", err
	}
	if v.Version, err = module.UnescapeVersion(strings.TrimSuffix(rest, kind)); err != nil {
		return nil, "", err
	}
	if module.IsPseudoVersion(v.Version) || !semver.IsValid(v.Version) {
		return nil, "", d.notFound(v.String(), "a pseudo-version cannot be had from its repository; configure a module proxy that has it")
	}
	got, err, _ := d.flight.Do(v.String(), func() (any, error) {
		d.mu.Lock()
		m := d.made[v]
		d.mu.Unlock()
		if m != nil {
			return m, nil
		}
		m, err := d.make(v)
		if err != nil {
			return nil, err
		}
		d.mu.Lock()
		d.made[v] = m
		d.mu.Unlock()
		return m, nil
	})
	if err != nil {
		return nil, "", err
	}
	return got.(*directModule), kind, nil
}

func (d *direct) notFound(what, why string) error {
	return fault.Client(fault.InvalidRequestData, "%s: no module proxy has it, and %s", what, why)
}

func (d *direct) make(v module.Version) (*directModule, error) {
	repo, err := d.repository(v.Path)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(d.scratch, "direct-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	folders := repo.folders(v)
	out, err := d.checkOut(repo, v, root)
	if err != nil {
		return nil, fmt.Errorf("fetching %s from its repository: %w", v, err)
	}
	folder, goMod, err := moduleFolder(root, folders, v)
	if err != nil {
		return nil, err
	}
	m := &directModule{time: out.CommitTime, goMod: goMod}
	// As go does: a module below the repository's root has the root's licence unless it has its own.
	if err := addLicense(root, folder); err != nil {
		return nil, err
	}
	m.zip, err = d.store(func(w io.Writer) error { return modzip.CreateFromDir(w, v, path.Join(dir, folder)) })
	if err != nil {
		return nil, fmt.Errorf("making the zip of %s: %w", v, err)
	}
	return m, nil
}

// checkOut tries the tags that a version can have in its repository.
func (d *direct) checkOut(repo repository, v module.Version, root *os.Root) (resolver.Checkout, error) {
	var none resolver.Checkout
	tag := strings.TrimSuffix(v.Version, "+incompatible")
	if prefix := repo.tagPrefix(v.Path); prefix != "" {
		tag = prefix + "/" + tag
	}
	commit, err := d.git.Resolve(d.ctx, repo.url, "refs/tags/"+tag)
	if err != nil {
		if f := fault.From(err); f.Type == fault.InvalidRequestData {
			return none, d.notFound(v.String(), fmt.Sprintf("its repository %s has no tag %s", repo.url, tag))
		}
		return none, err
	}
	return d.git.CheckOut(d.ctx, repo.url, commit, root)
}

// store streams what write makes into the cache.
func (d *direct) store(write func(io.Writer) error) (resolver.File, error) {
	r, w := io.Pipe()
	go func() { w.CloseWithError(write(w)) }()
	f, err := d.fetcher.Store(d.ctx, r)
	r.CloseWithError(errors.New("not read any more"))
	return f, err
}

// moduleFolder finds the module's folder in its repository, and reads its go.mod: one that is not there
// is the one that go makes up.
func moduleFolder(root *os.Root, folders []string, v module.Version) (folder string, goMod []byte, err error) {
	for _, folder := range folders {
		raw, err := readLimited(root, path.Join(folder, "go.mod"), MaxGoModBytes)
		if errors.Is(err, fs.ErrNotExist) || isNotDir(err) {
			continue
		}
		if err != nil {
			return "", nil, fmt.Errorf("reading go.mod of %s: %w", v, err)
		}
		if name := modfile.ModulePath(raw); name != v.Path {
			return "", nil, fault.Client(fault.InvalidRequestData, "%s: its repository says in %s that it is %s",
				v, path.Join(folder, "go.mod"), name)
		}
		return folder, raw, nil
	}
	last := folders[len(folders)-1]
	if info, err := root.Stat(last); err != nil || !info.IsDir() {
		return "", nil, fault.Client(fault.InvalidRequestData, "%s: its repository has no folder %s", v, last)
	}
	return last, fmt.Appendf(nil, "module %s\n", modfile.AutoQuote(v.Path)), nil
}

func readLimited(root *os.Root, name string, limit int64) ([]byte, error) {
	f, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(raw)) > limit {
		err = fmt.Errorf("%s is larger than %d bytes", name, limit)
	}
	return raw, err
}

func addLicense(root *os.Root, folder string) error {
	if folder == "." {
		return nil
	}
	if _, err := root.Lstat(path.Join(folder, "LICENSE")); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	text, err := readLimited(root, "LICENSE", modzip.MaxLICENSE)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return root.WriteFile(path.Join(folder, "LICENSE"), text, 0o644)
}
