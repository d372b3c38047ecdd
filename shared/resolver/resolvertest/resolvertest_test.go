package resolvertest_test

import (
	"bytes"
	"context"
	"crypto/sha512"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/fetch"
	"github.com/cachito-serverless/cachito/shared/integrity"
	"github.com/cachito-serverless/cachito/shared/packages"
	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/resolver"
	"github.com/cachito-serverless/cachito/shared/resolver/resolvertest"
)

// answer answers with these statuses, one after the other (the last one stays), and "body".
func answer(statuses ...int) http.Handler {
	n := 0
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status := statuses[min(n, len(statuses)-1)]
		n++
		w.WriteHeader(status)
		io.WriteString(w, "body")
	})
}

func TestFetcherFetch(t *testing.T) {
	sum := sha512.Sum512([]byte("body"))
	good := integrity.Digest{Algorithm: "sha512", Sum: string(sum[:])}
	bad := integrity.Digest{Algorithm: "sha512", Sum: strings.Repeat("x", 64)}
	tests := []struct {
		name     string
		handler  http.Handler
		artifact resolver.Artifact
		origin   fault.Origin // empty: no error
		kind     fault.Type
		requests int
	}{
		{"good", answer(200), resolver.Artifact{}, "", "", 1},
		{"good digest", answer(200), resolver.Artifact{Want: []integrity.Digest{good}}, "", "", 1},
		{"wrong digest", answer(200), resolver.Artifact{Want: []integrity.Digest{bad}}, fault.OriginClient, fault.InvalidChecksum, 1},
		{"too large", answer(200), resolver.Artifact{MaxBytes: 3}, fault.OriginClient, fault.UnsupportedFeature, 1},
		{"not found", answer(404), resolver.Artifact{}, fault.OriginClient, fault.NetworkError, 1},
		{"busy twice", answer(503, 503, 200), resolver.Artifact{}, "", "", 3},
		{"busy for ever", answer(503), resolver.Artifact{}, fault.OriginServer, fault.NetworkError, 6},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := resolvertest.NewFetcher(t, map[string]http.Handler{"a.example": tt.handler})
			tt.artifact.URL = "https://a.example/file"
			file, err := f.Fetch(t.Context(), tt.artifact)
			if got := len(f.Requests()); got != tt.requests {
				t.Errorf("got %d requests, want %d", got, tt.requests)
			}
			if tt.origin != "" {
				if got := fault.From(err); got == nil || got.Origin != tt.origin || got.Type != tt.kind {
					t.Errorf("got %v, want %s of the %s", err, tt.kind, tt.origin)
				}
				var status *fetch.StatusError
				if tt.kind == fault.NetworkError && !errors.As(err, &status) {
					t.Errorf("the cause of %v is no StatusError", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			r, err := f.Open(t.Context(), file)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			if got, err := io.ReadAll(r); string(got) != "body" || err != nil {
				t.Errorf("got %q (%v), want body", got, err)
			}
		})
	}
}

func TestFetcherPinsByURL(t *testing.T) {
	f := resolvertest.NewFetcher(t, map[string]http.Handler{"a.example": answer(200)})
	for range 2 {
		if _, err := f.Fetch(t.Context(), resolver.Artifact{URL: "https://a.example/file"}); err != nil {
			t.Fatal(err)
		}
	}
	if got := len(f.Requests()); got != 1 {
		t.Errorf("got %d requests, want 1", got)
	}
	if _, err := f.Fetch(t.Context(), resolver.Artifact{URL: "https://b.example/file"}); !fault.MayPass(err) {
		t.Errorf("unknown host: got %v, want a fault that may pass", err)
	}
}

// copier is a resolver that shows everything a scenario gives it.
type copier struct{}

func (copier) Resolve(ctx context.Context, in resolver.Input) (resolver.Output, error) {
	if err := in.Reason(ctx, "Copying"); err != nil {
		return resolver.Output{}, err
	}
	in.Log.InfoContext(ctx, "copied", "ref", in.Repo.Ref)
	in.Progress(request.Progress{Done: 1, Total: 1})
	text, err := in.Source.ReadFile("a/in")
	if err != nil {
		return resolver.Output{}, err
	}
	if string(text) == "fail\n" {
		return resolver.Output{}, fault.Client(fault.ValidationError, "a/in says so")
	}
	file, err := in.Fetcher.Store(ctx, bytes.NewReader(text))
	version := "1"
	return resolver.Output{
		Packages: []packages.Package{{Name: "p", Type: "t", Version: &version, Path: "a", Dependencies: []packages.Dependency{
			{Name: "d", Type: "t", Version: &version}, {Name: "std", Type: "t"},
		}}},
		Deps:     []resolver.Entry{{Path: "x", Dir: true}, {Path: "x/file", File: &file}, {Path: "x/link", Link: "file"}},
		Overlays: []resolver.Entry{{Path: "a/in", Deleted: true}, {Path: "a/out", Inline: text, Executable: true}},
		Root:     []resolver.Entry{{Path: ".rc", Inline: text}},
	}, err
}

const copied = `
-- repo/a/in --
hello
-- want/packages --
t p 1 (a)
  t d 1
  (standard library)
-- want/deps --
x/
x/file
x/link -> file
-- want/overlays --
a/in (deleted)
a/out (executable)
-- want/root --
.rc
-- want/root/.rc --
hello
-- want/app/a/out --
hello
-- want/reasons --
Copying
-- want/log --
ref=58c88e4952e95935c0dd72d4a24b0c44f2249f5b
`

func run(t *testing.T, text string) resolvertest.Result {
	t.Helper()
	s, err := resolvertest.Parse([]byte(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	return s.Run(t, copier{}, resolvertest.NewFetcher(t, nil))
}

func TestScenario(t *testing.T) {
	res := run(t, copied)
	res.Check(t)
	dir := t.TempDir()
	res.Unpack(t, dir)
	for name, want := range map[string]string{"app/a/out": "hello\n", "deps/x/file": "hello\n", "deps/x/link": "hello\n", ".rc": "hello\n"} {
		if got, err := os.ReadFile(filepath.Join(dir, name)); string(got) != want || err != nil {
			t.Errorf("%s: got %q (%v), want %q", name, got, err, want)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "app/a/in")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("app/a/in: got %v, want it gone", err)
	}
	run(t, "-- repo/a/in --\nfail\n-- want/error --\nclient ValidationError\na/in says so\n").Check(t)
}

// recorder is a testing.TB that notes failures.
type recorder struct {
	testing.TB
	failed []string
}

func (r *recorder) Helper() {}
func (r *recorder) Errorf(format string, args ...any) {
	r.failed = append(r.failed, fmt.Sprintf(format, args...))
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	panic(r)
}

// Check must find what differs: each of the want files, changed, is one failure.
func TestCheckFindsDifferences(t *testing.T) {
	for _, text := range []string{
		strings.Replace(copied, "t d 1", "t d 2", 1),
		strings.Replace(copied, "x/link -> file", "x/link -> else", 1),
		strings.Replace(copied, "a/in (deleted)", "a/in", 1),
		strings.Replace(copied, "root/.rc --\nhello", "root/.rc --\nbye", 1),
		strings.Replace(copied, "root/.rc --", "root/.other --", 1),
		strings.Replace(copied, "want/root --\n.rc", "want/root --\n.other", 1),
		strings.Replace(copied, "a/out --\nhello", "a/out --\nbye", 1),
		strings.Replace(copied, "Copying", "Moving", 1),
		strings.Replace(copied, "ref=58", "ref=59", 1),
		copied + "-- want/unheard-of --\n",
		"-- repo/a/in --\nfail\n-- want/packages --\n",
		"-- repo/a/in --\nhello\n-- want/error --\nclient ValidationError\n",
	} {
		rec := &recorder{TB: t}
		func() {
			defer func() {
				if p := recover(); p != nil && p != any(rec) {
					panic(p)
				}
			}()
			run(t, text).Check(rec)
		}()
		if len(rec.failed) != 1 {
			t.Errorf("got %d failures, want 1: %q\n%s", len(rec.failed), rec.failed, text)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, text := range []string{"-- elsewhere/file --\n", "-- request.json --\n{\"unknown\": 1}\n", "-- request.json --\nnot JSON\n"} {
		if s, err := resolvertest.Parse([]byte(text), nil); err == nil {
			t.Errorf("%q: got %v, want an error", text, cmp.Diff(nil, s))
		}
	}
}
