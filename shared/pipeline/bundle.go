package pipeline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"

	"github.com/cachito-serverless/cachito/shared/archive"
	"github.com/cachito-serverless/cachito/shared/blob"
	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/packages"
	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/resolver"
	"github.com/cachito-serverless/cachito/shared/store"
)

// Names of the objects in a bundle's folder.
const (
	bundleArchive  = "bundle.tar.gz"
	bundlePackages = "packages.json"
	bundleMeta     = "bundle.json"
)

// bundleRecord describes a finished bundle. It is written last: where it is, the rest is too.
type bundleRecord struct {
	SHA256            string `json:"sha256"`
	Size              int64  `json:"size"`
	ContentSize       int64  `json:"content_size"`
	Entries           int    `json:"entries"`
	PackagesCount     int64  `json:"packages_count"`
	DependenciesCount int64  `json:"dependencies_count"`
}

// bundle puts the source and what the resolvers added together, and completes the request.
func (p *Pipeline) bundle(ctx context.Context, w work) error {
	req := w.req
	if next := runnable(req); len(next) > 0 && next[0] != StepBundle {
		return errStepLater
	}
	if req.Steps[StepBundle].State != request.StepDone {
		var err error
		if req, err = p.bundleAndRecord(ctx, w); err != nil {
			return err
		}
	}
	p.say(ctx, w.log, slog.LevelInfo, request.ReasonComplete)
	req, err := p.Store.Update(ctx, req.ID, store.Update{
		IfState: request.StateInProgress, State: request.StateComplete, Reason: request.ReasonComplete,
	})
	if err == nil {
		p.countEnd(req, "")
	}
	return p.wanted(err)
}

func (p *Pipeline) bundleAndRecord(ctx context.Context, w work) (request.Request, error) {
	none := request.Request{}
	if err := p.reason(ctx, w, request.ReasonBundle); err != nil {
		return none, err
	}
	src, err := p.readSource(ctx, w)
	if err != nil {
		return none, err
	}
	dir := bundleDir(src, w.req.Results, w.req)
	rec, err := p.loadBundle(ctx, dir)
	found := err == nil
	if found || errors.Is(err, blob.ErrNotFound) {
		countLookup(p.Metrics, lookupBundle, found)
	}
	if errors.Is(err, blob.ErrNotFound) {
		rec, err = p.makeBundle(ctx, w, src, dir)
	}
	if err != nil {
		return none, err
	}
	if err := p.reason(ctx, w, request.ReasonAggregate); err != nil {
		return none, err
	}
	w.log.InfoContext(ctx, "bundle ready", "sha256", rec.SHA256, "bytes", rec.Size, "files", rec.Entries,
		"packages", rec.PackagesCount, "dependencies", rec.DependenciesCount, "made_before", found)
	key, packagesKey := dir+bundleArchive, dir+bundlePackages
	req, err := p.Store.FinishStep(ctx, w.req.ID, StepBundle, store.Update{
		Bundle:      &request.Bundle{Key: key, SHA256: rec.SHA256, Size: rec.Size},
		PackagesKey: &packagesKey, PackagesCount: &rec.PackagesCount, DependenciesCount: &rec.DependenciesCount,
	})
	return req, p.wanted(err)
}

// loadBundle finds a bundle that was made before, whole, and renews its last use.
func (p *Pipeline) loadBundle(ctx context.Context, dir string) (bundleRecord, error) {
	var rec bundleRecord
	if err := p.getSealed(ctx, dir+bundleMeta, maxPointerBytes, &rec); err != nil {
		return bundleRecord{}, err
	}
	info, err := p.Blobs.Stat(ctx, dir+bundleArchive)
	if err != nil {
		return bundleRecord{}, err
	}
	if info.Size != rec.Size {
		return bundleRecord{}, errors.Join(p.Blobs.Delete(ctx, dir+bundleMeta, dir+bundleArchive), blob.ErrNotFound)
	}
	for _, name := range []string{bundleArchive + ".sha256", bundlePackages} {
		if _, err := p.Blobs.Stat(ctx, dir+name); err != nil {
			return bundleRecord{}, err
		}
	}
	return rec, p.renewer.renew(ctx, info, dir+bundleArchive+".sha256", dir+bundlePackages, dir+bundleMeta)
}

