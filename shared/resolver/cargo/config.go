package cargo

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/resolver"
)

// configPath is cargo's configuration at the bundle's root. Cargo looks for it from the working directory upwards, and
// takes paths in it as relative to the folder that holds .cargo.
const configPath = ".cargo/config.toml"

// maxConfigBytes bounds a configuration of the repository.
const maxConfigBytes = 1 << 20

// Folders below deps/.
const (
	cratesFolder     = "cargo"            // local registry of crates.io's crates
	registriesFolder = "cargo-registries" // one each of the others
	treesFolder      = "cargo-git/trees"  // trees of git repositories, as they are
	sourcesFolder    = "cargo-git/crates" // for each source the crates that are wanted of it, links into the trees
)

// configWriter writes cargo's configuration (https://doc.rust-lang.org/cargo/reference/config.html).
type configWriter struct{ strings.Builder }

func newConfig() *configWriter {
	w := &configWriter{}
	w.WriteString("# Cargo takes all dependencies from this bundle.\n[net]\noffline = true\n")
	return w
}

// table begins a table; keys and values follow in pairs.
func (w *configWriter) table(name string, pairs ...string) {
	if !bareKey.MatchString(name) {
		name = quote(name)
	}
	fmt.Fprintf(w, "\n[source.%s]\n", name)
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			fmt.Fprintf(w, "%s = %s\n", pairs[i], quote(pairs[i+1]))
		}
	}
}

var bareKey = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// quote is a TOML basic string. Sources have no control characters.
func quote(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text) + `"`
}

// cleanConfigs are the configurations of the repository that say where sources are, without that: they would win over
// the bundle's. Looked at are those that cargo reads in the folders.
func (t *tree) cleanConfigs(dirs map[string]bool) ([]resolver.Entry, error) {
	places := map[string]bool{}
	for dir := range dirs {
		for places[dir] = true; dir != "."; places[dir] = true {
			dir = path.Dir(dir)
		}
	}
	var changed []resolver.Entry
	for dir := range places {
		for _, name := range []string{".cargo/config.toml", ".cargo/config"} {
			name = path.Join(dir, name)
			content, err := readFile(t.root, name, maxConfigBytes)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return nil, err
			}
			var config manifest
			if err := toml.Unmarshal(content, &config); err != nil {
				return nil, fault.Client(fault.InvalidFileFormat, "Cargo config file contains invalid data and cannot be parsed: %s: %v", name, err)
			}
			if _, ok := config["source"]; !ok {
				continue
			}
			delete(config, "source")
			if content, err = config.print(); err != nil {
				return nil, fault.Client(fault.InvalidFileFormat, "Cargo config file contains invalid data and cannot be parsed: %s: %v", name, err)
			}
			changed = append(changed, resolver.Entry{Path: name, Inline: append([]byte("# Without [source]: dependencies are in the bundle.\n"), content...)})
		}
	}
	return changed, nil
}
