package gitrepo

import (
	"bufio"
	"cmp"
	"crypto"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/go-git/go-git/v5/plumbing"
	githash "github.com/go-git/go-git/v5/plumbing/hash"
	"github.com/klauspost/compress/zlib"

	"github.com/cachito-serverless/cachito/shared/fault"
)

// A pack is indexed while it arrives, in memory that does not grow with its files: go-git's own parser
// holds each object whole, so a few megabytes that inflate to many gigabytes would end the process,
// and it does not take thin packs, without which a second commit of a repository costs a full one.

const (
	// maxPackObjects bounds the list of a pack's objects, which is held in memory.
	maxPackObjects = 10_000_000
	// maxDeltaBytes bounds an object that is stored as a difference to another one, which needs both
	// in memory. git itself stores no file above 512 MB (core.bigFileThreshold) so, and seldom one
	// above a few megabytes.
	maxDeltaBytes = 128 << 20
	// maxDeltaHeld bounds the objects that one chain of differences holds at a time.
	maxDeltaHeld = 256 << 20
)

// storePack writes a pack and its index into a repository's folder. Bases that a thin pack leaves out
// are added from what the folder has. All objects together may inflate to maxInflated bytes.
func storePack(r *repo, in io.Reader, maxInflated int64) error {
	dir := filepath.Join(r.dir, "objects", "pack")
	f, err := os.CreateTemp(dir, "tmp_pack_")
	if err != nil {
		return fmt.Errorf("storing the pack: %w", err)
	}
	defer os.Remove(f.Name())
	defer f.Close()
	ix := &indexer{repo: r, file: f, left: maxInflated}
	if err := ix.read(in); err != nil {
		return fmt.Errorf("storing the pack: %w", err)
	}
	if len(ix.objects) == 0 {
		return nil
	}
	if err := ix.resolve(); err != nil {
		return fmt.Errorf("storing the pack: %w", err)
	}
	if err := ix.publish(dir); err != nil {
		return fmt.Errorf("storing the pack: %w", err)
	}
	return nil
}

// indexer finds the hash of every object of a pack.
type indexer struct {
	repo *repo
	file *os.File
	end  int64 // of the objects in file
	sum  []byte
	left int64 // bytes that may still be inflated

	objects []packObject // by offset, as they came
	deltas  []delta      // of the objects that are differences
	// first, parallel to objects, and delta.next are lists of the differences to each object: millions
	// of objects are no rarity, so there is no map and no slice for each.
	first []int32
	// byHash is for differences that name their base by hash, which few servers send.
	byHash map[plumbing.Hash][]int32
	added  int
	zr     io.ReadCloser
}

// delta is an object whose content is a difference; kind and hash of its object are found late.
type delta struct {
	object int32
	next   int32 // another one to the same base, or none
	done   bool
}

// none ends a list of differences.
const none = -1

// errPack is a pack that breaks its own format.
type errPack struct{ why string }

func (e *errPack) Error() string { return "the pack is malformed: " + e.why }

func malformed(format string, args ...any) error { return &errPack{fmt.Sprintf(format, args...)} }

// read takes the pack in: its objects go to the file, and the hashes of whole ones into the list.
func (ix *indexer) read(in io.Reader) error {
	p := &packIn{src: in, file: ix.file, sum: githash.New(crypto.SHA1), crc: crc32.NewIEEE(), buf: make([]byte, 256<<10)}
	var head [12]byte
	if _, err := io.ReadFull(p, head[:]); err != nil {
		return noEOF(err)
	}
	if string(head[:4]) != "PACK" || binary.BigEndian.Uint32(head[4:]) != 2 {
		return malformed("it does not begin with PACK, version 2")
	}
	count := binary.BigEndian.Uint32(head[8:])
	if count > maxPackObjects {
		return fault.Client(fault.UnsupportedFeature, "The repository has %d objects; the limit is %d", count, maxPackObjects)
	}
	ix.objects = make([]packObject, 0, min(count, 1<<16))
	ix.byHash = map[plumbing.Hash][]int32{}
	for range count {
		if err := ix.object(p); err != nil {
			return err
		}
	}
	if err := p.settle(); err != nil {
		return err
	}
	ix.end, ix.sum = p.offset, p.sum.Sum(nil)
	trailer := make([]byte, len(ix.sum))
	p.sum.Reset() // the trailer is not part of itself
	if _, err := io.ReadFull(p, trailer); err != nil {
		return noEOF(err)
	}
	if string(trailer) != string(ix.sum) {
		return malformed("its checksum is wrong")
	}
	if err := p.settle(); err != nil {
		return err
	}
	if n, err := io.Copy(io.Discard, io.LimitReader(in, 1)); n > 0 || p.pos < p.filled {
		return malformed("something follows its end")
	} else if err != nil {
		return err
	}
	return nil
}