// makeBundle writes the archive and the packages data.
func (p *Pipeline) makeBundle(ctx context.Context, w work, src sourceRecord, dir string) (bundleRecord, error) {
	none := bundleRecord{}
	var managers []manager
	outputs := map[string]resolver.Output{}
	for _, name := range w.req.PackageManagers {
		out, err := p.readResult(ctx, w.req.Results[name])
		if errors.Is(err, blob.ErrNotFound) {
			return none, p.restart(ctx, w, "A cached result is gone and is made again")
		}
		if err != nil {
			return none, err
		}
		managers, outputs[name] = append(managers, p.resolvers[name]), out.Output
	}
	data, err := p.aggregate(managers, outputs)
	if err != nil {
		return none, err
	}
	l, err := mergeLayers(managers, outputs)
	if err != nil {
		return none, err
	}
	sum, err := p.assemble(ctx, w, src, l, dir)
	if err != nil {
		return none, err
	}
	rec := bundleRecord{SHA256: sum.SHA256, Size: sum.Size, ContentSize: sum.ContentSize, Entries: sum.Entries}
	rec.PackagesCount, rec.DependenciesCount = packages.Counts(data)
	if err := p.storePackages(ctx, w, data, dir, rec); err != nil {
		return none, err
	}
	return rec, errors.Join(
		p.Blobs.Put(ctx, dir+bundleArchive+".sha256", []byte(rec.SHA256), true),
		p.putSealed(ctx, dir+bundleMeta, rec, true))
}

// aggregate merges and sorts the packages of all package managers; equal ones are the client's fault.
func (p *Pipeline) aggregate(managers []manager, outputs map[string]resolver.Output) (packages.Data, error) {
	var data packages.Data
	for _, m := range managers {
		data.Packages = append(data.Packages, outputs[m.Name].Packages...)
	}
	data.Sort()
	data.Artifacts = artifactsOf(outputs)
	return data, data.Check()
}

// artifactsOf puts together what the resolvers say about the files behind dependencies.
func artifactsOf(outputs map[string]resolver.Output) []packages.Artifact {
	byPURL := map[string]packages.Artifact{}
	for _, out := range outputs {
		for purl, sums := range out.Checksums {
			a := byPURL[purl]
			a.SHA256 = append(a.SHA256, sums...)
			byPURL[purl] = a
		}
		for _, purl := range out.Unverified {
			a := byPURL[purl]
			a.Unverified = true
			byPURL[purl] = a
		}
	}
	list := make([]packages.Artifact, 0, len(byPURL))
	for _, purl := range slices.Sorted(maps.Keys(byPURL)) {
		a := byPURL[purl]
		a.PURL = purl
		slices.Sort(a.SHA256)
		a.SHA256 = slices.Compact(a.SHA256)
		list = append(list, a)
	}
	return list
}

// storePackages writes the packages data and reads it back: the counts that clients see must be those of
// the data they can get.
func (p *Pipeline) storePackages(ctx context.Context, w work, data packages.Data, dir string, rec bundleRecord) error {
	out, err := p.Blobs.Create(ctx)
	if err != nil {
		return err
	}
	defer out.Abort()
	if err := packages.Encode(out, data); err != nil {
		return err
	}
	if err := out.Commit(ctx, dir+bundlePackages, true); err != nil {
		return err
	}
	stored, err := p.Blobs.Open(ctx, dir+bundlePackages)
	if err != nil {
		return err
	}
	defer stored.Close()
	again, err := packages.Decode(stored)
	if err != nil {
		return err
	}
	if n, deps := packages.Counts(again); n != rec.PackagesCount || deps != rec.DependenciesCount {
		return fault.Server(fault.CachitoError, "Error checking packages data for request %d.", w.req.ID)
	}
	return nil
}

