package pipeline

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cachito-serverless/cachito/shared/blob"
	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/queue"
	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/requestlog"
	"github.com/cachito-serverless/cachito/shared/store"
	"github.com/cachito-serverless/cachito/shared/telemetry"
)

// reapPage is how many requests the reaper reads at once.
const reapPage = 100

// Reap heals and tidies: dead letters become failed requests, lost steps are sent again, requests past
// their lifetime become stale. It can run at any time, several at once.
func (p *Pipeline) Reap(ctx context.Context) error {
	p.measureQueues(ctx)
	return errors.Join(p.buryDeadLetters(ctx), p.resendLost(ctx, false), p.expireOld(ctx))
}

// Resume sends every step that can run again, without waiting until it counts as lost. The embedded
// service calls it at its start, when no other process can be at work.
func (p *Pipeline) Resume(ctx context.Context) error { return p.resendLost(ctx, true) }

func (p *Pipeline) buryDeadLetters(ctx context.Context) error {
	for {
		letters, err := p.Queue.DeadLetters(ctx, Visibility, reapPage)
		if err != nil || len(letters) == 0 {
			return err
		}
		for _, d := range letters {
			if err := p.bury(ctx, d); err != nil {
				return err
			}
		}
	}
}

// bury fails the request of a dead letter, unless its step is done: then another message for it did what this
// one could not. While somebody holds the step, another message may still do that, or its worker died just now:
// the letter comes again when the lease is over.
func (p *Pipeline) bury(ctx context.Context, d queue.Delivery) error {
	ctx = concerning(ctx, d.Message)
	log := p.Log.With("cachito_request_id", d.RequestID, "step", d.Step)
	req, err := p.Store.Get(ctx, d.RequestID)
	if errors.Is(err, store.ErrNotFound) {
		log.WarnContext(ctx, "dead letter of a request that is not there")
		return p.Queue.Ack(ctx, d)
	}
	if err != nil {
		return err
	}
	step := req.Steps[d.Step]
	if req.State != request.StateInProgress || step.State == request.StepDone {
		log.InfoContext(ctx, "dead letter of a step that needs none")
		return p.Queue.Ack(ctx, d)
	}
	if left := step.LeaseUntil.Sub(p.Clock()); left > 0 {
		log.InfoContext(ctx, "dead letter of a step that may still run", "pause_ms", left.Milliseconds())
		return p.Queue.Extend(ctx, d, left+time.Second)
	}
	log.ErrorContext(ctx, "dead letter")
	p.Metrics.Add(telemetry.DeadLetters, 1, d.Step)
	err = p.fail(ctx, d.RequestID, fault.ServerFinal(fault.CachitoError,
		"The %s step was given up after %d attempts, the last of which did not end. Please try again.", d.Step, queue.MaxReceives))
	if err != nil {
		return err
	}
	return p.Queue.Ack(ctx, d)
}

func (p *Pipeline) resendLost(ctx context.Context, now bool) error {
	ages := map[string]time.Duration{}
	for after := int64(0); ; {
		page, err := p.Store.Unfinished(ctx, after, reapPage)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, req := range page {
			after = req.ID
			for _, step := range runnable(req) {
				if !now {
					lost, err := p.lost(ctx, req, step, ages)
					if err != nil {
						return err
					}
					if !lost {
						continue
					}
				}
				if err := p.resend(ctx, req, step, now); err != nil {
					return err
				}
			}
		}
	}
}

// lost: nobody holds the step, and its message is older than anything in its queue.
func (p *Pipeline) lost(ctx context.Context, req request.Request, step string, ages map[string]time.Duration) (bool, error) {
	s := req.Steps[step]
	sent := s.SentAt
	if sent.IsZero() { // died between the predecessor's end and the message
		sent = req.Updated
	}
	if s.LeaseUntil.After(p.Clock()) || p.Clock().Sub(sent) < p.settings.ResendAfter {
		return false, nil
	}
	age, ok := ages[step]
	if !ok {
		var err error
		if age, err = p.Queue.OldestAge(ctx, step); err != nil {
			return false, err
		}
		ages[step] = age
	}
	return p.Clock().Sub(sent) > age+p.settings.ResendAfter, nil
}

func (p *Pipeline) resend(ctx context.Context, req request.Request, step string, resume bool) error {
	ctx = concerning(ctx, queue.Message{RequestID: req.ID, Step: step})
	if !resume && req.Steps[step].Sends >= MaxResends {
		p.Log.ErrorContext(ctx, "step lost for good", "cachito_request_id", req.ID, "step", step)
		return p.fail(ctx, req.ID, fault.ServerFinal(fault.CachitoError,
			"The %s step was lost %d times. Please try again.", step, MaxResends+1))
	}
	if !resume {
		p.Log.WarnContext(ctx, "lost step sent again", "cachito_request_id", req.ID, "step", step)
		p.Metrics.Add(telemetry.StepsResent, 1, step)
	}
	return p.send(ctx, req.ID, step, !resume)
}

func (p *Pipeline) expireOld(ctx context.Context) error {
	for _, class := range []struct {
		state    request.State
		lifetime time.Duration
	}{
		{request.StateComplete, p.settings.Lifetime},
		{request.StateInProgress, p.settings.Lifetime},
		{request.StateFailed, p.settings.LifetimeFailed},
	} {
		if class.lifetime <= 0 {
			continue
		}
		for after := int64(0); ; {
			ids, err := p.Store.Expired(ctx, class.state, p.Clock().Add(-class.lifetime), after, reapPage)
			if err != nil {
				return err
			}
			if len(ids) == 0 {
				break
			}
			for _, id := range ids {
				after = id
				if err := p.expire(ctx, id, class.state); err != nil {
					// One that cannot be expired must not keep the others.
					p.Log.ErrorContext(ctx, "request not expired", "cachito_request_id", id, "error", err)
				}
			}
		}
	}
	return nil
}

func (p *Pipeline) expire(ctx context.Context, id int64, from request.State) error {
	ctx = telemetry.ForRequest(ctx, id)
	req, err := p.Store.Get(ctx, id)
	if err != nil {
		return err
	}
	// The log goes first: once the request is stale nothing would come back for it after a crash.
	if err := requestlog.Delete(ctx, p.Blobs, id); err != nil {
		return err
	}
	none := ""
	_, err = p.Store.Update(ctx, id, store.Update{
		IfState: from, State: request.StateStale, Reason: request.ReasonExpired, DropBundle: true, PackagesKey: &none,
	})
	if errors.Is(err, store.ErrConflict) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("marking it stale: %w", err)
	}
	p.Log.InfoContext(ctx, "request expired", "cachito_request_id", id, "state", request.StateStale)
	if req.Bundle == nil {
		return nil
	}
	_, err = p.dropBundle(ctx, req.Bundle.Key)
	return err
}

func ignoreNotFound(err error) error {
	if errors.Is(err, blob.ErrNotFound) {
		return nil
	}
	return err
}
