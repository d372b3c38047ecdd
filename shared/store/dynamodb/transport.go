package dynamodb

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
)

// maxAnswerBytes is more than an answer can be: 16 MB of items, in base64, with their names.
const maxAnswerBytes = 64 << 20

// WholeAnswers returns a transport for the client that New takes. It reads each answer to its end before it
// hands it on. The SDK otherwise reads it while it gives the connection back, and now and then takes a call
// for failed whose answer had come.
func WholeAnswers(base http.RoundTripper) http.RoundTripper { return wholeAnswers{base} }

type wholeAnswers struct{ base http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (t wholeAnswers) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := t.base.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswerBytes+1))
	if closing := res.Body.Close(); err == nil {
		err = closing
	}
	if err == nil && len(body) > maxAnswerBytes {
		err = fmt.Errorf("more than %d bytes", maxAnswerBytes)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the answer of %s: %w", r.URL.Host, err)
	}
	res.Body = io.NopCloser(bytes.NewReader(body))
	return res, nil
}
