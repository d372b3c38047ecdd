package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cachito-serverless/cachito/shared/archive"
	"github.com/cachito-serverless/cachito/shared/blob"
	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/resolver"
)

const (
	// appLevel is the deflate level of the application's files, which are mostly text.
	appLevel = 3
	// depsLevel is the level of dependency files that are not compressed yet.
	depsLevel = 3
	// bufferedFileBytes is up to which size a source file is read into memory, so that several
	// are compressed side by side; larger ones are streamed.
	bufferedFileBytes = 1 << 20
)

// depsTime is the time of everything below deps/: it must not depend on the commit, so that the same
// lockfiles give the same bytes.
var depsTime = time.Unix(0, 0).UTC()

// assembly is one bundle being written.
type assembly struct {
	p     *Pipeline
	ctx   context.Context
	w     work
	src   sourceRecord
	to    io.Writer
	out   *archive.BundleWriter
	bar   *progressWriter
	done  atomic.Int64
	total int64
	files map[string]string // name in the bundle -> SHA-256 in the cache
}

// write writes the whole bundle: deps/, then app/, then the files at the root. Its places are the second result. What a
// prefix holds lies in front already and is left out.
func (a *assembly) write(l layers, places []candidate, prefix *prefixRecord) (archive.Summary, []place, error) {
	none := archive.Summary{}
	if err := a.begin(l.deps, prefix); err != nil {
		return none, nil, err
	}
	defer a.out.Abort()
	made := make([]place, len(places))
	if err := a.deps(l.deps, places, made, prefix); err != nil {
		return none, nil, err
	}
	if err := a.app(l.app); err != nil {
		return none, nil, err
	}
	root := append(slices.Clone(l.root), resolver.Entry{Path: EnvFileName, Inline: envFile(l.env)})
	slices.SortFunc(root, func(x, y resolver.Entry) int { return strings.Compare(x.Path, y.Path) })
	if err := a.entries("", root, a.src.CommitTime); err != nil {
		return none, nil, err
	}
	sum, err := a.out.Close()
	if err != nil {
		return none, nil, fmt.Errorf("writing the bundle: %w", err)
	}
	return sum, made, nil
}

// begin opens the archive, at its beginning or behind the prefix.
func (a *assembly) begin(deps []resolver.Entry, prefix *prefixRecord) error {
	if prefix == nil {
		a.out = archive.NewBundleWriter(a.to)
		return nil
	}
	end := prefix.end()
	var err error
	a.out, err = archive.ResumeBundleWriter(a.to, end.Checkpoint, archive.WithNamesBefore(namesOf(deps[:end.Entries])))
	if err != nil {
		return fmt.Errorf("%w: %w", errResume, err)
	}
	a.done.Store(int64(end.Entries) - 1)
	a.progress()
	return nil
}

// deps writes deps/ and everything below it that the prefix does not hold. The places are filled in by the end of the
// archive.
func (a *assembly) deps(list []resolver.Entry, places []candidate, made []place, prefix *prefixRecord) error {
	known, n := 0, 0
	if prefix != nil {
		known, n = copy(made, prefix.Places), prefix.end().Entries
	} else if err := a.out.Add(a.ctx, archive.Header{Name: "deps", Mode: archive.Dir, ModTime: depsTime}, archive.Bytes(nil)); err != nil {
		return err
	}
	for i, c := range places[known:] {
		if err := a.entries(depsDir, list[n:c.entries], depsTime); err != nil {
			return err
		}
		n = c.entries
		if n < len(list) && !a.out.AtSegmentEnd() {
			return fmt.Errorf("the bundle has no place behind %s", list[n-1].Path)
		}
		err := a.out.Mark(a.ctx, func(p archive.Checkpoint) { made[known+i] = place{Entries: c.entries, Checkpoint: p} })
		if err != nil {
			return err
		}
	}
	return a.entries(depsDir, list[n:], depsTime)
}

// lost names the cached file behind an error of content that is not what it was; files are encoded ahead,
// so the error may come with a later entry.
func (a *assembly) lost(err error) error {
	var changed *archive.ContentChangedError
	if !errors.As(err, &changed) {
		return err
	}
	if sha, ok := a.files[changed.Name]; ok {
		return &lostFile{sha256: sha, path: changed.Name, err: err}
	}
	return errors.Join(archive.ErrDamaged, err) // a file of the source tree
}

// entries writes files in the order given, each below dir.
func (a *assembly) entries(dir string, list []resolver.Entry, t time.Time) error {
	for _, e := range list {
		if err := a.entry(path.Join(dir, e.Path), e, t); err != nil {
			return err
		}
	}
	return nil
}

// depsDir is where the dependencies lie in a bundle.
const depsDir = "deps/"

