package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/cachito-serverless/cachito/shared/client"
)

const (
	startTimeout = 20 * time.Second
	stopTimeout  = 20 * time.Second
)

// service is a running `cachito serve`.
type service struct {
	cmd    *exec.Cmd
	logged lockedBuilder
	client *client.Client
	done   chan error
	once   sync.Once
	ended  error
}

// serve starts the embedded service with fresh data on a free port.
func (s *story) serve(ctx context.Context) error {
	s.out.chapter("The service: everything embedded, on a free loopback port")
	portFile := filepath.Join(s.dir, "port")
	data := filepath.Join(s.dir, "data")
	v := &service{done: make(chan error, 1)}
	v.cmd = exec.Command(s.binary, "serve", "--listen", "127.0.0.1:0", "--data-dir", data, "--port-file", portFile)
	// Loopback is refused as a source of repositories unless the operator names it.
	v.cmd.Env = append(os.Environ(), "CACHITO_ALLOW_HOSTS="+s.repo.server.Host(), "CACHITO_LOG_LEVEL=info")
	v.cmd.Stdout, v.cmd.Stderr = &v.logged, &v.logged
	started := time.Now()
	if err := v.cmd.Start(); err != nil {
		return err
	}
	s.service = v
	go func() { v.done <- v.cmd.Wait() }()
	port, err := v.waitForPort(ctx, portFile)
	if err != nil {
		return err
	}
	url := "http://127.0.0.1:" + port
	if v.client, err = client.New(url, &http.Client{}); err != nil {
		return err
	}
	if _, err := v.client.JSON(ctx, "/status/short"); err != nil {
		return err
	}
	s.out.fact("listening", "%s after %.0f ms", url, float64(time.Since(started).Microseconds())/1000)
	return nil
}

func (v *service) waitForPort(ctx context.Context, file string) (string, error) {
	deadline := time.After(startTimeout)
	for {
		if raw, err := os.ReadFile(file); err == nil && len(raw) > 0 {
			return strings.TrimSpace(string(raw)), nil
		}
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-deadline:
			return "", errors.New("the service did not start in time")
		case err := <-v.done:
			v.done <- err
			return "", fmt.Errorf("the service ended at once: %w", err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// stop ends the service as an operator would and waits for it. It may be called twice.
func (v *service) stop() error {
	v.once.Do(func() {
		if err := v.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
			v.ended = err
			return
		}
		select {
		case v.ended = <-v.done:
		case <-time.After(stopTimeout):
			v.ended = errors.Join(errors.New("the service did not stop in time"), v.cmd.Process.Kill())
		}
	})
	return v.ended
}

func (v *service) log() string { return v.logged.String() }

// lockedBuilder collects the output of a running process.
type lockedBuilder struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lockedBuilder) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuilder) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
