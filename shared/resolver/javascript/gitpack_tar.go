package javascript

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
	"unicode/utf8"

	"github.com/klauspost/compress/gzip"
)

// MaxPackedBytes bounds the files of one packed git dependency together.
const MaxPackedBytes = 4 << 30

// packedTime is npm's: zip has no earlier day than 1980, and 1985-10-26 is a joke of theirs.
var packedTime = time.Date(1985, time.October, 26, 8, 15, 0, 0, time.UTC)

// packedFiles are the files of a package, in byte order of their paths.
type packedFiles []packedFile

type packedFile struct {
	path       string
	executable bool
}

// writePacked writes the archive. Order, owner, times and modes depend on nothing but paths and the
// executable bit, so the same files are the same bytes.
func writePacked(ctx context.Context, w io.Writer, tree *os.Root, list packedFiles, form PackForm) error {
	prefix := ""
	closeAll := func() error { return nil }
	if form == Gzipped {
		prefix = "package/"
		zipped := gzip.NewWriter(w) // without name and time
		closeAll = zipped.Close
		w = zipped
	}
	archive := tar.NewWriter(w)
	left := int64(MaxPackedBytes)
	for _, f := range list {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := addPacked(archive, tree, f, prefix, &left); err != nil {
			return err
		}
	}
	return errors.Join(archive.Close(), closeAll())
}

func addPacked(archive *tar.Writer, tree *os.Root, f packedFile, prefix string, left *int64) error {
	if !utf8.ValidString(f.path) {
		return &packLimitError{fmt.Sprintf("the file name %q is not UTF-8", f.path)}
	}
	file, err := tree.Open(f.path)
	if err != nil {
		return fmt.Errorf("opening %s: %w", f.path, err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return fmt.Errorf("looking at %s: %w", f.path, err)
	}
	if *left -= info.Size(); *left < 0 {
		return &packLimitError{fmt.Sprintf("its files have more than %d bytes together, the limit", int64(MaxPackedBytes))}
	}
	mode := int64(0o644)
	if f.executable {
		mode = 0o755
	}
	header := &tar.Header{Typeflag: tar.TypeReg, Name: prefix + f.path, Mode: mode, Size: info.Size(), ModTime: packedTime}
	if err := archive.WriteHeader(header); err != nil {
		return fmt.Errorf("packing %s: %w", f.path, err)
	}
	if _, err := io.Copy(archive, file); err != nil {
		return fmt.Errorf("packing %s: %w", f.path, err)
	}
	return nil
}
