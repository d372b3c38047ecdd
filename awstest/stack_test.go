package awstest_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/cachito-serverless/cachito/shared/awsclient"
	"github.com/cachito-serverless/cachito/shared/client"
)

// stackName is the one that localstack/deploy gives.
const stackName = "cachito"

// maxAnswerBytes bounds what is read of an answer.
const maxAnswerBytes = 16 << 20

// stack is what was deployed.
type stack struct {
	outputs map[string]string // of template.yaml
	plain   *http.Client      // finds the gateway
	http    *http.Client      // and signs, as the account's own user
	client  *client.Client
	aws     aws.Config
	s3      *s3.Client
	sqs     *sqs.Client
}

// deployed is the stack that make test-aws has deployed. Without one the test is skipped.
func deployed(t *testing.T) *stack {
	t.Helper()
	path := os.Getenv("CACHITO_TEST_STACK_OUTPUTS")
	if path == "" {
		t.Skip("CACHITO_TEST_STACK_OUTPUTS is not set: run make test-aws")
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var list []struct{ OutputKey, OutputValue string }
	if err := json.Unmarshal(data, &list); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	s := &stack{outputs: map[string]string{}}
	for _, o := range list {
		s.outputs[o.OutputKey] = o.OutputValue
	}
	endpoint, err := url.Parse(os.Getenv("AWS_ENDPOINT_URL"))
	if err != nil || endpoint.Host == "" {
		t.Fatalf("AWS_ENDPOINT_URL: got %q", os.Getenv("AWS_ENDPOINT_URL"))
	}
	// The gateway's host is a name below localhost, which not every machine's resolver knows.
	dialer := &net.Dialer{Timeout: 10 * time.Second}
	transport := &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, network, endpoint.Host)
		},
	}
	s.plain = &http.Client{Timeout: time.Minute, Transport: transport}
	s.http = &http.Client{Timeout: time.Minute, Transport: signing{s, transport}}
	if s.client, err = client.New(s.outputs["ApiUrl"], s.http); err != nil {
		t.Fatalf("output ApiUrl: %v", err)
	}
	if s.aws, err = awsclient.Load(t.Context(), awsclient.Settings{}); err != nil {
		t.Fatal(err)
	}
	s.s3 = s3.NewFromConfig(s.aws, func(o *s3.Options) { o.UsePathStyle = true })
	s.sqs = sqs.NewFromConfig(s.aws)
	return s
}

// sign adds the signature of a call to a service.
func (s *stack) sign(r *http.Request, service string, body []byte) error {
	credentials, err := s.aws.Credentials.Retrieve(r.Context())
	if err != nil {
		return err
	}
	sum := sha256.Sum256(body)
	return v4.NewSigner().SignHTTP(r.Context(), credentials, r, hex.EncodeToString(sum[:]), service, s.aws.Region, time.Now())
}

// signing signs calls of the gateway, and nothing else: a presigned URL has its signature.
type signing struct {
	s    *stack
	next http.RoundTripper
}

func (t signing) RoundTrip(r *http.Request) (*http.Response, error) {
	if !strings.Contains(r.URL.Host, ".execute-api.") {
		return t.next.RoundTrip(r)
	}
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(io.LimitReader(r.Body, maxAnswerBytes)); err != nil {
			return nil, err
		}
		r.Body.Close()
	}
	signed := r.Clone(r.Context())
	signed.Body = io.NopCloser(bytes.NewReader(body))
	if err := t.s.sign(signed, "execute-api", body); err != nil {
		return nil, err
	}
	return t.next.RoundTrip(signed)
}

// call sends a signed call to a service for which the product has no client, and returns its answer.
func (s *stack) call(t *testing.T, service, method, path, target string, body []byte) []byte {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, os.Getenv("AWS_ENDPOINT_URL")+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if target != "" {
		r.Header.Set("X-Amz-Target", target)
		r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	}
	if err := s.sign(r, service, body); err != nil {
		t.Fatal(err)
	}
	resp, err := s.plain.Do(r)
	if err != nil {
		t.Fatalf("%s %s %s: %v", service, method, path, err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes))
	if err != nil || resp.StatusCode >= 300 {
		t.Fatalf("%s %s %s%s: %s %v\n%s", service, method, path, target, resp.Status, err, answer)
	}
	return answer
}

// logs are the messages of a function's log that contain a text.
func (s *stack) logs(t *testing.T, function, text string) []string {
	t.Helper()
	var found []string
	token := ""
	for {
		body, err := json.Marshal(map[string]any{"logGroupName": "/aws/lambda/" + stackName + "-" + function})
		if err == nil && token != "" {
			body, err = json.Marshal(map[string]any{"logGroupName": "/aws/lambda/" + stackName + "-" + function, "nextToken": token})
		}
		if err != nil {
			t.Fatal(err)
		}
		var page struct {
			Events    []struct{ Message string }
			NextToken string
		}
		if err := json.Unmarshal(s.call(t, "logs", http.MethodPost, "/", "Logs_20140328.FilterLogEvents", body), &page); err != nil {
			t.Fatal(err)
		}
		for _, e := range page.Events {
			if strings.Contains(e.Message, text) {
				found = append(found, e.Message)
			}
		}
		if token = page.NextToken; token == "" {
			return found
		}
	}
}

// role is the ARN of a function's role.
func (s *stack) role(t *testing.T, function string) string {
	t.Helper()
	var configuration struct{ Role string }
	answer := s.call(t, "lambda", http.MethodGet, "/2015-03-31/functions/"+stackName+"-"+function+"/configuration", "", nil)
	if err := json.Unmarshal(answer, &configuration); err != nil || configuration.Role == "" {
		t.Fatalf("function %s has no role: %v\n%s", function, err, answer)
	}
	return configuration.Role
}

// functionLog is what a function says of a request, for failures.
func (s *stack) functionLog(t *testing.T, id int64) string {
	t.Helper()
	var b strings.Builder
	for _, f := range []string{"source", "resolve-gomod", "resolve-npm", "bundle"} {
		for _, m := range s.logs(t, f, fmt.Sprintf(`"cachito_request_id":%d,`, id)) {
			fmt.Fprintf(&b, "%s: %.2000s\n", f, m)
		}
	}
	return b.String()
}
