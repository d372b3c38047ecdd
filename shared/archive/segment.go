package archive

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/klauspost/compress/flate"
)

// Levels of compression.
const (
	// Store keeps the data as it is, in stored blocks.
	Store = 0
	// DefaultLevel suits text: above it, time grows faster than size shrinks.
	DefaultLevel = 3
	// MaxLevel is the highest level that keeps up with hashing on one core.
	MaxLevel = 5
)

const (
	// storedBlockBytes is the most that one stored block of deflate holds.
	storedBlockBytes = 1<<16 - 1
	// storedHeaderBytes is a stored block's header at a byte boundary: type, length, its complement.
	storedHeaderBytes = 5
	// chunkBytes is how much content is encoded in one piece, independent of what is around it: a
	// whole number of stored blocks, so that pieces leave no trace in stored content.
	chunkBytes = 16 * storedBlockBytes
	// encodedChunkBytes is the most that an encoded chunk takes; deflate falls back to stored
	// blocks, and ends in an empty one.
	encodedChunkBytes = chunkBytes + 64*storedHeaderBytes
)

// encoder turns chunks into deflate segments: each ends at a byte boundary, none is final, none refers
// to data before its own. Not for concurrent use.
type encoder struct {
	levels [MaxLevel + 1]*flate.Writer
}

// appendSegment appends the segment of raw to out. The result depends on raw and level alone.
func (e *encoder) appendSegment(out, raw []byte, level int) ([]byte, error) {
	if len(raw) == 0 {
		return out, nil
	}
	if level == Store {
		for len(raw) > 0 {
			n := min(len(raw), storedBlockBytes)
			out = appendStoredHeader(out, n, false)
			out = append(out, raw[:n]...)
			raw = raw[n:]
		}
		return out, nil
	}
	to := appendWriter{out}
	w := e.levels[level]
	if w == nil {
		var err error
		if w, err = flate.NewWriter(&to, level); err != nil {
			return nil, fmt.Errorf("compressing at level %d: %w", level, err)
		}
		e.levels[level] = w
	} else {
		w.Reset(&to)
	}
	if _, err := w.Write(raw); err != nil {
		return nil, fmt.Errorf("compressing: %w", err)
	}
	// A flush ends the segment with an empty stored block, which aligns it.
	if err := w.Flush(); err != nil {
		return nil, fmt.Errorf("compressing: %w", err)
	}
	return to.b, nil
}

// appendWriter appends what is written to a slice.
type appendWriter struct{ b []byte }

func (a *appendWriter) Write(p []byte) (int, error) {
	a.b = append(a.b, p...)
	return len(p), nil
}

// appendStoredHeader appends the header of a stored block (RFC 1951, 3.2.4) at a byte boundary.
func appendStoredHeader(b []byte, n int, final bool) []byte {
	first := byte(0)
	if final {
		first = 1
	}
	b = append(b, first)
	b = binary.LittleEndian.AppendUint16(b, uint16(n))
	return binary.LittleEndian.AppendUint16(b, ^uint16(n))
}

// gzipHeader begins the one gzip member (RFC 1952): no flags, no time, no name, no hint of the level.
// The system is 255, unknown: the bytes must not depend on where they were written.
var gzipHeader = []byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255}

// appendGzipTrailer appends an empty final block, the CRC and the length of everything.
func appendGzipTrailer(b []byte, crc uint32, length int64) []byte {
	b = appendStoredHeader(b, 0, true)
	b = binary.LittleEndian.AppendUint32(b, crc)
	return binary.LittleEndian.AppendUint32(b, uint32(length))
}

// SegmentInfo describes an encoded segment: content and its padding, ready to follow a tar header.
type SegmentInfo struct {
	// Size and CRC32 of the content alone.
	Size  int64  `json:"size"`
	CRC32 uint32 `json:"crc32"`
	// EncodedSize and EncodedCRC32 of the segment as it was written; both are checked when it is
	// copied into a bundle.
	EncodedSize  int64  `json:"encoded_size"`
	EncodedCRC32 uint32 `json:"encoded_crc32"`
}

