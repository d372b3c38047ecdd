// Package chaos proves that requests survive everything that AWS does to a service: the functions' own programs,
// over DynamoDB, SQS and S3 in an emulator, are killed with SIGKILL, lose the network and run out of time; 1 of
// 20 of their calls fails, before or after it was carried out; messages come twice, late, in another order, or
// not at all. What the requests come to is compared with an undisturbed run.
//
// Lambda, its event sources and its runtime API are played by the test (sandbox_test.go, deliver_test.go), the
// bad network is a proxy of it (network_test.go). It needs AWS_ENDPOINT_URL: make test-aws sets it.
package chaos

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/cachito-serverless/cachito/shared/awsclient/awsclienttest"
	"github.com/cachito-serverless/cachito/shared/pipeline"
	"github.com/cachito-serverless/cachito/shared/queue"
	"github.com/cachito-serverless/cachito/shared/request"
)

const (
	// defaultSeed makes every run the same, as far as two machines can do the same; CACHITO_CHAOS_SEED tries
	// another one.
	defaultSeed = 7
	// defaultKills is how often a resolve or bundle process is killed; CACHITO_CHAOS_KILLS.
	defaultKills = 200
	// inFlight is how many requests are unfinished while processes are killed.
	inFlight = 24
	// outageLength is longer than calls to S3 and SQS are tried again.
	outageLength = 3 * time.Second
	// patience is how long everything may take.
	patience = 10 * time.Minute
)

func setting(t *testing.T, name string, fallback int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return fallback
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// TestAtLeastOnce disturbs requests until enough processes were killed, lets what is unfinished come to its end,
// and looks at everything that is left.
func TestAtLeastOnce(t *testing.T) {
	endpoint := awsclienttest.Endpoint(t, "AWS_ENDPOINT_URL")
	kills := int64(setting(t, "CACHITO_CHAOS_KILLS", defaultKills))
	w := &world{
		t: t, seed: uint64(setting(t, "CACHITO_CHAOS_SEED", defaultSeed)), endpoint: endpoint, tmp: t.TempDir(),
		counts: map[string]int{}, deliveries: map[queue.Message]uint64{}, kinds: map[int64]string{},
	}
	t.Logf("seed %d (CACHITO_CHAOS_SEED)", w.seed)
	started := time.Now()
	elapsed := func() time.Duration { return time.Since(started).Round(time.Second) }
	var err error
	if w.logs, err = os.Create(filepath.Join(w.tmp, "functions.log")); err != nil {
		t.Fatal(err)
	}
	defer w.logs.Close()
	steps := pipeline.Steps([]string{"npm", "git-submodule"})
	w.stack = newStack(t, endpoint, steps)
	w.projects = newProjects(t, w.dice)
	w.build("api", "source", "resolve", "bundle", "reaper")

	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	stop := w.start(ctx, steps)
	t.Logf("functions built and resources made after %s", elapsed())
	for _, kind := range []string{damaged, poisoned, outlived, hanging, slow} {
		w.post(ctx, w.projects.add(kind, 0), w.dice("post", kind))
	}
	outage := sync.OnceFunc(func() {
		w.outage.Store(true)
		time.AfterFunc(outageLength, func() { w.outage.Store(false) })
	})
	for n := 0; w.kills.Load() < kills && ctx.Err() == nil; n++ {
		if w.kills.Load() > kills/2 {
			outage()
		}
		w.post(ctx, w.projects.add(ordinary, n), w.dice("post", n))
		for w.unfinished(ctx) >= inFlight && w.kills.Load() < kills && ctx.Err() == nil {
			pause(ctx, 100*time.Millisecond)
		}
	}
	w.calm.Store(true)
	t.Logf("%d processes killed after %s", w.kills.Load(), elapsed())
	for w.unfinished(ctx) > 0 && ctx.Err() == nil {
		pause(ctx, 200*time.Millisecond)
	}
	w.drain(ctx, steps)
	stop()
	t.Logf("all at rest after %s", elapsed())
	for _, what := range slices.Sorted(maps.Keys(w.counts)) {
		t.Logf("%6d %s", w.counts[what], what)
	}
	if ctx.Err() != nil {
		t.Errorf("not at rest after %s: requests are stuck", patience)
	}
	w.checkRequests(kills)
	w.checkRest(steps)
	t.Logf("compared after %s", elapsed())
	if t.Failed() {
		t.Logf("the functions' last lines:\n%s", w.tail())
		if keep := os.Getenv("CACHITO_CHAOS_LOG"); keep != "" {
			raw, _ := os.ReadFile(w.logs.Name())
			os.WriteFile(keep, raw, 0o600)
		}
	}
}

// start runs event sources and reaper until stop.
func (w *world) start(ctx context.Context, steps []string) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	for _, step := range steps {
		name := step
		if step != pipeline.StepSource && step != pipeline.StepBundle {
			name = "resolve"
		}
		s := &source{w: w, step: step, fn: w.functions[name], slots: make(chan struct{}, atOnce)}
		wg.Go(func() { s.run(ctx) })
	}
	wg.Go(func() { w.reap(ctx) })
	return func() {
		cancel()
		wg.Wait()
		for _, f := range w.functions {
			f.stop()
		}
	}
}

// unfinished is how many requests are in progress.
func (w *world) unfinished(ctx context.Context) int64 {
	counts, err := w.stack.store.Counts(ctx)
	if err != nil {
		if ctx.Err() == nil {
			w.t.Errorf("counting requests: %v", err)
		}
		return 0
	}
	return counts.ByState[request.StateInProgress]
}

// drain waits until all queues are empty: of a finished request some messages may still be under way.
func (w *world) drain(ctx context.Context, steps []string) {
	for ctx.Err() == nil {
		left := 0
		for _, step := range append(slices.Clone(steps), "dead-letter") {
			n, err := w.stack.queued(ctx, step)
			if err != nil && ctx.Err() == nil {
				w.t.Errorf("looking into queue %s: %v", step, err)
			}
			left += n
		}
		if left == 0 {
			return
		}
		pause(ctx, 300*time.Millisecond)
	}
}
