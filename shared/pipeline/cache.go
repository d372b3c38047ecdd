package pipeline

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"net"
	"net/http"
	"slices"
	"sync/atomic"

	"golang.org/x/sync/singleflight"

	"github.com/cachito-serverless/cachito/shared/blob"
	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/fetch"
	"github.com/cachito-serverless/cachito/shared/integrity"
	"github.com/cachito-serverless/cachito/shared/resolver"
	"github.com/cachito-serverless/cachito/shared/telemetry"
)

const (
	// MaxArtifactBytes bounds one dependency unless the resolver sets a lower limit.
	MaxArtifactBytes = 4 << 30
	// maxPointerBytes bounds the small JSON objects of the cache.
	maxPointerBytes = 64 << 10
)

// cache is the dependency cache over blob: every file under its SHA-256, verified before it has
// that name. A run of a step uses it through runCache, which implements resolver.Fetcher.
type cache struct {
	blobs  blob.Blob
	client *fetch.Client
	counts *telemetry.Metrics
	uses   renewer
	flight singleflight.Group
}

// runCache is the cache as one run of a step uses it: it counts what the run added, which the next run will find.
type runCache struct {
	*cache
	added *atomic.Int64
}

// Fetch implements resolver.Fetcher.
func (c runCache) Fetch(ctx context.Context, a resolver.Artifact) (resolver.File, error) {
	got, err := c.obtain(ctx, a)
	if err == nil && got.added {
		c.added.Add(1)
	}
	return got.file, err
}

// Store implements resolver.Fetcher.
func (c runCache) Store(ctx context.Context, r io.Reader) (resolver.File, error) {
	f, added, err := c.store(ctx, r)
	if err == nil && added {
		c.added.Add(1)
	}
	return f, err
}

// obtained is a file that was asked for. added: it was not in the cache before.
type obtained struct {
	file  resolver.File
	added bool
}

func newCache(b blob.Blob, c *fetch.Client, m *telemetry.Metrics, r renewer) *cache {
	return &cache{blobs: b, client: c, counts: m, uses: r}
}

func fileKey(sha string) string { return "deps/sha256/" + sha }

// pointerKey is where a file is found by its digest; by its SHA-256 there is the file itself besides.
func pointerKey(d integrity.Digest) string {
	if d.Algorithm == "sha256" {
		return fileKey(d.Hex()) + ".json"
	}
	return "deps/" + d.Algorithm + "/" + d.Hex()
}

func urlKey(u string) string {
	sum := sha256.Sum256([]byte(u))
	return "deps/url/" + hex.EncodeToString(sum[:])
}

// obtain finds a file in the cache, or fetches it into it.
func (c *cache) obtain(ctx context.Context, a resolver.Artifact) (obtained, error) {
	want, err := strongest(a)
	if err != nil {
		return obtained{}, err
	}
	key := a.URL
	for _, d := range want {
		key += " " + d.String()
	}
	if a.Check != nil {
		key += " checked"
	}
	// Several callers of one URL share one transfer; each waits no longer than its own context.
	ch := c.flight.DoChan(key, func() (any, error) { return c.fetch(ctx, a, want) })
	select {
	case <-ctx.Done():
		return obtained{}, ctx.Err()
	case res := <-ch:
		stopped := errors.Is(res.Err, context.Canceled) || errors.Is(res.Err, context.DeadlineExceeded)
		if stopped && ctx.Err() == nil {
			return c.fetch(ctx, a, want) // the one that fetched for us was stopped
		}
		got, _ := res.Val.(obtained)
		return got, res.Err
	}
}

// strongest keeps the digests of the strongest algorithm that is known.
func strongest(a resolver.Artifact) ([]integrity.Digest, error) {
	if len(a.Want) == 0 {
		return nil, nil
	}
	best := integrity.Strongest(a.Want)
	if len(best) == 0 {
		return nil, fault.Client(fault.UnsupportedFeature, "%s: none of its checksums uses an algorithm that is supported here", describe(a))
	}
	return best, nil
}

func describe(a resolver.Artifact) string {
	if a.Describe != "" {
		return a.Describe
	}
	return fetch.Redact(a.URL)
}

func (c *cache) fetch(ctx context.Context, a resolver.Artifact, want []integrity.Digest) (obtained, error) {
	seen, known, err := c.lookUp(ctx, a, want)
	if err == nil {
		countLookup(c.counts, lookupDependency, known)
	}
	if err == nil && known {
		err = c.check(ctx, a, seen)
	}
	if err != nil || known {
		return obtained{file: seen}, err
	}
	f, got, err := c.download(ctx, a, want)
	if err != nil {
		return obtained{}, err
	}
	if len(want) == 0 && seen.SHA256 != "" && seen.SHA256 != f.SHA256 {
		return obtained{}, fault.Client(fault.InvalidChecksum,
			"%s changed since it was first seen: expected sha256:%s, got sha256:%s", describe(a), seen.SHA256, f.SHA256)
	}
	if err := c.check(ctx, a, f); err != nil {
		return obtained{}, err
	}
	return obtained{f, true}, c.remember(ctx, a, want, got, f)
}

