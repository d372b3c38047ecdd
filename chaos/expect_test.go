package chaos

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"iter"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	s3sdk "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/blob/dir"
	"github.com/cachito-serverless/cachito/shared/blob/s3"
	"github.com/cachito-serverless/cachito/shared/config"
	"github.com/cachito-serverless/cachito/shared/pipeline"
	"github.com/cachito-serverless/cachito/shared/queue"
	queuesqlite "github.com/cachito-serverless/cachito/shared/queue/sqlite"
	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/resolver/all"
	"github.com/cachito-serverless/cachito/shared/store"
	storesqlite "github.com/cachito-serverless/cachito/shared/store/sqlite"
	"github.com/cachito-serverless/cachito/shared/wiring"
)

// outcome is what a request comes to, however it was disturbed.
type outcome struct {
	State              request.State
	Reason             string
	Reasons            []string // of its history, sorted: the order between package managers is free
	First, Last        string
	Environment        map[string]request.EnvironmentVariable
	ConfigFiles        []request.ConfigFile
	Results            map[string]string
	Source             string
	PackagesKey        string
	Bundle             request.Bundle
	Packages, Depended int64
	Steps              map[string]request.StepState
}

func outcomeOf(req request.Request, files []request.ConfigFile) outcome {
	o := outcome{
		State: req.State, Reason: req.StateReason, Environment: req.EnvironmentVariables, ConfigFiles: files, Results: req.Results,
		Source: req.Source, PackagesKey: req.PackagesKey, Steps: map[string]request.StepState{},
	}
	for _, c := range req.History {
		o.Reasons = append(o.Reasons, string(c.State)+": "+c.Reason)
	}
	o.Last, o.First = o.Reasons[0], o.Reasons[len(o.Reasons)-1]
	slices.Sort(o.Reasons)
	if req.Bundle != nil {
		o.Bundle = *req.Bundle
	}
	if req.PackagesCount != nil {
		o.Packages, o.Depended = *req.PackagesCount, *req.DependenciesCount
	}
	for name, s := range req.Steps {
		o.Steps[name] = s.State
	}
	return o
}

// reasons of the requests that must fail.
var failures = map[string]string{
	damaged:  "The file big-1.0.0.tgz has an unexpected checksum value, expected",
	poisoned: "The resolve-npm step was given up after 5 attempts, the last of which did not end. Please try again.",
	hanging:  "The resolve-npm step reached its time limit 3 times in a row without getting any further. Please try again later, or ask for less at once.",
}

