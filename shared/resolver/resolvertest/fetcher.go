package resolvertest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/fetch"
	"github.com/cachito-serverless/cachito/shared/integrity"
	"github.com/cachito-serverless/cachito/shared/resolver"
)

const (
	// tries is how often the Fetcher asks a host that answers 5xx or 429, without waiting in between.
	tries = 6
	// maxBytes bounds an artifact that has no limit of its own.
	maxBytes = 1 << 30
)

// Fetcher is a resolver.Fetcher over a folder. Its network is a map from host to handler; every other
// host is refused. It may be used again for another run, which then finds the cache filled. Safe for
// concurrent use.
type Fetcher struct {
	dir   string
	hosts map[string]http.Handler

	mu       sync.Mutex
	pinned   map[string]resolver.File // by URL
	requests []string
}

// NewFetcher makes a Fetcher with an empty cache. Keys of hosts are hosts of URLs: "proxy.example".
func NewFetcher(t testing.TB, hosts map[string]http.Handler) *Fetcher {
	t.Helper()
	return &Fetcher{dir: t.TempDir(), hosts: hosts, pinned: map[string]resolver.File{}}
}

// Requests are the URLs that were asked for so far, in order, every try counted.
func (f *Fetcher) Requests() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.requests)
}

func (f *Fetcher) name(sum string) string { return filepath.Join(f.dir, sum) }

// Fetch implements resolver.Fetcher.
func (f *Fetcher) Fetch(ctx context.Context, a resolver.Artifact) (resolver.File, error) {
	f.mu.Lock()
	known, ok := f.pinned[a.URL]
	f.mu.Unlock()
	if ok && len(a.Want) == 0 {
		return known, f.check(ctx, a, known)
	}
	limit := a.MaxBytes
	if limit <= 0 {
		limit = maxBytes
	}
	status, _, body, err := f.ask(ctx, a.URL, a.Header)
	switch {
	case err != nil:
		return resolver.File{}, err
	case status != http.StatusOK:
		cause := &fetch.StatusError{URL: fetch.Redact(a.URL), Code: status, Body: string(body)}
		make := fault.Server
		if slices.Contains([]int{http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusGone}, status) {
			make = fault.Client
		}
		return resolver.File{}, make(fault.NetworkError, "Could not download %s: %d %s", fetch.Redact(a.URL), status, http.StatusText(status)).Because(cause)
	case int64(len(body)) > limit:
		return resolver.File{}, fault.Client(fault.UnsupportedFeature, "%s is larger than %d bytes, the limit for one file", fetch.Redact(a.URL), limit)
	}
	if err := verify(a, body); err != nil {
		return resolver.File{}, err
	}
	file, err := f.Store(ctx, bytes.NewReader(body))
	if err == nil {
		err = f.check(ctx, a, file)
	}
	if err == nil && len(a.Want) == 0 {
		f.mu.Lock()
		f.pinned[a.URL] = file
		f.mu.Unlock()
	}
	return file, err
}

func (f *Fetcher) check(ctx context.Context, a resolver.Artifact, file resolver.File) error {
	if a.Check == nil {
		return nil
	}
	r, err := f.Open(ctx, file)
	if err != nil {
		return err
	}
	defer r.Close()
	return a.Check(r, file.Size)
}

func verify(a resolver.Artifact, body []byte) error {
	want := integrity.Strongest(a.Want)
	if len(a.Want) > 0 && len(want) == 0 {
		return fault.Client(fault.UnsupportedFeature, "%s: none of its checksums uses an algorithm that is supported here", a.Describe)
	}
	if len(want) == 0 {
		return nil
	}
	if err := integrity.Verify(bytes.NewReader(body), want); err != nil {
		return fault.Client(fault.InvalidChecksum, "%s: checksum mismatch, expected %s", a.Describe, want[0]).Because(err)
	}
	return nil
}

// Store implements resolver.Fetcher.
func (f *Fetcher) Store(_ context.Context, r io.Reader) (resolver.File, error) {
	file, err := os.CreateTemp(f.dir, "new-")
	if err != nil {
		return resolver.File{}, err
	}
	defer file.Close()
	sum, crc := sha256.New(), crc32.NewIEEE()
	n, err := io.Copy(io.MultiWriter(file, sum, crc), r)
	if err != nil {
		return resolver.File{}, err
	}
	out := resolver.File{SHA256: hex.EncodeToString(sum.Sum(nil)), Size: n, CRC32: crc.Sum32()}
	return out, os.Rename(file.Name(), f.name(out.SHA256))
}

// Open implements resolver.Fetcher.
func (f *Fetcher) Open(_ context.Context, file resolver.File) (resolver.ReadAtCloser, error) {
	return os.Open(f.name(file.SHA256))
}

// Get implements resolver.Fetcher.
func (f *Fetcher) Get(ctx context.Context, rawURL string, header http.Header, limit int64) (resolver.Response, error) {
	status, got, body, err := f.ask(ctx, rawURL, header)
	switch {
	case err != nil:
		return resolver.Response{}, err
	case status >= 500 || status == http.StatusTooManyRequests:
		return resolver.Response{}, fault.Server(fault.NetworkError, "Could not download %s: %d %s", fetch.Redact(rawURL), status, http.StatusText(status)).
			Because(&fetch.StatusError{URL: fetch.Redact(rawURL), Code: status})
	case int64(len(body)) > limit:
		return resolver.Response{}, fault.Client(fault.UnsupportedFeature, "%s is larger than %d bytes, the limit for one file", fetch.Redact(rawURL), limit)
	}
	return resolver.Response{Status: status, Header: got, Body: body, URL: fetch.Redact(rawURL)}, nil
}

// ask sends a request to the host's handler, again while the answer may pass.
func (f *Fetcher) ask(ctx context.Context, rawURL string, header http.Header) (int, http.Header, []byte, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return 0, nil, nil, fmt.Errorf("resolvertest: %w", err)
	}
	handler := f.hosts[u.Host]
	if handler == nil {
		return 0, nil, nil, fault.Server(fault.NetworkError, "Could not download %s: the server cannot be reached", fetch.Redact(rawURL))
	}
	for try := 1; ; try++ {
		if err := ctx.Err(); err != nil {
			return 0, nil, nil, err
		}
		f.mu.Lock()
		f.requests = append(f.requests, rawURL)
		f.mu.Unlock()
		req := httptest.NewRequestWithContext(ctx, http.MethodGet, rawURL, nil)
		if header != nil {
			req.Header = header.Clone()
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, req)
		if err := ctx.Err(); err != nil {
			return 0, nil, nil, err // an answer that broke off is none
		}
		if (w.Code >= 500 || w.Code == http.StatusTooManyRequests) && try < tries {
			continue
		}
		return w.Code, w.Header(), w.Body.Bytes(), nil
	}
}