// check lets the resolver look into the file.
func (c *cache) check(ctx context.Context, a resolver.Artifact, f resolver.File) error {
	if a.Check == nil {
		return nil
	}
	o, err := c.Open(ctx, f)
	if err != nil {
		return err
	}
	defer o.Close()
	return a.Check(o, f.Size)
}

// lookUp finds the file in the cache. When only its digest is known (first seen earlier, and pruned
// since), known is false and the file names the digest.
func (c *cache) lookUp(ctx context.Context, a resolver.Artifact, want []integrity.Digest) (f resolver.File, known bool, err error) {
	if len(want) == 0 {
		key := urlKey(a.URL)
		f, err = c.pointer(ctx, key)
		if err != nil || f.SHA256 == "" {
			return f, false, err
		}
		known, err = c.has(ctx, f, key)
		return f, known, err
	}
	for _, d := range want {
		key := pointerKey(d)
		f, err = c.pointer(ctx, key)
		if err != nil {
			return resolver.File{}, false, err
		}
		if f.SHA256 == "" {
			continue
		}
		if known, err = c.has(ctx, f, key); err != nil || known {
			return f, known, err
		}
	}
	return resolver.File{}, false, nil
}

func (c *cache) pointer(ctx context.Context, key string) (resolver.File, error) {
	var f resolver.File
	err := getSealed(ctx, c.blobs, key, maxPointerBytes, &f)
	if errors.Is(err, blob.ErrNotFound) {
		return resolver.File{}, nil
	}
	return f, err
}

