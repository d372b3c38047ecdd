package gomod

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"github.com/cachito-serverless/cachito/shared/fault"
)

// optionPaths reads packages.gomod: [{"path": "a"}, ...]. Missing and empty paths are ignored; none
// left is the root. Paths come back cleaned and slash-separated.
func optionPaths(raw json.RawMessage) ([]string, error) {
	var options []struct {
		Path string `json:"path"`
	}
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &options); err != nil {
			return nil, fault.Client(fault.ValidationError,
				`The value of "packages.gomod" must be an array of objects with the following keys: path`).Because(err)
		}
	}
	var paths []string
	for _, o := range options {
		if o.Path == "" {
			continue
		}
		if !filepath.IsLocal(filepath.FromSlash(o.Path)) {
			return nil, fault.Client(fault.ValidationError,
				`The "path" values in the "packages.gomod" value must be to a relative path in the source repository`)
		}
		paths = append(paths, path.Clean(o.Path))
	}
	if len(paths) == 0 {
		paths = []string{"."}
	}
	return paths, nil
}

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
