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
		if o := ix.objects[i]; !o.kind.IsDelta() {
			if err := ix.from(o, nil); err != nil {
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
func (ix *indexer) add(hash plumbing.Hash, kind plumbing.ObjectType, content []byte) (packObject, error) {
	o := packObject{hash: hash, kind: kind, offset: uint64(ix.end)}
	crc := crc32.NewIEEE()
	w := &offsetWriter{w: ix.file, at: ix.end}
	out := io.MultiWriter(w, crc)
	if _, err := out.Write(objectHeader(kind, uint64(len(content)))); err != nil {
		return o, err
	}
	z, err := zlib.NewWriterLevel(out, zlib.BestSpeed)
	if err != nil {
		return o, err
	}
	if _, err := z.Write(content); err != nil {
		return o, err
	}
	if err := z.Close(); err != nil {
		return o, err
	}
	o.crc = crc.Sum32()
	ix.end = w.at
	ix.added++
	ix.objects = append(ix.objects, o)
	return o, nil
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
	object  packObject
	content []byte
	left    []int32
}

// from resolves everything that builds on a whole object. content is nil when it is to be read.
func (ix *indexer) from(base packObject, content []byte) error {
	children := ix.children(base)
	if len(children) == 0 {
		return nil
	}
	if content == nil {
		var err error
		if content, err = ix.at(base); err != nil {
			return err
		}
	}
	stack := []node{{base, content, children}}
	held := len(content)
	for len(stack) > 0 {
		top := &stack[len(stack)-1]
		if len(top.left) == 0 {
			held -= len(top.content)
			stack = stack[:len(stack)-1]
			continue
		}
		d := top.left[0]
		top.left = top.left[1:]
		if ix.deltas[d].done {
			continue
		}
		ix.deltas[d].done = true
		o := &ix.objects[ix.deltas[d].object]
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
		kind := top.object.kind
		if len(top.left) == 0 { // a chain holds one object, not all
			held -= len(top.content)
			stack = stack[:len(stack)-1]
		}
		o.kind, o.hash = kind, plumbing.ComputeHash(kind, result)
		if next := ix.children(*o); len(next) > 0 {
			if held += len(result); held > maxDeltaHeld {
				return tooLargeDelta()
			}
			stack = append(stack, node{*o, result, next})
		}
	}
	return nil
}

// children are the differences to an object.
func (ix *indexer) children(o packObject) []int32 {
	near, far := ix.byOffset[o.offset], ix.byHash[o.hash]
	if len(near) == 0 {
		return far
	}
	return append(near[:len(near):len(near)], far...)
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
