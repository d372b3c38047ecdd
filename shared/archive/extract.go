package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
)

// Extract extracts a tar archive, plain or compressed with gzip, into root, which should be empty.
// Nothing outside of root is touched. Files get 0644 or 0755 and no owner; times are not kept.
//
// Besides what Walk refuses, it refuses symbolic links that lead out of the tree (see UnsafeLinks), hard
// links to anything but a file extracted before, files below something that is not a directory, and names
// that come again as another kind (UnsafeEntryError). A file may replace a file; the last one stays. After
// an error, root holds a part of the archive.
func Extract(ctx context.Context, r io.Reader, root *os.Root, limits Limits) error {
	x := newExtractor(ctx, root)
	err := Walk(ctx, r, limits, x.entry)
	if err = x.finish(err); err != nil {
		return fmt.Errorf("extracting an archive: %w", err)
	}
	if unsafe := unsafeLinks(x.layout.links); len(unsafe) > 0 {
		return fmt.Errorf("extracting an archive: %w",
			&UnsafeEntryError{unsafe[0], fmt.Sprintf("is a link to %q, which is outside of the archive", x.layout.links[unsafe[0]])})
	}
	return x.makeLinks()
}

// ExtractTree extracts a tree that a TreeWriter wrote into root, which should be empty. Links are made as
// they are, but for those in limits.Skip; whether they lead out of the tree is for the caller to ask
// beforehand (UnsafeLinks). The ratio is not limited: trees are our own files. ErrDamaged as TreeReader.
func ExtractTree(ctx context.Context, r io.Reader, root *os.Root, limits Limits) error {
	tree, err := NewTreeReader(r)
	if err != nil {
		return err
	}
	defer tree.Close()
	limits = limits.withDefaults()
	x := newExtractor(ctx, root)
	if err := x.finish(x.tree(tree, limits)); err != nil {
		return fmt.Errorf("extracting the source tree: %w", err)
	}
	return x.makeLinks()
}

// extractor writes entries below root. Small files are written by several goroutines; links are made
// last, so that nothing can be written through one.
type extractor struct {
	ctx    context.Context
	root   *os.Root
	layout *layout
	files  *fileWriters
}

func newExtractor(ctx context.Context, root *os.Root) *extractor {
	x := &extractor{ctx: ctx, root: root, files: newFileWriters(root)}
	x.layout = newLayout(x.mkdir)
	return x
}

func (x *extractor) mkdir(name string) error {
	err := x.root.Mkdir(name, 0o755)
	if errors.Is(err, fs.ErrExist) {
		// The root was not empty: what is there must be a directory, not a link to one.
		info, statErr := x.root.Lstat(name)
		if statErr == nil && info.IsDir() {
			return nil
		}
	}
	return err
}

// tree extracts all entries of a tree.
func (x *extractor) tree(tree *TreeReader, limits Limits) error {
	count := newTreeMeter(limits)
	for {
		if err := x.ctx.Err(); err != nil {
			return err
		}
		e, err := tree.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := errors.Join(count.addEntry(), count.addBytes(e.Size)); err != nil {
			return err
		}
		if limits.Skip[e.Path] {
			continue
		}
		if err := x.entry(Entry{Name: e.Path, Mode: e.Mode, Linkname: e.Linkname, Size: e.Size}, tree); err != nil {
			return err
		}
	}
}

// entry extracts one entry; links only get their place.
func (x *extractor) entry(e Entry, content io.Reader) error {
	if e.Hardlink {
		return x.hardlink(e)
	}
	again, err := x.layout.add(e.Name, e.Mode, e.Linkname)
	if err != nil || !e.Mode.isFile() {
		return err
	}
	if again {
		if err := x.replace(e.Name); err != nil {
			return err
		}
	}
	return x.files.write(e, content)
}

// replace removes a file that comes again.
func (x *extractor) replace(name string) error {
	if err := x.files.wait(); err != nil {
		return err
	}
	return x.root.Remove(name)
}

func (x *extractor) hardlink(e Entry) error {
	mode, ok := x.layout.modes[e.Linkname]
	if !ok || !mode.isFile() {
		return &UnsafeEntryError{e.Name, fmt.Sprintf("is a hard link to %q, which is no file of the archive so far", e.Linkname)}
	}
	if e.Name == e.Linkname {
		return nil
	}
	again, err := x.layout.add(e.Name, mode, "")
	if err != nil {
		return err
	}
	if again {
		if err := x.replace(e.Name); err != nil {
			return err
		}
	}
	if err := x.files.wait(); err != nil {
		return err
	}
	return x.root.Link(e.Linkname, e.Name)
}

// finish waits for the files, and tells which error came first.
func (x *extractor) finish(err error) error {
	filesErr := x.files.close()
	if filesErr != nil && (err == nil || errors.Is(err, errWriterFailed)) {
		return filesErr
	}
	return err
}

func (x *extractor) makeLinks() error {
	names := make([]string, 0, len(x.layout.links))
	for name := range x.layout.links {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if err := x.root.Symlink(x.layout.links[name], name); err != nil {
			return fmt.Errorf("making the link %s: %w", name, err)
		}
	}
	return nil
}
