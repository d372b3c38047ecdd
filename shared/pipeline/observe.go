package pipeline

import (
	"context"
	"errors"
	"log/slog"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/queue"
	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/store"
	"github.com/cachito-serverless/cachito/shared/telemetry"
)

// ending is how a run of a step ended, in its metrics and span.
type ending string

const (
	endingDone        ending = "done"
	endingSkipped     ending = "skipped"
	endingInterrupted ending = "interrupted"
	endingRetried     ending = "retried"
	endingFailed      ending = "failed"
)

// endingOf says what the error of a run means. ctx is the one that the run began with: it is over when the run
// was interrupted.
func endingOf(ctx context.Context, d queue.Delivery, err error) ending {
	switch {
	case err == nil:
		return endingDone
	case errors.Is(err, errNotWanted), errors.Is(err, store.ErrNotFound), errors.Is(err, errStepLater):
		return endingSkipped
	case ctx.Err() != nil:
		return endingInterrupted
	case !faultOf(err).Final && !d.Last():
		return endingRetried
	}
	return endingFailed
}

// concerning returns a context whose log lines say which step they are about.
func concerning(ctx context.Context, d queue.Message) context.Context {
	return telemetry.WithLogAttrs(ctx, slog.Int64(telemetry.RequestKey, d.RequestID), slog.String("step", d.Step))
}

// trace begins the span of a step, below its request's.
func (p *Pipeline) trace(ctx context.Context, req request.Request, d queue.Delivery) (context.Context, telemetry.Span) {
	if p.Tracer == nil {
		return ctx, telemetry.Span{}
	}
	ctx, span := telemetry.StartWith(telemetry.WithTracer(ctx, p.Tracer), telemetry.Options{
		Name: "step " + d.Step, Kind: telemetry.Consumer,
		Parent: telemetry.RequestSpan(req.ID, req.Created, req.Repo, req.Ref),
		Links:  []telemetry.SpanID{telemetry.Current(ctx)},
	})
	span.Number("cachito.request_id", req.ID)
	span.Text("cachito.step", d.Step)
	span.Number("cachito.attempt", int64(d.ReceiveCount))
	return ctx, span
}

// endTrace ends the span of a step; before is the context of the run.
func endTrace(before context.Context, span telemetry.Span, d queue.Delivery, err error) {
	if !span.On() {
		return
	}
	how := endingOf(before, d, err)
	span.Text("cachito.outcome", string(how))
	if how == endingRetried || how == endingFailed {
		f := faultOf(err)
		span.Text("error.type", string(f.Type))
		span.Fail(f.Message) // written for the person who asked: no credentials
	}
	span.End()
}

// countEnd counts a request that ended just now.
func (p *Pipeline) countEnd(req request.Request, origin fault.Origin) {
	if p.Metrics == nil {
		return
	}
	if req.State == request.StateComplete {
		p.Metrics.Add(telemetry.RequestsCompleted, 1)
		if req.Bundle != nil {
			p.Metrics.Observe(telemetry.BundleBytes, float64(req.Bundle.Size))
		}
	} else {
		p.Metrics.Add(telemetry.RequestsFailed, 1, string(origin))
	}
	p.Metrics.Observe(telemetry.RequestSeconds, p.Clock().Sub(req.Created).Seconds(), string(req.State))
}

// Kinds of things that are looked for in the cache.
const (
	lookupSource     = "source"
	lookupResult     = "result"
	lookupBundle     = "bundle"
	lookupDependency = "dependency"
)

func countLookup(m *telemetry.Metrics, kind string, found bool) {
	how := "miss"
	if found {
		how = "hit"
	}
	m.Add(telemetry.CacheLookups, 1, kind, how)
}

// measureQueues tells how old what waits is. It is for people: trouble with it is no trouble of the reaper.
func (p *Pipeline) measureQueues(ctx context.Context) {
	if p.Metrics == nil {
		return
	}
	for _, name := range p.Queues() {
		age, err := p.Queue.OldestAge(ctx, name)
		if err != nil {
			if ctx.Err() == nil {
				p.Log.WarnContext(ctx, "age of a queue not measured", "queue", name, "error", err)
			}
			continue
		}
		p.Metrics.Set(telemetry.QueueOldestSeconds, age.Seconds(), name)
	}
}
