package api_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/cachito-serverless/cachito/shared/api"
	"github.com/cachito-serverless/cachito/shared/blob"
	"github.com/cachito-serverless/cachito/shared/packages"
)

// urlBlobs is a storage whose objects have URLs, as S3's do. The URL says what was signed.
type urlBlobs struct {
	blob.Blob
	err error // of signing
}

func (b urlBlobs) PresignGet(_ context.Context, key string, ttl time.Duration, headers map[string]string) (string, error) {
	if b.err != nil {
		return "", b.err
	}
	q := url.Values{"ttl": {ttl.String()}}
	for name, value := range headers {
		q.Set(name, value)
	}
	return "https://storage.example/" + key + "?" + q.Encode(), nil
}

// lambdaPayload is how large an answer is as Lambda counts it: text becomes a JSON string, other bytes base64.
func lambdaPayload(t *testing.T, out *httptest.ResponseRecorder) int {
	t.Helper()
	body := out.Body.String()
	if !utf8.ValidString(body) {
		body = base64.StdEncoding.EncodeToString(out.Body.Bytes())
	}
	raw, err := json.Marshal(map[string]any{"statusCode": out.Code, "headers": out.Header(), "body": body})
	if err != nil {
		t.Fatal(err)
	}
	return len(raw)
}

// fetched follows a redirect into the storage, as a client does.
func (w *world) fetched(t *testing.T, out *httptest.ResponseRecorder, wantType string) []byte {
	t.Helper()
	u, err := url.Parse(out.Header().Get("Location"))
	if err != nil || u.Host != "storage.example" {
		t.Fatalf("Location %q, %v", out.Header().Get("Location"), err)
	}
	raw, err := w.blobs.Get(t.Context(), strings.TrimPrefix(u.Path, "/"), 256<<20)
	if err != nil {
		t.Fatal(err)
	}
	if got := u.Query().Get("response-content-type"); got != wantType {
		t.Errorf("signed content type: got %q, want %q", got, wantType)
	}
	if u.Query().Get("response-content-encoding") == "gzip" {
		raw = unzip(t, raw)
	}
	return raw
}

func unzip(t *testing.T, raw []byte) []byte {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return plain
}

// TestSizeLadder: with Lambda's limit answers are sent as they are, compressed, or stored, by their size and
// what the client takes; whatever the way, it gets the same text.
func TestSizeLadder(t *testing.T) {
	const lambdaLimit = 6 << 20
	cfg := settings()
	cfg.MaxAnswerBytes = api.LambdaAnswerBytes
	unlimited, limited := newWorld(t, settings()), newWorld(t, cfg, func(d *api.Deps) { d.Blobs = urlBlobs{Blob: d.Blobs} })
	for _, w := range []*world{unlimited, limited} {
		w.at(time.Date(2026, 11, 25, 10, 0, 0, 0, time.UTC), func() {
			w.post(map[string]any{"pkg_managers": []string{"npm"}})
			w.storePackages(1, bulky(3000))
			w.complete(1)
		})
	}

	for _, test := range []struct {
		name, route, encoding string
		status                int
		packed                bool
		least                 int // bytes of the text
	}{
		{"small", "status/short", "gzip", 200, false, 1},
		{"larger than the limit, compressed it fits", "requests/1/packages", "gzip", 200, true, lambdaLimit / 2},
		{"larger than the limit, and the client takes no gzip", "requests/1/sbom?format=spdx-2.3", "identity", 302, false, lambdaLimit},
		{"much larger, compressed it fits", "requests/1/sbom?format=spdx-2.3", "gzip", 200, true, lambdaLimit},
	} {
		t.Run(test.name, func(t *testing.T) {
			want := unlimited.ask(http.MethodGet, "/api/v1/"+test.route, "", nil).Body.Bytes()
			out := limited.ask(http.MethodGet, "/api/v1/"+test.route, "", nil, "Accept-Encoding", test.encoding)
			if out.Code != test.status || len(want) < test.least {
				t.Fatalf("status %d, want %d, for a text of %d bytes (at least %d)", out.Code, test.status, len(want), test.least)
			}
			if n := lambdaPayload(t, out); n > lambdaLimit {
				t.Errorf("Lambda would refuse it: %d bytes", n)
			}
			got := out.Body.Bytes()
			if packed := out.Header().Get("Content-Encoding") == "gzip"; packed != test.packed {
				t.Errorf("packed: got %v, want %v", packed, test.packed)
			} else if packed {
				got = unzip(t, got)
			}
			if test.status == http.StatusFound {
				got = limited.fetched(t, out, "application/spdx+json")
			} else if out.Header().Get("Content-Length") == "" {
				t.Error("no Content-Length, although the transport buffers")
			}
			if !bytes.Equal(want, got) {
				t.Errorf("the text differs: %d bytes, want %d", len(got), len(want))
			}
		})
	}
}

