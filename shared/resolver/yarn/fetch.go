package yarn

import (
	"context"
	"strings"

	"github.com/cachito-serverless/cachito/shared/integrity"
	"github.com/cachito-serverless/cachito/shared/resolver"
	"github.com/cachito-serverless/cachito/shared/resolver/javascript"
)

// fetch brings the files of a project's dependencies into the cache and gives each its place.
func (r *run) fetch(ctx context.Context, p *project) error {
	if err := r.download(ctx, p); err != nil {
		return err
	}
	for _, d := range p.deps {
		if err := r.setPlace(d); err != nil {
			return err
		}
	}
	return nil
}

// download fetches the tarballs, reads those whose version or identity the lockfile does not vouch for, and packs the
// git dependencies: as npm does for the bundle's own layout, and as a bare tar for Yarn's mirror.
func (r *run) download(ctx context.Context, p *project) error {
	var batch javascript.Batch
	for _, d := range p.deps {
		switch d.kind {
		case javascript.FromRegistry, javascript.FromURL:
			a, err := r.artifact(ctx, p, d)
			if err != nil {
				return err
			}
			batch.Archive(a, func(ctx context.Context, f resolver.File) error {
				d.file, d.mirror.content = f, f.SHA256
				if d.kind == javascript.FromRegistry && len(d.digests) > 0 {
					d.placeVersion = d.version
					return nil
				}
				return r.readArchive(ctx, d, a.URL)
			})
		case javascript.FromGit:
			batch.Git(d.git, func(_ context.Context, packed javascript.PackedGit) error {
				d.file = packed.Files[0]
				d.mirror.own, d.mirror.content = &packed.Files[1], packed.Files[1].SHA256
				return d.takeVersion(packed.PackageJSON.Version)
			}, javascript.Gzipped, javascript.Bare)
		}
	}
	return batch.Fetch(ctx, r.in)
}

// artifact is what is asked for a tarball.
func (r *run) artifact(ctx context.Context, p *project, d *dependency) (resolver.Artifact, error) {
	url, _, _ := strings.Cut(d.source, "#")
	if d.kind == javascript.FromRegistry {
		var err error
		if url, err = r.registry.Mapped(d.name, d.source); err != nil {
			return resolver.Artifact{}, err
		}
	}
	a := resolver.Artifact{URL: url, Want: d.digests, Describe: d.name + "@" + d.version + " (" + p.lock.path + ")"}
	if len(d.digests) == 0 {
		a.Check = javascript.CheckArchive(ctx, javascript.ReportedSource(d.source), func(found javascript.PackageJSON) error { return d.identity(found, url) })
	}
	return a, nil
}

// readArchive takes the version from an archive, and compares a registry's that no digest vouches for with
// what was asked for.
func (r *run) readArchive(ctx context.Context, d *dependency, url string) error {
	found, err := javascript.ReadArchive(ctx, r.in.Fetcher, d.file, javascript.ReportedSource(d.source))
	if err != nil {
		return err
	}
	if d.kind == javascript.FromURL {
		return d.takeVersion(found.Version)
	}
	d.placeVersion = d.version
	return d.identity(found, url)
}

// identity refuses another package than the one a registry was asked for, where no digest does.
func (d *dependency) identity(found javascript.PackageJSON, url string) error {
	if d.kind != javascript.FromRegistry || len(d.digests) > 0 {
		return nil
	}
	return found.CheckIdentity(url, d.name, d.version)
}

// takeVersion notes the version that an archive says it has.
func (d *dependency) takeVersion(version string) (err error) {
	d.placeVersion, err = javascript.ArchiveVersion("The package.json of "+d.name+"@"+javascript.ReportedSource(d.source), d.name, version)
	return err
}

// setPlace gives a file its path below deps/.
func (r *run) setPlace(d *dependency) error {
	var err error
	switch {
	case d.kind == javascript.FromFile:
		return nil
	case d.kind == javascript.FromGit:
		d.place, err = javascript.GitPath(Name, d.name, d.placeVersion, d.git)
	case d.kind == javascript.FromRegistry:
		d.place = javascript.RegistryPath(Name, d.name, d.placeVersion)
	case len(d.digests) > 0:
		d.place, err = javascript.TarballPath(Name, d.name, d.placeVersion, integrity.Strongest(d.digests)[0])
	default:
		d.place, err = javascript.GitPath(Name, d.name, d.placeVersion, javascript.GitSource{Commit: d.commit})
	}
	if err != nil {
		return err
	}
	return r.placed.Put(d.place, d.name, d.placeVersion, d.file)
}
