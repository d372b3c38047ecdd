package gomod

import (
	"archive/zip"
	"errors"
	"io"
	"sync/atomic"

	modzip "golang.org/x/mod/zip"

	"github.com/cachito-serverless/cachito/shared/fault"
)

// Limits of a module's zip file, checked before go unpacks it.
const (
	// MaxZipDirectoryBytes bounds the table of contents, which has to be held in memory: about
	// 150,000 files.
	MaxZipDirectoryBytes = 16 << 20
	// MaxModuleUnpackedBytes is go's own limit for one module.
	MaxModuleUnpackedBytes = modzip.MaxZipFile
	// MaxUnpackedBytes bounds all modules of a request together: go unpacks each one it downloads.
	MaxUnpackedBytes = 16 << 30
)

// unpackBudget counts what the modules of one request unpack to.
type unpackBudget struct{ used atomic.Int64 }

// checkModuleZip refuses archives that are none, and those that would unpack to too much. budget may
// be nil.
func checkModuleZip(r io.ReaderAt, size int64, name string, budget *unpackBudget) error {
	// The table is read until its entries end, whatever the archive says of its size: count.
	z, err := zip.NewReader(&countedReaderAt{r: r, left: MaxZipDirectoryBytes}, size)
	if errors.Is(err, errDirectoryTooLarge) {
		return fault.Client(fault.UnsupportedFeature, "%s has a table of contents of more than %d bytes, the limit", name, MaxZipDirectoryBytes)
	}
	if err != nil {
		return fault.Client(fault.InvalidFileFormat, "%s is not a zip file that can be read", name).Because(err)
	}
	var unpacked uint64
	for _, f := range z.File {
		// The declared size binds: go stops unpacking a file that is longer.
		unpacked += min(f.UncompressedSize64, MaxModuleUnpackedBytes+1)
		if unpacked > MaxModuleUnpackedBytes {
			return fault.Client(fault.UnsupportedFeature, "%s unpacks to more than %d bytes, the limit for one module", name, int64(MaxModuleUnpackedBytes))
		}
	}
	if budget != nil && budget.used.Add(int64(unpacked)) > MaxUnpackedBytes {
		return fault.Client(fault.UnsupportedFeature, "The modules of this request unpack to more than %d bytes", int64(MaxUnpackedBytes))
	}
	return nil
}

var errDirectoryTooLarge = errors.New("zip: table of contents too large")

// countedReaderAt fails once more than left bytes have been read.
type countedReaderAt struct {
	r    io.ReaderAt
	left int64
}

func (c *countedReaderAt) ReadAt(p []byte, at int64) (int, error) {
	n, err := c.r.ReadAt(p, at)
	if c.left -= int64(n); c.left < 0 {
		return 0, errDirectoryTooLarge
	}
	return n, err
}
