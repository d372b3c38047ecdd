// Package awstest_test puts requests to the stack that template.yaml deploys, through the gateway's URL: the real
// functions, on an emulator that enforces their roles' policies. make test-aws deploys it.
//
// The emulator does not show: MaximumConcurrency (the event sources are deployed without), the bucket's lifecycle
// rules, layers (the Go layer's files are used where they were built), memory, /tmp and time limits, alarms.
package awstest_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"github.com/cachito-serverless/cachito/shared/client"
	"github.com/cachito-serverless/cachito/shared/request"
)

// atOnce is how many requests are sent together.
const atOnce = 20

// patience is how long a request may take on a busy machine.
const patience = 4 * time.Minute

// The parts share one deployment and follow one another.
func TestStack(t *testing.T) {
	s := deployed(t)
	w := newWorld(t)
	t.Run("status", func(t *testing.T) { testStatus(t, s) })
	t.Run("who calls", func(t *testing.T) { testIdentity(t, s, w) })
	t.Run("a bundle that builds offline", func(t *testing.T) { testBundle(t, s, w) })
	t.Run("a request that fails", func(t *testing.T) { testFailure(t, s, w) })
	t.Run("many requests at once", func(t *testing.T) { testMany(t, s, w) })
	t.Run("the reaper", func(t *testing.T) { testReaper(t, s) })
	t.Run("nothing is left", func(t *testing.T) { testLeftovers(t, s) })
	t.Run("what roles may", func(t *testing.T) { testRoles(t, s) })
}

func testStatus(t *testing.T, s *stack) {
	raw, err := s.client.JSON(t.Context(), "/status")
	if err != nil {
		t.Fatal(err)
	}
	var status struct {
		Services []struct {
			Name   string
			OK     bool
			Reason string
		}
	}
	if err := json.Unmarshal(raw, &status); err != nil || len(status.Services) == 0 {
		t.Fatalf("%v\n%s", err, raw)
	}
	for _, service := range status.Services {
		if !service.OK {
			t.Errorf("%s: %s", service.Name, service.Reason)
		}
	}
}

// order sends a request for a commit and waits for its end.
func (s *stack) order(t *testing.T, w *world, ref string) (client.Request, error) {
	req, err := s.client.Create(t.Context(), client.Order{Repo: w.git.URL("app"), Ref: ref, PackageManagers: &[]string{"gomod", "npm"}})
	if err != nil {
		return client.Request{}, err
	}
	deadline := time.Now().Add(patience)
	for {
		if req, err = s.client.Get(t.Context(), req.ID); err != nil {
			return client.Request{}, err
		}
		if req.State != request.StateInProgress {
			return req, nil
		}
		if time.Now().After(deadline) {
			return req, fmt.Errorf("request %d is %s after %s: %s", req.ID, req.State, patience, req.StateReason)
		}
		time.Sleep(200 * time.Millisecond)
	}
}

func testBundle(t *testing.T, s *stack, w *world) {
	req, err := s.order(t, w, w.commit(0))
	if err != nil || req.State != request.StateComplete {
		t.Fatalf("request %d: got %s, %q, %v, want complete\n%s", req.ID, req.State, req.StateReason, err, s.functionLog(t, req.ID))
	}
	got := map[string]bool{}
	for _, d := range req.Dependencies {
		if d.Version != nil {
			got[d.Type+" "+d.Name+" "+*d.Version] = true
		}
	}
	for _, want := range []string{"gomod example.com/greeting v1.2.3", "npm greeting 1.2.3"} {
		if !got[want] {
			t.Errorf("dependencies: want %s among %v", want, got)
		}
	}

	// As a person fetches it: the API answers with a redirect to a presigned URL, which curl follows.
	route := fmt.Sprintf("%s/api/v1/requests/%d/download", s.outputs["ApiUrl"], req.ID)
	bundle := filepath.Join(t.TempDir(), "bundle.tar.gz")
	credentials, err := s.aws.Credentials.Retrieve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "curl", "-sSfL", "--max-time", "120", "-D", "-", "-o", bundle,
		"--aws-sigv4", "aws:amz:"+s.aws.Region+":execute-api", "--user", credentials.AccessKeyID+":"+credentials.SecretAccessKey, route).Output()
	if err != nil {
		t.Fatalf("curl -L %s: %v", route, failure(err))
	}
	if !strings.Contains(string(out), " 302 ") {
		t.Errorf("the API sent the bundle itself instead of a redirect:\n%s", out)
	}
	checkDigest(t, string(out), bundle)
	buildOffline(t, bundle)

	// The program's log tells of the request, in every function that worked on it; users read the request's own.
	for _, f := range []string{"api", "source", "resolve-gomod", "resolve-npm", "bundle"} {
		needle := fmt.Sprintf(`"cachito_request_id":%d,`, req.ID)
		if f == "api" { // it knows the id only after it made it
			needle = `"requestId":"`
		}
		if s.waitForLog(t, f, needle) == "" {
			t.Errorf("the log of function %s has no line with %s", f, needle)
		}
	}
	var users strings.Builder
	if err := s.client.Logs(t.Context(), req.ID, &users); err != nil {
		t.Errorf("the request's own log: %v", err)
	} else if !strings.Contains(users.String(), "gomod") {
		t.Errorf("the request's own log does not name gomod:\n%s", users.String())
	}
}