// has reports whether the file is whole in the cache, and renews its last use with that of the pointer that led to it.
func (c *cache) has(ctx context.Context, f resolver.File, pointer string) (bool, error) {
	info, err := c.blobs.Stat(ctx, fileKey(f.SHA256))
	if err == nil && info.Size != f.Size {
		return false, c.blobs.Delete(ctx, fileKey(f.SHA256))
	}
	if err == nil {
		err = c.uses.renew(ctx, info, pointer)
	}
	if errors.Is(err, blob.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// remember writes what the file will be looked for by: the digests that were asked for, else its URL. Each is a
// write of its own, on S3 the dearest thing about a small dependency, so there is no other.
func (c *cache) remember(ctx context.Context, a resolver.Artifact, want, got []integrity.Digest, f resolver.File) error {
	var keys []string
	for _, d := range got {
		if slices.ContainsFunc(want, func(w integrity.Digest) bool { return w.Algorithm == d.Algorithm }) {
			keys = append(keys, pointerKey(d))
		}
	}
	if len(want) == 0 {
		keys = append(keys, urlKey(a.URL))
	}
	for _, key := range keys {
		if err := putSealed(ctx, c.blobs, key, f, true); err != nil {
			return err
		}
	}
	return nil
}

// download streams the artifact through its hashes into the cache. Nothing unverified gets a name.
func (c *cache) download(ctx context.Context, a resolver.Artifact, want []integrity.Digest) (resolver.File, []integrity.Digest, error) {
	none := resolver.File{}
	limit := a.MaxBytes
	if limit <= 0 || limit > MaxArtifactBytes {
		limit = MaxArtifactBytes
	}
	w, err := c.blobs.Create(ctx)
	if err != nil {
		return none, nil, err
	}
	defer w.Abort()
	sums := newSums(want)
	res, err := c.client.Download(ctx, a.URL, a.Header, io.MultiWriter(w, sums), limit)
	if err != nil {
		return none, nil, networkFault(err, a.URL)
	}
	got := sums.digests()
	if len(want) > 0 && !slices.ContainsFunc(want, func(d integrity.Digest) bool { return slices.Contains(got, d) }) {
		return none, nil, fault.Client(fault.InvalidChecksum, "%s: checksum mismatch, expected %s, got %s (from %s)",
			describe(a), printDigests(want), printDigests(got[:1]), res.URL).Because(&integrity.MismatchError{Want: want, Got: got[0]})
	}
	f := resolver.File{SHA256: sums.sha256(), Size: res.Bytes, CRC32: sums.crc.Sum32()}
	return f, got, commit(ctx, w, fileKey(f.SHA256))
}

// commit publishes a content-addressed object; one that is there already has the same content.
func commit(ctx context.Context, w blob.Writer, key string) error {
	err := w.Commit(ctx, key, false)
	if errors.Is(err, blob.ErrExists) {
		return nil
	}
	return err
}

func printDigests(list []integrity.Digest) string {
	text := ""
	for i, d := range list {
		if i > 0 {
			text += " or "
		}
		text += d.String()
	}
	return text
}

// networkFault says whose trouble a download that did not work is: what the client asked for and is not
// there, not to be had or refused is the client's.
func networkFault(err error, url string) error {
	var (
		status     *fetch.StatusError
		refused    *fetch.RefusedError
		tooLarge   *fetch.TooLargeError
		incomplete *fetch.IncompleteError
		dns        *net.DNSError
		op         *net.OpError
	)
	name := fetch.Redact(url)
	switch {
	case errors.Is(err, context.Canceled):
		return err
	case errors.As(err, new(*fault.Error)): // of the storage that it was written to
		return fmt.Errorf("downloading %s: %w", name, err)
	case errors.As(err, &status):
		blame := fault.Server
		switch status.Code {
		case http.StatusNotFound, http.StatusGone, http.StatusUnauthorized, http.StatusForbidden:
			blame = fault.Client
		}
		return blame(fault.NetworkError, "Could not download %s: %d %s", name, status.Code, http.StatusText(status.Code)).Because(err)
	case errors.As(err, &refused):
		return fault.Client(fault.NetworkError, "Could not download %s: %s", name, refused.Reason).Because(err)
	case errors.As(err, &tooLarge):
		return fault.Client(fault.UnsupportedFeature, "%s is larger than %d bytes, the limit for one file", name, tooLarge.MaxBytes).Because(err)
	case errors.As(err, &incomplete):
		return fault.Server(fault.NetworkError, "Could not download %s: the transfer broke off after %d bytes", name, incomplete.Bytes).Because(err)
	case errors.As(err, &dns), errors.As(err, &op), errors.Is(err, context.DeadlineExceeded):
		return fault.Server(fault.NetworkError, "Could not download %s: the server cannot be reached", name).Because(err)
	}
	return fmt.Errorf("downloading %s: %w", name, err)
}

// sums hashes a stream with every algorithm that is asked for, and SHA-256 and CRC always.
type sums struct {
	hashes map[string]hash.Hash
	order  []string
	crc    hash.Hash32
}

func newSums(want []integrity.Digest) *sums {
	s := &sums{hashes: map[string]hash.Hash{}, crc: crc32.NewIEEE()}
	for _, d := range want {
		s.add(d.Algorithm)
	}
	s.add("sha256")
	return s
}

func (s *sums) add(algorithm string) {
	if s.hashes[algorithm] == nil {
		s.hashes[algorithm] = integrity.New(algorithm)
		s.order = append(s.order, algorithm)
	}
}

func (s *sums) Write(p []byte) (int, error) {
	for _, h := range s.hashes {
		h.Write(p)
	}
	s.crc.Write(p)
	return len(p), nil
}

// digests in the order of what was wanted, SHA-256 last unless it was wanted itself.
func (s *sums) digests() []integrity.Digest {
	var out []integrity.Digest
	for _, algorithm := range s.order {
		out = append(out, integrity.Digest{Algorithm: algorithm, Sum: string(s.hashes[algorithm].Sum(nil))})
	}
	return out
}

func (s *sums) sha256() string { return hex.EncodeToString(s.hashes["sha256"].Sum(nil)) }

// store puts generated content into the cache. added: it was not there before.
func (c *cache) store(ctx context.Context, r io.Reader) (_ resolver.File, added bool, _ error) {
	w, err := c.blobs.Create(ctx)
	if err != nil {
		return resolver.File{}, false, err
	}
	defer w.Abort()
	s := newSums(nil)
	n, err := io.Copy(io.MultiWriter(w, s), r)
	if err != nil {
		return resolver.File{}, false, err
	}
	f := resolver.File{SHA256: s.sha256(), Size: n, CRC32: s.crc.Sum32()}
	err = w.Commit(ctx, fileKey(f.SHA256), false)
	added = err == nil
	if errors.Is(err, blob.ErrExists) {
		_, err = c.uses.use(ctx, fileKey(f.SHA256))
	}
	return f, added, err
}

// Open implements resolver.Fetcher.
func (c *cache) Open(ctx context.Context, f resolver.File) (resolver.ReadAtCloser, error) {
	return c.blobs.Open(ctx, fileKey(f.SHA256))
}

// Get implements resolver.Fetcher.
func (c *cache) Get(ctx context.Context, url string, header http.Header, maxBytes int64) (resolver.Response, error) {
	var body bytes.Buffer
	res, err := c.client.Download(ctx, url, header, &body, maxBytes)
	var status *fetch.StatusError
	switch {
	case errors.As(err, &status) && status.Code < 500 && status.Code != http.StatusTooManyRequests:
		return resolver.Response{Status: status.Code, Header: status.Header, Body: []byte(status.Body), URL: status.URL}, nil
	case err != nil:
		return resolver.Response{}, networkFault(err, url)
	}
	return resolver.Response{Status: http.StatusOK, Header: res.Header, Body: body.Bytes(), URL: res.URL}, nil
}
