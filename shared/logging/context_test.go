package logging_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/logging"
	"github.com/cachito-serverless/cachito/shared/telemetry"
)

// fixed is a Tracer whose spans all have one id.
type fixed struct{ telemetry.Recorder }

func (fixed) Flush(context.Context) error                  { return nil }
func (f fixed) Begin(telemetry.Options) telemetry.Recorder { return f }
func (fixed) ID() telemetry.SpanID {
	return telemetry.SpanID{Trace: [16]byte{0xab}, Span: [8]byte{0xcd}}
}

func TestLinesCarryWhatTheirContextKnows(t *testing.T) {
	request := func(ctx context.Context) context.Context { return telemetry.ForRequest(ctx, 7) }
	tests := []struct {
		name    string
		context func(context.Context) context.Context
		log     func(context.Context, *slog.Logger)
		want    map[string]any
	}{
		{
			"nothing is known", func(ctx context.Context) context.Context { return ctx },
			func(ctx context.Context, log *slog.Logger) { log.InfoContext(ctx, "hello") },
			map[string]any{},
		},
		{
			"the request", request,
			func(ctx context.Context, log *slog.Logger) { log.InfoContext(ctx, "hello", "bytes", 1) },
			map[string]any{"bytes": 1.0, "cachito_request_id": 7.0},
		},
		{
			"said in the line already", request,
			func(ctx context.Context, log *slog.Logger) { log.InfoContext(ctx, "hello", "cachito_request_id", 8) },
			map[string]any{"cachito_request_id": 8.0},
		},
		{
			"said by the logger already", request,
			func(ctx context.Context, log *slog.Logger) {
				log.With("cachito_request_id", 9).With("step", "source").InfoContext(ctx, "hello")
			},
			map[string]any{"cachito_request_id": 9.0, "step": "source"},
		},
		{
			"in a group", request,
			func(ctx context.Context, log *slog.Logger) {
				log.WithGroup("").WithGroup("g").InfoContext(ctx, "hello")
			},
			map[string]any{"g": map[string]any{"cachito_request_id": 7.0}},
		},
		{
			"the invocation of a function", func(ctx context.Context) context.Context {
				return lambdacontext.NewContext(request(ctx), &lambdacontext.LambdaContext{AwsRequestID: "c6af9ac6"})
			},
			func(ctx context.Context, log *slog.Logger) { log.InfoContext(ctx, "hello") },
			map[string]any{"cachito_request_id": 7.0, "requestId": "c6af9ac6"},
		},
		{
			"the trace", func(ctx context.Context) context.Context {
				ctx, _ = telemetry.Start(telemetry.WithTracer(ctx, fixed{}), "x", telemetry.Internal)
				return ctx
			},
			func(ctx context.Context, log *slog.Logger) { log.InfoContext(ctx, "hello") },
			map[string]any{"trace_id": "ab" + strings.Repeat("0", 30), "span_id": "cd" + strings.Repeat("0", 14)},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			tt.log(tt.context(t.Context()), logging.New(&out, logging.JSON, slog.LevelInfo))
			var got map[string]any
			if err := json.Unmarshal(out.Bytes(), &got); err != nil {
				t.Fatal(err)
			}
			for key := range got {
				if n := strings.Count(out.String(), `"`+key+`":`); n != 1 {
					t.Errorf("%s is there %d times: %s", key, n, out.String())
				}
			}
			for _, key := range []string{"time", "level", "msg"} {
				delete(got, key)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestContextIsNoReasonToForgetRedaction(t *testing.T) {
	var out bytes.Buffer
	ctx := telemetry.WithLogAttrs(t.Context(), slog.String("url", "https://u:s3cret@host/x"))
	logging.New(&out, logging.JSON, slog.LevelInfo).InfoContext(ctx, "hello")
	if strings.Contains(out.String(), "s3cret") || !strings.Contains(out.String(), "https://host/x") {
		t.Errorf("got %s", out.String())
	}
}
