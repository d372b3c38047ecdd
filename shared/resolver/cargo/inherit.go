package cargo

import (
	"fmt"
	"maps"
	"path"
	"path/filepath"
	"slices"

	"github.com/pelletier/go-toml/v2"
)

// Packages take values over from their workspace: version.workspace = true, dependencies and lints alike
// (https://doc.rust-lang.org/cargo/reference/workspaces.html). A package that is taken out of its workspace, as
// those of git dependencies are, must have them itself.

// maxManifestDepth bounds the tables in tables of a manifest that is written again.
const maxManifestDepth = 32

// inherits reports whether a manifest takes anything over.
func (m manifest) inherits() bool {
	for _, value := range m.pkg() {
		if fromWorkspace(value) {
			return true
		}
	}
	if fromWorkspace(m["lints"]) {
		return true
	}
	found := false
	m.eachDependency(func(of map[string]any, name string) { found = found || fromWorkspace(of[name]) })
	return found
}

// fromWorkspace reports whether a value is {workspace = true}.
func fromWorkspace(value any) bool {
	t, ok := value.(map[string]any)
	return ok && t["workspace"] == true
}

func (m manifest) eachDependency(visit func(of map[string]any, name string)) {
	tables := []map[string]any{m}
	for name := range table(m, "target") {
		tables = append(tables, table(table(m, "target"), name))
	}
	for _, t := range tables {
		for _, kind := range dependencyKinds {
			of := table(t, kind.name)
			for _, name := range slices.Sorted(maps.Keys(of)) {
				visit(of, name)
			}
		}
	}
}

// inherit fills in what a manifest, which it changes, takes over from its workspace. dir and workspaceDir are
// their folders. The error names what the workspace does not have.
func (m manifest) inherit(dir string, workspace manifest, workspaceDir string) error {
	shared := table(workspace, "workspace")
	up, err := filepath.Rel(filepath.FromSlash(dir), filepath.FromSlash(workspaceDir))
	if err != nil {
		return fmt.Errorf("comparing %s with its workspace %s: %w", dir, workspaceDir, err)
	}
	up = filepath.ToSlash(up)
	own, theirs := m.pkg(), table(shared, "package")
	for key, value := range own {
		if !fromWorkspace(value) {
			continue
		}
		have, ok := theirs[key]
		if !ok {
			return fmt.Errorf("package.%s is not in the workspace", key)
		}
		if file, ok := have.(string); ok && (key == "readme" || key == "license-file") {
			have = path.Join(up, file)
		}
		own[key] = have
	}
	delete(own, "workspace")
	if fromWorkspace(m["lints"]) {
		have, ok := shared["lints"]
		if !ok {
			return fmt.Errorf("lints are not in the workspace")
		}
		m["lints"] = have
	}
	var missing error
	m.eachDependency(func(of map[string]any, name string) {
		if !fromWorkspace(of[name]) {
			return
		}
		have, ok := table(shared, "dependencies")[name]
		if !ok {
			missing = fmt.Errorf("the dependency %s is not in the workspace", name)
			return
		}
		of[name] = inheritDependency(have, table(of, name), up)
	})
	return missing
}

// inheritDependency is a dependency of a workspace with what a member says of it: more features, and whether it
// is optional. Default features are on when either wants them.
func inheritDependency(shared any, own map[string]any, up string) map[string]any {
	out := map[string]any{}
	switch shared := shared.(type) {
	case string:
		out["version"] = shared
	case map[string]any:
		maps.Copy(out, shared)
	}
	if p := text(out, "path"); p != "" {
		out["path"] = path.Join(up, p)
	}
	theirs, _ := out["features"].([]any)
	if mine, ok := own["features"].([]any); ok {
		out["features"] = append(slices.Clone(theirs), mine...)
	}
	for _, key := range []string{"optional", "public"} {
		if value, ok := own[key]; ok {
			out[key] = value
		}
	}
	for _, key := range []string{"default-features", "default_features"} {
		if own[key] == true {
			delete(out, "default_features")
			out["default-features"] = true
		}
	}
	return out
}

// print writes a manifest; comments are lost.
func (m manifest) print() ([]byte, error) {
	if deeperThan(map[string]any(m), maxManifestDepth) {
		return nil, fmt.Errorf("tables are nested more than %d deep", maxManifestDepth)
	}
	return toml.Marshal(map[string]any(m))
}

// deeperThan reports whether tables and lists are nested more than limit deep.
func deeperThan(value any, limit int) bool {
	if limit < 0 {
		return true
	}
	switch value := value.(type) {
	case map[string]any:
		for _, v := range value {
			if deeperThan(v, limit-1) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(value, func(v any) bool { return deeperThan(v, limit-1) })
	}
	return false
}
