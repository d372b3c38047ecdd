package api_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/cachito-serverless/cachito/shared/api"
	"github.com/cachito-serverless/cachito/shared/blob"
)

const bundleText = "the bytes of a bundle"

func digestOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha-256=" + base64.StdEncoding.EncodeToString(sum[:])
}

// TestDownload: a whole bundle, parts of it, and what clients ask before they take it again.
func TestDownload(t *testing.T) {
	w := newWorld(t, settings())
	w.post(nil)
	w.complete(1)
	w.storeBundle(1, []byte(bundleText), "")
	const target = "/api/v1/requests/1/download"
	whole := w.ask(http.MethodGet, target, "", nil)
	etag := whole.Header().Get("ETag")
	if etag == "" || whole.Header().Get("Last-Modified") == "" {
		t.Fatalf("ETag or Last-Modified is missing: %v", whole.Header())
	}
	future := time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)
	tests := []struct {
		name, method string
		header       []string
		status       int
		body         string
		want         map[string]string
	}{
		{"whole", http.MethodGet, nil, 200, bundleText, map[string]string{
			"Content-Type": "application/gzip", "Content-Disposition": "attachment; filename=cachito-1.tar.gz", "Digest": digestOf(bundleText),
			"Content-Length": fmt.Sprint(len(bundleText)), "Cache-Control": "no-cache", "Accept-Ranges": "bytes", "Content-Encoding": "",
		}},
		{"never compressed again", http.MethodGet, []string{"Accept-Encoding", "gzip"}, 200, bundleText, map[string]string{"Content-Encoding": ""}},
		{"HEAD", http.MethodHead, nil, 200, "", map[string]string{"Digest": digestOf(bundleText), "Content-Length": fmt.Sprint(len(bundleText)), "ETag": etag}},
		{"a part", http.MethodGet, []string{"Range", "bytes=4-8"}, 206, "bytes", map[string]string{"Content-Range": "bytes 4-8/21", "Content-Length": "5"}},
		{"the end", http.MethodGet, []string{"Range", "bytes=-6"}, 206, "bundle", nil},
		{"a part, if it is still the same", http.MethodGet, []string{"Range", "bytes=0-2", "If-Range", etag}, 206, "the", nil},
		{"a part of another one", http.MethodGet, []string{"Range", "bytes=0-2", "If-Range", `"other"`}, 200, bundleText, nil},
		{"a part beyond the end", http.MethodGet, []string{"Range", "bytes=21-"}, 416, `{"error": "The server cannot provide the requested range."}` + "\n", map[string]string{
			"Content-Type": "application/json", "Content-Range": "bytes */21", "Digest": "",
		}},
		{"the client has it", http.MethodGet, []string{"If-None-Match", etag}, 304, "", map[string]string{"ETag": etag}},
		{"the client has it since", http.MethodGet, []string{"If-Modified-Since", future}, 304, "", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out := w.ask(tt.method, target, "", nil, tt.header...)
			if out.Code != tt.status || out.Body.String() != tt.body {
				t.Errorf("got %d %q, want %d %q", out.Code, out.Body, tt.status, tt.body)
			}
			for name, want := range tt.want {
				if got := out.Header().Get(name); got != want {
					t.Errorf("header %s: got %q, want %q", name, got, want)
				}
			}
		})
	}
}

// signing is the folder with URLs of its own, as object storage has them.
type signing struct{ blob.Blob }

func (signing) PresignGet(_ context.Context, key string, _ time.Duration, headers map[string]string) (string, error) {
	return "https://storage.example/" + key + "?type=" + headers["response-content-type"] + "&disposition=" + headers["response-content-disposition"], nil
}

