package gitrepo

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/storer"

	"github.com/cachito-serverless/cachito/shared/fault"
)

// maxTreeObjectBytes bounds one folder's list of entries.
const maxTreeObjectBytes = 128 << 20

// checkout is a tree and where its objects are.
type checkout struct {
	objects storer.EncodedObjectStorer
	tree    plumbing.Hash
}

// walker sends trees to a sink.
type walker struct {
	settings Settings
	sink     TreeSink
	info     *Info
	subs     map[string]checkout // submodules to fill in, by path
	gitDir   *gitDir             // nil: none

	entries int
	bytes   int64
}

func newWalker(s Settings, sink TreeSink, info *Info) *walker {
	return &walker{settings: s, sink: sink, info: info, subs: map[string]checkout{}}
}

func (w *walker) run(ctx context.Context, c checkout) error {
	return w.walk(ctx, c, "", 0, false)
}

// treeEntry is an entry of a tree object, checked.
type treeEntry struct {
	name string
	mode filemode.FileMode // Dir, Submodule, Symlink, Regular or Executable
	hash plumbing.Hash
}

// key is what orders entries so that whole paths come in byte order: whatever has something below it
// counts as if its name ended in a slash.
func (e treeEntry) key(asFolder bool) string {
	if asFolder {
		return e.name + "/"
	}
	return e.name
}

// readTree reads a tree object and refuses what git's own checkout refuses.
func readTree(s storer.EncodedObjectStorer, hash plumbing.Hash, prefix string, depth int) ([]treeEntry, error) {
	if depth > MaxDepth {
		return nil, fault.Client(fault.UnsupportedFeature, "The repository has folders more than %d levels deep", MaxDepth)
	}
	o, err := s.EncodedObject(plumbing.TreeObject, hash)
	if err != nil {
		return nil, fmt.Errorf("reading the folder %q: %w", prefix, err)
	}
	if o.Size() > maxTreeObjectBytes {
		return nil, fault.Client(fault.UnsupportedFeature, "The folder %q has more entries than can be read", prefix)
	}
	t := &object.Tree{}
	if err := t.Decode(o); err != nil {
		return nil, badTree(prefix, "its list of entries cannot be read")
	}
	entries := make([]treeEntry, 0, len(t.Entries))
	seen := make(map[string]bool, len(t.Entries))
	for _, e := range t.Entries {
		// Decode has made the modes canonical, as git does: 100664 is a file, a device a submodule.
		out := treeEntry{name: e.Name, mode: e.Mode, hash: e.Hash}
		switch {
		case e.Name == "" || e.Name == "." || e.Name == ".." || strings.ContainsAny(e.Name, "/\x00"):
			return nil, badTree(prefix+e.Name, "it is not a file name")
		case strings.EqualFold(e.Name, ".git"):
			return nil, badTree(prefix+e.Name, "git does not allow the name .git")
		case seen[e.Name]:
			return nil, badTree(prefix+e.Name, "it is there twice")
		case len(prefix)+len(e.Name) > MaxPathBytes:
			return nil, fault.Client(fault.UnsupportedFeature, "A path of the repository is longer than %d bytes", MaxPathBytes)
		}
		seen[e.Name] = true
		entries = append(entries, out)
	}
	return entries, nil
}

func badTree(path, why string) error {
	return fault.Client(fault.InvalidRepoStructure, "The repository cannot be checked out: %q: %s", path, why)
}

func tooMany(max int) error {
	return fault.Client(fault.UnsupportedFeature, "The repository has more than %d files, the limit", max)
}

