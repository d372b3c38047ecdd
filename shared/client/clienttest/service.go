// Package clienttest runs a real `cachito serve` process, for the demo, the benchmark and end-to-end
// tests.
package clienttest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
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
	stopTimeout  = 30 * time.Second
)

// Service is a running `cachito serve` on a free loopback port.
type Service struct {
	URL    string
	Client *client.Client
	cmd    *exec.Cmd
	logged lockedBuilder
	done   chan error
	stop   sync.Once
	ended  error
}

// Start runs binary with the data folder and these settings besides this process's environment, and
// waits until it answers. The caller ends it with Stop or Kill.
func Start(ctx context.Context, binary, dataDir string, settings ...string) (*Service, error) {
	temp, err := os.MkdirTemp("", "cachito-port-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(temp)
	portFile := filepath.Join(temp, "port")
	s := &Service{done: make(chan error, 1)}
	s.cmd = exec.Command(binary, "serve", "--listen", "127.0.0.1:0", "--data-dir", dataDir, "--port-file", portFile)
	s.cmd.Env = append(os.Environ(), settings...)
	s.cmd.Stdout, s.cmd.Stderr = &s.logged, &s.logged
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { s.done <- s.cmd.Wait() }()
	if err := s.connect(ctx, portFile); err != nil {
		return nil, errors.Join(fmt.Errorf("starting %s serve: %w\n%s", binary, err, s.Log()), s.Kill())
	}
	return s, nil
}

func (s *Service) connect(ctx context.Context, portFile string) error {
	deadline := time.After(startTimeout)
	for {
		if raw, err := os.ReadFile(portFile); err == nil && len(raw) > 0 {
			s.URL = "http://127.0.0.1:" + strings.TrimSpace(string(raw))
			break
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-deadline:
			return errors.New("it did not start in time")
		case err := <-s.done:
			s.done <- err
			return fmt.Errorf("it ended at once: %w", err)
		case <-time.After(5 * time.Millisecond):
		}
	}
	var err error
	if s.Client, err = client.New(s.URL, &http.Client{}); err != nil {
		return err
	}
	_, err = s.Client.JSON(ctx, "/status/short")
	return err
}

// Stop ends the service as an operator would, with SIGTERM, and waits for it. A service that does not
// end with exit code 0 in time is an error. Stop and Kill may be called more than once, the first
// counts.
func (s *Service) Stop() error { return s.end(syscall.SIGTERM) }

// Kill ends the service at once, as a power cut would.
func (s *Service) Kill() error { return s.end(syscall.SIGKILL) }

func (s *Service) end(signal syscall.Signal) error {
	s.stop.Do(func() {
		if err := s.cmd.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
			s.ended = err
			return
		}
		select {
		case s.ended = <-s.done:
			if signal == syscall.SIGKILL {
				s.ended = nil // "signal: killed" is what was wanted
			}
		case <-time.After(stopTimeout):
			s.ended = errors.Join(errors.New("the service did not stop in time"), s.cmd.Process.Kill())
		}
	})
	return s.ended
}

// Pid is the process's id.
func (s *Service) Pid() int { return s.cmd.Process.Pid }

// Log is what the service printed so far.
func (s *Service) Log() string { return s.logged.String() }

// RemoveAll removes a folder although a module cache in it is read-only.
func RemoveAll(dir string) error {
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			return os.Chmod(path, 0o700)
		}
		return err
	})
	return errors.Join(err, os.RemoveAll(dir))
}

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