// assemble makes the bundle, from an earlier one that begins alike where there is one.
func (p *Pipeline) assemble(ctx context.Context, w work, src sourceRecord, l layers, dir string) (archive.Summary, error) {
	none := archive.Summary{}
	places := placesOf(l.deps, p.placeBytes)
	prefix, err := p.findPrefix(ctx, places)
	if err != nil {
		return none, err
	}
	sum, made, err := p.writeBundle(ctx, w, src, l, dir, places, prefix)
	if prefix != nil && cannotBeCopied(err) && ctx.Err() == nil {
		level := slog.LevelInfo // bundles expire
		if errors.Is(err, blob.ErrChanged) {
			level = slog.LevelWarn
		}
		p.Log.Log(ctx, level, "beginning of an earlier bundle not copied", "cachito_request_id", w.req.ID, "key", prefix.Bundle, "error", err)
		sum, made, err = p.writeBundle(ctx, w, src, l, dir, places, nil)
	}
	if err != nil {
		return none, err
	}
	return sum, p.storePrefixes(ctx, places, made)
}

// writeBundle streams the bundle: deps/ first (its bytes depend on the lockfiles alone), then app/, then the
// files at the root. A prefix that is given is copied, and the rest follows.
func (p *Pipeline) writeBundle(ctx context.Context, w work, src sourceRecord, l layers, dir string, places []candidate, prefix *prefixRecord) (archive.Summary, prefixRecord, error) {
	none := archive.Summary{}
	var parts []blob.Part
	if prefix != nil {
		parts = append(parts, prefix.part())
	}
	key := dir + bundleArchive
	out, err := p.Blobs.CreateAt(ctx, key, parts...)
	if err != nil {
		return none, prefixRecord{}, err
	}
	defer out.Abort()
	a := &assembly{
		p: p, ctx: ctx, w: w, src: src, to: out, files: map[string]string{}, total: int64(len(l.deps)),
		bar: &progressWriter{p: p, ctx: ctx, w: w},
	}
	sum, made, err := a.write(l, places, prefix)
	if prefix != nil && cannotBeCopied(err) {
		return none, prefixRecord{}, err // nothing is known to be lost yet
	}
	if err != nil {
		return none, prefixRecord{}, p.dependencyLost(ctx, w, a.lost(err))
	}
	return sum, prefixRecord{Bundle: key, Places: made}, out.Commit(ctx, key, true)
}

// dependencyLost decides what a dependency that cannot be bundled means: when it is damaged or gone from
// the cache it is deleted there, and its package manager runs again and fetches it.
func (p *Pipeline) dependencyLost(ctx context.Context, w work, err error) error {
	var lost *lostFile
	if !errors.As(err, &lost) || ctx.Err() != nil {
		return p.sourceLost(ctx, w, err)
	}
	p.Log.WarnContext(ctx, "cached dependency damaged or gone", "cachito_request_id", w.req.ID, "sha256", lost.sha256, "error", err)
	keys := []string{fileKey(lost.sha256), fileKey(lost.sha256) + ".json"}
	for _, key := range w.req.Results {
		keys = append(keys, key) // so that the resolvers run, and miss it
	}
	if err := p.Blobs.Delete(ctx, keys...); err != nil {
		return err
	}
	return p.restart(ctx, w, "A cached dependency is damaged and is fetched again: "+lost.path)
}

// lostFile: a file of the cache does not hold what its name says, or is gone.
type lostFile struct {
	sha256, path string
	err          error
}

func (e *lostFile) Error() string { return fmt.Sprintf("%s (sha256 %s): %v", e.path, e.sha256, e.err) }
func (e *lostFile) Unwrap() error { return e.err }