func (w *walker) walk(ctx context.Context, c checkout, prefix string, depth int, inSub bool) error {
	entries, err := readTree(c.objects, c.tree, prefix, depth)
	if err != nil {
		return err
	}
	filled := func(e treeEntry) bool {
		_, ok := w.subs[prefix+e.name]
		return ok && !inSub && e.mode == filemode.Submodule
	}
	asFolder := func(e treeEntry) bool { return e.mode == filemode.Dir || filled(e) }
	slices.SortFunc(entries, func(a, b treeEntry) int { return strings.Compare(a.key(asFolder(a)), b.key(asFolder(b))) })

	gitDirDue := prefix == "" && !inSub && w.gitDir != nil
	for _, e := range entries {
		if gitDirDue && e.key(asFolder(e)) > ".git/" {
			gitDirDue = false
			if err := w.gitDir.emit(w.sink); err != nil {
				return err
			}
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if w.entries++; w.entries > w.settings.MaxEntries {
			return tooMany(w.settings.MaxEntries)
		}
		path := prefix + e.name
		switch {
		case e.mode == filemode.Dir:
			err = w.walk(ctx, checkout{c.objects, e.hash}, path+"/", depth+1, inSub)
		case filled(e):
			err = w.submodule(ctx, path, depth)
		case e.mode == filemode.Submodule:
			err = sinkError(path, w.sink.Dir(path))
		case e.mode == filemode.Symlink:
			err = w.link(c, path, e)
		default:
			err = w.file(c, path, e)
		}
		if err != nil {
			return err
		}
	}
	if gitDirDue {
		return w.gitDir.emit(w.sink)
	}
	return nil
}

func (w *walker) submodule(ctx context.Context, path string, depth int) error {
	before := w.entries
	if err := w.walk(ctx, w.subs[path], path+"/", depth+1, true); err != nil {
		return err
	}
	if w.entries == before { // an empty tree
		return sinkError(path, w.sink.Dir(path))
	}
	return nil
}

func (w *walker) link(c checkout, path string, e treeEntry) error {
	target, err := readBlob(c.objects, e.hash, MaxLinkBytes)
	if err != nil {
		return fmt.Errorf("reading the link %q: %w", path, err)
	}
	if target == "" || strings.Contains(target, "\x00") {
		return badTree(path, "its target is not a path")
	}
	return sinkError(path, w.sink.Link(path, target))
}

func (w *walker) file(c checkout, path string, e treeEntry) error {
	o, err := c.objects.EncodedObject(plumbing.BlobObject, e.hash)
	if err != nil {
		return fmt.Errorf("reading %q: %w", path, err)
	}
	if w.bytes += o.Size(); w.bytes > w.settings.MaxTreeBytes {
		return fault.Client(fault.UnsupportedFeature, "The files of the repository have more than %d bytes together, the limit", w.settings.MaxTreeBytes)
	}
	r, err := o.Reader()
	if err != nil {
		return fmt.Errorf("reading %q: %w", path, err)
	}
	defer r.Close()
	mode := fs.FileMode(0o644)
	if e.mode == filemode.Executable {
		mode = 0o755
	}
	return w.emit(path, mode, o.Size(), r)
}

// lfsHeader begins a Git LFS pointer, which is shorter than lfsMaxBytes
// (https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md).
const (
	lfsHeader   = "version https://git-lfs.github.com/spec/v1\n"
	lfsMaxBytes = 1024
)

// emit sends a file's content, looking whether it is an LFS pointer.
func (w *walker) emit(path string, mode fs.FileMode, size int64, r io.Reader) error {
	if size <= lfsMaxBytes {
		content, err := io.ReadAll(io.LimitReader(r, size))
		if err != nil {
			return fmt.Errorf("reading %q: %w", path, err)
		}
		if bytes.HasPrefix(content, []byte(lfsHeader)) && len(w.info.LFSPointers) < MaxListed {
			w.info.LFSPointers = append(w.info.LFSPointers, path)
		}
		r = bytes.NewReader(content)
	}
	read := &exactReader{r: r, left: size}
	if err := w.sink.File(path, mode, size, read); err != nil {
		if read.err != nil {
			return fmt.Errorf("reading %q: %w", path, read.err)
		}
		return sinkError(path, err)
	}
	return nil
}

// exactReader gives size bytes, and remembers an error of the source's side.
type exactReader struct {
	r    io.Reader
	left int64
	err  error
}

func (e *exactReader) Read(p []byte) (int, error) {
	if e.left <= 0 {
		return 0, io.EOF
	}
	if int64(len(p)) > e.left {
		p = p[:e.left]
	}
	n, err := e.r.Read(p)
	e.left -= int64(n)
	if err == io.EOF && e.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	if err == io.EOF {
		err = nil
	}
	if err != nil {
		e.err = err
	}
	return n, err
}

func sinkError(path string, err error) error {
	if err == nil {
		return nil
	}
	return &sinkFailure{path, err}
}

// sinkFailure is an error of the sink's.
type sinkFailure struct {
	path string
	err  error
}

func (e *sinkFailure) Error() string { return fmt.Sprintf("storing %q: %v", e.path, e.err) }
func (e *sinkFailure) Unwrap() error { return e.err }
