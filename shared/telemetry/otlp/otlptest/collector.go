// Package otlptest is a collector of spans for tests: it listens on loopback, understands OTLP over HTTP
// as OpenTelemetry's collector does, and keeps what it receives.
package otlptest

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/cachito-serverless/cachito/shared/telemetry"
)

// Collector keeps spans. It ends with its test.
type Collector struct {
	URL string // http://127.0.0.1:PORT

	t       testing.TB
	mu      sync.Mutex
	spans   []Span
	headers []http.Header
}

// Span is a span as it arrived.
type Span struct {
	Trace        [16]byte
	Span, Parent [8]byte
	Name         string
	Kind         string // "SERVER"
	Start, End   time.Time
	Failed       string // the status's message, or "failed"; "" for a span that did not fail
	Links        []telemetry.SpanID
	Attributes   map[string]string
	Resource     map[string]string
}

// NewCollector starts a collector.
func NewCollector(t testing.TB) *Collector {
	t.Helper()
	c := &Collector{t: t}
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	c.URL = server.URL
	return c
}

// Spans that arrived so far.
func (c *Collector) Spans() []Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]Span(nil), c.spans...)
}

// Headers of the calls that brought them.
func (c *Collector) Headers() []http.Header {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]http.Header(nil), c.headers...)
}

// ServeHTTP implements http.Handler.
func (c *Collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil || r.Method != http.MethodPost || r.URL.Path != "/v1/traces" || r.Header.Get("Content-Type") != "application/x-protobuf" {
		c.t.Errorf("collector: %s %s with Content-Type %q, %v", r.Method, r.URL.Path, r.Header.Get("Content-Type"), err)
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	// The wire form of ExportTraceServiceRequest.
	var data tracepb.TracesData
	if err := (proto.UnmarshalOptions{DiscardUnknown: false}).Unmarshal(body, &data); err != nil || len(data.ProtoReflect().GetUnknown()) > 0 {
		c.t.Errorf("collector: unreadable body: %v", err)
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.headers = append(c.headers, r.Header.Clone())
	for _, of := range data.GetResourceSpans() {
		resource := map[string]string{}
		for _, a := range of.GetResource().GetAttributes() {
			resource[a.GetKey()] = a.GetValue().GetStringValue()
		}
		for _, scope := range of.GetScopeSpans() {
			for _, s := range scope.GetSpans() {
				span := read(s)
				span.Resource = resource
				c.spans = append(c.spans, span)
			}
		}
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
}

func read(s *tracepb.Span) Span {
	out := Span{
		Name: s.GetName(), Kind: strings.TrimPrefix(s.GetKind().String(), "SPAN_KIND_"),
		Start: time.Unix(0, int64(s.GetStartTimeUnixNano())), End: time.Unix(0, int64(s.GetEndTimeUnixNano())),
		Attributes: map[string]string{},
	}
	copy(out.Trace[:], s.GetTraceId())
	copy(out.Span[:], s.GetSpanId())
	copy(out.Parent[:], s.GetParentSpanId())
	if s.GetStatus().GetCode() == tracepb.Status_STATUS_CODE_ERROR {
		if out.Failed = s.GetStatus().GetMessage(); out.Failed == "" {
			out.Failed = "failed"
		}
	}
	for _, l := range s.GetLinks() {
		var id telemetry.SpanID
		copy(id.Trace[:], l.GetTraceId())
		copy(id.Span[:], l.GetSpanId())
		out.Links = append(out.Links, id)
	}
	for _, a := range s.GetAttributes() {
		text := a.GetValue().GetStringValue()
		if n, ok := a.GetValue().GetValue().(*commonpb.AnyValue_IntValue); ok {
			text = strconv.FormatInt(n.IntValue, 10)
		}
		out.Attributes[a.GetKey()] = text
	}
	return out
}
