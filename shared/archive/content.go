package archive

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// ErrContentChanged: the content of an entry is not what its header or its CRC promised. The error in
// hand is a *ContentChangedError.
var ErrContentChanged = errors.New("content changed")

// ContentChangedError names the entry whose content is not what was promised.
type ContentChangedError struct {
	Name      string
	Want, Got string // "1200 bytes", "CRC 1f2e3d4c"
}

func (e *ContentChangedError) Error() string {
	return fmt.Sprintf("the content of %s changed: expected %s, got %s", e.Name, e.Want, e.Got)
}

// Is makes errors.Is(err, ErrContentChanged) true.
func (e *ContentChangedError) Is(target error) bool { return target == ErrContentChanged }

// Content is how the data of an entry is obtained. The zero Content is empty.
type Content struct {
	data  []byte
	open  func() (io.ReadCloser, error)
	level int
	// own: never compressed together with its neighbours.
	own bool
	// crc of the content is checked when hasCRC is set.
	crc     uint32
	hasCRC  bool
	segment *SegmentInfo
}

// Bytes is content in memory; it must not be changed before Close. It is compressed at the writer's
// level, or stored when the entry's name says that it is compressed.
func Bytes(data []byte) Content { return Content{data: data, level: levelOfWriter} }

// levelOfWriter stands for the level given to NewBundleWriter.
const levelOfWriter = -1

// Stored is content that is compressed already and is copied as it is. crc32 (IEEE) of the content is
// compared while copying: ContentChangedError. open is called once, perhaps in another goroutine and
// after Add returned; the reader is closed.
func Stored(open func() (io.ReadCloser, error), crc32 uint32) Content {
	return StoredUnchecked(open).WithCRC(crc32)
}

// StoredUnchecked is Stored for content whose CRC is not known.
func StoredUnchecked(open func() (io.ReadCloser, error)) Content {
	return Content{open: open, level: Store, own: true}
}

// Deflated is content that is compressed on the way, at level 1 (fast) to MaxLevel. open as in Stored.
func Deflated(open func() (io.ReadCloser, error), level int) Content {
	return Content{open: open, level: level}
}

// Segment is content that was encoded by MakeSegment; open gives the segment. The entry's size must be
// info.Size.
func Segment(open func() (io.ReadCloser, error), info SegmentInfo) Content {
	return Content{open: open, own: true, segment: &info}
}

// WithCRC has the CRC-32 (IEEE) of the content compared on the way: ContentChangedError.
func (c Content) WithCRC(crc32 uint32) Content {
	c.crc, c.hasCRC = crc32, true
	return c
}

// openFor opens the content of an entry.
func (c Content) openFor(h Header) (io.ReadCloser, error) {
	if c.open == nil {
		return io.NopCloser(bytes.NewReader(c.data)), nil
	}
	r, err := c.open()
	if err != nil {
		return nil, fmt.Errorf("opening the content of %s: %w", h.Name, notTheEnd(err))
	}
	return r, nil
}

// check compares the CRC of content that was read whole.
func (c Content) check(name string, crc uint32) error {
	if c.hasCRC && crc != c.crc {
		return &ContentChangedError{Name: name, Want: fmt.Sprintf("CRC %08x", c.crc), Got: fmt.Sprintf("CRC %08x", crc)}
	}
	return nil
}
