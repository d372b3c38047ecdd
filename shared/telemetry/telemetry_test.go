package telemetry_test

import (
	"context"
	"log/slog"
	"runtime"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/telemetry"
)

func TestLogAttrs(t *testing.T) {
	ctx := t.Context()
	if got := telemetry.LogAttrs(ctx); got != nil {
		t.Errorf("got %v, want none", got)
	}
	first := telemetry.WithLogAttrs(ctx, slog.String("a", "1"), slog.String("b", "2"))
	second := telemetry.ForRequest(telemetry.WithLogAttrs(first, slog.String("a", "3")), 7)
	for _, tt := range []struct {
		name string
		ctx  context.Context
		want string
	}{
		{"outer", first, "a=1 b=2 "},
		{"inner replaces and adds", second, "a=3 b=2 cachito_request_id=7 "},
	} {
		text := ""
		for _, a := range telemetry.LogAttrs(tt.ctx) {
			text += a.String() + " "
		}
		if text != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, text, tt.want)
		}
	}
}

func TestRequestSpan(t *testing.T) {
	created := time.Date(2026, 1, 2, 3, 4, 5, 678, time.UTC)
	span := telemetry.RequestSpan(1, created, "https://git.example/a", "abc")
	if span.IsZero() {
		t.Fatal("a request has no span")
	}
	if again := telemetry.RequestSpan(1, created.Truncate(time.Second).Local(), "https://git.example/a", "abc"); again != span {
		t.Errorf("what a store rounds or converts makes another span: %v, %v", again, span)
	}
	for name, other := range map[string]telemetry.SpanID{
		"id":      telemetry.RequestSpan(2, created, "https://git.example/a", "abc"),
		"created": telemetry.RequestSpan(1, created.Add(time.Second), "https://git.example/a", "abc"),
		"repo":    telemetry.RequestSpan(1, created, "https://git.example/b", "abc"),
		"ref":     telemetry.RequestSpan(1, created, "https://git.example/a", "abd"),
	} {
		if other.Trace == span.Trace {
			t.Errorf("another %s has the same trace", name)
		}
	}
}

func TestTraceParent(t *testing.T) {
	const good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	tests := []struct {
		name, header string
		want         bool
	}{
		{"as in the specification", good, true},
		{"a later version may have more", "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more", true},
		{"empty", "", false},
		{"version 00 has no more", good + "-more", false},
		{"version ff", "ff" + good[2:], false},
		{"upper case", "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", false},
		{"no trace", "00-00000000000000000000000000000000-b7ad6b7169203331-01", false},
		{"no span", "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01", false},
		{"short", "00-0af7651916cd43dd8448eb211c8031-b7ad6b7169203331-01", false},
		{"no hex", "00-0af7651916cd43dd8448eb211c80319g-b7ad6b7169203331-01", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := telemetry.ParseTraceParent(tt.header); !got.IsZero() != tt.want {
				t.Errorf("got %v, want one: %v", got, tt.want)
			}
		})
	}
	if got := telemetry.ParseTraceParent(good).TraceParent(); got != good {
		t.Errorf("printed: got %s, want %s", got, good)
	}
}

// memory is a Tracer that remembers.
type memory struct {
	begun []telemetry.Options
	next  byte
}

func (m *memory) Begin(o telemetry.Options) telemetry.Recorder {
	m.begun = append(m.begun, o)
	m.next++
	return remembered{telemetry.SpanID{Trace: [16]byte{1}, Span: [8]byte{m.next}}}
}

func (m *memory) Flush(context.Context) error { return nil }

type remembered struct{ id telemetry.SpanID }

func (r remembered) ID() telemetry.SpanID { return r.id }
func (remembered) Name(string)            {}
func (remembered) Text(string, string)    {}
func (remembered) Number(string, int64)   {}
func (remembered) Link(telemetry.SpanID)  {}
func (remembered) Fail(string)            {}
func (remembered) End()                   {}

func TestSpansHangTogether(t *testing.T) {
	m := &memory{}
	ctx := telemetry.WithTracer(t.Context(), m)
	ctx, outer := telemetry.Start(ctx, "outer", telemetry.Server)
	inner, span := telemetry.Start(ctx, "inner", telemetry.Client)
	parent := telemetry.SpanID{Trace: [16]byte{9}, Span: [8]byte{9}}
	_, apart := telemetry.StartWith(inner, telemetry.Options{Name: "apart", Parent: parent})
	if !outer.On() || !span.On() || !apart.On() {
		t.Fatal("no span in spite of the tracer")
	}
	want := []telemetry.Options{
		{Name: "outer", Kind: telemetry.Server},
		{Name: "inner", Kind: telemetry.Client, Parent: outer.ID()},
		{Name: "apart", Parent: parent},
	}
	if diff := cmp.Diff(want, m.begun); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := telemetry.Current(telemetry.Within(t.Context(), m, span.ID())); got != span.ID() {
		t.Errorf("within: got %v, want %v", got, span.ID())
	}
	if got := telemetry.Current(telemetry.Within(inner, m, telemetry.SpanID{})); got != span.ID() {
		t.Errorf("within nothing: got %v, want what it was", got)
	}
	if got := telemetry.Current(inner); got != span.ID() {
		t.Errorf("current: got %v, want %v", got, span.ID())
	}
}

// work is what instrumented code does.
func work(ctx context.Context, m *telemetry.Metrics) {
	ctx, span := telemetry.Start(ctx, "work", telemetry.Internal)
	defer span.End()
	span.Text("host", "registry.example")
	span.Number("bytes", 5)
	if span.On() {
		panic("a span without a tracer")
	}
	m.Add(telemetry.FetchRequests, 1, m.Host("registry.example"), telemetry.StatusClass(200))
	m.Observe(telemetry.StepSeconds, 1, "source", "done")
	if !telemetry.Current(ctx).IsZero() {
		panic("a current span without a tracer")
	}
}

func TestOffCostsNothing(t *testing.T) {
	ctx := telemetry.WithTracer(t.Context(), nil)
	before := runtime.NumGoroutine()
	if got := testing.AllocsPerRun(1000, func() { work(ctx, nil) }); got != 0 {
		t.Errorf("switched off, a span and two metrics allocate %v times, want 0", got)
	}
	if after := runtime.NumGoroutine(); after > before {
		t.Errorf("%d goroutines, %d before", after, before)
	}
}

func BenchmarkOff(b *testing.B) {
	ctx := telemetry.WithTracer(b.Context(), nil)
	b.ReportAllocs()
	for b.Loop() {
		work(ctx, nil)
	}
}
