package otlp

import (
	"context"
	"crypto/rand"

	"go.opentelemetry.io/otel/trace"

	"github.com/cachito-serverless/cachito/shared/telemetry"
)

type idKey struct{}

// ids makes the ids of spans: random ones, or the one that the context asks for.
type ids struct{}

// NewIDs implements the SDK's IDGenerator.
func (ids) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	if id, ok := ctx.Value(idKey{}).(telemetry.SpanID); ok {
		return id.Trace, id.Span
	}
	var t trace.TraceID
	rand.Read(t[:]) // never fails since Go 1.24
	return t, randomSpan()
}

// NewSpanID implements the SDK's IDGenerator.
func (ids) NewSpanID(ctx context.Context, _ trace.TraceID) trace.SpanID {
	if id, ok := ctx.Value(idKey{}).(telemetry.SpanID); ok {
		return id.Span
	}
	return randomSpan()
}

func randomSpan() trace.SpanID {
	var s trace.SpanID
	rand.Read(s[:])
	return s
}