func TestDownloadRedirects(t *testing.T) {
	location := "https://storage.example/bundles/1/bundle.tar.gz?type=application/gzip&disposition=attachment; filename=cachito-1.tar.gz"
	tests := []struct {
		name, mode, method string
		size               int
		signs              bool
		status             int
		location           string
	}{
		{"stream", api.DownloadStream, http.MethodGet, 10, true, 200, ""},
		{"the default", "", http.MethodGet, 10, true, 200, ""},
		{"redirect", api.DownloadRedirect, http.MethodGet, 10, true, 302, location},
		{"redirect, HEAD is answered here", api.DownloadRedirect, http.MethodHead, 10, true, 200, ""},
		{"redirect, storage without URLs", api.DownloadRedirect, http.MethodGet, 10, false, 200, ""},
		{"auto, small", api.DownloadAuto, http.MethodGet, api.InlineBytes, true, 200, ""},
		{"auto, large", api.DownloadAuto, http.MethodGet, api.InlineBytes + 1, true, 302, location},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := settings()
			cfg.Download = tt.mode
			w := newWorld(t, cfg, func(d *api.Deps) {
				if tt.signs {
					d.Blobs = signing{d.Blobs}
				}
			})
			w.post(nil)
			w.complete(1)
			content := strings.Repeat("x", tt.size)
			w.storeBundle(1, []byte(content), "")
			out := w.ask(tt.method, "/api/v1/requests/1/download", "", nil)
			if out.Code != tt.status || out.Header().Get("Location") != tt.location {
				t.Errorf("got %d to %q, want %d to %q", out.Code, out.Header().Get("Location"), tt.status, tt.location)
			}
			if got, want := out.Header().Get("Digest"), digestOf(content); got != want {
				t.Errorf("Digest: got %q, want %q", got, want)
			}
		})
	}
}

// TestDownloadOfWhatIsNotWhole: a bundle that is gone, and one of another size than recorded.
func TestDownloadOfWhatIsNotWhole(t *testing.T) {
	w := newWorld(t, settings())
	w.post(nil)
	w.complete(1)
	w.storeBundle(1, []byte(bundleText), "")
	key := "bundles/1/bundle.tar.gz"
	check := func(want string) {
		t.Helper()
		out := w.ask(http.MethodGet, "/api/v1/requests/1/download", "", nil)
		if got := message(t, out.Body.Bytes()); out.Code != http.StatusInternalServerError || !strings.HasPrefix(got, want) {
			t.Errorf("got %d %q, want 500 %q", out.Code, got, want)
		}
		if out.Header().Get("Digest") != "" {
			t.Errorf("the error has a Digest: %v", out.Header())
		}
	}
	if err := w.blobs.Put(t.Context(), key, []byte(bundleText+"!"), true); err != nil {
		t.Fatal(err)
	}
	check("Checksum of bundle archive 1.tar.gz has changed.")
	if err := w.blobs.Delete(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	check("The server encountered an internal error")
	if !strings.Contains(w.logged.String(), "bundle of request 1") {
		t.Errorf("the log does not name the request:\n%s", w.logged)
	}
}

// notSigning cannot make URLs now.
type notSigning struct{ blob.Blob }

func (notSigning) PresignGet(context.Context, string, time.Duration, map[string]string) (string, error) {
	return "", errors.New("no credentials")
}

// TestDownloadCannotBeSigned: the error is an error, without the bundle's headers.
func TestDownloadCannotBeSigned(t *testing.T) {
	cfg := settings()
	cfg.Download = api.DownloadRedirect
	w := newWorld(t, cfg, func(d *api.Deps) { d.Blobs = notSigning{d.Blobs} })
	w.post(nil)
	w.complete(1)
	w.storeBundle(1, []byte(bundleText), "")
	out := w.ask(http.MethodGet, "/api/v1/requests/1/download", "", nil)
	if out.Code != 500 || out.Header().Get("Digest") != "" || out.Header().Get("Content-Type") != "application/json" {
		t.Errorf("got %d %v %s", out.Code, out.Header(), out.Body)
	}
}

// TestDownloadOverHTTP: a real connection, whose client gets every byte.
func TestDownloadOverHTTP(t *testing.T) {
	w := newWorld(t, settings())
	w.post(nil)
	w.complete(1)
	content := bytes.Repeat([]byte("0123456789abcdef"), 1<<18)
	w.storeBundle(1, content, "")
	server := httptest.NewServer(w.handler)
	defer server.Close()
	resp, err := http.Get(server.URL + "/api/v1/requests/1/download")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var got bytes.Buffer
	if _, err := got.ReadFrom(resp.Body); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), content) {
		t.Errorf("%d bytes came, want %d", got.Len(), len(content))
	}
}
