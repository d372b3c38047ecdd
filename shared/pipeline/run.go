package pipeline

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/cachito-serverless/cachito/shared/queue"
	"github.com/cachito-serverless/cachito/shared/request"
)

const (
	// receiveWait is how long a worker waits for a message before it asks again.
	receiveWait = 20 * time.Second
	// troublePause is the pause after trouble with the queue or the store.
	troublePause = time.Second
)

// Run is the embedded service's work: workers for every queue and the reaper, until ctx ends. Running
// steps are then interrupted and handed back. It must be the only one to use WorkDir.
func (p *Pipeline) Run(ctx context.Context) error {
	if err := p.ClearWorkDir(); err != nil {
		return err
	}
	if err := p.Resume(ctx); err != nil {
		return fmt.Errorf("resuming unfinished requests: %w", err)
	}
	var wg sync.WaitGroup
	for _, name := range p.Queues() {
		for range p.settings.Workers {
			wg.Go(func() { p.work(ctx, name) })
		}
	}
	wg.Go(func() { p.reapEvery(ctx) })
	wg.Wait()
	return nil
}

// ClearWorkDir removes the scratch folders that steps left behind. No step may run.
func (p *Pipeline) ClearWorkDir() error {
	entries, err := os.ReadDir(p.WorkDir)
	if err != nil {
		return fmt.Errorf("reading the work folder: %w", err)
	}
	for _, e := range entries {
		removeAll(filepath.Join(p.WorkDir, e.Name()))
	}
	return nil
}

func (p *Pipeline) work(ctx context.Context, name string) {
	for ctx.Err() == nil {
		d, err := p.Queue.Receive(ctx, name, Visibility, receiveWait)
		if errors.Is(err, queue.ErrEmpty) {
			continue
		}
		if err == nil {
			err = p.Handle(ctx, d)
		}
		if err != nil && ctx.Err() == nil {
			p.Log.ErrorContext(ctx, "queue or store in trouble", "queue", name, "error", err)
			pause(ctx, troublePause)
		}
	}
}

func (p *Pipeline) reapEvery(ctx context.Context) {
	for ctx.Err() == nil {
		if err := p.Tidy(ctx); err != nil && ctx.Err() == nil {
			p.Log.ErrorContext(ctx, "reaper in trouble", "error", err)
		}
		pause(ctx, p.settings.ReapEvery)
	}
}

// Tidy is everything that is done now and then: Reap, and a slice of pruning (pruneCache). It can run at any time,
// several at once.
func (p *Pipeline) Tidy(ctx context.Context) error {
	return errors.Join(p.Reap(ctx), p.pruneCache(ctx))
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// RunRequest drives one request to its end in this process and returns it as it is then; for one-shot
// use with a store and queue of its own. onChange, when not nil, sees the request about twice a second.
func (p *Pipeline) RunRequest(ctx context.Context, id int64, onChange func(request.Request)) (request.Request, error) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	for _, name := range p.Queues() {
		wg.Go(func() { p.work(ctx, name) })
	}
	for {
		req, err := p.Store.Get(ctx, id)
		if err != nil {
			return request.Request{}, err
		}
		if onChange != nil {
			onChange(req)
		}
		if req.State != request.StateInProgress {
			return req, nil
		}
		pause(ctx, 200*time.Millisecond)
		if ctx.Err() != nil {
			return req, ctx.Err()
		}
	}
}