// MakeSegment encodes content of exactly size bytes to w, to be kept and put into bundles with Segment.
// A bundle holds the same bytes whether it was made with Segment, or with Stored (level Store) or
// Deflated of the same level, for content of more than MaxBatchedBytes (smaller content is compressed
// together with its neighbours). ContentChangedError when r holds more or less.
func MakeSegment(w io.Writer, r io.Reader, size int64, level int) (SegmentInfo, error) {
	if level < Store || level > MaxLevel {
		return SegmentInfo{}, fmt.Errorf("compression level %d is not between %d and %d", level, Store, MaxLevel)
	}
	info := SegmentInfo{Size: size}
	var enc encoder
	raw, out := make([]byte, 0, min(chunkBytes, size+padding(size))), make([]byte, 0)
	chunks := newChunker(r, "segment", size)
	for {
		data, whole, err := chunks.next(raw)
		if err == io.EOF {
			return info, nil
		}
		if err != nil {
			return SegmentInfo{}, err
		}
		info.CRC32 = crc32.Update(info.CRC32, crc32.IEEETable, data)
		if out, err = enc.appendSegment(out[:0], whole, level); err != nil {
			return SegmentInfo{}, err
		}
		info.EncodedCRC32 = crc32.Update(info.EncodedCRC32, crc32.IEEETable, out)
		info.EncodedSize += int64(len(out))
		if _, err := w.Write(out); err != nil {
			return SegmentInfo{}, fmt.Errorf("writing a segment: %w", err)
		}
	}
}

// chunker cuts content and its padding into chunks, and makes sure of its length.
type chunker struct {
	r          io.Reader
	name       string
	size, left int64 // of the content
	pad        int64 // zeros still to come
}

func newChunker(r io.Reader, name string, size int64) *chunker {
	return &chunker{r: r, name: name, size: size, left: size, pad: padding(size)}
}

// next reads a chunk into buf, which has room for one (or for everything that is left). It returns the
// chunk's content and the chunk as a whole, which is longer when it holds padding. io.EOF after the last.
func (c *chunker) next(buf []byte) (data, whole []byte, err error) {
	if c.left+c.pad == 0 {
		if c.size == 0 {
			err = c.checkEnd()
		}
		if err == nil {
			err = io.EOF
		}
		return nil, nil, err
	}
	n := min(c.left, chunkBytes)
	buf = buf[:n]
	if err := c.fill(buf); err != nil {
		return nil, nil, err
	}
	c.left -= n
	if c.left == 0 && n > 0 {
		if err := c.checkEnd(); err != nil {
			return nil, nil, err
		}
	}
	whole = buf
	if c.left == 0 {
		fill := min(c.pad, chunkBytes-n)
		whole = append(buf, zeros[:fill]...)
		c.pad -= fill
	}
	return buf, whole, nil
}

// fill reads buf full. A reader's own io.ErrUnexpectedEOF (a connection that was cut) is trouble of the
// reader; only its clean end means that the content is shorter.
func (c *chunker) fill(buf []byte) error {
	for got, empty := 0, 0; got < len(buf); {
		n, err := c.r.Read(buf[got:])
		if got += n; n == 0 {
			empty++
		}
		switch {
		case got == len(buf):
			// An error that came with the last bytes comes again.
		case err == io.EOF:
			return &ContentChangedError{
				Name: c.name, Want: fmt.Sprintf("%d bytes", c.size), Got: fmt.Sprintf("%d bytes", c.size-c.left+int64(got)),
			}
		case err != nil:
			return fmt.Errorf("reading %s: %w", c.name, notTheEnd(err))
		case empty > maxEmptyReads:
			return fmt.Errorf("reading %s: %w", c.name, io.ErrNoProgress)
		}
	}
	return nil
}

// maxEmptyReads is how often a reader may return nothing at all before it counts as broken.
const maxEmptyReads = 100

// checkEnd makes sure that nothing follows the content.
func (c *chunker) checkEnd() error {
	var extra [1]byte
	for range maxEmptyReads {
		n, err := c.r.Read(extra[:])
		switch {
		case n > 0:
			return &ContentChangedError{Name: c.name, Want: fmt.Sprintf("%d bytes", c.size), Got: "more"}
		case err == io.EOF:
			return nil
		case err != nil:
			return fmt.Errorf("reading %s: %w", c.name, notTheEnd(err))
		}
	}
	return fmt.Errorf("reading %s: %w", c.name, io.ErrNoProgress)
}