// object reads the next object of the stream.
func (ix *indexer) object(p *packIn) error {
	if err := p.settle(); err != nil {
		return err
	}
	p.crc.Reset()
	o := packObject{offset: uint64(p.offset)}
	index := int32(len(ix.objects))
	kind, size, err := readObjectHeader(p)
	if err != nil {
		return err
	}
	o.kind = kind
	next := int32(none)
	var sink io.Writer = io.Discard
	var hasher plumbing.Hasher
	switch kind {
	case plumbing.CommitObject, plumbing.TreeObject, plumbing.BlobObject, plumbing.TagObject:
		hasher = plumbing.NewHasher(kind, size)
		sink = hasher
	case plumbing.OFSDeltaObject:
		back, err := readOffset(p)
		if err != nil {
			return err
		}
		base, ok := slices.BinarySearchFunc(ix.objects, o.offset-back, func(o packObject, at uint64) int { return cmp.Compare(o.offset, at) })
		if !ok || back > o.offset {
			return malformed("the base of a difference is not before it")
		}
		next, ix.first[base] = ix.first[base], int32(len(ix.deltas))
	case plumbing.REFDeltaObject:
		var base plumbing.Hash
		if _, err := io.ReadFull(p, base[:]); err != nil {
			return noEOF(err)
		}
		ix.byHash[base] = append(ix.byHash[base], int32(len(ix.deltas)))
	default:
		return malformed("an object has the unknown kind %d", kind)
	}
	if kind.IsDelta() {
		if size > maxDeltaBytes {
			return tooLargeDelta()
		}
		ix.deltas = append(ix.deltas, delta{object: index, next: next})
	}
	if err := ix.inflate(sink, p, size); err != nil {
		return err
	}
	if err := p.settle(); err != nil {
		return err
	}
	o.crc = p.crc.Sum32()
	if !kind.IsDelta() {
		o.hash = hasher.Sum()
	}
	ix.objects = append(ix.objects, o)
	ix.first = append(ix.first, none)
	return nil
}

func tooLargeDelta() error {
	return fault.Client(fault.UnsupportedFeature, "The repository holds a file of more than %d bytes that is stored as a difference to another one, more than can be read", maxDeltaBytes)
}

func tooMuch() error {
	return fault.Client(fault.UnsupportedFeature, "The repository's files have more bytes together than can be read")
}

// inflate writes size bytes from a zlib stream, which must be no longer.
func (ix *indexer) inflate(w io.Writer, r io.Reader, size int64) error {
	if ix.left -= size; ix.left < 0 {
		return tooMuch()
	}
	var err error
	if ix.zr == nil {
		ix.zr, err = zlib.NewReader(r)
	} else {
		err = ix.zr.(zlib.Resetter).Reset(r, nil)
	}
	if err != nil {
		return inflateError(err)
	}
	n, err := io.Copy(w, io.LimitReader(ix.zr, size+1))
	if err != nil {
		return inflateError(err)
	}
	if n != size {
		return malformed("an object has another size than it says")
	}
	return nil
}

func inflateError(err error) error {
	if errors.Is(err, zlib.ErrHeader) || errors.Is(err, zlib.ErrChecksum) || errors.Is(err, zlib.ErrDictionary) {
		return malformed("%v", err)
	}
	return noEOF(err)
}

// publish gives pack and index their names, the index first: a pack without one would not be seen.
func (ix *indexer) publish(dir string) error {
	if ix.added > 0 {
		if err := ix.finishThin(); err != nil {
			return err
		}
	}
	name := filepath.Join(dir, fmt.Sprintf("pack-%x", ix.sum))
	if err := writeIdx(name+".idx", ix.objects, ix.sum); err != nil {
		return err
	}
	if err := ix.file.Chmod(0o600); err != nil {
		return err
	}
	return os.Rename(ix.file.Name(), name+".pack")
}

