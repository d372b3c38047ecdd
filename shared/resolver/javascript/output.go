package javascript

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/packages"
	"github.com/cachito-serverless/cachito/shared/resolver"
)

// MaxConfigFileBytes is up to which size a rewritten lockfile is a configuration file as well: those are kept in the
// request's result as they are.
const MaxConfigFileBytes = 1 << 20

// Dependency is what is reported of one: Dev and Bundled as the lockfile has it.
type Dependency struct {
	Name, Version string
	Dev, Bundled  bool
}

// Reported are dependencies as the API shows them, sorted: once each, the same name and version may have come
// from several places or be an alias beside the real name. Such a one is for development, or bundled, only when it is everywhere.
func Reported(manager string, deps []Dependency) []packages.Dependency {
	type key struct{ name, version string }
	at := map[key]int{}
	var merged []Dependency
	for _, d := range deps {
		k := key{d.Name, d.Version}
		if i, ok := at[k]; ok {
			merged[i].Dev = merged[i].Dev && d.Dev
			merged[i].Bundled = merged[i].Bundled && d.Bundled
			continue
		}
		at[k] = len(merged)
		merged = append(merged, d)
	}
	list := make([]packages.Dependency, len(merged))
	for i := range merged {
		d := &merged[i]
		list[i] = packages.Dependency{Name: d.Name, Type: manager, Version: &d.Version, Dev: &d.Dev, HasReplaces: true}
		if d.Bundled {
			// Upstream never shows the key: only what it is true for has it.
			list[i].Bundled = &d.Bundled
		}
	}
	slices.SortFunc(list, func(a, b packages.Dependency) int {
		if c := strings.Compare(a.Name, b.Name); c != 0 {
			return c
		}
		return strings.Compare(*a.Version, *b.Version)
	})
	return list
}

// AddArtifact notes the file in the bundle that stands for a dependency, by its purl, and whether a digest of the lockfile,
// or a commit, vouches for it.
func AddArtifact(out *resolver.Output, id string, file resolver.File, vouched bool) {
	out.Checksums[id] = append(out.Checksums[id], file.SHA256)
	if !vouched {
		out.Unverified = append(out.Unverified, id)
	}
}

// AddOverlays adds files that are others in the bundle than in the repository; those that are no files of the cache
// are configuration files as well.
func AddOverlays(out *resolver.Output, changed ...resolver.Entry) {
	for _, e := range changed {
		out.Overlays = append(out.Overlays, e)
		if e.File == nil && !e.Deleted {
			out.ConfigFiles = append(out.ConfigFiles, resolver.ConfigFile{Path: "app/" + e.Path, Content: e.Inline})
		}
	}
}

// Changed is the overlay for a file of the repository with another content. A large one goes to the cache.
func Changed(ctx context.Context, fetcher resolver.Fetcher, name string, content io.Reader, size int64) (resolver.Entry, error) {
	if size > MaxConfigFileBytes {
		file, err := fetcher.Store(ctx, content)
		if err != nil {
			return resolver.Entry{}, fmt.Errorf("storing %s: %w", name, err)
		}
		return resolver.Entry{Path: name, File: &file}, nil
	}
	text, err := io.ReadAll(content)
	if err != nil {
		return resolver.Entry{}, fmt.Errorf("reading %s: %w", name, err)
	}
	return resolver.Entry{Path: name, Inline: text}, nil
}

// Sort sorts all lists of an output but Packages; equal purls and checksums count once.
func Sort(out *resolver.Output) {
	slices.SortFunc(out.Deps, ByPath)
	slices.SortFunc(out.Overlays, ByPath)
	slices.SortFunc(out.ConfigFiles, func(a, b resolver.ConfigFile) int { return strings.Compare(a.Path, b.Path) })
	slices.Sort(out.Unverified)
	out.Unverified = slices.Compact(out.Unverified)
	for id, list := range out.Checksums {
		slices.Sort(list)
		out.Checksums[id] = slices.Compact(list)
	}
}

// ByPath is the order of entries.
func ByPath(a, b resolver.Entry) int { return strings.Compare(a.Path, b.Path) }

// Placed are the files below deps/, by their path there.
type Placed map[string]resolver.File

// Put gives the file of a dependency its place. Two different files for one are the trouble of the lockfiles, a fault of
// the client's: they have two digests for one version, and the registry (or the mirror of one host) has both.
func (p Placed) Put(place, name, version string, file resolver.File) error {
	if have, ok := p[place]; ok && have.SHA256 != file.SHA256 {
		return fault.Client(fault.InvalidChecksum, "The lockfiles name two different files for %s %s: sha256:%s and sha256:%s",
			name, version, have.SHA256, file.SHA256)
	}
	p[place] = file
	return nil
}

// Entries are the files as entries, in no order.
func (p Placed) Entries() []resolver.Entry {
	var out []resolver.Entry
	for place, f := range p {
		out = append(out, resolver.Entry{Path: place, File: &f})
	}
	return out
}
