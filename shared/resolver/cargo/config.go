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

// gitSource replaces a git repository by a folder.
func (w *configWriter) gitSource(s source, name, folder string) {
	w.table(s.key(), "git", s.url, s.refKind, s.ref, "replace-with", "cachito-git-"+name)
	w.table("cachito-git-"+name, "directory", folder)
}

// configNote begins the configurations of the repository that are changed.
const configNote = "# Sources are in the bundle; what this file said of [source] is left out.\n"

// configs are the configurations of the repository that change, those that cargo reads in the folders. What they say of
// sources is left out: it would win over the bundle's. own is added to those of some folders.
func (t *tree) configs(dirs map[string]bool, own map[string]*configWriter) ([]resolver.Entry, error) {
	places := map[string]bool{}
	for dir := range dirs {
		for places[dir] = true; dir != "."; places[dir] = true {
			dir = path.Dir(dir)
		}
	}
	var changed []resolver.Entry
	for dir := range places {
		more := ""
		if own[dir] != nil {
			more = own[dir].String()
		}
		for _, name := range []string{".cargo/config", ".cargo/config.toml"} { // where there are both, cargo reads the first
			name = path.Join(dir, name)
			content, err := t.withoutSources(name, more != "")
			if err != nil {
				return nil, err
			}
			if content != nil {
				changed = append(changed, resolver.Entry{Path: name, Inline: append(content, more...)})
				more = ""
			}
		}
		if more != "" {
			changed = append(changed, resolver.Entry{Path: path.Join(dir, ".cargo/config.toml"), Inline: []byte(configNote + more)})
		}
	}
	return changed, nil
}

// withoutSources is a configuration without its sources; nil when there is no such file, or nothing to change in it.
// always: it changes anyway.
func (t *tree) withoutSources(name string, always bool) ([]byte, error) {
	content, err := resolver.ReadFile(t.root, name, maxConfigBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	invalid := func(err error) error {
		return fault.Client(fault.InvalidFileFormat, "Cargo config file contains invalid data and cannot be parsed: %s: %v", name, err)
	}
	var config manifest
	if err := toml.Unmarshal(content, &config); err != nil {
		return nil, invalid(err)
	}
	if _, ok := config["source"]; !ok && !always {
		return nil, nil
	}
	delete(config, "source")
	if content, err = config.print(); err != nil {
		return nil, invalid(err)
	}
	return append([]byte(configNote), content...), nil
}
