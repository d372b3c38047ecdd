package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// shortLimits make clients slow quickly.
var shortLimits = serverLimits{
	readHeader: 100 * time.Millisecond, read: 200 * time.Millisecond, idle: 2 * time.Second,
	stall: 600 * time.Millisecond, maxHeaderBytes: 4 << 10, shutdown: 300 * time.Millisecond,
}

// patience is how long a test waits for what should happen at once.
const patience = 10 * time.Second

// startServer runs a server until stop is called; ended gets what serve returned.
func startServer(t *testing.T, handler http.Handler) (address string, stop context.CancelFunc, ended chan error) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := newHTTPServer(handler, shortLimits, nil, slog.New(slog.DiscardHandler))
	ctx, stop := context.WithCancel(t.Context())
	ended = make(chan error, 1)
	go func() { ended <- s.serve(ctx, listener) }()
	t.Cleanup(func() {
		stop()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return listener.Addr().String(), stop, ended
}

func dial(t *testing.T, address string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// TestSlowClients: who sends or takes slower than the limits allow is cut off, and told so where that is possible.
func TestSlowClients(t *testing.T) {
	t.Parallel()
	echo := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		fmt.Fprint(w, "fine")
	})
	tests := []struct {
		name, sends string
		want        string // the beginning of what comes back
	}{
		{"nothing at all", "", ""},
		{"a header line that never ends", "GET / HTTP/1.1\r\nHost: x\r\nX-A: b", ""},
		{"headers without an end", "GET / HTTP/1.1\r\nHost: x\r\n", ""},
		{"a body that stops", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc", "HTTP/1.1 400 Bad Request"},
		{"a chunk that stops", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", "HTTP/1.1 400 Bad Request"},
		{"headers that are too large", "GET / HTTP/1.1\r\nHost: x\r\nX-A: " + strings.Repeat("a", 16<<10) + "\r\n\r\n", "HTTP/1.1 431 "},
		{"no more after a good call", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200 OK"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			address, _, _ := startServer(t, echo)
			conn := dial(t, address)
			if _, err := io.WriteString(conn, tt.sends); err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(conn) // until the server closes
			var timeout net.Error
			if errors.As(err, &timeout) && timeout.Timeout() {
				t.Fatal("the connection stays open")
			}
			if !strings.HasPrefix(string(got), tt.want) || tt.want == "" && len(got) > 0 && !strings.HasPrefix(string(got), "HTTP/1.1 4") {
				t.Errorf("got %.60q, want %q", got, tt.want)
			}
		})
	}
}

// TestSlowReader: an answer that its client does not take is broken off; one that is taken slowly but steadily,
// for longer than the limit, arrives whole.
func TestSlowReader(t *testing.T) {
	t.Parallel()
	const size = 32 << 20 // more than the network holds
	broken := make(chan error, 2)
	address, _, _ := startServer(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, err := w.Write(make([]byte, size))
		broken <- err
	}))
	for _, tt := range []struct {
		name   string
		pause  time.Duration
		cutOff bool
	}{{"steady", 15 * time.Millisecond, false}, {"stalling", patience, true}} {
		t.Run(tt.name, func(t *testing.T) {
			conn := dial(t, address)
			if _, err := io.WriteString(conn, "GET / HTTP/1.0\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			if !tt.cutOff {
				got, buffer := 0, make([]byte, size/64)
				for started := time.Now(); ; time.Sleep(tt.pause) {
					n, err := io.ReadFull(conn, buffer)
					if got += n; err != nil {
						if got < size {
							t.Errorf("got %d bytes of %d after %s: %v", got, size, time.Since(started), err)
						}
						if took := time.Since(started); took < shortLimits.stall {
							t.Errorf("the whole took %s, less than the limit for a part", took)
						}
						break
					}
				}
			}
			select {
			case err := <-broken:
				if (err != nil) != tt.cutOff {
					t.Errorf("writing: got %v, want cut off: %v", err, tt.cutOff)
				}
			case <-time.After(patience):
				t.Error("still writing")
			}
		})
	}
}

// TestKeptConnection: the limit of one answer does not outlive it.
func TestKeptConnection(t *testing.T) {
	t.Parallel()
	address, _, _ := startServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/empty" {
			return
		}
		fmt.Fprint(w, "fine")
	}))
	conn := dial(t, address)
	answers := bufio.NewReader(conn)
	for _, path := range []string{"/", "/empty"} {
		fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path)
		answer, err := http.ReadResponse(answers, nil)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if _, err := io.Copy(io.Discard, answer.Body); err != nil || answer.StatusCode != 200 {
			t.Fatalf("%s: %s, %v", path, answer.Status, err)
		}
		answer.Body.Close()
		time.Sleep(shortLimits.stall * 3 / 2)
	}
}

// TestShutdown: running answers may end, new ones are refused, and what never ends is cut off.
func TestShutdown(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		takes   time.Duration
		arrives bool
	}{{"an answer ends", 50 * time.Millisecond, true}, {"an answer never ends", patience, false}} {
		t.Run(tt.name, func(t *testing.T) {
			running := make(chan struct{})
			address, stop, ended := startServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				close(running)
				select {
				case <-time.After(tt.takes):
					fmt.Fprint(w, "fine")
				case <-r.Context().Done():
				}
			}))
			conn := dial(t, address)
			if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			<-running
			stop()
			for until := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
				late, err := net.Dial("tcp", address)
				if err != nil {
					break // refused
				}
				late.Close()
				if time.Now().After(until) {
					t.Fatal("new connections are still accepted")
				}
			}
			answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if (err == nil) != tt.arrives {
				t.Errorf("answer: %v, want it to arrive: %v", err, tt.arrives)
			}
			if err == nil {
				answer.Body.Close()
			}
			select {
			case err := <-ended:
				if err != nil {
					t.Errorf("serve: %v", err)
				}
			case <-time.After(patience):
				t.Error("serve does not end")
			}
		})
	}
}
