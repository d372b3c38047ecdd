package functions_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/function/functiontest"
	"github.com/cachito-serverless/cachito/shared/telemetry"
	"github.com/cachito-serverless/cachito/shared/telemetry/otlp/otlptest"
)

// TestWatched follows one request through all functions: its id in every line, one trace, and its metrics.
func TestWatched(t *testing.T) {
	p := newPlace(t)
	collector := otlptest.NewCollector(t)
	p.settings["OTEL_EXPORTER_OTLP_ENDPOINT"] = collector.URL
	p.settings["CACHITO_METRICS_NAMESPACE"] = "Cachito/test"
	p.settings["CACHITO_LOG_LEVEL"] = "debug"
	p.settings["CACHITO_LOG_FORMAT"] = "json"

	api := p.start(t, "api", apiLimit)
	var answer events.APIGatewayV2HTTPResponse
	api.into(&answer, functiontest.Call("POST", "/api/v1/requests",
		fmt.Sprintf(`{"repo": %q, "ref": %q, "pkg_managers": ["npm"]}`, p.URL, p.Ref), "content-type", "application/json"))
	if answer.StatusCode != http.StatusCreated {
		t.Fatalf("creating a request: %+v", answer)
	}
	logs := map[string]*running{"api": api}
	for _, s := range []struct{ function, step string }{{"source", "source"}, {"resolve", "resolve-npm"}, {"bundle", "bundle"}} {
		logs[s.function] = p.start(t, s.function, 20*time.Second)
		p.step(t, logs[s.function], s.step)
	}

	counted := map[string]float64{}
	for name, f := range logs {
		text := f.output.String()
		for deadline := time.Now().Add(10 * time.Second); !strings.Contains(text, `"_aws"`) && time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
			text = f.output.String() // what was written is on its way through the emulator
		}
		lines := 0
		for line := range strings.Lines(text) {
			var l map[string]any
			if json.Unmarshal([]byte(line), &l) != nil {
				continue // the emulator's own
			}
			if aws, ok := l["_aws"].(map[string]any); ok {
				countEMF(t, counted, aws, l)
				continue
			}
			lines++
			if l[telemetry.RequestKey] != 1.0 || l["requestId"] == nil || l["requestId"] == "" {
				t.Errorf("%s: want the request and the invocation in %s", name, line)
			}
			if _, call := l[telemetry.CallKey]; name == "api" && !call {
				t.Errorf("api: want the call in %s", line)
			}
		}
		if lines == 0 {
			t.Errorf("%s has logged nothing:\n%s", name, text)
		}
	}
	for name, want := range map[string]float64{
		"cachito_requests_accepted_total": 1, "cachito_requests_completed_total": 1,
		"cachito_http_request_seconds POST /api/v1/requests 2xx": 1,
		"cachito_step_seconds source done":                       1, "cachito_step_seconds resolve-npm done": 1, "cachito_step_seconds bundle done": 1,
		"cachito_request_seconds complete": 1, "cachito_bundle_bytes": 1,
	} {
		if counted[name] != want {
			t.Errorf("%s: got %v, want %v", name, counted[name], want)
		}
	}
	if t.Failed() {
		t.Logf("counted %v", counted)
	}

	req := p.request(t)
	root := telemetry.RequestSpan(req.ID, req.Created, req.Repo, req.Ref)
	got, aws := map[string]bool{}, map[string]bool{}
	for _, s := range collector.Spans() {
		if service, _, _ := strings.Cut(s.Name, " "); s.Kind == "CLIENT" && s.Name != "fetch" {
			aws[service] = true
		}
		if s.Trace == root.Trace && (s.Name == "request" || s.Parent == root.Span) {
			got[s.Name] = true
		}
	}
	if diff := cmp.Diff([]string{"request", "step bundle", "step resolve-npm", "step source"}, slices.Sorted(maps.Keys(got))); diff != "" {
		t.Errorf("the request's trace (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"dynamodb", "s3", "sqs"}, slices.Sorted(maps.Keys(aws))); diff != "" {
		t.Errorf("services that were called (-want +got):\n%s", diff)
	}
}

// countEMF adds a line of metrics: numbers of counters, how many values of histograms.
func countEMF(t *testing.T, counted map[string]float64, aws, line map[string]any) {
	t.Helper()
	directive := aws["CloudWatchMetrics"].([]any)[0].(map[string]any)
	if directive["Namespace"] != "Cachito/test" {
		t.Errorf("namespace: got %v", directive["Namespace"])
	}
	var labels []string
	for _, d := range directive["Dimensions"].([]any)[0].([]any) {
		labels = append(labels, line[d.(string)].(string))
	}
	for _, m := range directive["Metrics"].([]any) {
		name := m.(map[string]any)["Name"].(string)
		key := strings.Join(append([]string{name}, labels...), " ")
		switch v := line[name].(type) {
		case float64:
			counted[key] += v
		case []any:
			counted[key] += float64(len(v))
		}
	}
}
