package api_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/cachito-serverless/cachito/shared/api"
	"github.com/cachito-serverless/cachito/shared/blob"
	"github.com/cachito-serverless/cachito/shared/packages"
)

// many is a package with n dependencies, some of them with letters that are not ASCII.
func many(n int) []packages.Package {
	p := packages.Package{Name: "grün", Type: "npm", Version: new("1")}
	for i := range n {
		p.Dependencies = append(p.Dependencies, packages.Dependency{Name: fmt.Sprintf("dépendance-😀-%06d", i), Type: "npm", Version: new("1.0.0"), Dev: new(i%2 == 0)})
	}
	return []packages.Package{p}
}

func manyWorld(t *testing.T, n int, change ...func(*api.Deps)) *world {
	t.Helper()
	w := newWorld(t, settings(), change...)
	w.post(map[string]any{"pkg_managers": []string{"npm"}})
	w.storePackages(1, many(n))
	w.complete(1)
	return w
}

// TestLargeAnswers: 5,000 dependencies on every route that shows them, plain and compressed.
func TestLargeAnswers(t *testing.T) {
	const n = 5000
	w := manyWorld(t, n)
	for _, route := range []string{"requests/1", "requests/1/packages", "requests?verbose=true", "requests/1/content-manifest", "content-manifest?requests=1", "sbom?requests=1"} {
		t.Run(route, func(t *testing.T) {
			plain := w.ask(http.MethodGet, "/api/v1/"+route, "", nil)
			if problems := wellFormed(plain.Body.Bytes()); plain.Code != 200 || problems != nil {
				t.Fatalf("status %d, %v", plain.Code, problems)
			}
			if got := strings.Count(plain.Body.String(), fmt.Sprintf("-%06d", n-1)); got == 0 {
				t.Errorf("the last dependency is missing in %d bytes", plain.Body.Len())
			}
			packed := w.ask(http.MethodGet, "/api/v1/"+route, "", nil, "Accept-Encoding", "br, gzip")
			if got := packed.Header().Get("Content-Encoding"); got != "gzip" {
				t.Fatalf("Content-Encoding: got %q, want gzip", got)
			}
			if packed.Body.Len() > plain.Body.Len()/4 {
				t.Errorf("%d bytes were packed into %d only", plain.Body.Len(), packed.Body.Len())
			}
			z, err := gzip.NewReader(packed.Body)
			if err != nil {
				t.Fatal(err)
			}
			unpacked, err := io.ReadAll(z)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(unpacked, plain.Body.Bytes()) {
				t.Error("the packed answer differs from the plain one")
			}
			head := w.ask(http.MethodHead, "/api/v1/"+route, "", nil)
			if head.Code != 200 || head.Body.Len() > 0 {
				t.Errorf("HEAD: got %d with %d bytes", head.Code, head.Body.Len())
			}
		})
	}
}

// TestVerboseListEqualsRequest: an item of a verbose list is what GET of the request shows.
func TestVerboseListEqualsRequest(t *testing.T) {
	w := manyWorld(t, 10)
	var list struct{ Items []json.RawMessage }
	if err := json.Unmarshal(w.ask(http.MethodGet, "/api/v1/requests?verbose=true", "", nil).Body.Bytes(), &list); err != nil {
		t.Fatal(err)
	}
	one := strings.TrimSpace(w.ask(http.MethodGet, "/api/v1/requests/1", "", nil).Body.String())
	if len(list.Items) != 1 || string(list.Items[0]) != one {
		t.Errorf("items %s\nwant [%s]", list.Items, one)
	}
}

// failing gives only the first bytes of the packages data, then an error.
type failing struct {
	blob.Blob
	after int64
}

func (b failing) Open(ctx context.Context, key string) (blob.Object, error) {
	o, err := b.Blob.Open(ctx, key)
	if err != nil || !strings.HasSuffix(key, b.suffix()) {
		return o, err
	}
	return &failingObject{Object: o, left: b.after}, nil
}