// checkRequests compares every request that there is with the undisturbed run of its project.
func (w *world) checkRequests(kills int64) {
	ctx, t := context.Background(), w.t
	calm := w.undisturbed()
	defer calm.close()
	byState := map[request.State]int64{}
	want := calm.finishAll()
	last := int64(0)
	for req := range w.requests() {
		if last++; req.ID != last {
			t.Errorf("request %d follows %d: ids have gaps", req.ID, last-1)
		}
		byState[req.State]++
		p := w.projects.of(req.Ref)
		files, err := w.stack.store.ConfigFiles(ctx, req.ID)
		if err != nil {
			t.Error(err)
		}
		got := outcomeOf(req, files)
		if again := slices.Compact(slices.Clone(got.Reasons)); len(again) != len(got.Reasons) {
			t.Errorf("request %d: a state was set twice:\n%s", req.ID, strings.Join(got.Reasons, "\n"))
		}
		if reason, fails := failures[p.kind]; fails {
			if req.State != request.StateFailed || !strings.Contains(req.StateReason, reason) {
				t.Errorf("request %d (%s): got %s: %s, want failed: %s", req.ID, p.kind, req.State, req.StateReason, reason)
			}
			continue
		}
		if diff := cmp.Diff(want[p.ref], got); diff != "" {
			t.Errorf("request %d (%s) (-undisturbed +disturbed):\n%s", req.ID, p.kind, diff)
			continue
		}
		w.checkBundle(req)
	}
	counts, err := w.stack.store.Counts(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if counts.Total != last || !maps.Equal(nonZero(counts.ByState), byState) || counts.Completed != byState[request.StateComplete] {
		t.Errorf("the counters say %d, %v, %d ever completed, but there are %d, %v", counts.Total, nonZero(counts.ByState), counts.Completed, last, byState)
	}
	for state, n := range byState {
		list, err := w.stack.store.List(ctx, store.Filter{State: state}, store.Page{Number: 1, PerPage: 1})
		if err != nil || list.Total != n {
			t.Errorf("the list of %s requests has %d (%v), want %d", state, list.Total, err, n)
		}
	}
	t.Logf("%d requests: %v", last, byState)
	// A test that disturbs nothing proves nothing.
	if w.kills.Load() < kills {
		t.Errorf("only %d processes were killed, want %d", w.kills.Load(), kills)
	}
	for _, what := range append(slices.Clone(faults), "calls in the outage", "messages lost", "messages overtaken", "messages delivered twice at once",
		"messages delivered again later", "invocations "+timedOut, "invocations of reaper "+answered) {
		if w.counts[what] == 0 && kills >= defaultKills {
			t.Errorf("nothing was disturbed by: %s", what)
		}
	}
	if failed, calls := w.counts[faultError]+w.counts[faultThrottled]+w.counts[faultCut]+w.counts[faultLost], w.counts["calls"]; failed*(failEvery+5) < calls {
		t.Errorf("%d of %d calls failed, want 1 of %d", failed, calls, failEvery)
	}
}

func nonZero(counts map[request.State]int64) map[request.State]int64 {
	out := maps.Clone(counts)
	maps.DeleteFunc(out, func(_ request.State, n int64) bool { return n == 0 })
	return out
}

// requests are all that there are, from the first one.
func (w *world) requests() iter.Seq[request.Request] {
	return func(yield func(request.Request) bool) {
		list, err := w.stack.store.List(context.Background(), store.Filter{}, store.Page{Number: 1, PerPage: 10_000, History: true})
		if err != nil {
			w.t.Fatal(err)
		}
		for _, req := range slices.Backward(list.Requests) {
			if !yield(req) {
				return
			}
		}
	}
}

// checkBundle reads the bundle itself: its bytes are those of the undisturbed run.
func (w *world) checkBundle(req request.Request) {
	o, err := w.stack.blobs.Open(context.Background(), req.Bundle.Key)
	if err != nil {
		w.t.Errorf("request %d: %v", req.ID, err)
		return
	}
	defer o.Close()
	sum := sha256.New()
	n, err := io.Copy(sum, o)
	if got := hex.EncodeToString(sum.Sum(nil)); err != nil || got != req.Bundle.SHA256 || n != req.Bundle.Size {
		w.t.Errorf("request %d: its bundle has %d bytes with SHA-256 %s (%v), want %d with %s", req.ID, n, got, err, req.Bundle.Size, req.Bundle.SHA256)
	}
}

// checkRest looks for what must not be left over: messages, and on S3 uploads and temporary objects but for those
// that a dead process had begun, or one in the outage, which the rules of the bucket remove after a day.
func (w *world) checkRest(steps []string) {
	ctx, t := context.Background(), w.t
	for _, step := range append(slices.Clone(steps), "dead-letter") {
		if n, err := w.stack.queued(ctx, step); err != nil || n != 0 {
			t.Errorf("queue %s holds %d messages (%v)", step, n, err)
		}
	}
	dead := map[string]bool{} // keys of uploads that a dead process began
	w.uploads.Range(func(_, v any) bool {
		if u := v.(upload); u.by.lost.Load() {
			dead[u.key] = true
		}
		return true
	})
	uploads, err := w.stack.s3.ListMultipartUploads(ctx, &s3sdk.ListMultipartUploadsInput{Bucket: &w.stack.name})
	if err != nil {
		t.Fatal(err)
	}
	ruled := 0
	for _, left := range uploads.Uploads {
		v, known := w.uploads.Load(aws.ToString(left.UploadId))
		switch u, _ := v.(upload); {
		case !known:
			t.Errorf("an upload to %s that nobody began", aws.ToString(left.Key))
		case u.by.lost.Load() || u.unheard:
			ruled++
		default:
			t.Errorf("function %s left its upload to %s unfinished, and nothing kept it from giving it back", u.of, u.key)
		}
	}
	objects, err := w.stack.s3.ListObjectsV2(ctx, &s3sdk.ListObjectsV2Input{Bucket: &w.stack.name, Prefix: aws.String(s3.TemporaryPrefix)})
	if err != nil {
		t.Fatal(err)
	}
	for _, left := range objects.Contents {
		if key := aws.ToString(left.Key); !dead[key] {
			t.Errorf("the temporary object %s is of a process that nothing kept from deleting it", key)
		}
	}
	t.Logf("left to the bucket's rules, begun by processes that were killed or cut off: %d uploads, %d temporary objects", ruled, len(objects.Contents))
}

// calmRun is the product with its embedded adapters, on which nothing is disturbed.
type calmRun struct {
	w     *world
	pipe  *pipeline.Pipeline
	store store.Store
	queue queue.Queue
	close func()
}

func (w *world) undisturbed() *calmRun {
	t := w.t
	w.projects.calm.Store(true)
	ctx := context.Background()
	folder := filepath.Join(w.tmp, "undisturbed")
	at := wiring.Places{Git: filepath.Join(folder, "git"), Tools: filepath.Join(folder, "tools"), Work: filepath.Join(folder, "work")}
	for _, d := range []string{at.Git, at.Tools, at.Work, filepath.Join(folder, "blobs")} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	st, err := storesqlite.Open(ctx, filepath.Join(folder, "cachito.db"))
	if err != nil {
		t.Fatal(err)
	}
	q, err := queuesqlite.New(ctx, st.DB(), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	blobs, err := dir.Open(filepath.Join(folder, "blobs"))
	if err != nil {
		t.Fatal(err)
	}
	settings := w.settings()
	cfg, err := config.Load(func(name string) string { return settings[name] })
	if err != nil {
		t.Fatal(err)
	}
	p, err := wiring.Pipeline(cfg, all.List(), wiring.Adapters{Store: st, Queue: q, Blobs: blobs}, at, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return &calmRun{w: w, pipe: p, store: st, queue: q, close: func() {
		if err := blobs.Close(); err != nil {
			t.Error(err)
		}
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	}}
}

// calmAtOnce is how many undisturbed requests run side by side.
const calmAtOnce = 6

// finishAll runs a request for each commit that must complete, and returns what they come to, by commit.
func (c *calmRun) finishAll() map[string]outcome {
	want := map[string]outcome{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	slots := make(chan struct{}, calmAtOnce)
	seen := map[string]bool{}
	for req := range c.w.requests() {
		kind := c.w.projects.of(req.Ref).kind
		if _, fails := failures[kind]; fails || seen[req.Ref] {
			continue
		}
		seen[req.Ref] = true
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			got, err := c.finish(req)
			if err != nil || got.State != request.StateComplete {
				c.w.t.Errorf("undisturbed, the request for %s (%s) is %s: %s, %v", req.Ref, kind, got.State, got.Reason, err)
			}
			mu.Lock()
			defer mu.Unlock()
			want[req.Ref] = got
		})
	}
	wg.Wait()
	return want
}

// finish runs a request like this one to its end.
func (c *calmRun) finish(like request.Request) (outcome, error) {
	ctx := context.Background()
	req, err := c.store.Create(ctx, store.New{
		Repo: like.Repo, Ref: like.Ref, PackageManagers: like.PackageManagers, Packages: like.Packages, Flags: like.Flags,
		Replacements: like.Replacements, Steps: pipeline.Steps(like.PackageManagers),
	})
	if err != nil {
		return outcome{}, err
	}
	if err := c.queue.Send(ctx, queue.Message{RequestID: req.ID, Step: pipeline.StepSource}, 0); err != nil {
		return outcome{}, err
	}
	if req, err = c.pipe.RunRequest(ctx, req.ID, nil); err != nil {
		return outcome{}, err
	}
	files, err := c.store.ConfigFiles(ctx, req.ID)
	return outcomeOf(req, files), err
}
