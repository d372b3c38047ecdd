package pipeline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/queue"
	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/requestlog"
	"github.com/cachito-serverless/cachito/shared/store"
	"github.com/cachito-serverless/cachito/shared/telemetry"
)

// errNotWanted: the request left in_progress while a step worked for it.
var errNotWanted = errors.New("the request is no longer in progress")

// errStepLater: the step's turn has not come; whoever finishes its predecessor sends it.
var errStepLater = errors.New("the step waits for another one")

// work is one running step.
type work struct {
	req  request.Request
	step string
	log  *slog.Logger // the request's own log
	// added counts what this run added to the cache.
	added *atomic.Int64
}

// Handle runs the step that a message asks for, and acknowledges the message or hands it back.
// The error it returns is trouble with the queue or store; a fault of the step is none: it ends in
// the request's state.
func (p *Pipeline) Handle(ctx context.Context, d queue.Delivery) error {
	_, err := p.Deliver(ctx, d)
	return err
}

// Deliver is Handle for a consumer that removes messages itself when they count as done (Lambda): gone tells
// whether the message is acknowledged. If not it comes back, after the visibility timeout that it has now.
func (p *Pipeline) Deliver(ctx context.Context, d queue.Delivery) (gone bool, err error) {
	retry := false
	err = p.handle(ctx, d, &retry)
	return err == nil && !retry, err
}

// handle sets retry when the message stays in its queue for another try.
func (p *Pipeline) handle(ctx context.Context, d queue.Delivery, retry *bool) error {
	ctx = concerning(ctx, d.Message)
	id := stepID{d.RequestID, d.Step}
	if !p.enter(id) {
		// A repeated message while the step runs here. It must not use up receives until it is a dead
		// letter, and it may be the only one there is: a new one looks again later.
		return p.handBack(ctx, d, RepeatPause)
	}
	defer p.leave(id)

	started := p.Clock()
	log := p.Log.With("cachito_request_id", d.RequestID, "step", d.Step, "attempt", d.ReceiveCount)
	var added atomic.Int64
	var span telemetry.SpanID
	err := p.run(ctx, d, &added, &span)
	ctx = telemetry.Within(ctx, p.Tracer, span) // what becomes of the message belongs to its step
	elapsed := p.Clock().Sub(started)
	log = log.With("elapsed_ms", elapsed.Milliseconds())
	how := endingOf(ctx, d, err)
	p.Metrics.Observe(telemetry.StepSeconds, elapsed.Seconds(), d.Step, string(how))
	switch how {
	case endingDone:
		log.InfoContext(ctx, "step done")
		return p.Queue.Ack(ctx, d)
	case endingSkipped:
		log.InfoContext(ctx, "step skipped", "reason", err.Error())
		return p.Queue.Ack(ctx, d)
	case endingInterrupted:
		return p.interrupted(ctx, d, added.Load() > 0, log)
	}
	*retry, err = p.failed(ctx, d, err, log)
	return err
}

// interrupted hands a step back that is shut down, or near the end of the function's time: what was fetched is
// in the cache. A new message keeps the receive count for faults alone; so what reaches its time limit again and
// again without getting any further has a count of its own.
func (p *Pipeline) interrupted(ctx context.Context, d queue.Delivery, progress bool, log *slog.Logger) error {
	timedOut := errors.Is(ctx.Err(), context.DeadlineExceeded)
	ctx = context.WithoutCancel(ctx)
	if !timedOut {
		log.InfoContext(ctx, "step interrupted, handed back")
		if err := p.Store.Lease(ctx, d.RequestID, d.Step, time.Time{}); err != nil {
			log.WarnContext(ctx, "lease not given back", "error", err)
		}
		return p.handBack(ctx, d, 0)
	}
	idle, err := p.Store.HandBack(ctx, d.RequestID, d.Step, progress)
	if errors.Is(err, store.ErrConflict) {
		log.InfoContext(ctx, "step skipped", "reason", errNotWanted.Error())
		return p.Queue.Ack(ctx, d)
	}
	if err != nil {
		return fmt.Errorf("handing step %s back: %w", d.Step, err)
	}
	log = log.With("idle_runs", idle)
	if idle < MaxIdleRuns {
		log.InfoContext(ctx, "time limit near, step handed back")
		return p.handBack(ctx, d, 0)
	}
	log.ErrorContext(ctx, "request failed: the step gets no further within its time limit")
	err = p.fail(ctx, d.RequestID, fault.ServerFinal(fault.CachitoError,
		"The %s step reached its time limit %d times in a row without getting any further. Please try again later, or ask for less at once.", d.Step, MaxIdleRuns)) // idle may be more: runs side by side
	if err != nil {
		return err
	}
	return p.Queue.Ack(ctx, d)
}

