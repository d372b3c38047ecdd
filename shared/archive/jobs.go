package archive

import (
	"errors"
	"hash/crc32"
	"io"

	"github.com/cachito-serverless/cachito/shared/integrity"
)

// batch collects the headers, and the content of small files, that are compressed as one segment.
type batch struct {
	level  int
	root   string // first element of the names in it
	size   int64  // of the tar bytes
	pieces []piece
}

// piece is a part of a batch: bytes (a header), or the content of an entry.
type piece struct {
	bytes   []byte
	header  Header
	content Content
}

func (b *batch) addHeader(h Header) {
	// Headers follow each other when entries have no content in the batch: keep them in one slice.
	if n := len(b.pieces); n == 0 || b.pieces[n-1].bytes == nil {
		b.pieces = append(b.pieces, piece{})
	}
	last := &b.pieces[len(b.pieces)-1]
	before := len(last.bytes)
	last.bytes = appendHeader(last.bytes, h)
	b.size += int64(len(last.bytes) - before)
}

func (b *batch) add(h Header, c Content) {
	if h.Size == 0 && c.open == nil {
		return
	}
	b.pieces = append(b.pieces, piece{header: h, content: c})
	b.size += h.Size + padding(h.Size)
}

// encode is the job of a batch.
func (b *batch) encode(j *job, e *encoder) error {
	raw := j.rawBuffer()
	for _, p := range b.pieces {
		if p.bytes != nil {
			raw = append(raw, p.bytes...)
			continue
		}
		start := len(raw)
		var err error
		if raw, err = p.content.appendWhole(raw, p.header); err != nil {
			return err
		}
		if err := p.content.check(p.header.Name, crcOf(0, raw[start:])); err != nil {
			return err
		}
		raw = append(raw, zeros[:padding(p.header.Size)]...)
	}
	j.raw = raw
	return j.encodeRaw(e, raw, b.level)
}

// encodeRaw sets the job's result to the segment of raw.
func (j *job) encodeRaw(e *encoder, raw []byte, level int) (err error) {
	j.rawLen, j.rawCRC = int64(len(raw)), crcOf(0, raw)
	j.out, err = e.appendSegment(j.out[:0], raw, level)
	return err
}

// wholeContent is the job of content that fits one chunk with its padding.
func wholeContent(h Header, c Content) func(*job, *encoder) error {
	return func(j *job, e *encoder) error {
		raw, err := c.appendWhole(j.rawBuffer(), h)
		if err != nil {
			return err
		}
		if err := c.check(h.Name, crcOf(0, raw)); err != nil {
			return err
		}
		raw = append(raw, zeros[:padding(h.Size)]...)
		return j.encodeRaw(e, raw, c.level)
	}
}

// encodeChunk is the job of a chunk that was read already: data, and raw, which is data with padding.
func encodeChunk(data, raw []byte, level int) func(*job, *encoder) error {
	return func(j *job, e *encoder) error {
		j.dataCRC = crcOf(0, data)
		j.rawLen, j.rawCRC = int64(len(raw)), crcOf(j.dataCRC, raw[len(data):])
		var err error
		j.out, err = e.appendSegment(j.out[:0], raw, level)
		return err
	}
}

// copyChunk is the job of a chunk of an encoded segment; the tar bytes inside are accounted for once, by
// its last chunk.
func copyChunk(data []byte) func(*job, *encoder) error {
	return func(j *job, _ *encoder) error {
		j.dataCRC = crcOf(0, data)
		j.out = append(j.out[:0], data...)
		return nil
	}
}

// wholeCRC puts the CRCs of an entry's chunks together; used in the order of the archive.
type wholeCRC struct{ crc uint32 }

func (w *wholeCRC) add(name string, want Content, crc uint32, length int64, last bool) error {
	w.crc = integrity.CombineCRC32(w.crc, crc, length)
	if !last {
		return nil
	}
	return want.check(name, w.crc)
}

// appendWhole appends the content of h to buf.
func (c Content) appendWhole(buf []byte, h Header) ([]byte, error) {
	if c.open == nil {
		return append(buf, c.data...), nil
	}
	r, err := c.openFor(h)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	chunks := newChunker(r, h.Name, h.Size)
	chunks.pad = 0
	start := len(buf)
	buf = append(buf, make([]byte, h.Size)...)
	if _, _, err := chunks.next(buf[start:]); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return buf, nil
}

func crcOf(crc uint32, b []byte) uint32 { return crc32.Update(crc, crc32.IEEETable, b) }
