package npm

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/cachito-serverless/cachito/shared/integrity"
	"github.com/cachito-serverless/cachito/shared/resolver"
	"github.com/cachito-serverless/cachito/shared/resolver/javascript"
)

// fetch brings the files of a plan into the cache and gives each its place.
func (r *run) fetch(ctx context.Context, p *project) error {
	if err := r.download(ctx, p); err != nil {
		return err
	}
	for i := range p.files {
		w := &p.files[i]
		if err := r.place(w); err != nil {
			return err
		}
		if w.kind == javascript.FromGit || p.format == "1" && len(w.digests) == 0 {
			if err := r.digest(ctx, w); err != nil {
				return err
			}
		}
		if d := &p.deps[w.dependency]; d.version == "" {
			d.version = w.version
		}
	}
	return nil
}

// download fetches the tarballs, reads those whose version or identity the lockfile does not vouch for, and packs the
// git dependencies.
func (r *run) download(ctx context.Context, p *project) error {
	var batch javascript.Batch
	for i := range p.files {
		w := &p.files[i]
		if w.kind == javascript.FromGit {
			batch.Git(w.git, func(_ context.Context, packed javascript.PackedGit) error {
				w.file = packed.Files[0]
				return w.takeVersion(packed.PackageJSON.Version)
			}, javascript.Gzipped)
			continue
		}
		url, err := r.urlOf(w)
		if err != nil {
			return err
		}
		a := resolver.Artifact{
			URL: url, Want: w.digests, Describe: strings.TrimSpace(w.name+" "+w.version) + " (" + p.lockPath + ")",
		}
		if len(w.digests) == 0 {
			a.Check = javascript.CheckArchive(ctx, w.shown(), func(found javascript.PackageJSON) error { return w.identity(found, url) })
		}
		batch.Archive(a, func(ctx context.Context, f resolver.File) error {
			w.file = f
			if w.kind == javascript.FromRegistry && w.version != "" && len(w.digests) > 0 {
				return nil
			}
			return r.readArchive(ctx, w, url)
		})
	}
	return batch.Fetch(ctx, r.in)
}

// urlOf is what is asked for a tarball.
func (r *run) urlOf(w *wanted) (string, error) {
	switch {
	case w.kind == javascript.FromURL:
		url, _, _ := strings.Cut(w.source, "#")
		return url, nil
	case w.source == "":
		return r.registry.Tarball(w.name, w.version), nil
	}
	return r.registry.Mapped(w.name, w.source)
}

// readArchive takes the version from an archive, and compares a registry's that no digest vouches for with
// what was asked for.
func (r *run) readArchive(ctx context.Context, w *wanted, url string) error {
	found, err := javascript.ReadArchive(ctx, r.in.Fetcher, w.file, w.shown())
	if err != nil {
		return err
	}
	if err := w.identity(found, url); err != nil || w.kind == javascript.FromRegistry && w.version != "" {
		return err
	}
	return w.takeVersion(found.Version)
}

// shown is the dependency in faults about its archive.
func (w *wanted) shown() string {
	if w.source == "" {
		return w.name + "@" + w.version
	}
	return w.source
}

// identity refuses another package than the one a registry was asked for, where no digest does.
func (w *wanted) identity(found javascript.PackageJSON, url string) error {
	if w.kind != javascript.FromRegistry || len(w.digests) > 0 {
		return nil
	}
	return found.CheckIdentity(url, w.name, w.version)
}

// takeVersion notes the version that an archive says it has.
func (w *wanted) takeVersion(version string) (err error) {
	w.version, err = javascript.ArchiveVersion("The package.json of the dependency "+w.name, w.name, version)
	return err
}

// place gives a file its path below deps/.
func (r *run) place(w *wanted) error {
	var err error
	switch w.kind {
	case javascript.FromGit:
		w.path, err = javascript.GitPath(Name, w.name, w.version, w.git)
	case javascript.FromURL:
		w.path, err = javascript.TarballPath(Name, w.name, w.version, integrity.Strongest(w.digests)[0])
	default:
		w.path = javascript.RegistryPath(Name, w.name, w.version)
	}
	if err != nil {
		return err
	}
	return r.placed.Put(w.path, w.name, w.version, w.file)
}

// digest computes the integrity of a file.
func (r *run) digest(ctx context.Context, w *wanted) error {
	content, err := r.in.Fetcher.Open(ctx, w.file)
	if err != nil {
		return fmt.Errorf("opening the file of %s: %w", w.name, err)
	}
	defer content.Close()
	h := integrity.New("sha512")
	if _, err := io.Copy(h, content); err != nil {
		return fmt.Errorf("reading the file of %s: %w", w.name, err)
	}
	w.sri = integrity.Digest{Algorithm: "sha512", Sum: string(h.Sum(nil))}.SRI()
	return nil
}
