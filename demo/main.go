// Command demo tells the whole story in under a minute, against the real Go module proxy: a git
// repository becomes a bundle, which builds somewhere else with the network cut off and every cache
// empty. It ends non-zero when any step fails.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/cachito-serverless/cachito/shared/client/clienttest"
)

// timeout bounds the whole demo; it takes seconds.
const timeout = 5 * time.Minute

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if err := run(ctx); err != nil {
		fmt.Fprintf(os.Stderr, "\nThe demo failed: %v\n", err)
		os.Exit(1)
	}
}

// story is what the steps hand on to each other.
type story struct {
	dir     string // temporary, removed at the end
	binary  string // cachito
	goCmd   string
	version string // of go: 1.26.0
	out     *printer
	repo    repository
	service *clienttest.Service
	first   outcome
}

func run(ctx context.Context) (err error) {
	dir, err := os.MkdirTemp("", "cachito-demo-")
	if err != nil {
		return err
	}
	s := &story{dir: dir, out: newPrinter(os.Stdout)}
	defer func() { err = errors.Join(err, clienttest.RemoveAll(dir)) }()

	started := time.Now()
	s.out.title("Cachito, serverless: from a git repository to a build without network")
	for _, step := range []func(context.Context) error{
		s.build, s.makeRepository, s.serve, s.request, s.inspect, s.buildOffline, s.repeat,
	} {
		if err := step(ctx); err != nil {
			if s.service != nil {
				err = fmt.Errorf("%w\nThe service's log:\n%s", errors.Join(err, s.service.Stop()), s.service.Log())
			}
			return err
		}
	}
	if err := s.service.Stop(); err != nil {
		return fmt.Errorf("stopping the service: %w", err)
	}
	s.repo.server.Close()
	s.out.title(fmt.Sprintf("Done in %.1f s. Your turn: make run, or bin/cachito fetch --help", time.Since(started).Seconds()))
	return nil
}
