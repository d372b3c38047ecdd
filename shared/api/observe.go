package api

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/telemetry"
)

// observed gives a call's context what its log lines carry, and begins its span: below the caller's, when the
// call has the header traceparent.
func (s *server) observed(r *http.Request, id string) (*http.Request, telemetry.Span) {
	ctx := telemetry.WithLogAttrs(r.Context(), slog.String(telemetry.CallKey, id))
	if s.Tracer == nil {
		return r.WithContext(ctx), telemetry.Span{}
	}
	ctx, span := telemetry.StartWith(telemetry.WithTracer(ctx, s.Tracer), telemetry.Options{
		Name: r.Method, Kind: telemetry.Server, Parent: telemetry.ParseTraceParent(r.Header.Get("traceparent")),
	})
	span.Text(telemetry.CallKey, id)
	return r.WithContext(ctx), span
}

// observe counts an answered call and ends its span. method is one of those that may be a label.
func (c *call) observe(method string, status int, elapsed time.Duration) {
	if c.Metrics == nil && !c.span.On() {
		return
	}
	route := "none"
	if c.route != nil {
		route = method + " " + c.route.path
	}
	c.Metrics.Observe(telemetry.CallSeconds, elapsed.Seconds(), route, telemetry.StatusClass(status))
	if !c.span.On() {
		return
	}
	if c.route != nil {
		c.span.Name(route)
		c.span.Text("http.route", c.route.path)
	}
	c.span.Text("http.request.method", method)
	c.span.Number("http.response.status_code", int64(status))
	if status >= http.StatusInternalServerError {
		c.span.Fail(http.StatusText(status))
	}
	c.span.End()
}

// concerns says which Cachito request the call is about, to all log lines that follow.
func (c *call) concerns(id int64) {
	c.r = c.r.WithContext(telemetry.ForRequest(c.r.Context(), id))
	c.span.Number("cachito.request_id", id)
}

// accepted counts a request that was stored just now, and begins its trace. The trace is not the call's: all
// steps must find it by the request's row, which was not there when the call began. Each has a link to the
// other.
func (c *call) accepted(req request.Request) {
	c.concerns(req.ID)
	c.Metrics.Add(telemetry.RequestsAccepted, 1)
	if !c.span.On() {
		return
	}
	root := telemetry.RequestSpan(req.ID, req.Created, req.Repo, req.Ref)
	_, span := telemetry.StartWith(c.r.Context(), telemetry.Options{
		Name: "request", Kind: telemetry.Server, ID: root, Links: []telemetry.SpanID{c.span.ID()},
	})
	span.Number("cachito.request_id", req.ID)
	span.Text(telemetry.CallKey, c.w.Header().Get("X-Request-Id"))
	span.End()
	c.span.Link(root)
}
