package berry

import (
	"archive/tar"
	"context"
	"crypto/sha512"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"os"
	"path"
	"strings"

	"github.com/cachito-serverless/cachito/shared/resolver/javascript"
	"github.com/cachito-serverless/cachito/shared/resolver/yarn/berry/deflate"
)

const (
	// smallFile is libzip's buffer: only a file that fits is ever stored because it does not get smaller.
	smallFile = 8192
	// maxZipBytes is what a zip without zip64 can have; larger ones nobody makes of a package.
	maxZipBytes = 1<<32 - 1
	// General purpose flags.
	flagMaximum = 2
	flagUTF8    = 1 << 11
	// Unix modes.
	modeFolder     = 0o40755
	modeFile       = 0o100644
	modeExecutable = 0o100755
	modeLink       = 0o120777
)

// errTooLargeForZip is an archive whose zip would need zip64.
var errTooLargeForZip = errors.New("it unpacks to more than a zip may have")

// zipper makes the zip that Yarn makes of a package's archive, byte for byte, and gives its SHA-512, without
// writing it anywhere (packages/yarnpkg-core/sources/tgzUtils.ts and yarnpkg-libzip's ZipFS.ts, BSD license; libzip,
// BSD license). It may be used again, not side by side.
type zipper struct {
	content, packed spool
	compressors     map[zipForm]*deflate.Writer
	entries         []zipEntry
	index           map[string]int
}

// zipEntry is a file, folder or link of the zip.
type zipEntry struct {
	name   string // of a folder with its slash
	mode   uint32
	offset int64 // in the spool
	size   int64
	crc    uint32
	header centralHeader
}

// centralHeader is what the directory at the zip's end repeats.
type centralHeader struct {
	needs, flags, method uint16
	packed               int64
	at                   int64
}

func newZipper(scratch *os.Root) *zipper {
	return &zipper{content: spool{scratch: scratch}, packed: spool{scratch: scratch}, compressors: map[zipForm]*deflate.Writer{}}
}

// sum is the SHA-512, in hexadecimal digits, of the zip of an archive of size bytes. Errors of the archive are those
// of reading it, and errTooLargeForZip.
func (z *zipper) sum(ctx context.Context, archive io.Reader, size int64, name string, form zipForm) (string, error) {
	defer z.content.reset()
	defer z.packed.reset()
	z.entries, z.index = z.entries[:0], map[string]int{}
	unpacked, err := javascript.Unpacked(ctx, archive, size)
	if err != nil {
		return "", err
	}
	prefix := "node_modules/" + name
	z.addFolders(prefix)
	reader := tar.NewReader(unpacked)
	for n := 0; ; n++ {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return "", err
		}
		if n == javascript.MaxArchiveEntries {
			return "", fmt.Errorf("it has more than %d members", javascript.MaxArchiveEntries)
		}
		if err := z.addMember(header, reader, prefix); err != nil {
			return "", err
		}
	}
	return z.hash(form)
}

// addMember takes a member of the archive over, without the first part of its path.
func (z *zipper) addMember(header *tar.Header, content io.Reader, prefix string) error {
	name := header.Name
	parts := strings.Split(name, "/")
	if name == "" || name[0] == '/' || len(parts) <= 1 {
		return nil
	}
	for _, part := range parts {
		if part == ".." {
			return nil
		}
	}
	_, rest, ok := strings.Cut(path.Clean(name), "/")
	if !ok {
		return nil
	}
	name = prefix + "/" + rest
	e := zipEntry{name: name, mode: modeFile, offset: z.content.size}
	switch header.Typeflag {
	case tar.TypeDir:
		z.addFolders(name)
		return nil
	case tar.TypeReg:
		if header.Mode&0o111 != 0 {
			e.mode = modeExecutable
		}
		sum := crc32.NewIEEE()
		n, err := io.Copy(io.MultiWriter(&z.content, sum), content)
		if err != nil {
			return err
		}
		e.size, e.crc = n, sum.Sum32()
	case tar.TypeSymlink:
		if _, err := io.WriteString(&z.content, header.Linkname); err != nil {
			return err
		}
		e.mode, e.size, e.crc = modeLink, int64(len(header.Linkname)), crc32.ChecksumIEEE([]byte(header.Linkname))
	default:
		return nil
	}
	z.addFolders(path.Dir(name))
	if at, ok := z.index[name]; ok { // a member that comes twice takes the place of the first
		z.entries[at] = e
		return nil
	}
	z.index[name] = len(z.entries)
	z.entries = append(z.entries, e)
	return nil
}

