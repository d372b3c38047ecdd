package otlp_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/telemetry"
	"github.com/cachito-serverless/cachito/shared/telemetry/otlp"
	"github.com/cachito-serverless/cachito/shared/telemetry/otlp/otlptest"
)

func open(t *testing.T, s otlp.Settings) *otlp.Tracer {
	t.Helper()
	if s.Log == nil {
		s.Log = slog.New(slog.DiscardHandler)
	}
	tracer, err := otlp.New(s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tracer.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return tracer
}

func TestCollectorReceivesSpans(t *testing.T) {
	collector := otlptest.NewCollector(t)
	tracer := open(t, otlp.Settings{
		Endpoint: collector.URL + "/", Headers: map[string]string{"X-Token": "t0ken"}, Ratio: 1, Service: "cachito", Version: "v1",
	})
	root := telemetry.RequestSpan(1, time.Unix(1_750_000_000, 0), "https://git.example/a", "abc")
	other := telemetry.RequestSpan(2, time.Unix(1_750_000_000, 0), "https://git.example/a", "abc")
	ctx := telemetry.WithTracer(t.Context(), tracer)

	start := time.Unix(1_750_000_000, 5)
	_, span := telemetry.StartWith(ctx, telemetry.Options{Name: "accepted", Kind: telemetry.Server, ID: root, Start: start, Links: []telemetry.SpanID{other, {}}})
	if span.ID() != root {
		t.Errorf("id: got %v, want the one asked for, %v", span.ID(), root)
	}
	span.End()
	stepCtx, step := telemetry.StartWith(ctx, telemetry.Options{Name: "step", Kind: telemetry.Consumer, Parent: root})
	_, fetch := telemetry.Start(stepCtx, "?", telemetry.Client)
	fetch.Name("fetch")
	fetch.Text("host", "registry.example")
	fetch.Number("bytes", 5)
	fetch.Link(other)
	fetch.Fail("503")
	fetch.End()
	step.End()
	if err := tracer.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}

	spans := collector.Spans()
	got := map[string]otlptest.Span{}
	for _, s := range spans {
		if s.Trace != root.Trace {
			t.Errorf("%s is in trace %x, want %x", s.Name, s.Trace, root.Trace)
		}
		got[s.Name] = s
	}
	if len(spans) != 3 || len(got) != 3 {
		t.Fatalf("got %d spans, want accepted, step and fetch", len(spans))
	}
	if a := got["accepted"]; a.Span != root.Span || a.Parent != [8]byte{} || a.Kind != "SERVER" || !a.Start.Equal(start) || !cmp.Equal(a.Links, []telemetry.SpanID{other}) {
		t.Errorf("accepted: got %+v", a)
	}
	if s := got["step"]; s.Parent != root.Span || s.Kind != "CONSUMER" || s.Failed != "" {
		t.Errorf("step: got %+v", s)
	}
	f := got["fetch"]
	if f.Parent != got["step"].Span || f.Kind != "CLIENT" || f.Failed != "503" || !cmp.Equal(f.Links, []telemetry.SpanID{other}) {
		t.Errorf("fetch: got %+v", f)
	}
	if diff := cmp.Diff(map[string]string{"host": "registry.example", "bytes": "5"}, f.Attributes); diff != "" {
		t.Errorf("attributes (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]string{"service.name": "cachito", "service.version": "v1"}, f.Resource); diff != "" {
		t.Errorf("resource (-want +got):\n%s", diff)
	}
	if got := collector.Headers()[0].Get("X-Token"); got != "t0ken" {
		t.Errorf("header: got %q, want t0ken", got)
	}
}

func TestRatioIsDecidedByTheTrace(t *testing.T) {
	collector := otlptest.NewCollector(t)
	// Two processes, which must decide alike.
	tracers := []*otlp.Tracer{
		open(t, otlp.Settings{Endpoint: collector.URL, Ratio: .5}), open(t, otlp.Settings{Endpoint: collector.URL, Ratio: .5}),
	}
	const requests = 200
	for id := range int64(requests) {
		root := telemetry.RequestSpan(id, time.Unix(1_750_000_000, 0), "https://git.example/a", "abc")
		tracers[0].Begin(telemetry.Options{Name: "accepted", ID: root}).End()
		tracers[1].Begin(telemetry.Options{Name: "step", Parent: root}).End()
	}
	for _, tracer := range tracers {
		if err := tracer.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	count := map[[16]byte]int{}
	for _, s := range collector.Spans() {
		count[s.Trace]++
	}
	for trace, n := range count {
		if n != 2 {
			t.Errorf("trace %x: got %d spans, want both or none", trace, n)
		}
	}
	if len(count) < requests/4 || len(count) > requests*3/4 {
		t.Errorf("got %d of %d traces, want about half", len(count), requests)
	}
}

func TestCollectorInTrouble(t *testing.T) {
	tests := []struct {
		name   string
		status []int // of the answers, the last one again and again
		asked  int
		logged string
	}{
		{"busy once", []int{503, 200}, 2, ""},
		{"limits us once", []int{429, 200}, 2, ""},
		{"busy for good", []int{503}, 4, "the collector answered 503"},
		{"refuses", []int{401}, 1, "the collector answered 401"},
		{"redirects", []int{302}, 1, "the collector answered 302"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var mu sync.Mutex
			asked := 0
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				mu.Lock()
				defer mu.Unlock()
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(tt.status[min(asked, len(tt.status)-1)])
				asked++
			}))
			defer server.Close()
			logged := &buffer{}
			tracer := open(t, otlp.Settings{Endpoint: server.URL, Ratio: 1, Log: slog.New(slog.NewTextHandler(logged, nil))})
			for range 2 { // one that took nothing is left alone for a while
				tracer.Begin(telemetry.Options{Name: "x"}).End()
				if err := tracer.Flush(t.Context()); err != nil {
					t.Fatal(err)
				}
				if tt.logged == "" {
					break
				}
			}
			if asked != tt.asked {
				t.Errorf("asked %d times, want %d", asked, tt.asked)
			}
			text := logged.String()
			if tt.logged == "" && text != "" || !strings.Contains(text, tt.logged) || strings.Count(text, "\n") > 1 {
				t.Errorf("logged %q, want %q once", text, tt.logged)
			}
		})
	}
}

