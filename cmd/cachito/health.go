package main

import (
	"context"
	"errors"
	"time"

	"github.com/cachito-serverless/cachito/shared/api"
	"github.com/cachito-serverless/cachito/shared/blob"
	"github.com/cachito-serverless/cachito/shared/pipeline"
	"github.com/cachito-serverless/cachito/shared/queue"
	"github.com/cachito-serverless/cachito/shared/store"
)

// healthTimeout is how long one check of /status may take.
const healthTimeout = 5 * time.Second

// health tells what of the embedded service works. Its reasons are fixed sentences: /status is open to
// everyone.
func health(s store.Store, q queue.Queue, b blob.Blob) func(context.Context) api.Health {
	checks := []struct {
		name, reason string
		check        func(context.Context) error
	}{
		{"database", "database connection failed", s.Ping},
		{"queue", "queue connection failed", func(ctx context.Context) error {
			_, err := q.OldestAge(ctx, pipeline.StepSource)
			return err
		}},
		{"storage", "storage is not writable", func(ctx context.Context) error {
			w, err := b.Create(ctx)
			if err != nil {
				return err
			}
			_, err = w.Write([]byte("check"))
			return errors.Join(err, w.Abort())
		}},
	}
	return func(ctx context.Context) api.Health {
		ctx, cancel := context.WithTimeout(ctx, healthTimeout)
		defer cancel()
		h := api.Health{Workers: []api.Worker{{Name: "pipeline"}}} // they live and die with this process
		for _, c := range checks {
			service := api.Service{Name: c.name, Core: true}
			if c.check(ctx) != nil {
				service.Reason = c.reason
			}
			h.Services = append(h.Services, service)
		}
		return h
	}
}
