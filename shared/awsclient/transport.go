package awsclient

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
)

// MaxAnswerBytes is more than an answer can be: DynamoDB's are 16 MB of items at most, in base64, with their
// names.
const MaxAnswerBytes = 64 << 20

// WholeAnswers returns a transport that reads each answer to its end before it hands it on. The SDK otherwise
// reads it while it gives the connection back, and now and then (1 to 5 of 1000 calls) takes a call for failed
// that the service has carried out.
//
// Answers to GET are handed on as they come: they may be large (only S3 has them), and asking again changes
// nothing.
func WholeAnswers(base http.RoundTripper) http.RoundTripper { return wholeAnswers{base} }

type wholeAnswers struct{ base http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (t wholeAnswers) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := t.base.RoundTrip(r)
	if err != nil || r.Method == http.MethodGet {
		return res, err
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, MaxAnswerBytes+1))
	if closing := res.Body.Close(); err == nil {
		err = closing
	}
	if err == nil && len(body) > MaxAnswerBytes {
		err = fmt.Errorf("it has more than %d bytes", MaxAnswerBytes)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the answer of %s: %w", r.URL.Host, err)
	}
	res.Body = io.NopCloser(bytes.NewReader(body))
	return res, nil
}
