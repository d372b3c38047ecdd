package berry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/integrity"
	"github.com/cachito-serverless/cachito/shared/resolver"
	"github.com/cachito-serverless/cachito/shared/resolver/javascript"
	"github.com/cachito-serverless/cachito/shared/resolver/yarn/lines"
)

// maxZippers bounds the zips that are made at a time; each takes some 2 MB of memory.
const maxZippers = 4

// fetch brings the files of a project's dependencies into the cache and gives each its place.
func (r *run) fetch(ctx context.Context, p *Project) error {
	if err := r.download(ctx, p); err != nil {
		return err
	}
	if err := r.fetchRelease(ctx, p); err != nil {
		return err
	}
	for _, d := range p.deps {
		var err error
		switch d.kind {
		case javascript.FromRegistry:
			d.place = javascript.RegistryPath(packageType, d.name, d.version)
		case javascript.FromURL:
			var digest integrity.Digest
			if digest, err = integrity.FromHex("sha256", d.file.SHA256); err == nil {
				d.place, err = javascript.TarballPath(packageType, d.name, d.placeVersion, digest)
			}
		case javascript.FromGit:
			d.place, err = javascript.GitPath(packageType, d.name, d.placeVersion, d.git)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// download fetches the archives. Each is compared with what the lockfile has of it on the way. Then it checks the git
// dependencies out and packs them as npm does. Yarn itself would install and pack the repository,
// which takes the network and runs its scripts, and gives another archive: the checksum in the bundle's lockfile
// becomes that of ours. The commit vouches for the content.
func (r *run) download(ctx context.Context, p *Project) error {
	var batch javascript.Batch
	sums := make([]string, len(p.deps))
	for i, d := range p.deps {
		switch d.kind {
		case javascript.FromRegistry, javascript.FromURL:
			a := resolver.Artifact{URL: d.url, Describe: d.name + "@" + d.version + " (" + p.lock.path + ")", Check: r.check(ctx, p, d)}
			batch.Archive(a, func(ctx context.Context, f resolver.File) error {
				d.file = f
				if d.kind == javascript.FromRegistry {
					return nil
				}
				return r.identify(ctx, d)
			})
		case javascript.FromGit:
			batch.Git(d.git, func(ctx context.Context, packed javascript.PackedGit) error {
				d.file = packed.Files[0]
				err := d.take(packed.PackageJSON)
				if err == nil {
					sums[i], err = r.packedSum(ctx, p, d)
				}
				return err
			}, javascript.Gzipped)
		}
	}
	if err := batch.Fetch(ctx, r.in); err != nil {
		return err
	}
	for i, d := range p.deps {
		if sums[i] != "" && sums[i] != d.checksum.want {
			p.moved[d.entry] = sums[i]
		}
	}
	return nil
}

// identify takes name and version of a dependency from its archive.
func (r *run) identify(ctx context.Context, d *dependency) error {
	found, err := javascript.ReadArchive(ctx, r.in.Fetcher, d.file, d.source)
	if err != nil {
		return err
	}
	return d.take(found)
}

// take notes what a package.json says. A name that is none is not taken: Yarn goes by the one in the lockfile.
func (d *dependency) take(found javascript.PackageJSON) error {
	if found.Name != "" && javascript.CheckName("", found.Name) == nil {
		d.name = found.Name
	}
	var err error
	d.placeVersion, err = javascript.ArchiveVersion("The package.json of "+d.name+"@"+d.version, d.name, found.Version)
	return err
}

// check compares an archive with the lockfile's checksum. Where there is none that can be made here, the package.json in
// an archive of a registry must be that of what was asked for; Yarn will look at the checksum.
func (r *run) check(ctx context.Context, p *Project, d *dependency) func(io.ReaderAt, int64) error {
	if !d.checked && d.kind == javascript.FromURL {
		return javascript.CheckArchive(ctx, d.source, nil)
	}
	if !d.checked {
		return javascript.CheckArchive(ctx, d.source, func(found javascript.PackageJSON) error {
			return found.CheckIdentity(d.url, d.name, d.version)
		})
	}
	name := d.entry.locator.name
	return func(content io.ReaderAt, size int64) error {
		got, err := r.sum(ctx, content, size, name, d.checksum.form)
		if err != nil {
			return archiveFault(d.source, err)
		}
		if got == d.checksum.want {
			return nil
		}
		return fault.Client(fault.InvalidChecksum, "The file %s has an unexpected checksum value, expected %s but computed %s (of the zip that Yarn makes of it; %s:%d)",
			javascript.FileOf(d.source), d.checksum.want, got, p.lock.path, d.entry.line)
	}
}

func archiveFault(source string, err error) error {
	var f *fault.Error
	if errors.As(err, &f) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return fault.Client(fault.InvalidFileFormat, "Could not process dependency %s: the archive cannot be read: %s", javascript.ReportedSource(source), err).Because(err)
}

// sum is the SHA-512 of the zip that Yarn makes of an archive.
func (r *run) sum(ctx context.Context, content io.ReaderAt, size int64, name string, form zipForm) (string, error) {
	archive := io.NewSectionReader(content, 0, size)
	return r.sums.get(archive, name, form, func() (string, error) {
		select {
		case z := <-r.zippers:
			defer func() { r.zippers <- z }()
			return z.sum(ctx, archive, size, name, form)
		case <-ctx.Done():
			return "", ctx.Err()
		}
	})
}

// packedSum is the checksum of a git dependency as we pack it.
func (r *run) packedSum(ctx context.Context, p *Project, d *dependency) (string, error) {
	if d.entry.checksum == "" {
		return "", nil
	}
	if !d.checksum.known {
		return "", fault.Client(fault.UnsupportedFeature, "%s:%d: a checksum of the form %s cannot be made for the git dependency %s: set compressionLevel to mixed, 0 or 9 in %s",
			p.lock.path, d.entry.line, strconv.Quote(lines.Shorten(d.entry.checksum)), d.name, path.Join(p.Dir, rcName))
	}
	f, err := r.in.Fetcher.Open(ctx, d.file)
	if err != nil {
		return "", fmt.Errorf("opening the archive of %s: %w", d.git.Text, err)
	}
	defer f.Close()
	got, err := r.sum(ctx, f, d.file.Size, d.entry.locator.name, d.checksum.form)
	if err != nil {
		return "", archiveFault(d.source, err)
	}
	return got, nil
}