// waitForLog waits until a function's log has a line with a text: logs arrive when an invocation has ended.
func (s *stack) waitForLog(t *testing.T, function, text string) string {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		if lines := s.logs(t, function, text); len(lines) > 0 {
			return lines[0]
		}
	}
	return ""
}

// failure adds what a program printed to its error.
func failure(err error) error {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return fmt.Errorf("%w: %s", err, exit.Stderr)
	}
	return err
}

// checkDigest compares a downloaded file with the Digest that the API's answer promised.
func checkDigest(t *testing.T, headers, path string) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		t.Fatal(err)
	}
	want := "sha-256=" + base64.StdEncoding.EncodeToString(sum.Sum(nil))
	for line := range strings.Lines(headers) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		if strings.EqualFold(name, "Digest") {
			if got := strings.TrimSpace(value); got != want {
				t.Errorf("Digest: got %s, want %s", got, want)
			}
			return
		}
	}
	t.Errorf("no Digest among the headers:\n%s", headers)
}

func testFailure(t *testing.T, s *stack, w *world) {
	files := map[string]string{"package-lock.json": strings.ReplaceAll(w.files["package-lock.json"], `"integrity": "sha512-`, `"integrity": "sha512-AAAA`)}
	bad := w.repo.Commit(files)
	defer w.repo.Commit(w.files)
	req, err := s.order(t, w, bad)
	if err != nil {
		t.Fatal(err)
	}
	if req.State != request.StateFailed || !strings.Contains(req.StateReason, "greeting") {
		t.Errorf("a wrong integrity: got %s, %q, want failed and a reason that names the package", req.State, req.StateReason)
	}
	missing, err := s.order(t, w, strings.Repeat("0123456789", 4))
	if err != nil {
		t.Fatal(err)
	}
	if missing.State != request.StateFailed {
		t.Errorf("an unknown commit: got %s, want failed", missing.State)
	}
	resp, err := s.http.Get(fmt.Sprintf("%s/api/v1/requests/%d/download", s.outputs["ApiUrl"], req.ID))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if got, want := resp.StatusCode, http.StatusBadRequest; got != want {
		t.Errorf("downloading a failed request: got %d, want %d", got, want)
	}
}

// testMany sends requests together: one for each commit, and each of the last ones twice.
func testMany(t *testing.T, s *stack, w *world) {
	var refs []string
	for n := range atOnce / 2 {
		refs = append(refs, w.commit(n+1))
	}
	type outcome struct {
		req client.Request
		err error
		sum string
	}
	outcomes := make([]outcome, atOnce)
	var wg sync.WaitGroup
	for i := range outcomes {
		wg.Go(func() {
			o := &outcomes[i]
			if o.req, o.err = s.order(t, w, refs[i%len(refs)]); o.err == nil && o.req.State == request.StateComplete {
				d, err := s.client.Download(t.Context(), o.req.ID, filepath.Join(t.TempDir(), "bundle"))
				o.sum, o.err = d.SHA256, err
				if err == nil && !d.Verified {
					o.err = errors.New("the download had no Digest")
				}
			}
		})
	}
	wg.Wait()
	ids := map[int64]bool{}
	for i, o := range outcomes {
		if o.err != nil || o.req.State != request.StateComplete {
			t.Errorf("request %d: got %s, %q, %v, want complete\n%s", o.req.ID, o.req.State, o.req.StateReason, o.err, s.functionLog(t, o.req.ID))
			continue
		}
		if ids[o.req.ID] {
			t.Errorf("id %d was given twice", o.req.ID)
		}
		ids[o.req.ID] = true
		if twin := outcomes[i%len(refs)]; o.sum != twin.sum {
			t.Errorf("requests %d and %d are for the same commit, and their bundles differ: %s and %s", o.req.ID, twin.req.ID, o.sum, twin.sum)
		}
		if other := outcomes[(i+1)%len(refs)]; o.sum == other.sum {
			t.Errorf("requests %d and %d are for different commits, and their bundles are the same", o.req.ID, other.req.ID)
		}
	}
}

