package crate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"github.com/cachito-serverless/cachito/shared/archive"
	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/resolver"
)

// maxManifestBytes bounds a crate's manifest.
const maxManifestBytes = 1 << 20

// indexLine is a version of a crate in a registry's index
// (https://doc.rust-lang.org/cargo/reference/registry-index.html).
type indexLine struct {
	Name      string              `json:"name"`
	Version   string              `json:"vers"`
	Deps      []indexDependency   `json:"deps"`
	Checksum  string              `json:"cksum"`
	Features  map[string][]string `json:"features"`
	Features2 map[string][]string `json:"features2,omitempty"`
	Yanked    bool                `json:"yanked"`
	Links     *string             `json:"links"`
	Format    int                 `json:"v,omitempty"`
}

type indexDependency struct {
	Name            string   `json:"name"`
	Req             string   `json:"req"`
	Features        []string `json:"features"`
	Optional        bool     `json:"optional"`
	DefaultFeatures bool     `json:"default_features"`
	Target          *string  `json:"target"`
	Kind            string   `json:"kind"`
	Package         *string  `json:"package,omitempty"`
	// Registry is the index that the dependency comes from, when it is another one.
	Registry *string `json:"registry,omitempty"`
}

// seenFrom turns the manifest's view of registries (none is crates.io) into the index's (none is its own).
func (d *indexDependency) seenFrom(registry string) {
	switch {
	case registry == "":
		d.Registry = nil // crates.io knows no other registry
	case d.Registry == nil:
		d.Registry = new(CratesIOIndex)
	case *d.Registry == registry, "registry+"+*d.Registry == registry:
		d.Registry = nil
	}
}

// publishedManifest is the Cargo.toml of a published crate, which cargo has brought into a normal form.
type publishedManifest struct {
	publishedDependencies
	Package *publishedPackage `toml:"package"`
	Project *publishedPackage `toml:"project"` // of old crates
	// Features: "dep:x" and "x?/y" need format 2 of the index.
	Features map[string][]string              `toml:"features"`
	Target   map[string]publishedDependencies `toml:"target"`
}

type publishedPackage struct {
	Name    string  `toml:"name"`
	Version string  `toml:"version"`
	Links   *string `toml:"links"`
}

type publishedDependencies struct {
	Normal map[string]any `toml:"dependencies"`
	Dev    map[string]any `toml:"dev-dependencies"`
	OldDev map[string]any `toml:"dev_dependencies"`
	Build  map[string]any `toml:"build-dependencies"`
	OldOne map[string]any `toml:"build_dependencies"`
}

// readIndexLine makes the index line of a fetched crate from the manifest in it.
func readIndexLine(ctx context.Context, f resolver.Fetcher, file resolver.File, c Remote) (indexLine, error) {
	shown := c.FileName()
	r, err := f.Open(ctx, file)
	if err != nil {
		return indexLine{}, fmt.Errorf("opening %s: %w", shown, err)
	}
	defer r.Close()
	odd := func(err error) error {
		return fault.Client(fault.InvalidFileFormat, "%s is not the crate it is called: its Cargo.toml is missing, malformed or another's", shown).Because(err)
	}
	var text []byte
	err = archive.Walk(ctx, r, archive.Limits{}, func(e archive.Entry, content io.Reader) error {
		if e.Name != c.Name+"-"+c.Version+"/Cargo.toml" || e.Size > maxManifestBytes {
			return nil
		}
		if text, err = io.ReadAll(content); err != nil {
			return err
		}
		return errEnough
	})
	switch {
	case ctx.Err() != nil:
		return indexLine{}, ctx.Err()
	case isBroken(err):
		return indexLine{}, odd(err)
	case err != nil && !errors.Is(err, errEnough):
		return indexLine{}, fmt.Errorf("reading %s: %w", shown, err)
	}
	line, err := newIndexLine(text, c.Registry)
	if err != nil || line.Name != c.Name || line.Version != c.Version {
		return line, odd(err)
	}
	line.Checksum = c.Digest.Hex()
	return line, nil
}

