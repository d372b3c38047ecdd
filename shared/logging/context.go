package logging

import (
	"context"
	"encoding/hex"
	"log/slog"
	"slices"

	"github.com/aws/aws-lambda-go/lambdacontext"

	"github.com/cachito-serverless/cachito/shared/telemetry"
)

// Keys of attributes that come from the context.
const (
	// InvocationKey is the name that AWS's own log lines have for a function's invocation.
	InvocationKey = "requestId"
	TraceKey      = "trace_id"
	SpanKey       = "span_id"
)

// contextHandler adds what the context of a line knows. Whoever logs may have said it already, with the same
// key: then it is left out.
type contextHandler struct {
	slog.Handler
	has []string // keys of WithAttrs
}

// Handle implements slog.Handler.
func (h contextHandler) Handle(ctx context.Context, r slog.Record) error {
	if extra := h.missing(ctx, r); len(extra) > 0 {
		r = r.Clone()
		r.AddAttrs(extra...)
	}
	return h.Handler.Handle(ctx, r)
}

func (h contextHandler) missing(ctx context.Context, r slog.Record) []slog.Attr {
	var extra []slog.Attr
	add := func(a slog.Attr) {
		if slices.Contains(h.has, a.Key) {
			return
		}
		found := false
		r.Attrs(func(b slog.Attr) bool {
			found = b.Key == a.Key
			return !found
		})
		if !found {
			extra = append(extra, a)
		}
	}
	for _, a := range telemetry.LogAttrs(ctx) {
		add(a)
	}
	if span := telemetry.Current(ctx); !span.IsZero() {
		add(slog.String(TraceKey, hex.EncodeToString(span.Trace[:])))
		add(slog.String(SpanKey, hex.EncodeToString(span.Span[:])))
	}
	if function, ok := lambdacontext.FromContext(ctx); ok && function.AwsRequestID != "" {
		add(slog.String(InvocationKey, function.AwsRequestID)) //nolint:sloglint // the key is AWS's
	}
	return extra
}

// WithAttrs implements slog.Handler.
func (h contextHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	has := slices.Clone(h.has)
	for _, a := range attrs {
		has = append(has, a.Key)
	}
	return contextHandler{h.Handler.WithAttrs(attrs), has}
}

// WithGroup implements slog.Handler. What the context knows is then in the group as well: slog has no way out
// of one.
func (h contextHandler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	return contextHandler{Handler: h.Handler.WithGroup(name)}
}
