package api_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/api"
	"github.com/cachito-serverless/cachito/shared/logging"
	"github.com/cachito-serverless/cachito/shared/telemetry"
	"github.com/cachito-serverless/cachito/shared/telemetry/otlp"
	"github.com/cachito-serverless/cachito/shared/telemetry/otlp/otlptest"
)

// order is a body that is accepted.
func order() []byte {
	return []byte(`{"repo": "` + repo + `", "ref": "` + ref + `"}`)
}

func TestCallsAreCountedByRoute(t *testing.T) {
	m := telemetry.NewMetrics(telemetry.MetricsSettings{})
	w := newWorld(t, settings(), func(d *api.Deps) { d.Metrics = m })
	w.ask(http.MethodPost, "/api/v1/requests", user, order(), "Content-Type", "application/json")
	w.ask(http.MethodPost, "/api/v1/requests", user, order(), "Content-Type", "application/json")
	w.ask(http.MethodPost, "/api/v1/requests", user, []byte(`{}`), "Content-Type", "application/json")
	w.ask(http.MethodGet, "/api/v1/requests/1", "", nil)
	w.ask(http.MethodHead, "/api/v1/requests/2", "", nil)
	w.ask(http.MethodGet, "/api/v1/requests/77", "", nil)
	w.ask(http.MethodGet, "/wp-login.php", "", nil)
	w.ask("EVIL", "/api/v1/requests", "", nil)
	w.ask(http.MethodDelete, "/api/v1/requests/3", "", nil)
	var b bytes.Buffer
	if err := m.WritePrometheus(&b); err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(b.String()) {
		if strings.HasPrefix(line, "cachito_http_request_seconds_count") || strings.HasPrefix(line, "cachito_requests_accepted_total") {
			got = append(got, strings.TrimSpace(line))
		}
	}
	want := []string{
		"cachito_requests_accepted_total 2",
		`cachito_http_request_seconds_count{route="GET /api/v1/requests/{id}",status="2xx"} 1`,
		`cachito_http_request_seconds_count{route="GET /api/v1/requests/{id}",status="4xx"} 1`,
		`cachito_http_request_seconds_count{route="HEAD /api/v1/requests/{id}",status="2xx"} 1`,
		`cachito_http_request_seconds_count{route="POST /api/v1/requests",status="2xx"} 2`,
		`cachito_http_request_seconds_count{route="POST /api/v1/requests",status="4xx"} 1`,
		`cachito_http_request_seconds_count{route="none",status="4xx"} 3`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestLinesOfACallNameIt(t *testing.T) {
	logged := &lockedBuffer{}
	w := newWorld(t, settings(), func(d *api.Deps) { d.Log = logging.New(logged, logging.JSON, slog.LevelDebug) })
	created := w.ask(http.MethodPost, "/api/v1/requests", user, order(), "Content-Type", "application/json")
	asked := w.ask(http.MethodGet, "/api/v1/requests/1", "", nil)
	w.ask(http.MethodGet, "/api/v1/status/short", "", nil)
	w.queue.err = errors.New("queue away")
	refused := w.ask(http.MethodPost, "/api/v1/requests", user, order(), "Content-Type", "application/json")
	calls := map[any]int{}
	for line := range strings.Lines(logged.String()) {
		var l map[string]any
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatal(err)
		}
		call := l["http_request_id"]
		calls[call]++
		var about any
		switch call {
		case created.Header().Get("X-Request-Id"), asked.Header().Get("X-Request-Id"):
			about = 1.0
		case refused.Header().Get("X-Request-Id"):
			about = 2.0 // stored, and not scheduled
		}
		if l["cachito_request_id"] != about || strings.Count(line, "cachito_request_id") > 1 {
			t.Errorf("want it to be about request %v: %s", about, line)
		}
	}
	want := map[any]int{created.Header().Get("X-Request-Id"): 2, asked.Header().Get("X-Request-Id"): 1, refused.Header().Get("X-Request-Id"): 2}
	for call, n := range want {
		if calls[call] != n {
			t.Errorf("call %v: got %d lines, want %d\n%s", call, calls[call], n, logged.String())
		}
	}
}

func TestCallsAreTraced(t *testing.T) {
	collector := otlptest.NewCollector(t)
	tracer, err := otlp.New(otlp.Settings{Endpoint: collector.URL, Ratio: 1, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, settings(), func(d *api.Deps) { d.Tracer = tracer })
	caller := telemetry.SpanID{Trace: [16]byte{1}, Span: [8]byte{2}}
	w.ask(http.MethodPost, "/api/v1/requests", user, order(), "Content-Type", "application/json", "traceparent", caller.TraceParent())
	w.ask(http.MethodGet, "/nowhere", "", nil)
	w.queue.err = errors.New("queue away")
	w.ask(http.MethodPost, "/api/v1/requests", user, order(), "Content-Type", "application/json")
	if err := tracer.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	stored, err := w.store.Get(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	root := telemetry.RequestSpan(1, stored.Created, stored.Repo, stored.Ref)
	spans := collector.Spans()
	if len(spans) != 4 {
		t.Fatalf("got %d spans, want the request, its call, one to nowhere and one that failed: %+v", len(spans), spans)
	}
	request, call, nowhere, failed := spans[0], spans[1], spans[2], spans[3]
	callID := telemetry.SpanID{Trace: call.Trace, Span: call.Span}
	if request.Name != "request" || request.Trace != root.Trace || request.Span != root.Span || request.Parent != [8]byte{} || !cmp.Equal(request.Links, []telemetry.SpanID{callID}) {
		t.Errorf("request: got %+v, want the span of its row with a link to the call", request)
	}
	if call.Name != "POST /api/v1/requests" || call.Trace != caller.Trace || call.Parent != caller.Span || !cmp.Equal(call.Links, []telemetry.SpanID{root}) {
		t.Errorf("call: got %+v, want a child of the caller's span with a link to the request", call)
	}
	for key, want := range map[string]string{"http.route": "/api/v1/requests", "http.response.status_code": "201", "cachito.request_id": "1"} {
		if got := call.Attributes[key]; got != want {
			t.Errorf("call: %s: got %q, want %q", key, got, want)
		}
	}
	if nowhere.Name != "GET" || nowhere.Failed != "" || nowhere.Attributes["http.response.status_code"] != "404" {
		t.Errorf("nowhere: got %+v", nowhere)
	}
	if failed.Failed != "Internal Server Error" {
		t.Errorf("failed: got %+v", failed)
	}
}
