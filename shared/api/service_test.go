package api_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/api"
	"github.com/cachito-serverless/cachito/shared/blob"
	"github.com/cachito-serverless/cachito/shared/queue"
	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/resolver/all"
	"github.com/cachito-serverless/cachito/shared/store"
)

// TestMethods: what a path does not have is 405 with what it has; OPTIONS tells the same.
func TestMethods(t *testing.T) {
	w := newWorld(t, settings())
	tests := []struct {
		method, target string
		status         int
		allow          string
	}{
		{http.MethodDelete, "/api/v1/requests", 405, "GET, HEAD, OPTIONS, POST"},
		{http.MethodPut, "/api/v1/requests/1", 405, "GET, HEAD, OPTIONS, PATCH"},
		{http.MethodPost, "/api/v1/status", 405, "GET, HEAD, OPTIONS"},
		{http.MethodOptions, "/api/v1/requests/1/configuration-files", 200, "GET, HEAD, OPTIONS, POST"},
		{http.MethodPatch, "/api/v1/requests/latest", 405, "GET, HEAD, OPTIONS"},
		{"BREW", "/", 405, "GET, HEAD, OPTIONS"},
		{http.MethodOptions, "/api/v1/nothing", 404, ""},
	}
	for _, tt := range tests {
		t.Run(tt.method+" "+tt.target, func(t *testing.T) {
			out := w.ask(tt.method, tt.target, "", nil)
			if out.Code != tt.status || out.Header().Get("Allow") != tt.allow {
				t.Errorf("got %d, Allow %q; want %d, %q", out.Code, out.Header().Get("Allow"), tt.status, tt.allow)
			}
			if tt.status == 200 && out.Body.Len() > 0 {
				t.Errorf("body %q, want none", out.Body)
			}
		})
	}
}

// TestIdentity: who a caller is, and what is no identity.
func TestIdentity(t *testing.T) {
	verified := func(subject string) *tls.ConnectionState {
		cert := certificate(t, subject)
		return &tls.ConnectionState{PeerCertificates: []*x509.Certificate{cert}, VerifiedChains: [][]*x509.Certificate{{cert}}}
	}
	unverified := verified("CN=x")
	unverified.VerifiedChains = nil
	tests := []struct {
		name   string
		trust  string
		header string
		tls    *tls.ConnectionState
		want   string // user of the request; "" means 401
	}{
		{"a header that is trusted", identityHeader, "Ann@B", nil, "Ann@B"},
		{"a header that is not", "", "Ann@B", nil, ""},
		{"an empty name", identityHeader, "", nil, ""},
		{"a verified certificate", "", "", verified("CN=tbrady,OU=serviceusers,DC=domain,DC=local"), "CN=tbrady,OU=serviceusers,DC=domain,DC=local"},
		{"an unverified certificate", "", "", unverified, ""},
		{"a name wins over a certificate", identityHeader, "Ann@B", verified("CN=x"), "Ann@B"},
		{"an empty name leaves the certificate", identityHeader, "", verified("UID=x,O=Acme,C=CZ"), "UID=x,O=Acme,C=CZ"},
		{"characters with a meaning", "", "", verified("CN=a+b;#c"), `CN=a\+b\;#c`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := settings()
			cfg.IdentityHeader = tt.trust
			w := newWorld(t, cfg)
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/api/v1/requests", strings.NewReader(fmt.Sprintf(`{"repo": %q, "ref": %q}`, repo, ref)))
			r.Header.Set("Content-Type", "application/json")
			r.Header.Set(identityHeader, tt.header)
			r.TLS = tt.tls
			out := httptest.NewRecorder()
			w.handler.ServeHTTP(out, r)
			if tt.want == "" {
				if out.Code != http.StatusUnauthorized {
					t.Errorf("status %d, want 401: %s", out.Code, out.Body)
				}
				return
			}
			var got struct{ User string }
			if err := json.Unmarshal(out.Body.Bytes(), &got); err != nil || got.User != tt.want {
				t.Errorf("user %q, want %q (status %d)", got.User, tt.want, out.Code)
			}
		})
	}
}

// TestIdentify: a gateway's own way to tell who calls wins over ours.
func TestIdentify(t *testing.T) {
	w := newWorld(t, settings(), func(d *api.Deps) { d.Identify = func(r *http.Request) string { return "gateway:" + r.Host } })
	out := w.ask(http.MethodPost, "/api/v1/requests", "somebody", fmt.Appendf(nil, `{"repo": %q, "ref": %q}`, repo, ref), "Content-Type", "application/json")
	if !strings.Contains(out.Body.String(), `"user": "gateway:localhost"`) {
		t.Errorf("answer %s", out.Body)
	}
}

