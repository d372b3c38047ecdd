package telemetry_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/telemetry"
)

func clock() time.Time { return time.UnixMilli(1_750_000_000_123) }

// parse reads what Prometheus would read.
func parse(t *testing.T, text string) map[string]*dto.MetricFamily {
	t.Helper()
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatalf("Prometheus cannot read it: %v\n%s", err, text)
	}
	return families
}

func scrape(t *testing.T, m *telemetry.Metrics) map[string]*dto.MetricFamily {
	t.Helper()
	var b bytes.Buffer
	if err := m.WritePrometheus(&b); err != nil {
		t.Fatal(err)
	}
	return parse(t, b.String())
}

func labelsOf(m *dto.Metric) string {
	text := ""
	for _, l := range m.GetLabel() {
		text += l.GetName() + "=" + l.GetValue() + ";"
	}
	return text
}

func TestPrometheusReadsIt(t *testing.T) {
	m := telemetry.NewMetrics(telemetry.MetricsSettings{})
	m.Add(telemetry.RequestsFailed, 2, "client")
	m.Add(telemetry.RequestsFailed, 1, "client")
	m.Add(telemetry.RequestsFailed, 1, "server")
	m.Set(telemetry.QueueOldestSeconds, 7, "source")
	m.Set(telemetry.QueueOldestSeconds, 3.5, "source")
	const odd = "a \"quoted\"\nback\\slash"
	m.Add(telemetry.DeadLetters, 1, odd)
	m.Add(telemetry.DeadLetters, 1, "not \xff UTF-8")
	for _, v := range []float64{.01, .05, .06, 5000} {
		m.Observe(telemetry.StepSeconds, v, "source", "done")
	}
	families := scrape(t, m)

	got := map[string]float64{}
	for _, metric := range families["cachito_requests_failed_total"].GetMetric() {
		got[labelsOf(metric)] = metric.GetCounter().GetValue()
	}
	if diff := cmp.Diff(map[string]float64{"origin=client;": 3, "origin=server;": 1}, got); diff != "" {
		t.Errorf("counter (-want +got):\n%s", diff)
	}
	if got := families["cachito_queue_oldest_seconds"].GetMetric()[0].GetGauge().GetValue(); got != 3.5 {
		t.Errorf("gauge: got %v, want 3.5", got)
	}
	var letters []string
	for _, metric := range families["cachito_dead_letters_total"].GetMetric() {
		letters = append(letters, metric.GetLabel()[0].GetValue())
	}
	if diff := cmp.Diff([]string{odd, "not \uFFFD UTF-8"}, letters); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
	h := families["cachito_step_seconds"].GetMetric()[0].GetHistogram()
	if h.GetSampleCount() != 4 || math.Abs(h.GetSampleSum()-5000.12) > 1e-9 {
		t.Errorf("histogram: got count %d and sum %v, want 4 and 5000.12", h.GetSampleCount(), h.GetSampleSum())
	}
	below := map[float64]uint64{}
	for _, b := range h.GetBucket() {
		below[b.GetUpperBound()] = b.GetCumulativeCount()
	}
	for bound, want := range map[float64]uint64{.05: 2, .1: 3, 3600: 3, math.Inf(1): 4} {
		if got := below[bound]; got != want {
			t.Errorf("bucket up to %v: got %d, want %d", bound, got, want)
		}
	}
	// Without labels they are there before anything happened.
	if got := families["cachito_requests_accepted_total"].GetMetric()[0].GetCounter().GetValue(); got != 0 {
		t.Errorf("accepted: got %v, want 0", got)
	}
}

