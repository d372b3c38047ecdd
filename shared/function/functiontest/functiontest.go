// Package functiontest gives tests of the functions what surrounds them: a repository with one locked dependency,
// the registry that has it, and Lambda's events.
package functiontest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/cachito-serverless/cachito/shared/gitrepo/gitrepotest"
	"github.com/cachito-serverless/cachito/shared/queue"
)

// Upstream is where requests lead: a git server and an npm registry on loopback, gone after the test.
type Upstream struct {
	git      *gitrepotest.Server
	registry *httptest.Server
	answer   atomic.Pointer[http.HandlerFunc]

	// URL of a repository with an npm project, and its commit, which is always the same.
	URL, Ref string
}

// Dependency is what the project's lock file names, and its version.
const Dependency, Version = "left-pad", "1.3.0"

// NewUpstream serves the repository and its dependency.
func NewUpstream(t testing.TB) *Upstream {
	t.Helper()
	u := &Upstream{git: gitrepotest.NewServer(t)}
	tarball := pack(map[string]string{
		"package/package.json": fmt.Sprintf(`{"name":%q,"version":%q}`, Dependency, Version),
		"package/index.js":     "module.exports = 1\n",
	})
	u.registry = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if answer := u.answer.Load(); answer != nil {
			(*answer)(w, r)
			return
		}
		if r.URL.Path != fmt.Sprintf("/%s/-/%s-%s.tgz", Dependency, Dependency, Version) {
			http.NotFound(w, r)
			return
		}
		w.Write(tarball)
	}))
	t.Cleanup(u.registry.Close)
	sum := sha512.Sum512(tarball)
	u.Ref = u.git.Init("team/hello").Commit(map[string]string{
		"package.json": fmt.Sprintf(`{"name":"hello","version":"1.0.0","dependencies":{%q:%q}}`, Dependency, Version),
		"package-lock.json": fmt.Sprintf(`{"name":"hello","version":"1.0.0","lockfileVersion":3,"requires":true,"packages":{`+
			`"":{"name":"hello","version":"1.0.0","dependencies":{%q:%q}},`+
			`"node_modules/%s":{"version":%q,"resolved":"https://registry.npmjs.org/%s/-/%s-%s.tgz","integrity":"sha512-%s"}}}`,
			Dependency, Version, Dependency, Version, Dependency, Dependency, Version, base64.StdEncoding.EncodeToString(sum[:])),
		"index.js": "require('left-pad')\n",
	})
	u.URL = publicGit + "team/hello.git"
	return u
}

// Answer makes the registry answer otherwise; nil: as it should.
func (u *Upstream) Answer(f http.HandlerFunc) {
	if f == nil {
		u.answer.Store(nil)
		return
	}
	u.answer.Store(&f)
}

// publicGit is where the repositories seem to be, so that requests for them are always the same.
const publicGit = "https://git.example/"

// Settings lead a function here.
func (u *Upstream) Settings() map[string]string {
	registry := strings.TrimPrefix(u.registry.URL, "http://")
	return map[string]string{
		"CACHITO_ALLOW_HOSTS":  u.git.Host() + "," + registry,
		"CACHITO_MIRRORS":      publicGit + "=http://" + u.git.Host() + "/",
		"CACHITO_NPM_REGISTRY": u.registry.URL + "/",
	}
}

func pack(files map[string]string) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	t := tar.NewWriter(z)
	for _, name := range []string{"package/package.json", "package/index.js"} {
		must(t.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(files[name]))}))
		_, err := io.WriteString(t, files[name])
		must(err)
	}
	must(t.Close())
	must(z.Close())
	return b.Bytes()
}

func must(err error) {
	if err != nil {
		panic(err) // of a buffer: never
	}
}

// Record is a delivery as an event of SQS has it, from the queue of its step.
func Record(prefix string, d queue.Delivery) events.SQSMessage {
	return events.SQSMessage{
		MessageId:     "059f36b4-87a3-44ab-83d2-661975830a7d",
		ReceiptHandle: d.Receipt,
		Body:          fmt.Sprintf(`{"request_id":%d,"step":%q}`, d.RequestID, d.Step),
		Attributes: map[string]string{
			"ApproximateReceiveCount":          strconv.Itoa(d.ReceiveCount),
			"SentTimestamp":                    strconv.FormatInt(d.SentAt.UnixMilli(), 10),
			"SenderId":                         "AIDAIENQZJOLO23YVJ4VO",
			"ApproximateFirstReceiveTimestamp": strconv.FormatInt(time.Now().UnixMilli(), 10),
		},
		EventSource:    "aws:sqs",
		EventSourceARN: "arn:aws:sqs:us-east-1:111122223333:" + prefix + "-" + d.Step,
		AWSRegion:      "us-east-1",
	}
}

// Call is a call as an HTTP API's event has it; headers are names and values by turns.
func Call(method, path, body string, headers ...string) events.APIGatewayV2HTTPRequest {
	e := events.APIGatewayV2HTTPRequest{Version: "2.0", RouteKey: "$default", Body: body, Headers: map[string]string{"host": "cachito.example"}}
	e.RawPath, e.RawQueryString, _ = strings.Cut(path, "?")
	for i := 0; i+1 < len(headers); i += 2 {
		e.Headers[strings.ToLower(headers[i])] = headers[i+1]
	}
	e.RequestContext.Stage, e.RequestContext.DomainName = "$default", "cachito.example"
	e.RequestContext.HTTP.Method, e.RequestContext.HTTP.Path, e.RequestContext.HTTP.SourceIP = method, e.RawPath, "203.0.113.7"
	return e
}
