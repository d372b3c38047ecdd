package otlp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

const (
	// tries is how often a batch is sent; the pause before the second try doubles.
	tries      = 4
	firstPause = 250 * time.Millisecond
	// maxReply is read of a collector's answer, so that the connection can be used again.
	maxReply = 64 << 10
)

// client carries batches of spans to a collector (https://opentelemetry.io/docs/specs/otlp/#otlphttp). It
// implements otlptrace.Client.
type client struct {
	url     string
	headers map[string]string
	http    *http.Client
}

func newClient(endpoint string, headers map[string]string) (*client, error) {
	u, err := url.Parse(endpoint)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, errors.New("OTEL_EXPORTER_OTLP_ENDPOINT: want an http or https URL such as http://127.0.0.1:4318")
	}
	transport := http.DefaultTransport.(*http.Transport).Clone() // its connections are ours to close
	return &client{
		url: strings.TrimRight(endpoint, "/") + "/v1/traces", headers: headers,
		http: &http.Client{Transport: transport, Timeout: exportTimeout, CheckRedirect: stay},
	}, nil
}

// stay: spans and headers go to the collector that was named.
func stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// Start implements otlptrace.Client.
func (c *client) Start(context.Context) error { return nil }

// Stop implements otlptrace.Client.
func (c *client) Stop(context.Context) error {
	c.http.CloseIdleConnections()
	return nil
}

// UploadTraces implements otlptrace.Client.
func (c *client) UploadTraces(ctx context.Context, spans []*tracepb.ResourceSpans) error {
	// TracesData has the wire form of ExportTraceServiceRequest, whose package links gRPC.
	body, err := proto.Marshal(&tracepb.TracesData{ResourceSpans: spans})
	if err != nil {
		return err
	}
	pause := firstPause
	for try := 1; ; try++ {
		again, err := c.post(ctx, body)
		if err == nil || !again || try == tries {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause):
			pause *= 2
		}
	}
}

// post sends a batch once; again reports that another try may help.
func (c *client) post(ctx context.Context, body []byte) (again bool, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return false, err
	}
	r.Header.Set("Content-Type", "application/x-protobuf")
	for name, value := range c.headers {
		r.Header.Set(name, value)
	}
	res, err := c.http.Do(r)
	if err != nil {
		var inner *url.Error
		if errors.As(err, &inner) {
			err = inner.Err // the URL is the operator's, and may hold a secret
		}
		return ctx.Err() == nil, err
	}
	defer res.Body.Close()
	_, _ = io.CopyN(io.Discard, res.Body, maxReply)
	if res.StatusCode >= 200 && res.StatusCode <= 299 {
		return false, nil
	}
	switch res.StatusCode {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		again = true
	}
	return again, fmt.Errorf("the collector answered %d %s", res.StatusCode, http.StatusText(res.StatusCode))
}

const (
	// complainEvery keeps the log quiet while a collector is away.
	complainEvery = time.Minute
	// awayFor is how long a collector that took nothing is not asked again. Spans are dropped meanwhile: a
	// function would otherwise wait for it at the end of each invocation.
	awayFor = 30 * time.Second
)

// reporting tells the log of spans that could not be sent: the SDK's own way is a global handler.
type reporting struct {
	sdktrace.SpanExporter
	log *slog.Logger

	mu        sync.Mutex
	complain  time.Time // not before
	awayUntil time.Time
	lost      int
}

// ExportSpans implements the SDK's SpanExporter. The error ends here: nobody above could do more.
func (e *reporting) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	e.mu.Lock()
	away := time.Now().Before(e.awayUntil)
	if away {
		e.lost += len(spans)
	}
	e.mu.Unlock()
	if away {
		return nil
	}
	err := e.SpanExporter.ExportSpans(ctx, spans)
	if err == nil {
		return nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	now := time.Now()
	e.lost += len(spans)
	e.awayUntil = now.Add(awayFor)
	if !now.Before(e.complain) {
		e.log.WarnContext(ctx, "traces not sent", "spans", e.lost, "error", err)
		e.complain, e.lost = now.Add(complainEvery), 0
	}
	return nil
}
