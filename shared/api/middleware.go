package api

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/http"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// httpMetrics counts what this process served.
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

// middleware gives every call an id, a log line, a place in the metrics, and a net under panics.
func (s *server) middleware(next http.Handler) http.Handler {
	s.httpMetrics = newHTTPMetrics()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		started := time.Now()
		id := newRequestID()
		out := &statusWriter{ResponseWriter: w}
		h := out.Header()
		h.Set("X-Request-Id", id)
		h.Set("X-Content-Type-Options", "nosniff")
		defer func() {
			if p := recover(); p != nil {
				if p == http.ErrAbortHandler { //nolint:errorlint // a sentinel value of panic
					panic(p)
				}
				s.Log.ErrorContext(r.Context(), "panic", "http_request_id", id, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
				if out.status == 0 {
					(&call{server: s, w: out, r: r}).write(errInternal.status, map[string]string{"error": errInternal.text})
				}
			}
			elapsed := time.Since(started)
			status := strconv.Itoa(out.status)
			s.httpMetrics.total.WithLabelValues(r.Method, status).Inc()
			s.httpMetrics.duration.WithLabelValues(s.endpoint(r.URL.Path), r.Method, status).Observe(elapsed.Seconds())
			s.Log.DebugContext(r.Context(), "call", "http_request_id", id, "method", r.Method, "path", r.URL.Path,
				"status", out.status, "bytes", out.bytes, "elapsed_ms", elapsed.Milliseconds())
		}()
		next.ServeHTTP(out, r)
	})
}

// endpoint is the route of a path, so that ids do not become labels.
func (s *server) endpoint(path string) string {
	for _, rt := range s.routes {
		if _, ok := match(rt.path, path); ok {
			return rt.path
		}
	}
	return "none"
}

func newRequestID() string {
	var b [8]byte
	rand.Read(b[:]) // never fails since Go 1.24
	return hex.EncodeToString(b[:])
}