func (failing) suffix() string { return "packages.json" }

type failingObject struct {
	blob.Object
	left int64
}

var errDisk = errors.New("the disk is broken")

func (o *failingObject) Read(p []byte) (int, error) {
	if o.left <= 0 {
		return 0, errDisk
	}
	n, err := o.Object.Read(p[:min(int64(len(p)), o.left)])
	o.left -= int64(n)
	return n, err
}

// TestUnreadableData: what cannot be read is a 500 without detail, and the reason is in the log with the
// answer's id.
func TestUnreadableData(t *testing.T) {
	w := manyWorld(t, 10, func(d *api.Deps) { d.Blobs = failing{d.Blobs, 100} })
	for _, route := range []string{"requests/1", "requests?verbose=true", "requests/1/packages", "sbom?requests=1"} {
		out := w.ask(http.MethodGet, "/api/v1/"+route, "", nil)
		if got := message(t, out.Body.Bytes()); out.Code != 500 || !strings.HasPrefix(got, "The server encountered an internal error") {
			t.Errorf("%s: got %d %q", route, out.Code, got)
		}
		id := out.Header().Get("X-Request-Id")
		if logged := w.logged.String(); !strings.Contains(logged, id) || !strings.Contains(logged, errDisk.Error()) {
			t.Errorf("%s: the log does not tell about %s:\n%s", route, id, logged)
		}
	}
}

// TestBrokenOffAnswer: when data cannot be read after a part of the answer was sent, the connection is
// cut, so that the client sees that something is missing.
func TestBrokenOffAnswer(t *testing.T) {
	w := newWorld(t, settings())
	w.post(nil)
	content := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("x"), 100<<10))
	w.must(http.MethodPost, "/api/v1/requests/1/configuration-files", worker, []map[string]string{
		{"path": "a", "type": "base64", "content": content}, {"path": "b", "type": "base64", "content": "bb"},
	})
	for info, err := range w.blobs.List(t.Context(), "configfiles/") {
		if err != nil {
			t.Fatal(err)
		}
		if info.Size == 2 {
			if err := w.blobs.Delete(t.Context(), info.Key); err != nil {
				t.Fatal(err)
			}
		}
	}
	server := httptest.NewServer(w.handler)
	defer server.Close()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/api/v1/requests/1/configuration-files", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept-Encoding", "identity") // packed, so little would come that not even the headers do
	resp, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if resp.StatusCode != 200 || err == nil {
		t.Errorf("status %d and %d bytes without an error", resp.StatusCode, len(got))
	}
	if !strings.Contains(w.logged.String(), "answer broken off") {
		t.Errorf("the log does not tell:\n%s", w.logged)
	}
}

// TestConfigurationFiles: contents come back as they were sent, whatever they are; repeats are dropped.
func TestConfigurationFiles(t *testing.T) {
	w := newWorld(t, settings())
	w.post(nil)
	odd := strings.Repeat("é😀\"\\\n\u2028 ", 20000)
	files := []map[string]string{
		{"path": "b", "type": "base64", "content": odd},
		{"path": "a", "type": "base64", "content": "eA=="},
		{"path": "b", "type": "base64", "content": ""},
	}
	for range 2 {
		w.must(http.MethodPost, "/api/v1/requests/1/configuration-files", worker, files)
	}
	out := w.ask(http.MethodGet, "/api/v1/requests/1/configuration-files", "", nil)
	if problems := wellFormed(out.Body.Bytes()); problems != nil {
		t.Error(problems)
	}
	var got []map[string]string
	if err := json.Unmarshal(out.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	want := []map[string]string{files[1], files[0], files[2]}
	if len(got) != len(want) {
		t.Fatalf("%d files, want %d", len(got), len(want))
	}
	for i := range want {
		if got[i]["path"] != want[i]["path"] || got[i]["content"] != want[i]["content"] {
			t.Errorf("file %d: got %.80q, want %.80q", i, got[i], want[i])
		}
	}
}
