package resolver

import (
	"encoding/json"
	"path"
	"path/filepath"

	"github.com/cachito-serverless/cachito/shared/fault"
)

// OptionPaths reads packages.<manager> of managers whose only option is a path: [{"path": "a"}, ...]. An entry
// without a path, or with an empty one, stands for missing; when that is empty too it is ignored. No path at
// all is the root. Paths come back cleaned and slash-separated, "." for the root, in their order. Fault:
// ValidationError.
func OptionPaths(manager string, raw json.RawMessage, missing string) ([]string, error) {
	var options []struct {
		Path string `json:"path"`
	}
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &options); err != nil {
			return nil, fault.Client(fault.ValidationError,
				`The value of "packages.%s" must be an array of objects with the following keys: path`, manager).Because(err)
		}
	}
	var paths []string
	for _, o := range options {
		p := o.Path
		if p == "" {
			p = missing
		}
		if p == "" {
			continue
		}
		if !filepath.IsLocal(filepath.FromSlash(p)) {
			return nil, fault.Client(fault.ValidationError,
				`The "path" values in the "packages.%s" value must be to a relative path in the source repository`, manager)
		}
		paths = append(paths, path.Clean(p))
	}
	if len(paths) == 0 {
		paths = []string{"."}
	}
	return paths, nil
}
