package api

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/cachito-serverless/cachito/shared/telemetry"
)

// httpMetrics counts what this process served, under upstream's names. Its label host is left out: that is
// what clients say they called.
type httpMetrics struct {
	registry *prometheus.Registry
	total    *prometheus.CounterVec
	duration *prometheus.HistogramVec
}

func newHTTPMetrics() *httpMetrics {
	m := &httpMetrics{
		registry: prometheus.NewRegistry(),
		total: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "cachito_flask_http_request_total", Help: "HTTP requests served by this process.",
		}, []string{"method", "status"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "cachito_flask_http_request_duration_seconds", Help: "Time to answer, by route.",
		}, []string{"endpoint", "method", "status"}),
	}
	m.registry.MustRegister(m.total, m.duration)
	return m
}

// statusWriter remembers what was answered.
type statusWriter struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	n, err := w.ResponseWriter.Write(p)
	w.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// ServeHTTP gives every call an id, a log line, a place in the metrics, and a net under panics.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	started := s.Clock()
	id := newRequestID()
	out := &statusWriter{ResponseWriter: w}
	r, span := s.observed(r, id)
	c := &call{server: s, w: out, r: r, log: s.Log.With(telemetry.CallKey, id), span: span}
	out.Header().Set("X-Request-Id", id)
	out.Header().Set("X-Content-Type-Options", "nosniff")
	defer func() {
		p := recover()
		if p != nil && p != http.ErrAbortHandler { //nolint:errorlint // a sentinel value of panic
			c.log.ErrorContext(c.r.Context(), "panic", "method", r.Method, "path", r.URL.Path, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			if out.status == 0 {
				c.fail(errInternal)
				p = nil
			}
		}
		c.leave()
		c.done(out, s.Clock().Sub(started))
		if p != nil {
			c.cut()
		}
	}()
	if err := c.run(); err != nil {
		c.fail(err)
	}
}

// done records an answered call: those that change something in the log, reads only when it is asked for
// everything.
func (c *call) done(out *statusWriter, elapsed time.Duration) {
	method := c.r.Method
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPatch, http.MethodOptions, http.MethodPut, http.MethodDelete:
	default:
		method = "other" // clients must not be able to make labels
	}
	status := strconv.Itoa(out.status)
	c.httpMetrics.total.WithLabelValues(method, status).Inc()
	c.httpMetrics.duration.WithLabelValues(c.endpoint(), method, status).Observe(elapsed.Seconds())
	c.observe(method, out.status, elapsed)
	level := slog.LevelDebug
	if method == http.MethodPost || method == http.MethodPatch {
		level = slog.LevelInfo
	}
	c.log.Log(c.r.Context(), level, "call", "method", c.r.Method, "path", c.r.URL.Path, "status", out.status,
		"bytes", out.bytes, "elapsed_ms", elapsed.Milliseconds(), "user", c.user)
}

// endpoint is the route of the call, so that ids do not become labels.
func (c *call) endpoint() string {
	if c.route == nil {
		return "none"
	}
	return c.route.path
}

func newRequestID() string {
	var b [8]byte
	rand.Read(b[:]) // never fails since Go 1.24
	return hex.EncodeToString(b[:])
}
