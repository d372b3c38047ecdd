package api_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/cachito-serverless/cachito/shared/packages"
	"github.com/cachito-serverless/cachito/shared/sbom"
	"github.com/cachito-serverless/cachito/shared/store"
)

var documentTime = time.Date(2026, 11, 25, 9, 30, 15, 0, time.UTC)

// documentWorld has two complete requests, one in progress and one without a purl.
func documentWorld(t *testing.T) *world {
	t.Helper()
	cfg := settings()
	cfg.Version = "v9.8.7"
	w := newWorld(t, cfg)
	w.at(documentTime, func() {
		for range 4 {
			w.post(map[string]any{"pkg_managers": []string{"npm"}})
		}
		for _, id := range []int64{1, 2, 4} {
			w.complete(id)
		}
	})
	dev := packages.Dependency{Name: "d", Type: "npm", Version: new("1"), Dev: new(true)}
	data := packages.Data{
		Packages:  []packages.Package{{Name: "p", Type: "npm", Version: new("1"), Dependencies: []packages.Dependency{dev}}},
		Artifacts: []packages.Artifact{{PURL: "pkg:npm/d@1", SHA256: []string{strings.Repeat("ab", 32)}, Unverified: true}},
	}
	var b bytes.Buffer
	if err := packages.Encode(&b, data); err != nil {
		t.Fatal(err)
	}
	key := "bundles/x/packages.json"
	if err := w.blobs.Put(t.Context(), key, b.Bytes(), false); err != nil {
		t.Fatal(err)
	}
	for _, id := range []int64{1, 2} {
		w.update(id, store.Update{PackagesKey: &key})
	}
	w.storePackages(4, []packages.Package{{Name: "s", Type: "git-submodule", Version: new("no url")}})
	return w
}

func TestSBOMFormats(t *testing.T) {
	w := documentWorld(t)
	get := func(t *testing.T, route string) []byte {
		t.Helper()
		out := w.ask(http.MethodGet, "/api/v1/"+route, "", nil)
		if out.Code != http.StatusOK {
			t.Fatalf("%s: %d %s", route, out.Code, out.Body)
		}
		return out.Body.Bytes()
	}
	for _, f := range sbom.Formats {
		t.Run(f, func(t *testing.T) {
			out := w.ask(http.MethodGet, "/api/v1/sbom?requests=1,2&format="+f, "", nil)
			if got, want := out.Header().Get("Content-Type"), sbom.Format(f).MediaType(); out.Code != 200 || got != want {
				t.Errorf("got %d %q, want 200 %q", out.Code, got, want)
			}
			if !json.Valid(out.Body.Bytes()) || !bytes.HasSuffix(out.Body.Bytes(), []byte("}\n")) {
				t.Errorf("no line of JSON: %s", out.Body)
			}
			if again := get(t, "sbom?format="+f+"&requests=2,1,2"); !bytes.Equal(again, out.Body.Bytes()) {
				t.Error("order and repeats of the ids make a difference")
			}
			one, alone := get(t, "sbom?requests=1&format="+f), get(t, "requests/1/sbom?format="+f)
			if !bytes.Equal(one, alone) {
				t.Errorf("the request's own route answers something else:\n%s\n%s", one, alone)
			}
			head := w.ask(http.MethodHead, "/api/v1/requests/1/sbom?format="+f, "", nil)
			if head.Code != 200 || head.Body.Len() > 0 || head.Header().Get("Content-Type") != sbom.Format(f).MediaType() {
				t.Errorf("HEAD: %d, %d bytes, %q", head.Code, head.Body.Len(), head.Header().Get("Content-Type"))
			}
		})
	}
	t.Run("without format it is Cachito's own", func(t *testing.T) {
		if plain, named := get(t, "sbom?requests=1,2"), get(t, "sbom?requests=1,2&format=cyclonedx-1.4"); !bytes.Equal(plain, named) {
			t.Errorf("%s\n%s", plain, named)
		}
	})
	t.Run("what the storage knows is in it", func(t *testing.T) {
		for f, parts := range map[string][]string{
			"cyclonedx-1.6": {`"timestamp":"2026-11-25T09:30:15Z"`, `"version":"v9.8.7"`, `"scope":"excluded"`, `"cachito:unverified"`, strings.Repeat("ab", 32)},
			"spdx-2.3":      {`"created":"2026-11-25T09:30:15Z"`, `Tool: cachito-v9.8.7`, `DEV_DEPENDENCY_OF`, `cachito:unverified=true`, strings.Repeat("ab", 32)},
		} {
			text := string(get(t, "requests/1/sbom?format="+f))
			for _, part := range parts {
				if !strings.Contains(text, part) {
					t.Errorf("%s lacks %s:\n%s", f, part, text)
				}
			}
		}
	})
	t.Run("nothing asked for", func(t *testing.T) {
		for _, f := range sbom.Formats {
			var doc map[string]any
			if err := json.Unmarshal(get(t, "sbom?format="+f), &doc); err != nil {
				t.Errorf("%s: %v", f, err)
			}
		}
	})
}

func TestSBOMRefusals(t *testing.T) {
	w := documentWorld(t)
	const values = "expected one of: cyclonedx-1.4, cyclonedx-1.6, spdx-2.3"
	for _, test := range []struct {
		target string
		status int
		want   string
	}{
		{"sbom?requests=1&format=xml", 400, "Wrong value 'xml' for query parameter 'format', " + values},
		{"requests/1/sbom?format=SPDX-2.3", 400, "Wrong value 'SPDX-2.3' for query parameter 'format', " + values},
		{"requests/1/sbom?format=", 400, "Wrong value '' for query parameter 'format', " + values},
		{"requests/1/sbom?format=a%0d%0ab", 400, `Wrong value 'a\r\nb' for query parameter 'format', ` + values},
		{"requests/1/sbom?format=spdx-2.3&format=x", 400, "Wrong value 'x' for query parameter 'format', " + values},
		{"requests/1/sbom?format=x&format=spdx-2.3", 400, "Wrong value 'x' for query parameter 'format', " + values},
		{"requests/1/sbom?requests=1", 400, "Extra query parameter(s) requests not in spec"},
		{"content-manifest?requests=1&format=spdx-2.3", 400, "Extra query parameter(s) format not in spec"},
		{"requests/9/sbom?format=x", 400, "Wrong value 'x' for query parameter 'format', " + values},
		{"requests/9/sbom", 404, "The requested resource was not found"},
		{"requests/99999999999999999999/sbom?format=spdx-2.3", 404, "The requested resource was not found"},
		{"requests/3/sbom?format=spdx-2.3", 400, "Request 3 is in state in_progress, not in {'complete'}.\n"},
		{"sbom?requests=3&format=spdx-2.3", 400, "Request 3 is in state in_progress, not in {'complete'}.\n"},
		{"sbom?requests=4", 501, "Could not convert version no url to purl"},
		{"sbom?requests=1,4&format=cyclonedx-1.6", 501, "Could not convert version no url to purl"},
		{"requests/4/sbom?format=spdx-2.3", 501, "Could not convert version no url to purl"},
	} {
		t.Run(test.target, func(t *testing.T) {
			out := w.ask(http.MethodGet, "/api/v1/"+test.target, "", nil)
			if got := message(t, out.Body.Bytes()); out.Code != test.status || got != test.want {
				t.Errorf("got %d %q, want %d %q", out.Code, got, test.status, test.want)
			}
		})
	}
}
