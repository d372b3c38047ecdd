// Package fetch is the program's only way to other hosts: HTTP with retries, an address guard,
// mirrors and credentials, the same for our own downloads, for go-git and (through a loopback proxy)
// for the commands we start.
//
// URLs come from hostile repositories. Only http and https are spoken, and only to public addresses:
// loopback, private, link-local, metadata and similar ones are refused after name resolution, on the
// address that is really dialled, again on every redirect. Settings.AllowHosts names exceptions.
// Credentials come from the configuration, are matched by host and never follow a redirect to
// another host. No error text holds user info or a query (Redact).
package fetch

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/cachito-serverless/cachito/shared/telemetry"
)

// Retries: upstream's numbers (5 retries, factor 1.3, doubling), plus 429.
const (
	MaxRetries    = 5
	backoffFactor = 1300 * time.Millisecond
	// MaxRetryAfter bounds what a server's Retry-After can make us wait.
	MaxRetryAfter = time.Minute
	// MaxRedirects of one request.
	MaxRedirects = 10
	// MaxErrorBodyBytes is how much of an error's answer StatusError keeps.
	MaxErrorBodyBytes = 16 << 10
	// MaxHeaderBytes bounds an answer's header.
	MaxHeaderBytes = 1 << 20
	// maxStreamBuffer is how much of one HTTP/2 answer may wait to be read. net/http's own 4 MB for each of 32
	// transfers took the process to 159 MB where the disk was slower than the network; 1 MB still fills a
	// line of 10 MB/s at 100 ms for each file.
	maxStreamBuffer = 1 << 20
)

// Defaults of Settings.
const (
	DefaultMaxConcurrent = 32
	DefaultPerHost       = 16
	DefaultUserAgent     = "cachito-serverless"
)

// DefaultTimeouts are used for the fields of Settings.Timeouts that are zero.
var DefaultTimeouts = Timeouts{
	Connect: 15 * time.Second,
	Header:  60 * time.Second,
	Idle:    60 * time.Second,
}

// Timeouts of one try.
type Timeouts struct {
	Connect time.Duration // name resolution and TCP; TLS as much again
	Header  time.Duration // from the request to the answer's header
	Idle    time.Duration // between two pieces of a body
}

// Mirror sends every URL that begins with Prefix to Target instead, as git's url.<base>.insteadOf
// does. Errors and logs keep the original URL.
//
//	Mirror{Prefix: "https://github.com/", Target: "https://mirror.example/github/"}
type Mirror struct{ Prefix, Target string }

// Settings of a Client. The zero value reaches public hosts without credentials.
type Settings struct {
	// Mirrors: of several that fit, the longest prefix counts.
	Mirrors     []Mirror
	Credentials Credentials
	// AllowHosts are hosts ("name" or "name:port") whose address may be loopback or private. A
	// mirror's host is no exception by itself.
	AllowHosts []string
	// CACertFile is a PEM file of authorities trusted beside the system's.
	CACertFile string
	// HTTPSProxy, HTTPProxy and NoProxy have the meaning of the variables of that name. The proxy's
	// own address is not checked; the target's is, as far as its name resolves here.
	HTTPSProxy string
	HTTPProxy  string
	NoProxy    string
	UserAgent  string
	Timeouts   Timeouts
	// MaxConcurrent and PerHost bound running requests, until their body is closed.
	MaxConcurrent int
	PerHost       int
	// Metrics counts requests, retries and bytes by host; nil: nobody does.
	Metrics *telemetry.Metrics
}

// Client fetches. It is safe for concurrent use.
type Client struct {
	settings Settings
	guard    *guard
	mirrors  []mirror
	proxies  func(*url.URL) (*url.URL, error)
	base     *http.Transport
	slots    *limiter
	http     *http.Client
	wait     waiter
}

type mirror struct {
	prefix string
	target *url.URL
}

