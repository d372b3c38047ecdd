package main

import (
	"io"
	"net/http"
	"sync"
)

// inProcess carries HTTP calls to a handler in this process, so that one client serves both the
// service elsewhere and the one-shot command. Bodies stream; nothing is kept whole.
type inProcess struct{ handler http.Handler }

// RoundTrip implements http.RoundTripper.
func (t inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	read, write := io.Pipe()
	w := &pipeWriter{header: http.Header{}, body: write, started: make(chan struct{})}
	// Handlers know a server's requests, which have these set.
	served := r.Clone(r.Context())
	served.RequestURI = r.URL.RequestURI()
	served.RemoteAddr = "127.0.0.1:0"
	if served.Body == nil {
		served.Body = http.NoBody
	}
	go func() {
		t.handler.ServeHTTP(w, served)
		w.WriteHeader(http.StatusOK)
		_ = write.Close() // never fails
	}()
	select {
	case <-w.started:
	case <-r.Context().Done():
		_ = read.CloseWithError(r.Context().Err()) // never fails; ends the handler's writes
		return nil, r.Context().Err()
	}
	return &http.Response{
		Status:        http.StatusText(w.status),
		StatusCode:    w.status,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        w.sent,
		Body:          read,
		ContentLength: -1,
		Request:       r,
	}, nil
}

// pipeWriter is the handler's side.
type pipeWriter struct {
	header  http.Header
	sent    http.Header // as it was when the status was sent
	status  int
	body    *io.PipeWriter
	once    sync.Once
	started chan struct{}
}

func (w *pipeWriter) Header() http.Header { return w.header }

func (w *pipeWriter) WriteHeader(status int) {
	w.once.Do(func() {
		w.status, w.sent = status, w.header.Clone()
		close(w.started)
	})
}

func (w *pipeWriter) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(p)
}
