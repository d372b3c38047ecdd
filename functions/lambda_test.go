// Package functions_test runs each function's real binary under Lambda's Runtime Interface Emulator, over the
// adapters for AWS. All but one test run in make test-aws.
package functions_test

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/function/functiontest"
	"github.com/cachito-serverless/cachito/shared/packages"
	"github.com/cachito-serverless/cachito/shared/pipeline"
	"github.com/cachito-serverless/cachito/shared/queue"
	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/store"
)

const (
	// apiZipBytes is how large the API's package may be. Lambda loads it at every cold start.
	apiZipBytes = 15 << 20
	// coldStart is how long the first answer may take, and slower how much longer on a machine that is busy
	// with other tests.
	coldStart = 100 * time.Millisecond
	slower    = 3
	// apiLimit is the API's time for an event in template.yaml.
	apiLimit = 30 * time.Second
	// lambdaAnswer is the largest answer that Lambda takes.
	lambdaAnswer = 6 << 20
)

// mainLines is how long a function's program may be: it wires, and nothing else.
const mainLines = 60

// TestMainsAreThin: each function is one short file.
func TestMainsAreThin(t *testing.T) {
	files, err := filepath.Glob("*/*.go")
	must(t, err)
	var want []string
	for _, name := range names {
		want = append(want, filepath.Join(name, "main.go"))
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, files); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		must(t, err)
		if n := bytes.Count(content, []byte("\n")); n >= mainLines {
			t.Errorf("%s has %d lines, want less than %d", file, n, mainLines)
		}
	}
}

// TestSizes: what Lambda has to load.
func TestSizes(t *testing.T) {
	newPlace(t) // skips
	for _, name := range names {
		f, err := os.Open(bootstrap(t, name))
		must(t, err)
		defer f.Close()
		var size countingWriter
		archive := zip.NewWriter(&size)
		archive.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, flate.DefaultCompression) })
		w, err := archive.Create("bootstrap")
		must(t, err)
		plain, err := io.Copy(w, f)
		must(t, err)
		must(t, archive.Close())
		t.Logf("%-8s %5.1f MB, zipped %5.1f MB", name, float64(plain)/(1<<20), float64(size)/(1<<20))
		if name == "api" && size > apiZipBytes {
			t.Errorf("the API's package has %d bytes, more than %d: look at what it imports", size, apiZipBytes)
		}
	}
}

type countingWriter int64

func (c *countingWriter) Write(p []byte) (int, error) {
	*c += countingWriter(len(p))
	return len(p), nil
}

// TestColdStart: from the first event to its answer, which needs the database; the process starts in between.
func TestColdStart(t *testing.T) {
	p := newPlace(t)
	p.create(t)
	var took []time.Duration
	for range 7 {
		f := p.start(t, "api", apiLimit)
		started := time.Now()
		var answer events.APIGatewayV2HTTPResponse
		f.into(&answer, functiontest.Call("GET", "/api/v1/requests/1", ""))
		took = append(took, time.Since(started))
		if answer.StatusCode != http.StatusOK || !strings.Contains(answer.Body, p.Ref) {
			t.Fatalf("answer: %+v", answer)
		}
		f.stop()
	}
	slices.Sort(took)
	t.Logf("cold start of the API to its first answer: best %s, median %s", took[0].Round(time.Millisecond), took[len(took)/2].Round(time.Millisecond))
	if took[0] > slower*coldStart {
		t.Errorf("the best of %d took %s: %s are meant, %d times as much is allowed here", len(took), took[0], coldStart, slower)
	}
}

// create stores a request and sends its first message, by the API's function.
func (p *place) create(t *testing.T) {
	t.Helper()
	var answer events.APIGatewayV2HTTPResponse
	p.start(t, "api", apiLimit).into(&answer, functiontest.Call("POST", "/api/v1/requests",
		fmt.Sprintf(`{"repo": %q, "ref": %q, "pkg_managers": ["npm"]}`, p.URL, p.Ref), "content-type", "application/json"))
	if answer.StatusCode != http.StatusCreated {
		t.Fatalf("creating a request: %+v", answer)
	}
}

// receive takes a message out of its queue, as an event source does.
func (p *place) receive(t *testing.T, step string) events.SQSEvent {
	t.Helper()
	d, err := p.home.Queue.Receive(t.Context(), step, pipeline.Visibility, 5*time.Second)
	if err != nil {
		t.Fatalf("receiving from %s: %v", step, err)
	}
	return events.SQSEvent{Records: []events.SQSMessage{functiontest.Record(p.prefix, d)}}
}

// step has a function run the next message of a step, and checks that it stays in no queue.
func (p *place) step(t *testing.T, f *running, step string) {
	t.Helper()
	var out events.SQSEventResponse
	f.into(&out, p.receive(t, step))
	if len(out.BatchItemFailures) > 0 {
		t.Fatalf("step %s is to be tried again\n%s", step, f.output)
	}
}

func (p *place) request(t *testing.T) request.Request {
	t.Helper()
	req, err := p.home.Store.Get(t.Context(), 1)
	must(t, err)
	return req
}

