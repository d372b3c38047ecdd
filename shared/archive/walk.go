package archive

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"time"
)

// ErrBadArchive: the bytes are not a tar archive, are cut off, or are damaged.
var ErrBadArchive = errors.New("not a whole tar archive")

// Entry is an entry of somebody's tar archive, checked and cleaned.
type Entry struct {
	// Name is clean and relative: "pkg-1.0/setup.py" for "./pkg-1.0//setup.py".
	Name string
	Mode Mode
	// Linkname is the target of a symbolic link, as it is. For a hard link it is the clean name of
	// the file that it shares its content with.
	Linkname string
	// Hardlink: the entry is another name of the file Linkname. Its Mode is File.
	Hardlink bool
	Size     int64 // of the content, in bytes
	ModTime  time.Time
}

// Walk calls visit for every entry of a tar archive, plain or compressed with gzip, in its order, without
// extracting anything. content is valid until visit returns. An error of visit ends the walk and is
// returned as it is.
//
// Names that are absolute or have ".." elements, devices and the like end the walk (UnsafeEntryError), as
// does exceeding the limits (LimitError). Where symbolic links lead is not looked at, nor whether names come
// twice; Extract does. ErrBadArchive when r is no archive or not whole.
func Walk(ctx context.Context, r io.Reader, limits Limits, visit func(e Entry, content io.Reader) error) error {
	source := &sourceReader{r: r}
	limits = limits.withDefaults()
	out := &outReader{ctx: ctx, meter: meter{limits: limits, in: source.count}}
	in, err := decompress(source)
	if err != nil {
		return badArchive(source, out, err)
	}
	out.r = in
	tr := tar.NewReader(out)
	for first := true; ; first = false {
		h, err := tr.Next()
		if err == io.EOF && (!first || out.meter.bytes > 0) {
			return drain(source, out)
		}
		if err != nil {
			return badArchive(source, out, err)
		}
		if h.Typeflag == tar.TypeXGlobalHeader {
			continue // git archive writes the commit into one
		}
		if err := out.meter.addEntry(); err != nil {
			return err
		}
		e, err := cleanEntry(h, limits)
		if err != nil {
			return err
		}
		if e.Name == "." || limits.Skip[e.Name] {
			continue
		}
		content := &entryReader{r: tr, source: source, out: out}
		if err := visit(e, content); err != nil {
			return err
		}
	}
}

// decompress looks whether the archive is compressed.
func decompress(r io.Reader) (io.Reader, error) {
	b := bufio.NewReaderSize(r, 64<<10)
	magic, err := b.Peek(2)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		return gzip.NewReader(b)
	}
	return b, nil
}

// maxTrailingBytes is how much may follow the end of the tar: blocking factors pad archives with zeros.
const maxTrailingBytes = 1 << 20

// drain reads to the end, so that the checksum of a compressed archive is checked.
func drain(source *sourceReader, out *outReader) error {
	n, err := io.Copy(io.Discard, io.LimitReader(out, maxTrailingBytes))
	if errors.Is(err, gzip.ErrHeader) && out.err == nil {
		// Something that is not gzip follows the last member, whose checksum was right. Released
		// archives with zeros there exist, and every tar program reads them.
		return nil
	}
	if err != nil {
		return badArchive(source, out, err)
	}
	if n == maxTrailingBytes {
		return &LimitError{"bytes after the archive's end", maxTrailingBytes}
	}
	return nil
}