// errEnough ends a walk.
var errEnough = errors.New("seen enough")

// isBroken reports whether an archive is the trouble, not the reading of it.
func isBroken(err error) bool {
	_, unsafe := errors.AsType[*archive.UnsafeEntryError](err)
	_, large := errors.AsType[*archive.LimitError](err)
	return unsafe || large || errors.Is(err, archive.ErrBadArchive)
}

// newIndexLine reads a manifest. registry is the index of the registry that has it, "" for crates.io.
func newIndexLine(manifest []byte, registry string) (indexLine, error) {
	var doc publishedManifest
	if err := toml.Unmarshal(manifest, &doc); err != nil {
		return indexLine{}, err
	}
	if doc.Package == nil {
		doc.Package = doc.Project
	}
	if doc.Package == nil {
		return indexLine{}, errors.New("there is no package")
	}
	line := indexLine{Name: doc.Package.Name, Version: doc.Package.Version, Links: doc.Package.Links, Deps: []indexDependency{}, Features: map[string][]string{}}
	for name, enables := range doc.Features {
		to := line.Features
		if slices.ContainsFunc(enables, func(e string) bool { return strings.HasPrefix(e, "dep:") || strings.Contains(e, "?/") }) {
			if line.Features2 == nil {
				line.Features2, line.Format = map[string][]string{}, 2
			}
			to = line.Features2
		}
		if enables == nil {
			enables = []string{}
		}
		to[name] = enables
	}
	line.Deps = append(line.Deps, doc.list(nil)...)
	for _, target := range slices.Sorted(maps.Keys(doc.Target)) {
		line.Deps = append(line.Deps, doc.Target[target].list(&target)...)
	}
	for i := range line.Deps {
		line.Deps[i].seenFrom(registry)
	}
	return line, nil
}

// list are the dependencies of one target, sorted by kind and name.
func (d publishedDependencies) list(target *string) []indexDependency {
	var list []indexDependency
	for _, kind := range []struct {
		name  string
		table map[string]any
	}{{"normal", d.Normal}, {"dev", d.Dev}, {"dev", d.OldDev}, {"build", d.Build}, {"build", d.OldOne}} {
		for _, name := range slices.Sorted(maps.Keys(kind.table)) {
			one := indexDependency{Name: name, Req: "*", Features: []string{}, DefaultFeatures: true, Target: target, Kind: kind.name}
			one.fill(kind.table[name])
			list = append(list, one)
		}
	}
	return list
}

// fill reads "1.0" or {version = "1.0", features = [..]}.
func (d *indexDependency) fill(value any) {
	if text, ok := value.(string); ok {
		d.Req = text
		return
	}
	table, _ := value.(map[string]any)
	for key, v := range table {
		switch v := v.(type) {
		case string:
			switch key {
			case "version":
				d.Req = v
			case "package":
				d.Package = &v
			case "registry-index":
				d.Registry = &v
			}
		case bool:
			switch key {
			case "optional":
				d.Optional = v
			case "default-features", "default_features":
				d.DefaultFeatures = v
			}
		case []any:
			if key == "features" {
				for _, feature := range v {
					if text, ok := feature.(string); ok {
						d.Features = append(d.Features, text)
					}
				}
			}
		}
	}
}

// indexPath is where the lines of a crate lie in an index: se/rd/serde.
func indexPath(name string) string {
	name = strings.ToLower(name)
	return prefix(name) + "/" + name
}

// prefix is the folder of a name in an index.
func prefix(name string) string {
	switch len(name) {
	case 1, 2:
		return strconv.Itoa(len(name))
	case 3:
		return "3/" + name[:1]
	}
	return name[:2] + "/" + name[2:4]
}

// printIndexLines makes the file of a crate's versions, which must be in order.
func printIndexLines(lines []indexLine) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	for _, line := range lines {
		if err := encoder.Encode(line); err != nil {
			return nil, fmt.Errorf("writing the index of crate %s: %w", line.Name, err)
		}
	}
	return b.Bytes(), nil
}
