package berry

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/resolver/javascript"
)

// manifest is what is read of a package.json. A member of another type than expected counts as missing.
type manifest struct {
	name, version, packageManager string
	// runtime are "name@range" of dependencies and optionalDependencies; all has devDependencies as well.
	runtime, all []string
}

// parseManifest reads a package.json; it is an error when that is no JSON object.
func parseManifest(data []byte) (manifest, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")), &members); err != nil {
		return manifest{}, err
	}
	if members == nil {
		return manifest{}, errors.New("null instead of an object")
	}
	var m manifest
	for key, to := range map[string]*string{"name": &m.name, "version": &m.version, "packageManager": &m.packageManager} {
		_ = json.Unmarshal(members[key], to) // of another type: stays empty
	}
	for _, section := range []string{"dependencies", "optionalDependencies", "devDependencies"} {
		var needs map[string]json.RawMessage
		if json.Unmarshal(members[section], &needs) != nil {
			continue
		}
		for name, raw := range needs {
			var spec string
			if json.Unmarshal(raw, &spec) != nil {
				continue
			}
			m.all = append(m.all, name+"@"+spec)
			if section != "devDependencies" {
				m.runtime = append(m.runtime, name+"@"+spec)
			}
		}
	}
	return m, nil
}

// readManifest reads a package.json of the repository. ok is false when there is none. Faults are the client's.
func (r *run) readManifest(name string) (m manifest, ok bool, err error) {
	info, err := r.in.Source.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return m, false, nil
	case err != nil || !info.Mode().IsRegular():
		return m, false, fault.Client(fault.InvalidRepoStructure, "The file %s cannot be read: it is no file, or leads out of the repository", name).Because(err)
	case info.Size() > javascript.MaxPackageJSONBytes:
		return m, false, fault.Client(fault.UnsupportedFeature, "The file %s has %d bytes, the limit is %d", name, info.Size(), javascript.MaxPackageJSONBytes)
	}
	data, err := r.in.Source.ReadFile(name)
	if err != nil {
		return m, false, fmt.Errorf("reading %s: %w", name, err)
	}
	if m, err = parseManifest(data); err != nil {
		return m, false, fault.Client(fault.InvalidFileFormat, "The file %s is not valid JSON: %s", name, err).Because(err)
	}
	return m, true, nil
}
