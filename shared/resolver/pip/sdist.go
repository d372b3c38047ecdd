package pip

import (
	"archive/zip"
	"bufio"
	"bytes"
	"compress/bzip2"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/ulikunitz/xz"

	"github.com/cachito-serverless/cachito/shared/archive"
	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/resolver"
	"github.com/cachito-serverless/cachito/shared/resolver/pip/pep440"
	"github.com/cachito-serverless/cachito/shared/resolver/pip/pep508"
)

const (
	// maxUnpackedBytes bounds what is unpacked of an sdist in search of its metadata.
	maxUnpackedBytes = 8 << 30
	// maxCoreMetadataBytes is how much of a PKG-INFO or METADATA file is read: the names come first.
	maxCoreMetadataBytes = 256 << 10
	// maxZipDirectoryBytes bounds the list of a zip's files, which is held in memory.
	maxZipDirectoryBytes = 32 << 20
	// maxXZBytes bounds what is unpacked of an .xz file: the decompressor holds as much as the file asks
	// for, up to all that was unpacked.
	maxXZBytes = 48 << 20
)

const pkgInfo = "PKG-INFO"

// coreMetadata are the first lines of a PKG-INFO or METADATA file.
type coreMetadata struct {
	found         bool // there is such a file, at any depth
	name, version string
}

// look reads the metadata of a distribution, whose file name says its format. Faults: ValidationError.
type look func(ctx context.Context, content io.ReaderAt, size int64, name string) (coreMetadata, error)

// lookInto opens a file of the cache for a look.
func lookInto(ctx context.Context, f resolver.Fetcher, file resolver.File, name string, look look) (coreMetadata, error) {
	r, err := f.Open(ctx, file)
	if err != nil {
		return coreMetadata{}, fmt.Errorf("opening %s: %w", name, err)
	}
	defer r.Close()
	return look(ctx, r, file.Size, name)
}

// sdistMetadata looks for the metadata that every sdist of an index has, without unpacking it. .tar.Z, which
// nothing today makes, is not looked into.
func sdistMetadata(ctx context.Context, content io.ReaderAt, size int64, name string) (m coreMetadata, err error) {
	switch {
	case strings.HasSuffix(name, ".tar.Z"):
		return m, nil
	case strings.HasSuffix(name, ".zip"):
		if m, err = zipMetadata(content, size, isTopLevelPkgInfo, isPkgInfo); err != nil {
			return m, unreadable(ctx, name, "Zip", err)
		}
	default:
		if m, err = tarMetadata(ctx, io.NewSectionReader(content, 0, size)); err != nil {
			return m, unreadable(ctx, name, "Tar", err)
		}
	}
	if !m.found {
		return m, fault.Client(fault.ValidationError, "%s does not include metadata (there is no PKG-INFO file). It is not a valid sdist and cannot be "+
			"downloaded from PyPI. Consider editing your requirements file to download the package from git or a direct download URL instead.", name)
	}
	return m, nil
}

func unreadable(ctx context.Context, name, kind string, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fault.Client(fault.ValidationError, "Cannot open %s as a %s file. Error: %v", name, kind, err)
}

// wheelMetadata reads a wheel's own metadata.
func wheelMetadata(ctx context.Context, content io.ReaderAt, size int64, name string) (coreMetadata, error) {
	isMetadata := func(entry string) bool {
		dir, ok := strings.CutSuffix(entry, ".dist-info/METADATA")
		return ok && !strings.Contains(dir, "/")
	}
	m, err := zipMetadata(content, size, isMetadata, isMetadata)
	if err != nil {
		return m, unreadable(ctx, name, "Zip", err)
	}
	if !m.found {
		return m, fault.Client(fault.ValidationError, "%s does not include metadata (there is no .dist-info/METADATA file). It is not a valid wheel.", name)
	}
	return m, nil
}

// names compares what a file says it is with what it was asked for as. A file whose digest the
// requirements hold is what their author wanted, whatever it is called.
func (m coreMetadata) names(file, project, version string) error {
	if m.name != "" && pep508.Canonical(m.name) != pep508.Canonical(project) || m.version != "" && !pep440.Equal(m.version, version) {
		return fault.Client(fault.ValidationError, "%s is not what it is called: its metadata says that it is %.100s %.100s. "+
			"If that is right, give its hash in the requirements file.", file, m.name, m.version)
	}
	return nil
}

