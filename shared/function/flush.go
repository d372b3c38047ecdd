package function

import (
	"context"

	"github.com/aws/aws-lambda-go/lambda"
)

// Flushed calls flush at the end of each invocation of a handler (in one of the forms that lambda.Start takes),
// before its answer goes out: after that the process is frozen.
func Flushed(flush func(context.Context), handler any) lambda.Handler {
	return flushed{lambda.NewHandler(handler), flush}
}

type flushed struct {
	lambda.Handler
	flush func(context.Context)
}

// Invoke implements lambda.Handler.
func (f flushed) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	defer f.flush(ctx)
	return f.Handler.Invoke(ctx, payload)
}
