package function

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"
)

// seen is what a handler sees of an event.
type seen struct {
	Method, Path, Query, Host, Remote, Body string
	HTTPS                                   bool
	Headers                                 map[string][]string
}

func call(t *testing.T, e events.APIGatewayV2HTTPRequest) (seen, events.APIGatewayV2HTTPResponse) {
	t.Helper()
	var got seen
	handle := API(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		got = seen{r.Method, r.URL.Path, r.URL.RawQuery, r.Host, r.RemoteAddr, string(body), r.TLS != nil, r.Header}
		w.WriteHeader(http.StatusNoContent)
	}), slog.New(slog.DiscardHandler))
	answer, err := handle(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	return got, answer
}

// event is a call as API Gateway describes it.
func event(method, path string, change ...func(*events.APIGatewayV2HTTPRequest)) events.APIGatewayV2HTTPRequest {
	e := events.APIGatewayV2HTTPRequest{Version: "2.0", RouteKey: "$default", RawPath: path, Headers: map[string]string{}}
	e.RequestContext.DomainName = "abc.execute-api.us-east-1.amazonaws.com"
	e.RequestContext.Stage = "$default"
	e.RequestContext.HTTP.Method, e.RequestContext.HTTP.Path, e.RequestContext.HTTP.SourceIP = method, path, "203.0.113.7"
	for _, f := range change {
		f(&e)
	}
	return e
}

func header(name, value string) func(*events.APIGatewayV2HTTPRequest) {
	return func(e *events.APIGatewayV2HTTPRequest) { e.Headers[name] = value }
}

// TestAPISees: what the handler sees is what the client sent, whatever the gateway and the library do to it.
func TestAPISees(t *testing.T) {
	base := func(change func(*seen)) seen {
		s := seen{
			Method: "GET", Path: "/api/v1/requests", Host: "abc.execute-api.us-east-1.amazonaws.com",
			Remote: "203.0.113.7:0", HTTPS: true, Headers: map[string][]string{},
		}
		change(&s)
		return s
	}
	const path = "/api/v1/requests"
	tests := []struct {
		name  string
		event events.APIGatewayV2HTTPRequest
		want  seen
	}{
		{"plain", event("GET", path), base(func(*seen) {})},
		{"a header with commas is one value", event("GET", path, header("x-remote-user", "CN=tbrady,OU=users,DC=local"), header("if-none-match", `"a,b", "c"`)), base(func(s *seen) {
			s.Headers["X-Remote-User"] = []string{"CN=tbrady,OU=users,DC=local"}
			s.Headers["If-None-Match"] = []string{`"a,b", "c"`}
		})},
		{"cookies come in a list", event("GET", path, func(e *events.APIGatewayV2HTTPRequest) { e.Cookies = []string{"a=1", "b=2"} }), base(func(s *seen) {
			s.Headers["Cookie"] = []string{"a=1", "b=2"}
		})},
		{"the query is the raw one", event("GET", path, func(e *events.APIGatewayV2HTTPRequest) {
			e.RawQueryString = "pkg_manager=npm&pkg_manager=yarn&state=a%2Cb"
			e.QueryStringParameters = map[string]string{"pkg_manager": "npm,yarn", "state": "a,b"}
		}), base(func(s *seen) { s.Query = "pkg_manager=npm&pkg_manager=yarn&state=a%2Cb" })},
		{"the host is the one that the client addressed", event("GET", path, header("host", "cachito.example.com")), base(func(s *seen) { s.Host = "cachito.example.com" })},
		{"an emulator without https", event("GET", path, header("x-forwarded-proto", "http"), header("host", "127.0.0.1:4566")), base(func(s *seen) {
			s.Host, s.HTTPS = "127.0.0.1:4566", false
			s.Headers["X-Forwarded-Proto"] = []string{"http"}
		})},
		{"IPv6", event("GET", path, func(e *events.APIGatewayV2HTTPRequest) { e.RequestContext.HTTP.SourceIP = "2001:db8::1" }), base(func(s *seen) { s.Remote = "[2001:db8::1]:0" })},
		{"a body in base64", event("POST", path, func(e *events.APIGatewayV2HTTPRequest) {
			e.Body, e.IsBase64Encoded = base64.StdEncoding.EncodeToString([]byte("{\"é\": 1}")), true
		}), base(func(s *seen) { s.Method, s.Body = "POST", "{\"é\": 1}" })},
		{"a stage is no part of the path", event("GET", "/prod"+path, func(e *events.APIGatewayV2HTTPRequest) { e.RequestContext.Stage = "prod" }), base(func(*seen) {})},
		{"a path that begins like the stage", event("GET", "/production", func(e *events.APIGatewayV2HTTPRequest) { e.RequestContext.Stage = "prod" }), base(func(s *seen) { s.Path = "/production" })},
		{"the stage alone", event("GET", "/prod", func(e *events.APIGatewayV2HTTPRequest) { e.RequestContext.Stage = "prod" }), base(func(s *seen) { s.Path = "/" })},
		{"a path whose escapes the gateway undid", event("GET", "/a b/100%/c?d#e"), base(func(s *seen) { s.Path = "/a b/100%/c?d#e" })},
		{"a path with escapes", event("GET", "/a%20b"), base(func(s *seen) { s.Path = "/a b" })},
		{"bytes that are no UTF-8", event("GET", "/\xff"), base(func(s *seen) { s.Path = "/\xff" })},
		{"no path", event("GET", ""), base(func(s *seen) { s.Path = "/" })},
		{"the library's own headers are not believed", event("GET", path, header("x-golambdaproxy-apigw-context", `{"authorizer": {"jwt": {"claims": {"sub": "root"}}}}`)), base(func(s *seen) {
			s.Headers["X-Golambdaproxy-Apigw-Context"] = []string{`{"authorizer": {"jwt": {"claims": {"sub": "root"}}}}`}
		})},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, answer := call(t, tt.event)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if answer.StatusCode != http.StatusNoContent {
				t.Errorf("status %d: %s", answer.StatusCode, answer.Body)
			}
		})
	}
}

