package gomod

import (
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/resolver"
	"github.com/cachito-serverless/cachito/shared/resolver/resolvertest"
)

const (
	liveProxy = "proxy.golang.org"
	liveSumDB = "sum.golang.org"
)

// live passes requests on to the real hosts. Toolchains are kept for all live tests of a run.
func live(t *testing.T) (*resolvertest.Fetcher, func(tools string) resolver.Resolver) {
	t.Helper()
	if os.Getenv("CACHITO_LIVE") != "1" {
		t.Skip("needs the Go module proxy: set CACHITO_LIVE=1 (make test-live)")
	}
	pass := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		req, err := http.NewRequestWithContext(r.Context(), http.MethodGet, r.URL.String(), nil)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer resp.Body.Close()
		w.WriteHeader(resp.StatusCode)
		io.Copy(w, resp.Body)
	})
	fetcher := resolvertest.NewFetcher(t, map[string]http.Handler{liveProxy: pass, liveSumDB: pass})
	return fetcher, func(tools string) resolver.Resolver {
		r, err := New(resolver.Settings{
			Values: map[string]string{"goproxy": "https://" + liveProxy, "gosumdb": liveSumDB},
			Local:  resolver.LocalSettings{ToolDir: tools},
		})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
}

// quote is upstream's case: a module that uses rsc.io/quote and fmt, by the Go release given.
func quote(t *testing.T, version string) resolvertest.Scenario {
	t.Helper()
	s, err := resolvertest.Parse([]byte(`
-- repo/go.mod --
module ex.org/m

go VERSION

require (
	golang.org/x/text v0.0.0-20170915032832-14c0d48ead0c // indirect
	rsc.io/quote v1.5.2
	rsc.io/sampler v1.3.0 // indirect
)
-- repo/go.sum --
golang.org/x/text v0.0.0-20170915032832-14c0d48ead0c h1:qgOY6WgZOaTkIIMiVjBQcw93ERBE4m30iBm00nkL0i8=
golang.org/x/text v0.0.0-20170915032832-14c0d48ead0c/go.mod h1:NqM8EUOU14njkJ3fqMW+pc6Ldnwhi/IjpwHt7yyuwOQ=
rsc.io/quote v1.5.2 h1:w5fcysjrx7yqtD/aO+QwRjYZOKnaM9Uh2b40tElTs3Y=
rsc.io/quote v1.5.2/go.mod h1:LzX7hefJvL54yjefDEDHNONDjII0t9xZLPXsUe+TKr0=
rsc.io/sampler v1.3.0 h1:7uVkIFmeBqHfdjD+gZwtXXI+RODJ2Wc4O7MPEh/QiW4=
rsc.io/sampler v1.3.0/go.mod h1:T1hPZKmBbMNahiBKFy5HrXp6adAjACjK9JXDnKaTXpA=
-- repo/m.go --
package main

import (
	"fmt"

	"rsc.io/quote"
)

func main() { fmt.Println(quote.Hello()) }
-- repo/m_test.go --
package main

import "testing"

func TestNothing(t *testing.T) {}
`), map[string]string{"VERSION": version})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Upstream's lists for go1.20, which its own integration cases compare with.
const standard120 = "bytes errors fmt internal/abi internal/bytealg internal/coverage/rtcov internal/cpu internal/fmtsort internal/goarch internal/goexperiment internal/goos internal/itoa internal/oserror internal/poll internal/race internal/reflectlite internal/safefilepath internal/syscall/execenv internal/syscall/unix internal/testlog internal/unsafeheader io io/fs math math/bits os path reflect runtime runtime/internal/atomic runtime/internal/math runtime/internal/sys runtime/internal/syscall sort strconv strings sync sync/atomic syscall time unicode unicode/utf8 unsafe"

func TestLiveQuote(t *testing.T) {
	fetcher, newLive := live(t)
	tools := t.TempDir()
	res := quote(t, "1.20").Run(t, newLive(tools), fetcher)
	if res.Err != nil {
		t.Fatal(res.Err)
	}
	const version = "v0.0.0-20240102030401-58c88e4952e9"
	want := strings.ReplaceAll(`gomod ex.org/m VERSION
  gomod golang.org/x/text v0.0.0-20170915032832-14c0d48ead0c
  gomod rsc.io/quote v1.5.2
  gomod rsc.io/sampler v1.3.0
go-package ex.org/m VERSION
  go-package golang.org/x/text/internal/tag v0.0.0-20170915032832-14c0d48ead0c
  go-package golang.org/x/text/language v0.0.0-20170915032832-14c0d48ead0c
  go-package rsc.io/quote v1.5.2
  go-package rsc.io/sampler v1.3.0
  (standard library)
`, "VERSION", version)
	if diff := cmp.Diff(want, resolvertest.Packages(res.Output)); diff != "" {
		t.Errorf("G50, G51 (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(strings.Fields(standard120), standardPackages(res.Output)); diff != "" {
		t.Errorf("G29 standard packages (-want +got):\n%s", diff)
	}
	if got := resolvertest.Entries(res.Output.Deps); strings.Contains(got, toolchainModule) {
		t.Errorf("G30: the bundle holds a toolchain:\n%s", got)
	}
	if got := resolvertest.Entries(res.Output.Overlays); got != "" {
		t.Errorf("the tree is dirty: %s", got)
	}
	t.Run("G75 offline", func(t *testing.T) {
		buildOffline(t, "go", res, []string{"build", "./..."}, []string{"test", "./..."}, []string{"mod", "vendor"})
	})
	t.Run("a second request fetches no toolchain", func(t *testing.T) {
		before := len(fetcher.Requests())
		if again := quote(t, "1.20").Run(t, newLive(tools), fetcher); again.Err != nil {
			t.Fatal(again.Err)
		}
		for _, u := range fetcher.Requests()[before:] {
			if strings.Contains(u, toolchainModule) {
				t.Errorf("asked for %s", u)
			}
		}
	})
}

func standardPackages(out resolver.Output) []string {
	var names []string
	for name, v := range dependencies(out, typePackage) {
		if v == nil {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func TestLiveToolchains(t *testing.T) {
	fetcher, newLive := live(t)
	tests := []struct {
		name, version, toolchain string
		standard                 int
	}{
		{"G28 nothing newer than 1.20", "1.13", "go1.20", 43},
		{"G28 exactly 1.21.9", "1.21.9", "go1.21.9", 44},
		{"G28 1.22 is 1.22.0", "1.22", "go1.22.0", 47},
	}
	tools := t.TempDir()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			res := quote(t, tt.version).Run(t, newLive(tools), fetcher)
			if res.Err != nil {
				t.Fatal(res.Err)
			}
			if !strings.Contains(res.Log, "toolchain="+tt.toolchain+"\n") {
				t.Errorf("want %s, the log says:\n%s", tt.toolchain, res.Log)
			}
			if got := len(standardPackages(res.Output)); got != tt.standard {
				t.Errorf("got %d standard packages, want %d", got, tt.standard)
			}
		})
	}
	t.Run("G28 a release that does not exist", func(t *testing.T) {
		res := quote(t, "1.999").Run(t, newLive(tools), fetcher)
		f := fault.From(res.Err)
		if f == nil || f.Type != fault.UnsupportedFeature || f.Message != "Required/recommended Go toolchain version '1.999' is not supported yet." {
			t.Errorf("got %v", res.Err)
		}
	})
}

// go1.20 would write a go line into this go.mod; the bundle's is the commit's, and builds.
func TestLiveGoModWithoutGoLine(t *testing.T) {
	fetcher, newLive := live(t)
	s := quote(t, "1.20")
	s.Repo["go.mod"] = []byte("module ex.org/m\n\nrequire rsc.io/quote v1.5.2\n")
	res := s.Run(t, newLive(t.TempDir()), fetcher)
	if res.Err != nil {
		t.Fatal(res.Err)
	}
	if got := resolvertest.Entries(res.Output.Overlays); got != "" {
		t.Errorf("the tree is dirty: %s", got)
	}
	buildOffline(t, "go", res, []string{"build", "./..."})
}

func TestLiveDependencyNeedsNewerGo(t *testing.T) {
	fetcher, newLive := live(t)
	s, err := resolvertest.Parse([]byte(`
-- repo/go.mod --
module ex.org/m

go 1.21

require golang.org/x/text v0.23.0
-- repo/m.go --
package m

import _ "golang.org/x/text/language"
`), nil)
	if err != nil {
		t.Fatal(err)
	}
	before := string(s.Repo["go.mod"])
	res := s.Run(t, newLive(t.TempDir()), fetcher)
	f := fault.From(res.Err)
	if f == nil || f.Type != fault.InvalidRepoStructure || f.Origin != fault.OriginClient ||
		!strings.Contains(f.Message, "golang.org/x/text@v0.23.0") || !strings.Contains(f.Message, "requires go >= 1.23.0") {
		t.Errorf("G28b: got %v, want InvalidRepoStructure that names the module", res.Err)
	}
	after, err := os.ReadFile(res.Source + "/go.mod")
	if err != nil || string(after) != before {
		t.Errorf("G28b: go.mod is changed:\n%s", after)
	}
}