// addFolders adds a folder and those above it, unless they are there.
func (z *zipper) addFolders(name string) {
	for at := 0; at < len(name); {
		next := strings.IndexByte(name[at:], '/')
		if next < 0 {
			next = len(name) - at
		}
		at += next
		folder := name[:at] + "/"
		if _, ok := z.index[folder]; !ok {
			z.index[folder] = len(z.entries)
			z.entries = append(z.entries, zipEntry{name: folder, mode: modeFolder})
		}
		at++
	}
}

// hash writes the zip into a hash.
func (z *zipper) hash(form zipForm) (string, error) {
	out := &zipHash{Hash: sha512.New()}
	for i := range z.entries {
		if err := z.writeEntry(out, &z.entries[i], form); err != nil {
			return "", err
		}
		if out.size > maxZipBytes {
			return "", errTooLargeForZip
		}
	}
	start := out.size
	var b []byte
	for _, e := range z.entries {
		h := e.header
		b = append(b[:0], "PK\x01\x02\x3f\x03"...) // made by version 6.3 on Unix
		b = e.common(b, form)
		b = append(b, make([]byte, 2+2+2+2)...) // extra fields, comment, disk, internal attributes
		b = binary.LittleEndian.AppendUint32(b, e.mode<<16)
		b = binary.LittleEndian.AppendUint32(b, uint32(h.at))
		out.write(append(b, e.name...))
	}
	if len(z.entries) > 0xfffe || out.size > maxZipBytes {
		return "", errTooLargeForZip
	}
	b = append(b[:0], "PK\x05\x06\x00\x00\x00\x00"...)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(z.entries)))
	b = binary.LittleEndian.AppendUint16(b, uint16(len(z.entries)))
	b = binary.LittleEndian.AppendUint32(b, uint32(out.size-start))
	b = binary.LittleEndian.AppendUint32(b, uint32(start))
	out.write(append(b, 0, 0))
	return hex.EncodeToString(out.Sum(nil)), nil
}

// common appends what the header before a file and the one in the directory share, from the version that is needed
// to the length of the name.
func (e *zipEntry) common(b []byte, form zipForm) []byte {
	h := e.header
	for _, v := range []uint16{h.needs, h.flags, h.method, form.time, form.date} {
		b = binary.LittleEndian.AppendUint16(b, v)
	}
	for _, v := range []uint32{e.crc, uint32(h.packed), uint32(e.size)} {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	return binary.LittleEndian.AppendUint16(b, uint16(len(e.name)))
}

// writeEntry writes an entry with its content.
func (z *zipper) writeEntry(out *zipHash, e *zipEntry, form zipForm) error {
	e.header = centralHeader{needs: 10, packed: e.size, at: out.size}
	if strings.ContainsFunc(e.name, func(r rune) bool { return r >= 0x80 }) {
		e.header.flags = flagUTF8
	}
	data := &z.content
	offset := e.offset
	switch {
	case e.mode == modeFolder:
		e.header.needs = 20
	case form.level > 0:
		if err := z.pack(e, form); err != nil {
			return err
		}
		if n := z.packed.size; !form.mixed || e.size > smallFile || n > smallFile || n < e.size {
			e.header.needs, e.header.method, e.header.packed = 20, 8, n
			if form.level > 7 {
				e.header.flags |= flagMaximum
			}
			data, offset = &z.packed, 0
		}
	}
	b := e.common([]byte("PK\x03\x04"), form)
	b = append(b, 0, 0) // no extra fields
	out.write(append(b, e.name...))
	n, err := io.Copy(out, data.section(offset, e.header.packed))
	if err == nil && n != e.header.packed {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return fmt.Errorf("reading %s again: %w", e.name, err)
	}
	return nil
}

func (z *zipper) pack(e *zipEntry, form zipForm) error {
	c := z.compressors[form]
	switch {
	case c != nil:
	case form.ng:
		c = deflate.NewNG()
	default:
		var err error
		if c, err = deflate.NewWriter(form.level); err != nil {
			return err
		}
	}
	z.compressors[form] = c
	z.packed.reset()
	return c.Compress(&z.packed, z.content.section(e.offset, e.size))
}

// zipHash counts what it hashes.
type zipHash struct {
	hash.Hash
	size int64
}

// Write implements io.Writer.
func (h *zipHash) Write(p []byte) (int, error) {
	h.write(p)
	return len(p), nil
}

func (h *zipHash) write(p []byte) {
	h.Hash.Write(p) // never fails
	h.size += int64(len(p))
}
