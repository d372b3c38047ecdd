package main

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/gitrepo/gitrepotest"
	"github.com/cachito-serverless/cachito/shared/telemetry/otlp/otlptest"
)

// TestWatched follows one request that completes and one that fails through the service, by its log, its traces
// and its metrics.
func TestWatched(t *testing.T) {
	git := gitrepotest.NewServer(t)
	lib := git.Init("o/lib")
	libRef := lib.Commit(map[string]string{"lib.txt": "library\n"})
	app := git.Init("o/app")
	ref := app.Commit(map[string]string{".gitmodules": "[submodule \"lib\"]\n\tpath = lib\n\turl = ../lib.git\n"}, gitrepotest.Gitlink("lib", libRef))
	collector := otlptest.NewCollector(t)
	k := &killed{t: t, data: filepath.Join(t.TempDir(), "data"), git: git.Host(), env: []string{
		"OTEL_EXPORTER_OTLP_ENDPOINT=" + collector.URL, "CACHITO_METRICS_LISTEN=127.0.0.1:0", "CACHITO_METRICS_HOSTS=127.0.0.1",
		"CACHITO_LOG_LEVEL=debug", "CACHITO_LOG_FORMAT=json", "CACHITO_METRIC_HOSTS=misspelt",
	}}
	k.start()
	defer k.kill()
	done := k.post(git.URL("o/app"), ref)
	if req := k.finished(done, time.Now().Add(patience)); req.State != "complete" {
		t.Fatalf("request %d is %s: %s", done, req.State, req.StateReason)
	}
	failed := k.post(git.URL("o/app"), strings.Repeat("a7", 20))
	if req := k.finished(failed, time.Now().Add(patience)); req.State != "failed" {
		t.Fatalf("request %d is %s: %s", failed, req.State, req.StateReason)
	}
	public := scrapeText(t, k.url+"/metrics")
	t.Run("metrics", func(t *testing.T) { checkMetrics(t, public, "http://"+k.metricsAddress()+"/metrics") })
	if err := k.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := k.cmd.Wait(); err != nil {
		t.Fatalf("it ended with %v:\n%s", err, k.stderr.String())
	}
	t.Run("log", func(t *testing.T) { checkLog(t, k.stderr.String(), done, failed) })
	t.Run("trace", func(t *testing.T) { checkTrace(t, collector.Spans(), done) })
}

// metricsAddress is where the service says that its metrics are.
func (k *killed) metricsAddress() string {
	k.t.Helper()
	for line := range strings.Lines(k.stderr.String()) {
		var l struct{ Msg, Address string }
		if json.Unmarshal([]byte(line), &l) == nil && l.Msg == "metrics for Prometheus" {
			return l.Address
		}
	}
	k.t.Fatal("the log does not say where the metrics are")
	return ""
}

func scrapeText(t *testing.T, url string) string {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s answers %d, %v", url, res.StatusCode, err)
	}
	return string(text)
}

// checkLog: every line that concerns a request carries its id, the API's lines and all steps'; and the API's lines
// carry the call's.
func checkLog(t *testing.T, text string, done, failed int64) {
	if want := `"msg":"no such setting, ignored","setting":"CACHITO_METRIC_HOSTS"`; !strings.Contains(text, want) {
		t.Errorf("no line with %s", want)
	}
	told := map[int64]map[string]bool{}
	for line := range strings.Lines(text) {
		var l struct {
			Msg, Path, Step, Method string
			ID                      int64  `json:"cachito_request_id"`
			Call                    string `json:"http_request_id"`
			Trace                   string `json:"trace_id"`
		}
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if l.ID == 0 {
			// The tests' own variables are no settings.
			about := l.Msg == "metrics for Prometheus" || l.Msg == "no such setting, ignored" || l.Msg == "call" && l.Path == "/metrics"
			if !about {
				t.Errorf("a line without a request: %s", line)
			}
			continue
		}
		if l.Trace == "" {
			t.Errorf("a line without its trace: %s", line)
		}
		if l.Step == "" && l.Call == "" {
			t.Errorf("a line of neither a call nor a step: %s", line)
		}
		if n := strings.Count(line, `"cachito_request_id"`); n != 1 {
			t.Errorf("the id is there %d times: %s", n, line)
		}
		if told[l.ID] == nil {
			told[l.ID] = map[string]bool{}
		}
		told[l.ID][strings.TrimSpace(l.Msg+" "+l.Step+l.Method)] = true
	}
	want := map[int64][]string{
		done:   {"call GET", "call POST", "request accepted", "step done bundle", "step done resolve-git-submodule", "step done source"},
		failed: {"call GET", "call POST", "request accepted", "request failed source"},
	}
	for id, lines := range want {
		if diff := cmp.Diff(lines, slices.Sorted(maps.Keys(told[id]))); diff != "" {
			t.Errorf("request %d (-want +got):\n%s", id, diff)
		}
	}
}

