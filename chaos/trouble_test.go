package chaos

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	dynamodbsdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/cachito-serverless/cachito/shared/awsclient/awsclienttest"
	"github.com/cachito-serverless/cachito/shared/blob/s3"
	"github.com/cachito-serverless/cachito/shared/config"
	"github.com/cachito-serverless/cachito/shared/pipeline"
	"github.com/cachito-serverless/cachito/shared/queue"
	"github.com/cachito-serverless/cachito/shared/queue/sqs"
	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/resolver/all"
	"github.com/cachito-serverless/cachito/shared/store/dynamodb"
	"github.com/cachito-serverless/cachito/shared/wiring"
)

// trouble is what one of the services answers to everything, if anything.
type trouble struct {
	status  int // 0: the connection breaks
	code    string
	message string
}

// troubled is a network on which a service can be in trouble.
type troubled struct {
	base http.RoundTripper
	mu   sync.Mutex
	on   map[string]trouble // by service
}

func (n *troubled) set(service string, t trouble) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.on = map[string]trouble{service: t}
}

func (n *troubled) heal() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.on = nil
}

// RoundTrip implements http.RoundTripper.
func (n *troubled) RoundTrip(r *http.Request) (*http.Response, error) {
	n.mu.Lock()
	t, ok := n.on[service(r)]
	n.mu.Unlock()
	switch {
	case !ok:
		return n.base.RoundTrip(r)
	case t.status == 0:
		return nil, awsclienttest.ErrLost
	}
	body, kind := fmt.Sprintf(`{"__type":"com.amazonaws#%s","message":%q}`, t.code, t.message), "application/x-amz-json-1.0"
	if service(r) == "s3" {
		body, kind = fmt.Sprintf("<Error><Code>%s</Code><Message>%s</Message></Error>", t.code, t.message), "application/xml"
	}
	if r.Method == http.MethodHead {
		body = ""
	}
	if r.Body != nil {
		io.Copy(io.Discard, r.Body)
		r.Body.Close()
	}
	return &http.Response{
		StatusCode: t.status, Request: r, Header: http.Header{"Content-Type": {kind}}, ContentLength: int64(len(body)),
		Body: io.NopCloser(strings.NewReader(body)),
	}, nil
}

// home is the product over AWS in this process, on a network that can be in trouble.
type home struct {
	t        *testing.T
	stack    *stack
	network  *troubled
	projects *projects
	api      http.Handler
	steps    *pipeline.Pipeline
	queue    queue.Queue
	logs     *bytes.Buffer
	table    string
}

// newHome deploys a stack; change may name other resources than it has.
func newHome(t *testing.T, change func(table, bucket, prefix *string)) *home {
	t.Helper()
	endpoint := awsclienttest.Endpoint(t, "AWS_ENDPOINT_URL")
	h := &home{
		t: t, network: &troubled{base: awsclienttest.Transport()}, logs: &bytes.Buffer{},
		stack: newStack(t, endpoint, pipeline.Steps([]string{"npm"})), projects: newProjects(t, (&world{seed: 1}).dice),
	}
	table, bucket, prefix := h.stack.name, h.stack.name, h.stack.name
	if change != nil {
		change(&table, &bucket, &prefix)
	}
	cfg := awsclienttest.Config(endpoint, "test", "test", h.network)
	h.queue = sqs.New(cfg, prefix)
	h.table = table
	a := wiring.Adapters{
		Store: dynamodb.New(dynamodbsdk.NewFromConfig(cfg), table, dynamodb.WithPatience(50*time.Millisecond)),
		Queue: h.queue, Blobs: s3.New(cfg, bucket), CheckBlobs: func(context.Context) error { return nil },
	}
	w := &world{projects: h.projects}
	settings := w.settings()
	settings["CACHITO_DOWNLOAD"] = "redirect"
	product, err := config.Load(func(name string) string { return settings[name] })
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	at := wiring.Places{Git: filepath.Join(folder, "git"), Tools: filepath.Join(folder, "tools"), Work: filepath.Join(folder, "work")}
	for _, d := range []string{at.Git, at.Tools, at.Work} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	log := slog.New(slog.NewJSONHandler(h.logs, nil))
	if h.steps, err = wiring.Pipeline(product, all.List(), a, at, nil, log); err != nil {
		t.Fatal(err)
	}
	if h.api, err = wiring.API(product, all.List(), a, wiring.Transport{}, log); err != nil {
		t.Fatal(err)
	}
	return h
}

