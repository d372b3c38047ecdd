package archive

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/klauspost/compress/zstd"

	"github.com/cachito-serverless/cachito/shared/fault"
)

// A source tree is kept as a tar inside zstd. Its first header is a PAX global one that holds the
// format's version; then come the entries, sorted bytewise by their whole path, as a bundle has them
// below app/. So a bundle is made by streaming, and overlays are merged in on the way.

const (
	treeFormatKey = "CACHITO.tree"
	treeFormat    = "1"
	// treeWindowBytes bounds the memory that reading a tree needs.
	treeWindowBytes = 1 << 20
)

// ErrDamaged: a stored tree is cut off or not what a TreeWriter wrote. It has to be made anew.
var ErrDamaged = errors.New("source tree is damaged")

// TreeEntry is one entry of a source tree. Directories are only there when they are empty (those of
// submodules that are not checked out); all others follow from the paths.
type TreeEntry struct {
	// Path is slash-separated, relative to the root, and clean.
	Path     string
	Mode     Mode
	Linkname string // of links
	Size     int64  // of files, in bytes
}

// TreeWriter writes a source tree. It is used by one goroutine at a time; after an error it is useless.
type TreeWriter struct {
	z     *zstd.Encoder
	tar   *tar.Writer
	order treeOrder
	links map[string]string
	buf   []byte
	// size of a tree is limited here, where it is the repository's fault, and by the same limits
	// again where it is extracted.
	size meter
}

// NewTreeWriter begins a tree on w.
func NewTreeWriter(w io.Writer) (*TreeWriter, error) {
	z, err := zstd.NewWriter(w, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(treeWindowBytes),
		zstd.WithEncoderConcurrency(2))
	if err != nil {
		return nil, fmt.Errorf("source tree: %w", err)
	}
	t := &TreeWriter{z: z, tar: tar.NewWriter(z), links: map[string]string{}, buf: make([]byte, 64<<10), size: newTreeMeter(Limits{})}
	err = t.tar.WriteHeader(&tar.Header{
		Typeflag: tar.TypeXGlobalHeader, Name: "cachito-tree", PAXRecords: map[string]string{treeFormatKey: treeFormat},
	})
	if err != nil {
		return nil, fmt.Errorf("writing the source tree: %w", err)
	}
	return t, nil
}

// The entries' paths must come sorted bytewise ("a-b" before "a/c" before "a0"), none twice, and nothing
// below a file or link. A path or link target that bundles cannot hold is the client's fault
// (InvalidRepoStructure), and so is a tree of more than MaxEntries or MaxBytes.

// Dir appends an empty directory.
func (t *TreeWriter) Dir(path string) error { return t.add(TreeEntry{Path: path, Mode: Dir}, nil) }

// File appends a file, executable if its owner may execute it. content must hold exactly size bytes, else
// ContentChangedError; it may be nil for none.
func (t *TreeWriter) File(path string, mode fs.FileMode, size int64, content io.Reader) error {
	e := TreeEntry{Path: path, Size: size}
	if mode&0o100 != 0 {
		e.Mode = Executable
	}
	return t.add(e, content)
}

// Link appends a symbolic link; its target is kept as it is (see UnsafeLinks).
func (t *TreeWriter) Link(path, target string) error {
	return t.add(TreeEntry{Path: path, Mode: Link, Linkname: target}, nil)
}

func (t *TreeWriter) add(e TreeEntry, content io.Reader) error {
	if err := checkEntry(e.Path, e.Mode, e.Linkname, e.Size); err != nil {
		return fault.Client(fault.InvalidRepoStructure, "The repository has a file that cannot be bundled: %v", err).Because(err)
	}
	if err := errors.Join(t.size.addEntry(), t.size.addBytes(e.Size)); err != nil {
		return fault.Client(fault.InvalidRepoStructure, "The repository is too large, at %q: %v", e.Path, err).Because(err)
	}
	if err := t.order.add(e); err != nil {
		return fmt.Errorf("writing the source tree: %w", err)
	}
	h := &tar.Header{Name: e.Path, Mode: e.Mode.perm(), Size: e.Size, Typeflag: tar.TypeReg, Format: tar.FormatPAX}
	switch e.Mode {
	case Dir:
		h.Typeflag, h.Name = tar.TypeDir, e.Path+"/"
	case Link:
		h.Typeflag, h.Linkname = tar.TypeSymlink, e.Linkname
		t.links[e.Path] = e.Linkname
	}
	if err := t.tar.WriteHeader(h); err != nil {
		return fmt.Errorf("writing %s to the source tree: %w", e.Path, err)
	}
	if !e.Mode.isFile() {
		return nil
	}
	return t.copy(e, content)
}

func (t *TreeWriter) copy(e TreeEntry, content io.Reader) error {
	if content == nil {
		content = strings.NewReader("")
	}
	n, err := io.CopyBuffer(onlyWriter{t.tar}, io.LimitReader(content, e.Size), t.buf)
	if err != nil {
		return fmt.Errorf("writing %s to the source tree: %w", e.Path, notTheEnd(err))
	}
	if n < e.Size {
		return &ContentChangedError{Name: e.Path, Want: fmt.Sprintf("%d bytes", e.Size), Got: fmt.Sprintf("%d bytes", n)}
	}
	return (&chunker{r: content, name: e.Path, size: e.Size}).checkEnd()
}

