package main

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// serverLimits are what clients may take of the HTTP server.
type serverLimits struct {
	readHeader, read, idle time.Duration
	// stall is how long a client may leave an answer's next part in the network. There is no limit on a whole
	// answer: a bundle may take its time.
	stall          time.Duration
	maxHeaderBytes int
	// shutdown is how long running answers may go on after SIGTERM.
	shutdown time.Duration
}

var defaultLimits = serverLimits{
	readHeader: 10 * time.Second, read: 60 * time.Second, idle: 120 * time.Second,
	stall: 60 * time.Second, maxHeaderBytes: 64 << 10, shutdown: 10 * time.Second,
}

// maxPart is how many bytes of an answer a client must take within serverLimits.stall.
const maxPart = 64 << 10

// httpServer is the service's HTTP server: plain, or TLS when there is a configuration for it.
type httpServer struct {
	http.Server
	limits serverLimits
}

func newHTTPServer(handler http.Handler, limits serverLimits, tlsConfig *tls.Config, log *slog.Logger) *httpServer {
	return &httpServer{http.Server{
		Handler:           paced(handler, limits.stall),
		ReadHeaderTimeout: limits.readHeader,
		ReadTimeout:       limits.read,
		IdleTimeout:       limits.idle,
		MaxHeaderBytes:    limits.maxHeaderBytes,
		TLSConfig:         tlsConfig,
		// Clients that break off a TLS handshake, mostly.
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelInfo),
	}, limits}
}

// serve answers until stop is done. Then nobody is let in any more, and running answers may end; what still
// runs after a while is cut off.
func (s *httpServer) serve(stop context.Context, listener net.Listener) error {
	ended := make(chan error, 1)
	go func() {
		if s.TLSConfig != nil {
			ended <- s.ServeTLS(listener, "", "")
		} else {
			ended <- s.Serve(listener)
		}
	}()
	select {
	case err := <-ended:
		return err
	case <-stop.Done():
	}
	// stop is over, and the answers that still run need another.
	end, cancel := context.WithTimeout(context.WithoutCancel(stop), s.limits.shutdown)
	defer cancel()
	if err := s.Shutdown(end); err != nil {
		if !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
		return s.Close()
	}
	return nil
}

// paced cuts clients off that do not take their answers.
func paced(next http.Handler, stall time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		out := &pacedWriter{w, http.NewResponseController(w), stall}
		next.ServeHTTP(out, r)
	})
}

// pacedWriter gives the client time for each part of an answer.
type pacedWriter struct {
	http.ResponseWriter
	control *http.ResponseController
	stall   time.Duration
}

// Write implements http.ResponseWriter.
func (w *pacedWriter) Write(p []byte) (n int, err error) {
	for first := true; err == nil && (first || len(p) > 0); first = false {
		part := p[:min(len(p), maxPart)]
		p = p[len(part):]
		// A writer without deadlines has no client that could stall.
		_ = w.control.SetWriteDeadline(time.Now().Add(w.stall))
		var written int
		written, err = w.ResponseWriter.Write(part)
		n += written
	}
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (w *pacedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
