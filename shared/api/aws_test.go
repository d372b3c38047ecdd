package api_test

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-lambda-go/events"

	"github.com/cachito-serverless/cachito/shared/api"
	"github.com/cachito-serverless/cachito/shared/blob"
	"github.com/cachito-serverless/cachito/shared/emulatortest"
	"github.com/cachito-serverless/cachito/shared/function"
	"github.com/cachito-serverless/cachito/shared/queue"
	"github.com/cachito-serverless/cachito/shared/store"
	"github.com/cachito-serverless/cachito/shared/store/dynamodb"
)

// claim of a token that names the caller.
const claim = "sub"

// TestContractAWS runs the contract as a client of the api function sees it: over DynamoDB, SQS and S3, every call as
// an event of API Gateway and back.
func TestContractAWS(t *testing.T) {
	testContract(t, func(t testing.TB, cfg api.Config, change ...func(*api.Deps)) *world {
		t.Helper()
		w := newWorldOn(t, onAWS, cfg, append(change, func(d *api.Deps) { d.Identify = function.User(claim) })...)
		handler := function.API(w.handler, slog.New(slog.DiscardHandler))
		w.call = func(r *http.Request, identity string) *httptest.ResponseRecorder {
			t.Helper()
			return throughGateway(t, handler, r, identity)
		}
		return w
	})
}

func onAWS(t testing.TB, clock func() time.Time) (store.Store, queue.Queue, blob.Blob) {
	t.Helper()
	return emulatortest.Store(t, nil, dynamodb.WithClock(clock)), emulatortest.Queue(t, nil, "source"), emulatortest.Ministack.Blob(t, nil)
}

// throughGateway sends a request as API Gateway does, and reads the function's answer as it does.
func throughGateway(t testing.TB, handler function.APIHandler, r *http.Request, identity string) *httptest.ResponseRecorder {
	t.Helper()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	e := events.APIGatewayV2HTTPRequest{
		Version: "2.0", RouteKey: "$default", RawPath: r.URL.Path, RawQueryString: r.URL.RawQuery, Body: string(body),
		// The cases' links are http; the real gateway says https, which events/ and their test show.
		Headers: map[string]string{"host": r.Host, "x-forwarded-proto": "http"}, QueryStringParameters: map[string]string{},
	}
	if !utf8.Valid(body) {
		e.Body, e.IsBase64Encoded = base64.StdEncoding.EncodeToString(body), true
	}
	for name, values := range r.Header {
		e.Headers[strings.ToLower(name)] = strings.Join(values, ",")
	}
	for name, values := range r.URL.Query() {
		e.QueryStringParameters[name] = strings.Join(values, ",")
	}
	c := &e.RequestContext
	c.Stage, c.DomainName, c.RequestID, c.RouteKey = "$default", r.Host, "JKJaXmPLvHcESHA=", "$default"
	c.HTTP = events.APIGatewayV2HTTPRequestContextHTTPDescription{Method: r.Method, Path: r.URL.Path, Protocol: "HTTP/1.1", SourceIP: "203.0.113.7"}
	if subject, ok := strings.CutPrefix(identity, "dn:"); ok {
		c.Authentication.ClientCert.SubjectDN = subject
	} else if identity != "" {
		c.Authorizer = &events.APIGatewayV2HTTPRequestContextAuthorizerDescription{
			JWT: &events.APIGatewayV2HTTPRequestContextAuthorizerJWTDescription{Claims: map[string]string{claim: identity}},
		}
	}
	var sent events.APIGatewayV2HTTPRequest
	copyJSON(t, e, &sent)
	out, err := handler(t.Context(), sent)
	if err != nil {
		t.Fatalf("%s %s: the function failed: %v", r.Method, r.URL, err)
	}
	var got events.APIGatewayV2HTTPResponse
	copyJSON(t, out, &got)
	rec := httptest.NewRecorder()
	for name, value := range got.Headers {
		rec.Header().Set(name, value)
	}
	for name, values := range got.MultiValueHeaders {
		rec.Header()[http.CanonicalHeaderKey(name)] = values
	}
	rec.WriteHeader(got.StatusCode)
	answer := []byte(got.Body)
	if got.IsBase64Encoded {
		if answer, err = base64.StdEncoding.DecodeString(got.Body); err != nil {
			t.Fatalf("%s %s: body: %v", r.Method, r.URL, err)
		}
	}
	rec.Write(answer)
	return rec
}

func copyJSON(t testing.TB, from, to any) {
	t.Helper()
	raw, err := json.Marshal(from)
	if err == nil {
		err = json.Unmarshal(raw, to)
	}
	if err != nil {
		t.Fatal(err)
	}
}
