package awsclient

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/telemetry"
)

// told is a Tracer that writes down what its spans are told.
type told struct{ text []string }

func (s *told) tell(parts ...string) { s.text = append(s.text, strings.Join(parts, " ")) }

func (s *told) Begin(telemetry.Options) telemetry.Recorder { return s }
func (s *told) Flush(context.Context) error                { return nil }
func (s *told) ID() telemetry.SpanID                       { return telemetry.SpanID{Trace: [16]byte{1}, Span: [8]byte{1}} }
func (s *told) Name(name string)                           { s.tell("name", name) }
func (s *told) Text(string, string)                        {}
func (s *told) Number(key string, v int64)                 { s.tell(key, strconv.FormatInt(v, 10)) }
func (s *told) Link(telemetry.SpanID)                      {}
func (s *told) Fail(text string)                           { s.tell("fail", text) }
func (s *told) End()                                       { s.tell("end") }

type noAnswer struct{}

func (noAnswer) RoundTrip(*http.Request) (*http.Response, error) { return nil, errors.New("broken") }

func TestCallsAreSpans(t *testing.T) {
	const scope = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261125/eu-west-1/"
	tests := []struct {
		name, authorization, target, path string
		status                            int // 0: no answer
		want                              []string
	}{
		{"dynamodb", scope + "dynamodb/aws4_request, SignedHeaders=host", "DynamoDB_20120810.GetItem", "/", 200, []string{"name dynamodb GetItem", "http.response.status_code 200", "end"}},
		{"sqs throttles", scope + "sqs/aws4_request", "AmazonSQS.SendMessage", "/", 429, []string{"name sqs SendMessage", "http.response.status_code 429", "fail Too Many Requests", "end"}},
		{"s3", scope + "s3/aws4_request", "", "/bucket/key", 412, []string{"name s3 PUT", "http.response.status_code 412", "end"}},
		{"cloudwatch", scope + "monitoring/aws4_request", "", "/service/GraniteServiceVersion20100801/operation/GetMetricStatistics", 500, []string{"name monitoring GetMetricStatistics", "http.response.status_code 500", "fail Internal Server Error", "end"}},
		{"no answer, not signed", "", "", "/", 0, []string{"name unknown PUT", "fail no answer", "end"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(tt.status) }))
			defer server.Close()
			base := server.Client().Transport
			if tt.status == 0 {
				base = noAnswer{}
			}
			spans := &told{}
			for _, ctx := range []context.Context{t.Context(), telemetry.WithTracer(t.Context(), spans)} {
				if len(spans.text) > 0 {
					t.Errorf("without a tracer: got %v", spans.text)
				}
				r, err := http.NewRequestWithContext(ctx, http.MethodPut, server.URL+tt.path, nil)
				if err != nil {
					t.Fatal(err)
				}
				r.Header.Set("Authorization", tt.authorization)
				r.Header.Set("X-Amz-Target", tt.target)
				res, err := Traced(base).RoundTrip(r)
				if (err != nil) != (tt.status == 0) {
					t.Fatal(err)
				}
				if err == nil {
					res.Body.Close()
				}
			}
			if diff := cmp.Diff(tt.want, spans.text); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
