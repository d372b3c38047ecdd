package gomod

import (
	"errors"
	"io/fs"
	"os"
	"path"

	"github.com/cachito-serverless/cachito/shared/fault"
)

// withoutGoMod lists the go.mod files that the paths lack.
func withoutGoMod(source *os.Root, paths []string) ([]string, error) {
	var missing []string
	for _, p := range paths {
		name := path.Join(p, "go.mod")
		info, err := source.Stat(name)
		switch {
		case err == nil && info.Mode().IsRegular():
		case err == nil, errors.Is(err, fs.ErrNotExist), isNotDir(err):
			missing = append(missing, name)
		default:
			return nil, fault.Client(fault.InvalidRepoStructure, "%s cannot be read: it must be a regular file inside the repository", name).Because(err)
		}
	}
	return missing, nil
}