func TestTrustUser(t *testing.T) {
	cfg := settings()
	cfg.LoginDisabled, cfg.TrustUser = true, true
	w := newWorld(t, cfg)
	out := w.ask(http.MethodPost, "/api/v1/requests", "", fmt.Appendf(nil, `{"repo": %q, "ref": %q, "user": "koji"}`, repo, ref), "Content-Type", "application/json")
	if out.Code != 201 || !strings.Contains(out.Body.String(), `"user": "koji"`) || !strings.Contains(out.Body.String(), `"submitted_by": null`) {
		t.Errorf("got %d %s", out.Code, out.Body)
	}
}

// TestLinks: links begin as the client addressed the service, or as the operator says.
func TestLinks(t *testing.T) {
	forwarded := []string{"X-Forwarded-Proto", "https, http", "X-Forwarded-Host", "outer.example:8443, inner", "X-Forwarded-Prefix", "/stage/"}
	tests := []struct {
		name   string
		change func(*api.Config)
		header []string
		want   string
	}{
		{"as addressed", func(*api.Config) {}, nil, "http://localhost"},
		{"forwarded, but nobody is trusted", func(*api.Config) {}, forwarded, "http://localhost"},
		{"forwarded by a trusted proxy", func(c *api.Config) { c.TrustForwarded = true }, forwarded, "https://outer.example:8443/stage"},
		{"a scheme that is none", func(c *api.Config) { c.TrustForwarded = true }, []string{"X-Forwarded-Proto", "javascript"}, "http://localhost"},
		{"the operator's word", func(c *api.Config) { c.PublicURL, c.TrustForwarded = "https://cachito.example/stage/", true }, forwarded, "https://cachito.example/stage"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := settings()
			tt.change(&cfg)
			w := newWorld(t, cfg)
			out := w.ask(http.MethodGet, "/api/v1/requests", "", nil, tt.header...)
			if want := fmt.Sprintf(`"first": "%s/api/v1/requests?page=1&per_page=10"`, tt.want); !strings.Contains(out.Body.String(), want) {
				t.Errorf("answer %s\nwant %s in it", out.Body, want)
			}
		})
	}
}

