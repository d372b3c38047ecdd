package pip

import (
	"context"
	"fmt"
	"maps"
	"path"
	"slices"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/packages"
	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/resolver"
	"github.com/cachito-serverless/cachito/shared/resolver/cargo/crate"
)

const (
	// maxCrates of a request.
	maxCrates = 20_000
	// cargoFolder is a local registry below deps/, beside that of the manager cargo; cargoHome holds the
	// configuration that names it.
	cargoFolder = "pip-cargo"
	cargoHome   = "cargo-home"
)

// cargoConfig makes cargo take the bundle for crates.io. A path in it is relative to the parent of its own
// folder, so the bundle may lie anywhere.
const cargoConfig = `[source.crates-io]
replace-with = "cachito"

[source.cachito]
local-registry = "` + cargoFolder + `"

[net]
offline = true
`

// crateSet is what the Rust extensions of a request need.
type crateSet struct {
	crates []crate.Fetched // in order of name and version
	// byNeed are the crates of each sdist.
	byNeed map[*need][]crate.Crate
}

// rustNeeds is what is known of one sdist.
type rustNeeds struct {
	isRust    bool
	lockName  string // "" when there is no Cargo.lock
	crates    []crate.Crate
	elsewhere []string // crates that are not of crates.io
}

// fetchCrates fetches the crates that the sdists' own lockfiles name. Without a lockfile nobody knows what a
// build would take: the log says so.
func (b *batch) fetchCrates(ctx context.Context) error {
	if b.pip.cratesURL == "" {
		return nil
	}
	b.crates.byNeed = map[*need][]crate.Crate{}
	sources := make([]rustNeeds, len(b.needs))
	err := resolver.SideBySide(ctx, maxVerified, len(b.needs), func(ctx context.Context, i int) error {
		n := b.needs[i]
		for _, it := range n.items {
			if it.chosen != nil && it.chosen.isWheel || n.requirement.ext == wheelExtension {
				continue
			}
			s, err := readRust(ctx, b.in.Fetcher, it.file, path.Base(it.place))
			if err != nil {
				return err
			}
			if s == nil {
				continue
			}
			sources[i] = rustNeeds{isRust: true, lockName: s.lockName}
			if s.lockName == "" {
				continue
			}
			if sources[i].crates, sources[i].elsewhere, err = lockedCrates(s.lock, s.lockName+" of "+n.requirement.line); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	seen := map[string]crate.Crate{}
	for i, s := range sources {
		if !s.isRust {
			continue
		}
		n := b.needs[i]
		if s.lockName == "" {
			b.in.Log.WarnContext(ctx, "An sdist is built with Rust and has no Cargo.lock: its crates are not in the bundle", "requirement", n.requirement.line)
			continue
		}
		for _, other := range s.elsewhere {
			b.in.Log.WarnContext(ctx, "A crate does not come from crates.io: it is not in the bundle", "requirement", n.requirement.line, "crate", other)
		}
		b.crates.byNeed[n] = s.crates
		for _, c := range s.crates {
			key := c.Name + " " + c.Version
			if other, ok := seen[key]; ok && other != c {
				return fault.Client(fault.InvalidChecksum, "The crate %s has two checksums: %s, and in %s of %s %s", key, other.Digest, s.lockName, n.requirement.line, c.Digest)
			}
			seen[key] = c
		}
	}
	if len(seen) > maxCrates {
		return fault.Client(fault.UnsupportedFeature, "There are more than %d crates in the sdists", maxCrates)
	}
	return b.downloadCrates(ctx, seen)
}

// lockedCrates reads the crates of a Cargo.lock that come from crates.io; elsewhere are those that do not, as
// "name version (source)".
func lockedCrates(text, shown string) (crates []crate.Crate, elsewhere []string, err error) {
	locked, _, err := crate.ParseLockfile([]byte(text), shown)
	if err != nil {
		return nil, nil, err
	}
	for _, l := range locked {
		switch {
		case l.Source == "": // of the sdist itself
			continue
		case !crate.IsCratesIO(l.Source):
			elsewhere = append(elsewhere, fmt.Sprintf("%s %s (%s)", l.Name, l.Version, withoutUserInfo(l.Source)))
			continue
		}
		c, err := l.Crate(shown)
		if err != nil {
			return nil, nil, err
		}
		crates = append(crates, c)
	}
	return crates, elsewhere, nil
}

func (b *batch) downloadCrates(ctx context.Context, crates map[string]crate.Crate) (err error) {
	var list []crate.Remote
	for _, key := range slices.Sorted(maps.Keys(crates)) {
		list = append(list, crate.Remote{Crate: crates[key], URL: crate.FileURL(b.pip.cratesURL, crates[key])})
	}
	b.crates.crates, err = crate.Fetch(ctx, b.in, list)
	return err
}

// add puts the crates into the bundle, as a local registry.
func (s *crateSet) add(out *resolver.Output) error {
	if len(s.crates) == 0 {
		return nil
	}
	entries, err := crate.LocalRegistry(cargoFolder, s.crates)
	if err != nil {
		return err
	}
	out.Deps = append(out.Deps, entries...)
	for _, c := range s.crates {
		out.Checksums[crate.PURL(c.Name, c.Version)] = []string{c.File.SHA256}
	}
	out.Deps = append(out.Deps, resolver.Entry{Path: cargoHome + "/config.toml", Inline: []byte(cargoConfig)})
	out.EnvironmentVariables["CARGO_HOME"] = request.EnvironmentVariable{Value: "deps/" + cargoHome, Kind: "path"}
	return nil
}

func crateDependency(c crate.Crate, dev bool) packages.Dependency {
	return packages.Dependency{Name: c.Name, Type: crate.Type, Version: &c.Version, Dev: &dev}
}

// dependencies are the crates of a package's sdists, each once; dev when only build requirements need it.
func (s *crateSet) dependencies(needs []*need, owner *project) []packages.Dependency {
	runtime := map[crate.Crate]bool{}
	var order []crate.Crate
	for _, n := range needs {
		if n.owner != owner {
			continue
		}
		for _, c := range s.byNeed[n] {
			if _, seen := runtime[c]; !seen {
				order = append(order, c)
			}
			runtime[c] = runtime[c] || !n.dev
		}
	}
	list := make([]packages.Dependency, len(order))
	for i, c := range order {
		list[i] = crateDependency(c, !runtime[c])
	}
	return list
}
