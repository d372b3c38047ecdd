// Package telemetry is what every package may use to tell operators what it does: attributes for log
// lines that travel with the context, spans, and metrics. It depends on the standard library alone; how
// spans leave the process is an adapter's business (otlp), and so is the form of log lines (logging).
//
// What is switched off costs nothing: a nil *Metrics counts nothing, and a context without a Tracer
// makes no spans and allocates nothing.
package telemetry

import (
	"context"
	"log/slog"
	"time"
)

type attrsKey struct{}

// WithLogAttrs returns a context whose log lines carry these attributes, besides those that it carries
// already. A key that is there keeps its place and gets the new value.
func WithLogAttrs(ctx context.Context, attrs ...slog.Attr) context.Context {
	before := LogAttrs(ctx)
	merged := make([]slog.Attr, len(before), len(before)+len(attrs))
	copy(merged, before)
next:
	for _, a := range attrs {
		for i := range merged {
			if merged[i].Key == a.Key {
				merged[i] = a
				continue next
			}
		}
		merged = append(merged, a)
	}
	return context.WithValue(ctx, attrsKey{}, merged)
}

// LogAttrs are the attributes that the context's log lines carry. The slice must not be changed.
func LogAttrs(ctx context.Context) []slog.Attr {
	attrs, _ := ctx.Value(attrsKey{}).([]slog.Attr)
	return attrs
}

// Keys of attributes that more than one package sets.
const (
	// RequestKey is the id of a Cachito request.
	RequestKey = "cachito_request_id"
	// CallKey is the id of one call to the API, which its answer has as X-Request-Id.
	CallKey = "http_request_id"
	// GatewayKey is API Gateway's id of the same call.
	GatewayKey = "gateway_request_id"
)

// ForRequest returns a context whose log lines carry the id of a Cachito request.
func ForRequest(ctx context.Context, id int64) context.Context {
	return WithLogAttrs(ctx, slog.Int64(RequestKey, id))
}

// Kind tells what a span's work is to its caller.
type Kind int

// Kinds of spans, as OpenTelemetry has them.
const (
	Internal Kind = iota
	Server        // answers a call
	Client        // calls somebody else
	Consumer      // works on a message
)

// SpanID names a span of a trace.
type SpanID struct {
	Trace [16]byte
	Span  [8]byte
}

// IsZero reports that it names none.
func (s SpanID) IsZero() bool { return s == SpanID{} }

// Options of a span.
type Options struct {
	Name string
	Kind Kind
	// Parent is the span above, in this process or another one; zero: the span begins a trace.
	Parent SpanID
	// ID is the span's own where it is not left to chance (RequestSpan); zero: the Tracer makes one.
	ID SpanID
	// Links are spans of other traces that this one has to do with.
	Links []SpanID
	// Start is when the work began; zero: now.
	Start time.Time
}

// Tracer makes spans. Its methods may be called concurrently.
type Tracer interface {
	Begin(o Options) Recorder
	// Flush waits until the ended spans are sent, as long as ctx lasts.
	Flush(ctx context.Context) error
}

// Recorder is a span that has begun. Its methods may be called concurrently, and do nothing after End.
type Recorder interface {
	ID() SpanID
	Name(name string)
	Text(key, value string)
	Number(key string, value int64)
	// Link names a span of another trace.
	Link(to SpanID)
	// Fail marks the span as failed. What text says goes to whoever reads traces: no credentials.
	Fail(text string)
	End()
}

type scopeKey struct{}

// scope is what the context of traced work carries.
type scope struct {
	tracer Tracer
	at     SpanID
}

// WithTracer returns a context in which spans are made; with a nil tracer it is ctx itself.
func WithTracer(ctx context.Context, t Tracer) context.Context {
	if t == nil {
		return ctx
	}
	return context.WithValue(ctx, scopeKey{}, &scope{tracer: t})
}

// Within returns a context whose work belongs to a span that was begun elsewhere. With a nil tracer or no span it
// is ctx itself.
func Within(ctx context.Context, t Tracer, at SpanID) context.Context {
	if t == nil || at.IsZero() {
		return ctx
	}
	return context.WithValue(ctx, scopeKey{}, &scope{tracer: t, at: at})
}

// Current is the span that the context's work belongs to; zero: none.
func Current(ctx context.Context) SpanID {
	if s, ok := ctx.Value(scopeKey{}).(*scope); ok {
		return s.at
	}
	return SpanID{}
}

// Span is a span, or nothing when none are made: then its methods do nothing.
type Span struct{ recorder Recorder }

// Start begins a span below the context's. End it.
func Start(ctx context.Context, name string, kind Kind) (context.Context, Span) {
	s, ok := ctx.Value(scopeKey{}).(*scope)
	if !ok {
		return ctx, Span{}
	}
	return begin(ctx, s.tracer, Options{Name: name, Kind: kind, Parent: s.at})
}

// StartWith begins a span that the options alone describe: its parent is theirs, not the context's.
func StartWith(ctx context.Context, o Options) (context.Context, Span) {
	s, ok := ctx.Value(scopeKey{}).(*scope)
	if !ok {
		return ctx, Span{}
	}
	return begin(ctx, s.tracer, o)
}

func begin(ctx context.Context, t Tracer, o Options) (context.Context, Span) {
	r := t.Begin(o)
	return context.WithValue(ctx, scopeKey{}, &scope{tracer: t, at: r.ID()}), Span{r}
}

// On reports whether the span is one.
func (s Span) On() bool { return s.recorder != nil }

// ID names the span; zero: there is none.
func (s Span) ID() SpanID {
	if s.recorder == nil {
		return SpanID{}
	}
	return s.recorder.ID()
}

// Name replaces the name it began with.
func (s Span) Name(name string) {
	if s.recorder != nil {
		s.recorder.Name(name)
	}
}

// Text sets an attribute.
func (s Span) Text(key, value string) {
	if s.recorder != nil {
		s.recorder.Text(key, value)
	}
}

// Number sets an attribute.
func (s Span) Number(key string, value int64) {
	if s.recorder != nil {
		s.recorder.Number(key, value)
	}
}

// Link names a span of another trace that this one has to do with.
func (s Span) Link(to SpanID) {
	if s.recorder != nil {
		s.recorder.Link(to)
	}
}

// Fail marks the span as failed; text must hold no credentials.
func (s Span) Fail(text string) {
	if s.recorder != nil {
		s.recorder.Fail(text)
	}
}

// End ends the span.
func (s Span) End() {
	if s.recorder != nil {
		s.recorder.End()
	}
}
