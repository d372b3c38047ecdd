package gomod

import (
	"errors"
	"io"
	"sync/atomic"

	modzip "golang.org/x/mod/zip"

	"github.com/cachito-serverless/cachito/shared/fault"
)

// Limits of a module's zip file, checked before go unpacks it.
const (
	// MaxZipDirectoryBytes bounds the table of contents: about a million files. The largest module
	// we know (go-azure-sdk/resource-manager) needs 24 MiB for 135,000.
	MaxZipDirectoryBytes = 192 << 20
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
	var unpacked uint64
	err := eachZipEntry(r, size, MaxZipDirectoryBytes, func(n uint64) error {
		// The declared size binds: go stops unpacking a file that is longer.
		unpacked += min(n, MaxModuleUnpackedBytes+1)
		if unpacked > MaxModuleUnpackedBytes {
			return fault.Client(fault.UnsupportedFeature, "%s unpacks to more than %d bytes, the limit for one module", name, int64(MaxModuleUnpackedBytes))
		}
		return nil
	})
	switch {
	case errors.Is(err, errDirectoryTooLarge):
		return fault.Client(fault.UnsupportedFeature, "%s has a table of contents of more than %d bytes, the limit", name, MaxZipDirectoryBytes)
	case errors.Is(err, errNoZip):
		return fault.Client(fault.InvalidFileFormat, "%s is not a zip file that can be read", name).Because(err)
	case err != nil:
		return err
	}
	if budget != nil && budget.used.Add(int64(unpacked)) > MaxUnpackedBytes {
		return fault.Client(fault.UnsupportedFeature, "The modules of this request unpack to more than %d bytes", int64(MaxUnpackedBytes))
	}
	return nil
}
