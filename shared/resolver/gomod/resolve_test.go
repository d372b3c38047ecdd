package gomod

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/resolver"
	"github.com/cachito-serverless/cachito/shared/resolver/resolvertest"
)

// withX is a module that uses a.org/x and parts of the standard library.
const withX = `
-- repo/go.mod --
module ex.org/m

go GOVERSION

require a.org/x v1.0.0
-- repo/m.go --
package main

import (
	"a.org/x"
	_ "net/http"
)

func main() { x.X() }
-- registry/a.org/x@v1.0.0/x.go --
package x

func X() {}
`

func scenario(t testing.TB, text string) resolvertest.Scenario {
	t.Helper()
	s, err := resolvertest.Parse([]byte(text), map[string]string{"GOVERSION": installedGo(t)})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// resolve runs a scenario; handler, when not nil, wraps its module proxy.
func resolve(t testing.TB, s resolvertest.Scenario, wrap func(http.Handler) http.Handler) (resolvertest.Result, *resolvertest.Fetcher) {
	t.Helper()
	var proxy http.Handler = newProxy(t, &s)
	if wrap != nil {
		proxy = wrap(proxy)
	}
	fetcher := resolvertest.NewFetcher(t, map[string]http.Handler{proxyHost: proxy})
	return s.Run(t, newResolver(t, s.Request.Settings), fetcher), fetcher
}

func mustResolve(t testing.TB, s resolvertest.Scenario) resolvertest.Result {
	t.Helper()
	res, _ := resolve(t, s, nil)
	if res.Err != nil {
		t.Fatal(res.Err)
	}
	return res
}

func dependencies(out resolver.Output, kind string) map[string]*string {
	found := map[string]*string{}
	for _, p := range out.Packages {
		for _, d := range p.Dependencies {
			if d.Type == kind {
				found[d.Name] = d.Version
			}
		}
	}
	return found
}

func TestEnvironmentVariables(t *testing.T) {
	res := mustResolve(t, scenario(t, withX))
	want := map[string]request.EnvironmentVariable{
		"GOCACHE":    {Value: "deps/gomod", Kind: "path"},
		"GOPATH":     {Value: "deps/gomod", Kind: "path"},
		"GOMODCACHE": {Value: "deps/gomod/pkg/mod", Kind: "path"},
		"GOSUMDB":    {Value: "off", Kind: "literal"},
		"GOPROXY":    {Value: "off", Kind: "literal"},
	}
	if diff := cmp.Diff(want, res.Output.EnvironmentVariables); diff != "" {
		t.Errorf("G24 (-want +got):\n%s", diff)
	}
	empty := mustResolve(t, scenario(t, "-- repo/README --\n"))
	if got := empty.Output.EnvironmentVariables; len(got) > 0 {
		t.Errorf("G20 no go.mod: got %v, want none", got)
	}
}

func TestStandardLibrary(t *testing.T) {
	deps := dependencies(mustResolve(t, scenario(t, withX)).Output, typePackage)
	for _, name := range []string{"net/http", "vendor/golang.org/x/net/http/httpguts", "unsafe", "runtime/cgo"} {
		if v, ok := deps[name]; !ok || v != nil {
			t.Errorf("G65 %s: got (%v, %v), want it with version null", name, v, ok)
		}
	}
	s := scenario(t, withX)
	s.Request.Flags = []string{flagCgoDisable}
	if _, ok := dependencies(mustResolve(t, s).Output, typePackage)["runtime/cgo"]; ok {
		t.Error("G41 cgo-disable: runtime/cgo is among the dependencies of net")
	}
}

func TestProxyTroublePasses(t *testing.T) {
	calls := map[string]int{}
	res, fetcher := resolve(t, scenario(t, withX), func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, ".zip") {
				if calls[r.URL.Path]++; calls[r.URL.Path] <= 2 {
					http.Error(w, "busy", http.StatusServiceUnavailable)
					return
				}
			}
			next.ServeHTTP(w, r)
		})
	})
	if res.Err != nil {
		t.Fatalf("G44: %v", res.Err)
	}
	zips := 0
	for _, u := range fetcher.Requests() {
		if strings.HasSuffix(u, ".zip") {
			zips++
		}
	}
	if zips != 3 {
		t.Errorf("G44: the zip was asked for %d times, want 3", zips)
	}
}

