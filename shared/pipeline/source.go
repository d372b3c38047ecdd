package pipeline

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/cachito-serverless/cachito/shared/archive"
	"github.com/cachito-serverless/cachito/shared/blob"
	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/fetch"
	"github.com/cachito-serverless/cachito/shared/gitrepo"
	"github.com/cachito-serverless/cachito/shared/pyrepr"
	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/resolver"
	"github.com/cachito-serverless/cachito/shared/store"
)

// maxSourceRecordBytes bounds source.json: tens of thousands of tags fit.
const maxSourceRecordBytes = 16 << 20

// sourceRecord says what a checkout contains and where its tree is.
type sourceRecord struct {
	// Tree is the blob with the tree; its name is the hash of its content.
	Tree       string        `json:"tree"`
	Size       int64         `json:"size"`
	CommitTime time.Time     `json:"commit_time"`
	Repo       resolver.Repo `json:"repo"`
	// UnsafeLinks are symbolic links that lead out of the tree.
	UnsafeLinks []string `json:"unsafe_links,omitempty"`
	LFSPointers []string `json:"lfs_pointers,omitempty"`
	Warnings    []string `json:"warnings,omitempty"`

	// Removed are the links that this request leaves out; not stored.
	Removed []string `json:"-"`
}

// source checks the request's commit out, or finds that it was checked out before.
func (p *Pipeline) source(ctx context.Context, w work) error {
	req := w.req
	if req.Steps[StepSource].State != request.StepDone {
		if err := p.reason(ctx, w, request.ReasonSource); err != nil {
			return err
		}
		key, src, err := p.findOrFetch(ctx, w)
		if err != nil {
			return err
		}
		if err := p.tellSource(ctx, w, src); err != nil {
			return err
		}
		req, err = p.Store.FinishStep(ctx, req.ID, StepSource, store.Update{Source: &key})
		if err != nil {
			return p.wanted(err)
		}
	}
	return p.sendNext(ctx, req, StepSource)
}

// tellSource logs what users should know of the tree, and refuses links that leave it.
func (p *Pipeline) tellSource(ctx context.Context, w work, src sourceRecord) error {
	for _, text := range src.Warnings {
		p.say(ctx, w.log, slog.LevelWarn, text)
	}
	if len(src.LFSPointers) > 0 {
		w.log.WarnContext(ctx, "Git LFS content is not fetched; these files hold pointers only", "files", strings.Join(src.LFSPointers, ", "))
	}
	if len(src.UnsafeLinks) == 0 {
		return nil
	}
	if !slices.Contains(w.req.Flags, request.FlagRemoveUnsafeSymlinks) {
		return fault.Client(fault.ValidationError, "The destination of %s is outside of cloned repository", pyrepr.String(src.UnsafeLinks[0]))
	}
	for _, link := range src.UnsafeLinks {
		w.log.WarnContext(ctx, "Removed a symbolic link whose destination is outside of the repository", "link", link)
	}
	return nil
}

func (p *Pipeline) variant(req request.Request) variant {
	v := variant{GitDir: slices.Contains(req.Flags, request.FlagIncludeGitDir)}
	for _, name := range req.PackageManagers {
		m := p.resolvers[name]
		v.Submodules = v.Submodules || m.NeedsSubmodules
		v.Tags = v.Tags || m.NeedsTags
	}
	return v
}

func (p *Pipeline) findOrFetch(ctx context.Context, w work) (string, sourceRecord, error) {
	v := p.variant(w.req)
	local, isLocal := p.settings.Local[w.req.Repo]
	credential := ""
	if !isLocal {
		credential = p.Fetch.CredentialName(w.req.Repo)
	}
	key := sourceKey(w.req.Repo, w.req.Ref, credential, v)
	if local.Dirty {
		key = sourceKey("file://dirty"+local.Path, w.req.Ref, p.Clock().UTC().Format(time.RFC3339Nano), v)
	} else if src, err := p.loadSource(ctx, key); err == nil {
		countLookup(p.Metrics, lookupSource, true)
		w.log.InfoContext(ctx, "The source is in the cache", "ref", w.req.Ref)
		return key, src, nil
	} else if !errors.Is(err, blob.ErrNotFound) {
		return "", sourceRecord{}, err
	}
	countLookup(p.Metrics, lookupSource, false)
	src, err := p.checkOut(ctx, w, key, v)
	if err != nil {
		return "", sourceRecord{}, err
	}
	// The first record stays: it fixes the snapshot of the tags.
	err = p.putSealed(ctx, key, src, p.settings.RefreshTags)
	if errors.Is(err, blob.ErrExists) {
		if first, loadErr := p.loadSource(ctx, key); loadErr == nil {
			return key, first, nil
		}
		err = p.putSealed(ctx, key, src, true)
	}
	return key, src, err
}