func testReaper(t *testing.T, s *stack) {
	event := []byte(`{"version": "0", "id": "1", "detail-type": "Scheduled Event", "source": "aws.events", "time": "2026-01-02T03:04:05Z", "resources": [], "detail": {}}`)
	answer := s.call(t, "lambda", http.MethodPost, "/2015-03-31/functions/"+stackName+"-reaper/invocations", "", event)
	if strings.Contains(string(answer), "errorMessage") {
		t.Errorf("the reaper failed: %s\n%s", answer, strings.Join(s.logs(t, "reaper", "ERROR"), "\n"))
	}
}

// testLeftovers: no message waits anywhere, and no upload is unfinished.
func testLeftovers(t *testing.T, s *stack) {
	queues, err := s.sqs.ListQueues(t.Context(), &sqs.ListQueuesInput{QueueNamePrefix: aws.String(stackName + "-")})
	if err != nil || len(queues.QueueUrls) < 4 {
		t.Fatalf("queues: got %v, %v", queues, err)
	}
	names := []types.QueueAttributeName{
		types.QueueAttributeNameApproximateNumberOfMessages, types.QueueAttributeNameApproximateNumberOfMessagesNotVisible,
		types.QueueAttributeNameApproximateNumberOfMessagesDelayed,
	}
	for _, queue := range queues.QueueUrls {
		// The last messages are deleted just after their requests are complete.
		for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(200 * time.Millisecond) {
			out, err := s.sqs.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: &queue, AttributeNames: names})
			if err != nil {
				t.Fatal(err)
			}
			left := 0
			for _, name := range names {
				if out.Attributes[string(name)] != "0" {
					left++
				}
			}
			if left == 0 {
				break
			}
			if time.Now().After(deadline) {
				t.Errorf("%s still has messages: %v", queue, out.Attributes)
				break
			}
		}
	}
	uploads, err := s.s3.ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{Bucket: aws.String(s.outputs["BucketName"])})
	if err != nil || len(uploads.Uploads) > 0 {
		t.Errorf("unfinished uploads: got %+v, %v", uploads, err)
	}
}

// testRoles acts in the functions' roles. That something is denied also shows that the emulator looks at all.
func testRoles(t *testing.T, s *stack) {
	const denied, allowed = false, true
	for _, test := range []struct {
		function, key string
		want          bool
	}{
		{"api", "configfiles/test", allowed},
		{"api", "bundles/test", denied},
		{"api", "deps/test", denied},
		{"source", "sources/test", allowed},
		{"source", "bundles/test", denied},
		{"resolve-npm", "deps/test", allowed},
		{"resolve-npm", "results/npm/test", allowed},
		{"resolve-npm", "results/gomod/test", denied},
		{"resolve-npm", "bundles/test", denied},
		{"bundle", "bundles/test", allowed},
		{"bundle", "results/npm/test", denied},
		{"reaper", "bundles/test", denied},
	} {
		t.Run(test.function+" writes "+test.key, func(t *testing.T) {
			_, err := s.as(t, test.function).PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String(s.outputs["BucketName"]), Key: &test.key, Body: strings.NewReader("x")})
			if got := isAllowed(t, err); got != test.want {
				t.Errorf("allowed: got %v, want %v", got, test.want)
			}
			if _, err := s.s3.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: aws.String(s.outputs["BucketName"]), Key: &test.key}); err != nil {
				t.Fatal(err)
			}
		})
	}
	for function, want := range map[string]bool{"api": denied, "source": allowed, "resolve-npm": allowed, "bundle": allowed, "reaper": allowed} {
		t.Run(function+" deletes", func(t *testing.T) {
			_, err := s.as(t, function).DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: aws.String(s.outputs["BucketName"]), Key: aws.String("deps/test")})
			if got := isAllowed(t, err); got != want {
				t.Errorf("allowed: got %v, want %v", got, want)
			}
		})
	}
}

// as is the bucket's client in a function's role.
func (s *stack) as(t *testing.T, function string) *s3.Client {
	t.Helper()
	cfg := s.aws.Copy()
	cfg.Credentials = stscreds.NewAssumeRoleProvider(sts.NewFromConfig(s.aws), s.role(t, function))
	return s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = true })
}

// isAllowed tells a refusal by IAM from an answer.
func isAllowed(t *testing.T, err error) bool {
	t.Helper()
	var api smithy.APIError
	if err != nil && (!errors.As(err, &api) || api.ErrorCode() != "AccessDenied") {
		t.Fatal(err)
	}
	return err == nil
}