// TestOrderIsScheduled: an accepted order sends the first step's message, once, with the steps stored.
func TestOrderIsScheduled(t *testing.T) {
	w := newWorld(t, settings())
	w.post(map[string]any{"pkg_managers": []string{"npm", "gomod"}})
	d, err := w.queue.Receive(t.Context(), "source", time.Minute, 0)
	if err != nil {
		t.Fatal(err)
	}
	if want := (queue.Message{RequestID: 1, Step: "source"}); d.Message != want {
		t.Errorf("message: got %+v, want %+v", d.Message, want)
	}
	if _, err := w.queue.Receive(t.Context(), "source", time.Minute, 0); !errors.Is(err, queue.ErrEmpty) {
		t.Errorf("second message: got %v, want ErrEmpty", err)
	}
	req, err := w.store.Get(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if len(req.Steps) != 4 || req.Steps["resolve-gomod"].State != request.StepWaiting {
		t.Errorf("steps: got %+v, want source, two resolves and bundle, all waiting", req.Steps)
	}
}

// TestAccept: where store and queue can accept a request together they do, and a failure is told as any other.
func TestAccept(t *testing.T) {
	var fault error
	w := newWorld(t, settings(), func(d *api.Deps) {
		created := d.Store.Create
		d.Accept = func(ctx context.Context, n store.New, step string) (request.Request, error) {
			if fault != nil || step != "source" {
				return request.Request{}, fault
			}
			return created(ctx, n)
		}
	})
	w.post(nil)
	if _, err := w.queue.Receive(t.Context(), "source", time.Minute, 0); !errors.Is(err, queue.ErrEmpty) {
		t.Errorf("message: got %v, want none but Accept's own", err)
	}
	fault = errors.New("disk full at 10.1.2.3")
	out := w.ask(http.MethodPost, "/api/v1/requests", user, fmt.Appendf(nil, `{"repo": %q, "ref": %q}`, repo, ref), "Content-Type", "application/json")
	if out.Code != 500 || strings.Contains(out.Body.String(), "10.1.2.3") {
		t.Errorf("got %d %s, want 500 without detail", out.Code, out.Body)
	}
}

// leaving is a queue before which the client goes away.
type leaving struct {
	queue.Queue
	leave context.CancelFunc
}

func (q leaving) Send(ctx context.Context, m queue.Message, delay time.Duration) error {
	q.leave()
	if err := ctx.Err(); err != nil {
		return err
	}
	return q.Queue.Send(ctx, m, delay)
}

// TestClientLeavesWhileItsOrderIsScheduled: what is stored is scheduled all the same.
func TestClientLeavesWhileItsOrderIsScheduled(t *testing.T) {
	ctx, leave := context.WithCancel(t.Context())
	w := newWorld(t, settings(), func(d *api.Deps) { d.Queue = leaving{d.Queue, leave} })
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/api/v1/requests", strings.NewReader(fmt.Sprintf(`{"repo": %q, "ref": %q}`, repo, ref)))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set(identityHeader, user)
	w.handler.ServeHTTP(httptest.NewRecorder(), r)
	if _, err := w.queue.Receive(t.Context(), "source", time.Minute, 0); err != nil {
		t.Errorf("message: %v", err)
	}
}

// TestPanic: a bug is a 500 without detail; the log has the stack and the id that the client sees.
func TestPanic(t *testing.T) {
	w := newWorld(t, settings(), func(d *api.Deps) { d.Steps = func([]string) []string { panic("secret detail") } })
	out := w.ask(http.MethodPost, "/api/v1/requests", user, fmt.Appendf(nil, `{"repo": %q, "ref": %q}`, repo, ref), "Content-Type", "application/json")
	if out.Code != 500 || !strings.HasPrefix(message(t, out.Body.Bytes()), "The server encountered an internal error") {
		t.Errorf("got %d %s", out.Code, out.Body)
	}
	if strings.Contains(out.Body.String(), "secret") || strings.Contains(out.Body.String(), ".go:") {
		t.Errorf("the answer tells too much: %s", out.Body)
	}
	logged := w.logged.String()
	for _, want := range []string{"secret detail", "service_test.go", out.Header().Get("X-Request-Id")} {
		if !strings.Contains(logged, want) {
			t.Errorf("the log lacks %q:\n%s", want, logged)
		}
	}
}

// TestExpireFails: a report of stale is accepted whatever happens to the tidying, which a repeat tries again.
func TestExpireFails(t *testing.T) {
	calls := 0
	w := newWorld(t, settings(), func(d *api.Deps) {
		d.Expire = func(context.Context, request.Request) error {
			calls++
			return errors.New("storage is down")
		}
	})
	w.post(nil)
	for range 2 {
		w.must(http.MethodPatch, "/api/v1/requests/1", worker, map[string]any{"state": "stale", "state_reason": "The request has expired"})
	}
	if calls != 2 {
		t.Errorf("expired %d times, want 2", calls)
	}
	if !strings.Contains(w.logged.String(), "storage is down") {
		t.Error("the log does not tell")
	}
}

// TestRefusedReportChangesNothing: a report is applied whole or not at all.
func TestRefusedReportChangesNothing(t *testing.T) {
	w := newWorld(t, settings())
	w.post(nil)
	w.complete(1)
	before, err := w.store.Get(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, body := range []string{
		`{"state": "in_progress", "state_reason": "x", "packages_count": 5, "environment_variables": {"A": {"value": "1", "kind": "path"}}}`,
		`{"packages_count": 5, "dependencies_count": 99999999999999999999}`,
		`{"packages_count": 5, "environment_variables": {"A": {"value": "1", "kind": "other"}}}`,
		`{"packages_count": 5, "state": "stale"}`,
	} {
		out := w.ask(http.MethodPatch, "/api/v1/requests/1", worker, []byte(body), "Content-Type", "application/json")
		if out.Code != 400 {
			t.Errorf("%s: status %d, want 400", body, out.Code)
		}
	}
	after, err := w.store.Get(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("request (-before +after):\n%s", diff)
	}
}

// TestProgress: the route that upstream does not have.
func TestProgress(t *testing.T) {
	w := newWorld(t, settings())
	w.post(nil)
	if err := w.store.Progress(t.Context(), 1, "resolve-gomod", request.Progress{Done: 3, Total: 12, Bytes: 4096}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.store.FinishStep(t.Context(), 1, "source", store.Update{}); err != nil {
		t.Fatal(err)
	}
	out := w.ask(http.MethodGet, "/api/v1/requests/1/progress", "", nil)
	want, err := decodeNumbers([]byte(`{"state": "in_progress", "state_reason": "The request was initiated", "updated": "$TS", "steps": {
		"source": {"state": "done", "done": 0, "total": 0, "bytes": 0}, "bundle": {"state": "waiting", "done": 0, "total": 0, "bytes": 0},
		"resolve-gomod": {"state": "waiting", "done": 3, "total": 12, "bytes": 4096}}}`))
	if err != nil {
		t.Fatal(err)
	}
	got, err := decodeNumbers(out.Body.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range matches("progress", want, got, true) {
		t.Error(problem)
	}
}

// TestMetrics: exact counts of the store; labels that clients cannot make up.
func TestMetrics(t *testing.T) {
	w := newWorld(t, settings())
	start := time.Date(2026, 11, 25, 6, 0, 0, 0, time.UTC)
	w.at(start, func() { w.post(nil) })
	w.at(start, func() { w.post(nil) })
	w.at(start.Add(90*time.Second), func() { w.complete(2) })
	w.ask("BREW", "/api/v1/requests", "", nil)
	w.ask(http.MethodGet, "/api/v1/requests/1", "", nil)
	w.ask(http.MethodGet, "/who/knows/what", "", nil)
	text := w.ask(http.MethodGet, "/metrics", "", nil).Body.String()
	for _, want := range []string{
		`cachito_requests_count{state="total"} 2`, `cachito_requests_count{state="in_progress"} 1`, `cachito_requests_count{state="complete"} 1`,
		`cachito_requests_count{state="failed"} 0`, `cachito_requests_count{state="stale"} 0`,
		"cachito_request_duration_seconds_sum 90\n", "cachito_request_duration_seconds_count 1\n",
		`cachito_flask_http_request_total{method="POST",status="201"} 2`, `cachito_flask_http_request_total{method="other",status="405"} 1`,
		`cachito_flask_http_request_duration_seconds_count{endpoint="/api/v1/requests/{id}",method="GET",status="200"} 1`,
		`cachito_flask_http_request_duration_seconds_count{endpoint="none",method="GET",status="404"} 1`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("metrics lack %s", want)
		}
	}
	for _, never := range []string{"BREW", "/who/knows", "requests/1"} {
		if strings.Contains(text, never) {
			t.Errorf("metrics hold %q", never)
		}
	}
}

// TestHealth: the checks of a service whose database is gone.
func TestHealth(t *testing.T) {
	w := newWorld(t, settings(), func(d *api.Deps) {
		d.Health = nil
		d.Store = gone{d.Store}
	})
	tests := []struct {
		target string
		status int
		want   string
	}{
		{"/api/v1/status", 200, `"services": [{"name":"database","ok":false,"reason":"database connection failed"},{"name":"queue","ok":true},{"name":"storage","ok":true}]`},
		{"/api/v1/status", 200, `"workers": [{"name":"pipeline","ok":true}]`},
		{"/api/v1/status", 200, `"can_process": {"git-submodule":false,"gomod":false,`},
		{"/api/v1/status/short", 503, `{"ok": false, "reason": "database unavailable: database connection failed"}`},
		{"/healthcheck", 500, "The server encountered an internal error"},
	}
	for _, tt := range tests {
		out := w.ask(http.MethodGet, tt.target, "", nil)
		if out.Code != tt.status || !strings.Contains(out.Body.String(), tt.want) {
			t.Errorf("%s: got %d %s\nwant %d and %s", tt.target, out.Code, out.Body, tt.status, tt.want)
		}
		if strings.Contains(out.Body.String(), "10.1.2.3") {
			t.Errorf("%s tells an address: %s", tt.target, out.Body)
		}
	}
}

// TestHealthOfEveryService: each of them alone takes everything with it, and all well is well.
func TestHealthOfEveryService(t *testing.T) {
	tests := []struct {
		name   string
		change func(*api.Deps)
		want   string
	}{
		{"all well", func(*api.Deps) {}, ""},
		{"queue", func(d *api.Deps) { d.Queue = goneQueue{d.Queue} }, "queue unavailable: queue connection failed"},
		{"storage", func(d *api.Deps) { d.Blobs = goneBlobs{d.Blobs} }, "storage unavailable: storage connection failed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, settings(), func(d *api.Deps) { d.Health = nil }, tt.change)
			var short struct{ Reason string }
			out := w.ask(http.MethodGet, "/api/v1/status/short", "", nil)
			if err := json.Unmarshal(out.Body.Bytes(), &short); err != nil || short.Reason != tt.want {
				t.Errorf("reason %q, want %q (%v)", short.Reason, tt.want, err)
			}
			can := fmt.Sprintf(`"gomod":%v`, tt.want == "")
			if out := w.ask(http.MethodGet, "/api/v1/status", "", nil); !strings.Contains(out.Body.String(), can) {
				t.Errorf("status %s, want %s in it", out.Body, can)
			}
		})
	}
}

type goneQueue struct{ queue.Queue }

func (goneQueue) OldestAge(context.Context, string) (time.Duration, error) {
	return 0, errors.New("dial 10.1.2.3: connection refused")
}

type goneBlobs struct{ blob.Blob }

func (goneBlobs) Stat(context.Context, string) (blob.Info, error) {
	return blob.Info{}, errors.New("dial 10.1.2.3: connection refused")
}

type gone struct{ store.Store }

func (gone) Ping(context.Context) error { return errors.New("dial 10.1.2.3: connection refused") }

// TestBusy: what is asked too much of is no error of ours: clients are told which part it is, and that it passes.
func TestBusy(t *testing.T) {
	for part, busy := range map[string]error{"database": store.ErrBusy, "storage": blob.ErrBusy, "queue": queue.ErrBusy} {
		t.Run(part, func(t *testing.T) {
			w := newWorld(t, settings(), func(d *api.Deps) { d.Store = busyStore{d.Store, busy} })
			answer := w.ask(http.MethodGet, "/api/v1/requests/1", "", nil)
			want := `{"error": "The ` + part + ` is busy, please try again later"}` + "\n"
			if got := answer.Body.String(); answer.Code != http.StatusServiceUnavailable || got != want {
				t.Errorf("got %d %s, want 503 %s", answer.Code, got, want)
			}
		})
	}
}

type busyStore struct {
	store.Store
	busy error
}

func (s busyStore) Get(context.Context, int64) (request.Request, error) {
	return request.Request{}, fmt.Errorf("reading request 1: %w: connection refused", s.busy)
}

// TestRefusedSettings: New names the setting that cannot work.
func TestRefusedSettings(t *testing.T) {
	tests := []struct {
		name   string
		change func(*api.Config)
		want   string
	}{
		{"no default", func(c *api.Config) { c.DefaultPackageManagers = nil }, `The configuration "CACHITO_DEFAULT_PACKAGE_MANAGERS" must be set`},
		{"unknown manager", func(c *api.Config) { c.PackageManagers = []string{"gomod", "maven"} }, `package manager "maven" is not known; there are gomod, npm,`},
		{"unknown default", func(c *api.Config) { c.DefaultPackageManagers = []string{"maven"} }, `package manager "maven" is not known`},
		{"unknown download mode", func(c *api.Config) { c.Download = "fast" }, `download mode "fast" is not known`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := settings()
			tt.change(&cfg)
			_, err := api.New(cfg, api.Deps{Managers: all.List()})
			if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

// slowBody is a client that sends a part of its body and nothing more until the server gives up.
type slowBody struct{ first io.Reader }

func (b slowBody) Read(p []byte) (int, error) {
	if n, err := b.first.Read(p); err == nil {
		return n, nil
	}
	return 0, errors.New("i/o timeout")
}

// TestSlowClient: a body that does not come in time is the client's mistake, and nothing is stored.
func TestSlowClient(t *testing.T) {
	w := newWorld(t, settings())
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/api/v1/requests", slowBody{bytes.NewReader([]byte(`{"repo": `))})
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set(identityHeader, user)
	out := httptest.NewRecorder()
	w.handler.ServeHTTP(out, r)
	if got := message(t, out.Body.Bytes()); out.Code != 400 || got != "The request body could not be read" {
		t.Errorf("got %d %q", out.Code, got)
	}
}

// TestLogsGrow: each GET of a running request's log returns what there is.
func TestLogsGrow(t *testing.T) {
	w := newWorld(t, settings())
	w.post(nil)
	for i, want := range []string{"", "one\n", "one\ntwo\n"} {
		if i > 0 {
			line := strings.Split(want, "\n")[i-1] + "\n"
			if err := w.blobs.Put(t.Context(), fmt.Sprintf("logs/1/%d", i), []byte(line), false); err != nil {
				t.Fatal(err)
			}
		}
		out := w.ask(http.MethodGet, "/api/v1/requests/1/logs", "", nil)
		if out.Code != 200 || out.Body.String() != want {
			t.Errorf("got %d %q, want 200 %q", out.Code, out.Body, want)
		}
	}
}