// badArchive decides whose trouble an error of reading is.
func badArchive(source *sourceReader, out *outReader, err error) error {
	if out.err != nil {
		return out.err // a limit, or the context
	}
	if below := source.failure(); below != nil {
		return fmt.Errorf("reading an archive: %w", below)
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("%w: %w", ErrBadArchive, err)
}

// outReader counts what comes out of the decompressor.
type outReader struct {
	ctx   context.Context
	r     io.Reader
	meter meter
	err   error
}

func (o *outReader) Read(b []byte) (int, error) {
	if o.err == nil {
		o.err = o.ctx.Err()
	}
	if o.err != nil {
		return 0, o.err
	}
	n, err := o.r.Read(b)
	if o.err = o.meter.addBytes(int64(n)); o.err != nil {
		return 0, o.err
	}
	return n, err
}

// entryReader reads the content of one entry. Holes of sparse files cost no input, so they are counted
// here.
type entryReader struct {
	r      io.Reader
	source *sourceReader
	out    *outReader
}

func (e *entryReader) Read(b []byte) (int, error) {
	before := e.out.meter.bytes
	n, err := e.r.Read(b)
	if made := e.out.meter.bytes - before; int64(n) > made && e.out.err == nil {
		if e.out.err = e.out.meter.addBytes(int64(n) - made); e.out.err != nil {
			return 0, e.out.err
		}
	}
	if err != nil && !errors.Is(err, io.EOF) {
		err = badArchive(e.source, e.out, err)
	}
	return n, err
}

// cleanEntry checks what can be said of one entry alone.
func cleanEntry(h *tar.Header, limits Limits) (Entry, error) {
	name, err := cleanName(h.Name, limits)
	if err != nil {
		return Entry{}, err
	}
	e := Entry{Name: name, Size: h.Size, ModTime: h.ModTime}
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeGNUSparse, tar.TypeCont:
		if h.Mode&0o111 != 0 {
			e.Mode = Executable
		}
		if strings.HasSuffix(h.Name, "/") {
			// Very old archives mark directories so.
			e.Mode, e.Size = Dir, 0
		}
	case tar.TypeDir:
		e.Mode, e.Size = Dir, 0
	case tar.TypeSymlink:
		e.Mode, e.Size, e.Linkname = Link, 0, h.Linkname
		if err := checkLinkname(name, h.Linkname); err != nil {
			return Entry{}, unsafeName(name, err)
		}
	case tar.TypeLink:
		e.Hardlink, e.Size = true, 0
		if e.Linkname, err = cleanName(h.Linkname, limits); err != nil {
			return Entry{}, fmt.Errorf("%w (the target of the hard link %q)", err, name)
		}
	case tar.TypeChar, tar.TypeBlock:
		return Entry{}, &UnsafeEntryError{name, "is a device"}
	case tar.TypeFifo:
		return Entry{}, &UnsafeEntryError{name, "is a named pipe"}
	default:
		return Entry{}, &UnsafeEntryError{name, fmt.Sprintf("has the unknown type %q", h.Typeflag)}
	}
	if name == "." && e.Mode != Dir {
		return Entry{}, &UnsafeEntryError{h.Name, "names the root, but is no directory"}
	}
	if e.Size > limits.MaxBytes {
		return Entry{}, &LimitError{"bytes", limits.MaxBytes}
	}
	return e, nil
}

// cleanName gives the clean form of a name that stays in the tree.
func cleanName(name string, limits Limits) (string, error) {
	clean := path.Clean(name)
	if name != "" && clean == "." {
		return clean, nil
	}
	// ".." is refused even where cleaning would remove it: "a/../b" means something else when a
	// is a link.
	for element := range strings.SplitSeq(name, "/") {
		if element == ".." {
			return "", &UnsafeEntryError{name, `has the element ".."`}
		}
	}
	if name == "" {
		return "", &UnsafeEntryError{name, "has no name"}
	}
	if err := checkName(clean); err != nil {
		return "", unsafeName(name, err)
	}
	if strings.Count(clean, "/") >= limits.MaxDepth {
		return "", &LimitError{"elements of a name", int64(limits.MaxDepth)}
	}
	return clean, nil
}

// unsafeName says of an archive's entry what a NameError says.
func unsafeName(name string, err error) error {
	if named, ok := errors.AsType[*NameError](err); ok {
		return &UnsafeEntryError{name, named.Reason}
	}
	return err
}
