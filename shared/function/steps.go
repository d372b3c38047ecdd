package function

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/cachito-serverless/cachito/shared/pipeline"
	"github.com/cachito-serverless/cachito/shared/queue"
	"github.com/cachito-serverless/cachito/shared/queue/sqs"
)

// HandBackMargin is how long before Lambda ends a function its step is told to stop. What a step does between
// two looks at the clock takes seconds; then it puts its log and its lease away and sends its message again. A
// function whose whole time is less than twice as long has half of it.
const HandBackMargin = 30 * time.Second

// maxQuoted is how much of a message that is not ours goes to the log.
const maxQuoted = 200

// StepsHandler runs the steps that messages of SQS ask for, and tells which messages stay in their queue.
type StepsHandler = func(context.Context, events.SQSEvent) (events.SQSEventResponse, error)

// Steps is for functions whose event source is one of the queues, with ReportBatchItemFailures. A message that
// is not ours stays in its queue until it is a dead letter: nothing that was sent gets lost.
func Steps(p *pipeline.Pipeline, log *slog.Logger) StepsHandler {
	return func(ctx context.Context, e events.SQSEvent) (events.SQSEventResponse, error) {
		if len(e.Records) == 0 {
			return events.SQSEventResponse{}, errors.New("the event has no records: want one of SQS")
		}
		// Between events nothing runs in a function: what is there was left behind.
		if err := p.ClearWorkDir(); err != nil {
			return events.SQSEventResponse{}, err
		}
		ctx, cancel := beforeDeadline(ctx, HandBackMargin)
		defer cancel()
		failures := []events.SQSBatchItemFailure{} // null would fail the whole batch
		for _, r := range e.Records {
			gone, err := step(ctx, p, r, log)
			if err != nil {
				log.ErrorContext(ctx, "message stays in its queue", "queue", queueOf(r), "message_id", r.MessageId, "error", err)
			}
			if !gone {
				failures = append(failures, events.SQSBatchItemFailure{ItemIdentifier: r.MessageId})
			}
		}
		return events.SQSEventResponse{BatchItemFailures: failures}, nil
	}
}

func step(ctx context.Context, p *pipeline.Pipeline, r events.SQSMessage, log *slog.Logger) (gone bool, err error) {
	d, err := delivery(r)
	if err != nil {
		return false, err
	}
	if ctx.Err() != nil { // of a batch, whose time the others took
		return false, fmt.Errorf("no time is left for it: %w", ctx.Err())
	}
	// Until now the message is invisible for longer than a function may run. A process that dies would keep it
	// as long; from here on the step's heartbeat does. Without that the step is none the worse.
	if err := p.Queue.Extend(ctx, d, pipeline.Visibility); err != nil {
		log.WarnContext(ctx, "message may stay invisible for long", "queue", queueOf(r), "message_id", r.MessageId, "error", err)
	}
	return p.Deliver(ctx, d)
}

// delivery makes a delivery of an event's record.
func delivery(r events.SQSMessage) (queue.Delivery, error) {
	d, err := sqs.Decode(r.Body, r.ReceiptHandle, r.Attributes)
	if err != nil {
		return queue.Delivery{}, fmt.Errorf("%w (%s)", err, quote(r.Body))
	}
	// Acknowledging it in another queue than its own would do nothing.
	if name := queueOf(r); name != d.Step && !strings.HasSuffix(name, "-"+d.Step) {
		return queue.Delivery{}, fmt.Errorf("a message for step %s is in queue %s", d.Step, name)
	}
	return d, nil
}

// queueOf is the name of the queue that a record came from: the last part of
// "arn:aws:sqs:us-east-1:111122223333:cachito-source".
func queueOf(r events.SQSMessage) string {
	return r.EventSourceARN[strings.LastIndexByte(r.EventSourceARN, ':')+1:]
}

func quote(body string) string {
	text, err := json.Marshal(body[:min(len(body), maxQuoted)])
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// beforeDeadline ends a margin, or half of the time, before Lambda ends the function.
func beforeDeadline(ctx context.Context, margin time.Duration) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, deadline.Add(-min(margin, time.Until(deadline)/2)))
}
