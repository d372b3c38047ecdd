package pip

import (
	"encoding/json"
	"path"
	"path/filepath"

	"github.com/cachito-serverless/cachito/shared/fault"
)

// packageOptions is one object of packages.pip.
type packageOptions struct {
	path string // clean, "." for the root
	// files and buildFiles are paths from the repository's root; nil: the default ones, where they exist.
	files, buildFiles []string
	binary            *binaryFilter // nil: sdists only
}

// parseOptions reads packages.pip; none is one package at the root.
//
//	[{"path": "sub", "requirements_files": ["requirements/web.txt"], "requirements_build_files": [], "binary": {"packages": ":all:"}}]
func parseOptions(raw json.RawMessage) ([]packageOptions, error) {
	var list []struct {
		Path       string          `json:"path"`
		Files      *[]string       `json:"requirements_files"`
		BuildFiles *[]string       `json:"requirements_build_files"`
		Binary     json.RawMessage `json:"binary"`
	}
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &list); err != nil {
			return nil, fault.Client(fault.ValidationError,
				`The value of "packages.pip" must be an array of objects with the following keys: path, requirements_build_files, requirements_files`).Because(err)
		}
	}
	if len(list) == 0 {
		return []packageOptions{{path: "."}}, nil
	}
	var all []packageOptions
	for _, o := range list {
		p := packageOptions{path: path.Clean(o.Path)}
		if !isLocal(p.path) {
			return nil, notRelative("path")
		}
		for _, names := range []struct {
			key  string
			from *[]string
			to   *[]string
		}{{"requirements_files", o.Files, &p.files}, {"requirements_build_files", o.BuildFiles, &p.buildFiles}} {
			if names.from == nil {
				continue
			}
			*names.to = []string{}
			for _, name := range *names.from {
				if !isLocal(name) {
					return nil, notRelative(names.key)
				}
				*names.to = append(*names.to, path.Join(p.path, name))
			}
		}
		if len(o.Binary) > 0 {
			var err error
			if p.binary, err = parseBinary(o.Binary); err != nil {
				return nil, err
			}
		}
		all = append(all, p)
	}
	return all, nil
}

func isLocal(name string) bool { return filepath.IsLocal(filepath.FromSlash(name)) }

func notRelative(key string) error {
	return fault.Client(fault.ValidationError, `The "%s" values in the "packages.pip" value must be to a relative path in the source repository`, key)
}
