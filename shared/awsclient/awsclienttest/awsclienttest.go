// Package awsclienttest lets tests of the adapters for AWS talk to an emulator, over a network that loses
// answers where a test wants it.
package awsclienttest

import (
	"errors"
	"io"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/cachito-serverless/cachito/shared/awsclient"
)

// attempts is enough for a network that loses every fifth answer.
const attempts = 10

// Endpoint is the URL that an environment variable holds. Without it the test is skipped; make test-aws starts
// the emulators and sets AWS_ENDPOINT_URL and CACHITO_TEST_VERSITYGW_URL.
func Endpoint(t testing.TB, variable string) string {
	t.Helper()
	url := os.Getenv(variable)
	if url == "" {
		t.Skip(variable + " is not set: run make test-aws")
	}
	return url
}

// Config is the configuration for an emulator; transport nil means one that loses nothing.
func Config(url, key, secret string, transport http.RoundTripper) aws.Config {
	if transport == nil {
		transport = Transport()
	}
	return aws.Config{
		BaseEndpoint: &url, Region: "us-east-1",
		Credentials: credentials.NewStaticCredentialsProvider(key, secret, ""),
		HTTPClient:  &http.Client{Transport: transport},
		Retryer:     func() aws.Retryer { return awsclient.Retryer(attempts, persistent) },
	}
}

// persistent clients do not give up because much fails.
func persistent(o *retry.StandardOptions) {
	o.RateLimiter = ratelimit.None
	o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return time.Millisecond, nil })
}

// Transport is the product's.
func Transport() http.RoundTripper {
	base := http.DefaultTransport.(*http.Transport).Clone()
	base.MaxIdleConnsPerHost = 32
	return awsclient.WholeAnswers(base)
}

// ErrLost is what the caller of a call sees whose answer was lost.
var ErrLost = errors.New("the answer was lost on its way")

// Losing is a transport that loses answers: the service has done what was asked, and the caller sees an error.
type Losing struct {
	// Base carries the calls.
	Base http.RoundTripper
	// Lose says whether to lose the answer to the nth call of an operation (from 1), and of all.
	Lose func(operation string, nth, ofAll int) bool
	// Operation names a call.
	Operation func(*http.Request) string

	mu    sync.Mutex
	all   int
	calls map[string]int
	lost  map[string]int
}

// EveryFifth loses every fifth answer.
func EveryFifth(_ string, _, ofAll int) bool { return ofAll%5 == 0 }

// Lost is how many answers of an operation were lost.
func (l *Losing) Lost(operation string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lost[operation]
}

// Calls is how often an operation was called.
func (l *Losing) Calls(operation string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.calls[operation]
}

// Total is how many calls there were.
func (l *Losing) Total() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all
}

// RoundTrip implements http.RoundTripper.
func (l *Losing) RoundTrip(r *http.Request) (*http.Response, error) {
	operation := l.Operation(r)
	res, err := l.Base.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if !l.count(operation) {
		return res, nil
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		return nil, err
	}
	return nil, ErrLost
}

func (l *Losing) count(operation string) (lose bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.calls == nil {
		l.calls, l.lost = map[string]int{}, map[string]int{}
	}
	l.all++
	l.calls[operation]++
	if l.Lose != nil && l.Lose(operation, l.calls[operation], l.all) {
		l.lost[operation]++
		return true
	}
	return false
}
