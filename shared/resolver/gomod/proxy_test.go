package gomod

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/resolver/gomod/gomodtest"
	"github.com/cachito-serverless/cachito/shared/resolver/resolvertest"
)

func TestParseProxies(t *testing.T) {
	tests := []struct {
		name, list string
		want       []upstream
		fails      bool
	}{
		{"one", "https://a.example/", []upstream{{base: "https://a.example"}}, false},
		{"comma and pipe", "https://a.example,https://b.example|https://c.example", []upstream{
			{base: "https://a.example"}, {base: "https://b.example", anyError: true}, {base: "https://c.example"},
		}, false},
		{"direct ends it", "https://a.example,direct,https://b.example", []upstream{{base: "https://a.example"}, {}}, false},
		{"direct alone", "direct", []upstream{{}}, false},
		{"off ends it", "https://a.example,off,https://b.example", []upstream{{base: "https://a.example"}}, false},
		{"nothing", "", nil, true},
		{"files", "file:///tmp", nil, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseProxies(tt.list)
			if (err != nil) != tt.fails || !slices.Equal(got, tt.want) {
				t.Errorf("got %v (%v), want %v", got, err, tt.want)
			}
		})
	}
}

// testProxy serves modules to a moduleProxy; first, when given, is asked before.
func testProxy(t *testing.T, list string, hosts map[string]http.Handler) (*moduleProxy, *resolvertest.Fetcher) {
	t.Helper()
	upstreams, err := parseProxies(list)
	if err != nil {
		t.Fatal(err)
	}
	fetcher := resolvertest.NewFetcher(t, hosts)
	p, err := startProxy(t.Context(), fetcher, upstreams, parseSumDB("sum.example+abc+key"), &unpackBudget{}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.close)
	return p, fetcher
}

func registry(t *testing.T, files map[string][]byte) *gomodtest.Proxy {
	t.Helper()
	p, err := gomodtest.NewProxy(files)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func TestModuleProxyAsksInOrder(t *testing.T) {
	x := registry(t, map[string][]byte{"a.org/x@v1.0.0/x.go": []byte("package x\n")})
	status := func(code int) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "secret answer", code) })
	}
	tests := []struct {
		name, list string
		first      http.Handler
		want       int
	}{
		{"404 falls through a comma", "https://one.example,https://two.example", status(404), 200},
		{"410 falls through a comma", "https://one.example,https://two.example", status(410), 200},
		{"403 does not", "https://one.example,https://two.example", status(403), 403},
		{"503 does not", "https://one.example,https://two.example", status(503), 503},
		{"everything falls through a pipe", "https://one.example|https://two.example", status(503), 200},
		{"the last one has it not either", "https://two.example,https://one.example", status(404), 200},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, _ := testProxy(t, tt.list, map[string]http.Handler{"one.example": tt.first, "two.example": x})
			for _, file := range []string{"a.org/x/@v/v1.0.0.mod", "a.org/x/@v/v1.0.0.info", "a.org/x/@v/v1.0.0.zip", "a.org/x/@v/list"} {
				if got, body := get(t, p.base+"/"+file); got != tt.want || strings.Contains(body, "secret") {
					t.Errorf("%s: got %d %q, want %d", file, got, body, tt.want)
				}
			}
		})
	}
}