func isPkgInfo(entry string) bool { return entry == pkgInfo || strings.HasSuffix(entry, "/"+pkgInfo) }

func isTopLevelPkgInfo(entry string) bool {
	return isPkgInfo(entry) && strings.Count(entry, "/") <= 1
}

// errEnough ends a walk.
var errEnough = errors.New("found")

// tarMetadata walks a tar, plain or compressed, up to its metadata.
func tarMetadata(ctx context.Context, r io.Reader) (coreMetadata, error) {
	var m coreMetadata
	plain, limit, err := decompressed(bufio.NewReaderSize(r, 64<<10))
	if err != nil {
		return m, err
	}
	err = archive.Walk(ctx, plain, archive.Limits{MaxBytes: limit}, func(e archive.Entry, content io.Reader) error {
		if e.Mode != archive.File && e.Mode != archive.Executable || !isPkgInfo(e.Name) {
			return nil
		}
		m.found = true
		if !isTopLevelPkgInfo(e.Name) {
			return nil
		}
		if err := m.read(content); err != nil {
			return err
		}
		return errEnough
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return m, err
}

// decompressed takes bzip2 and xz off; archive.Walk does so with gzip. limit is how much may come out.
func decompressed(r *bufio.Reader) (plain io.Reader, limit int64, err error) {
	magic, _ := r.Peek(6) // a short file is no archive, which Walk says
	switch {
	case bytes.HasPrefix(magic, []byte("BZh")):
		return bzip2.NewReader(r), maxUnpackedBytes, nil
	case bytes.HasPrefix(magic, []byte("\xfd7zXZ\x00")):
		plain, err = xz.NewReader(r)
		return plain, maxXZBytes, err
	}
	return r, maxUnpackedBytes, nil
}

// read takes the names from the headers of a metadata file.
func (m *coreMetadata) read(content io.Reader) error {
	scanner := bufio.NewScanner(io.LimitReader(content, maxCoreMetadataBytes))
	scanner.Buffer(nil, maxCoreMetadataBytes)
	for scanner.Scan() {
		line := strings.TrimRight(scanner.Text(), "\r")
		if line == "" {
			break // the description follows
		}
		key, value, _ := strings.Cut(line, ":")
		switch strings.ToLower(key) {
		case "name":
			m.name = strings.TrimSpace(value)
		case "version":
			m.version = strings.TrimSpace(value)
		}
		if m.name != "" && m.version != "" {
			break
		}
	}
	if err := scanner.Err(); err != nil && !errors.Is(err, bufio.ErrTooLong) {
		return err
	}
	return nil
}

// zipMetadata looks into a zip: exact names the file that is read, some those that count at all.
func zipMetadata(r io.ReaderAt, size int64, exact, some func(string) bool) (coreMetadata, error) {
	var m coreMetadata
	if err := checkZipDirectory(r, size); err != nil {
		return m, err
	}
	z, err := zip.NewReader(r, size)
	if err != nil {
		return m, err
	}
	for _, e := range z.File {
		if !some(e.Name) {
			continue
		}
		m.found = true
		if !exact(e.Name) {
			continue
		}
		content, err := e.Open()
		if err != nil {
			return m, err
		}
		err = m.read(content)
		content.Close()
		return m, err
	}
	return m, nil
}

// checkZipDirectory reads the end record of a zip, before its directory is read into memory.
func checkZipDirectory(r io.ReaderAt, size int64) error {
	const record, comment = 22, 1<<16 - 1
	tail := make([]byte, min(size, record+comment))
	if _, err := r.ReadAt(tail, size-int64(len(tail))); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	at := bytes.LastIndex(tail, []byte("PK\x05\x06"))
	if at < 0 || at+record > len(tail) {
		return zip.ErrFormat
	}
	if n := binary.LittleEndian.Uint32(tail[at+12:]); n > maxZipDirectoryBytes {
		return fmt.Errorf("the list of its files has %d bytes, more than %d", n, maxZipDirectoryBytes)
	}
	return nil
}
