package pipeline

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/emulatortest"
	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/logging"
	"github.com/cachito-serverless/cachito/shared/queue"
	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/requestlog"
	"github.com/cachito-serverless/cachito/shared/telemetry"
	"github.com/cachito-serverless/cachito/shared/telemetry/otlp"
	"github.com/cachito-serverless/cachito/shared/telemetry/otlp/otlptest"
)

// counts are the lines of all metrics that begin with one of the names and are not 0.
func counts(t *testing.T, m *telemetry.Metrics, names ...string) []string {
	t.Helper()
	var b bytes.Buffer
	if err := m.WritePrometheus(&b); err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(b.String()) {
		line = strings.TrimSpace(line)
		if slices.ContainsFunc(names, func(n string) bool { return strings.HasPrefix(line, n) }) && !strings.HasSuffix(line, " 0") {
			lines = append(lines, line)
		}
	}
	return lines
}

func watched(m *telemetry.Metrics, log *slog.Logger) func(*Settings, *Deps) {
	return func(_ *Settings, d *Deps) {
		d.Metrics = m
		if log != nil {
			d.Log = log
		}
	}
}

func TestRunsAndLookupsAreCounted(t *testing.T) {
	w := newWorld(t)
	m := telemetry.NewMetrics(telemetry.MetricsSettings{Clock: w.clock})
	pr := w.start(-1, watched(m, nil))
	defer pr.close()
	url, ref := w.repository()
	w.advance(time.Minute)
	for range 2 { // the second one finds everything
		if req := pr.finish(t, url, ref, nil, "synthetic"); req.State != request.StateComplete {
			t.Fatalf("got %s: %s", req.State, req.StateReason)
		}
	}
	pr.finish(t, url, strings.Repeat("a7", 20), nil, "synthetic")
	want := []string{
		"cachito_requests_completed_total 2",
		`cachito_requests_failed_total{origin="client"} 1`,
		`cachito_request_seconds_count{state="complete"} 2`,
		`cachito_request_seconds_count{state="failed"} 1`,
		`cachito_step_seconds_count{step="bundle",outcome="done"} 2`,
		`cachito_step_seconds_count{step="resolve-synthetic",outcome="done"} 2`,
		`cachito_step_seconds_count{step="source",outcome="done"} 2`,
		`cachito_step_seconds_count{step="source",outcome="failed"} 1`,
		`cachito_cache_lookups_total{kind="bundle",outcome="hit"} 1`,
		`cachito_cache_lookups_total{kind="bundle",outcome="miss"} 1`,
		`cachito_cache_lookups_total{kind="dependency",outcome="miss"} 2`,
		`cachito_cache_lookups_total{kind="result",outcome="hit"} 1`,
		`cachito_cache_lookups_total{kind="result",outcome="miss"} 1`,
		`cachito_cache_lookups_total{kind="source",outcome="hit"} 1`,
		`cachito_cache_lookups_total{kind="source",outcome="miss"} 2`,
		"cachito_bundle_bytes_count 2",
	}
	got := counts(t, m, "cachito_requests_", "cachito_request_seconds_count", "cachito_step_seconds_count", "cachito_cache", "cachito_bundle_bytes_count")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestOtherEndingsAreCounted(t *testing.T) {
	w := newWorld(t)
	m := telemetry.NewMetrics(telemetry.MetricsSettings{Clock: w.clock})
	pr := w.start(-1, watched(m, nil))
	defer pr.close()
	ctx := t.Context()
	url, ref := w.repository()
	req := pr.create(t, url, ref, nil, "synthetic")
	deliver := func(ctx context.Context, step string, receives int) {
		t.Helper()
		if err := pr.queue.Send(context.Background(), queue.Message{RequestID: req.ID, Step: step}, 0); err != nil {
			t.Fatal(err)
		}
		d, err := pr.queue.Receive(context.Background(), step, Visibility, 0)
		if err != nil {
			t.Fatal(err)
		}
		d.ReceiveCount = receives
		if err := pr.Handle(ctx, d); err != nil {
			t.Fatal(err)
		}
		if err := pr.queue.Ack(context.Background(), d); err != nil {
			t.Fatal(err)
		}
	}
	deliver(ctx, StepBundle, 1) // not its turn
	deliver(ctx, StepSource, 1)
	w.mu.Lock()
	w.answers["/lib-1.0.zip"] = func(rw http.ResponseWriter) { rw.WriteHeader(http.StatusNotImplemented) } // a server's trouble, not tried again
	w.mu.Unlock()
	deliver(ctx, "resolve-synthetic", 1)
	stopped, stop := context.WithCancel(ctx)
	w.mu.Lock()
	w.answers["/lib-1.0.zip"] = func(http.ResponseWriter) { stop() }
	w.mu.Unlock()
	deliver(stopped, "resolve-synthetic", 1)

	// What is lost is sent again, and given up; a dead letter fails its request.
	w.advance(ResendAfter + Visibility + time.Minute)
	if err := pr.Reap(ctx); err != nil {
		t.Fatal(err)
	}
	req = pr.create(t, url, ref, nil, "synthetic")
	letter := queue.Message{RequestID: req.ID, Step: StepSource}
	if err := pr.queue.Send(ctx, letter, 0); err != nil {
		t.Fatal(err)
	}
	for range queue.MaxReceives {
		if _, err := pr.queue.Receive(ctx, StepSource, time.Second, 0); err != nil {
			t.Fatal(err)
		}
		w.advance(2 * time.Second)
	}
	if err := pr.Reap(ctx); err != nil {
		t.Fatal(err)
	}
	want := []string{
		`cachito_requests_failed_total{origin="server"} 1`,
		`cachito_step_seconds_count{step="bundle",outcome="skipped"} 1`,
		`cachito_step_seconds_count{step="resolve-synthetic",outcome="interrupted"} 1`,
		`cachito_step_seconds_count{step="resolve-synthetic",outcome="retried"} 1`,
		`cachito_step_seconds_count{step="source",outcome="done"} 1`,
		`cachito_step_retries_total{step="resolve-synthetic"} 1`,
		`cachito_dead_letters_total{step="source"} 1`,
	}
	got := counts(t, m, "cachito_requests_failed", "cachito_step_seconds_count", "cachito_step_retries", "cachito_dead_letters")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := counts(t, m, "cachito_queue_oldest_seconds"); len(got) == 0 {
		t.Error("the reaper measured no queue in which something waits")
	}
}

func TestResendsAreCounted(t *testing.T) {
	w := newWorld(t)
	m := telemetry.NewMetrics(telemetry.MetricsSettings{Clock: w.clock})
	pr := w.start(-1, watched(m, nil))
	defer pr.close()
	url, ref := w.repository()
	pr.create(t, url, ref, nil, "synthetic") // its message never came
	w.advance(ResendAfter + time.Minute)
	if err := pr.Reap(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{`cachito_steps_resent_total{step="source"} 1`}, counts(t, m, "cachito_steps_resent")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestEveryLineNamesItsRequest: whatever becomes of requests, each line in the service's log says whose it is.
func TestEveryLineNamesItsRequest(t *testing.T) {
	w := newWorld(t)
	var out bytes.Buffer
	pr := w.start(-1, watched(nil, logging.New(&out, logging.JSON, slog.LevelDebug)))
	defer pr.close()
	url, ref := w.repository()
	complete := pr.finish(t, url, ref, nil, "synthetic", "git-submodule")
	failed := pr.finish(t, url, strings.Repeat("a7", 20), nil, "synthetic")
	lost := pr.create(t, url, ref, nil, "synthetic")
	w.advance(ResendAfter + time.Minute)
	if err := pr.Reap(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.advance(8 * 24 * time.Hour)
	if err := pr.Reap(t.Context()); err != nil {
		t.Fatal(err)
	}
	lines := map[int64]int{}
	for line := range strings.Lines(out.String()) {
		var l struct {
			ID int64 `json:"cachito_request_id"`
		}
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatal(err)
		}
		if l.ID == 0 || strings.Count(line, "cachito_request_id") != 1 {
			t.Errorf("want one id in %s", line)
		}
		lines[l.ID]++
	}
	for name, id := range map[string]int64{"complete": complete.ID, "failed": failed.ID, "lost": lost.ID} {
		if lines[id] == 0 {
			t.Errorf("no line about the %s request:\n%s", name, out.String())
		}
	}
}

// TestOneTraceOverProcesses: steps that run in processes of their own, as functions do, find the request's trace
// without a word in their messages.
func TestOneTraceOverProcesses(t *testing.T) {
	w := newWorld(t)
	collector := otlptest.NewCollector(t)
	url, ref := w.repository()
	var req request.Request
	for _, step := range []string{StepSource, "resolve-synthetic", StepBundle} {
		tracer, err := otlp.New(otlp.Settings{Endpoint: collector.URL, Ratio: 1, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		pr := w.start(-1, func(_ *Settings, d *Deps) { d.Tracer = tracer })
		if req.ID == 0 {
			req = pr.create(t, url, ref, nil, "synthetic")
			if err := pr.send(t.Context(), req.ID, StepSource, false); err != nil {
				t.Fatal(err)
			}
		}
		d, err := pr.queue.Receive(t.Context(), step, Visibility, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := pr.Handle(t.Context(), d); err != nil {
			t.Fatal(err)
		}
		if err := tracer.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		pr.close()
	}
	root := telemetry.RequestSpan(req.ID, req.Created, url, ref)
	names := map[[8]byte]string{root.Span: "request"}
	for _, s := range collector.Spans() {
		names[s.Span] = s.Name
	}
	got := map[string]bool{}
	for _, s := range collector.Spans() {
		if s.Trace != root.Trace {
			t.Errorf("%s is in another trace", s.Name)
		}
		got[names[s.Parent]+" > "+s.Name] = true
		if strings.HasPrefix(s.Name, "step ") && (s.Attributes["cachito.outcome"] != "done" || s.Attributes["cachito.attempt"] != "1") {
			t.Errorf("%s: got %v", s.Name, s.Attributes)
		}
	}
	for _, want := range []string{
		"request > step source", "step source > git fetch", "git fetch > fetch",
		"request > step resolve-synthetic", "step resolve-synthetic > fetch", "request > step bundle",
	} {
		if !got[want] {
			t.Errorf("no %s in %v", want, got)
		}
	}
}

func TestTraceOfAFailureTellsTheFault(t *testing.T) {
	w := newWorld(t)
	collector := otlptest.NewCollector(t)
	tracer, err := otlp.New(otlp.Settings{Endpoint: collector.URL, Ratio: 1, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	pr := w.start(-1, func(_ *Settings, d *Deps) { d.Tracer = tracer })
	defer pr.close()
	url, _ := w.repository()
	secret := strings.Replace(url, "http://", "http://user:s3cret@", 1)
	req := pr.finish(t, secret, strings.Repeat("a7", 20), nil, "synthetic")
	if err := tracer.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	seen := false
	for _, s := range collector.Spans() {
		text, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "s3cret") {
			t.Errorf("a span holds the password: %s", text)
		}
		if s.Name == "step source" {
			seen = true
			if s.Failed != req.StateReason || s.Attributes["error.type"] == "" || s.Attributes["cachito.outcome"] != "failed" {
				t.Errorf("got %+v, want the reason %q", s, req.StateReason)
			}
		}
	}
	if !seen {
		t.Error("no span of the step")
	}
	if fault.Type(req.ErrorType) == "" {
		t.Errorf("the request has no error type: %+v", req)
	}
}

// logWhileRunning runs a step that waits for a registry, and reads the request's log meanwhile.
func logWhileRunning(t *testing.T, w *world, pr *process) {
	t.Helper()
	asked, release := make(chan struct{}), make(chan struct{})
	w.mu.Lock()
	w.answers["/lib-1.0.zip"] = func(rw http.ResponseWriter) {
		close(asked)
		<-release
		io.WriteString(rw, "PK library")
	}
	w.mu.Unlock()
	url, ref := w.repository()
	ended := make(chan request.Request, 1)
	go func() { ended <- pr.finish(t, url, ref, nil, "synthetic") }()
	select {
	case <-asked:
	case <-time.After(time.Minute):
		t.Fatal("the dependency is not asked for")
	}
	const line = "Fetching the synthetic dependencies"
	text := ""
	for deadline := time.Now().Add(3 * HeartbeatEvery); !strings.Contains(text, line); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Errorf("after %v the log of the running step is %q, want %q in it", 3*HeartbeatEvery, text, line)
			break
		}
		r, err := requestlog.Open(t.Context(), pr.blobs, 1)
		if err != nil {
			continue // nothing is there yet
		}
		b, err := io.ReadAll(r)
		r.Close()
		if err != nil {
			t.Error(err)
		}
		text = string(b)
	}
	req, err := pr.store.Get(t.Context(), 1)
	if err != nil || req.State != request.StateInProgress {
		t.Errorf("the request is %s, %v; want it in progress while its log is read", req.State, err)
	}
	close(release)
	if req := <-ended; req.State != request.StateComplete {
		t.Errorf("the request is %s: %s", req.State, req.StateReason)
	}
}

func TestLogIsReadWhileItsStepRuns(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	pr := w.start(-1)
	defer pr.close()
	logWhileRunning(t, w, pr)
}

func TestLogIsReadWhileItsStepRunsAWS(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	logWhileRunning(t, w, w.on(t, emulatortest.Ministack, &emulatortest.Meter{}))
}
