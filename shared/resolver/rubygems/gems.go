package rubygems

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/integrity"
	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/resolver"
)

// MaxGemBytes is the size of one gem; the registry's own limit is 512 MiB or less.
const MaxGemBytes = 1 << 30

// gemFile is a gem of the registry, wherever it is locked.
type gemFile struct {
	registryGem
	lockfile string // that names it first
	file     resolver.File
}

func (g gemFile) fileName() string { return g.name + "-" + g.version + ".gem" }

// gemSet collects the gems of all lockfiles: each name and version is one file.
type gemSet map[string]*gemFile

// add takes a gem of a lockfile. Two lockfiles that want different content are the client's trouble.
func (s gemSet) add(g registryGem, lockfile string) error {
	known, ok := s[g.name+" "+g.version]
	if !ok {
		g.want = slices.Clone(g.want)
		s[g.name+" "+g.version] = &gemFile{registryGem: g, lockfile: lockfile}
		return nil
	}
	for _, d := range g.want {
		for _, have := range known.want {
			if have.Algorithm == d.Algorithm && have != d {
				return fault.Client(fault.InvalidChecksum, "The gem %s %s has the checksum %s in %s, and %s in %s",
					g.name, g.version, have, known.lockfile, d, lockfile)
			}
		}
		if !slices.Contains(known.want, d) {
			known.want = append(known.want, d)
		}
	}
	return nil
}

// sorted by name and version.
func (s gemSet) sorted() []*gemFile {
	var out []*gemFile
	for _, g := range s {
		out = append(out, g)
	}
	slices.SortFunc(out, func(a, b *gemFile) int { return strings.Compare(a.fileName(), b.fileName()) })
	return out
}

// fetchGems gets the files of all gems, and looks into each.
func (r *run) fetchGems(ctx context.Context, gems []*gemFile) error {
	artifacts := make([]resolver.Artifact, len(gems))
	for i, g := range gems {
		url := r.settings.url + "gems/" + g.fileName()
		artifacts[i] = resolver.Artifact{
			URL: url, Want: g.want, MaxBytes: MaxGemBytes,
			Describe: fmt.Sprintf("gem %s %s (%s)", g.name, g.version, g.lockfile),
			Check:    func(content io.ReaderAt, size int64) error { return g.check(url, content, size) },
		}
	}
	files, err := resolver.FetchAll(ctx, r.in, artifacts)
	if err != nil {
		return fmt.Errorf("fetching gems: %w", err)
	}
	for i, g := range gems {
		g.file = files[i]
	}
	return nil
}

// progressOf gems that are all there.
func progressOf(gems []*gemFile) request.Progress {
	p := request.Progress{Done: int64(len(gems)), Total: int64(len(gems))}
	for _, g := range gems {
		p.Bytes += g.file.Size
	}
	return p
}

// check makes sure that the content is the gem that was asked for, whatever the registry sent.
func (g gemFile) check(url string, r io.ReaderAt, size int64) error {
	content := &failingReader{r: io.NewSectionReader(r, 0, size)}
	found, err := readMetadata(content)
	switch {
	case content.err != nil:
		return fmt.Errorf("reading the gem %s %s: %w", g.name, g.version, content.err)
	case err != nil:
		return fault.Client(fault.InvalidFileFormat, "What %s sent for the gem %s %s is no gem: %v", url, g.name, g.version, err)
	case found != gemMetadata{g.name, g.version, "ruby"}:
		return fault.Client(fault.InvalidFileFormat, "What %s sent for the gem %s %s (ruby) is the gem %s", url, g.name, g.version, printable(found.String()))
	}
	return nil
}

// printable shows text of a gem in an error.
func printable(text string) string { return strings.Trim(quoted(text), `"`) }

// failingReader remembers that reading failed, which is not the gem's fault.
type failingReader struct {
	r   *io.SectionReader
	err error
}

func (f *failingReader) Read(p []byte) (int, error) {
	n, err := f.r.Read(p)
	if err != nil && err != io.EOF {
		f.err = err
	}
	return n, err
}

// Seek lets package tar skip the gem's content.
func (f *failingReader) Seek(offset int64, whence int) (int64, error) {
	return f.r.Seek(offset, whence)
}

// unverified reports whether no lockfile has a checksum of the gem.
func (g gemFile) unverified() bool { return len(integrity.Strongest(g.want)) == 0 }
