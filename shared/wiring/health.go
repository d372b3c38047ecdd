package wiring

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/cachito-serverless/cachito/shared/api"
	"github.com/cachito-serverless/cachito/shared/pipeline"
)

// healthTimeout is how long the checks of /status may take.
const healthTimeout = 5 * time.Second

// health tells what works. Its reasons are fixed sentences, because /status is open to everyone; the log has the
// whole ones.
func health(a Adapters, log *slog.Logger) func(context.Context) api.Health {
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
		// The embedded workers live and die with this process, and functions are always there.
		h := api.Health{Workers: []api.Worker{{Name: "pipeline"}}, Services: make([]api.Service, len(checks))}
		var all sync.WaitGroup
		for i, c := range checks {
			h.Services[i] = api.Service{Name: c.name, Core: true}
			all.Go(func() {
				if err := c.check(ctx); err != nil {
					log.WarnContext(ctx, "service does not work", "service", c.name, "error", err)
					h.Services[i].Reason = c.reason
				}
			})
		}
		all.Wait()
		return h
	}
}
