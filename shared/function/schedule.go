package function

import (
	"context"

	"github.com/aws/aws-lambda-go/events"

	"github.com/cachito-serverless/cachito/shared/pipeline"
)

// ScheduleHandler does what is due.
type ScheduleHandler = func(context.Context, events.EventBridgeEvent) error

// Reap is for a function that a schedule starts: one pass of the reaper over everything, whatever the event
// says. Passes may overlap. What a pass did not get to within the function's time, the next one does.
func Reap(p *pipeline.Pipeline) ScheduleHandler {
	return func(ctx context.Context, _ events.EventBridgeEvent) error {
		ctx, cancel := beforeDeadline(ctx, HandBackMargin)
		defer cancel()
		return p.Tidy(ctx)
	}
}
