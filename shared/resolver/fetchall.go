package resolver

import (
	"context"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/cachito-serverless/cachito/shared/request"
)

// maxWaiting bounds the artifacts of one FetchAll that are asked for at a time. How many of them are really
// transferred at a time is the Fetcher's own limit.
const maxWaiting = 64

// FetchAll fetches the artifacts side by side and returns their files in the same order. Equal artifacts
// are transferred once. Progress is reported at the start and after each file. When some fail, the error is that of the first
// of the list that failed before the others were stopped.
func FetchAll(ctx context.Context, in Input, artifacts []Artifact) ([]File, error) {
	files := make([]File, len(artifacts))
	progress := counter{now: request.Progress{Total: int64(len(artifacts))}, report: in.Progress}
	if len(artifacts) > 0 {
		progress.show() // how many there are shows before the first has come
	}
	err := SideBySide(ctx, maxWaiting, len(artifacts), func(ctx context.Context, i int) error {
		f, err := in.Fetcher.Fetch(ctx, artifacts[i])
		if err != nil {
			return err
		}
		files[i] = f
		progress.add(f.Size)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return files, nil
}

// SideBySide does n jobs, at most limit at a time. The first failure stops the others; the error is that of the
// first of the list that failed by itself.
func SideBySide(ctx context.Context, limit, n int, job func(ctx context.Context, i int) error) error {
	errs := make([]error, n)
	group, run := errgroup.WithContext(ctx)
	group.SetLimit(limit)
	for i := range n {
		if run.Err() != nil {
			break
		}
		group.Go(func() error {
			err := job(run, i)
			// Those that the first failure stopped have nothing to say.
			if err != nil && (run.Err() == nil || ctx.Err() != nil) {
				errs[i] = err
			}
			return err
		})
	}
	failed := group.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	if failed == nil {
		failed = ctx.Err()
	}
	return failed
}

// counter adds up what is there and reports it. Safe for concurrent use.
type counter struct {
	mu     sync.Mutex
	now    request.Progress
	report func(request.Progress)
}

func (c *counter) add(size int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now.Done++
	c.now.Bytes += size
	c.show()
}

func (c *counter) show() {
	if c.report != nil {
		c.report(c.now)
	}
}
