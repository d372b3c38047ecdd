package gitrepo

import (
	"bytes"
	"crypto/sha1"
	"errors"
	"io"
	"os"
)

// checkTrailer compares a pack or index with the SHA-1 that it ends with.
func checkTrailer(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.Size() < sha1.Size {
		return errors.New("it is cut off")
	}
	sum := sha1.New()
	if _, err := io.CopyN(sum, f, info.Size()-sha1.Size); err != nil {
		return err
	}
	want := make([]byte, sha1.Size)
	if _, err := io.ReadFull(f, want); err != nil {
		return err
	}
	if !bytes.Equal(sum.Sum(nil), want) {
		return errors.New("its checksum is wrong")
	}
	return nil
}
