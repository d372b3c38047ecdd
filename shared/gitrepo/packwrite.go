package gitrepo

import (
	"bufio"
	"context"
	"crypto/sha1"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/storer"
	"github.com/klauspost/compress/zlib"
)

// packLevel is fixed, and the compressor pinned by go.mod: the same objects give the same bytes.
const packLevel = 6

// packObject is an object of a pack and where it lies there.
type packObject struct {
	hash   plumbing.Hash
	kind   plumbing.ObjectType
	offset uint64
	crc    uint32
}

// writePack writes objects in the given order, without deltas (gitformat-pack(5)), and their index.
// It returns the files' common name, "pack-<checksum>", and sets the objects' offsets.
func writePack(ctx context.Context, dir string, s storer.EncodedObjectStorer, objects []packObject) (name string, err error) {
	f, err := os.Create(filepath.Join(dir, "tmp_pack"))
	if err != nil {
		return "", fmt.Errorf("writing a pack: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := &packOut{sum: sha1.New(), crc: crc32.NewIEEE(), w: bufio.NewWriterSize(f, 256<<10)}
	var head [12]byte
	copy(head[:], "PACK")
	binary.BigEndian.PutUint32(head[4:], 2)
	binary.BigEndian.PutUint32(head[8:], uint32(len(objects)))
	w.Write(head[:])
	z, err := zlib.NewWriterLevel(w, packLevel)
	if err != nil {
		return "", err
	}
	for i := range objects {
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		if err := w.object(z, s, &objects[i]); err != nil {
			return "", fmt.Errorf("writing %s to a pack: %w", objects[i].hash, err)
		}
	}
	sum := w.sum.Sum(nil)
	w.w.Write(sum)
	if err := w.w.Flush(); err != nil {
		return "", fmt.Errorf("writing a pack: %w", err)
	}
	name = "pack-" + hex.EncodeToString(sum)
	if err := os.Rename(f.Name(), filepath.Join(dir, name+".pack")); err != nil {
		return "", fmt.Errorf("writing a pack: %w", err)
	}
	return name, writeIdx(filepath.Join(dir, name+".idx"), objects, sum)
}

// packOut counts and hashes what is written; errors of the buffered writer stay in it.
type packOut struct {
	w   *bufio.Writer
	sum hash.Hash
	crc hash.Hash32
	n   uint64
}

func (p *packOut) Write(b []byte) (int, error) {
	p.sum.Write(b)
	p.crc.Write(b)
	p.n += uint64(len(b))
	return p.w.Write(b)
}

func (p *packOut) object(z *zlib.Writer, s storer.EncodedObjectStorer, o *packObject) error {
	obj, err := s.EncodedObject(o.kind, o.hash)
	if err != nil {
		return err
	}
	r, err := obj.Reader()
	if err != nil {
		return err
	}
	defer r.Close()
	o.offset = p.n
	p.crc.Reset()
	p.Write(objectHeader(o.kind, uint64(obj.Size())))
	z.Reset(p)
	n, err := io.Copy(z, r)
	if err != nil {
		return err
	}
	if n != obj.Size() {
		return io.ErrUnexpectedEOF
	}
	if err := z.Close(); err != nil {
		return err
	}
	o.crc = p.crc.Sum32()
	return nil
}

// objectHeader is the kind and size of an object in a pack: four bits of the size, then seven each.
func objectHeader(kind plumbing.ObjectType, size uint64) []byte {
	b := byte(kind)<<4 | byte(size&0xf)
	size >>= 4
	var out []byte
	for size > 0 {
		out = append(out, b|0x80)
		b = byte(size & 0x7f)
		size >>= 7
	}
	return append(out, b)
}

// writeIdx writes a pack's index, version 2 (gitformat-pack(5)).
func writeIdx(name string, objects []packObject, packSum []byte) (err error) {
	sorted := slices.Clone(objects)
	slices.SortFunc(sorted, func(a, b packObject) int { return compareHashes(a.hash, b.hash) })
	f, err := os.Create(name)
	if err != nil {
		return fmt.Errorf("writing a pack's index: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	sum := sha1.New()
	buffered := bufio.NewWriterSize(f, 64<<10)
	w := io.MultiWriter(buffered, sum)
	u32 := func(v uint32) {
		var b [4]byte
		binary.BigEndian.PutUint32(b[:], v)
		w.Write(b[:])
	}
	w.Write([]byte{0xff, 't', 'O', 'c', 0, 0, 0, 2})
	var fan [256]uint32
	for _, o := range sorted {
		fan[o.hash[0]]++
	}
	total := uint32(0)
	for _, n := range fan {
		total += n
		u32(total)
	}
	for _, o := range sorted {
		w.Write(o.hash[:])
	}
	for _, o := range sorted {
		u32(o.crc)
	}
	const large = 1 << 31
	var far []uint64
	for _, o := range sorted {
		if o.offset < large {
			u32(uint32(o.offset))
			continue
		}
		u32(large | uint32(len(far)))
		far = append(far, o.offset)
	}
	for _, offset := range far {
		u32(uint32(offset >> 32))
		u32(uint32(offset))
	}
	w.Write(packSum)
	buffered.Write(sum.Sum(nil))
	if err := buffered.Flush(); err != nil {
		return fmt.Errorf("writing a pack's index: %w", err)
	}
	return nil
}