// loadSource reads a record and makes sure that its tree is there. blob.ErrNotFound when either is
// missing or damaged.
func (p *Pipeline) loadSource(ctx context.Context, key string) (sourceRecord, error) {
	var src sourceRecord
	if err := p.getSealed(ctx, key, maxSourceRecordBytes, &src); err != nil {
		return sourceRecord{}, err
	}
	info, err := p.Blobs.Stat(ctx, src.Tree)
	if err != nil {
		return sourceRecord{}, err
	}
	if info.Size != src.Size {
		return sourceRecord{}, errors.Join(p.Blobs.Delete(ctx, src.Tree, key), blob.ErrNotFound)
	}
	return src, p.renewer.renew(ctx, info, key)
}

// checkOut fetches the commit and streams its tree into the blob store.
func (p *Pipeline) checkOut(ctx context.Context, w work, key string, v variant) (sourceRecord, error) {
	out, err := p.Blobs.Create(ctx)
	if err != nil {
		return sourceRecord{}, err
	}
	defer out.Abort()
	sum := sha256.New()
	counted := &countWriter{w: io.MultiWriter(out, sum)}
	tree, err := archive.NewTreeWriter(counted)
	if err != nil {
		return sourceRecord{}, err
	}
	want := gitrepo.Request{URL: w.req.Repo, Ref: w.req.Ref, Submodules: v.Submodules, Tags: v.Tags, GitDir: v.GitDir}
	if local, ok := p.settings.Local[w.req.Repo]; ok {
		want.LocalPath, want.Dirty = local.Path, local.Dirty
	}
	info, err := p.Git.Fetch(ctx, want, tree)
	if err != nil {
		return sourceRecord{}, fmt.Errorf("fetching the source: %w", err)
	}
	if err := tree.Close(); err != nil {
		return sourceRecord{}, fmt.Errorf("storing the source: %w", err)
	}
	src := sourceRecord{
		Tree: path.Dir(key) + "/" + hex.EncodeToString(sum.Sum(nil)) + ".tree", Size: counted.n,
		CommitTime:  info.CommitTime.UTC(),
		UnsafeLinks: tree.UnsafeLinks(), LFSPointers: info.LFSPointers, Warnings: info.Warnings,
		Repo: resolver.Repo{
			URL: fetch.Redact(w.req.Repo), Ref: w.req.Ref, CommitTime: info.CommitTime.UTC(), Tags: info.Tags, Submodules: info.Submodules,
		},
	}
	return src, commit(ctx, out, src.Tree)
}

// readSource loads the record that the source step stored. When it or its tree is gone, the request's
// steps start again from the source.
func (p *Pipeline) readSource(ctx context.Context, w work) (sourceRecord, error) {
	src, err := p.loadSource(ctx, w.req.Source)
	if errors.Is(err, blob.ErrNotFound) {
		return sourceRecord{}, p.restart(ctx, w, "The cached source is gone and is fetched again")
	}
	if slices.Contains(w.req.Flags, request.FlagRemoveUnsafeSymlinks) {
		src.Removed = src.UnsafeLinks
	}
	return src, err
}

// sourceLost decides what a tree that cannot be read means: damaged or gone, it is made anew; anything
// else is an error.
func (p *Pipeline) sourceLost(ctx context.Context, w work, err error) error {
	damaged := errors.Is(err, archive.ErrDamaged) || errors.Is(err, blob.ErrNotFound)
	if ctx.Err() != nil || !damaged {
		return fmt.Errorf("reading the source: %w", err)
	}
	if src, loadErr := p.loadSource(ctx, w.req.Source); loadErr == nil {
		if err := p.Blobs.Delete(ctx, src.Tree, w.req.Source); err != nil {
			return err
		}
	}
	return p.restart(ctx, w, "The cached source is damaged and is fetched again")
}

// restart makes all steps wait again and sends the first one. What was resolved from the same source
// is still in the cache, so only what was lost is done again.
func (p *Pipeline) restart(ctx context.Context, w work, why string) error {
	if w.req.Steps[StepSource].Sends >= MaxResends {
		return fault.ServerFinal(fault.CachitoError, "What was cached for this request was damaged %d times. Please try again.", MaxResends+1)
	}
	p.say(ctx, w.log, slog.LevelWarn, why)
	var steps []string
	for step := range w.req.Steps {
		steps = append(steps, step)
	}
	if _, err := p.Store.ReopenSteps(ctx, w.req.ID, steps...); err != nil {
		return p.wanted(err)
	}
	if err := p.send(ctx, w.req.ID, StepSource, true); err != nil {
		return err
	}
	return errStepLater
}

type countWriter struct {
	w io.Writer
	n int64
}

func (c *countWriter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += int64(n)
	return n, err
}
