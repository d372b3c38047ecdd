// Command source is the function that fetches a commit and stores its tree. It is fed by the queue of source steps.
package main

import (
	"context"
	"log/slog"
	"os"

	"github.com/cachito-serverless/cachito/shared/config"
	"github.com/cachito-serverless/cachito/shared/function"
	"github.com/cachito-serverless/cachito/shared/resolver/all"
	"github.com/cachito-serverless/cachito/shared/wiring"
	"github.com/cachito-serverless/cachito/shared/wiring/onaws"
)

func main() { os.Exit(function.Run(os.Getenv, os.Stderr, handler)) }

func handler(ctx context.Context, cfg config.Config, log *slog.Logger) (any, error) {
	home, err := onaws.Open(ctx, cfg, log)
	if err != nil {
		return nil, err
	}
	steps, err := wiring.Pipeline(home.Config, all.List(), home.Adapters, home.Places, nil, log)
	if err != nil {
		return nil, err
	}
	return function.Flushed(home.Telemetry.Flush, function.Steps(steps, log)), nil
}
