package fetch

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/cachito-serverless/cachito/shared/telemetry"
)

// Transport is the guarded http.RoundTripper: mirrors, credentials, limits on concurrency, and
// retries for requests whose body can be sent again. It follows no redirects; a client that uses it
// should take HTTPClient, whose CheckRedirect has our rules.
func (c *Client) Transport() http.RoundTripper { return roundTripper{c} }

type roundTripper struct{ c *Client }

// send sends a request until its answer is final, and tells how often it was sent.
func (t roundTripper) send(r *http.Request) (_ *http.Response, tries int, _ error) {
	canRepeat := r.Body == nil || r.Body == http.NoBody || r.GetBody != nil
	for attempt := 0; ; attempt++ {
		req := r
		if attempt > 0 && r.GetBody != nil {
			body, err := r.GetBody()
			if err != nil {
				return nil, attempt, err
			}
			req = r.Clone(r.Context())
			req.Body = body
		}
		resp, err := t.try(req)
		if attempt == MaxRetries || !canRepeat || !retryable(resp, err) {
			return resp, attempt + 1, err
		}
		t.c.settings.Metrics.Add(telemetry.FetchRetries, 1, t.c.settings.Metrics.Host(r.URL.Host))
		pause := backoff(attempt)
		if resp != nil {
			if after := retryAfter(resp.Header, time.Now()); after > 0 {
				pause = after
			}
			io.CopyN(io.Discard, resp.Body, MaxErrorBodyBytes) // keeps the connection usable
			resp.Body.Close()
		}
		if err := t.c.wait(r.Context(), pause); err != nil {
			return nil, attempt + 1, err
		}
	}
}

// once sends a request a single time.
func (c *Client) once(r *http.Request) (*http.Response, error) {
	original := r.URL
	refused := func(format string, args ...any) error {
		if r.Body != nil {
			r.Body.Close()
		}
		return &RefusedError{URL: Redact(original.String()), Reason: fmt.Sprintf(format, args...)}
	}
	if !isHTTP(original.Scheme) {
		return nil, refused("the protocol %q is not allowed; allowed are http and https", original.Scheme)
	}
	if original.Host == "" {
		return nil, refused("it names no host")
	}
	target, used := c.mirrored(original)
	mirrored := used != nil
	release, err := c.slots.acquire(r.Context(), hostPort(target))
	if err != nil {
		if r.Body != nil {
			r.Body.Close()
		}
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(r.Context())
	done := func() {
		cancel(nil)
		release()
	}
	req := r.Clone(ctx)
	req.URL = target
	req.Host = ""
	c.authorize(req, original, mirrored)
	if req.Header.Get("User-Agent") == "" {
		req.Header.Set("User-Agent", c.settings.UserAgent)
	}
	proxy, err := c.proxies(req.URL)
	// Where the dialler's own check does not see the target: behind a proxy, or at its address.
	if err == nil && (proxy != nil || c.guard.proxies[hostPort(req.URL)]) {
		host, port, _ := net.SplitHostPort(hostPort(req.URL))
		if err := c.guard.checkBehindProxy(ctx, host, port); err != nil {
			done()
			return nil, c.named(err, original)
		}
	}
	resp, err := c.base.RoundTrip(req)
	if err != nil {
		done()
		return nil, c.named(err, original)
	}
	if location := resp.Header.Get("Location"); mirrored && location != "" {
		if to, err := target.Parse(location); err == nil {
			resp.Header.Set("Location", used.original(to.String()))
		}
	}
	resp.Request = r
	resp.Body = newBody(resp.Body, c.settings.Timeouts.Idle, cancel, done)
	return resp, nil
}

// authorize sets what the target host may see: user info of the URL itself, else what the caller
// set, else the configuration's entry. The first two never go to a mirror on another host.
func (c *Client) authorize(req *http.Request, original *url.URL, mirrored bool) {
	user := original.User
	if req.URL.User != nil {
		bare := *req.URL
		bare.User = nil
		req.URL = &bare
	}
	if mirrored && hostPort(original) != hostPort(req.URL) {
		dropSecrets(req.Header)
		user = nil
	}
	if user != nil {
		password, _ := user.Password()
		req.Header.Set("Authorization", basic(user.Username(), password))
		return
	}
	if req.Header.Get("Authorization") != "" {
		return
	}
	if cred, ok := c.settings.Credentials.lookup(req.URL); ok {
		req.Header.Set("Authorization", cred.header)
	}
}

// mirrored gives the URL that is really asked, and the mirror it comes from; nil: none.
func (c *Client) mirrored(u *url.URL) (*url.URL, *mirror) {
	if strings.Contains(u.Path+"/", "/../") {
		return u, nil // would climb out of the mirror's folder
	}
	bare := *u
	bare.User = nil
	text := bare.String()
	var best *mirror
	for i := range c.mirrors {
		m := &c.mirrors[i]
		if strings.HasPrefix(text, m.prefix) && (best == nil || len(m.prefix) > len(best.prefix)) {
			best = m
		}
	}
	if best == nil {
		return u, nil
	}
	out, err := url.Parse(best.target.String() + text[len(best.prefix):])
	// The rest of a URL must not turn the mirror's host into another one ("https://mirror" + ".evil").
	if err != nil || out.Host != best.target.Host || out.User != nil {
		return u, nil
	}
	return out, best
}

// original maps a URL below the mirror's target back to what it stands for.
func (m *mirror) original(location string) string {
	if rest, below := strings.CutPrefix(location, m.target.String()); below {
		return m.prefix + rest
	}
	return location
}

// named gives transport errors the URL they belong to, and takes away net/http's own, which may
// hold a query.
func (c *Client) named(err error, u *url.URL) error {
	var refused *RefusedError
	if errors.As(err, &refused) {
		return &RefusedError{URL: Redact(u.String()), Reason: refused.Reason}
	}
	var inner *url.Error
	if errors.As(err, &inner) {
		err = inner.Err
	}
	return err
}

func retryable(resp *http.Response, err error) bool {
	if err == nil {
		switch resp.StatusCode {
		case http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusBadGateway,
			http.StatusServiceUnavailable, http.StatusGatewayTimeout:
			return true
		}
		return false
	}
	var refused *RefusedError
	var dns *net.DNSError
	var unknown x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	var host x509.HostnameError
	var record tls.RecordHeaderError
	var verify *tls.CertificateVerificationError
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded) && !isTimeout(err),
		errors.As(err, &refused), errors.As(err, &dns) && dns.IsNotFound,
		errors.As(err, &unknown), errors.As(err, &invalid), errors.As(err, &host), errors.As(err, &record), errors.As(err, &verify):
		return false
	}
	return true
}

