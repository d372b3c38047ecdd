package gomod

import (
	"log/slog"
	"maps"
	"net/http"
	"os/exec"
	"path"
	"strings"
	"testing"

	"github.com/cachito-serverless/cachito/shared/resolver"
	"github.com/cachito-serverless/cachito/shared/resolver/gomod/gomodtest"
	"github.com/cachito-serverless/cachito/shared/resolver/resolvertest"
)

var update = resolvertest.UpdateFlag()

// proxyHost is where the scenarios' module proxy is.
const proxyHost = "proxy.example"

// TestScenarios runs the real go command of the machine: GOVERSION in the files is its release, so that
// no other toolchain is needed. Modules have a complete go.sum unless the scenario brings one.
func TestScenarios(t *testing.T) {
	expand := map[string]string{"GOVERSION": installedGo(t)}
	resolvertest.RunFolder(t, "testdata", expand, *update, func(t *testing.T, s resolvertest.Scenario) resolvertest.Result {
		proxy := newProxy(t, &s)
		return s.Run(t, newResolver(t, s.Request.Settings), resolvertest.NewFetcher(t, map[string]http.Handler{proxyHost: proxy}))
	})
}

func installedGo(t testing.TB) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "env", "GOVERSION")
	cmd.Dir = t.TempDir()
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("the go command is needed for these tests: %v", err)
	}
	return strings.TrimPrefix(strings.TrimSpace(string(out)), "go")
}

// newProxy serves the scenario's registry, and completes go.sum.
func newProxy(t testing.TB, s *resolvertest.Scenario) *gomodtest.Proxy {
	t.Helper()
	proxy, err := gomodtest.NewProxy(s.Registry)
	if err != nil {
		t.Fatal(err)
	}
	sum, err := proxy.GoSum()
	if err != nil {
		t.Fatal(err)
	}
	s.Repo = maps.Clone(s.Repo)
	for name := range maps.Clone(s.Repo) {
		goSum := path.Join(path.Dir(name), "go.sum")
		if path.Base(name) == "go.mod" && s.Repo[goSum] == nil && sum != "" && !strings.Contains(name, "vendor/") {
			s.Repo[goSum] = []byte(sum)
		}
	}
	return proxy
}

func newResolver(t testing.TB, extra map[string]string) resolver.Resolver {
	t.Helper()
	values := map[string]string{"goproxy": "https://" + proxyHost, "gosumdb": "off"}
	maps.Copy(values, extra)
	r, err := New(resolver.Settings{Values: values, Local: resolver.LocalSettings{ToolDir: t.TempDir()}})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }
