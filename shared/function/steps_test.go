package function

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/blob/dir"
	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/fetch"
	"github.com/cachito-serverless/cachito/shared/gitrepo"
	"github.com/cachito-serverless/cachito/shared/gitrepo/gitrepotest"
	"github.com/cachito-serverless/cachito/shared/pipeline"
	"github.com/cachito-serverless/cachito/shared/queue"
	queuesqlite "github.com/cachito-serverless/cachito/shared/queue/sqlite"
	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/resolver"
	"github.com/cachito-serverless/cachito/shared/store"
	storesqlite "github.com/cachito-serverless/cachito/shared/store/sqlite"
)

// world is a request whose source step is done, and a resolver that does what the test says.
type world struct {
	*testing.T
	store    *storesqlite.Store
	queue    *queuesqlite.Queue
	pipeline *pipeline.Pipeline
	work     string
	logged   strings.Builder
	resolve  func(ctx context.Context, in resolver.Input) error
	handle   StepsHandler
}

// Resolve implements resolver.Resolver.
func (w *world) Resolve(ctx context.Context, in resolver.Input) (resolver.Output, error) {
	return resolver.Output{}, w.resolve(ctx, in)
}

const repoURL = "https://git.example/owner/name"

func newWorld(t *testing.T) *world {
	t.Helper()
	ctx := t.Context()
	w := &world{T: t, resolve: func(context.Context, resolver.Input) error { return nil }}
	folder := t.TempDir()
	w.work = filepath.Join(folder, "work")
	w.ok(os.Mkdir(w.work, 0o700))
	repo := gitrepotest.Init(filepath.Join(folder, "repo"))
	ref := repo.Commit(map[string]string{"README": "hello\n"})

	var err error
	w.store, err = storesqlite.Open(ctx, filepath.Join(folder, "db"))
	w.ok(err)
	t.Cleanup(func() { w.ok(w.store.Close()) })
	w.queue, err = queuesqlite.New(ctx, w.store.DB(), time.Now)
	w.ok(err)
	t.Cleanup(func() { w.ok(w.queue.Close()) })
	blobs, err := dir.Open(filepath.Join(folder, "blobs"))
	w.ok(err)
	network, err := fetch.New(fetch.Settings{})
	w.ok(err)
	git, err := gitrepo.New(gitrepo.Settings{Fetch: network})
	w.ok(err)
	log := slog.New(slog.NewJSONHandler(&w.logged, nil))
	w.pipeline, err = pipeline.New(pipeline.Settings{
		Resolvers: map[string]resolver.Settings{"fake": {}},
		Local:     map[string]pipeline.LocalRepo{repoURL: {Path: repo.Dir}},
	}, pipeline.Deps{
		Store: w.store, Queue: w.queue, Blobs: blobs, Git: git, Fetch: network, WorkDir: w.work, Log: log,
		Managers: []resolver.Descriptor{{Name: "fake", New: func(resolver.Settings) (resolver.Resolver, error) { return w, nil }}},
	})
	w.ok(err)
	w.handle = Steps(w.pipeline, log)

	_, err = w.store.Create(ctx, store.New{Repo: repoURL, Ref: ref, PackageManagers: []string{"fake"}, Steps: pipeline.Steps([]string{"fake"})})
	w.ok(err)
	w.ok(w.queue.Send(ctx, queue.Message{RequestID: 1, Step: "source"}, 0))
	if got := w.run(ctx, w.record("source")); len(got) > 0 {
		t.Fatalf("the source step failed: %v\n%s", got, &w.logged)
	}
	return w
}

