package fetch

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/telemetry"
)

// counted are the lines of the fetch metrics.
func counted(t *testing.T, m *telemetry.Metrics) []string {
	t.Helper()
	var b bytes.Buffer
	if err := m.WritePrometheus(&b); err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(b.String()) {
		if strings.HasPrefix(line, "cachito_fetch") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

func TestRequestsAreCounted(t *testing.T) {
	m := telemetry.NewMetrics(telemetry.MetricsSettings{Hosts: []string{"127.0.0.1"}})
	tries := 0
	base, host := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/busy":
			if tries++; tries == 1 {
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
		case "/gone":
			w.WriteHeader(http.StatusGone)
			return
		case "/moved":
			http.Redirect(w, r, "/file", http.StatusFound)
			return
		}
		io.WriteString(w, "12345")
	})
	c, _ := client(t, Settings{AllowHosts: []string{host}, Metrics: m})
	for _, path := range []string{"/file", "/busy", "/gone", "/moved"} {
		_, err := read(t, c, base+path, nil)
		if (err != nil) != (path == "/gone") {
			t.Fatal(path, err)
		}
	}
	if _, err := read(t, c, "http://10.0.0.1/", nil); err == nil {
		t.Fatal("a private address was not refused")
	}
	stopped, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Get(stopped, base+"/file", nil); err == nil {
		t.Fatal("want an error")
	}
	// The redirect's own body has a link in HTML, which net/http reads in part; the bytes of files are exact.
	got := counted(t, m)
	want := []string{
		`cachito_fetch_requests_total{host="127.0.0.1",outcome="2xx"} 3`,
		`cachito_fetch_requests_total{host="127.0.0.1",outcome="3xx"} 1`,
		`cachito_fetch_requests_total{host="127.0.0.1",outcome="4xx"} 1`,
		`cachito_fetch_requests_total{host="127.0.0.1",outcome="5xx"} 1`,
		`cachito_fetch_requests_total{host="127.0.0.1",outcome="canceled"} 1`,
		`cachito_fetch_requests_total{host="other",outcome="refused"} 1`,
		`cachito_fetch_retries_total{host="127.0.0.1"} 1`,
	}
	if diff := cmp.Diff(want, got[:min(len(want), len(got))]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestBytesAreCountedAsTheyAreRead(t *testing.T) {
	m := telemetry.NewMetrics(telemetry.MetricsSettings{})
	base, host := serve(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, strings.Repeat("x", 10_000)) })
	c, _ := client(t, Settings{AllowHosts: []string{host}, Metrics: m})
	if _, err := read(t, c, base, nil); err != nil {
		t.Fatal(err)
	}
	resp, err := c.Get(t.Context(), base, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(resp.Body, make([]byte, 7)); err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	resp.Body.Close()
	if got, want := strings.Join(counted(t, m), "\n"), `cachito_fetched_bytes_total{host="other"} 10007`; !strings.Contains(got, want) {
		t.Errorf("got %s, want %s", got, want)
	}
}

// spans is a Tracer that writes down what spans are told.
type spans struct {
	mu   sync.Mutex
	told []string
}

func (s *spans) tell(parts ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.told = append(s.told, strings.Join(parts, " "))
}

func (s *spans) Begin(o telemetry.Options) telemetry.Recorder {
	s.tell("begin", o.Name)
	return toldSpan{s}
}
func (s *spans) Flush(context.Context) error { return nil }

type toldSpan struct{ *spans }

func (toldSpan) ID() telemetry.SpanID         { return telemetry.SpanID{Trace: [16]byte{1}, Span: [8]byte{1}} }
func (s toldSpan) Name(name string)           { s.tell("name", name) }
func (s toldSpan) Text(key, value string)     { s.tell(key, value) }
func (s toldSpan) Number(key string, v int64) { s.tell(key, number(v)) }
func (s toldSpan) Link(telemetry.SpanID)      {}
func (s toldSpan) Fail(text string)           { s.tell("fail", text) }
func (s toldSpan) End()                       { s.tell("end") }

func number(v int64) string {
	if v < 10 {
		return string(rune('0' + v))
	}
	return number(v/10) + number(v%10)
}

func TestSpanEndsWithTheBody(t *testing.T) {
	tries := 0
	base, host := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if tries++; tries == 1 {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		io.WriteString(w, "12345")
	})
	c, _ := client(t, Settings{AllowHosts: []string{host}})
	s := &spans{}
	r, err := http.NewRequestWithContext(telemetry.WithTracer(t.Context(), s), http.MethodGet, "http://user:s3cret@"+host+"/file?token=s3cret", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Transport().RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	s.tell("- body")
	io.Copy(io.Discard, resp.Body)
	resp.Body.Close()

	gone, err := http.NewRequestWithContext(telemetry.WithTracer(t.Context(), s), http.MethodGet, "http://10.0.0.1/", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Transport().RoundTrip(gone); err == nil {
		t.Fatal("a private address was not refused")
	}
	want := []string{
		"begin fetch", "http.request.method GET", "server.address " + host, "url.full " + base + "/file",
		"http.request.resend_count 1", "http.response.status_code 200", "- body", "http.response.body.size 5", "end",
		"begin fetch", "http.request.method GET", "server.address 10.0.0.1", "url.full http://10.0.0.1/", "fail refused", "end",
	}
	if diff := cmp.Diff(want, s.told); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestBodiesAreNotWrappedForNobody(t *testing.T) {
	base, host := serve(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "12345") })
	c, _ := client(t, Settings{AllowHosts: []string{host}})
	resp, err := c.Get(t.Context(), base, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, counted := resp.Body.(*countedBody); counted {
		t.Error("a body is counted although nobody asked for it")
	}
}
