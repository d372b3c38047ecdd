// Package otlp sends spans to an OpenTelemetry collector by OTLP over HTTP. It is the adapter behind
// telemetry.Tracer, and the only package that knows OpenTelemetry's library.
//
// The library's own HTTP exporter is not used: it links gRPC, 2 MB of every function. What is sent is the
// same.
package otlp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/cachito-serverless/cachito/shared/telemetry"
)

const (
	// maxQueue is how many ended spans wait at the most; what ends while it is full is dropped, because work
	// must not wait for those who watch it.
	maxQueue = 4096
	// maxBatch is how many spans one call to the collector carries.
	maxBatch = 512
	// batchEvery is how long spans wait for others to go with.
	batchEvery = 2 * time.Second
	// exportTimeout bounds one call to the collector with its repeats.
	exportTimeout = 10 * time.Second
	// maxAttributeBytes cuts attributes: they tell, they do not archive.
	maxAttributeBytes = 2048
)

// Settings of a Tracer.
type Settings struct {
	// Endpoint is the collector's URL, such as http://127.0.0.1:4318; spans go to /v1/traces below it.
	Endpoint string
	// Headers are sent with each call ("Authorization", say).
	Headers map[string]string
	// Ratio is the part of all traces that is recorded, 0 to 1. It is decided by the trace's id, so the API and
	// all steps decide alike.
	Ratio float64
	// Service and Version name this program in the collector's pages.
	Service, Version string
	// Log hears when spans could not be sent, once a minute at the most.
	Log *slog.Logger
}

// Tracer makes spans and sends them. It is safe for concurrent use.
type Tracer struct {
	provider *sdktrace.TracerProvider
	tracer   trace.Tracer
}

// New makes a tracer. It calls nobody yet. Close it.
func New(s Settings) (*Tracer, error) {
	if s.Log == nil {
		return nil, errors.New("otlp: no logger")
	}
	client, err := newClient(s.Endpoint, s.Headers)
	if err != nil {
		return nil, err
	}
	exporter := &reporting{SpanExporter: otlptrace.NewUnstarted(client), log: s.Log}
	limits := sdktrace.NewSpanLimits()
	limits.AttributeValueLengthLimit = maxAttributeBytes
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithBatcher(exporter, sdktrace.WithMaxQueueSize(maxQueue), sdktrace.WithMaxExportBatchSize(maxBatch),
			sdktrace.WithBatchTimeout(batchEvery), sdktrace.WithExportTimeout(exportTimeout)),
		sdktrace.WithSampler(sdktrace.TraceIDRatioBased(s.Ratio)),
		sdktrace.WithIDGenerator(ids{}),
		sdktrace.WithRawSpanLimits(limits),
		sdktrace.WithResource(resource.NewSchemaless(
			attribute.String("service.name", s.Service), attribute.String("service.version", s.Version))),
	)
	return &Tracer{provider: provider, tracer: provider.Tracer("github.com/cachito-serverless/cachito")}, nil
}

// Begin implements telemetry.Tracer.
func (t *Tracer) Begin(o telemetry.Options) telemetry.Recorder {
	ctx := context.Background()
	if !o.ID.IsZero() {
		ctx = context.WithValue(ctx, idKey{}, o.ID)
	}
	options := make([]trace.SpanStartOption, 0, 4)
	options = append(options, trace.WithSpanKind(kinds[o.Kind]))
	if o.Parent.IsZero() {
		options = append(options, trace.WithNewRoot())
	} else {
		ctx = trace.ContextWithSpanContext(ctx, spanContext(o.Parent))
	}
	if !o.Start.IsZero() {
		options = append(options, trace.WithTimestamp(o.Start))
	}
	for _, to := range o.Links {
		if !to.IsZero() {
			options = append(options, trace.WithLinks(trace.Link{SpanContext: spanContext(to)}))
		}
	}
	_, span := t.tracer.Start(ctx, o.Name, options...)
	return recorder{span}
}

// Flush implements telemetry.Tracer.
func (t *Tracer) Flush(ctx context.Context) error {
	if err := t.provider.ForceFlush(ctx); err != nil {
		return fmt.Errorf("sending traces: %w", err)
	}
	return nil
}

// Close sends what is left, as long as ctx lasts, and ends the tracer.
func (t *Tracer) Close(ctx context.Context) error {
	if err := t.provider.Shutdown(ctx); err != nil {
		return fmt.Errorf("sending traces: %w", err)
	}
	return nil
}

var kinds = map[telemetry.Kind]trace.SpanKind{
	telemetry.Internal: trace.SpanKindInternal, telemetry.Server: trace.SpanKindServer,
	telemetry.Client: trace.SpanKindClient, telemetry.Consumer: trace.SpanKindConsumer,
}

func spanContext(s telemetry.SpanID) trace.SpanContext {
	return trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: s.Trace, SpanID: s.Span, TraceFlags: trace.FlagsSampled, Remote: true,
	})
}

type recorder struct{ span trace.Span }

func (r recorder) ID() telemetry.SpanID {
	c := r.span.SpanContext()
	return telemetry.SpanID{Trace: c.TraceID(), Span: c.SpanID()}
}

func (r recorder) Name(name string) { r.span.SetName(name) }

func (r recorder) Text(key, value string) { r.span.SetAttributes(attribute.String(key, value)) }

func (r recorder) Number(key string, value int64) { r.span.SetAttributes(attribute.Int64(key, value)) }

func (r recorder) Link(to telemetry.SpanID) {
	r.span.AddLink(trace.Link{SpanContext: spanContext(to)})
}

func (r recorder) Fail(text string) { r.span.SetStatus(codes.Error, text) }

func (r recorder) End() { r.span.End() }
