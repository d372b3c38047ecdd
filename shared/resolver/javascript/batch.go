package javascript

import (
	"context"
	"strings"

	"github.com/cachito-serverless/cachito/shared/resolver"
)

const (
	// maxPacking bounds the git dependencies that are checked out at a time.
	maxPacking = 4
	// maxReading bounds the archives that are unpacked at a time, in search of their package.json.
	maxReading = 4
	// NoVersion is taken for a package.json without a version: npm installs such a git dependency.
	NoVersion = "0.0.0"
)

// Batch is what a lockfile names, to be brought into the cache together. The zero value is empty. It is filled by
// one goroutine; what is to be done with a file that has come runs beside that of others.
type Batch struct {
	artifacts []resolver.Artifact
	come      []func(ctx context.Context, file resolver.File) error
	pack      []func(ctx context.Context, in resolver.Input) error
}

// Archive adds a package's archive. come is called with its file once all of the batch are there.
func (b *Batch) Archive(a resolver.Artifact, come func(ctx context.Context, file resolver.File) error) {
	b.artifacts = append(b.artifacts, a)
	b.come = append(b.come, come)
}

// Git adds a git dependency, which is packed in the forms; come is called as soon as it is.
func (b *Batch) Git(git GitSource, come func(ctx context.Context, packed PackedGit) error, forms ...PackForm) {
	b.pack = append(b.pack, func(ctx context.Context, in resolver.Input) error {
		packed, err := PackGit(ctx, in, git, forms...)
		if err != nil {
			return err
		}
		return come(ctx, packed)
	})
}

// Fetch fetches the archives, then packs the git dependencies. Faults are those of resolver.FetchAll, of PackGit and of
// what was to be done with the files.
func (b *Batch) Fetch(ctx context.Context, in resolver.Input) error {
	files, err := resolver.FetchAll(ctx, in, b.artifacts)
	if err != nil {
		return err
	}
	err = resolver.SideBySide(ctx, maxReading, len(files), func(ctx context.Context, i int) error { return b.come[i](ctx, files[i]) })
	if err != nil {
		return err
	}
	return resolver.SideBySide(ctx, maxPacking, len(b.pack), func(ctx context.Context, i int) error { return b.pack[i](ctx, in) })
}

// ArchiveVersion is the version that the package.json of an archive says it has: NoVersion when it says nothing, a
// fault of the client's when that is none. where names the package.json in the fault.
func ArchiveVersion(where, name, version string) (string, error) {
	if version = strings.TrimSpace(version); version == "" {
		version = NoVersion
	}
	return version, CheckVersion(where, name, version)
}
