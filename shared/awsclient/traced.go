package awsclient

import (
	"net/http"
	"strings"

	"github.com/cachito-serverless/cachito/shared/telemetry"
)

// Traced returns a transport that makes a span of each call whose context makes spans. A call that the SDK sends
// again is another span.
func Traced(base http.RoundTripper) http.RoundTripper { return traced{base} }

type traced struct{ base http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (t traced) RoundTrip(r *http.Request) (*http.Response, error) {
	_, span := telemetry.Start(r.Context(), "aws", telemetry.Client)
	if !span.On() {
		return t.base.RoundTrip(r)
	}
	defer span.End()
	service, operation := called(r)
	span.Name(service + " " + operation)
	span.Text("rpc.system", "aws-api")
	span.Text("rpc.service", service)
	span.Text("rpc.method", operation)
	res, err := t.base.RoundTrip(r)
	if err != nil {
		span.Fail("no answer")
		return res, err
	}
	span.Number("http.response.status_code", int64(res.StatusCode))
	if res.StatusCode >= http.StatusInternalServerError || res.StatusCode == http.StatusTooManyRequests {
		span.Fail(http.StatusText(res.StatusCode))
	}
	return res, nil
}

// called is the service that the signature is for, and the operation: X-Amz-Target names it
// ("DynamoDB_20120810.GetItem"), or the end of the path in the protocol that CloudWatch speaks; S3 has the
// method.
func called(r *http.Request) (service, operation string) {
	service = "unknown"
	// AWS4-HMAC-SHA256 Credential=<key>/<date>/<region>/<service>/aws4_request, ...
	_, scope, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=")
	if parts := strings.Split(scope, "/"); len(parts) > 3 {
		service = parts[3]
	}
	if _, operation, ok := strings.Cut(r.Header.Get("X-Amz-Target"), "."); ok {
		return service, operation
	}
	if _, operation, ok := strings.Cut(r.URL.Path, "/operation/"); ok {
		return service, operation
	}
	return service, r.Method
}
