// Package events_test runs every event of this folder through the handler of its function, as the functions wire
// it, over the embedded adapters, and compares the answer and what became of the requests with what is written
// down in testdata. `go test ./events -update` writes it down; review the diff.
package events_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/function"
	"github.com/cachito-serverless/cachito/shared/function/functiontest"
	"github.com/cachito-serverless/cachito/shared/pipeline"
	"github.com/cachito-serverless/cachito/shared/queue"
)

var update = flag.Bool("update", false, "write down what events are answered with")

const goldenFolder = "testdata"

// files are all events, as "<function>/<name>.json".
func files(t *testing.T) []string {
	t.Helper()
	list, err := filepath.Glob("*/*.json")
	must(t, err)
	list = slices.DeleteFunc(list, func(name string) bool { return filepath.Dir(name) == goldenFolder })
	if len(list) < 20 {
		t.Fatalf("only %d events were found", len(list))
	}
	return list
}

func golden(event string) string {
	return filepath.Join(goldenFolder, strings.ReplaceAll(strings.TrimSuffix(event, ".json"), string(filepath.Separator), "_")+".txt")
}

func TestEvents(t *testing.T) {
	u := functiontest.NewUpstream(t)
	seeded := t.TempDir()
	seed(t, u, seeded)
	for _, name := range files(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			raw, err := os.ReadFile(name)
			must(t, err)
			folder := t.TempDir()
			must(t, os.CopyFS(folder, os.DirFS(seeded)))
			w := open(t, u, folder)
			before := w.state()
			answer := w.handle(t, filepath.Dir(name), raw)
			got := answer + w.changes(before)
			path := golden(name)
			if *update {
				must(t, os.MkdirAll(goldenFolder, 0o755))
				must(t, os.WriteFile(path, []byte(got), 0o644))
				return
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatalf("nothing says what this event is answered with (go test ./events -update): %v", err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestExpectationsHaveEvents: nothing is left of events that are gone.
func TestExpectationsHaveEvents(t *testing.T) {
	var want []string
	for _, name := range files(t) {
		want = append(want, golden(name))
	}
	got, err := filepath.Glob(filepath.Join(goldenFolder, "*"))
	must(t, err)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-events +%s):\n%s", goldenFolder, diff)
	}
}

// handle runs an event through its function and prints the answer.
func (w *world) handle(t *testing.T, name string, raw []byte) string {
	t.Helper()
	switch handle := w.handlers[name].(type) {
	case function.APIHandler:
		var e events.APIGatewayV2HTTPRequest
		decode(t, raw, &e)
		answer, err := handle(t.Context(), e)
		must(t, err)
		return printAnswer(t, answer)
	case function.StepsHandler:
		var e events.SQSEvent
		decode(t, raw, &e)
		w.bind(&e)
		answer, err := handle(t.Context(), e)
		must(t, err)
		return printJSON(t, answer)
	case function.ScheduleHandler:
		var e events.EventBridgeEvent
		decode(t, raw, &e)
		must(t, handle(t.Context(), e))
		return "done\n"
	}
	t.Fatalf("there is no function %s", name)
	return ""
}

// bind gives the event's records the receipts of the messages that they are about.
func (w *world) bind(e *events.SQSEvent) {
	for i := range e.Records {
		var m queue.Message
		if json.Unmarshal([]byte(e.Records[i].Body), &m) != nil || m.Step == "" {
			continue
		}
		for _, d := range w.deliveries(m.Step) {
			if d.RequestID == m.RequestID {
				e.Records[i].ReceiptHandle = d.Receipt
				continue
			}
			must(w.t, w.queue.Extend(w.t.Context(), d, 0))
		}
	}
}

// changes prints the requests that are not as they were before, and the messages that wait now.
func (w *world) changes(before map[int64]string) string {
	after := w.state()
	var b strings.Builder
	for _, id := range slices.Sorted(maps.Keys(after)) {
		if after[id] != before[id] {
			fmt.Fprintln(&b, after[id])
		}
	}
	if b.Len() == 0 {
		return ""
	}
	for _, step := range pipeline.Steps([]string{"gomod", "npm", "rubygems"}) {
		var ids []int64
		for _, m := range w.messages(step) {
			ids = append(ids, m.RequestID)
		}
		if len(ids) > 0 {
			slices.Sort(ids)
			fmt.Fprintf(&b, "waiting for %s: %v\n", step, ids)
		}
	}
	return b.String()
}

// TestEveryRouteHasAnEvent: what the API's own description lists, there is an event for.
func TestEveryRouteHasAnEvent(t *testing.T) {
	called := map[string]bool{}
	for _, name := range files(t) {
		if filepath.Dir(name) != "api" {
			continue
		}
		raw, err := os.ReadFile(name)
		must(t, err)
		var e events.APIGatewayV2HTTPRequest
		decode(t, raw, &e)
		path := strings.NewReplacer("/1/", "/{id}/", "/2/", "/{id}/", "/3/", "/{id}/").Replace(e.RawPath + "/")
		called[strings.ToLower(e.RequestContext.HTTP.Method)+" "+strings.TrimSuffix(path, "/")] = true
	}
	w := open(t, functiontest.NewUpstream(t), t.TempDir())
	out := httptest.NewRecorder()
	w.routes.ServeHTTP(out, httptest.NewRequest(http.MethodGet, "/api/v1/openapi.json", nil))
	var description struct {
		Servers []struct{ URL string }
		Paths   map[string]map[string]any
	}
	must(t, json.Unmarshal(out.Body.Bytes(), &description))
	if len(description.Paths) < 10 {
		t.Fatalf("the description has %d paths", len(description.Paths))
	}
	for path, methods := range description.Paths {
		for method := range methods {
			route := func(base string) string {
				return method + " " + strings.NewReplacer("{request_id}", "{id}").Replace(base+path)
			}
			if len(method) <= len("delete") && method != "parameters" && !called[route("")] && !called[route("/api/v1")] {
				t.Errorf("no event calls %s %s", method, path)
			}
		}
	}
}