func TestProxyTroubleThatStays(t *testing.T) {
	tests := []struct {
		name   string
		status int
		origin fault.Origin
		kind   fault.Type
		tries  int
	}{
		{"503", http.StatusServiceUnavailable, fault.OriginServer, fault.NetworkError, 6},
		{"403", http.StatusForbidden, fault.OriginClient, fault.NetworkError, 1},
		{"404", http.StatusNotFound, fault.OriginClient, fault.InvalidRequestData, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := scenario(t, withX)
			s.Request.Settings = map[string]string{"goproxy": "https://user:secret@" + proxyHost + "/go"}
			res, fetcher := resolve(t, s, func(http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.Error(w, "no", tt.status) })
			})
			f := fault.From(res.Err)
			if f == nil || f.Origin != tt.origin || f.Type != tt.kind || fault.MayPass(res.Err) != (tt.origin == fault.OriginServer) {
				t.Fatalf("got %v, want %s of the %s", res.Err, tt.kind, tt.origin)
			}
			if !strings.Contains(f.Message, "https://"+proxyHost+"/go/a.org/x/@v/v1.0.0.") {
				t.Errorf("the message does not name the real URL: %s", f.Message)
			}
			for _, secret := range []string{"secret", "127.0.0.1", res.Source} {
				if strings.Contains(f.Message+res.Log, secret) {
					t.Errorf("the message or log holds %q: %s", secret, f.Message)
				}
			}
			asked := map[string]int{}
			for _, u := range fetcher.Requests() {
				asked[u]++
			}
			for u, n := range asked {
				// Once ahead and once by go itself, for what is final; never a third time.
				if n > 2*tt.tries {
					t.Errorf("%s was asked for %d times, want at most %d", u, n, 2*tt.tries)
				}
			}
		})
	}
}

func TestWrongHashIsTriedOnce(t *testing.T) {
	s := scenario(t, withX)
	const bad = "h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
	proxy := newProxy(t, &s)
	sum, err := proxy.GoSum()
	if err != nil {
		t.Fatal(err)
	}
	good, _, _ := strings.Cut(strings.TrimPrefix(sum, "a.org/x v1.0.0 "), "\n")
	s.Repo["go.sum"] = []byte(strings.Replace(sum, good, bad, 1))
	res, fetcher := resolve(t, s, nil)
	f := fault.From(res.Err)
	if f == nil || f.Type != fault.InvalidChecksum || f.Origin != fault.OriginClient || !strings.Contains(f.Message, "a.org/x@v1.0.0") {
		t.Errorf("G43: got %v, want InvalidChecksum that names a.org/x@v1.0.0", res.Err)
	}
	zips := 0
	for _, u := range fetcher.Requests() {
		if strings.HasSuffix(u, ".zip") {
			zips++
		}
	}
	if zips != 1 {
		t.Errorf("G43: got %d tries, want 1", zips)
	}
}

func TestZipBombIsRefused(t *testing.T) {
	bomb := zipOf(t, map[string]uint64{"a.org/x@v1.0.0/x.go": MaxModuleUnpackedBytes + 1})
	res, _ := resolve(t, scenario(t, withX), func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, ".zip") {
				w.Write(bomb)
				return
			}
			next.ServeHTTP(w, r)
		})
	})
	f := fault.From(res.Err)
	if f == nil || f.Type != fault.UnsupportedFeature || f.Origin != fault.OriginClient || !strings.Contains(f.Message, "a.org/x@v1.0.0.zip unpacks to more than") {
		t.Errorf("got %v, want UnsupportedFeature of the client", res.Err)
	}
}

