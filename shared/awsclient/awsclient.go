// Package awsclient is what the adapters for AWS share: the configuration of their clients, and how their
// calls travel. It knows no service.
package awsclient

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
)

const (
	connectTimeout = 5 * time.Second
	// answerTimeout is how long the head of an answer may take. SQS holds a waiting receiver's for 20 s; S3
	// sends the head of a long operation's answer at once.
	answerTimeout = time.Minute
	idleTimeout   = 90 * time.Second
	// idleConnections are kept for each service: one for every call that a busy worker has under way.
	idleConnections = 64

	// attempts is how often a call is sent. What the adapters send is harmless when it is repeated.
	attempts = 5
)

// Settings are what AWS does not tell by itself.
type Settings struct {
	// Endpoint is the URL of all services, for emulators and gateways; empty means AWS's own, or what
	// AWS_ENDPOINT_URL and its kin name.
	Endpoint string
	// Region when AWS_REGION does not name it.
	Region string
	// Transport carries the calls; nil means one over the network
	// that reads whole answers.
	Transport http.RoundTripper
}

// Load reads the configuration of AWS's clients the usual way (environment, shared files, the role of the
// function or machine; AWS_CA_BUNDLE and proxies too), and gives them a transport that reads whole answers.
// Call it once; the result may be used concurrently.
func Load(ctx context.Context, s Settings) (aws.Config, error) {
	cfg, err := config.LoadDefaultConfig(ctx,
		config.WithHTTPClient(awshttp.NewBuildableClient().WithDialerOptions(limitDialer).WithTransportOptions(limitTransport)),
		config.WithRetryer(func() aws.Retryer { return Retryer(attempts) }),
	)
	if err != nil {
		return aws.Config{}, fmt.Errorf("reading the configuration for AWS: %w", err)
	}
	transport := s.Transport
	if transport == nil {
		client, ok := cfg.HTTPClient.(*awshttp.BuildableClient)
		if !ok {
			return aws.Config{}, fmt.Errorf("reading the configuration for AWS: unexpected HTTP client %T", cfg.HTTPClient)
		}
		transport = WholeAnswers(client.GetTransport())
	}
	// The SDK follows redirects itself: it signs for one host.
	cfg.HTTPClient = &http.Client{Transport: Traced(transport), CheckRedirect: noRedirect}
	if s.Endpoint != "" {
		cfg.BaseEndpoint = aws.String(s.Endpoint)
	}
	if cfg.Region == "" {
		cfg.Region = s.Region
	}
	if cfg.Region == "" {
		return aws.Config{}, errors.New("reading the configuration for AWS: no region: set AWS_REGION")
	}
	return cfg, nil
}

func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

func limitDialer(d *net.Dialer) { d.Timeout = connectTimeout }

func limitTransport(t *http.Transport) {
	t.TLSHandshakeTimeout = connectTimeout
	t.ResponseHeaderTimeout = answerTimeout
	t.IdleConnTimeout = idleTimeout
	t.MaxIdleConns = 4 * idleConnections
	t.MaxIdleConnsPerHost = idleConnections
}

// Retryer sends a call up to n times. Its pauses begin at some 50 ms and end at 5 s; the SDK's own begin at
// half a second, which is long beside calls that take milliseconds. A client whose calls mostly fail stops
// trying again, as the SDK has it, unless options change that.
func Retryer(n int, options ...func(*retry.StandardOptions)) aws.Retryer {
	return retry.NewStandard(append([]func(*retry.StandardOptions){func(o *retry.StandardOptions) {
		o.MaxAttempts = n
		o.Backoff = pauses{}
	}}, options...)...)
}

const (
	firstPause = 50 * time.Millisecond
	lastPause  = 5 * time.Second
)

// pauses double, each shortened by chance to between a half and the whole.
type pauses struct{}

// BackoffDelay implements retry.BackoffDelayer.
func (pauses) BackoffDelay(attempt int, _ error) (time.Duration, error) {
	pause := lastPause
	if attempt < 7 { // 50 ms << 7 is more than 5 s
		pause = firstPause << max(attempt, 0)
	}
	return pause/2 + rand.N(pause/2), nil // no secret: it keeps callers apart in time
}
