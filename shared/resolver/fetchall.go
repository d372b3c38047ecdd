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
	errs := make([]error, len(artifacts))
	progress := counter{now: request.Progress{Total: int64(len(artifacts))}, report: in.Progress}
	if len(artifacts) > 0 {
		progress.show() // how many there are shows before the first has come
	}
	group, run := errgroup.WithContext(ctx)
	group.SetLimit(maxWaiting)
	for i, a := range artifacts {
		if run.Err() != nil {
			break
		}
		group.Go(func() error {
			f, err := in.Fetcher.Fetch(run, a)
			if err != nil {
				// Those that the first failure stopped have nothing to say.
				if run.Err() == nil || ctx.Err() != nil {
					errs[i] = err
				}
				return err
			}
			files[i] = f
			progress.add(f.Size)
			return nil
		})
	}
	failed := group.Wait()
	if failed == nil {
		return files, ctx.Err()
	}
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return nil, failed
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