// finishThin makes header and checksum right for the objects that were added.
func (ix *indexer) finishThin() error {
	var count [4]byte
	binary.BigEndian.PutUint32(count[:], uint32(len(ix.objects)))
	if _, err := ix.file.WriteAt(count[:], 8); err != nil {
		return err
	}
	sum := githash.New(crypto.SHA1)
	if _, err := io.Copy(sum, io.NewSectionReader(ix.file, 0, ix.end)); err != nil {
		return err
	}
	ix.sum = sum.Sum(nil)
	if _, err := ix.file.WriteAt(ix.sum, ix.end); err != nil {
		return err
	}
	return ix.file.Truncate(ix.end + int64(len(ix.sum)))
}

// packIn reads a stream and writes what was read to a file. It has ReadByte, so that inflating takes
// no byte too many.
type packIn struct {
	src    io.Reader
	file   io.Writer
	buf    []byte
	from   int // of what is not yet in the file and the sums
	pos    int
	filled int
	offset int64 // of buf[from] in the pack
	sum    hash.Hash
	crc    hash.Hash32
}

// settle brings everything that was read into the file and the sums.
func (p *packIn) settle() error {
	done := p.buf[p.from:p.pos]
	p.sum.Write(done)
	p.crc.Write(done)
	p.offset += int64(len(done))
	p.from = p.pos
	_, err := p.file.Write(done)
	return err
}

func (p *packIn) fill() error {
	if err := p.settle(); err != nil {
		return err
	}
	p.from, p.pos, p.filled = 0, 0, 0
	for p.filled == 0 {
		n, err := p.src.Read(p.buf)
		p.filled = n
		if n == 0 && err != nil {
			return err
		}
	}
	return nil
}

func (p *packIn) ReadByte() (byte, error) {
	if p.pos == p.filled {
		if err := p.fill(); err != nil {
			return 0, err
		}
	}
	p.pos++
	return p.buf[p.pos-1], nil
}

func (p *packIn) Read(b []byte) (int, error) {
	if p.pos == p.filled {
		if err := p.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(b, p.buf[p.pos:p.filled])
	p.pos += n
	return n, nil
}

// readObjectHeader reads kind and size: see objectHeader.
func readObjectHeader(r io.ByteReader) (plumbing.ObjectType, int64, error) {
	b, err := r.ReadByte()
	if err != nil {
		return 0, 0, noEOF(err)
	}
	kind, size := plumbing.ObjectType(b>>4&7), int64(b&0xf)
	for shift := 4; b&0x80 != 0; shift += 7 {
		if b, err = r.ReadByte(); err != nil {
			return 0, 0, noEOF(err)
		}
		if shift > 55 {
			return 0, 0, malformed("the size of an object is out of range")
		}
		size |= int64(b&0x7f) << shift
	}
	return kind, size, nil
}

// readOffset reads how far before a difference its base is.
func readOffset(r io.ByteReader) (uint64, error) {
	b, err := r.ReadByte()
	if err != nil {
		return 0, noEOF(err)
	}
	n := uint64(b & 0x7f)
	for b&0x80 != 0 {
		if b, err = r.ReadByte(); err != nil {
			return 0, noEOF(err)
		}
		if n > 1<<55 {
			return 0, malformed("an offset is out of range")
		}
		n = (n+1)<<7 | uint64(b&0x7f)
	}
	if n == 0 {
		return 0, malformed("a difference is its own base")
	}
	return n, nil
}

// at reads an object's stored bytes again: whole content, or the difference.
func (ix *indexer) at(o packObject) ([]byte, error) {
	r := bufio.NewReader(io.NewSectionReader(ix.file, int64(o.offset), ix.end-int64(o.offset)))
	kind, size, err := readObjectHeader(r)
	if err != nil {
		return nil, err
	}
	switch kind {
	case plumbing.OFSDeltaObject:
		_, err = readOffset(r)
	case plumbing.REFDeltaObject:
		_, err = r.Discard(len(plumbing.ZeroHash))
	}
	if err != nil {
		return nil, err
	}
	if size > maxDeltaBytes {
		return nil, tooLargeDelta()
	}
	out := &growing{make([]byte, 0, size)}
	if err := ix.inflate(out, r, size); err != nil {
		return nil, err
	}
	return out.b, nil
}

type growing struct{ b []byte }

func (g *growing) Write(p []byte) (int, error) {
	g.b = append(g.b, p...)
	return len(p), nil
}
