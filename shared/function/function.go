// Package function is what functions on Lambda do with their events: calls of API Gateway become HTTP requests,
// messages of SQS become steps, schedules become passes of the reaper. It turns one form into another and
// watches the clock; what happens is decided in the API and in the pipeline.
package function

import (
	"context"
	"io"
	"log/slog"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/cachito-serverless/cachito/shared/config"
	"github.com/cachito-serverless/cachito/shared/logging"
)

// Handler is the rest of a cold start: it makes what Lambda calls for each event, in one of the forms that lambda.Start takes.
type Handler func(ctx context.Context, cfg config.Config, log *slog.Logger) (any, error)

// Run is a function's main: a cold start, then events until Lambda ends the process. It returns the process's
// exit code when the start fails: then Lambda tries again with a new process, and the reason is in the log.
func Run(getenv func(string) string, logs io.Writer, cold Handler) int {
	ctx := context.Background()
	cfg, err := config.Load(getenv)
	if err != nil {
		logging.New(logs, logging.JSON, slog.LevelInfo).ErrorContext(ctx, "the function cannot start", "error", err)
		return 1
	}
	log := logging.New(logs, cfg.LogFormat, cfg.LogLevel)
	handler, err := cold(ctx, cfg, log)
	if err != nil {
		log.ErrorContext(ctx, "the function cannot start", "error", err)
		return 1
	}
	lambda.StartWithOptions(handler, lambda.WithContext(ctx)) // never returns
	return 0
}
