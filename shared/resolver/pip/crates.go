package pip

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/integrity"
	"github.com/cachito-serverless/cachito/shared/packages"
	"github.com/cachito-serverless/cachito/shared/purl"
	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/resolver"
)

const (
	// CrateType is the type of Rust crates that sdists are built from.
	CrateType = "cargo"
	// maxCrates of a request.
	maxCrates = 20_000
	// cargoFolder is a local registry below deps/; cargoHome holds the configuration that names it.
	cargoFolder = "cargo"
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

// cratePURL: pkg:cargo/libc@0.2.150.
func cratePURL(_ packages.Context, _ packages.Package, d packages.Dependency) (string, error) {
	return "pkg:cargo/" + d.Name + "@" + purl.Escape(packages.Deref(d.Version), ""), nil
}

// crateSet is what the Rust extensions of a request need.
type crateSet struct {
	crates []crate // in order of name and version
	files  []resolver.File
	lines  []indexLine
	// byNeed are the crates of each sdist.
	byNeed map[*need][]crate
}

// rustNeeds is what is known of one sdist.
type rustNeeds struct {
	isRust    bool
	lockName  string // "" when there is no Cargo.lock
	crates    []crate
	elsewhere []string // crates that are not of crates.io
}

// fetchCrates fetches the crates that the sdists' own lockfiles name. Without a lockfile nobody knows what a
// build would take: the log says so.
func (b *batch) fetchCrates(ctx context.Context) error {
	if b.pip.cratesURL == "" {
		return nil
	}
	b.crates.byNeed = map[*need][]crate{}
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
			if sources[i].crates, sources[i].elsewhere, err = parseCargoLock(s.lock, s.lockName+" of "+n.requirement.line); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	seen := map[string]crate{}
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
			key := c.name + " " + c.version
			if other, ok := seen[key]; ok && other != c {
				return fault.Client(fault.InvalidChecksum, "The crate %s has two checksums: %s, and in %s of %s %s", key, other.digest, s.lockName, n.requirement.line, c.digest)
			}
			seen[key] = c
		}
	}
	if len(seen) > maxCrates {
		return fault.Client(fault.UnsupportedFeature, "There are more than %d crates in the sdists", maxCrates)
	}
	for _, c := range seen {
		b.crates.crates = append(b.crates.crates, c)
	}
	slices.SortFunc(b.crates.crates, func(x, y crate) int {
		return strings.Compare(x.name+" "+x.version, y.name+" "+y.version)
	})
	return b.downloadCrates(ctx)
}

func (b *batch) downloadCrates(ctx context.Context) (err error) {
	set := &b.crates
	artifacts := make([]resolver.Artifact, len(set.crates))
	for i, c := range set.crates {
		file := c.name + "-" + c.version + ".crate"
		artifacts[i] = resolver.Artifact{
			URL: b.pip.cratesURL + c.name + "/" + purl.Escape(file, ""), Want: []integrity.Digest{c.digest}, MaxBytes: MaxDistributionBytes, Describe: file,
		}
	}
	if set.files, err = resolver.FetchAll(ctx, b.in, artifacts); err != nil {
		return err
	}
	set.lines = make([]indexLine, len(set.crates))
	return resolver.SideBySide(ctx, maxVerified, len(set.crates), func(ctx context.Context, i int) error {
		var err error
		set.lines[i], err = readIndexLine(ctx, b.in.Fetcher, set.files[i], set.crates[i])
		return err
	})
}

// add puts the crates into the bundle, as a local registry.
func (s *crateSet) add(out *resolver.Output) error {
	if len(s.crates) == 0 {
		return nil
	}
	versions := map[string][]indexLine{}
	for i, c := range s.crates {
		out.Deps = append(out.Deps, resolver.Entry{Path: cargoFolder + "/" + c.name + "-" + c.version + ".crate", File: &s.files[i]})
		where := crateIndexPath(c.name)
		versions[where] = append(versions[where], s.lines[i])
		d := c.dependency(false)
		id, err := cratePURL(packages.Context{}, packages.Package{}, d)
		if err != nil {
			return fmt.Errorf("naming crate %s: %w", c.name, err)
		}
		out.Checksums[id] = []string{s.files[i].SHA256}
	}
	for where, lines := range versions {
		content, err := printIndexLines(lines)
		if err != nil {
			return err
		}
		out.Deps = append(out.Deps, resolver.Entry{Path: cargoFolder + "/index/" + where, Inline: content})
	}
	out.Deps = append(out.Deps, resolver.Entry{Path: cargoHome + "/config.toml", Inline: []byte(cargoConfig)})
	out.EnvironmentVariables["CARGO_HOME"] = request.EnvironmentVariable{Value: "deps/" + cargoHome, Kind: "path"}
	return nil
}

func (c crate) dependency(dev bool) packages.Dependency {
	return packages.Dependency{Name: c.name, Type: CrateType, Version: &c.version, Dev: &dev}
}

// dependencies are the crates of a package's sdists, each once; dev when only build requirements need it.
func (s *crateSet) dependencies(needs []*need, owner *project) []packages.Dependency {
	runtime := map[crate]bool{}
	var order []crate
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
		list[i] = c.dependency(!runtime[c])
	}
	return list
}
