package pnpm

import (
	"context"

	"golang.org/x/sync/errgroup"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/integrity"
	"github.com/cachito-serverless/cachito/shared/resolver"
	"github.com/cachito-serverless/cachito/shared/resolver/javascript"
)

const (
	// maxPacking bounds the git dependencies that are checked out at a time.
	maxPacking = 4
	// maxReading bounds the archives that are unpacked at a time, in search of their package.json.
	maxReading = 4
	// noVersion is taken for a package.json without a version.
	noVersion = "0.0.0"
)

// fetch brings the files of a project's dependencies into the cache and gives each its place.
func (r *run) fetch(ctx context.Context, p *project) error {
	if err := r.download(ctx, p); err != nil {
		return err
	}
	if err := r.pack(ctx, p); err != nil {
		return err
	}
	for _, d := range p.deps {
		if d.kind == javascript.FromFile {
			continue
		}
		if err := r.put(d.name, d.version, d.place, d.file); err != nil {
			return err
		}
	}
	return r.fetchTool(ctx, p)
}

// download fetches the tarballs, and reads those whose version the lockfile does not tell.
func (r *run) download(ctx context.Context, p *project) error {
	var artifacts []resolver.Artifact
	var which []*dependency
	for _, d := range p.deps {
		if d.kind != javascript.FromRegistry && d.kind != javascript.FromURL {
			continue
		}
		a := resolver.Artifact{URL: d.url, Want: d.digests, Describe: d.name + "@" + d.version + " (" + d.entry.where(p) + ")"}
		if len(d.digests) == 0 {
			a.Check = javascript.CheckArchive(ctx, d.source(), d.check)
		}
		artifacts = append(artifacts, a)
		which = append(which, d)
	}
	files, err := resolver.FetchAll(ctx, r.in, artifacts)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(maxReading)
	for i, d := range which {
		d.file = files[i]
		if d.inTree {
			d.place = treePath(d.name, d.entry.version)
			continue
		}
		group.Go(func() error { return r.placeTarball(ctx, d) })
	}
	return group.Wait()
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
	version := found.Version
	if javascript.CheckVersion("", d.name, version) != nil {
		version = noVersion
	}
	d.place, err = javascript.TarballPath(Name, d.name, version, digest)
	return err
}

// digest is the strongest of the lockfile, else our own.
func (d *dependency) digest() (integrity.Digest, error) {
	if strongest := integrity.Strongest(d.digests); len(strongest) > 0 {
		return strongest[0], nil
	}
	return integrity.FromHex("sha256", d.file.SHA256)
}

// pack checks the git dependencies out and packs them as npm does.
func (r *run) pack(ctx context.Context, p *project) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(maxPacking)
	for _, d := range p.deps {
		if d.kind != javascript.FromGit {
			continue
		}
		group.Go(func() error {
			packed, err := javascript.PackGit(ctx, r.in, d.git, javascript.Gzipped)
			if err != nil {
				return err
			}
			d.file = packed.Files[0]
			version := packed.PackageJSON.Version
			if javascript.CheckVersion("", d.name, version) != nil {
				version = noVersion
			}
			name := d.name
			if d.git.Path != "" {
				// Folders of one commit are packages of their own, and may have one version.
				digest, err := d.digest()
				if err != nil {
					return err
				}
				d.place, err = javascript.TarballPath(Name, name, version, digest)
				return err
			}
			d.place, err = javascript.GitPath(Name, name, version, d.git)
			return err
		})
	}
	return group.Wait()
}

// put gives a file its path below deps/. Two different files for one path are the lockfiles' trouble: they have
// two digests for one version.
func (r *run) put(name, version, place string, file resolver.File) error {
	if have, ok := r.placed[place]; ok && have.SHA256 != file.SHA256 {
		return fault.Client(fault.InvalidChecksum, "The lockfiles name two different files for %s %s: sha256:%s and sha256:%s",
			name, version, have.SHA256, file.SHA256)
	}
	r.placed[place] = file
	return nil
}
