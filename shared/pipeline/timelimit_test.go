package pipeline

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/queue"
	"github.com/cachito-serverless/cachito/shared/request"
)

// HandBack implements store.Store.
func (s bombStore) HandBack(ctx context.Context, id int64, step string, progress bool) (idle int, err error) {
	err = s.b.effect("store.HandBack "+step, func() error { idle, err = s.Store.HandBack(ctx, id, step, progress); return err })
	return idle, err
}

// timeLimit is a context whose deadline passes when the test says so.
type timeLimit struct {
	context.Context
	over chan struct{}
	once sync.Once
}

func newTimeLimit(t *testing.T) *timeLimit {
	return &timeLimit{Context: t.Context(), over: make(chan struct{})}
}

func (l *timeLimit) pass() { l.once.Do(func() { close(l.over) }) }

// Done implements context.Context.
func (l *timeLimit) Done() <-chan struct{} { return l.over }

// Err implements context.Context.
func (l *timeLimit) Err() error {
	select {
	case <-l.over:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

// slowly makes the registry answer a few files of each run; at the next one the run's time is over.
type slowly struct {
	perRun int
	before func() // what happens before a run's time is over; may be nil

	mu    sync.Mutex
	limit *timeLimit
	given int
}

func (s *slowly) start(limit *timeLimit) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limit, s.given = limit, 0
}

func (s *slowly) answer(content string) func(http.ResponseWriter) {
	return func(rw http.ResponseWriter) {
		s.mu.Lock()
		s.given++
		limit, late := s.limit, s.given > s.perRun
		s.mu.Unlock()
		if late {
			if s.before != nil {
				s.before()
			}
			limit.pass()
			panic(http.ErrAbortHandler)
		}
		io.WriteString(rw, content)
	}
}

// slowProject is a repository with files of such a registry.
func (w *world) slowProject(files int, s *slowly) (url, ref string) {
	var names []string
	for i := range files {
		name := fmt.Sprintf("slow-%d.txt", i)
		names = append(names, name)
		w.mu.Lock()
		w.answers["/"+name] = s.answer(strings.Repeat(name, 100))
		w.mu.Unlock()
	}
	repo := w.git.Init("o/slow")
	return w.git.URL("o/slow"), repo.Commit(map[string]string{"needs.txt": strings.Join(names, " ") + "\n", "old.txt": "old\n"})
}

// runLimited receives and handles one message of a step within a time limit.
func (pr *process) runLimited(t *testing.T, step string, s *slowly) {
	t.Helper()
	d, err := pr.queue.Receive(t.Context(), step, Visibility, 0)
	if err != nil {
		t.Fatal(err)
	}
	if d.ReceiveCount != 1 {
		t.Errorf("the message was received %d times, want a new one after each run", d.ReceiveCount)
	}
	limit := newTimeLimit(t)
	s.start(limit)
	if err := pr.Handle(limit, d); err != nil {
		t.Fatal(err)
	}
}

// TestTimeLimit: a step that needs longer than one run goes on where the last one stopped.
func TestTimeLimit(t *testing.T) {
	w := newWorld(t)
	s := &slowly{perRun: 2}
	url, ref := w.slowProject(9, s)
	pr := w.start(-1)
	defer pr.close()
	req := pr.create(t, url, ref, nil, "synthetic")
	if err := pr.send(t.Context(), req.ID, StepSource, false); err != nil {
		t.Fatal(err)
	}
	pr.runLimited(t, StepSource, s)
	for range 4 { // two files each
		pr.runLimited(t, "resolve-synthetic", s)
		got, err := pr.store.Get(t.Context(), req.ID)
		if err != nil {
			t.Fatal(err)
		}
		step := got.Steps["resolve-synthetic"]
		if got.State != request.StateInProgress || step.State != request.StepWaiting || step.IdleRuns != 0 || !step.LeaseUntil.IsZero() {
			t.Fatalf("after a run with progress: got %s, %+v, want it in progress, waiting, not idle, without a lease", got.State, step)
		}
	}
	pr.runLimited(t, "resolve-synthetic", s)
	pr.runLimited(t, StepBundle, s)
	got := w.outcome(pr, req.ID)
	want := []string{
		request.ReasonInitiated, request.ReasonSource, "Fetching the synthetic dependencies", request.ReasonBundle, request.ReasonAggregate, request.ReasonComplete,
	}
	if diff := cmp.Diff(want, got.History); diff != "" || got.State != request.StateComplete {
		t.Errorf("got %s, history (-want +got):\n%s", got.State, diff)
	}
	if len(got.Queued) > 0 || len(got.Scratch) > 0 {
		t.Errorf("left over: messages in %v, folders %v", got.Queued, got.Scratch)
	}
}

// TestTimeLimitWithoutProgress: a step that never gets further ends its request, and says so.
func TestTimeLimitWithoutProgress(t *testing.T) {
	w := newWorld(t)
	s := &slowly{perRun: 1}
	url, ref := w.slowProject(3, s)
	pr := w.start(-1)
	defer pr.close()
	req := pr.create(t, url, ref, nil, "synthetic")
	if err := pr.send(t.Context(), req.ID, StepSource, false); err != nil {
		t.Fatal(err)
	}
	pr.runLimited(t, StepSource, s)
	pr.runLimited(t, "resolve-synthetic", s) // brings one file
	s.perRun = 0
	for i := range MaxIdleRuns {
		got, err := pr.store.Get(t.Context(), req.ID)
		if err != nil || got.State != request.StateInProgress || got.Steps["resolve-synthetic"].IdleRuns != i {
			t.Fatalf("after %d idle runs: got %s, %+v, %v", i, got.State, got.Steps["resolve-synthetic"], err)
		}
		pr.runLimited(t, "resolve-synthetic", s)
	}
	got := w.outcome(pr, req.ID)
	want := "The resolve-synthetic step reached its time limit 3 times in a row without getting any further. Please try again later, or ask for less at once."
	if got.State != request.StateFailed || got.Reason != want {
		t.Errorf("got %s: %q, want failed: %q", got.State, got.Reason, want)
	}
	if len(got.Queued) > 0 {
		t.Errorf("messages left over: %v", got.Queued)
	}
}

// TestTimeLimitOfFinishedRequest: a run for a request that is over leaves no message behind.
func TestTimeLimitOfFinishedRequest(t *testing.T) {
	w := newWorld(t)
	s := &slowly{perRun: 1}
	url, ref := w.slowProject(3, s)
	pr := w.start(-1)
	defer pr.close()
	req := pr.create(t, url, ref, nil, "synthetic")
	if err := pr.send(t.Context(), req.ID, StepSource, false); err != nil {
		t.Fatal(err)
	}
	pr.runLimited(t, StepSource, s)
	s.before = func() {
		if err := pr.fail(t.Context(), req.ID, fault.Client(fault.ValidationError, "ended by another step")); err != nil {
			t.Error(err)
		}
	}
	pr.runLimited(t, "resolve-synthetic", s)
	if got := w.outcome(pr, req.ID); got.Reason != "ended by another step" || len(got.Queued) > 0 {
		t.Errorf("got %q and messages in %v, want none", got.Reason, got.Queued)
	}
}

// TestShutdownIsNoTimeLimit: a service that is restarted again and again loses no request to that.
func TestShutdownIsNoTimeLimit(t *testing.T) {
	w := newWorld(t)
	url, ref := w.repository()
	pr := w.start(-1)
	defer pr.close()
	req := pr.create(t, url, ref, nil, "synthetic")
	if err := pr.send(t.Context(), req.ID, StepSource, false); err != nil {
		t.Fatal(err)
	}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	for range MaxIdleRuns + queue.MaxReceives {
		d, err := pr.queue.Receive(t.Context(), StepSource, Visibility, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := pr.Handle(stopped, d); err != nil {
			t.Fatal(err)
		}
	}
	if err := pr.drain(t); err != nil {
		t.Fatal(err)
	}
	if got := w.outcome(pr, req.ID); got.State != request.StateComplete {
		t.Errorf("got %s: %s", got.State, got.Reason)
	}
}

// TestLeaseEndsAtTheTimeLimit: nobody holds a step beyond the end of its process.
func TestLeaseEndsAtTheTimeLimit(t *testing.T) {
	w := newWorld(t)
	pr := w.start(-1)
	defer pr.close()
	limited, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	now := w.clock()
	if got := pr.leaseEnd(limited).Sub(now); got <= 0 || got > time.Minute {
		t.Errorf("with a minute left: got a lease of %s", got)
	}
	if got := pr.leaseEnd(t.Context()).Sub(now); got != Visibility {
		t.Errorf("without a limit: got a lease of %s, want %s", got, Visibility)
	}
}

// TestDeadLetterOfHeldStep: the dead letter of a step that somebody may still run is looked at again when the
// lease is over.
func TestDeadLetterOfHeldStep(t *testing.T) {
	w := newWorld(t)
	url, ref := w.repository()
	pr := w.start(-1)
	defer pr.close()
	req := pr.create(t, url, ref, nil, "synthetic")
	if err := pr.send(t.Context(), req.ID, StepSource, false); err != nil {
		t.Fatal(err)
	}
	for range queue.MaxReceives {
		if _, err := pr.queue.Receive(t.Context(), StepSource, Visibility, 0); err != nil {
			t.Fatal(err)
		}
		w.advance(Visibility + time.Second)
	}
	if _, err := pr.queue.Receive(t.Context(), StepSource, Visibility, 0); err == nil {
		t.Fatal("a dead letter was delivered")
	}
	if err := pr.store.Lease(t.Context(), req.ID, StepSource, w.clock().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	reap := func() request.State {
		t.Helper()
		if err := pr.Reap(t.Context()); err != nil {
			t.Fatal(err)
		}
		got, err := pr.store.Get(t.Context(), req.ID)
		if err != nil {
			t.Fatal(err)
		}
		return got.State
	}
	if got := reap(); got != request.StateInProgress {
		t.Fatalf("while somebody holds the step: got %s", got)
	}
	w.advance(time.Minute + 2*time.Second)
	if got := reap(); got != request.StateFailed {
		t.Errorf("after the lease: got %s, want failed", got)
	}
}