// TestWholeRequest: a request goes through all functions, and its bundle to the client.
func TestWholeRequest(t *testing.T) {
	p := newPlace(t)
	p.create(t)
	p.step(t, p.start(t, "source", 20*time.Second), "source")
	p.step(t, p.start(t, "resolve", 20*time.Second), "resolve-npm")
	p.step(t, p.start(t, "bundle", 20*time.Second), "bundle")
	if req := p.request(t); req.State != request.StateComplete {
		t.Fatalf("request: %s, %s", req.State, req.StateReason)
	}
	api := p.start(t, "api", apiLimit)
	var answer events.APIGatewayV2HTTPResponse
	api.into(&answer, functiontest.Call("GET", "/api/v1/requests/1/download", ""))
	bundle, err := base64.StdEncoding.DecodeString(answer.Body)
	must(t, err)
	sum := sha256.Sum256(bundle)
	if want := "sha-256=" + base64.StdEncoding.EncodeToString(sum[:]); !answer.IsBase64Encoded || answer.Headers["Digest"] != want {
		t.Errorf("download: %d bytes, digest %s, want %s", len(bundle), answer.Headers["Digest"], want)
	}
	answer = events.APIGatewayV2HTTPResponse{}
	api.into(&answer, functiontest.Call("GET", "/requests/1", ""))
	if answer.StatusCode != http.StatusOK || !strings.HasPrefix(answer.Headers["Content-Type"], "text/html") {
		t.Errorf("page: %d, %v", answer.StatusCode, answer.Headers)
	}
	reaper := p.start(t, "reaper", 20*time.Second)
	if got := reaper.invoke(map[string]any{"source": "aws.scheduler", "detail-type": "Scheduled Event"}); strings.TrimSpace(string(got)) != "null" {
		t.Errorf("reaper: %.500s\n%s", got, reaper.output)
	}
}

// TestSixMegabytes: answers and bundles that Lambda cannot carry reach the client all the same.
func TestSixMegabytes(t *testing.T) {
	p := newPlace(t)
	p.create(t)
	var list packages.Data
	list.Packages = []packages.Package{{Name: "hello", Type: "npm", Version: new("1")}}
	for i := range 80_000 {
		sum := sha256.Sum256([]byte{byte(i), byte(i >> 8), byte(i >> 16)})
		list.Packages[0].Dependencies = append(list.Packages[0].Dependencies, packages.Dependency{Name: hex.EncodeToString(sum[:]), Type: "npm", Version: new("1"), Dev: new(false)})
	}
	list.Sort()
	var data bytes.Buffer
	must(t, packages.Encode(&data, list))
	bundle := bytes.Repeat([]byte("not really a bundle\n"), lambdaAnswer/16)
	sum := sha256.Sum256(bundle)
	b := request.Bundle{Key: "bundles/x/bundle.tar.gz", SHA256: hex.EncodeToString(sum[:]), Size: int64(len(bundle))}
	for key, content := range map[string][]byte{"bundles/x/packages.json": data.Bytes(), b.Key: bundle, b.Key + ".sha256": []byte(b.SHA256)} {
		must(t, p.home.Blobs.Put(t.Context(), key, content, true))
	}
	_, err := p.home.Store.Update(t.Context(), 1, store.Update{State: request.StateComplete, Reason: "Completed successfully", PackagesKey: new("bundles/x/packages.json"), Bundle: &b})
	must(t, err)

	api := p.start(t, "api", apiLimit)
	for _, tt := range []struct {
		name, path, encoding string
		want                 []byte // nil: packages
	}{
		{"plain text becomes an object", "/api/v1/requests/1/packages", "", nil},
		{"packed text", "/api/v1/requests/1/packages", "gzip", nil},
		{"a bundle", "/api/v1/requests/1/download", "", bundle},
	} {
		t.Run(tt.name, func(t *testing.T) {
			raw := api.invoke(functiontest.Call("GET", tt.path, "", "accept-encoding", tt.encoding))
			if len(raw) > lambdaAnswer {
				t.Fatalf("Lambda would not take %d bytes", len(raw))
			}
			var answer events.APIGatewayV2HTTPResponse
			must(t, json.Unmarshal(raw, &answer))
			content := received(t, answer)
			if tt.want != nil {
				if !bytes.Equal(content, tt.want) {
					t.Errorf("%d bytes, want %d", len(content), len(tt.want))
				}
				return
			}
			var got struct{ Dependencies []any }
			if err := json.Unmarshal(content, &got); err != nil || len(got.Dependencies) != len(list.Packages[0].Dependencies) || len(content) < lambdaAnswer {
				t.Errorf("%d bytes with %d dependencies: %v", len(content), len(got.Dependencies), err)
			}
		})
	}
}