// failed decides what an error of a step means: another try (then retry is true), or the end of its request.
func (p *Pipeline) failed(ctx context.Context, d queue.Delivery, err error, log *slog.Logger) (retry bool, _ error) {
	f := faultOf(err)
	log = log.With("fault_origin", f.Origin, "fault_type", f.Type, "error", chain(err))
	if !f.Final && !d.Last() {
		pause := retryPause(d.ReceiveCount)
		log.WarnContext(ctx, "step failed, tried again", "pause_ms", pause.Milliseconds())
		p.Metrics.Add(telemetry.StepRetries, 1, d.Step)
		return true, p.Queue.Extend(ctx, d, pause)
	}
	if f.Origin == fault.OriginClient {
		log.InfoContext(ctx, "request failed")
	} else {
		log.ErrorContext(ctx, "request failed")
	}
	if err := p.fail(ctx, d.RequestID, f); err != nil {
		return false, err
	}
	return false, p.Queue.Ack(ctx, d)
}

// faultOf is the fault that an error holds. A full disk, which nobody made a fault of, is one of ours that
// may pass.
func faultOf(err error) *fault.Error {
	f := fault.From(err)
	full := errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
	if full && f.Origin == fault.OriginServer {
		return fault.Server(fault.FileAccessError, "The storage of the service is full. Please try again later.").Because(err)
	}
	return f
}

// chain is the whole wrapped error with the fault's private cause, for the service's log.
func chain(err error) string {
	text := err.Error()
	var f *fault.Error
	if errors.As(err, &f) {
		if cause := errors.Unwrap(f); cause != nil {
			text += ": " + cause.Error()
		}
	}
	return text
}

func retryPause(receives int) time.Duration {
	pause := RetryPause
	for i := 1; i < receives && pause < RetryPauseMax; i++ {
		pause *= 2
	}
	return min(pause, RetryPauseMax)
}

func (p *Pipeline) enter(id stepID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running[id] {
		return false
	}
	p.running[id] = true
	return true
}

func (p *Pipeline) leave(id stepID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.running, id)
}

// handBack replaces a message by a new one, which has used up no receives.
func (p *Pipeline) handBack(ctx context.Context, d queue.Delivery, delay time.Duration) error {
	if err := p.Queue.Send(ctx, d.Message, delay); err != nil {
		return err
	}
	return p.Queue.Ack(ctx, d)
}

// fail ends a request. A request that has ended otherwise meanwhile stays as it is.
func (p *Pipeline) fail(ctx context.Context, id int64, f *fault.Error) error {
	p.logTo(ctx, id, slog.LevelError, "The request failed: "+f.Message)
	req, err := p.Store.Update(ctx, id, store.Update{
		IfState: request.StateInProgress, State: request.StateFailed, Reason: f.Message,
		ErrorOrigin: string(f.Origin), ErrorType: string(f.Type),
	})
	if errors.Is(err, store.ErrConflict) || errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err == nil {
		p.countEnd(req, f.Origin)
	}
	return err
}

func (p *Pipeline) logTo(ctx context.Context, id int64, level slog.Level, text string) {
	w := requestlog.New(p.Blobs, id, p.Clock)
	p.say(ctx, w.Logger(), level, text)
	if err := w.Close(ctx); err != nil {
		p.Log.WarnContext(ctx, "request log not written", "cachito_request_id", id, "error", err)
	}
}

// say writes a sentence into a request's log, which is for people and not for searching by message.
func (p *Pipeline) say(ctx context.Context, log *slog.Logger, level slog.Level, sentence string) {
	r := slog.NewRecord(p.Clock(), level, sentence, 0)
	if err := log.Handler().Handle(ctx, r); err != nil {
		p.Log.WarnContext(ctx, "request log not written", "error", err)
	}
}

// run does one step with its heartbeat, its log and a net under panics.
func (p *Pipeline) run(ctx context.Context, d queue.Delivery, added *atomic.Int64, at *telemetry.SpanID) (err error) {
	req, err := p.Store.Get(ctx, d.RequestID)
	if err != nil {
		return err
	}
	before := ctx
	ctx, span := p.trace(ctx, req, d)
	*at = span.ID()
	defer func() { endTrace(before, span, d, err) }()
	logs := requestlog.New(p.Blobs, req.ID, p.Clock)
	w := work{req: req, step: d.Step, log: logs.Logger(), added: added}
	defer func() {
		if closeErr := logs.Close(context.WithoutCancel(ctx)); closeErr != nil {
			p.Log.WarnContext(ctx, "request log not written", "cachito_request_id", req.ID, "error", closeErr)
		}
	}()
	if req.State != request.StateInProgress {
		p.say(ctx, w.log, slog.LevelWarn, fmt.Sprintf("Skipping %s task because the request was not in_progress (was: %s)", d.Step, req.State))
		return errNotWanted
	}
	step, ok := req.Steps[d.Step]
	if !ok {
		return fmt.Errorf("request %d has no step %q", req.ID, d.Step)
	}

	ctx, stop := p.heartbeat(ctx, d, step.State, logs)
	defer func() {
		if cause := stop(); cause != nil && err != nil {
			err = cause
		}
	}()
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	switch d.Step {
	case StepSource:
		return p.source(ctx, w)
	case StepBundle:
		return p.bundle(ctx, w)
	default:
		return p.resolve(ctx, w, strings.TrimPrefix(d.Step, resolvePrefix))
	}
}

