package crate

import (
	"context"
	"slices"
	"strings"

	"github.com/cachito-serverless/cachito/shared/integrity"
	"github.com/cachito-serverless/cachito/shared/purl"
	"github.com/cachito-serverless/cachito/shared/resolver"
)

const (
	// MaxBytes bounds a crate; crates.io takes 10 MB, other registries more.
	MaxBytes = 1 << 30
	// readAtATime bounds the crates whose manifests are read side by side.
	readAtATime = 4
)

// Remote is a crate with the place it is fetched from.
type Remote struct {
	Crate
	URL string
	// Registry is the source of the registry's index as lockfiles have it, without "registry+"; "" for
	// crates.io.
	Registry string
}

// FileURL is where crates.io has a crate's file; base ends in "/".
func FileURL(base string, c Crate) string { return base + c.Name + "/" + purl.Escape(c.FileName(), "") }

// TemplateURL is where a registry has a crate's file, by the "dl" of its config.json
// (https://doc.rust-lang.org/cargo/reference/registry-index.html#index-configuration).
func TemplateURL(dl string, c Crate) string {
	marks := []string{
		"{crate}", c.Name, "{version}", purl.Escape(c.Version, ""), "{sha256-checksum}", c.Digest.Hex(),
		"{prefix}", prefix(c.Name), "{lowerprefix}", prefix(strings.ToLower(c.Name)),
	}
	for i := 0; i < len(marks); i += 2 {
		if strings.Contains(dl, marks[i]) {
			return strings.NewReplacer(marks...).Replace(dl)
		}
	}
	return strings.TrimSuffix(dl, "/") + "/" + c.Name + "/" + purl.Escape(c.Version, "") + "/download"
}

// Fetched is a crate in the cache.
type Fetched struct {
	Remote
	File resolver.File
	line indexLine
}

// Fetch downloads crates and reads their manifests. Faults: as resolver.Fetcher; InvalidFileFormat (client) for
// a file that is not the crate it is called.
func Fetch(ctx context.Context, in resolver.Input, crates []Remote) ([]Fetched, error) {
	artifacts := make([]resolver.Artifact, len(crates))
	for i, c := range crates {
		artifacts[i] = resolver.Artifact{URL: c.URL, Want: []integrity.Digest{c.Digest}, MaxBytes: MaxBytes, Describe: c.FileName()}
	}
	files, err := resolver.FetchAll(ctx, in, artifacts)
	if err != nil {
		return nil, err
	}
	fetched := make([]Fetched, len(crates))
	err = resolver.SideBySide(ctx, readAtATime, len(crates), func(ctx context.Context, i int) error {
		line, err := readIndexLine(ctx, in.Fetcher, files[i], crates[i])
		fetched[i] = Fetched{Remote: crates[i], File: files[i], line: line}
		return err
	})
	return fetched, err
}

// LocalRegistry lays crates of one registry out below a folder, sorted by path.
func LocalRegistry(folder string, crates []Fetched) ([]resolver.Entry, error) {
	crates = slices.Clone(crates)
	slices.SortFunc(crates, func(a, b Fetched) int { return strings.Compare(a.FileName(), b.FileName()) })
	versions := map[string][]indexLine{}
	var entries []resolver.Entry
	for i := range crates {
		c := &crates[i]
		entries = append(entries, resolver.Entry{Path: folder + "/" + c.FileName(), File: &c.File})
		versions[indexPath(c.Name)] = append(versions[indexPath(c.Name)], c.line)
	}
	for where, lines := range versions {
		content, err := printIndexLines(lines)
		if err != nil {
			return nil, err
		}
		entries = append(entries, resolver.Entry{Path: folder + "/index/" + where, Inline: content})
	}
	slices.SortFunc(entries, func(a, b resolver.Entry) int { return strings.Compare(a.Path, b.Path) })
	return entries, nil
}
