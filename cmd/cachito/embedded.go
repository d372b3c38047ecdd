package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/cachito-serverless/cachito/shared/blob"
	"github.com/cachito-serverless/cachito/shared/blob/dir"
	"github.com/cachito-serverless/cachito/shared/config"
	"github.com/cachito-serverless/cachito/shared/gitrepo"
	"github.com/cachito-serverless/cachito/shared/pipeline"
	queuesqlite "github.com/cachito-serverless/cachito/shared/queue/sqlite"
	"github.com/cachito-serverless/cachito/shared/resolver"
	"github.com/cachito-serverless/cachito/shared/resolver/all"
	storesqlite "github.com/cachito-serverless/cachito/shared/store/sqlite"
	"github.com/cachito-serverless/cachito/shared/telemetry"
	"github.com/cachito-serverless/cachito/shared/wiring"
)

// places are where the embedded adapters keep things.
type places struct {
	database string // file
	blobs    string
	git      string
	tools    string
	work     string
	lock     string // file; empty: shared with others, nothing is exclusive
}

// servicePlaces is the layout of a service's data folder.
func servicePlaces(data string) places {
	return places{
		database: filepath.Join(data, "cachito.db"),
		blobs:    filepath.Join(data, "blobs"),
		git:      filepath.Join(data, "git"),
		tools:    filepath.Join(data, "toolchains"),
		work:     filepath.Join(data, "work"),
		lock:     filepath.Join(data, "lock"),
	}
}

// home is the product with its embedded adapters: the API's handler and the pipeline behind it.
type home struct {
	handler  http.Handler
	pipeline *pipeline.Pipeline
	git      *gitrepo.Client
	managers []resolver.Descriptor // that are enabled
	metrics  *telemetry.Metrics    // nil: nobody asks for them
	closers  []func() error        // run last to first
}

func (h *home) close() error {
	var errs []error
	for i := len(h.closers) - 1; i >= 0; i-- {
		errs = append(errs, h.closers[i]())
	}
	return errors.Join(errs...)
}

// openService opens the home of a service, which has its data folder for itself.
func openService(cfg config.Config, log *slog.Logger) (*home, error) {
	return openHome(cfg, servicePlaces(cfg.DataDir), nil, log)
}

// openHome wires everything. local maps repository URLs to folders on this machine (fetch).
func openHome(cfg config.Config, at places, local map[string]pipeline.LocalRepo, log *slog.Logger) (_ *home, err error) {
	h := &home{}
	defer func() {
		if err != nil {
			err = errors.Join(err, h.close())
		}
	}()
	ctx := context.Background()
	for _, d := range []string{filepath.Dir(at.database), at.blobs, at.git, at.work} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return nil, fmt.Errorf("making the data folders: %w", err)
		}
	}
	if at.lock != "" {
		unlock, err := dir.Lock(at.lock)
		if err != nil {
			return nil, fmt.Errorf("CACHITO_DATA_DIR: %w", err)
		}
		h.closers = append(h.closers, func() error { unlock(); return nil })
	}
	watch, err := wiring.ServiceTelemetry(cfg, log)
	if err != nil {
		return nil, err
	}
	h.closers = append(h.closers, watch.Close)
	h.metrics = watch.Metrics
	store, err := storesqlite.Open(ctx, at.database)
	if err != nil {
		return nil, fmt.Errorf("opening the database: %w", err)
	}
	h.closers = append(h.closers, store.Close)
	queue, err := queuesqlite.New(ctx, store.DB(), time.Now)
	if err != nil {
		return nil, fmt.Errorf("opening the queue: %w", err)
	}
	h.closers = append(h.closers, queue.Close)
	blobs, err := dir.Open(at.blobs)
	if err != nil {
		return nil, fmt.Errorf("opening the storage: %w", err)
	}
	h.closers = append(h.closers, blobs.Close)
	if at.lock != "" { // nobody else writes here: what a killed process began can go
		if err := blobs.RemoveAbandoned(); err != nil {
			return nil, fmt.Errorf("clearing the storage: %w", err)
		}
	}
	adapters := wiring.Adapters{
		Store: store, Queue: queue, Blobs: blobs, Accept: acceptor(store, queue), CheckBlobs: writable(blobs),
		Telemetry: watch,
	}
	known := all.List()
	if h.managers, err = wiring.Enabled(cfg, known); err != nil {
		return nil, err
	}
	folders := wiring.Places{Git: at.git, Tools: at.tools, Work: at.work}
	if h.pipeline, err = wiring.Pipeline(cfg, known, adapters, folders, local, log); err != nil {
		return nil, err
	}
	h.git = h.pipeline.Git
	h.handler, err = wiring.API(cfg, known, adapters, wiring.Transport{}, log)
	return h, err
}

// writable tries to write to the storage, and leaves nothing behind.
func writable(b blob.Blob) func(context.Context) error {
	return func(ctx context.Context) error {
		w, err := b.Create(ctx)
		if err != nil {
			return err
		}
		_, err = w.Write([]byte("check"))
		return errors.Join(err, w.Abort())
	}
}