// checkTrace: one trace holds a request from its POST to its bundle.
func checkTrace(t *testing.T, spans []otlptest.Span, id int64) {
	names := map[[8]byte]string{{}: ""}
	var root otlptest.Span
	calls := 0
	for _, s := range spans {
		names[s.Span] = s.Name
		if s.Name == "request" && s.Attributes["cachito.request_id"] == fmt.Sprint(id) {
			root = s
		}
	}
	if root.Trace == [16]byte{} {
		t.Fatal("no span of the request")
	}
	got := map[string]bool{}
	for _, s := range spans {
		if s.Trace == root.Trace {
			got[names[s.Parent]+" > "+s.Name] = true
			if s.Failed != "" {
				t.Errorf("%s failed: %s", s.Name, s.Failed)
			}
		}
		if s.Name == "POST /api/v1/requests" && len(s.Links) == 1 && s.Links[0].Trace == root.Trace {
			calls++
		}
	}
	want := []string{
		" > request", "git fetch > fetch", "request > step bundle", "request > step resolve-git-submodule", "request > step source", "step source > git fetch",
	}
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(got))); diff != "" {
		t.Errorf("trace %s (-want +got):\n%s", hex.EncodeToString(root.Trace[:]), diff)
	}
	if calls != 1 {
		t.Errorf("%d calls name the request's trace, want its POST", calls)
	}
	failed := 0
	for _, s := range spans {
		if s.Name == "step source" && s.Failed != "" && s.Attributes["cachito.outcome"] == "failed" && s.Attributes["error.type"] != "" {
			failed++
		}
	}
	if failed != 1 {
		t.Errorf("%d failed source steps, want the other request's", failed)
	}
}

// checkMetrics: what happened is counted, a moment after clients could see it.
func checkMetrics(t *testing.T, public, private string) {
	if !strings.Contains(public, "cachito_requests_count") || strings.Contains(public, "cachito_step_seconds") {
		t.Errorf("the API's own metrics are upstream's, got\n%s", public)
	}
	want := []string{
		"cachito_requests_accepted_total 2",
		"cachito_requests_completed_total 1",
		`cachito_requests_failed_total{origin="client"} 1`,
		`cachito_request_seconds_count{state="complete"} 1`,
		`cachito_request_seconds_count{state="failed"} 1`,
		`cachito_step_seconds_count{step="source",outcome="done"} 1`,
		`cachito_step_seconds_count{step="source",outcome="failed"} 1`,
		`cachito_step_seconds_count{step="resolve-git-submodule",outcome="done"} 1`,
		`cachito_step_seconds_count{step="bundle",outcome="done"} 1`,
		`cachito_queue_oldest_seconds{queue="source"} `, // the reaper may have looked while the first one waited
		`cachito_cache_lookups_total{kind="source",outcome="miss"} 2`,
		`cachito_cache_lookups_total{kind="result",outcome="miss"} 1`,
		`cachito_cache_lookups_total{kind="bundle",outcome="miss"} 1`,
		"cachito_bundle_bytes_count 1",
		`cachito_http_request_seconds_count{route="POST /api/v1/requests",status="2xx"} 2`,
		`cachito_fetch_requests_total{host="127.0.0.1",outcome="2xx"} `,
		`cachito_fetched_bytes_total{host="127.0.0.1"} `,
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		got := "\n" + scrapeText(t, private)
		missing := slices.DeleteFunc(slices.Clone(want), func(line string) bool {
			if strings.HasSuffix(line, " ") { // whatever the number
				return strings.Contains(got, "\n"+line)
			}
			return strings.Contains(got, "\n"+line+"\n")
		})
		if len(missing) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("missing %s\nin%s", strings.Join(missing, "\n"), got)
		}
	}
}