// TestSharedCache is what G72 wants without its function: all paths of a request share one cache, so
// there are no caches (and no list files) to merge.
func TestSharedCache(t *testing.T) {
	data, err := os.ReadFile("testdata/G71_two_versions_of_a_module.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range mustResolve(t, scenario(t, string(data))).Output.Deps {
		if strings.HasSuffix(e.Path, "/rsc.io/quote/@v/list") {
			if got, want := string(e.Inline), "v1.9.0\nv1.10.0\n"; got != want {
				t.Errorf("G71 list: got %q, want %q", got, want)
			}
			return
		}
	}
	t.Error("G71: there is no list of rsc.io/quote")
}

func TestToolchainStaysOutOfTheBundle(t *testing.T) {
	cache := filepath.Join(t.TempDir(), "mod")
	for _, name := range []string{"golang.org/toolchain/@v/v0.0.1-go1.22.5.linux-amd64.mod", "sumdb/sum.example/latest.mod", "a.org/x/@v/v1.0.0.lock", "a.org/x/@v/v1.0.0.mod"} {
		file := filepath.Join(cache, "cache", "download", filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte("module m\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	r := &run{folders: folders{modCache: cache}}
	got, err := r.bundledCache(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := "gomod/pkg/mod/cache/download/\ngomod/pkg/mod/cache/download/a.org/x/@v/list\ngomod/pkg/mod/cache/download/a.org/x/@v/v1.0.0.mod\n"
	if diff := cmp.Diff(want, resolvertest.Entries(got)); diff != "" {
		t.Errorf("G30 (-want +got):\n%s", diff)
	}
}

func TestUnverifiedModules(t *testing.T) {
	s := scenario(t, withX)
	s.Repo["m.go"] = []byte("package m\n")
	s.Repo["go.sum"] = []byte("\n")
	if diff := cmp.Diff([]string{"pkg:golang/a.org%2Fx@v1.0.0"}, mustResolve(t, s).Output.Unverified); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := mustResolve(t, scenario(t, withX)).Output.Unverified; len(got) > 0 {
		t.Errorf("with a complete go.sum: got %v, want none", got)
	}
}

func TestChecksums(t *testing.T) {
	out := mustResolve(t, scenario(t, withX)).Output
	want := map[string][]string{}
	for _, e := range out.Deps {
		if strings.HasSuffix(e.Path, "/a.org/x/@v/v1.0.0.zip") {
			want["pkg:golang/a.org%2Fx@v1.0.0"] = []string{e.File.SHA256}
		}
	}
	if diff := cmp.Diff(want, out.Checksums); diff != "" || len(want) != 1 {
		t.Errorf("the zip's digest by the module's purl (-want +got):\n%s", diff)
	}
}

// The same input gives the same output, whatever is in the cache and whoever runs it.
func TestOutputIsDeterministic(t *testing.T) {
	s := scenario(t, withX)
	proxy := newProxy(t, &s)
	fetcher := resolvertest.NewFetcher(t, map[string]http.Handler{proxyHost: proxy})
	r := newResolver(t, nil)
	var outputs []string
	for range 3 {
		res := s.Run(t, r, fetcher)
		if res.Err != nil {
			t.Fatal(res.Err)
		}
		raw, err := json.Marshal(res.Output)
		if err != nil {
			t.Fatal(err)
		}
		outputs = append(outputs, string(raw))
	}
	if outputs[0] != outputs[1] || outputs[0] != outputs[2] {
		t.Errorf("outputs differ:\n%s", cmp.Diff(outputs[0], outputs[1]))
	}
}

func TestGoModIsKept(t *testing.T) {
	const before = "module ex.org/m\n"
	root := testTree(t, map[string]string{"sub/go.mod": before})
	r := &run{in: resolver.Input{Source: root, Log: discard()}}
	err := r.keepingGoMod(t.Context(), "sub", func() error {
		return root.WriteFile("sub/go.mod", []byte(before+"\ngo 1.20\n"), 0o644)
	})
	got, readErr := root.ReadFile("sub/go.mod")
	if err != nil || readErr != nil || string(got) != before {
		t.Errorf("got %q (%v, %v), want %q", got, err, readErr, before)
	}
	broken := errors.New("broken")
	if err := r.keepingGoMod(t.Context(), "sub", func() error { return broken }); !errors.Is(err, broken) {
		t.Errorf("got %v, want the work's error", err)
	}
}

func TestProgress(t *testing.T) {
	res := mustResolve(t, scenario(t, withX))
	if len(res.Progress) != 1 || res.Progress[0].Done != 1 || res.Progress[0].Total != 1 || res.Progress[0].Bytes == 0 {
		t.Errorf("got %+v, want one of one module", res.Progress)
	}
}

// TestOfflineBuild is the promise of the bundle: it builds in a folder of another name, with nothing but
// the variables and no network.
func TestOfflineBuild(t *testing.T) {
	data, err := os.ReadFile("testdata/G55_replacement_by_another_version.txtar")
	if err != nil {
		t.Fatal(err)
	}
	// Without the standard library, which would take half a minute to compile.
	const plain = `
-- repo/go.mod --
module ex.org/m

go GOVERSION

require a.org/x v1.0.0
-- repo/m.go --
package m

import "a.org/x"

func M() { x.X() }
-- registry/a.org/x@v1.0.0/x.go --
package x

func X() {}
`
	build, verify := []string{"build", "./..."}, []string{"mod", "verify"}
	for _, tt := range []struct {
		name, text string
		commands   [][]string
	}{
		{"downloaded", plain, [][]string{build, verify, {"mod", "download"}, {"mod", "tidy"}, {"mod", "vendor"}}},
		{"vendored", "-- request.json --\n{\"flags\": [\"gomod-vendor\"]}" + plain, [][]string{build}},
		{"replaced and tidied", string(data), [][]string{build, verify}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			buildOffline(t, "go", mustResolve(t, scenario(t, tt.text)), tt.commands...)
		})
	}
}

// buildOffline unpacks the bundle and runs go commands in it.
func buildOffline(t *testing.T, goCommand string, res resolvertest.Result, commands ...[]string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "somewhere else")
	res.Unpack(t, dir)
	env := append(os.Environ(), "HOME="+t.TempDir(), "GOFLAGS=-modcacherw", "GOENV=off", "GOTOOLCHAIN=local",
		"HTTPS_PROXY=http://127.0.0.1:1", "HTTP_PROXY=http://127.0.0.1:1")
	for name, v := range res.Output.EnvironmentVariables {
		if v.Kind == "path" {
			v.Value = filepath.Join(dir, v.Value)
		}
		env = append(env, name+"="+v.Value)
	}
	for _, args := range commands {
		cmd := exec.CommandContext(t.Context(), goCommand, args...)
		cmd.Dir, cmd.Env = filepath.Join(dir, "app"), env
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("go %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

func TestCancelledRunEndsAtOnce(t *testing.T) {
	s := scenario(t, withX)
	ctx, cancel := context.WithCancel(t.Context())
	blocked := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	})
	start := time.Now()
	newProxy(t, &s)
	res := s.RunContext(ctx, t, newResolver(t, nil), resolvertest.NewFetcher(t, map[string]http.Handler{proxyHost: blocked}))
	if !errors.Is(res.Err, context.Canceled) {
		t.Errorf("got %v, want the context's error", res.Err)
	}
	if took := time.Since(start); took > killWait {
		t.Errorf("it took %v to stop", took)
	}
}

// script makes an executable that stands for the go command.
func script(t *testing.T, text string) string {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("needs a shell")
	}
	name := filepath.Join(t.TempDir(), "go")
	if err := os.WriteFile(name, []byte("#!/bin/sh\n"+text), 0o755); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestGoCommandTrouble(t *testing.T) {
	tests := []struct {
		name, command string
		want          string
		kind          fault.Type
		final         bool
	}{
		{"not installed", "/no/such/go", "The go command is not installed on the worker", fault.GoModError, true},
		{"no version", script(t, "echo something else\n"), "Could not extract Go toolchain version from Go's output: 'something else'", fault.GoModError, true},
		{"old", script(t, "echo go version go1.19.1 linux/amd64\n"), "The go command on the worker (go1.19.1) cannot switch to go", fault.GoModError, true},
		{"fails", script(t, "echo broken at $HOME >&2; exit 3\n"), "Go execution failed: `go version` failed with rc=3: broken at $SCRATCH/home", fault.GoModError, false},
		{
			"release that does not exist", script(t, "[ $GOTOOLCHAIN = local ] && echo go version go1.21.1 linux/amd64 && exit\necho go: download go1.99 for linux/amd64: toolchain not available >&2; exit 1\n"),
			"Required/recommended Go toolchain version '" + installedGo(t) + "' is not supported yet.", fault.UnsupportedFeature, true,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := scenario(t, withX)
			s.Request.Settings = map[string]string{"go_command": tt.command}
			res, _ := resolve(t, s, nil)
			f := fault.From(res.Err)
			if f == nil || !strings.HasPrefix(f.Message, tt.want) || f.Type != tt.kind || f.Final != tt.final {
				t.Errorf("got %#v, want %s: %s", f, tt.kind, tt.want)
			}
		})
	}
}

func TestRetry(t *testing.T) {
	busy := fault.Server(fault.GoModError, "Go execution failed: `go mod download -json` failed with rc=1: busy")
	tests := []struct {
		name  string
		errs  []error // of each try; the last one stays
		tries int
		waits time.Duration
		want  string
	}{
		{"G44 passes at the third try", []error{busy, busy, nil}, 3, 3 * time.Second, ""},
		{"gives up after five", []error{busy}, 5, 15 * time.Second, "Go execution failed: Cachito re-tried running `go mod download -json` command 5 times. busy"},
		{"final", []error{fault.Client(fault.InvalidChecksum, "x")}, 1, 0, "x"},
		{"tried by the Fetcher already", []error{fault.Server(fault.NetworkError, "x").Because(&upstreamError{})}, 1, 0, "x"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start, tries := time.Now(), 0
				err := retry(t.Context(), discard(), func() error {
					tries++
					return tt.errs[min(tries, len(tt.errs))-1]
				})
				if tries != tt.tries || time.Since(start) != tt.waits {
					t.Errorf("got %d tries in %v, want %d in %v", tries, time.Since(start), tt.tries, tt.waits)
				}
				if got := message(err); got != tt.want {
					t.Errorf("got %q, want %q", got, tt.want)
				}
			})
		})
	}
}

