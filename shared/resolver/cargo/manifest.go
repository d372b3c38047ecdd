package cargo

import (
	"os"
	"path"

	"github.com/pelletier/go-toml/v2"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/resolver"
)

const (
	// maxManifestBytes bounds a Cargo.toml; the largest that are known have 200 KB.
	maxManifestBytes = 1 << 20
	// maxManifests bounds the manifests of one repository that are read.
	maxManifests = 10_000
)

// manifest is a Cargo.toml (https://doc.rust-lang.org/cargo/reference/manifest.html).
type manifest map[string]any

// table is a table of a table; nil, which reads as an empty one, when there is none.
func table(of map[string]any, name string) map[string]any {
	t, _ := of[name].(map[string]any)
	return t
}

// text is a string of a table, "" when there is none.
func text(of map[string]any, name string) string {
	s, _ := of[name].(string)
	return s
}

// pkg is the table [package]; nil for a virtual manifest, which has a workspace alone.
func (m manifest) pkg() map[string]any {
	if p := table(m, "package"); p != nil {
		return p
	}
	return table(m, "project") // of old
}

// version of a package that inherits nothing (any more). Without one cargo takes 0.0.0.
func (m manifest) version() string {
	if v := text(m.pkg(), "version"); v != "" {
		return v
	}
	return "0.0.0"
}

func parseManifest(content []byte) (manifest, error) {
	var m manifest
	if err := toml.Unmarshal(content, &m); err != nil {
		return nil, err
	}
	if m == nil {
		m = manifest{}
	}
	return m, nil
}

// dependencyKinds are the names of dependency tables, with older spellings.
var dependencyKinds = []struct {
	name string
	dev  bool
}{
	{"dependencies", false},
	{"build-dependencies", false},
	{"build_dependencies", false},
	{"dev-dependencies", true},
	{"dev_dependencies", true},
}

// requirement is an entry of a dependency table.
type requirement struct {
	name string // of the package, not the name that the code has for it
	path string // as written, "" when it has none
	dev  bool
}

// requirements are all dependencies of a manifest, those of single targets as well.
func (m manifest) requirements() []requirement {
	var list []requirement
	add := func(of map[string]any) {
		for _, kind := range dependencyKinds {
			for name, value := range table(of, kind.name) {
				r := requirement{name: name, dev: kind.dev}
				if t, ok := value.(map[string]any); ok {
					r.path = text(t, "path")
					if real := text(t, "package"); real != "" {
						r.name = real
					}
				}
				list = append(list, r)
			}
		}
	}
	add(m)
	for name := range table(m, "target") {
		add(table(table(m, "target"), name))
	}
	return list
}

// readManifest reads the Cargo.toml of a folder; see resolver.ReadFile.
func readManifest(root *os.Root, dir string) (manifest, error) {
	name := path.Join(dir, manifestName)
	content, err := resolver.ReadFile(root, name, maxManifestBytes)
	if err != nil {
		return nil, err
	}
	m, err := parseManifest(content)
	if err != nil {
		return nil, fault.Client(fault.InvalidFileFormat, "%s is not a valid manifest: %v", name, err)
	}
	return m, nil
}
