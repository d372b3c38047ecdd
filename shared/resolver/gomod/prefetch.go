package gomod

import "golang.org/x/mod/module"

// prefetchWorkers is how many modules are fetched at a time. go itself asks for one per processor,
// which leaves a network idle whose answers take their time. Measured once each on two busy processors
// with 50 ms an answer: caddy's 169 modules in 37.4 s with prefetching, 40.5 s without.
const prefetchWorkers = 24

// prefetch begins to fetch the modules into the proxy ahead of go, side by side; close ends it.
// Failures are kept quiet: go asks again, and says what it needed the file for.
func (p *moduleProxy) prefetch(modules []module.Version) {
	queue := make(chan module.Version)
	for range min(prefetchWorkers, len(modules)) {
		p.ahead.Go(func() {
			for m := range queue {
				if name := proxyPath(m, ".zip"); name != "" {
					p.answer(proxyPath(m, ".info"), ".info")
					p.file(proxyPath(m, ".mod"))
					p.file(name)
				}
			}
		})
	}
	p.ahead.Go(func() {
		defer close(queue)
		for _, m := range modules {
			select {
			case queue <- m:
			case <-p.ctx.Done():
				return
			}
		}
	})
}
