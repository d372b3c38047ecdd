package yarn

import (
	"context"
	"strings"

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
		if err := r.setPlace(d); err != nil {
			return err
		}
	}
	return nil
}

// download fetches the tarballs, and reads those whose version or identity the lockfile does not vouch for.
func (r *run) download(ctx context.Context, p *project) error {
	var artifacts []resolver.Artifact
	var which []*dependency
	for _, d := range p.deps {
		if d.kind != javascript.FromRegistry && d.kind != javascript.FromURL {
			continue
		}
		url, _, _ := strings.Cut(d.source, "#")
		if d.kind == javascript.FromRegistry {
			var err error
			if url, err = r.registry.Mapped(d.name, d.source); err != nil {
				return err
			}
		}
		a := resolver.Artifact{URL: url, Want: d.digests, Describe: d.name + "@" + d.version + " (" + p.lock.path + ")"}
		if len(d.digests) == 0 {
			a.Check = javascript.CheckArchive(ctx, javascript.ReportedSource(d.source), func(found javascript.PackageJSON) error { return d.identity(found, url) })
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
		d.mirror.content = d.file.SHA256
		if d.kind == javascript.FromRegistry && len(d.digests) > 0 {
			d.placeVersion = d.version
			continue
		}
		group.Go(func() error { return r.readArchive(ctx, d, artifacts[i].URL) })
	}
	return group.Wait()
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
func (d *dependency) takeVersion(version string) error {
	if version = strings.TrimSpace(version); version == "" {
		version = noVersion
	}
	d.placeVersion = version
	return javascript.CheckVersion("The package.json of "+d.name+"@"+javascript.ReportedSource(d.source), d.name, version)
}

// pack checks the git dependencies out and packs them: as npm does for the bundle's own layout, and as a bare
// tar for Yarn's mirror.
func (r *run) pack(ctx context.Context, p *project) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(maxPacking)
	for _, d := range p.deps {
		if d.kind != javascript.FromGit {
			continue
		}
		group.Go(func() error {
			packed, err := javascript.PackGit(ctx, r.in, d.git, javascript.Gzipped, javascript.Bare)
			if err != nil {
				return err
			}
			d.file = packed.Files[0]
			d.mirror.own, d.mirror.content = &packed.Files[1], packed.Files[1].SHA256
			return d.takeVersion(packed.PackageJSON.Version)
		})
	}
	return group.Wait()
}

// setPlace gives a file its path below deps/. Two different files for one path are the lockfiles' trouble:
// they have two digests for one version.
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
	if have, ok := r.placed[d.place]; ok && have.SHA256 != d.file.SHA256 {
		return fault.Client(fault.InvalidChecksum, "The lockfiles name two different files for %s %s: sha256:%s and sha256:%s",
			d.name, d.placeVersion, have.SHA256, d.file.SHA256)
	}
	r.placed[d.place] = d.file
	return nil
}