// received is what a client has in the end, who follows redirects and unpacks.
func received(t *testing.T, answer events.APIGatewayV2HTTPResponse) []byte {
	t.Helper()
	var body io.Reader = strings.NewReader(answer.Body)
	if answer.IsBase64Encoded {
		body = base64.NewDecoder(base64.StdEncoding, body)
	}
	encoding := answer.Headers["Content-Encoding"]
	switch answer.StatusCode {
	case http.StatusOK:
	case http.StatusFound:
		resp, err := http.Get(answer.Headers["Location"])
		must(t, err)
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Fatalf("GET %s: %s", answer.Headers["Location"], resp.Status)
		}
		body, encoding = resp.Body, "" // net/http unpacks
	default:
		t.Fatalf("answer: %d %.500s", answer.StatusCode, answer.Body)
	}
	if encoding == "gzip" {
		z, err := gzip.NewReader(body)
		must(t, err)
		body = z
	}
	content, err := io.ReadAll(body)
	must(t, err)
	return content
}

// TestTimeLimit: a step that does not get done hands itself back before Lambda ends the function, again and
// again only as long as it gets further.
func TestTimeLimit(t *testing.T) {
	p := newPlace(t)
	p.create(t)
	p.step(t, p.start(t, "source", 20*time.Second), "source")
	never := make(chan struct{})
	defer close(never)
	p.Answer(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-never:
		case <-r.Context().Done():
		}
	})
	const limit = 4 * time.Second
	resolve := p.start(t, "resolve", limit)
	for run := 1; p.request(t).State == request.StateInProgress; run++ {
		if run > pipeline.MaxIdleRuns {
			t.Fatalf("it still goes on after %d runs without progress", run)
		}
		e := p.receive(t, "resolve-npm")
		if got := e.Records[0].Attributes["ApproximateReceiveCount"]; got != "1" {
			t.Errorf("run %d used up receives: %s", run, got)
		}
		started := time.Now()
		var out events.SQSEventResponse
		resolve.into(&out, e)
		if d := time.Since(started); d > limit || d < limit/4 {
			t.Errorf("run %d took %s of %s", run, d, limit)
		}
		if len(out.BatchItemFailures) > 0 {
			t.Errorf("run %d was not handed back: %v", run, out)
		}
	}
	if req := p.request(t); req.State != request.StateFailed || !strings.Contains(req.StateReason, "reached its time limit") {
		t.Errorf("request: %s, %s", req.State, req.StateReason)
	}
}

// TestCrash: a function that is killed, or does not come to its end in time, answers nothing; its message comes
// again, and the next process begins with an empty /tmp and ends the step.
func TestCrash(t *testing.T) {
	for name, signal := range map[string]syscall.Signal{"killed": syscall.SIGKILL, "frozen until Lambda ends it": syscall.SIGSTOP} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			p.create(t)
			p.step(t, p.start(t, "source", 20*time.Second), "source")
			resolve := p.start(t, "resolve", 5*time.Second)
			stopped := make(chan int, 1)
			var once sync.Once
			p.Answer(func(_ http.ResponseWriter, r *http.Request) {
				once.Do(func() {
					pids := resolve.functions()
					for _, pid := range pids {
						syscall.Kill(pid, signal)
					}
					stopped <- len(pids)
				})
				<-r.Context().Done()
			})
			e := p.receive(t, "resolve-npm")
			if got := resolve.invoke(e); bytes.Contains(got, []byte("batchItemFailures")) {
				t.Errorf("the answer of a process that cannot answer: %.500s", got)
			}
			if n := <-stopped; n != 1 {
				t.Fatalf("%d processes were stopped", n)
			}
			if got := p.folders(t, resolve); len(got) != 1 {
				t.Errorf("the process left %v", got)
			}
			p.Answer(nil)
			// The visibility timeout is over sooner here than on AWS.
			must(t, p.home.Queue.Extend(t.Context(), queue.Delivery{
				Message: queue.Message{RequestID: 1, Step: "resolve-npm"}, Receipt: e.Records[0].ReceiptHandle,
			}, 0))
			p.step(t, resolve, "resolve-npm")
			if got := p.request(t).Steps["resolve-npm"].State; got != request.StepDone {
				t.Errorf("step: %s", got)
			}
			if got := p.folders(t, resolve); len(got) != 1 {
				t.Errorf("/tmp after the second start: %v", got)
			}
		})
	}
}

// folders are what functions keep in their /tmp.
func (p *place) folders(t *testing.T, f *running) []string {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(f.temp, "cachito-function-*"))
	must(t, err)
	return list
}

// TestColdStartRefused: a function that cannot start says which setting is wrong.
func TestColdStartRefused(t *testing.T) {
	for name, change := range map[string]map[string]string{
		"CACHITO_BUCKET is not set":       {"CACHITO_BUCKET": ""},
		"CACHITO_MAX_PER_PAGE: want":      {"CACHITO_MAX_PER_PAGE": "many"},
		"CACHITO_NETRC: reading secret x": {"CACHITO_NETRC": "secret:x"},
		"CACHITO_DOWNLOAD: functions":     {"CACHITO_DOWNLOAD": "stream"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			for setting, value := range change {
				p.settings[setting] = value
			}
			f := p.start(t, "api", 10*time.Second)
			if got := f.invoke(functiontest.Call("GET", "/", "")); bytes.Contains(got, []byte("statusCode")) {
				t.Errorf("it answers: %.300s", got)
			}
			if !strings.Contains(f.output.String(), name) {
				t.Errorf("the log does not tell: %s", f.output)
			}
		})
	}
}
