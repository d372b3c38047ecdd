package pipeline

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/cachito-serverless/cachito/shared/archive"
	"github.com/cachito-serverless/cachito/shared/blob"
	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/packages"
	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/resolver"
	"github.com/cachito-serverless/cachito/shared/store"
)

const (
	// maxResultBytes bounds a stored result: 100,000 dependencies with their files fit.
	maxResultBytes = 256 << 20
	// progressEvery is how often a step's progress reaches the store at the most.
	progressEvery = time.Second
)

// resolve runs one package manager of a request, or finds that it was run on the same input before.
func (p *Pipeline) resolve(ctx context.Context, w work, name string) error {
	m, ok := p.resolvers[name]
	if !ok {
		return fault.ServerFinal(fault.CachitoError, "The package manager %s is not enabled here", name)
	}
	if w.req.Steps[StepSource].State != request.StepDone {
		return errStepLater
	}
	req := w.req
	if req.Steps[w.step].State != request.StepDone {
		var err error
		if req, err = p.resolveAndRecord(ctx, w, m); err != nil {
			return err
		}
	}
	return p.sendNext(ctx, req, w.step)
}

func (p *Pipeline) resolveAndRecord(ctx context.Context, w work, m manager) (request.Request, error) {
	src, err := p.readSource(ctx, w)
	if err != nil {
		return request.Request{}, err
	}
	in := p.input(w, src, m)
	key := resultKey(src, m, in)
	out, err := p.readResult(ctx, key)
	if err == nil || errors.Is(err, blob.ErrNotFound) {
		countLookup(p.Metrics, lookupResult, err == nil)
	}
	switch {
	case err == nil:
		w.log.InfoContext(ctx, "The result of an earlier request with the same input is used", "package_manager", m.Name)
		err = p.replayReasons(ctx, w, out)
	case errors.Is(err, blob.ErrNotFound):
		out, err = p.runResolver(ctx, w, src, m, in, key)
	}
	if err != nil {
		return request.Request{}, err
	}
	if err := p.addConfigFiles(ctx, w.req.ID, out.ConfigFiles); err != nil {
		return request.Request{}, err
	}
	req, err := p.Store.FinishStep(ctx, w.req.ID, w.step, store.Update{
		EnvironmentVariables: out.EnvironmentVariables, Results: map[string]string{m.Name: key},
	})
	return req, p.wanted(err)
}

// storedResult is a resolver's output with the reasons it announced, so that a request which reuses it
// has the same history.
type storedResult struct {
	resolver.Output
	Reasons []string `json:"reasons,omitempty"`
}

func (p *Pipeline) readResult(ctx context.Context, key string) (storedResult, error) {
	var out storedResult
	if err := p.getSealed(ctx, key, maxResultBytes, &out); err != nil {
		return storedResult{}, err
	}
	_, err := p.renewer.use(ctx, key)
	return out, err
}

func (p *Pipeline) replayReasons(ctx context.Context, w work, out storedResult) error {
	for _, text := range out.Reasons {
		if err := p.reason(ctx, w, text); err != nil {
			return err
		}
	}
	return nil
}

func (p *Pipeline) input(w work, src sourceRecord, m manager) resolver.Input {
	in := resolver.Input{
		Repo:    src.Repo,
		Options: w.req.Packages[m.Name],
		Flags:   w.req.Flags,
		Fetcher: runCache{p.fetcher, w.added},
		Git:     repositories{p.Git},
		Log:     w.log,
	}
	if !m.NeedsTags {
		in.Repo.Tags = nil
	}
	if !m.NeedsSubmodules && !m.NeedsTags {
		in.Repo.Submodules = nil
	}
	for _, r := range w.req.Replacements {
		if slices.ContainsFunc(m.Types, func(t packages.Rule) bool { return t.Type == r.Type }) {
			in.Replacements = append(in.Replacements, r)
		}
	}
	return in
}

