package generic

import (
	"encoding/json"
	"path"
	"path/filepath"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/pyrepr"
)

// pkgOptions are one object of packages.generic.
type pkgOptions struct {
	path     string // "." for the root
	lockfile string // from the repository's root
}

// parseOptions reads [{"path": "sub", "lockfile": "other.yaml"}]; a lockfile is relative to its path. None is the root.
// Fault: ValidationError, InvalidRequestData, client.
func parseOptions(raw json.RawMessage) ([]pkgOptions, error) {
	var given []struct{ Path, Lockfile *string }
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &given); err != nil {
			return nil, fault.Client(fault.ValidationError, `The value of "packages.generic" must be an array of objects with the following keys: path, lockfile`).Because(err)
		}
	}
	if len(given) == 0 {
		return []pkgOptions{{path: ".", lockfile: lockfileName}}, nil
	}
	var list []pkgOptions
	for _, g := range given {
		o := pkgOptions{path: ".", lockfile: lockfileName}
		if g.Path != nil && *g.Path != "" {
			o.path = path.Clean(*g.Path)
		}
		if !filepath.IsLocal(filepath.FromSlash(o.path)) {
			return nil, fault.Client(fault.ValidationError, `The "path" values in the "packages.generic" value must be to a relative path in the source repository`)
		}
		if g.Lockfile != nil && *g.Lockfile != "" {
			o.lockfile = *g.Lockfile
		}
		if path.IsAbs(o.lockfile) || !filepath.IsLocal(filepath.FromSlash(o.lockfile)) {
			return nil, fault.Client(fault.InvalidRequestData, "Supplied generic lockfile path %s must be inside the package path %s.", pyrepr.String(o.lockfile), pyrepr.String(o.path))
		}
		o.lockfile = path.Join(o.path, o.lockfile)
		list = append(list, o)
	}
	return list, nil
}