func (w *world) ok(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// record receives a message as Lambda does.
func (w *world) record(step string) events.SQSMessage {
	w.Helper()
	d, err := w.queue.Receive(context.Background(), step, time.Hour, 0)
	if err != nil {
		w.Fatalf("receiving from %s: %v", step, err)
	}
	return events.SQSMessage{
		MessageId: "id of " + d.Step, ReceiptHandle: d.Receipt,
		Body: fmt.Sprintf(`{"request_id":%d,"step":%q}`, d.RequestID, d.Step),
		Attributes: map[string]string{
			"ApproximateReceiveCount": strconv.Itoa(d.ReceiveCount), "SentTimestamp": strconv.FormatInt(d.SentAt.UnixMilli(), 10),
		},
		EventSource: "aws:sqs", EventSourceARN: "arn:aws:sqs:us-east-1:111122223333:cachito-" + d.Step,
	}
}

// run handles an event and returns the messages that Lambda leaves in the queue.
func (w *world) run(ctx context.Context, records ...events.SQSMessage) []string {
	w.Helper()
	out, err := w.handle(ctx, events.SQSEvent{Records: records})
	w.ok(err)
	if out.BatchItemFailures == nil {
		w.Error("no list of failures: Lambda would fail the whole batch")
	}
	var ids []string
	for _, f := range out.BatchItemFailures {
		ids = append(ids, f.ItemIdentifier)
	}
	return ids
}

func (w *world) request() request.Request {
	w.Helper()
	req, err := w.store.Get(context.Background(), 1)
	w.ok(err)
	return req
}

func (w *world) empty(step string) {
	w.Helper()
	if d, err := w.queue.Receive(context.Background(), step, time.Hour, 0); err == nil {
		w.Errorf("queue %s still has %+v", step, d)
	}
}

func TestStepDone(t *testing.T) {
	w := newWorld(t)
	if got := w.run(t.Context(), w.record("resolve-fake")); len(got) > 0 {
		t.Errorf("messages left: %v", got)
	}
	if got := w.request().Steps["resolve-fake"].State; got != request.StepDone {
		t.Errorf("step: %s", got)
	}
	w.empty("resolve-fake")
	if got := w.run(t.Context(), w.record("bundle")); len(got) > 0 || w.request().State != request.StateComplete {
		t.Errorf("bundle: messages left: %v, request %+v", got, w.request())
	}
}

// TestStepTriedAgain: a fault that may pass leaves the message in its queue, for as long as the pipeline decided
// and not as long as the event source has it.
func TestStepTriedAgain(t *testing.T) {
	w := newWorld(t)
	w.resolve = func(context.Context, resolver.Input) error {
		return fault.Server(fault.NetworkError, "the registry is down")
	}
	if diff := cmp.Diff([]string{"id of resolve-fake"}, w.run(t.Context(), w.record("resolve-fake"))); diff != "" {
		t.Errorf("messages left (-want +got):\n%s", diff)
	}
	w.empty("resolve-fake") // not yet
	d, err := w.queue.Receive(t.Context(), "resolve-fake", time.Hour, 2*pipeline.RetryPause)
	if err != nil || d.ReceiveCount != 2 {
		t.Errorf("after the pause: got %+v, %v", d, err)
	}
	if got := w.request().State; got != request.StateInProgress {
		t.Errorf("state: %s", got)
	}
}

// TestStepFailed: what ends a request ends its message.
func TestStepFailed(t *testing.T) {
	for _, tt := range []struct {
		name   string
		err    error
		count  string // of receives
		reason string
	}{
		{"client", fault.Client(fault.InvalidFileFormat, "fake.lock: broken"), "1", "fake.lock: broken"},
		{"server, last receive", fault.Server(fault.NetworkError, "the registry is down"), strconv.Itoa(queue.MaxReceives), "the registry is down"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.resolve = func(context.Context, resolver.Input) error { return tt.err }
			r := w.record("resolve-fake")
			r.Attributes["ApproximateReceiveCount"] = tt.count
			if got := w.run(t.Context(), r); len(got) > 0 {
				t.Errorf("messages left: %v", got)
			}
			w.empty("resolve-fake")
			if req := w.request(); req.State != request.StateFailed || req.StateReason != tt.reason {
				t.Errorf("request: %s, %q", req.State, req.StateReason)
			}
		})
	}
}

// TestStepPanics: a bug in a step is a fault that may pass; the function lives on.
func TestStepPanics(t *testing.T) {
	w := newWorld(t)
	w.resolve = func(context.Context, resolver.Input) error { panic("a bug") }
	if got := w.run(t.Context(), w.record("resolve-fake")); len(got) != 1 {
		t.Errorf("messages left: %v", got)
	}
	if !strings.Contains(w.logged.String(), "panic: a bug") {
		t.Error("the log does not tell")
	}
}