// runResolver checks the tree out into a scratch folder, runs the resolver on it and stores its output.
func (p *Pipeline) runResolver(ctx context.Context, w work, src sourceRecord, m manager, in resolver.Input, key string) (storedResult, error) {
	dir, err := os.MkdirTemp(p.WorkDir, fmt.Sprintf("%d-%s-", w.req.ID, m.Name))
	if err != nil {
		return storedResult{}, fmt.Errorf("making a scratch folder: %w", err)
	}
	defer removeAll(dir)
	roots := make([]*os.Root, 2)
	for i, name := range []string{"source", "scratch"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			return storedResult{}, err
		}
		if roots[i], err = os.OpenRoot(filepath.Join(dir, name)); err != nil {
			return storedResult{}, err
		}
		defer roots[i].Close()
	}
	in.Source, in.Scratch = roots[0], roots[1]
	if !m.NoTree {
		if err := p.extractSource(ctx, src, in.Source); err != nil {
			return storedResult{}, p.sourceLost(ctx, w, err)
		}
	}

	var reasons []string
	in.Reason = func(ctx context.Context, text string) error {
		reasons = append(reasons, text)
		return p.reason(ctx, w, text)
	}
	progress := &progressWriter{p: p, ctx: ctx, w: w}
	in.Progress = progress.report
	out, err := m.Resolve(ctx, in)
	progress.flush()
	if err != nil {
		return storedResult{}, fmt.Errorf("resolving %s: %w", m.Name, err)
	}
	out.EnvironmentVariables = withDefaults(out.EnvironmentVariables, m.settings.Environment)
	result := storedResult{Output: out, Reasons: reasons}
	// Two workers may have resolved side by side: the first result stays, and both use it.
	if err := p.putSealed(ctx, key, result, false); errors.Is(err, blob.ErrExists) {
		return p.readResult(ctx, key)
	} else if err != nil {
		return storedResult{}, fmt.Errorf("storing the result of %s: %w", m.Name, err)
	}
	return result, nil
}

// withDefaults adds the operator's variables to a resolver's. They may replace its literals (GOSUMDB), but
// not its paths, which say where things are in the bundle; and a manager that sets nothing, because it had
// nothing to do, stays without.
func withDefaults(vars, defaults map[string]request.EnvironmentVariable) map[string]request.EnvironmentVariable {
	if len(vars) == 0 {
		return vars
	}
	for name, v := range defaults {
		if vars[name].Kind != "path" {
			vars[name] = v
		}
	}
	return vars
}

func (p *Pipeline) extractSource(ctx context.Context, src sourceRecord, root *os.Root) error {
	tree, err := p.Blobs.Open(ctx, src.Tree)
	if err != nil {
		return err
	}
	defer tree.Close()
	skip := map[string]bool{}
	for _, link := range src.Removed {
		skip[link] = true
	}
	return archive.ExtractTree(ctx, tree, root, archive.Limits{Skip: skip})
}

// addConfigFiles stores each file's content, then adds the files to the request.
func (p *Pipeline) addConfigFiles(ctx context.Context, id int64, files []resolver.ConfigFile) error {
	if len(files) == 0 {
		return nil
	}
	refs := make([]request.ConfigFile, len(files))
	for i, f := range files {
		text := base64.StdEncoding.EncodeToString(f.Content)
		refs[i] = request.ConfigFile{Path: f.Path, Key: request.ConfigFileKey(text)}
		if err := p.Blobs.Put(ctx, refs[i].Key, []byte(text), false); err != nil && !errors.Is(err, blob.ErrExists) {
			return fmt.Errorf("storing configuration file %s: %w", f.Path, err)
		}
	}
	return p.Store.AddConfigFiles(ctx, id, refs)
}

// removeAll also removes what a tool made read-only, such as Go's module cache.
func removeAll(dir string) {
	if os.RemoveAll(dir) == nil {
		return
	}
	filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			os.Chmod(path, 0o700)
		}
		return nil
	})
	os.RemoveAll(dir)
}

// progressWriter passes progress on to the store, once a second at the most.
type progressWriter struct {
	p   *Pipeline
	ctx context.Context
	w   work

	mu   sync.Mutex
	last time.Time
	now  request.Progress
	sent request.Progress
}

func (pw *progressWriter) report(now request.Progress) {
	pw.mu.Lock()
	defer pw.mu.Unlock()
	pw.now = now
	if pw.p.Clock().Sub(pw.last) >= progressEvery {
		pw.send()
	}
}

func (pw *progressWriter) flush() {
	pw.mu.Lock()
	defer pw.mu.Unlock()
	if pw.now != pw.sent {
		pw.send()
	}
}

// send tells the store; progress that cannot be told is no reason to stop.
func (pw *progressWriter) send() {
	pw.last, pw.sent = pw.p.Clock(), pw.now
	if err := pw.p.Store.Progress(pw.ctx, pw.w.req.ID, pw.w.step, pw.now); err != nil && pw.ctx.Err() == nil {
		pw.p.Log.WarnContext(pw.ctx, "progress not stored", "cachito_request_id", pw.w.req.ID, "error", err)
	}
}
