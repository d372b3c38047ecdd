package npm

import (
	"context"
	"fmt"
	"io"
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
	// noVersion is taken for a package.json without a version: npm installs such a git dependency.
	noVersion = "0.0.0"
)

// fetch brings the files of a plan into the cache and gives each its place.
func (r *run) fetch(ctx context.Context, p *project) error {
	files := make([]resolver.File, len(p.files))
	if err := r.download(ctx, p, files); err != nil {
		return err
	}
	if err := r.pack(ctx, p, files); err != nil {
		return err
	}
	for i := range p.files {
		if err := r.place(&p.files[i], files[i]); err != nil {
			return err
		}
		w := &p.files[i]
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

// download fetches the tarballs, and reads those whose version or identity the lockfile does not vouch for.
func (r *run) download(ctx context.Context, p *project, files []resolver.File) error {
	var artifacts []resolver.Artifact
	var which []int
	for i, w := range p.files {
		if w.kind == javascript.FromGit {
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
		artifacts = append(artifacts, a)
		which = append(which, i)
	}
	fetched, err := resolver.FetchAll(ctx, r.in, artifacts)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(maxReading)
	for i, f := range fetched {
		files[which[i]] = f
		w := &p.files[which[i]]
		if w.kind == javascript.FromRegistry && w.version != "" && len(w.digests) > 0 {
			continue
		}
		group.Go(func() error { return r.readArchive(ctx, w, f, artifacts[i].URL) })
	}
	return group.Wait()
}

// urlOf is what is asked for a tarball.
func (r *run) urlOf(w wanted) (string, error) {
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
func (r *run) readArchive(ctx context.Context, w *wanted, f resolver.File, url string) error {
	found, err := javascript.ReadArchive(ctx, r.in.Fetcher, f, w.shown())
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
func (w *wanted) takeVersion(version string) error {
	version = strings.TrimSpace(version)
	if version == "" {
		version = noVersion
	}
	w.version = version
	return javascript.CheckVersion("The package.json of the dependency "+w.name, w.name, version)
}

// pack checks the git dependencies out and packs them.
func (r *run) pack(ctx context.Context, p *project, files []resolver.File) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(maxPacking)
	for i := range p.files {
		w := &p.files[i]
		if w.kind != javascript.FromGit {
			continue
		}
		group.Go(func() error {
			packed, err := javascript.PackGit(ctx, r.in, w.git, javascript.Gzipped)
			if err != nil {
				return err
			}
			files[i] = packed.Files[0]
			return w.takeVersion(packed.PackageJSON.Version)
		})
	}
	return group.Wait()
}

// place gives a file its path below deps/. Two different files for one path are the lockfile's trouble: it
// has two digests for one version, and the registry (or the mirror of one host) has both.
func (r *run) place(w *wanted, f resolver.File) error {
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
	w.file = f
	if have, ok := r.placed[w.path]; ok && have.SHA256 != f.SHA256 {
		return fault.Client(fault.InvalidChecksum, "The lockfiles name two different files for %s %s: sha256:%s and sha256:%s",
			w.name, w.version, have.SHA256, f.SHA256)
	}
	r.placed[w.path] = f
	return nil
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
