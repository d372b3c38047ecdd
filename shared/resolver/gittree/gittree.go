// Package gittree brings trees of git repositories into bundles: a tree's files are stored as one file of the
// cache, of which each is a part. Storing thousands of small files one by one would cost a transaction, or a
// request to object storage, each.
package gittree

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

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/resolver"
)

// ErrTooManyFiles ends List.
var ErrTooManyFiles = errors.New("too many files")

// CheckOut writes a commit into an empty folder of the scratch space, which done removes. Faults: as
// resolver.Repositories, with what (the dependency) named in them; those of a checkout are made for the
// request's own repository.
func CheckOut(ctx context.Context, in resolver.Input, url, commit, scratch, what string, options ...resolver.CheckOutOption) (root *os.Root, removed []string, done func(), err error) {
	if err := in.Scratch.Mkdir(scratch, 0o700); err != nil {
		return nil, nil, nil, err
	}
	if root, err = in.Scratch.OpenRoot(scratch); err != nil {
		return nil, nil, nil, errors.Join(err, in.Scratch.RemoveAll(scratch))
	}
	done = func() {
		root.Close()
		in.Scratch.RemoveAll(scratch)
	}
	checkout, err := in.Git.CheckOut(ctx, url, commit, root, options...)
	if err != nil {
		done()
		return nil, nil, nil, named(err, what)
	}
	return root, checkout.Removed, done, nil
}

// named says which dependency a fault is about.
func named(err error, what string) error {
	f, ok := errors.AsType[*fault.Error](err)
	if !ok {
		return err
	}
	named := *f
	named.Message = fmt.Sprintf("%s (%s)", f.Message, what)
	return named.Because(err)
}

// List lists files, links and empty folders of a tree, sorted by path. Files have no content yet: their Part
// is a size alone. ErrTooManyFiles when there are more than limit.
func List(root *os.Root, limit int) ([]resolver.Entry, error) {
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
		if entries = append(entries, e); len(entries) > limit {
			return ErrTooManyFiles
		}
		return nil
	})
	for name := range empty {
		entries = append(entries, resolver.Entry{Path: name, Dir: true})
	}
	slices.SortFunc(entries, func(a, b resolver.Entry) int { return strings.Compare(a.Path, b.Path) })
	return entries, err
}

// Store stores the content of all files that List found as one file of the cache, of which they become parts.
// It returns the names that git's objects of the files and links have, by path.
func Store(ctx context.Context, f resolver.Fetcher, root *os.Root, entries []resolver.Entry) (map[string][20]byte, error) {
	blobs := make(map[string][20]byte, len(entries))
	in, out := io.Pipe()
	go func() { out.CloseWithError(copyFiles(ctx, out, root, entries, blobs)) }()
	file, err := f.Store(ctx, in)
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
