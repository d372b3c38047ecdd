package s3

import (
	"context"
	"crypto/rand"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/cachito-serverless/cachito/shared/awsclient/awsclienttest"
	"github.com/cachito-serverless/cachito/shared/blob"
	"github.com/cachito-serverless/cachito/shared/blob/blobtest"
)

// server is an S3 of the tests.
type server struct {
	name, variable, key, secret string
	run                         func(t *testing.T, open func(t *testing.T) blob.Blob)
}

var (
	ministack = server{"ministack", "AWS_ENDPOINT_URL", "test", "test", blobtest.Run}
	// versitygw checks signatures, checksums and the sizes of parts. It keeps keys as paths.
	versitygw = server{"versitygw", "CACHITO_TEST_VERSITYGW_URL", "cachito", "cachito-secret", blobtest.RunPlainKeys}
)

var servers = []server{ministack, versitygw}

// config is the configuration for a server.
func (s server) config(t testing.TB, transport http.RoundTripper) aws.Config {
	return awsclienttest.Config(awsclienttest.Endpoint(t, s.variable), s.key, s.secret, transport)
}

// open makes a bucket that is emptied and gone after the test. What is left of uploads fails the test, unless
// the network may have lost the answer that told of them.
func (s server) open(t testing.TB, transport http.RoundTripper, opts ...Option) *Blob {
	t.Helper()
	sure := New(s.config(t, nil), "cachito-"+strings.ToLower(rand.Text()))
	if _, err := sure.client.CreateBucket(t.Context(), &sdk.CreateBucketInput{Bucket: &sure.bucket}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx := context.Background()
		for _, id := range sure.uploads(t) {
			if transport == nil {
				t.Errorf("unfinished upload left: %s", id)
			}
		}
		for info, err := range sure.list(ctx, "", "") {
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasPrefix(info.Key, TemporaryPrefix) {
				t.Errorf("temporary object left: %s", info.Key)
			}
			key := info.Key
			if _, err := sure.client.DeleteObject(ctx, &sdk.DeleteObjectInput{Bucket: &sure.bucket, Key: &key}); err != nil {
				t.Error(err)
			}
		}
		for info, err := range sure.list(ctx, ownPrefix, "") {
			if err != nil {
				t.Fatal(err)
			}
			key := info.Key
			if _, err := sure.client.DeleteObject(ctx, &sdk.DeleteObjectInput{Bucket: &sure.bucket, Key: &key}); err != nil {
				t.Error(err)
			}
		}
	})
	return New(s.config(t, transport), sure.bucket, opts...)
}

// compose makes an object of parts alone.
func compose(ctx context.Context, b *Blob, key string, parts []blob.Part, overwrite bool) error {
	w, err := b.CreateAt(ctx, key, parts...)
	if err != nil {
		return err
	}
	defer w.Abort()
	return w.Commit(ctx, key, overwrite)
}

// uploads are the keys of the unfinished uploads.
func (b *Blob) uploads(t testing.TB) []string {
	t.Helper()
	out, err := b.client.ListMultipartUploads(context.Background(), &sdk.ListMultipartUploadsInput{Bucket: &b.bucket})
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for _, u := range out.Uploads {
		keys = append(keys, aws.ToString(u.Key))
	}
	return keys
}

func TestBlob(t *testing.T) {
	for _, s := range servers {
		t.Run(s.name, func(t *testing.T) {
			s.run(t, func(t *testing.T) blob.Blob { return s.open(t, nil) })
		})
	}
}

// operation names a call as the SDK does.
func operation(r *http.Request) string {
	if id := r.URL.Query().Get("x-id"); id != "" {
		return id
	}
	_, uploads := r.URL.Query()["uploads"]
	_, deletes := r.URL.Query()["delete"]
	switch {
	case r.Method == http.MethodHead:
		return "HeadObject"
	case r.Method == http.MethodPost && uploads:
		return "CreateMultipartUpload"
	case r.Method == http.MethodPost && deletes:
		return "DeleteObjects"
	case r.Method == http.MethodPost:
		return "CompleteMultipartUpload"
	case r.Method == http.MethodGet && uploads:
		return "ListMultipartUploads"
	}
	return "ListObjectsV2"
}

// TestBlobLosesAnswers runs the whole contract while every fifth answer is lost: nothing is lost or done twice.
func TestBlobLosesAnswers(t *testing.T) {
	for _, s := range servers {
		t.Run(s.name, func(t *testing.T) {
			awsclienttest.Endpoint(t, s.variable) // or skip
			l := &awsclienttest.Losing{Base: awsclienttest.Transport(), Lose: awsclienttest.EveryFifth, Operation: operation}
			s.run(t, func(t *testing.T) blob.Blob { return s.open(t, l) })
			for _, name := range []string{"PutObject", "GetObject", "HeadObject", "DeleteObjects", "ListObjectsV2"} {
				if l.Lost(name) == 0 {
					t.Errorf("no answer of %s was lost: the test tests nothing", name)
				}
			}
		})
	}
}
