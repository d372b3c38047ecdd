package pipeline

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/queue"
	"github.com/cachito-serverless/cachito/shared/resolver/gitsubmodule"
)

// TestDiesAnywhere stops the process before and after every effect it has on the world (every write to
// store, queue and blobs, every rename of a file), starts it again, and wants to see the same bundle, the
// same history and nothing left over.
func TestDiesAnywhere(t *testing.T) {
	ctx := context.Background()
	plain := newWorld(t)
	url, ref := plain.repository()
	pr := plain.start(-1)
	req := pr.create(t, url, ref, nil, "synthetic", gitsubmodule.Name)
	if err := pr.send(ctx, req.ID, StepSource, false); err != nil {
		t.Fatal(err)
	}
	if err := pr.drain(t); err != nil {
		t.Fatal(err)
	}
	want := plain.outcome(pr, req.ID)
	if want.State != "complete" {
		t.Fatalf("the undisturbed request is %s: %s\n%s", want.State, want.Reason, plain.log(pr, req.ID))
	}
	if len(want.Scratch) > 0 || len(want.Queued) > 0 {
		t.Fatalf("the undisturbed request leaves %v and %v", want.Scratch, want.Queued)
	}
	points := pr.bomb.names
	pr.close()
	if len(points) < 60 {
		t.Fatalf("only %d points to die at: %q", len(points), points)
	}
	step := 1
	if testing.Short() {
		step = 7
	}
	// All deaths share one world per run: the git host and the registry do not change.
	for at := 0; at < len(points); at += step {
		t.Run(fmt.Sprintf("%03d %s", at, points[at]), func(t *testing.T) {
			t.Parallel()
			w := &world{t: t, data: t.TempDir(), git: plain.git, registry: plain.registry, now: plain.now, answers: plain.answers}
			got := w.dieOnceAndFinish(t, at, url, ref)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("after dying %s (-undisturbed +restarted):\n%s", points[at], diff)
			}
		})
	}
}

func (w *world) dieOnceAndFinish(t *testing.T, at int, url, ref string) outcome {
	t.Helper()
	ctx := context.Background()
	first := w.start(at)
	// The API's part: the client repeats its POST until it was accepted, so creation always ends well.
	req, err := first.Store.Create(ctx, newRequest(url, ref, nil, "synthetic", gitsubmodule.Name))
	if err == nil {
		if err = first.send(ctx, req.ID, StepSource, false); err == nil {
			err = first.drain(t)
		}
	}
	if err == nil || first.bomb.alive() == nil {
		t.Fatalf("the process did not die at point %d (%v)", at, err)
	}
	first.close()

	second := w.start(-1)
	defer second.close()
	w.advance(Visibility + time.Second)
	if req.ID == 0 {
		if req, err = second.Store.Create(ctx, newRequest(url, ref, nil, "synthetic", gitsubmodule.Name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := second.ClearWorkDir(); err != nil {
		t.Fatal(err)
	}
	if err := second.Resume(ctx); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := second.drain(t); err != nil {
			t.Fatal(err)
		}
		w.advance(RetryPauseMax)
	}
	return w.outcome(second, req.ID)
}

// TestReaperFindsLostSteps: without the embedded service's Resume, the reaper alone heals a process
// that died at any point.
func TestReaperFindsLostSteps(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t)
	url, ref := w.repository()
	pr := w.start(-1)
	defer pr.close()
	req := pr.create(t, url, ref, nil, "synthetic")
	if err := pr.Reap(ctx); err != nil {
		t.Fatal(err)
	}
	if err := pr.drain(t); err != nil {
		t.Fatal(err)
	}
	if got := w.outcome(pr, req.ID); len(got.History) != 1 {
		t.Fatalf("the reaper sent a step that is not lost yet: %v", got.History)
	}
	for range 3 { // one lost step after the other: source, resolve, bundle
		w.advance(ResendAfter + time.Minute)
		if err := pr.Reap(ctx); err != nil {
			t.Fatal(err)
		}
		for _, step := range pr.Queues() {
			d, err := pr.Queue.Receive(ctx, step, Visibility, 0)
			if err != nil {
				continue
			}
			if err := pr.Handle(ctx, d); err != nil {
				t.Fatal(err)
			}
			drop(t, pr) // what the step sent is lost as well
		}
	}
	if got := w.outcome(pr, req.ID); got.State != "complete" {
		t.Errorf("got %s: %s", jsonText(got), w.log(pr, req.ID))
	}
}

func drop(t *testing.T, pr *process) {
	t.Helper()
	for _, name := range pr.Queues() {
		for {
			d, err := pr.queue.Receive(context.Background(), name, Visibility, 0)
			if err != nil {
				break
			}
			if err := pr.queue.Ack(context.Background(), d); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestDeadLetter: a step whose process dies every time ends in a failed request with a clear reason.
func TestDeadLetter(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t)
	url, ref := w.repository()
	pr := w.start(-1)
	defer pr.close()
	req := pr.create(t, url, ref, nil, "synthetic")
	if err := pr.send(ctx, req.ID, StepSource, false); err != nil {
		t.Fatal(err)
	}
	for range queue.MaxReceives + 1 {
		if _, err := pr.Queue.Receive(ctx, StepSource, Visibility, 0); err != nil {
			break
		}
		w.advance(Visibility + time.Second) // the worker vanished
	}
	if err := pr.Reap(ctx); err != nil {
		t.Fatal(err)
	}
	got, err := pr.Store.Get(ctx, req.ID)
	if err != nil {
		t.Fatal(err)
	}
	want := "The source step was given up after 5 attempts, the last of which did not end. Please try again."
	if got.State != "failed" || got.StateReason != want || got.ErrorOrigin != "server" {
		t.Errorf("got %s %q %s, want failed %q server", got.State, got.StateReason, got.ErrorOrigin, want)
	}
}
