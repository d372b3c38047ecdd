// Package client speaks Cachito's HTTP API from the caller's side: orders a request, follows it,
// downloads its bundle and checks it. It works with any Cachito service, upstream's included; what
// only ours has (progress) is left out where a service does not know it.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/cachito-serverless/cachito/shared/request"
)

const apiPath = "/api/v1"

// Limits on what a service may answer.
const (
	// MaxAnswerBytes bounds one JSON answer; large Go requests have many megabytes.
	MaxAnswerBytes = 512 << 20
	maxErrorBytes  = 64 << 10
)

// Client of one service. It may be used concurrently.
type Client struct {
	base string // scheme, host and prefix, ends in /api/v1
	http *http.Client
}

// New makes a client of the service at base, with or without "/api/v1" at its end. h follows
// redirects unless told otherwise; its time-out must leave room for a whole download.
func New(base string, h *http.Client) (*Client, error) {
	u, err := url.Parse(base)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return nil, fmt.Errorf("service URL %q: want http://host[:port][/prefix] or https://...", base)
	}
	u.RawQuery, u.Fragment = "", ""
	trimmed := strings.TrimSuffix(strings.TrimRight(u.String(), "/"), apiPath)
	return &Client{base: trimmed + apiPath, http: h}, nil
}

// UnreachableError: no usable answer came (no connection, time-out, a gateway's error).
type UnreachableError struct {
	URL   string
	Cause error
}

func (e *UnreachableError) Error() string {
	return fmt.Sprintf("the service at %s cannot be reached: %v", e.URL, e.Cause)
}

func (e *UnreachableError) Unwrap() error { return e.Cause }

// StatusError is a refusal by the service.
type StatusError struct {
	Status  int
	Message string // the answer's "error", or the status text
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("the service answered %d: %s", e.Status, e.Message)
}

// Order is the body of POST /requests.
type Order struct {
	Repo string `json:"repo"`
	Ref  string `json:"ref"`
	// PackageManagers nil: the service's default; empty: the source alone.
	PackageManagers *[]string                    `json:"pkg_managers,omitempty"`
	Packages        map[string][]json.RawMessage `json:"packages,omitempty"`
	Flags           []string                     `json:"flags,omitempty"`
	Replacements    []request.Replacement        `json:"dependency_replacements,omitempty"`
	User            string                       `json:"user,omitempty"`
}

// Request is the verbose form of a request, as far as programs need it. Raw is the whole answer.
type Request struct {
	ID              int64           `json:"id"`
	Repo            string          `json:"repo"`
	Ref             string          `json:"ref"`
	PackageManagers []string        `json:"pkg_managers"`
	State           request.State   `json:"state"`
	StateReason     string          `json:"state_reason"`
	ErrorOrigin     string          `json:"error_origin"`
	ErrorType       string          `json:"error_type"`
	Packages        []Package       `json:"packages"`
	Dependencies    []Package       `json:"dependencies"`
	History         []StateChange   `json:"state_history"` // newest first
	Raw             json.RawMessage `json:"-"`
}

// Package is a package or a dependency in an answer.
type Package struct {
	Name    string  `json:"name"`
	Type    string  `json:"type"`
	Version *string `json:"version"`
}

// StateChange is one entry of a history.
type StateChange struct {
	State   request.State `json:"state"`
	Reason  string        `json:"state_reason"`
	Updated string        `json:"updated"` // 2006-01-02T15:04:05.000000, UTC
}

// Create orders a request.
func (c *Client) Create(ctx context.Context, o Order) (Request, error) {
	body, err := json.Marshal(o)
	if err != nil {
		return Request{}, fmt.Errorf("encoding the order: %w", err)
	}
	raw, err := c.json(ctx, http.MethodPost, "/requests", body)
	if err != nil {
		return Request{}, err
	}
	return decode(raw)
}

// Get reads one request.
func (c *Client) Get(ctx context.Context, id int64) (Request, error) {
	raw, err := c.json(ctx, http.MethodGet, requestPath(id, ""), nil)
	if err != nil {
		return Request{}, err
	}
	return decode(raw)
}

// JSON reads any other GET route below /api/v1 ("/sbom?requests=1") whole.
func (c *Client) JSON(ctx context.Context, route string) (json.RawMessage, error) {
	return c.json(ctx, http.MethodGet, route, nil)
}

// Logs copies a request's log to w.
func (c *Client) Logs(ctx context.Context, id int64, w io.Writer) error {
	return c.copy(ctx, requestPath(id, "/logs"), w)
}

// SBOM copies a request's software bill of materials to w, in Cachito's own form when format is empty.
func (c *Client) SBOM(ctx context.Context, id int64, format string, w io.Writer) error {
	route := fmt.Sprintf("/sbom?requests=%d", id)
	if format != "" {
		route += "&format=" + url.QueryEscape(format)
	}
	return c.copy(ctx, route, w)
}

// copy copies an answer of any size.
func (c *Client) copy(ctx context.Context, route string, w io.Writer) error {
	resp, err := c.do(ctx, http.MethodGet, route, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(w, resp.Body); err != nil {
		return c.unreachable(fmt.Errorf("reading the answer to %s: %w", route, err))
	}
	return nil
}

func decode(raw json.RawMessage) (Request, error) {
	var r Request
	if err := json.Unmarshal(raw, &r); err != nil {
		return Request{}, fmt.Errorf("the service's answer is no Cachito request: %w", err)
	}
	if r.ID < 1 || r.State == "" {
		return Request{}, errors.New("the service's answer is no Cachito request: id or state is missing")
	}
	r.Raw = raw
	return r, nil
}

func (c *Client) json(ctx context.Context, method, route string, body []byte) (json.RawMessage, error) {
	resp, err := c.do(ctx, method, route, body)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, MaxAnswerBytes+1))
	if err != nil {
		return nil, c.unreachable(fmt.Errorf("reading the answer: %w", err))
	}
	if len(raw) > MaxAnswerBytes {
		return nil, fmt.Errorf("the answer to %s has more than %d bytes", route, MaxAnswerBytes)
	}
	return raw, nil
}

// do sends one call and returns a 2xx answer, whose body the caller closes.
func (c *Client) do(ctx context.Context, method, route string, body []byte) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, c.base+route, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("making the call %s %s: %w", method, route, err)
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(r)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, c.unreachable(err)
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		defer resp.Body.Close()
		return nil, c.refusal(resp)
	}
	return resp, nil
}

func (c *Client) refusal(resp *http.Response) error {
	refused := &StatusError{Status: resp.StatusCode, Message: http.StatusText(resp.StatusCode)}
	var answer struct {
		Error  string            `json:"error"`
		Detail string            `json:"detail"`
		Errors map[string]string `json:"errors"`
	}
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxErrorBytes))
	if err == nil && json.Unmarshal(raw, &answer) == nil {
		switch {
		case answer.Error != "":
			refused.Message = answer.Error
		case answer.Detail != "":
			refused.Message = answer.Detail
		case len(answer.Errors) > 0:
			refused.Message = fmt.Sprint(answer.Errors)
		}
	}
	switch resp.StatusCode {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return c.unreachable(refused)
	}
	return refused
}

func (c *Client) unreachable(cause error) error {
	// *url.Error repeats the method and the URL, which the sentence has already.
	var u *url.Error
	if errors.As(cause, &u) {
		cause = u.Err
	}
	return &UnreachableError{URL: strings.TrimSuffix(c.base, apiPath), Cause: cause}
}

func requestPath(id int64, rest string) string {
	return fmt.Sprintf("/requests/%d%s", id, rest)
}

// sleep waits for d or for the end of ctx.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