// TestHandBack: near the end of the function's time a step is told to stop, and goes on with a new message.
func TestHandBack(t *testing.T) {
	w := newWorld(t)
	const limit = 2 * time.Second
	w.resolve = func(ctx context.Context, _ resolver.Input) error {
		<-ctx.Done()
		return ctx.Err()
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	if got := w.run(ctx, w.record("resolve-fake")); len(got) > 0 {
		t.Errorf("messages left: %v", got)
	}
	if ctx.Err() != nil {
		t.Fatal("the step took all of the function's time")
	}
	d, err := w.queue.Receive(t.Context(), "resolve-fake", time.Hour, 0)
	if err != nil || d.ReceiveCount != 1 {
		t.Errorf("the new message: got %+v, %v", d, err)
	}
	if step := w.request().Steps["resolve-fake"]; !step.LeaseUntil.IsZero() || step.IdleRuns != 1 {
		t.Errorf("step: %+v", step)
	}
}

// TestMessageOfADeadProcess: a process that dies keeps its message from others for Visibility, however long the
// event source hides it.
func TestMessageOfADeadProcess(t *testing.T) {
	w := newWorld(t)
	var hidden time.Duration
	w.resolve = func(ctx context.Context, _ resolver.Input) error {
		var until int64
		w.ok(w.store.DB().QueryRowContext(ctx, "SELECT visible FROM message WHERE queue = 'resolve-fake'").Scan(&until))
		hidden = time.Until(time.UnixMicro(until))
		return nil
	}
	w.run(t.Context(), w.record("resolve-fake"))
	if hidden <= 0 || hidden > pipeline.Visibility {
		t.Errorf("the message is hidden for %s, want %s at most", hidden, pipeline.Visibility)
	}
}

// TestHandBackMargin: how much time steps have.
func TestHandBackMargin(t *testing.T) {
	for limit, want := range map[time.Duration]time.Duration{
		15 * time.Minute:   15*time.Minute - HandBackMargin,
		2 * HandBackMargin: HandBackMargin,
		10 * time.Second:   5 * time.Second,
	} {
		w := newWorld(t)
		var end time.Time
		w.resolve = func(ctx context.Context, _ resolver.Input) error {
			end, _ = ctx.Deadline()
			return nil
		}
		started := time.Now()
		ctx, cancel := context.WithDeadline(t.Context(), started.Add(limit))
		w.run(ctx, w.record("resolve-fake"))
		cancel()
		if got := end.Sub(started); got < want-time.Second || got > want+time.Second {
			t.Errorf("of %s a step has %s, want %s", limit, got, want)
		}
	}
}

// TestForeignMessages: what is not ours stays where it is and is told of; nothing else suffers.
func TestForeignMessages(t *testing.T) {
	tests := []struct {
		name   string
		change func(*events.SQSMessage)
		logged string
	}{
		{"no JSON", func(r *events.SQSMessage) { r.Body = "hello" }, "it is not one of ours: invalid character"},
		{"JSON of others", func(r *events.SQSMessage) { r.Body = `{"Records": []}` }, "it is not one of ours: it names no step"},
		{"a long one is cut", func(r *events.SQSMessage) { r.Body = strings.Repeat("x", 100_000) }, "it is not one of ours"},
		{"a step of another queue", func(r *events.SQSMessage) { r.Body = `{"request_id": 1, "step": "bundle"}` }, "a message for step bundle is in queue cachito-resolve-fake"},
		{"no receive count", func(r *events.SQSMessage) { delete(r.Attributes, "ApproximateReceiveCount") }, "its receive count"},
		{"a request that is not there", func(r *events.SQSMessage) { r.Body = `{"request_id": 7, "step": "resolve-fake"}` }, "step skipped"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			good := w.record("resolve-fake")
			foreign := good
			foreign.MessageId = "foreign"
			foreign.ReceiptHandle = "of another message"
			foreign.Attributes = map[string]string{"ApproximateReceiveCount": "1", "SentTimestamp": "1523232000000"}
			tt.change(&foreign)
			want := []string{"foreign"}
			if tt.logged == "step skipped" { // nothing will ever come of it
				want = nil
			}
			if diff := cmp.Diff(want, w.run(t.Context(), foreign, good)); diff != "" {
				t.Errorf("messages left (-want +got):\n%s", diff)
			}
			if got := w.request().Steps["resolve-fake"].State; got != request.StepDone {
				t.Errorf("the other message's step: %s", got)
			}
			if !strings.Contains(w.logged.String(), tt.logged) || w.logged.Len() > 10_000 {
				t.Errorf("log of %d bytes, want %q: %.2000s", w.logged.Len(), tt.logged, &w.logged)
			}
		})
	}
}

func TestNoRecords(t *testing.T) {
	w := newWorld(t)
	if _, err := w.handle(t.Context(), events.SQSEvent{}); err == nil || !strings.Contains(err.Error(), "no records") {
		t.Errorf("got %v", err)
	}
}

// TestNoTimeLeft: of a batch, what there is no time for comes again.
func TestNoTimeLeft(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithDeadline(t.Context(), time.Now())
	defer cancel()
	if got := w.run(ctx, w.record("resolve-fake")); len(got) != 1 {
		t.Errorf("messages left: %v", got)
	}
	if got := w.request().Steps["resolve-fake"].State; got != request.StepWaiting {
		t.Errorf("step: %s", got)
	}
}

// TestScratchIsCleared: a warm function begins each event with an empty work folder.
func TestScratchIsCleared(t *testing.T) {
	w := newWorld(t)
	left := filepath.Join(w.work, "1-fake-123", "scratch")
	w.ok(os.MkdirAll(left, 0o700))
	w.ok(os.WriteFile(filepath.Join(left, "file"), nil, 0o600))
	w.ok(os.Chmod(left, 0o500)) // as in a module cache
	w.resolve = func(_ context.Context, in resolver.Input) error {
		entries, err := os.ReadDir(w.work)
		w.ok(err)
		if len(entries) != 1 || strings.Contains(entries[0].Name(), "123") {
			t.Errorf("work folder: %v", entries)
		}
		return nil
	}
	if got := w.run(t.Context(), w.record("resolve-fake")); len(got) > 0 {
		t.Errorf("messages left: %v", got)
	}
}

// TestReap: one pass buries what is dead, whatever the schedule's event says.
func TestReap(t *testing.T) {
	w := newWorld(t)
	for range queue.MaxReceives {
		d, err := w.queue.Receive(t.Context(), "resolve-fake", time.Hour, time.Second)
		w.ok(err)
		w.ok(w.queue.Extend(t.Context(), d, 0))
	}
	w.ok(Reap(w.pipeline)(t.Context(), events.EventBridgeEvent{}))
	if req := w.request(); req.State != request.StateFailed || !strings.Contains(req.StateReason, "resolve-fake step was given up") {
		t.Errorf("request: %s, %q", req.State, req.StateReason)
	}
}
