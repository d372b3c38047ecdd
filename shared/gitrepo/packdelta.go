package gitrepo

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/klauspost/compress/zlib"
)

// resolve finds the hashes of the objects that are stored as differences: from each base to its
// differences, and on to the differences to those.
func (ix *indexer) resolve() error {
	if len(ix.deltas) == 0 {
		return nil
	}
	whole := len(ix.objects)
	for i := range whole {
		// One that was a difference a moment ago was reached from its base, with all that builds on
		// it, so that from finds nothing to do.
		if !ix.objects[i].kind.IsDelta() {
			if err := ix.from(int32(i), nil); err != nil {
				return err
			}
		}
	}
	return ix.resolveThin()
}

// resolveThin takes the bases that the pack left out from what the repository's folder has.
func (ix *indexer) resolveThin() error {
	for base, children := range ix.byHash {
		pending := false
		for _, d := range children {
			pending = pending || !ix.deltas[d].done
		}
		if !pending {
			continue
		}
		o, err := ix.repo.store.EncodedObject(plumbing.AnyObject, base)
		if errors.Is(err, plumbing.ErrObjectNotFound) {
			continue // another base may bring it; else it is missed below
		}
		if err != nil {
			return fmt.Errorf("%w: %v", errDamaged, err)
		}
		if o.Size() > maxDeltaBytes {
			return tooLargeDelta()
		}
		r, err := o.Reader()
		if err != nil {
			return fmt.Errorf("%w: %v", errDamaged, err)
		}
		content, err := io.ReadAll(r)
		r.Close()
		if err != nil {
			return fmt.Errorf("%w: %v", errDamaged, err)
		}
		added, err := ix.add(base, o.Type(), content)
		if err != nil {
			return err
		}
		if err := ix.from(added, content); err != nil {
			return err
		}
	}
	for _, d := range ix.deltas {
		if !d.done {
			return malformed("the base of a difference is missing")
		}
	}
	return nil
}

// add appends a whole object to the pack's file.
func (ix *indexer) add(hash plumbing.Hash, kind plumbing.ObjectType, content []byte) (index int32, err error) {
	o := packObject{hash: hash, kind: kind, offset: uint64(ix.end)}
	crc := crc32.NewIEEE()
	w := &offsetWriter{w: ix.file, at: ix.end}
	out := io.MultiWriter(w, crc)
	if _, err := out.Write(objectHeader(kind, uint64(len(content)))); err != nil {
		return 0, err
	}
	z, err := zlib.NewWriterLevel(out, zlib.BestSpeed)
	if err != nil {
		return 0, err
	}
	if _, err := z.Write(content); err != nil {
		return 0, err
	}
	if err := z.Close(); err != nil {
		return 0, err
	}
	o.crc = crc.Sum32()
	ix.end = w.at
	ix.added++
	ix.objects, ix.first = append(ix.objects, o), append(ix.first, none)
	return int32(len(ix.objects) - 1), nil
}

type offsetWriter struct {
	w  io.WriterAt
	at int64
}

func (o *offsetWriter) Write(p []byte) (int, error) {
	n, err := o.w.WriteAt(p, o.at)
	o.at += int64(n)
	return n, err
}

// node is an object on the way from a base, with the differences to it that are left.
type node struct {
	kind    plumbing.ObjectType
	content []byte
	left    []int32
}

// from resolves everything that builds on a whole object. content is nil when it is to be read.
func (ix *indexer) from(base int32, content []byte) error {
	children := ix.children(base)
	if len(children) == 0 {
		return nil
	}
	if content == nil {
		var err error
		if content, err = ix.at(ix.objects[base]); err != nil {
			return err
		}
	}
	stack := []node{{ix.objects[base].kind, content, children}}
	held := len(content)
	for len(stack) > 0 {
		top := &stack[len(stack)-1]
		if len(top.left) == 0 {
			held -= len(top.content)
			stack = stack[:len(stack)-1]
			continue
		}
		d := &ix.deltas[top.left[0]]
		top.left = top.left[1:]
		if d.done { // by way of another object of the same content
			continue
		}
		d.done = true
		o := &ix.objects[d.object]
		change, err := ix.at(*o)
		if err != nil {
			return err
		}
		result, err := patch(top.content, change)
		if err != nil {
			return err
		}
		if ix.left -= int64(len(result)); ix.left < 0 {
			return tooMuch()
		}
		o.kind, o.hash = top.kind, plumbing.ComputeHash(top.kind, result)
		if len(top.left) == 0 { // a chain holds one object, not all
			held -= len(top.content)
			stack = stack[:len(stack)-1]
		}
		if next := ix.children(d.object); len(next) > 0 {
			if held += len(result); held > maxDeltaHeld {
				return tooLargeDelta()
			}
			stack = append(stack, node{o.kind, result, next})
		}
	}
	return nil
}

// children are the differences to an object that are not resolved yet.
func (ix *indexer) children(object int32) []int32 {
	var out []int32
	for d := ix.first[object]; d != none; d = ix.deltas[d].next {
		if !ix.deltas[d].done {
			out = append(out, d)
		}
	}
	for _, d := range ix.byHash[ix.objects[object].hash] {
		if !ix.deltas[d].done {
			out = append(out, d)
		}
	}
	return out
}

// patch applies a difference (gitformat-pack(5), "Deltified representation").
func patch(base, delta []byte) ([]byte, error) {
	bad := func() ([]byte, error) { return nil, malformed("a difference does not fit its base") }
	baseSize, n := binary.Uvarint(delta)
	if n <= 0 || baseSize != uint64(len(base)) {
		return bad()
	}
	delta = delta[n:]
	size, n := binary.Uvarint(delta)
	if n <= 0 {
		return bad()
	}
	if size > maxDeltaBytes {
		return nil, tooLargeDelta()
	}
	delta = delta[n:]
	out := make([]byte, 0, size)
	for len(delta) > 0 {
		op := delta[0]
		delta = delta[1:]
		switch {
		case op&0x80 != 0: // copy from the base
			var fields [7]uint64 // four bytes of the offset, three of the size
			for i := range fields {
				if op&(1<<i) != 0 {
					if len(delta) == 0 {
						return bad()
					}
					fields[i], delta = uint64(delta[0]), delta[1:]
				}
			}
			offset := fields[0] | fields[1]<<8 | fields[2]<<16 | fields[3]<<24
			length := fields[4] | fields[5]<<8 | fields[6]<<16
			if length == 0 {
				length = 0x10000
			}
			if offset+length > uint64(len(base)) || uint64(len(out))+length > size {
				return bad()
			}
			out = append(out, base[offset:offset+length]...)
		case op != 0: // insert
			length := int(op)
			if length > len(delta) || uint64(len(out)+length) > size {
				return bad()
			}
			out = append(out, delta[:length]...)
			delta = delta[length:]
		default:
			return bad()
		}
	}
	if uint64(len(out)) != size {
		return bad()
	}
	return out, nil
}