func TestFlushDoesNotOutlastItsContext(t *testing.T) {
	stop := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-stop }))
	defer server.Close()
	defer close(stop)
	tracer := open(t, otlp.Settings{Endpoint: server.URL, Ratio: 1})
	tracer.Begin(telemetry.Options{Name: "x"}).End()
	begun := time.Now()
	for range 20 { // as many invocations of a function
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		_ = tracer.Flush(ctx)
		cancel()
		tracer.Begin(telemetry.Options{Name: "x"}).End()
	}
	if took := time.Since(begun); took > 1500*time.Millisecond {
		t.Errorf("a collector that does not answer holds 20 flushes for %v", took)
	}
}

func TestSettingsAreChecked(t *testing.T) {
	for _, endpoint := range []string{"", "127.0.0.1:4318", "ftp://collector", "http://", "http://a b"} {
		if _, err := otlp.New(otlp.Settings{Endpoint: endpoint, Log: slog.New(slog.DiscardHandler)}); err == nil || !strings.Contains(err.Error(), "OTEL_EXPORTER_OTLP_ENDPOINT") {
			t.Errorf("%q: got %v, want the setting's name", endpoint, err)
		}
	}
	if _, err := otlp.New(otlp.Settings{Endpoint: "http://127.0.0.1:1"}); err == nil {
		t.Error("no logger: got no error")
	}
}

func TestCloseEndsItsGoroutines(t *testing.T) {
	collector := otlptest.NewCollector(t)
	tracer, err := otlp.New(otlp.Settings{Endpoint: collector.URL, Ratio: 1, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		tracer.Begin(telemetry.Options{Name: fmt.Sprint(i)}).End()
	}
	if !strings.Contains(goroutines(), "sdk/trace") {
		t.Error("no goroutine of the tracer's is found: this test sees nothing")
	}
	if err := tracer.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := len(collector.Spans()); got != 10 {
		t.Errorf("Close sends what is left: got %d spans, want 10", got)
	}
	for range 100 {
		if !strings.Contains(goroutines(), "sdk/trace") {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Errorf("the tracer's goroutines go on:\n%s", goroutines())
}

// goroutines are the stacks of all that run.
func goroutines() string {
	stacks := make([]byte, 1<<20)
	return string(stacks[:runtime.Stack(stacks, true)])
}

// buffer takes a logger's lines.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