// heartbeat keeps the message and the lease while a step runs, publishes what it logged, and cancels the
// step when nobody wants its request any longer. stop ends it and tells why the step was cancelled, if it was.
func (p *Pipeline) heartbeat(ctx context.Context, d queue.Delivery, s request.StepState, logs *requestlog.Writer) (context.Context, func() error) {
	ctx, cancel := context.WithCancelCause(ctx)
	done := make(chan struct{})
	if s == request.StepWaiting {
		if err := p.Store.Lease(ctx, d.RequestID, d.Step, p.leaseEnd(ctx)); err != nil {
			p.Log.WarnContext(ctx, "lease not taken", "cachito_request_id", d.RequestID, "step", d.Step, "error", err)
		}
	}
	go func() {
		defer close(done)
		tick := time.NewTicker(HeartbeatEvery)
		defer tick.Stop()
		for n := 1; ; n++ {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			req, err := p.Store.Get(ctx, d.RequestID)
			if err == nil && req.State != request.StateInProgress {
				cancel(errNotWanted)
				return
			}
			if err := logs.Flush(ctx); err != nil && ctx.Err() == nil {
				p.Log.WarnContext(ctx, "request log not written", "cachito_request_id", d.RequestID, "error", err)
			}
			if n%int(Visibility/HeartbeatEvery/4) != 0 {
				continue
			}
			err = errors.Join(
				p.Queue.Extend(ctx, d, Visibility),
				p.Store.Lease(ctx, d.RequestID, d.Step, p.leaseEnd(ctx)))
			if err != nil && ctx.Err() == nil {
				p.Log.WarnContext(ctx, "heartbeat failed", "cachito_request_id", d.RequestID, "step", d.Step, "error", err)
			}
		}
	}()
	return ctx, func() error {
		cause := context.Cause(ctx)
		cancel(nil)
		<-done
		if errors.Is(cause, errNotWanted) {
			return errNotWanted
		}
		return nil
	}
}

// leaseEnd is until when a step that is alive now counts as held: no longer than to its time limit, where its
// process ends.
func (p *Pipeline) leaseEnd(ctx context.Context) time.Time {
	left := Visibility
	if deadline, ok := ctx.Deadline(); ok {
		left = min(left, time.Until(deadline))
	}
	return p.Clock().Add(left)
}

// reason announces progress in the request's history, each text once.
func (p *Pipeline) reason(ctx context.Context, w work, text string) error {
	p.say(ctx, w.log, slog.LevelInfo, text)
	_, err := p.Store.Update(ctx, w.req.ID, store.Update{
		IfState: request.StateInProgress, State: request.StateInProgress, Reason: text, Once: w.step + "/" + text,
	})
	return p.wanted(err)
}

// wanted turns the conflict of a request that ended meanwhile into errNotWanted.
func (p *Pipeline) wanted(err error) error {
	if errors.Is(err, store.ErrConflict) {
		return errNotWanted
	}
	return err
}

// send puts a step's message into its queue and records it.
func (p *Pipeline) send(ctx context.Context, id int64, step string, resend bool) error {
	if err := p.Queue.Send(ctx, queue.Message{RequestID: id, Step: step}, 0); err != nil {
		return fmt.Errorf("sending step %s: %w", step, err)
	}
	return p.Store.MarkSent(ctx, id, step, resend)
}

// sendNext sends the steps that can run now that step is done: after the source step every package
// manager (or the bundle, when there is none), after a package manager the bundle, if it was the last.
func (p *Pipeline) sendNext(ctx context.Context, req request.Request, step string) error {
	next := runnable(req)
	if step != StepSource && !slices.Equal(next, []string{StepBundle}) {
		return nil
	}
	for _, name := range next {
		if err := p.send(ctx, req.ID, name, false); err != nil {
			return err
		}
	}
	return nil
}

// runnable are the waiting steps of a request whose predecessors are done, in the order of Steps.
func runnable(req request.Request) []string {
	if req.Steps[StepSource].State != request.StepDone {
		return []string{StepSource}
	}
	var steps []string
	for _, m := range req.PackageManagers {
		if req.Steps[resolvePrefix+m].State != request.StepDone {
			steps = append(steps, resolvePrefix+m)
		}
	}
	if len(steps) == 0 && req.Steps[StepBundle].State != request.StepDone {
		return []string{StepBundle}
	}
	return steps
}
