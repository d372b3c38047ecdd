package rubygems

import (
	"encoding/json"
	"path"
	"path/filepath"

	"github.com/cachito-serverless/cachito/shared/fault"
)

// optionPaths reads packages.rubygems: [{"path": "a"}, ...]. An entry without a path is the root, and so is no entry at
// all. Paths come back cleaned and slash-separated.
func optionPaths(raw json.RawMessage) ([]string, error) {
	var options []struct {
		Path string `json:"path"`
	}
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &options); err != nil {
			return nil, fault.Client(fault.ValidationError,
				`The value of "packages.rubygems" must be an array of objects with the following keys: path`).Because(err)
		}
	}
	paths := make([]string, 0, len(options))
	for _, o := range options {
		if o.Path != "" && !filepath.IsLocal(filepath.FromSlash(o.Path)) {
			return nil, fault.Client(fault.ValidationError,
				`The "path" values in the "packages.rubygems" value must be to a relative path in the source repository`)
		}
		paths = append(paths, path.Clean(o.Path))
	}
	if len(paths) == 0 {
		paths = []string{"."}
	}
	return paths, nil
}