func (h *home) call(method, path, body string) (int, string) {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	h.api.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

func (h *home) post(nth int) (int, string) {
	p := h.projects.add(ordinary, nth)
	return h.call("POST", "/api/v1/requests", fmt.Sprintf(`{"repo":%q,"ref":%q,"pkg_managers":["npm"]}`, h.projects.git.URL("o/app"), p.ref))
}

// deliver receives the message for a step of a request and runs it; those of earlier requests go.
func (h *home) deliver(id int64, step string, receives int) (gone bool, err error) {
	h.t.Helper()
	sure := sqs.New(awsclienttest.Config(os.Getenv("AWS_ENDPOINT_URL"), "test", "test", nil), h.stack.name)
	for {
		d, err := sure.Receive(h.t.Context(), step, time.Second, 10*time.Second)
		if err != nil {
			h.t.Fatalf("receiving from queue %s: %v", step, err)
		}
		if d.RequestID == id {
			d.ReceiveCount = receives
			return h.steps.Deliver(h.t.Context(), d)
		}
		if err := sure.Ack(h.t.Context(), d); err != nil {
			h.t.Fatal(err)
		}
	}
}

// logged looks for a line with all these parts, and forgets what was logged.
func (h *home) logged(level string, parts ...string) {
	h.t.Helper()
	text := h.logs.String()
	h.logs.Reset()
	for line := range strings.Lines(text) {
		found := strings.Contains(line, `"level":"`+level+`"`)
		for _, part := range parts {
			found = found && strings.Contains(line, part)
		}
		if found {
			return
		}
	}
	h.t.Errorf("no line of level %s with %q in the log:\n%s", level, parts, text)
}

func (h *home) want(what string, gotStatus int, gotBody string, status int, text string) {
	h.t.Helper()
	var body struct {
		Error string `json:"error"`
	}
	if err := json.Unmarshal([]byte(gotBody), &body); err != nil || gotStatus != status || body.Error != text {
		h.t.Errorf("%s answers %d %s, want %d %q", what, gotStatus, gotBody, status, text)
	}
}

const internal = "The server encountered an internal error and was unable to complete your request. Either the server is overloaded or there is an error in the application."

// troubles are what each service can say, and what becomes of it.
var troubles = []struct {
	name     string
	service  string
	trouble  trouble
	advice   string
	status   int    // of the API
	answered string // by the API
}{
	{"permission", "dynamodb", trouble{400, "AccessDeniedException", "User: arn:aws:sts::000000000000:assumed-role/api is not authorized"}, "compare its policy with template.yaml", 500, internal},
	{"throttled", "dynamodb", trouble{400, "ProvisionedThroughputExceededException", "slow down"}, "raise the quota", 503, "The database is busy, please try again later"},
	{"no answer", "dynamodb", trouble{}, "look at the network of this function", 503, "The database is busy, please try again later"},
	{"credentials", "dynamodb", trouble{400, "ExpiredTokenException", "The security token included in the request is expired"}, "credentials are not valid", 500, internal},
	{"permission", "sqs", trouble{403, "AccessDenied", "no"}, "compare its policy with template.yaml", 500, request.ReasonNotEnqueued},
	{"throttled", "sqs", trouble{403, "RequestThrottled", "no"}, "raise the quota", 500, request.ReasonNotEnqueued},
	{"full", "sqs", trouble{403, "OverLimit", "no"}, "120,000", 500, request.ReasonNotEnqueued},
	{"permission", "s3", trouble{403, "AccessDenied", "no"}, "compare its policy with template.yaml", 500, internal},
	{"throttled", "s3", trouble{503, "SlowDown", "no"}, "raise the quota", 503, "The storage is busy, please try again later"},
	{"no answer", "s3", trouble{}, "look at the network of this function", 503, "The storage is busy, please try again later"},
}

// resource is how the service's trouble is named.
func (h *home) resource(service string) string {
	return map[string]string{"dynamodb": "table ", "sqs": "queue ", "s3": "bucket "}[service] + h.stack.name
}

// TestTrouble: whatever AWS refuses, the log names the resource and what to do, the API answers what its clients
// understand, and the request goes on when the trouble is over, or fails with a sentence of its own.
func TestTrouble(t *testing.T) {
	h := newHome(t, nil)
	h.projects.calm.Store(true)
	n := 0
	for _, c := range troubles {
		t.Run(c.service+"/"+c.name, func(t *testing.T) {
			h.t = t
			defer h.network.heal()
			n++
			h.network.set(c.service, c.trouble)
			if c.service == "s3" {
				h.network.heal()
			}
			status, body := h.post(n)
			switch c.service {
			case "dynamodb":
				h.want("POST", status, body, c.status, c.answered)
				h.logged(map[int]string{500: "ERROR", 503: "WARN"}[c.status], h.resource("dynamodb"), c.advice)
				return
			case "sqs":
				h.want("POST", status, body, c.status, c.answered)
				h.logged("ERROR", "request not scheduled", h.resource("sqs"), c.advice)
				return
			}
			var req struct{ ID int64 }
			if err := json.Unmarshal([]byte(body), &req); err != nil || status != http.StatusCreated {
				t.Fatalf("POST answers %d %s", status, body)
			}
			// The source step cannot store anything: it is tried again, and at last the request fails.
			h.network.set(c.service, c.trouble)
			gone, err := h.deliver(req.ID, pipeline.StepSource, 1)
			if gone || err != nil {
				t.Errorf("first receive: gone %v, %v; want another try", gone, err)
			}
			h.logged("WARN", "step failed, tried again", h.resource("s3"), c.advice)
			h.isState(req.ID, request.StateInProgress, request.ReasonSource)
			d := queue.Delivery{Message: queue.Message{RequestID: req.ID, Step: pipeline.StepSource}, ReceiveCount: queue.MaxReceives}
			if gone, err := h.steps.Deliver(t.Context(), d); !gone || err != nil {
				t.Errorf("last receive: gone %v, %v; want the end", gone, err)
			}
			h.logged("ERROR", "request failed", h.resource("s3"), c.advice, `"fault_type":"FileAccessError"`)
			h.isState(req.ID, request.StateFailed, "The storage of the service does not work. Please try again later.")
		})
	}
}

// TestTroubleOfSteps: while the database or the queues are in trouble a step changes nothing, its message comes
// back, and afterwards the request goes on.
func TestTroubleOfSteps(t *testing.T) {
	for _, c := range troubles {
		if c.service == "s3" {
			continue
		}
		t.Run(c.service+"/"+c.name, func(t *testing.T) {
			h := newHome(t, nil)
			h.projects.calm.Store(true)
			if status, body := h.post(1); status != http.StatusCreated {
				t.Fatalf("POST answers %d %s", status, body)
			}
			h.network.set(c.service, c.trouble)
			gone, err := h.deliver(1, pipeline.StepSource, 1)
			if gone {
				t.Error("the message counts as done, want another try")
			}
			if c.service == "dynamodb" {
				h.logged("WARN", "step failed, tried again", h.resource(c.service), c.advice)
			} else if err == nil || !strings.Contains(err.Error(), h.resource(c.service)) || !strings.Contains(err.Error(), c.advice) {
				t.Errorf("got %v, want an error that names %s and says %q", err, h.resource(c.service), c.advice)
			}
			h.network.heal()
			time.Sleep(1100 * time.Millisecond) // until the message is visible again
			for _, step := range []string{pipeline.StepSource, "resolve-npm", pipeline.StepBundle} {
				if gone, err := h.deliver(1, step, 2); !gone || err != nil {
					t.Errorf("step %s afterwards: gone %v, %v", step, gone, err)
				}
			}
			h.isState(1, request.StateComplete, request.ReasonComplete)
		})
	}
}

func (h *home) isState(id int64, state request.State, reason string) {
	h.t.Helper()
	req, err := h.stack.store.Get(h.t.Context(), id)
	if err != nil || req.State != state || req.StateReason != reason {
		h.t.Errorf("request %d: got %s: %q, %v; want %s: %q", id, req.State, req.StateReason, err, state, reason)
	}
}

// TestGone: a table, a bucket or queues that are not there, as the emulator answers.
func TestGone(t *testing.T) {
	t.Run("table", func(t *testing.T) {
		h := newHome(t, func(table, _, _ *string) { *table = "gone-table" })
		status, body := h.post(1)
		h.want("POST", status, body, 500, internal)
		h.logged("ERROR", "call failed", "table gone-table", "is it what CACHITO_TABLE names?")
	})
	t.Run("queues", func(t *testing.T) {
		h := newHome(t, func(_, _, prefix *string) { *prefix = "gone-queues" })
		status, body := h.post(1)
		h.want("POST", status, body, 500, request.ReasonNotEnqueued)
		h.logged("ERROR", "request not scheduled", "queue gone-queues-source", "is it what CACHITO_QUEUE_PREFIX names?")
		h.isState(1, request.StateFailed, request.ReasonNotEnqueued)
	})
	t.Run("bucket", func(t *testing.T) {
		h := newHome(t, func(_, bucket, _ *string) { *bucket = "gone-bucket" })
		if status, body := h.post(1); status != http.StatusCreated {
			t.Fatalf("POST answers %d %s", status, body)
		}
		if gone, err := h.deliver(1, pipeline.StepSource, queue.MaxReceives); !gone || err != nil {
			t.Errorf("last receive: gone %v, %v; want the end", gone, err)
		}
		h.logged("ERROR", "request failed", "bucket gone-bucket", "is it what CACHITO_BUCKET names?")
		h.isState(1, request.StateFailed, "The storage of the service does not work. Please try again later.")
	})
}

// TestDownloadInTrouble: what clients see who want a bundle while the storage is in trouble.
func TestDownloadInTrouble(t *testing.T) {
	h := newHome(t, nil)
	h.projects.calm.Store(true)
	if status, body := h.post(1); status != http.StatusCreated {
		t.Fatalf("POST answers %d %s", status, body)
	}
	for _, step := range []string{pipeline.StepSource, "resolve-npm", pipeline.StepBundle} {
		if gone, err := h.deliver(1, step, 1); !gone || err != nil {
			t.Fatalf("step %s: gone %v, %v\n%s", step, gone, err, h.logs)
		}
	}
	for _, c := range troubles {
		if c.service != "s3" {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			h.t = t
			defer h.network.heal()
			h.logs.Reset()
			h.network.set(c.service, c.trouble)
			status, body := h.call("GET", "/api/v1/requests/1/download", "")
			h.want("download", status, body, c.status, c.answered)
			h.logged(map[int]string{500: "ERROR", 503: "WARN"}[c.status], h.resource("s3"), c.advice)
		})
	}
	t.Run("each answer has a URL that works", func(t *testing.T) {
		for range 2 {
			r := httptest.NewRequest("GET", "/api/v1/requests/1/download", nil)
			w := httptest.NewRecorder()
			h.api.ServeHTTP(w, r)
			if w.Code != http.StatusFound {
				t.Fatalf("download answers %d %s, want a redirect", w.Code, w.Body)
			}
			res, err := http.Get(w.Header().Get("Location"))
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			if res.StatusCode != http.StatusOK {
				t.Errorf("its URL answers %d", res.StatusCode)
			}
		}
	})
}
