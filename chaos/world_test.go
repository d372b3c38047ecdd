package chaos

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cachito-serverless/cachito/shared/queue"
)

// Times of the deployment: what template.yaml has, made short.
const (
	functionTimeout = 20 * time.Second
	// visibilityMargin is how much longer a message is invisible than its function may run.
	visibilityMargin = time.Second
	resendAfter      = 5 * time.Second
	reapEvery        = 2 * time.Second
	// atOnce is how many invocations of a function run side by side.
	atOnce = 4
)

// world is everything: the deployment, what disturbs it, and what happened.
type world struct {
	t        *testing.T
	seed     uint64
	endpoint string // of the emulator
	tmp      string
	logs     *os.File
	stack    *stack
	projects *projects
	networks atomic.Int64
	uploads  sync.Map // upload id -> upload
	kills    atomic.Int64
	outage   atomic.Bool // no call arrives at all
	calm     atomic.Bool // nothing is killed or lost any more; calls still fail

	functions map[string]*function

	mu         sync.Mutex
	counts     map[string]int
	deliveries map[queue.Message]uint64
	kinds      map[int64]string // of requests
	doomed     string           // the message of the outlived request that never gets through
}

// dice is chance that is the same for the same seed and things, whatever else happens meanwhile.
func (w *world) dice(things ...any) *rand.Rand {
	h := fnv.New64a()
	fmt.Fprintln(h, things...)
	return rand.New(rand.NewPCG(w.seed, h.Sum64()))
}

func (w *world) count(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.counts[what]++
}

// chaos reports whether processes are killed and messages lost.
func (w *world) chaos() bool { return !w.calm.Load() }

// delivery numbers the deliveries of a message.
func (w *world) delivery(m queue.Message) uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.deliveries[m]++
	return w.deliveries[m]
}

// kindOf is the kind of a request's project.
func (w *world) kindOf(ctx context.Context, id int64) string {
	w.mu.Lock()
	kind, known := w.kinds[id]
	w.mu.Unlock()
	if known {
		return kind
	}
	req, err := w.stack.store.Get(context.WithoutCancel(ctx), id)
	if err != nil {
		w.t.Errorf("reading request %d: %v", id, err)
		return ordinary
	}
	kind = w.projects.of(req.Ref).kind
	w.mu.Lock()
	defer w.mu.Unlock()
	w.kinds[id] = kind
	return kind
}

// settings of the product, the same for the functions and for the undisturbed run.
func (w *world) settings() map[string]string {
	return map[string]string{
		"CACHITO_ALLOW_HOSTS":              w.projects.hosts(),
		"CACHITO_NPM_REGISTRY":             w.projects.registry.URL + "/",
		"CACHITO_DEFAULT_PACKAGE_MANAGERS": "npm",
		"CACHITO_RESEND_AFTER":             resendAfter.String(),
		"LOGIN_DISABLED":                   "true",
	}
}

// build compiles the functions as template.yaml does.
func (w *world) build(names ...string) {
	w.t.Helper()
	w.functions = map[string]*function{}
	for _, name := range names {
		program := filepath.Join(w.tmp, name)
		cmd := exec.Command("go", "build", "-tags", "lambda.norpc", "-o", program, "../functions/"+name)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			w.t.Fatalf("building function %s: %v\n%s", name, err, out)
		}
		env := w.stack.environment()
		for name, value := range w.settings() {
			env = append(env, name+"="+value)
		}
		w.functions[name] = &function{name: name, program: program, timeout: functionTimeout, world: w, env: env}
	}
}

// post sends a request through the API's function until it is accepted, as a client does whose call broke off.
func (w *world) post(ctx context.Context, p project, random *rand.Rand) {
	body, err := json.Marshal(map[string]any{"repo": w.projects.git.URL("o/app"), "ref": p.ref, "pkg_managers": p.managers})
	if err != nil {
		panic(err)
	}
	for ctx.Err() == nil {
		var f fate
		if random.IntN(8) == 0 && w.chaos() {
			f = fate{killAt: 1 + random.IntN(6), afterCall: random.IntN(2) == 0}
		}
		status, answer := w.call(ctx, "POST", "/api/v1/requests", string(body), f)
		if status == 201 {
			return
		}
		w.count(fmt.Sprintf("POST answered %d", status))
		if status >= 400 && status < 500 {
			w.t.Errorf("POST answers %d %s", status, answer)
			return
		}
		pause(ctx, 200*time.Millisecond)
	}
}

// call calls the API as API Gateway does; status 0: there was no answer.
func (w *world) call(ctx context.Context, method, path, body string, f fate) (status int, answer []byte) {
	raw, err := json.Marshal(map[string]any{
		"version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": "",
		"headers": map[string]string{"content-type": "application/json", "host": "cachito.example"},
		"requestContext": map[string]any{
			"accountId": "000000000000", "apiId": "chaos", "domainName": "cachito.example", "stage": "$default", "requestId": "chaos",
			"http": map[string]string{"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "chaos"},
		},
		"body": body, "isBase64Encoded": false,
	})
	if err != nil {
		panic(err)
	}
	ending, out, err := w.functions["api"].invoke(ctx, event{raw, f})
	if err != nil {
		w.t.Errorf("function api: %v", err)
		return 0, nil
	}
	w.count("invocations of api " + ending)
	if ending != answered {
		return 0, nil
	}
	var res struct {
		StatusCode int    `json:"statusCode"`
		Body       string `json:"body"`
	}
	if err := json.Unmarshal(out, &res); err != nil {
		w.t.Errorf("function api answers %s: %v", out, err)
	}
	return res.StatusCode, []byte(res.Body)
}

// reap runs the reaper on its schedule; it is killed now and then as well.
func (w *world) reap(ctx context.Context) {
	random := w.dice("reaper")
	for ctx.Err() == nil {
		var f fate
		if random.IntN(6) == 0 && w.chaos() {
			f = fate{killAt: 1 + random.IntN(12), afterCall: random.IntN(2) == 0}
		}
		body := []byte(`{"version":"0","id":"chaos","detail-type":"Scheduled Event","source":"aws.events","account":"000000000000","time":"2026-01-01T00:00:00Z","region":"us-east-1","resources":[],"detail":{}}`)
		ending, answer, err := w.functions["reaper"].invoke(ctx, event{body, f})
		if err != nil {
			w.t.Errorf("function reaper: %v", err)
		}
		w.count("invocations of reaper " + ending)
		if ending == crashed {
			w.t.Errorf("function reaper crashed: %s", answer)
		}
		pause(ctx, reapEvery)
	}
}

// tail is the end of what the functions logged.
func (w *world) tail() string {
	raw, err := os.ReadFile(w.logs.Name())
	if err != nil {
		return err.Error()
	}
	lines := bytes.Split(raw, []byte("\n"))
	return string(bytes.Join(lines[max(0, len(lines)-40):], []byte("\n")))
}