func TestModuleProxyInfo(t *testing.T) {
	x := registry(t, map[string][]byte{"a.org/x@v1.0.0/x.go": []byte("package x\n")})
	p, fetcher := testProxy(t, "https://one.example", map[string]http.Handler{"one.example": x})
	tests := []struct{ name, version, want string }{
		{"a tag is reduced to version and time", "v1.0.0", `{"Version":"v1.0.0","Time":"2020-02-03T04:05:06Z"}`},
		{"a pseudo-version needs no question", "v0.0.0-20240102030401-58c88e4952e9", `{"Version":"v0.0.0-20240102030401-58c88e4952e9","Time":"2024-01-02T03:04:01Z"}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, got := get(t, p.base+"/a.org/x/@v/"+tt.version+".info"); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
	if got := len(fetcher.Requests()); got != 1 {
		t.Errorf("got %d requests, want 1: %v", got, fetcher.Requests())
	}
}

func TestModuleProxyRefuses(t *testing.T) {
	p, fetcher := testProxy(t, "https://one.example", map[string]http.Handler{"one.example": http.NotFoundHandler()})
	root := strings.TrimSuffix(p.base, p.base[strings.LastIndex(p.base, "/"):])
	tests := []struct {
		name, url string
		want      int
	}{
		{"without the token", root + "/a.org/x/@v/list", 404},
		{"with another token", root + "/AAAA/a.org/x/@v/list", 404},
		{"upper case that is not escaped", p.base + "/a.org/X/@v/list", 400},
		{"something else", p.base + "/a.org/x/other", 400},
		{"another checksum database", p.base + "/sumdb/else.example/latest", 404},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got, _ := get(t, tt.url); got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
		})
	}
	if got := fetcher.Requests(); len(got) > 0 {
		t.Errorf("asked for %v, want nothing", got)
	}
}

func TestModuleProxyChecksumDatabase(t *testing.T) {
	answer := func(text string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, text+" "+r.URL.Path) })
	}
	t.Run("through the proxy", func(t *testing.T) {
		p, _ := testProxy(t, "https://one.example", map[string]http.Handler{"one.example": answer("one")})
		if _, got := get(t, p.base+"/sumdb/sum.example/lookup/a.org/x@v1.0.0"); got != "one /sumdb/sum.example/lookup/a.org/x@v1.0.0" {
			t.Errorf("got %q", got)
		}
	})
	t.Run("itself when the proxy has none", func(t *testing.T) {
		p, _ := testProxy(t, "https://one.example", map[string]http.Handler{"one.example": http.NotFoundHandler(), "sum.example": answer("sum")})
		if _, got := get(t, p.base+"/sumdb/sum.example/latest"); got != "sum /latest" {
			t.Errorf("got %q", got)
		}
	})
	t.Run("supported is answered here", func(t *testing.T) {
		p, fetcher := testProxy(t, "https://one.example", nil)
		if got, _ := get(t, p.base+"/sumdb/sum.example/supported"); got != 200 || len(fetcher.Requests()) > 0 {
			t.Errorf("got %d after %v, want 200 without a request", got, fetcher.Requests())
		}
	})
}

func TestCheckModuleZip(t *testing.T) {
	plain := zipOf(t, map[string]uint64{"m@v1.0.0/a": 3})
	tests := []struct {
		name string
		data []byte
		want fault.Type
	}{
		{"good", plain, ""},
		{"no zip", []byte("hello"), fault.InvalidFileFormat},
		{"broken", plain[:len(plain)-30], fault.InvalidFileFormat},
		{"one file that unpacks to too much", zipOf(t, map[string]uint64{"a": MaxModuleUnpackedBytes + 1}), fault.UnsupportedFeature},
		{"many files that do", zipOf(t, map[string]uint64{"a": MaxModuleUnpackedBytes - 1, "b": 2}), fault.UnsupportedFeature},
		{"sizes that would overflow", zipOf(t, map[string]uint64{"a": 1 << 63, "b": 1 << 63}), fault.UnsupportedFeature},
		{"a table of contents that is larger than it says", hugeDirectory(t), fault.InvalidFileFormat},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := checkModuleZip(bytes.NewReader(tt.data), int64(len(tt.data)), "m@v1.0.0.zip", &unpackBudget{})
			f := fault.From(err)
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("got %v, want no error", err)
			case tt.want != "" && (f == nil || f.Type != tt.want || f.Origin != fault.OriginClient):
				t.Errorf("got %v, want %s of the client", err, tt.want)
			}
		})
	}
	t.Run("all modules together", func(t *testing.T) {
		budget := &unpackBudget{}
		data := zipOf(t, map[string]uint64{"a": MaxModuleUnpackedBytes})
		var err error
		for range MaxUnpackedBytes/MaxModuleUnpackedBytes + 1 {
			if err != nil {
				t.Fatalf("refused too early: %v", err)
			}
			err = checkModuleZip(bytes.NewReader(data), int64(len(data)), "m", budget)
		}
		if !fault.IsClient(err) {
			t.Errorf("got %v, want a fault of the client", err)
		}
	})
}

// zipOf makes a zip whose entries only claim their sizes.
func zipOf(t *testing.T, sizes map[string]uint64) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	for name, size := range sizes {
		if _, err := w.CreateRaw(&zip.FileHeader{Name: name, UncompressedSize64: size}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// hugeDirectory is a zip with a table of some 20 MB whose end record says that it has 46 bytes.
func hugeDirectory(t *testing.T) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	for range 400 {
		if _, err := w.CreateRaw(&zip.FileHeader{Name: strings.Repeat("n", 1<<15), Comment: strings.Repeat("c", 1<<14)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	data := buf.Bytes()
	binary.LittleEndian.PutUint32(data[len(data)-10:], 46)
	return data
}
