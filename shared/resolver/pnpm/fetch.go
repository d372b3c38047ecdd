package pnpm

import (
	"context"

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
		if d.kind == javascript.FromFile {
			continue
		}
		if err := r.placed.Put(d.place, d.name, d.version, d.file); err != nil {
			return err
		}
	}
	return r.fetchTool(ctx, p)
}

// download fetches the tarballs, reads those whose version the lockfile does not tell, and packs the git dependencies
// as npm does.
func (r *run) download(ctx context.Context, p *project) error {
	var batch javascript.Batch
	for _, d := range p.deps {
		switch d.kind {
		case javascript.FromRegistry, javascript.FromURL:
			a := resolver.Artifact{URL: d.url, Want: d.digests, Describe: d.name + "@" + d.version + " (" + d.entry.where(p) + ")"}
			if len(d.digests) == 0 {
				a.Check = javascript.CheckArchive(ctx, d.source(), d.check)
			}
			batch.Archive(a, func(ctx context.Context, f resolver.File) error {
				d.file = f
				if d.inTree {
					d.place = treePath(d.name, d.entry.version)
					return nil
				}
				return r.placeTarball(ctx, d)
			})
		case javascript.FromGit:
			batch.Git(d.git, func(_ context.Context, packed javascript.PackedGit) error {
				d.file = packed.Files[0]
				return d.placeGit(packed.PackageJSON.Version)
			}, javascript.Gzipped)
		}
	}
	return batch.Fetch(ctx, r.in)
}

// source names a dependency in faults.
func (d *dependency) source() string { return d.name + "@" + javascript.ReportedSource(d.url) }

// check refuses another package than the one a registry was asked for, where no digest does.
func (d *dependency) check(found javascript.PackageJSON) error {
	if !d.inTree {
		return nil
	}
	return found.CheckIdentity(d.url, d.name, d.entry.version)
}

// treePath is where pnpm looks for a package in the bundle's registry: it makes the name itself.
//
//	@types/ms 0.7.34 -> pnpm/@types/ms/-/ms-0.7.34.tgz
func treePath(name, version string) string {
	return javascript.Registry{Base: Name + "/"}.Tarball(name, fileVersion(version))
}

// placeTarball gives a tarball from elsewhere its place.
func (r *run) placeTarball(ctx context.Context, d *dependency) error {
	found, err := javascript.ReadArchive(ctx, r.in.Fetcher, d.file, d.source())
	if err != nil {
		return err
	}
	if d.forged {
		// pnpm would run them, and pack what they leave: without that the package is not whole.
		if err := found.RefuseScripts(d.source()); err != nil {
			return err
		}
	}
	digest, err := d.digest()
	if err != nil {
		return err
	}
	d.place, err = javascript.TarballPath(Name, d.name, placeVersion(d.name, found.Version), digest)
	return err
}

// digest is the strongest of the lockfile, else our own.
func (d *dependency) digest() (integrity.Digest, error) {
	if strongest := integrity.Strongest(d.digests); len(strongest) > 0 {
		return strongest[0], nil
	}
	return integrity.FromHex("sha256", d.file.SHA256)
}

// placeGit gives a packed git dependency its place; version is that of its package.json.
func (d *dependency) placeGit(version string) (err error) {
	version = placeVersion(d.name, version)
	if d.git.Path == "" {
		d.place, err = javascript.GitPath(Name, d.name, version, d.git)
		return err
	}
	// Folders of one commit are packages of their own, and may have one version.
	digest, err := d.digest()
	if err != nil {
		return err
	}
	d.place, err = javascript.TarballPath(Name, d.name, version, digest)
	return err
}

// placeVersion is the version in the name of a file that pnpm finds by its path: one that is none will do no harm.
func placeVersion(name, version string) string {
	if javascript.CheckVersion("", name, version) != nil {
		return javascript.NoVersion
	}
	return version
}
