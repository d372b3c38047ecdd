package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cachito-serverless/cachito/shared/pipeline"
	queuesqlite "github.com/cachito-serverless/cachito/shared/queue/sqlite"
	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/store"
	storesqlite "github.com/cachito-serverless/cachito/shared/store/sqlite"
)

// TestStopped: a service that ends while it works gives back what it holds, so that the next one goes on at
// once, and the interruption costs the request nothing.
func TestStopped(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0") // a git server that never answers
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	called := make(chan net.Conn)
	go func() {
		if conn, err := silent.Accept(); err == nil {
			called <- conn
		}
	}()
	k := &killed{t: t, data: filepath.Join(t.TempDir(), "data"), git: silent.Addr().String()}
	k.start()
	defer k.kill()
	id := k.post("http://"+k.git+"/o/app.git", strings.Repeat("a7", 20))
	select {
	case conn := <-called:
		defer conn.Close()
	case <-time.After(patience):
		t.Fatal("the source is not fetched")
	}
	k.readsLog(id, request.ReasonSource)
	if err := k.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := k.cmd.Wait(); err != nil {
		t.Fatalf("it ended with %v:\n%s", err, k.stderr.String())
	}

	s, err := storesqlite.Open(t.Context(), filepath.Join(k.data, "cachito.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	req, err := s.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	step := req.Steps[store.SourceStep]
	if req.State != request.StateInProgress || step.State != request.StepWaiting || !step.LeaseUntil.IsZero() {
		t.Errorf("request is %s, its source step %+v; want it in progress and the step waiting without a lease", req.State, step)
	}
	q, err := queuesqlite.New(t.Context(), s.DB(), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	d, err := q.Receive(t.Context(), store.SourceStep, time.Minute, 0)
	if err != nil || d.RequestID != id || d.ReceiveCount != 1 {
		t.Errorf("message: got %+v, %v; want that of request %d, as if for the first time", d, err, id)
	}
}

// readsLog waits until the log of a running request tells something.
func (k *killed) readsLog(id int64, want string) {
	k.t.Helper()
	text := ""
	for deadline := time.Now().Add(3 * pipeline.HeartbeatEvery); ; time.Sleep(50 * time.Millisecond) {
		res, err := http.Get(k.url + fmt.Sprintf("/api/v1/requests/%d/logs", id))
		if err != nil {
			k.t.Fatal(err)
		}
		b, err := io.ReadAll(res.Body)
		res.Body.Close()
		if text = string(b); err == nil && strings.Contains(text, want) {
			return
		}
		if time.Now().After(deadline) {
			k.t.Fatalf("the log of a request whose source is fetched says %q (%v), want %q", text, err, want)
		}
	}
}