// header is how an entry stands in a bundle.
func header(name string, e resolver.Entry, t time.Time) archive.Header {
	h := archive.Header{Name: name, Mode: archive.File, ModTime: t}
	if e.Executable {
		h.Mode = archive.Executable
	}
	switch {
	case e.Dir:
		h.Mode = archive.Dir
	case e.Link != "":
		h.Mode, h.Linkname = archive.Link, e.Link
	default:
		h.Size = contentSize(e)
	}
	return h
}

func (a *assembly) entry(name string, e resolver.Entry, t time.Time) error {
	if e.Deleted {
		return nil
	}
	h := header(name, e, t)
	switch {
	case e.Dir, e.Link != "":
		return a.out.Add(a.ctx, h, archive.Bytes(nil))
	case e.Part != nil:
		a.files[name] = e.Part.Of.SHA256
		return a.out.Add(a.ctx, h, a.cached(name, *e.Part))
	case e.File == nil:
		return a.out.Add(a.ctx, h, archive.Bytes(e.Inline))
	}
	a.files[name] = e.File.SHA256
	return a.out.Add(a.ctx, h, a.cached(name, resolver.Part{Of: *e.File, Size: e.File.Size, CRC32: e.File.CRC32}))
}

// cached is a file of the dependency cache, or a piece of one. Archives are copied as they are; their CRC is compared
// on the way, so that a damaged cache never reaches a bundle.
func (a *assembly) cached(name string, p resolver.Part) archive.Content {
	open := func() (io.ReadCloser, error) {
		o, err := a.p.Blobs.Open(a.ctx, fileKey(p.Of.SHA256))
		if errors.Is(err, blob.ErrNotFound) {
			return nil, &lostFile{sha256: p.Of.SHA256, path: name, err: err}
		}
		if err != nil {
			return nil, err
		}
		a.progress()
		if p.Size == p.Of.Size {
			return o, nil
		}
		return struct {
			io.Reader
			io.Closer
		}{io.NewSectionReader(o, p.Offset, p.Size), o}, nil
	}
	if archive.IsCompressed(name) {
		return archive.Stored(open, p.CRC32)
	}
	return archive.Deflated(open, depsLevel).WithCRC(p.CRC32)
}

func (a *assembly) progress() {
	a.done.Add(1)
	a.bar.report(request.Progress{Done: a.done.Load(), Total: a.total})
}

// app writes the source tree with the overlays laid over it, sorted by path.
func (a *assembly) app(overlays []resolver.Entry) error {
	stored, err := a.p.Blobs.Open(a.ctx, a.src.Tree)
	if err != nil {
		return err
	}
	defer stored.Close()
	tree, err := archive.NewTreeReader(stored)
	if err != nil {
		return err
	}
	defer tree.Close()
	keepGit := slices.Contains(a.w.req.Flags, request.FlagIncludeGitDir)
	removed := map[string]bool{}
	for _, link := range a.src.Removed {
		removed[link] = true
	}
	for {
		e, err := tree.Next()
		if err != nil && err != io.EOF {
			return err
		}
		last := err == io.EOF
		// Overlays that sort before the tree's next entry are new files.
		for len(overlays) > 0 && (last || overlays[0].Path < e.Path) {
			if err := a.overlay(overlays[0]); err != nil {
				return err
			}
			overlays = overlays[1:]
		}
		if last {
			return nil
		}
		if len(overlays) > 0 && overlays[0].Path == e.Path {
			if err := a.overlay(overlays[0]); err != nil {
				return err
			}
			overlays = overlays[1:]
			continue
		}
		if removed[e.Path] || (!keepGit && hasGit(e.Path)) {
			continue
		}
		if err := a.treeEntry(tree, e); err != nil {
			return err
		}
	}
}

func (a *assembly) overlay(e resolver.Entry) error {
	return a.entry(path.Join("app", e.Path), e, a.src.CommitTime)
}

func hasGit(name string) bool {
	return slices.Contains(strings.Split(name, "/"), ".git")
}

func (a *assembly) treeEntry(tree *archive.TreeReader, e archive.TreeEntry) error {
	h := archive.Header{Name: "app/" + e.Path, Mode: e.Mode, Linkname: e.Linkname, Size: e.Size, ModTime: a.src.CommitTime}
	if e.Mode != archive.File && e.Mode != archive.Executable {
		return a.out.Add(a.ctx, h, archive.Bytes(nil))
	}
	if e.Size <= bufferedFileBytes {
		data, err := io.ReadAll(tree)
		if err != nil {
			return err
		}
		return a.out.Add(a.ctx, h, archive.Bytes(data))
	}
	open := func() (io.ReadCloser, error) { return io.NopCloser(tree), nil }
	if archive.IsCompressed(e.Path) {
		return a.out.AddNow(a.ctx, h, archive.StoredUnchecked(open))
	}
	return a.out.AddNow(a.ctx, h, archive.Deflated(open, appLevel))
}
