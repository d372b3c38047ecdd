// Command api is the function that answers the API and its pages, behind an HTTP API of API Gateway.
package main

import (
	"context"
	"log/slog"
	"os"

	"github.com/cachito-serverless/cachito/shared/api"
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
	routes, err := wiring.API(home.Config, all.List(), home.Adapters, wiring.Transport{
		MaxAnswerBytes: api.LambdaAnswerBytes, Identify: function.User(home.Config.GatewayClaim),
	}, log)
	if err != nil {
		return nil, err
	}
	return function.Flushed(home.Telemetry.Flush, function.API(routes, log)), nil
}
