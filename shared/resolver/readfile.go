package resolver

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/cachito-serverless/cachito/shared/fault"
)

// ReadFile reads a file of a repository, at most limit bytes. The error is fs.ErrNotExist when there is none; what
// is no file or too large is the client's InvalidFileFormat.
func ReadFile(root *os.Root, name string, limit int64) ([]byte, error) {
	info, err := root.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, err
	case err != nil: // a link that leads out, or in circles
		return nil, fault.Client(fault.InvalidFileFormat, "%s cannot be read", name).Because(err)
	case !info.Mode().IsRegular():
		return nil, fault.Client(fault.InvalidFileFormat, "%s must be a file", name)
	case info.Size() > limit:
		return nil, fault.Client(fault.InvalidFileFormat, "%s has %d bytes; at most %d are read", name, info.Size(), limit)
	}
	f, err := root.Open(name)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", name, err)
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, limit))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	return content, nil
}