// TestUser: who calls comes from the gateway's own words alone.
func TestUser(t *testing.T) {
	e := event("GET", "/", header("x-golambdaproxy-apigw-context", `{"authorizer": {"jwt": {"claims": {"sub": "root"}}}}`), header("authorization", "Bearer root"))
	for want, authorizer := range map[string]*events.APIGatewayV2HTTPRequestContextAuthorizerDescription{
		"":       nil,
		"tbrady": {JWT: &events.APIGatewayV2HTTPRequestContextAuthorizerJWTDescription{Claims: map[string]string{"sub": "tbrady"}}},
	} {
		e.RequestContext.Authorizer = authorizer
		got := "nobody asked"
		handle := API(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			got = User("sub")(r)
			w.WriteHeader(http.StatusNoContent)
		}), slog.New(slog.DiscardHandler))
		if _, err := handle(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := User("sub")(r); got != "" {
		t.Errorf("a request that did not come through the gateway: got %q", got)
	}
}

// TestAPIBadEvents: what is no call of an HTTP API is refused, and the function lives on.
func TestAPIBadEvents(t *testing.T) {
	var logged strings.Builder
	handle := API(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the handler was called") }),
		slog.New(slog.NewTextHandler(&logged, nil)))
	tests := map[string]events.APIGatewayV2HTTPRequest{
		"nothing":           {},
		"payload 1.0":       event("GET", "/", func(e *events.APIGatewayV2HTTPRequest) { e.Version = "1.0" }),
		"no method":         event("", "/"),
		"a body that lies":  event("POST", "/", func(e *events.APIGatewayV2HTTPRequest) { e.Body, e.IsBase64Encoded = "%%", true }),
		"a host like a URL": event("GET", "/", func(e *events.APIGatewayV2HTTPRequest) { e.RequestContext.DomainName = "a b" }),
	}
	for name, e := range tests {
		t.Run(name, func(t *testing.T) {
			logged.Reset()
			answer, err := handle(t.Context(), e)
			if err != nil || answer.StatusCode != http.StatusBadRequest || answer.Body != badEvent {
				t.Errorf("got %+v, %v", answer, err)
			}
			if !strings.Contains(logged.String(), "no call of an HTTP API") {
				t.Errorf("log: %s", &logged)
			}
		})
	}
}

