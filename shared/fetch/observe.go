package fetch

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/cachito-serverless/cachito/shared/telemetry"
)

// RoundTrip implements http.RoundTripper. The answer of a mirror looks as if it came from the
// original URL; so do its redirects as far as they stay below the mirror's target.
//
// What is counted goes by the host that the URL names; the span ends with the body.
func (t roundTripper) RoundTrip(r *http.Request) (*http.Response, error) {
	metrics := t.c.settings.Metrics
	_, span := telemetry.Start(r.Context(), "fetch", telemetry.Client)
	if span.On() {
		span.Text("http.request.method", r.Method)
		span.Text("server.address", r.URL.Host)
		span.Text("url.full", Redact(r.URL.String()))
	}
	resp, tries, err := t.send(r)
	if tries > 1 {
		span.Number("http.request.resend_count", int64(tries-1))
	}
	if err != nil {
		span.Fail(outcome(nil, err))
		span.End()
		return resp, err
	}
	span.Number("http.response.status_code", int64(resp.StatusCode))
	if resp.StatusCode >= http.StatusBadRequest {
		span.Fail(http.StatusText(resp.StatusCode))
	}
	if metrics != nil || span.On() {
		resp.Body = &countedBody{ReadCloser: resp.Body, end: func(n int64) {
			metrics.Add(telemetry.FetchedBytes, float64(n), metrics.Host(r.URL.Host))
			span.Number("http.response.body.size", n)
			span.End()
		}}
	}
	return resp, nil
}

// try sends a request a single time, and counts it.
func (t roundTripper) try(r *http.Request) (*http.Response, error) {
	resp, err := t.c.once(r)
	if m := t.c.settings.Metrics; m != nil {
		m.Add(telemetry.FetchRequests, 1, m.Host(r.URL.Host), outcome(resp, err))
	}
	return resp, err
}

// outcome is the label of what became of a request.
func outcome(resp *http.Response, err error) string {
	var refused *RefusedError
	switch {
	case err == nil:
		return telemetry.StatusClass(resp.StatusCode)
	case errors.As(err, &refused):
		return "refused"
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded) && !isTimeout(err):
		return "canceled"
	}
	return "error"
}

// countedBody counts what is read of an answer.
type countedBody struct {
	io.ReadCloser
	n    atomic.Int64 // Close may come while a Read waits
	once sync.Once
	end  func(n int64)
}

func (b *countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.n.Add(int64(n))
	if err != nil {
		b.once.Do(func() { b.end(b.n.Load()) })
	}
	return n, err
}

func (b *countedBody) Close() error {
	err := b.ReadCloser.Close()
	b.once.Do(func() { b.end(b.n.Load()) })
	return err
}
