package fetch

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// Response is a successful answer (2xx) whose body is still to be read.
type Response struct {
	StatusCode int
	Header     http.Header
	// Body must be closed. It ends with io.ErrUnexpectedEOF when less came than was announced.
	Body io.ReadCloser
	// ContentLength is -1 when the server did not say.
	ContentLength int64
	// URL after redirects and before mirrors, without user info and query.
	URL string
}

// Get asks for a URL. It retries MaxRetries times when the server cannot be reached or answers 429,
// 500, 502, 503 or 504; a body that breaks off is the caller's to ask for again (Download does it).
// header may be nil.
//
// The body is what the server stores: no compression is asked for, because a digest is of those
// bytes. With "Accept-Encoding: gzip" in header the transfer is compressed and the body decompressed.
//
// Errors: *StatusError (no 2xx), *RefusedError (never retried), the context's, and whatever the
// network says.
func (c *Client) Get(ctx context.Context, rawURL string, header http.Header) (*Response, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, &RefusedError{URL: Redact(rawURL), Reason: "the URL cannot be parsed"}
	}
	info := u.User
	u.User = nil
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, &RefusedError{URL: Redact(rawURL), Reason: "the URL cannot be used"}
	}
	for name, values := range header {
		req.Header[http.CanonicalHeaderKey(name)] = values
	}
	if info != nil {
		password, _ := info.Password()
		req.Header.Set("Authorization", basic(info.Username(), password))
	}
	switch req.Header.Get("Accept-Encoding") {
	case "":
		req.Header.Set("Accept-Encoding", "identity")
	case "gzip":
		req.Header.Del("Accept-Encoding") // net/http asks for gzip and decompresses
	}
	resp, err := c.http.Do(req)
	if err != nil {
		if resp != nil {
			resp.Body.Close()
		}
		return nil, c.wrap(err, u)
	}
	final := Redact(resp.Request.URL.String())
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		defer resp.Body.Close()
		text, _ := io.ReadAll(io.LimitReader(resp.Body, MaxErrorBodyBytes))
		return nil, &StatusError{URL: final, Code: resp.StatusCode, Body: string(text), Header: resp.Header}
	}
	return &Response{
		StatusCode: resp.StatusCode, Header: resp.Header, Body: resp.Body,
		ContentLength: resp.ContentLength, URL: final,
	}, nil
}

// wrap replaces net/http's error, whose text has the URL with its query, by ours.
func (c *Client) wrap(err error, u *url.URL) error {
	err = c.named(err, u)
	var refused *RefusedError
	if errors.As(err, &refused) {
		return refused
	}
	return fmt.Errorf("getting %s: %w", Redact(u.String()), err)
}

// Result of a Download.
type Result struct {
	Bytes  int64
	SHA256 string // lower-case hex, of what was written
	Header http.Header
	URL    string // as in Response
}

// Download writes the body of a URL to w, at most maxBytes (TooLargeError beyond). A transfer that
// breaks off is resumed, MaxRetries times, with a range request; a server that sends everything again
// must send the same beginning. w gets every byte once.
//
// Errors as Get, and *IncompleteError when the transfer breaks off again and again.
func (c *Client) Download(ctx context.Context, rawURL string, header http.Header, w io.Writer, maxBytes int64) (Result, error) {
	d := &download{client: c, url: rawURL, header: header, w: w, max: maxBytes, sum: sha256.New()}
	for attempt := 0; ; attempt++ {
		done, err := d.try(ctx)
		if done || err != nil && !d.broken(err) {
			return d.result, err
		}
		if attempt == MaxRetries || ctx.Err() != nil {
			return d.result, err
		}
		if err := c.wait(ctx, backoff(attempt)); err != nil {
			return d.result, err
		}
	}
}

type download struct {
	client *Client
	url    string
	header http.Header
	w      io.Writer
	max    int64
	sum    hash.Hash
	result Result
	tag    string // strong ETag of the first answer
}

func (d *download) broken(err error) bool {
	var incomplete *IncompleteError
	return errors.As(err, &incomplete)
}

func (d *download) try(ctx context.Context) (done bool, err error) {
	header := d.header.Clone()
	if header == nil {
		header = http.Header{}
	}
	have := d.result.Bytes
	header.Set("Accept-Encoding", "identity")
	if have > 0 && d.tag != "" {
		header.Set("Range", fmt.Sprintf("bytes=%d-", have))
		header.Set("If-Range", d.tag)
	}
	resp, err := d.client.Get(ctx, d.url, header)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusPartialContent {
		if start, ok := rangeStart(resp.Header.Get("Content-Range")); !ok || start != have || have == 0 {
			return false, fmt.Errorf("getting %s: the server sent another range than was asked for", resp.URL)
		}
	} else {
		if resp.ContentLength > d.max {
			return false, &TooLargeError{URL: resp.URL, MaxBytes: d.max}
		}
		if err := d.skip(resp, have); err != nil {
			return false, err
		}
	}
	d.result.Header, d.result.URL = resp.Header, resp.URL
	if tag := resp.Header.Get("ETag"); !strings.HasPrefix(tag, "W/") {
		d.tag = tag
	}
	out := &writerOnly{w: io.MultiWriter(d.w, d.sum)}
	n, err := io.Copy(out, io.LimitReader(resp.Body, d.max-have+1))
	d.result.Bytes += n
	switch {
	case out.err != nil:
		return false, out.err
	case d.result.Bytes > d.max:
		return false, &TooLargeError{URL: resp.URL, MaxBytes: d.max}
	case err != nil && ctx.Err() != nil:
		return false, ctx.Err()
	case err != nil:
		return false, &IncompleteError{URL: resp.URL, Bytes: d.result.Bytes, Err: err}
	}
	d.result.SHA256 = hex.EncodeToString(d.sum.Sum(nil))
	return true, nil
}

// skip reads over the first n bytes of an answer that starts from the beginning, and sees to it
// that they are those we have.
func (d *download) skip(resp *Response, n int64) error {
	if n == 0 {
		return nil
	}
	again := sha256.New()
	if got, err := io.CopyN(again, resp.Body, n); err != nil {
		return &IncompleteError{URL: resp.URL, Bytes: got, Err: err}
	}
	if hex.EncodeToString(again.Sum(nil)) != hex.EncodeToString(d.sum.Sum(nil)) {
		return fmt.Errorf("getting %s: the file changed while it was downloaded", resp.URL)
	}
	return nil
}

// writerOnly remembers an error of our own side, which no retry cures.
type writerOnly struct {
	w   io.Writer
	err error
}

func (o *writerOnly) Write(p []byte) (int, error) {
	n, err := o.w.Write(p)
	if err != nil {
		o.err = err
	}
	return n, err
}

// rangeStart reads "bytes 100-199/200".
func rangeStart(v string) (int64, bool) {
	v, ok := strings.CutPrefix(v, "bytes ")
	first, _, dash := strings.Cut(v, "-")
	n, err := strconv.ParseInt(first, 10, 64)
	return n, ok && dash && err == nil
}

// Unwrap takes net/http's own wrapping, whose text holds the whole URL, off an error of HTTPClient,
// and says which URL it was about.
func Unwrap(err error, rawURL string) error {
	var refused *RefusedError
	if errors.As(err, &refused) {
		return refused
	}
	var inner *url.Error
	if errors.As(err, &inner) {
		err = inner.Err
	}
	return fmt.Errorf("asking %s: %w", Redact(rawURL), err)
}