// onlyWriter hides ReadFrom, so that CopyBuffer uses the buffer.
type onlyWriter struct{ io.Writer }

// UnsafeLinks returns the links added so far that lead out of the tree, sorted; see UnsafeLinks.
func (t *TreeWriter) UnsafeLinks() []string { return unsafeLinks(t.links) }

// Close writes the end of the tree. It does not close the writer below. Without it nothing can be read.
func (t *TreeWriter) Close() error {
	if err := errors.Join(t.tar.Close(), t.z.Close()); err != nil {
		return fmt.Errorf("writing the source tree: %w", err)
	}
	return nil
}

// TreeReader reads a source tree, entry by entry. It implements io.Reader for the content of the current
// entry. It is used by one goroutine at a time.
type TreeReader struct {
	in    *sourceReader
	z     *zstd.Decoder
	tar   *tar.Reader
	order treeOrder
	err   error
}

// NewTreeReader begins to read a tree that a TreeWriter wrote. ErrDamaged when r does not begin like one.
// Close must be called.
func NewTreeReader(r io.Reader) (*TreeReader, error) {
	in := &sourceReader{r: r}
	z, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(2), zstd.WithDecoderMaxWindow(treeWindowBytes), zstd.WithDecoderLowmem(true))
	if err != nil {
		return nil, fmt.Errorf("source tree: %w", err)
	}
	t := &TreeReader{in: in, z: z, tar: tar.NewReader(z)}
	h, err := t.tar.Next()
	switch {
	case err != nil:
		err = t.wrap(err)
	case h.Typeflag != tar.TypeXGlobalHeader || h.PAXRecords[treeFormatKey] != treeFormat:
		err = fmt.Errorf("%w: it does not begin with format %s", ErrDamaged, treeFormat)
	}
	if err != nil {
		z.Close()
		return nil, err
	}
	return t, nil
}

// Next goes to the next entry, in the order of the paths; what was not read of the current one is
// skipped. io.EOF after the last. ErrDamaged when the tree is cut off or not in order; other errors are
// those of the reader below.
func (t *TreeReader) Next() (TreeEntry, error) {
	if t.err != nil {
		return TreeEntry{}, t.err
	}
	e, err := t.next()
	t.err = err
	return e, err
}

func (t *TreeReader) next() (TreeEntry, error) {
	h, err := t.tar.Next()
	if err == io.EOF {
		// The tar has ended; the checksum of the last zstd frame is checked when it is read out.
		if _, err := io.Copy(io.Discard, io.LimitReader(t.z, blockBytes*20)); err != nil {
			return TreeEntry{}, t.wrap(err)
		}
		return TreeEntry{}, io.EOF
	}
	if err != nil {
		return TreeEntry{}, t.wrap(err)
	}
	e := TreeEntry{Path: strings.TrimSuffix(h.Name, "/"), Linkname: h.Linkname, Size: h.Size}
	switch {
	case h.Typeflag == tar.TypeDir:
		e.Mode = Dir
	case h.Typeflag == tar.TypeSymlink:
		e.Mode = Link
	case h.Typeflag == tar.TypeReg && h.Mode&0o100 != 0:
		e.Mode = Executable
	case h.Typeflag != tar.TypeReg:
		return TreeEntry{}, fmt.Errorf("%w: %s has the tar type %q", ErrDamaged, e.Path, h.Typeflag)
	}
	if err := checkEntry(e.Path, e.Mode, e.Linkname, e.Size); err != nil {
		return TreeEntry{}, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if err := t.order.add(e); err != nil {
		return TreeEntry{}, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return e, nil
}

// Read reads the content of the current entry; io.EOF at its end.
func (t *TreeReader) Read(b []byte) (int, error) {
	n, err := t.tar.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		err = t.wrap(err)
	}
	return n, err
}

// Close frees the decoder's memory. It does not close the reader below.
func (t *TreeReader) Close() error {
	t.z.Close()
	return nil
}

// wrap tells damage from trouble below.
func (t *TreeReader) wrap(err error) error {
	if below := t.in.failure(); below != nil {
		return fmt.Errorf("reading the source tree: %w", below)
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("%w: %w", ErrDamaged, err)
}

// treeOrder makes sure that paths come sorted and that nothing lies below a file or a link.
type treeOrder struct {
	last string
	any  bool
	// leaves are the files and links whose path is a prefix of the last one: only what comes next to
	// them in bytewise order can lie below them.
	leaves []string
}

func (o *treeOrder) add(e TreeEntry) error {
	if o.any && e.Path <= o.last {
		return fmt.Errorf("entry %q after %q: paths must be sorted bytewise, none twice", e.Path, o.last)
	}
	for len(o.leaves) > 0 && !strings.HasPrefix(e.Path, o.leaves[len(o.leaves)-1]) {
		o.leaves = o.leaves[:len(o.leaves)-1]
	}
	for _, leaf := range o.leaves {
		if e.Path[len(leaf)] == '/' {
			return fmt.Errorf("entry %q lies below %q, which is not a directory", e.Path, leaf)
		}
	}
	if e.Mode != Dir {
		o.leaves = append(o.leaves, e.Path)
	}
	o.last, o.any = e.Path, true
	return nil
}
