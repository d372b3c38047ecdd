package function

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-lambda-go/events"
	"github.com/awslabs/aws-lambda-go-api-proxy/core"
	"github.com/awslabs/aws-lambda-go-api-proxy/httpadapter"

	"github.com/cachito-serverless/cachito/shared/gateway"
	"github.com/cachito-serverless/cachito/shared/telemetry"
)

// defaultStage is the stage of an API whose name is in no path.
const defaultStage = "$default"

// What callers are told when there is nothing else to tell.
const (
	badEvent = `{"error": "The request cannot be understood"}` + "\n"
	noAnswer = `{"error": "The answer could not be completed"}` + "\n"
	tooLate  = `{"error": "The answer took too long, please try again later"}` + "\n"
)

// AnswerMargin is how long before Lambda ends the function a call is given up: its client is told so, and the
// process lives on. A function with less than twice the time has half of it.
const AnswerMargin = 2 * time.Second

// APIHandler answers events of an HTTP API of API Gateway, payload format 2.0.
type APIHandler = func(context.Context, events.APIGatewayV2HTTPRequest) (events.APIGatewayV2HTTPResponse, error)

// API puts an HTTP handler behind API Gateway. What the proxy library makes of an event is mended first: header
// values that it split at commas, the caller's address without a port, and whether the client spoke https.
//
// An answer is held in memory until it is complete, and Lambda takes 6 MB at most: give the handler
// api.LambdaAnswerBytes.
func API(handler http.Handler, log *slog.Logger) APIHandler {
	return func(ctx context.Context, e events.APIGatewayV2HTTPRequest) (answer events.APIGatewayV2HTTPResponse, err error) {
		if id := e.RequestContext.RequestID; id != "" {
			ctx = telemetry.WithLogAttrs(ctx, slog.String(telemetry.GatewayKey, id))
		}
		// A handler that cannot finish its answer breaks the connection off, if there is one.
		ctx = context.WithValue(ctx, http.ServerContextKey, &http.Server{})
		if err := prepare(&e); err != nil {
			log.WarnContext(ctx, "event is no call of an HTTP API", "error", err)
			return plainAnswer(http.StatusBadRequest, badEvent), nil
		}
		ctx, cancel := beforeDeadline(ctx, AnswerMargin)
		defer cancel()
		defer func() {
			if late := errors.Is(ctx.Err(), context.DeadlineExceeded); late && answer.StatusCode >= http.StatusInternalServerError {
				log.ErrorContext(ctx, "call given up near the time limit", "method", e.RequestContext.HTTP.Method, "path", e.RawPath)
				answer = plainAnswer(http.StatusServiceUnavailable, tooLate)
			}
		}()
		defer func() {
			if p := recover(); p == http.ErrAbortHandler { //nolint:errorlint // a sentinel value of panic
				answer, err = plainAnswer(http.StatusBadGateway, noAnswer), nil
			} else if p != nil {
				panic(p)
			}
		}()
		mended := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mend(r, e)
			begun := &beginning{ResponseWriter: w}
			handler.ServeHTTP(begun, r)
			if !begun.yes {
				w.WriteHeader(http.StatusOK) // as net/http has it; the library takes it for a mistake
			}
		})
		return httpadapter.NewV2(mended).ProxyWithContext(ctx, e)
	}
}

// beginning tells whether an answer was begun.
type beginning struct {
	http.ResponseWriter
	yes bool
}

func (b *beginning) WriteHeader(status int) {
	b.yes = b.yes || status >= http.StatusOK
	b.ResponseWriter.WriteHeader(status)
}

func (b *beginning) Write(p []byte) (int, error) {
	b.yes = true
	return b.ResponseWriter.Write(p)
}

// Unwrap is for http.ResponseController.
func (b *beginning) Unwrap() http.ResponseWriter { return b.ResponseWriter }

// User names the caller of a request that came through API, by what API Gateway has verified.
func User(claim string) func(r *http.Request) string {
	return func(r *http.Request) string {
		c, ok := core.GetAPIGatewayV2ContextFromContext(r.Context())
		if !ok {
			return ""
		}
		return gateway.HTTPUser(c, claim)
	}
}

// prepare checks what the library would turn down, and gives it paths that it understands: API Gateway undoes
// the escapes of paths, and puts the stage before them.
func prepare(e *events.APIGatewayV2HTTPRequest) error {
	if e.Version != "2.0" || e.RequestContext.HTTP.Method == "" {
		return errors.New("want payload format 2.0 with a method in its request context")
	}
	if e.IsBase64Encoded {
		if _, err := base64.StdEncoding.DecodeString(e.Body); err != nil {
			return errors.New("the body is no base64")
		}
	}
	path := e.RawPath
	if path == "" {
		path = e.RequestContext.HTTP.Path
	}
	if stage := e.RequestContext.Stage; stage != "" && stage != defaultStage {
		if rest, ok := strings.CutPrefix(path, "/"+stage); ok && (rest == "" || rest[0] == '/') {
			path = rest
		}
	}
	if _, err := url.PathUnescape(path); err != nil || strings.ContainsAny(path, "?# \"") || !utf8.ValidString(path) {
		path = (&url.URL{Path: path}).EscapedPath()
	}
	if path == "" {
		path = "/"
	}
	e.RawPath = path
	if e.RequestContext.DomainName == "" {
		e.RequestContext.DomainName = "localhost"
	}
	r, err := http.NewRequest(strings.ToUpper(e.RequestContext.HTTP.Method), "https://"+e.RequestContext.DomainName+path+"?"+e.RawQueryString, nil)
	if err == nil && r.URL.Host != e.RequestContext.DomainName {
		return fmt.Errorf("the domain name %q is none", e.RequestContext.DomainName)
	}
	return err
}

// mend sets what the library got wrong, from the event.
func mend(r *http.Request, e events.APIGatewayV2HTTPRequest) {
	for name, value := range e.Headers {
		name = http.CanonicalHeaderKey(name)
		if name == "Cookie" && len(e.Cookies) > 0 {
			continue // API Gateway has them in a list of their own
		}
		r.Header[name] = []string{value}
	}
	// net/http's server has it as a field alone.
	if host := r.Header.Get("Host"); host != "" {
		r.Host = host
	}
	r.Header.Del("Host")
	// The port of the caller is not known.
	r.RemoteAddr = net.JoinHostPort(e.RequestContext.HTTP.SourceIP, "0")
	// API Gateway overwrites what the client says, and knows nothing but https; an emulator does.
	if proto := r.Header.Get("X-Forwarded-Proto"); proto == "" || proto == "https" {
		r.TLS = &tls.ConnectionState{HandshakeComplete: true}
	}
}

func plainAnswer(status int, body string) events.APIGatewayV2HTTPResponse {
	return events.APIGatewayV2HTTPResponse{StatusCode: status, Headers: map[string]string{"Content-Type": "application/json"}, Body: body}
}
