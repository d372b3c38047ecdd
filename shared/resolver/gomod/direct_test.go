package gomod

import (
	"archive/zip"
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/resolver"
	"github.com/cachito-serverless/cachito/shared/resolver/resolvertest"
)

// gitHost is a git host made of maps: URL -> tag -> files.
type gitHost map[string]map[string]map[string]string

func (f gitHost) Resolve(_ context.Context, url, name string) (string, error) {
	tag := strings.TrimPrefix(name, "refs/tags/")
	if _, ok := f[url]; !ok {
		return "", fault.Client(fault.RepositoryAccessError, "Failed cloning the Git repository")
	}
	if _, ok := f[url][tag]; !ok {
		return "", fault.Client(fault.InvalidRequestData, "no such ref")
	}
	return tag, nil
}

func (f gitHost) CheckOut(_ context.Context, url, commit string, into *os.Root, _ ...resolver.CheckOutOption) (resolver.Checkout, error) {
	for name, content := range f[url][commit] {
		if err := into.MkdirAll(path.Dir(name), 0o755); err != nil {
			return resolver.Checkout{}, err
		}
		if err := into.WriteFile(name, []byte(content), 0o644); err != nil {
			return resolver.Checkout{}, err
		}
	}
	return resolver.Checkout{CommitTime: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}, nil
}

func directProxy(t *testing.T, git gitHost, hosts map[string]http.Handler) *moduleProxy {
	t.Helper()
	fetcher := resolvertest.NewFetcher(t, hosts)
	upstreams, err := parseProxies("https://empty.example,direct")
	if err != nil {
		t.Fatal(err)
	}
	own := newDirect(t.Context(), resolver.Input{Git: git, Fetcher: fetcher}, t.TempDir())
	p, err := startProxy(t.Context(), fetcher, upstreams, sumDB{off: true}, &unpackBudget{}, nil, own)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.close)
	return p
}

func TestDirect(t *testing.T) {
	git := gitHost{
		"https://github.com/o/r": {
			"v1.0.0":     {"go.mod": "module github.com/o/r\n", "r.go": "package r\n", "LICENSE": "mine\n", "sub/go.mod": "module github.com/o/r/sub\n", "vendor/x/x.go": "package x\n"},
			"sub/v1.2.3": {"go.mod": "module github.com/o/r\n", "LICENSE": "mine\n", "sub/go.mod": "module github.com/o/r/sub\n", "sub/s.go": "package sub\n"},
			"v2.0.0":     {"go.mod": "module github.com/o/r/v2\n", "r.go": "package r\n"},
			"v3.0.0":     {"v3/go.mod": "module github.com/o/r/v3\n", "v3/r.go": "package r\n"},
			"v4.0.0":     {"r.go": "package r\n"},
			"v1.9.0":     {"go.mod": "module example.org/other\n"},
		},
		"https://git.example/team/tool.git": {"v0.1.0": {"tool.go": "package tool\n"}},
	}
	notFound := http.NotFoundHandler()
	hosts := map[string]http.Handler{
		"empty.example": notFound,
		"vanity.example": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, `<!DOCTYPE html><html><head><meta name="go-import" content="vanity.example/other git https://git.example/no">
				<meta name="go-import" content="vanity.example/tool git https://git.example/team/tool.git"></head><body>`)
		}),
		"nothing.example": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "<html><body>hello") }),
	}
	p := directProxy(t, git, hosts)
	for _, tt := range []struct{ name, module, version, goMod, files string }{
		{"root", "github.com/o/r", "v1.0.0", "module github.com/o/r\n", "LICENSE go.mod r.go"},
		{"subdirectory, with the root's licence", "github.com/o/r/sub", "v1.2.3", "module github.com/o/r/sub\n", "LICENSE go.mod s.go"},
		{"major version at the root", "github.com/o/r/v2", "v2.0.0", "module github.com/o/r/v2\n", "go.mod r.go"},
		{"major version in a folder", "github.com/o/r/v3", "v3.0.0", "module github.com/o/r/v3\n", "go.mod r.go"},
		{"incompatible, go.mod made up", "github.com/o/r", "v4.0.0+incompatible", "module github.com/o/r\n", "r.go"},
		{"vanity path", "vanity.example/tool", "v0.1.0", "module vanity.example/tool\n", "tool.go"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			base := p.base + "/" + tt.module + "/@v/" + tt.version
			if status, got := get(t, base+".mod"); status != 200 || got != tt.goMod {
				t.Errorf("go.mod: got %d %q, want %q", status, got, tt.goMod)
			}
			if status, got := get(t, base+".info"); status != 200 || got != `{"Version":"`+tt.version+`","Time":"2026-01-02T03:04:05Z"}` {
				t.Errorf("info: got %d %s", status, got)
			}
			_, raw := get(t, base+".zip")
			z, err := zip.NewReader(bytes.NewReader([]byte(raw)), int64(len(raw)))
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, f := range z.File {
				names = append(names, strings.TrimPrefix(f.Name, tt.module+"@"+tt.version+"/"))
			}
			slices.Sort(names)
			if got := strings.Join(names, " "); got != tt.files {
				t.Errorf("zip: got %s, want %s", got, tt.files)
			}
		})
	}
	for _, tt := range []struct{ name, path, want string }{
		{"no such tag", "github.com/o/r/@v/v1.5.0.zip", "github.com/o/r@v1.5.0: no module proxy has it, and its repository https://github.com/o/r has no tag v1.5.0"},
		{"another module", "github.com/o/r/@v/v1.9.0.zip", "its repository says in go.mod that it is example.org/other"},
		{"pseudo-version", "github.com/o/r/@v/v0.0.0-20260101000000-0123456789ab.zip", "a pseudo-version cannot be had from its repository"},
		{"no repository", "nothing.example/x/@v/v1.0.0.zip", "https://nothing.example/x names no git repository"},
		{"repository refused", "github.com/o/private/@v/v1.0.0.zip", "Failed cloning the Git repository"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			status, got := get(t, p.base+"/"+tt.path)
			if status == 200 || !strings.Contains(got, tt.want) {
				t.Errorf("got %d %q, want an error with %q", status, got, tt.want)
			}
		})
	}
}