func TestHandler(t *testing.T) {
	m := telemetry.NewMetrics(telemetry.MetricsSettings{})
	m.Add(telemetry.RequestsAccepted, 1)
	server := httptest.NewServer(m.Handler())
	defer server.Close()
	res, err := http.Get(server.URL + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if got := parse(t, string(text))["cachito_requests_accepted_total"].GetMetric()[0].GetCounter().GetValue(); got != 1 {
		t.Errorf("accepted: got %v, want 1", got)
	}
	if got := expfmt.ResponseFormat(res.Header).FormatType(); got != expfmt.TypeTextPlain {
		t.Errorf("Content-Type %q: Prometheus takes it for %v", res.Header.Get("Content-Type"), got)
	}
	if other, err := http.Get(server.URL + "/"); err != nil || other.StatusCode != http.StatusNotFound {
		t.Errorf("another path: got %v, %v; want 404", other.StatusCode, err)
	}
}

func TestEveryDefinitionIsWellFormed(t *testing.T) {
	seen := map[string]bool{}
	for _, d := range telemetry.Definitions() {
		if seen[d.Name] {
			t.Errorf("%s is there twice", d.Name)
		}
		seen[d.Name] = true
		if got, want := strings.HasSuffix(d.Name, "_total"), d.Type == telemetry.Counter; got != want {
			t.Errorf("%s: counters, and only they, end in _total", d.Name)
		}
		unit := map[telemetry.Unit]string{telemetry.Seconds: "_seconds", telemetry.Bytes: "_bytes"}[d.Unit]
		if !strings.Contains(d.Name, unit) {
			t.Errorf("%s: its name lacks its unit %s", d.Name, unit)
		}
		if d.Meaning == "" {
			t.Errorf("%s has no meaning", d.Name)
		}
		labels := make([]string, len(d.Labels))
		m := telemetry.NewMetrics(telemetry.MetricsSettings{})
		switch d.Type {
		case telemetry.Counter:
			m.Add(d, 1, labels...)
		case telemetry.Gauge:
			m.Set(d, 1, labels...)
		case telemetry.Histogram:
			m.Observe(d, 1, labels...)
		}
		family := scrape(t, m)[d.Name]
		if got := strings.ToLower(family.GetType().String()); got != string(d.Type) {
			t.Errorf("%s: Prometheus reads a %s, want %s", d.Name, got, d.Type)
		}
		// The parser lets bounds go that are not in order.
		last := math.Inf(-1)
		for _, b := range family.GetMetric()[0].GetHistogram().GetBucket() {
			if b.GetUpperBound() <= last {
				t.Errorf("%s: bound %v after %v", d.Name, b.GetUpperBound(), last)
			}
			last = b.GetUpperBound()
		}
	}
}

func TestHost(t *testing.T) {
	m := telemetry.NewMetrics(telemetry.MetricsSettings{Hosts: []string{"Registry.Example"}})
	for host, want := range map[string]string{
		"registry.example": "registry.example", "registry.example:443": "registry.example", "REGISTRY.example": "registry.example",
		"evil.example": "other", "sub.registry.example": "other", "": "other", "[::1]:80": "other",
	} {
		if got := m.Host(host); got != want {
			t.Errorf("%q: got %q, want %q", host, got, want)
		}
	}
}

func TestSeriesAreBounded(t *testing.T) {
	m := telemetry.NewMetrics(telemetry.MetricsSettings{})
	const extra = 50
	for i := range telemetry.MaxSeries + extra {
		m.Add(telemetry.StepRetries, 1, fmt.Sprint("step-", i))
	}
	all := scrape(t, m)["cachito_step_retries_total"].GetMetric()
	if got, want := len(all), telemetry.MaxSeries+1; got != want {
		t.Errorf("series: got %d, want %d", got, want)
	}
	rest := 0.0
	for _, metric := range all {
		if metric.GetLabel()[0].GetValue() == telemetry.Other {
			rest = metric.GetCounter().GetValue()
		}
	}
	if rest != extra {
		t.Errorf("counted as other: got %v, want %d", rest, extra)
	}
}

func TestMetricsAreSafeForConcurrentUse(t *testing.T) {
	var out bytes.Buffer
	m := telemetry.NewMetrics(telemetry.MetricsSettings{EMF: &out, Namespace: "N"})
	const workers, each = 8, 250
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for range each {
				m.Add(telemetry.RequestsAccepted, 1)
				m.Observe(telemetry.CallSeconds, .1, "GET /", "2xx")
			}
			if err := m.Flush(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	families := scrape(t, m)
	if got := families["cachito_requests_accepted_total"].GetMetric()[0].GetCounter().GetValue(); got != workers*each {
		t.Errorf("counter: got %v, want %d", got, workers*each)
	}
	if got := families["cachito_http_request_seconds"].GetMetric()[0].GetHistogram().GetSampleCount(); got != workers*each {
		t.Errorf("histogram: got %v, want %d", got, workers*each)
	}
	added, observed := 0.0, 0
	for _, line := range emfLines(t, out.String()) {
		for name, values := range line.values {
			if name == "cachito_requests_accepted_total" {
				added += values[0]
			}
			if name == "cachito_http_request_seconds" {
				observed += len(values)
			}
		}
	}
	if added != workers*each || observed != workers*each {
		t.Errorf("EMF: got %v and %d, want %d of both", added, observed, workers*each)
	}
}

// emfLine is a line as CloudWatch takes it apart.
type emfLine struct {
	namespace  string
	timestamp  int64
	dimensions map[string]string
	units      map[string]string
	values     map[string][]float64
}

// emfLines reads embedded metric format by its specification's rules.
func emfLines(t *testing.T, text string) []emfLine {
	t.Helper()
	var lines []emfLine
	for raw := range strings.Lines(text) {
		if len(raw) > 256<<10 {
			t.Fatalf("a line of %d bytes: CloudWatch takes 256 KB", len(raw))
		}
		var line struct {
			AWS struct {
				Timestamp         int64
				CloudWatchMetrics []struct {
					Namespace  string
					Dimensions [][]string
					Metrics    []struct{ Name, Unit string }
				}
			} `json:"_aws"`
		}
		var members map[string]json.RawMessage
		if err := errors.Join(json.Unmarshal([]byte(raw), &line), json.Unmarshal([]byte(raw), &members)); err != nil {
			t.Fatalf("%s: %v", raw, err)
		}
		if len(line.AWS.CloudWatchMetrics) != 1 || len(line.AWS.CloudWatchMetrics[0].Dimensions) != 1 {
			t.Fatalf("want one directive with one set of dimensions: %s", raw)
		}
		directive := line.AWS.CloudWatchMetrics[0]
		out := emfLine{
			namespace: directive.Namespace, timestamp: line.AWS.Timestamp,
			dimensions: map[string]string{}, units: map[string]string{}, values: map[string][]float64{},
		}
		for _, name := range directive.Dimensions[0] {
			var value string
			if err := json.Unmarshal(members[name], &value); err != nil || value == "" {
				t.Fatalf("dimension %s: want a text, got %s", name, members[name])
			}
			out.dimensions[name] = value
		}
		if len(directive.Metrics) == 0 || len(directive.Metrics) > 100 {
			t.Fatalf("%d metrics: want 1 to 100", len(directive.Metrics))
		}
		for _, metric := range directive.Metrics {
			out.units[metric.Name] = metric.Unit
			var one float64
			var many []float64
			if json.Unmarshal(members[metric.Name], &one) == nil {
				many = []float64{one}
			} else if err := json.Unmarshal(members[metric.Name], &many); err != nil || len(many) > 100 {
				t.Fatalf("metric %s: want a number or up to 100, got %s", metric.Name, members[metric.Name])
			}
			out.values[metric.Name] = many
		}
		lines = append(lines, out)
	}
	return lines
}

func TestEMF(t *testing.T) {
	var out bytes.Buffer
	m := telemetry.NewMetrics(telemetry.MetricsSettings{EMF: &out, Namespace: "Cachito/prod", Clock: clock})
	m.Add(telemetry.RequestsAccepted, 1)
	m.Add(telemetry.RequestsCompleted, 1)
	m.Add(telemetry.RequestsCompleted, 1)
	m.Observe(telemetry.StepSeconds, 1.5, "source", "done")
	m.Observe(telemetry.StepSeconds, 2.5, "source", "done")
	m.Set(telemetry.QueueOldestSeconds, 0, "source") // stays 0
	m.Set(telemetry.QueueOldestSeconds, 7.5, "bundle")
	if err := m.Flush(); err != nil {
		t.Fatal(err)
	}
	got := emfLines(t, out.String())
	want := []emfLine{
		{
			dimensions: map[string]string{"queue": "bundle"},
			units:      map[string]string{"cachito_queue_oldest_seconds": "Seconds"},
			values:     map[string][]float64{"cachito_queue_oldest_seconds": {7.5}},
		},
		{
			dimensions: map[string]string{"step": "source", "outcome": "done"},
			units:      map[string]string{"cachito_step_seconds": "Seconds"},
			values:     map[string][]float64{"cachito_step_seconds": {1.5, 2.5}},
		},
		{
			dimensions: map[string]string{},
			units:      map[string]string{"cachito_requests_accepted_total": "Count", "cachito_requests_completed_total": "Count"},
			values:     map[string][]float64{"cachito_requests_accepted_total": {1}, "cachito_requests_completed_total": {2}},
		},
	}
	for i := range want {
		want[i].namespace, want[i].timestamp = "Cachito/prod", 1_750_000_000_123
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(emfLine{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}

	out.Reset()
	if err := m.Flush(); err != nil || out.Len() > 0 {
		t.Errorf("nothing was counted since, and it writes %q, %v", out.String(), err)
	}
	m.Set(telemetry.QueueOldestSeconds, 0, "bundle")
	if err := m.Flush(); err != nil {
		t.Fatal(err)
	}
	if got := emfLines(t, out.String())[0].values["cachito_queue_oldest_seconds"]; !cmp.Equal(got, []float64{0}) {
		t.Errorf("a gauge that became 0: got %v, want [0]", got)
	}
	out.Reset()
	m.Set(telemetry.QueueOldestSeconds, 0, "bundle")
	m.Add(telemetry.RequestsAccepted, 1)
	if err := m.Flush(); err != nil {
		t.Fatal(err)
	}
	if got := emfLines(t, out.String())[0].values["cachito_requests_accepted_total"]; !cmp.Equal(got, []float64{1}) {
		t.Errorf("a counter is written as what was added since: got %v, want [1]", got)
	}
}

func TestEMFValuesAreSpreadOverLines(t *testing.T) {
	var out bytes.Buffer
	m := telemetry.NewMetrics(telemetry.MetricsSettings{EMF: &out, Namespace: "N", Clock: clock})
	for range 250 {
		m.Observe(telemetry.BundleBytes, 5)
	}
	if err := m.Flush(); err != nil {
		t.Fatal(err)
	}
	var got []int
	for _, line := range emfLines(t, out.String()) {
		got = append(got, len(line.values["cachito_bundle_bytes"]))
	}
	if diff := cmp.Diff([]int{100, 100, 50}, got); diff != "" {
		t.Errorf("values of each line (-want +got):\n%s", diff)
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("pipe broken") }

func TestFlushTellsOfTrouble(t *testing.T) {
	m := telemetry.NewMetrics(telemetry.MetricsSettings{EMF: brokenWriter{}, Namespace: "N"})
	m.Add(telemetry.RequestsAccepted, 1)
	if err := m.Flush(); err == nil || !strings.Contains(err.Error(), "pipe broken") {
		t.Errorf("got %v, want the writer's error", err)
	}
}

func TestStatusClass(t *testing.T) {
	for status, want := range map[int]string{200: "2xx", 302: "3xx", 404: "4xx", 599: "5xx", 0: "other", 600: "other"} {
		if got := telemetry.StatusClass(status); got != want {
			t.Errorf("%d: got %q, want %q", status, got, want)
		}
	}
}
