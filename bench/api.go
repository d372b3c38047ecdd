package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/cachito-serverless/cachito/shared/client/clienttest"
	"github.com/cachito-serverless/cachito/shared/store/sqlite/sqlitetest"
)

const (
	storedRequests = 10_000
	maxAPIMemory   = 60e6
)

// comparison is a call of which the project promises a multiple of upstream's calls a second. Request 1 is
// complete with 300 dependencies, request 2 is in progress with five states, on both sides.
type comparison struct {
	name  string
	path  string
	body  bool    // a POST
	times float64 // promised; 0: nothing
}

var comparisons = []comparison{
	{"GET a request in progress", "/requests/2", false, 10},
	{"GET a complete one, 300 dependencies", "/requests/1", false, 10},
	{"GET its content manifest", "/requests/1/content-manifest", false, 0},
	{"list of 20, first page", "/requests?per_page=20&page=1", false, 50},
	{"list of 20, last page", "/requests?per_page=20&page=500", false, 50},
	{"list of 20, one state, first page", "/requests?per_page=20&state=complete&page=1", false, 50},
	{"list of 20, one state, page 290", "/requests?per_page=20&state=complete&page=290", false, 50},
	{"POST a request", "/requests", true, 5},
}

// api measures the API with 10,000 requests stored, and beside it an upstream Cachito at UPSTREAM, which
// must hold the same (docs/benchmark.md).
func (b *bench) api(ctx context.Context) (err error) {
	data := filepath.Join(b.dir, "api-data")
	if _, err := seed(ctx, data, storedRequests); err != nil {
		return err
	}
	// Orders name a repository whose server never answers: what is measured is the API, not the pipeline.
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer silent.Close()
	service, err := clienttest.Start(ctx, b.binary, data, longLife, "CACHITO_ALLOW_HOSTS="+silent.Addr().String())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, service.Stop()) }()
	load, tool := newGenerator(b.dir)
	b.notes = append(b.notes, fmt.Sprintf("API: %s, %d connections, %d requests stored.", tool, connections, storedRequests))
	upstream := strings.TrimRight(os.Getenv("UPSTREAM"), "/")
	if upstream == "" {
		b.notes = append(b.notes, "UPSTREAM= (base URL of a Cachito with the same requests, docs/benchmark.md) adds the comparison with it.")
	}
	body := fmt.Sprintf(`{"repo": "http://%s/project.git", "ref": %q, "pkg_managers": ["gomod"]}`, silent.Addr(), sqlitetest.Ref(1))
	for _, c := range comparisons {
		call := func(base string) asked {
			if c.body {
				return asked{base + "/api/v1" + c.path, body}
			}
			return asked{url: base + "/api/v1" + c.path}
		}
		var ours, theirs speed
		for range rounds { // in turns
			s, err := load(ctx, call(service.URL))
			if err != nil {
				return err
			}
			ours = ours.add(s)
			if upstream == "" {
				continue
			}
			if s, err = load(ctx, call(upstream)); err != nil {
				return fmt.Errorf("upstream: %w", err)
			}
			theirs = theirs.add(s)
		}
		b.compare(c, ours, theirs)
		if c.path == "/requests?per_page=20&state=complete&page=290" {
			if err := b.apiMemory(service, "after these reads"); err != nil {
				return err
			}
		}
	}
	return b.apiMemory(service, "after the POSTs too")
}

func (b *bench) compare(c comparison, ours, theirs speed) {
	value := fmt.Sprintf("%.0f a second, %.1f ms at the median", ours.perSecond(), milliseconds(ours.p50))
	promise, kept := "", true
	if theirs.calls > 0 {
		times := ours.perSecond() / theirs.perSecond()
		value += fmt.Sprintf("; upstream %.3g: %.0f times", theirs.perSecond(), times)
		if c.times > 0 {
			promise, kept = fmt.Sprintf(">= %.0f times", c.times), times >= c.times
		}
	}
	b.add(c.name, value, promise, kept)
}

func (b *bench) apiMemory(service *clienttest.Service, when string) error {
	memory, err := peakMemory(service.Pid())
	if err != nil {
		return err
	}
	b.add("peak memory of `cachito serve` "+when, fmt.Sprintf("%.0f MB", memory/1e6), "<= 60 MB", memory <= maxAPIMemory)
	return nil
}
