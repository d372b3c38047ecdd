package api_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"github.com/cachito-serverless/cachito/shared/api"
	"github.com/cachito-serverless/cachito/shared/blob"
	"github.com/cachito-serverless/cachito/shared/packages"
)

// gauge looks at how much memory is in use whenever a megabyte was read from the storage or sent to the client:
// what is held at those moments is held all the time.
type gauge struct {
	moved int
	peak  uint64
}

const lookEvery = 1 << 20

func (g *gauge) look(n int) {
	if g.moved += n; g.moved >= lookEvery {
		g.moved = 0
		g.peak = max(g.peak, inUse())
	}
}

// inUse is the memory that something still needs.
func inUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// watchedClient counts what it gets.
type watchedClient struct {
	*gauge
	header http.Header
	status int
	bytes  uint64
}

func (c *watchedClient) Header() http.Header    { return c.header }
func (c *watchedClient) WriteHeader(status int) { c.status = status }
func (c *watchedClient) Write(p []byte) (int, error) {
	c.look(len(p))
	c.bytes += uint64(len(p))
	return len(p), nil
}

type watchedBlobs struct {
	blob.Blob
	gauge *gauge
}

func (b watchedBlobs) Open(ctx context.Context, key string) (blob.Object, error) {
	o, err := b.Blob.Open(ctx, key)
	return watchedObject{o, b.gauge}, err
}

type watchedObject struct {
	blob.Object
	gauge *gauge
}

func (o watchedObject) Read(p []byte) (int, error) {
	n, err := o.Object.Read(p)
	o.gauge.look(n)
	return n, err
}

// huge is packages data of hugeDependencies in two packages that share them, as applications with workspaces
// have it.
func huge() []packages.Package {
	version := "1.0.0-" + strings.Repeat("beta", 10)
	var list []packages.Package
	for m := range 2 {
		p := packages.Package{Name: fmt.Sprintf("member-%d", m), Type: "npm", Version: &version, Path: fmt.Sprintf("packages/%d", m)}
		for i := range hugeDependencies {
			p.Dependencies = append(p.Dependencies, packages.Dependency{
				Name: fmt.Sprintf("@an-organisation-of-usual-length/a-package-with-a-longer-name-%05d", i), Type: "npm", Version: &version, Dev: new(i%3 == 0),
			})
		}
		list = append(list, p)
	}
	return list
}

// TestMemoryOfLargeAnswers: 50,000 dependencies on every route that shows them, in a bounded amount of memory.
// What is held is the packages data in its compact form (two thirds) and at most an index of it; whoever puts
// an answer together before it is sent goes beyond the bound.
func TestMemoryOfLargeAnswers(t *testing.T) {
	g := &gauge{}
	w := newWorld(t, settings(), func(d *api.Deps) { d.Blobs = watchedBlobs{d.Blobs, g} })
	w.post(map[string]any{"pkg_managers": []string{"npm"}})
	w.storePackages(1, huge())
	w.complete(1)
	const slack = 1 << 20
	for _, test := range []struct {
		route string
		most  uint64 // bytes for a dependency
		least uint64 // of the answer, so that it shows anything
	}{
		{"requests/1", 380, 500},
		{"requests?verbose=true", 380, 500},
		{"requests/1/packages", 380, 450},
		{"requests/1/content-manifest", 450, 440},
		{"content-manifest?requests=1", 450, 440},
		{"sbom?requests=1", 380, 280},
		{"sbom?requests=1&format=cyclonedx-1.6", 540, 580},
		{"requests/1/sbom?format=spdx-2.3", 540, 980},
	} {
		t.Run(test.route, func(t *testing.T) {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/v1/"+test.route, nil)
			out := &watchedClient{gauge: g, header: http.Header{}}
			inUse() // what was pooled needs two collections to go
			before := inUse()
			g.peak = before
			w.handler.ServeHTTP(out, r)
			if out.status != http.StatusOK || out.bytes < test.least*hugeDependencies {
				t.Fatalf("status %d and %d bytes", out.status, out.bytes)
			}
			used := g.peak - before
			t.Logf("%.1f MB of memory for an answer of %.1f MB", float64(used)/1e6, float64(out.bytes)/1e6)
			if used > test.most*hugeDependencies+slack {
				t.Errorf("%d bytes of memory for a dependency, want at most %d", used/hugeDependencies, test.most)
			}
		})
	}
}
