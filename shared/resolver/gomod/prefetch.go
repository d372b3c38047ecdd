package gomod

import (
	"context"
	"sync"

	"golang.org/x/mod/module"
)

// prefetchWorkers is how many modules are fetched at a time. go itself asks for one per processor,
// which leaves a fast network idle.
const prefetchWorkers = 24

// prefetch fetches the modules into the proxy ahead of go, side by side, until all are there or ctx
// ends. Failures are kept quiet: go asks again, and says what it needed the file for. The returned
// function waits for the end.
func (p *moduleProxy) prefetch(ctx context.Context, modules []module.Version) (wait func()) {
	queue := make(chan module.Version)
	var wg sync.WaitGroup
	for range min(prefetchWorkers, len(modules)) {
		wg.Go(func() {
			for m := range queue {
				if name := proxyPath(m, ".zip"); name != "" {
					p.answer(proxyPath(m, ".info"), ".info")
					p.file(proxyPath(m, ".mod"))
					p.file(name)
				}
			}
		})
	}
	wg.Go(func() {
		defer close(queue)
		for _, m := range modules {
			select {
			case queue <- m:
			case <-ctx.Done():
				return
			}
		}
	})
	return wg.Wait
}
