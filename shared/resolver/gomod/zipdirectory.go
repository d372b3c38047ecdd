package gomod

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
)

var (
	errNoZip             = errors.New("not a zip file")
	errDirectoryTooLarge = errors.New("zip: table of contents too large")
)

// Signatures and sizes of a zip file's records (APPNOTE.TXT 4.3).
const (
	directoryEntry   = 0x02014b50
	directoryEnd     = 0x06054b50
	zip64Locator     = 0x07064b50
	zip64End         = 0x06064b50
	entryBytes       = 46
	endBytes         = 22
	locatorBytes     = 20
	zip64EndBytes    = 56
	maxZipComment    = 1<<16 - 1
	zip64ExtraID     = 1
	allOnes32        = 1<<32 - 1
	allOnes16        = 1<<16 - 1
	directoryBufSize = 64 << 10
)

// eachZipEntry calls each with the unpacked size of every file in a zip's table of contents. It reads the
// table in order and holds one entry at a time: modules with 135,000 files exist (go-azure-sdk), and
// archive/zip would need a hundred megabytes for them. The table is read until its entries end, whatever
// the archive says of its size, as go reads it.
//
// errNoZip, errDirectoryTooLarge (more than limit bytes), the reader's or each's error.
func eachZipEntry(r io.ReaderAt, size, limit int64, each func(unpacked uint64) error) error {
	start, records, err := findDirectory(r, size)
	if err != nil {
		return err
	}
	in := bufio.NewReaderSize(io.NewSectionReader(r, start, size-start), directoryBufSize)
	var count uint64
	for used := int64(0); ; count++ {
		head, err := in.Peek(entryBytes)
		if err != nil && err != io.EOF {
			return err
		}
		if len(head) < entryBytes || binary.LittleEndian.Uint32(head) != directoryEntry {
			break
		}
		unpacked := uint64(binary.LittleEndian.Uint32(head[24:]))
		name, extra, comment := int(binary.LittleEndian.Uint16(head[28:])), int(binary.LittleEndian.Uint16(head[30:])), int(binary.LittleEndian.Uint16(head[32:]))
		if used += int64(entryBytes + name + extra + comment); used > limit {
			return errDirectoryTooLarge
		}
		if _, err := in.Discard(entryBytes + name); err != nil {
			return noZip(err)
		}
		fields := make([]byte, extra)
		if _, err := io.ReadFull(in, fields); err != nil {
			return noZip(err)
		}
		if unpacked == allOnes32 {
			unpacked = zip64Size(fields, unpacked)
		}
		if _, err := in.Discard(comment); err != nil {
			return noZip(err)
		}
		if err := each(unpacked); err != nil {
			return err
		}
	}
	if count&allOnes16 != records&allOnes16 {
		return errNoZip
	}
	return nil
}

func noZip(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errNoZip
	}
	return err
}

// zip64Size is the unpacked size in the extra fields: the first value of the zip64 one.
func zip64Size(fields []byte, otherwise uint64) uint64 {
	for len(fields) >= 4 {
		id, n := binary.LittleEndian.Uint16(fields), int(binary.LittleEndian.Uint16(fields[2:]))
		fields = fields[4:]
		if n > len(fields) {
			break
		}
		if id == zip64ExtraID && n >= 8 {
			return binary.LittleEndian.Uint64(fields)
		}
		fields = fields[n:]
	}
	return otherwise
}

// findDirectory finds where the table of contents begins and how many entries the archive says it has.
func findDirectory(r io.ReaderAt, size int64) (start int64, records uint64, err error) {
	tail := make([]byte, min(size, endBytes+maxZipComment))
	if _, err := r.ReadAt(tail, size-int64(len(tail))); err != nil && err != io.EOF {
		return 0, 0, err
	}
	var sig [4]byte
	binary.LittleEndian.PutUint32(sig[:], directoryEnd)
	at := len(tail)
	for {
		at = bytes.LastIndex(tail[:at], sig[:])
		if at < 0 {
			return 0, 0, errNoZip
		}
		if at+endBytes <= len(tail) && at+endBytes+int(binary.LittleEndian.Uint16(tail[at+20:])) <= len(tail) {
			break
		}
	}
	end := tail[at:]
	endAt := size - int64(len(tail)) + int64(at)
	records = uint64(binary.LittleEndian.Uint16(end[10:]))
	length, offset := uint64(binary.LittleEndian.Uint32(end[12:])), uint64(binary.LittleEndian.Uint32(end[16:]))
	// archive/zip takes a length of 0xffff for a sign of zip64 too.
	if records == allOnes16 || length == allOnes16 || length == allOnes32 || offset == allOnes32 {
		if end64, at64, ok := findZip64(r, endAt); ok {
			endAt = at64
			records, length = binary.LittleEndian.Uint64(end64[32:]), binary.LittleEndian.Uint64(end64[40:])
			offset = binary.LittleEndian.Uint64(end64[48:])
		}
	}
	if length > uint64(endAt) {
		return 0, 0, errNoZip
	}
	start = endAt - int64(length)
	if offset != uint64(start) && isEntry(r, offset, size) {
		// Length and offset lead to two tables. archive/zip, and so go, would read the other one, which
		// may unpack to more: no honest archive is like that.
		return 0, 0, errNoZip
	}
	return start, records, nil
}

// isEntry reports whether an entry of a table of contents begins at the offset.
func isEntry(r io.ReaderAt, offset uint64, size int64) bool {
	var sig [4]byte
	if offset > uint64(size) {
		return false
	}
	n, _ := r.ReadAt(sig[:], int64(offset))
	return n == len(sig) && binary.LittleEndian.Uint32(sig[:]) == directoryEntry
}

func findZip64(r io.ReaderAt, endAt int64) (record []byte, at int64, ok bool) {
	locator := make([]byte, locatorBytes)
	if endAt < locatorBytes {
		return nil, 0, false
	}
	if _, err := r.ReadAt(locator, endAt-locatorBytes); err != nil || binary.LittleEndian.Uint32(locator) != zip64Locator {
		return nil, 0, false
	}
	at = int64(binary.LittleEndian.Uint64(locator[8:]))
	record = make([]byte, zip64EndBytes)
	if at < 0 || at > endAt {
		return nil, 0, false
	}
	if _, err := r.ReadAt(record, at); err != nil || binary.LittleEndian.Uint32(record) != zip64End {
		return nil, 0, false
	}
	return record, at, true
}
