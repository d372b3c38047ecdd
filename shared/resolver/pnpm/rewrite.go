package pnpm

import (
	"context"
	"fmt"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/resolver"
	"github.com/cachito-serverless/cachito/shared/resolver/javascript"
)

// edit replaces lines of a lockfile.
type edit struct {
	at   span
	text string
}

// edits are the resolutions that pnpm could not follow without network. Of a package that it finds by name and
// version, only a URL goes; pnpm refuses a lockfile in which such a package has another place. Everything else
// gets the place in the bundle, and all of it in lockfiles of pnpm 8.
func (p *project) edits() ([]edit, error) {
	var out []edit
	for _, d := range p.deps {
		follows := d.inTree && !p.lock.old // pnpm finds it in the bundle's registry
		if d.entry == nil || d.kind == javascript.FromFile || follows && d.entry.resolution.tarball == "" {
			continue
		}
		if d.entry.at.to == 0 {
			return nil, fault.Client(fault.UnsupportedFeature, "%s: the resolution of %s has to be rewritten, which needs it on lines of its own, as pnpm writes it",
				d.entry.where(p), quoted(d.entry.key))
		}
		digest, err := d.digest()
		if err != nil {
			return nil, err
		}
		text := "resolution: {integrity: " + digest.SRI()
		if !follows {
			text += ", tarball: " + strconv.Quote("file:"+toDeps(p.realDir)+d.place)
		}
		out = append(out, edit{d.entry.at, text + "}\n"})
	}
	slices.SortFunc(out, func(a, b edit) int { return int(a.at.from - b.at.from) })
	return out, nil
}

// rewriteLockfile applies the edits. Everything else stays as it is, byte for byte.
func (r *run) rewriteLockfile(ctx context.Context, p *project) (resolver.Entry, bool, error) {
	var none resolver.Entry
	edits, err := p.edits()
	if err != nil || len(edits) == 0 {
		return none, false, err
	}
	name, err := javascript.RealPath(r.in.Source, path.Join(p.dir, lockfileName))
	if err != nil {
		return none, false, fault.Client(fault.InvalidRepoStructure, "The file %s leads out of the repository", p.lock.path).Because(err)
	}
	f, err := r.in.Source.Open(p.lock.path)
	if err != nil {
		return none, false, fmt.Errorf("opening %s: %w", p.lock.path, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return none, false, fmt.Errorf("reading %s: %w", p.lock.path, err)
	}
	content := io.MultiReader(pieces(f, info.Size(), edits)...)
	e, err := javascript.Changed(ctx, r.in.Fetcher, name, content, info.Size())
	return e, err == nil, err
}

// pieces are the parts of the file that stay, and what comes between them.
func pieces(f io.ReaderAt, size int64, edits []edit) []io.Reader {
	var out []io.Reader
	at := int64(0)
	for _, e := range edits {
		out = append(out, io.NewSectionReader(f, at, e.at.from-at), strings.NewReader(e.text))
		at = e.at.to
	}
	return append(out, io.NewSectionReader(f, at, size-at))
}