// New checks the settings and makes a client.
func New(s Settings) (*Client, error) {
	if s.UserAgent == "" {
		s.UserAgent = DefaultUserAgent
	}
	if s.MaxConcurrent <= 0 {
		s.MaxConcurrent = DefaultMaxConcurrent
	}
	if s.PerHost <= 0 {
		s.PerHost = DefaultPerHost
	}
	if s.Timeouts.Connect <= 0 {
		s.Timeouts.Connect = DefaultTimeouts.Connect
	}
	if s.Timeouts.Header <= 0 {
		s.Timeouts.Header = DefaultTimeouts.Header
	}
	if s.Timeouts.Idle <= 0 {
		s.Timeouts.Idle = DefaultTimeouts.Idle
	}
	c := &Client{settings: s, slots: newLimiter(s.MaxConcurrent, s.PerHost), wait: sleep}
	for _, m := range s.Mirrors {
		target, err := url.Parse(m.Target)
		if err != nil || !isHTTP(target.Scheme) || target.Host == "" {
			return nil, fmt.Errorf("mirror of %s: want an http or https URL as target, got %q", Redact(m.Prefix), Redact(m.Target))
		}
		if m.Prefix == "" {
			return nil, fmt.Errorf("mirror with target %s: the prefix is empty", Redact(m.Target))
		}
		if target.User != nil || target.RawQuery != "" || target.Fragment != "" {
			return nil, fmt.Errorf("mirror of %s: the target must not hold user info, a query or a fragment; credentials belong in the netrc file", Redact(m.Prefix))
		}
		c.mirrors = append(c.mirrors, mirror{prefix: m.Prefix, target: target})
	}
	proxies, err := newOutProxies(s)
	if err != nil {
		return nil, err
	}
	c.proxies = proxies.choose
	c.guard = newGuard(s.AllowHosts, proxies.addresses(), s.Timeouts.Connect)

	roots, err := authorities(s.CACertFile)
	if err != nil {
		return nil, err
	}
	c.base = &http.Transport{
		Proxy:                  func(r *http.Request) (*url.URL, error) { return c.proxies(r.URL) },
		DialContext:            c.guard.dialHTTP,
		TLSClientConfig:        &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    s.Timeouts.Connect,
		ResponseHeaderTimeout:  s.Timeouts.Header,
		MaxResponseHeaderBytes: MaxHeaderBytes,
		MaxIdleConnsPerHost:    s.PerHost,
		IdleConnTimeout:        90 * time.Second,
		ForceAttemptHTTP2:      true,
		HTTP2:                  &http.HTTP2Config{MaxReceiveBufferPerStream: maxStreamBuffer},
	}
	c.http = &http.Client{Transport: c.Transport(), CheckRedirect: checkRedirect}
	return c, nil
}

// HTTPClient is a client for libraries that bring their own requests: guarded, with mirrors,
// credentials and retries, and our rules for redirects.
func (c *Client) HTTPClient() *http.Client { return c.http }

// CloseIdleConnections closes connections that no request uses.
func (c *Client) CloseIdleConnections() { c.base.CloseIdleConnections() }

func authorities(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading the certificate authorities: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("reading the certificate authorities: %s holds no PEM certificate", file)
	}
	return pool, nil
}

// checkRedirect holds the rules of a redirect: http or https, never from https to http, no secrets
// to another host. The address is checked when it is dialled.
func checkRedirect(next *http.Request, via []*http.Request) error {
	last := via[len(via)-1]
	if err := redirectAllowed(last.URL, next.URL); err != nil {
		return err
	}
	if len(via) > MaxRedirects {
		return &RefusedError{URL: Redact(via[0].URL.String()), Reason: fmt.Sprintf("it was redirected more than %d times", MaxRedirects)}
	}
	next.Header.Del("Referer") // may hold a token in its query
	for _, before := range via {
		if hostPort(before.URL) != hostPort(next.URL) {
			dropSecrets(next.Header)
		}
	}
	return nil
}

func redirectAllowed(from, to *url.URL) error {
	switch {
	case !isHTTP(to.Scheme):
		return &RefusedError{URL: Redact(to.String()), Reason: fmt.Sprintf("a redirect of %s leads to the protocol %q; allowed are http and https", Redact(from.String()), to.Scheme)}
	case from.Scheme == "https" && to.Scheme == "http":
		return &RefusedError{URL: Redact(to.String()), Reason: fmt.Sprintf("a redirect of %s leads from https to http", Redact(from.String()))}
	case to.Host == "":
		return &RefusedError{URL: Redact(to.String()), Reason: "a redirect names no host"}
	}
	return nil
}

func dropSecrets(h http.Header) {
	for name := range h {
		lower := strings.ToLower(name)
		if strings.Contains(lower, "auth") || strings.Contains(lower, "token") || strings.Contains(lower, "cookie") || strings.Contains(lower, "api-key") {
			h.Del(name)
		}
	}
}

func isHTTP(scheme string) bool { return scheme == "http" || scheme == "https" }

// StatusError is an answer with a status that is no success, after all retries.
type StatusError struct {
	URL  string // redacted
	Code int
	// Body is the beginning of the answer, at most MaxErrorBodyBytes. It comes from the server:
	// not for a public message.
	Body   string
	Header http.Header
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("%s: %d %s", e.URL, e.Code, http.StatusText(e.Code))
}

// RefusedError is a URL, redirect or address that we do not speak to.
type RefusedError struct {
	URL    string // redacted; only the host and port when a dialled address was refused
	Reason string // what is wrong and what is allowed
}

func (e *RefusedError) Error() string { return e.URL + ": refused: " + e.Reason }

// TooLargeError is a body that is longer than its limit.
type TooLargeError struct {
	URL      string
	MaxBytes int64
}

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("%s: larger than %d bytes", e.URL, e.MaxBytes)
}

// IncompleteError is a body that broke off or stood still; trying again may help.
type IncompleteError struct {
	URL   string
	Bytes int64
	Err   error
}

func (e *IncompleteError) Error() string {
	return fmt.Sprintf("%s: the transfer broke off after %d bytes: %v", e.URL, e.Bytes, e.Err)
}

func (e *IncompleteError) Unwrap() error { return e.Err }

var errStalled = errors.New("no data for too long")
