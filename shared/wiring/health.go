package wiring

import (
	"context"
	"time"

	"github.com/cachito-serverless/cachito/shared/api"
	"github.com/cachito-serverless/cachito/shared/pipeline"
)

// healthTimeout is how long one check of /status may take.
const healthTimeout = 5 * time.Second

// health tells what works. Its reasons are fixed sentences: /status is open to
// everyone.
func health(a Adapters) func(context.Context) api.Health {
	checks := []struct {
		name, reason string
		check        func(context.Context) error
	}{
		{"database", "database connection failed", a.Store.Ping},
		{"queue", "queue connection failed", func(ctx context.Context) error {
			_, err := a.Queue.OldestAge(ctx, pipeline.StepSource)
			return err
		}},
		{"storage", "storage is not writable", a.CheckBlobs},
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