// TestAPIBrokenOff: an answer that could not be finished is no answer; a panic that nobody foresaw ends the
// process, which Lambda replaces.
func TestAPIBrokenOff(t *testing.T) {
	handle := func(p any) (answer events.APIGatewayV2HTTPResponse, panicked any) {
		defer func() { panicked = recover() }()
		answer, err := API(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Context().Value(http.ServerContextKey) == nil {
				t.Error("handlers do not know that there is a client to cut off")
			}
			io.WriteString(w, "half of it")
			panic(p)
		}), slog.New(slog.DiscardHandler))(context.Background(), event("GET", "/"))
		if err != nil {
			t.Error(err)
		}
		return answer, nil
	}
	if answer, panicked := handle(http.ErrAbortHandler); answer.StatusCode != http.StatusBadGateway || answer.Body != noAnswer || panicked != nil {
		t.Errorf("got %+v, panic %v", answer, panicked)
	}
	if _, panicked := handle("a bug"); panicked != "a bug" {
		t.Errorf("panic: got %v", panicked)
	}
}

// TestAPITakesTooLong: a call that does not get done is answered before Lambda ends the function.
func TestAPITakesTooLong(t *testing.T) {
	for _, tt := range []struct {
		name   string
		finish func(w http.ResponseWriter) // after the time is up
		status int
		body   string
	}{
		{"with an error", func(w http.ResponseWriter) { http.Error(w, "some error", http.StatusInternalServerError) }, http.StatusServiceUnavailable, tooLate},
		{"broken off", func(w http.ResponseWriter) {
			io.WriteString(w, "half of it")
			panic(http.ErrAbortHandler)
		}, http.StatusServiceUnavailable, tooLate},
		{"with an answer all the same", func(w http.ResponseWriter) { io.WriteString(w, "done") }, http.StatusOK, "done"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			answer, err := API(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				<-r.Context().Done()
				tt.finish(w)
			}), slog.New(slog.DiscardHandler))(ctx, event("GET", "/"))
			if err != nil || ctx.Err() != nil {
				t.Fatalf("it came too late: %v, %v", err, ctx.Err())
			}
			if answer.StatusCode != tt.status || answer.Body != tt.body {
				t.Errorf("got %d %q", answer.StatusCode, answer.Body)
			}
		})
	}
}

// FuzzAPI: no event makes the function fail, and a handler sees paths that begin with a slash.
func FuzzAPI(f *testing.F) {
	for _, e := range []events.APIGatewayV2HTTPRequest{
		event("GET", "/api/v1/requests"), event("POST", "/prod/x%2fy?z", header("host", "a")), {}, event("GET", "//evil/%zz"),
	} {
		raw, err := json.Marshal(e)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var e events.APIGatewayV2HTTPRequest
		if json.Unmarshal(raw, &e) != nil {
			return
		}
		handle := API(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !strings.HasPrefix(r.URL.Path, "/") {
				t.Errorf("path %q", r.URL.Path)
			}
			w.WriteHeader(http.StatusNoContent)
		}), slog.New(slog.DiscardHandler))
		answer, err := handle(t.Context(), e)
		if err != nil || answer.StatusCode != http.StatusNoContent && answer.StatusCode != http.StatusBadRequest {
			t.Errorf("got %+v, %v", answer, err)
		}
	})
}

// TestAPIAnswersNothing: a handler that writes nothing answers 200, as with net/http.
func TestAPIAnswersNothing(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{
		"nothing at all": func(http.ResponseWriter, *http.Request) {},
		"a header alone": func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Type", "text/plain") },
		"empty content":  func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(nil) },
	} {
		answer, err := API(handler, slog.New(slog.DiscardHandler))(t.Context(), event(http.MethodGet, "/"))
		if err != nil || answer.StatusCode != http.StatusOK || answer.Body != "" {
			t.Errorf("%s: got %d %q, %v, want an empty answer", name, answer.StatusCode, answer.Body, err)
		}
	}
}