func message(err error) string {
	if err == nil {
		return ""
	}
	return fault.From(err).Message
}

func TestSettings(t *testing.T) {
	tests := []struct {
		name   string
		values map[string]string
		want   string // begin of the error
	}{
		{"good", map[string]string{"goproxy": "https://a.example"}, ""},
		{"no proxy", nil, "setting goproxy of gomod: want at least one http or https URL"},
		{"not a boolean", map[string]string{"goproxy": "https://a.example", "strict_vendor": "maybe"}, `setting strict_vendor of gomod: want true or false, got "maybe"`},
		{"secrets are not repeated", map[string]string{"goproxy": "ftp://u:secret@a.example"}, `setting goproxy of gomod: want http or https URLs`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := New(resolver.Settings{Values: tt.values})
			if (err == nil) != (tt.want == "") || err != nil && (!strings.HasPrefix(err.Error(), tt.want) || strings.Contains(err.Error(), "secret")) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestDescriptor(t *testing.T) {
	d := Descriptor()
	types := map[string]bool{}
	for _, rule := range d.Types {
		types[rule.Type] = true
	}
	if diff := cmp.Diff(map[string]bool{typeModule: true, typePackage: true}, types); diff != "" {
		t.Errorf("types (-want +got):\n%s", diff)
	}
	if !d.NeedsTags || d.Rank != 10 || !cmp.Equal(d.Options, []resolver.Option{{Name: "path"}}) {
		t.Errorf("got %+v", d)
	}
	if !d.Detect(map[string]bool{"go.mod": true}) || d.Detect(map[string]bool{"package.json": true}) {
		t.Error("Detect: want go.mod and nothing else")
	}
	// What is reported has the key replaces for modules only.
	for _, p := range mustResolve(t, scenario(t, withX)).Output.Packages {
		for _, dep := range p.Dependencies {
			if dep.HasReplaces != (dep.Type == typeModule) {
				t.Errorf("%s %s: HasReplaces is %v", dep.Type, dep.Name, dep.HasReplaces)
			}
		}
	}
}