// isTimeout reports a time-out of the network's own, which may also answer to DeadlineExceeded.
func isTimeout(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Timeout()
}

// backoff is 1.3 s, 2.6 s, 5.2 s ... with up to a fifth taken off, so that many clients that failed
// together do not come back together.
func backoff(attempt int) time.Duration {
	d := backoffFactor << attempt
	return d - time.Duration(rand.Int64N(int64(d)/5+1))
}

// retryAfter reads Retry-After (seconds or a date), at most MaxRetryAfter.
func retryAfter(h http.Header, now time.Time) time.Duration {
	v := h.Get("Retry-After")
	if v == "" {
		return 0
	}
	if n, err := strconv.ParseInt(v, 10, 32); err == nil && n > 0 {
		return min(time.Duration(n)*time.Second, MaxRetryAfter)
	}
	if at, err := http.ParseTime(v); err == nil && at.After(now) {
		return min(at.Sub(now), MaxRetryAfter)
	}
	return 0
}

// waiter pauses, or returns the context's error.
type waiter func(ctx context.Context, d time.Duration) error

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// body watches a response's body: it breaks off when nothing came for idle, and frees the request's
// place when it ends.
type body struct {
	io.ReadCloser
	idle  time.Duration
	timer *time.Timer
	done  func()
	once  sync.Once
	mu    sync.Mutex
	stall bool
}

func newBody(rc io.ReadCloser, idle time.Duration, cancel context.CancelCauseFunc, done func()) *body {
	b := &body{ReadCloser: rc, idle: idle, done: done}
	b.timer = time.AfterFunc(idle, func() {
		b.mu.Lock()
		b.stall = true
		b.mu.Unlock()
		cancel(errStalled)
	})
	b.timer.Stop() // it runs only inside Read: a slow consumer is no stalled server
	return b
}

func (b *body) Read(p []byte) (int, error) {
	b.timer.Reset(b.idle)
	n, err := b.ReadCloser.Read(p)
	b.timer.Stop()
	if err != nil && err != io.EOF {
		b.mu.Lock()
		if b.stall {
			err = fmt.Errorf("%w (%v)", errStalled, b.idle)
		}
		b.mu.Unlock()
	}
	if err != nil {
		b.finish()
	}
	return n, err
}

func (b *body) Close() error {
	err := b.ReadCloser.Close()
	b.finish()
	return err
}

func (b *body) finish() {
	b.once.Do(func() {
		b.timer.Stop()
		b.done()
	})
}
