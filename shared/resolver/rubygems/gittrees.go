package rubygems

import (
	"context"
	"crypto/sha1"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/resolver"
)

const (
	// MaxGitTrees bounds the repositories of a request's git gems.
	MaxGitTrees = 1000
	// MaxGitFiles bounds the files of all git gems of a request together. Each is an entry of the result, which is
	// held in memory: 33,000 made the process 126 MB large, 98,000 made it 187 MB.
	MaxGitFiles = 50_000
	// treesAtATime bounds the repositories that are checked out side by side.
	treesAtATime = 4
)

// fetchTrees checks the trees out and stores each as one file. It returns their entries, in the same order; paths
// are relative to the tree. Progress goes on behind that of the gems.
func (r *run) fetchTrees(ctx context.Context, trees []gitTree, gems request.Progress) ([][]resolver.Entry, error) {
	if len(trees) > MaxGitTrees {
		return nil, fault.Client(fault.UnsupportedFeature, "The GIT dependencies of Gemfile.lock come from more than %d repositories", MaxGitTrees)
	}
	out := make([][]resolver.Entry, len(trees))
	progress := treeProgress{now: gems, files: MaxGitFiles, report: r.in.Progress}
	progress.now.Total += int64(len(trees))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(treesAtATime)
	for i, tree := range trees {
		group.Go(func() error {
			entries, err := r.fetchTree(ctx, tree, fmt.Sprintf("git-%d", i))
			if err == nil {
				err = progress.add(entries)
			}
			if err != nil {
				return fmt.Errorf("fetching the git gems of %s: %w", tree.shown, err)
			}
			out[i] = entries
			return nil
		})
	}
	return out, group.Wait()
}

// treeProgress counts the trees that are there, and their files. Safe for concurrent use.
type treeProgress struct {
	mu     sync.Mutex
	now    request.Progress
	files  int // that are still allowed
	report func(request.Progress)
}

func (p *treeProgress) add(entries []resolver.Entry) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.files -= len(entries); p.files < 0 {
		return tooManyFiles()
	}
	for _, e := range entries {
		if e.Part != nil {
			p.now.Bytes += e.Part.Size
		}
	}
	p.now.Done++
	if p.report != nil {
		p.report(p.now)
	}
	return nil
}

func tooManyFiles() error {
	return fault.Client(fault.UnsupportedFeature, "The GIT dependencies of Gemfile.lock have more than %d files", MaxGitFiles)
}

func (r *run) fetchTree(ctx context.Context, tree gitTree, scratch string) ([]resolver.Entry, error) {
	if err := r.in.Scratch.Mkdir(scratch, 0o700); err != nil {
		return nil, err
	}
	defer r.in.Scratch.RemoveAll(scratch)
	root, err := r.in.Scratch.OpenRoot(scratch)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	var options []resolver.CheckOutOption
	if tree.submodules {
		options = append(options, resolver.WithSubmodules)
	}
	checkout, err := r.in.Git.CheckOut(ctx, tree.url, tree.commit, root, options...)
	if err != nil {
		return nil, tree.named(err)
	}
	if len(checkout.Removed) > 0 {
		r.in.Log.WarnContext(ctx, "Links that lead out of a git gem's repository are left out", "url", tree.shown, "links", someOf(checkout.Removed))
	}
	entries, err := listTree(root)
	if err != nil {
		return nil, err
	}
	blobs, err := r.storeTree(ctx, root, entries)
	if err != nil {
		return nil, err
	}
	return r.addGitFolder(ctx, tree, entries, blobs)
}

// named says which repository a fault is about: the faults of a checkout are made for the request's own.
func (t gitTree) named(err error) error {
	f, ok := errors.AsType[*fault.Error](err)
	if !ok {
		return err
	}
	named := *f
	named.Message = fmt.Sprintf("%s (the GIT dependency %s at %s)", f.Message, t.shown, t.commit)
	return named.Because(err)
}

// listTree lists files, links and empty folders of a tree, sorted by path. Files have no content yet.
func listTree(root *os.Root) ([]resolver.Entry, error) {
	var entries []resolver.Entry
	empty := map[string]bool{}
	err := fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == "." {
			return err
		}
		delete(empty, path.Dir(name))
		e := resolver.Entry{Path: name}
		switch {
		case d.IsDir():
			empty[name] = true
			return nil
		case d.Type() == fs.ModeSymlink:
			if e.Link, err = root.Readlink(name); err != nil {
				return err
			}
		case d.Type().IsRegular():
			info, err := d.Info()
			if err != nil {
				return err
			}
			e.Executable = info.Mode()&0o100 != 0
			e.Part = &resolver.Part{Size: info.Size()}
		default:
			return fmt.Errorf("%s is neither file nor folder nor link", name)
		}
		if entries = append(entries, e); len(entries) > MaxGitFiles {
			return tooManyFiles()
		}
		return nil
	})
	for name := range empty {
		entries = append(entries, resolver.Entry{Path: name, Dir: true})
	}
	slices.SortFunc(entries, func(a, b resolver.Entry) int { return strings.Compare(a.Path, b.Path) })
	return entries, err
}

// storeTree stores the content of all files as one file of the cache, of which they become parts. It returns the
// names that git's objects of the files and links have.
func (r *run) storeTree(ctx context.Context, root *os.Root, entries []resolver.Entry) (map[string][20]byte, error) {
	blobs := make(map[string][20]byte, len(entries))
	in, out := io.Pipe()
	go func() { out.CloseWithError(copyFiles(ctx, out, root, entries, blobs)) }()
	file, err := r.in.Fetcher.Store(ctx, in)
	in.CloseWithError(errors.New("not read any more"))
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if e.Part != nil {
			e.Part.Of = file
		}
	}
	return blobs, nil
}

// copyFiles writes the files' content one after the other, and notes where each is.
func copyFiles(ctx context.Context, w io.Writer, root *os.Root, entries []resolver.Entry, blobs map[string][20]byte) error {
	buf := make([]byte, 64<<10)
	var offset int64
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return err
		}
		switch {
		case e.Link != "":
			blobs[e.Path] = [20]byte(newBlob(int64(len(e.Link)), e.Link).Sum(nil))
		case e.Part != nil:
			crc, blob := crc32.NewIEEE(), newBlob(e.Part.Size, "")
			n, err := copyFile(io.MultiWriter(w, crc, blob), root, e.Path, buf)
			if err != nil {
				return err
			}
			if n != e.Part.Size {
				return fmt.Errorf("%s has %d bytes, it had %d", e.Path, n, e.Part.Size)
			}
			e.Part.Offset, e.Part.CRC32, blobs[e.Path] = offset, crc.Sum32(), [20]byte(blob.Sum(nil))
			offset += n
		}
	}
	return nil
}

// newBlob hashes a git blob.
func newBlob(size int64, content string) hash.Hash {
	h := sha1.New()
	fmt.Fprintf(h, "blob %d\x00%s", size, content)
	return h
}

func copyFile(w io.Writer, root *os.Root, name string, buf []byte) (int64, error) {
	f, err := root.Open(name)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	return io.CopyBuffer(w, struct{ io.Reader }{f}, buf)
}