// bulky is a package with n dependencies with names of more than a kilobyte: large answers, soon made.
func bulky(n int) []packages.Package {
	p := packages.Package{Name: "p", Type: "npm", Version: new("1")}
	for i := range n {
		p.Dependencies = append(p.Dependencies, packages.Dependency{Name: strings.Repeat(fmt.Sprintf("%04d-", i), 200) + "é", Type: "npm", Version: new("1"), Dev: new(false)})
	}
	return []packages.Package{p}
}

// unpackable is a package with n dependencies whose names do not compress well.
func unpackable(n int) []packages.Package {
	p := packages.Package{Name: "p", Type: "npm", Version: new("1")}
	for i := range n {
		sum := sha512.Sum512([]byte{byte(i), byte(i >> 8)})
		p.Dependencies = append(p.Dependencies, packages.Dependency{Name: hex.EncodeToString(sum[:]) + hex.EncodeToString(sum[:])[:60], Type: "npm", Version: new("1")})
	}
	return []packages.Package{p}
}

// TestAnswerAroundTheLimit: the last answer that fits is sent, the first that does not is stored, for plain and
// for packed ones; every size near the limit is tried.
func TestAnswerAroundTheLimit(t *testing.T) {
	for _, encoding := range []string{"identity", "gzip"} {
		redirects, inline := 0, 0
		for _, limit := range []int64{70_000, 90_000, 100_000, 105_000, 110_000, 120_000, 150_000, 200_000, 300_000} {
			cfg := settings()
			cfg.MaxAnswerBytes = limit
			w := newWorld(t, cfg, func(d *api.Deps) { d.Blobs = urlBlobs{Blob: d.Blobs} })
			w.post(map[string]any{"pkg_managers": []string{"npm"}})
			w.storePackages(1, unpackable(400))
			w.complete(1)
			out := w.ask(http.MethodGet, "/api/v1/requests/1/packages", "", nil, "Accept-Encoding", encoding)
			switch out.Code {
			case http.StatusOK:
				inline++
				// The envelope of the headers is not the body's.
				if got := int64(lambdaPayload(t, out)) - 600; got > limit {
					t.Errorf("%s, limit %d: sent in %d bytes", encoding, limit, got)
				}
			case http.StatusFound:
				redirects++
				text := w.fetched(t, out, "application/json")
				if problems := wellFormed(text); problems != nil {
					t.Error(problems)
				}
			default:
				t.Fatalf("%s, limit %d: status %d %s", encoding, limit, out.Code, out.Body)
			}
		}
		if redirects == 0 || inline == 0 {
			t.Errorf("%s: %d were redirected, %d sent: the limits show nothing", encoding, redirects, inline)
		}
	}
}

// TestStoredAnswerTrouble: an answer that cannot be stored or signed is a 500, not a part of one.
func TestStoredAnswerTrouble(t *testing.T) {
	cfg := settings()
	cfg.MaxAnswerBytes = 100_000
	w := newWorld(t, cfg, func(d *api.Deps) { d.Blobs = urlBlobs{d.Blobs, errors.New("no key to sign with")} })
	w.post(map[string]any{"pkg_managers": []string{"npm"}})
	w.storePackages(1, many(5000))
	w.complete(1)
	out := w.ask(http.MethodGet, "/api/v1/requests/1/packages", "", nil)
	if got := message(t, out.Body.Bytes()); out.Code != 500 || !strings.HasPrefix(got, "The server encountered an internal error") {
		t.Errorf("got %d %q", out.Code, got)
	}
	if !strings.Contains(w.logged.String(), "no key to sign with") {
		t.Error("the log does not tell why")
	}
	head := w.ask(http.MethodHead, "/api/v1/requests/1/packages", "", nil)
	if head.Code != 200 || head.Body.Len() > 0 {
		t.Errorf("HEAD: got %d with %d bytes, want its headers alone: nothing is stored for it", head.Code, head.Body.Len())
	}
}

// TestSameAnswerIsStoredOnce: answers are named by their content.
func TestSameAnswerIsStoredOnce(t *testing.T) {
	cfg := settings()
	cfg.MaxAnswerBytes = 100_000
	w := newWorld(t, cfg, func(d *api.Deps) { d.Blobs = urlBlobs{Blob: d.Blobs} })
	w.post(map[string]any{"pkg_managers": []string{"npm"}})
	w.storePackages(1, many(5000))
	w.complete(1)
	for range 3 {
		if out := w.ask(http.MethodGet, "/api/v1/requests/1/packages", "", nil); out.Code != http.StatusFound {
			t.Fatalf("status %d", out.Code)
		}
	}
	n := 0
	for _, err := range w.blobs.List(t.Context(), api.AnswersPrefix) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n != 1 {
		t.Errorf("%d objects for three equal answers", n)
	}
}
