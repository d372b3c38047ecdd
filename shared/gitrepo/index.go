package gitrepo

import (
	"bytes"
	"crypto/sha1"
	"encoding/binary"
)

// Modes of an index's entries.
const (
	IndexFile       uint32 = 0o100644
	IndexExecutable uint32 = 0o100755
	IndexLink       uint32 = 0o120000
)

// Index makes a git index, version 2 (gitformat-index(5)), with every time, device and inode zero: git compares
// contents the first time it looks, and finds nothing changed. The zero Index is empty and ready for use.
type Index struct {
	body bytes.Buffer
	n    uint32
}

// Add appends an entry. Paths must come sorted bytewise, each once; blob is the SHA-1 of the blob object, and size that
// of its content in bytes (0 for submodules).
func (x *Index) Add(path string, mode uint32, blob [20]byte, size int64) {
	x.n++
	start := x.body.Len()
	var fixed [62]byte
	binary.BigEndian.PutUint32(fixed[24:], mode)
	binary.BigEndian.PutUint32(fixed[36:], uint32(size)) // modulo 2^32, as git does
	copy(fixed[40:], blob[:])
	binary.BigEndian.PutUint16(fixed[60:], uint16(min(len(path), 0xfff)))
	x.body.Write(fixed[:])
	x.body.WriteString(path)
	for pad := 8 - (x.body.Len()-start)%8; pad > 0; pad-- { // one to eight
		x.body.WriteByte(0)
	}
}

// Bytes is the whole index.
func (x *Index) Bytes() []byte {
	out := make([]byte, 0, x.body.Len()+32)
	out = append(out, "DIRC"...)
	out = binary.BigEndian.AppendUint32(out, 2)
	out = binary.BigEndian.AppendUint32(out, x.n)
	out = append(out, x.body.Bytes()...)
	sum := sha1.Sum(out)
	return append(out, sum[:]...)
}
