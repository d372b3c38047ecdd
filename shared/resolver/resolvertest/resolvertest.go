// Package resolvertest runs a resolver on a scenario: a small repository, a request and the registries
// around them, all in memory but the work tree. Its Fetcher is a small real one, so a resolver is tested
// whole, without network.
//
// A scenario is a txtar file (https://pkg.go.dev/github.com/rogpeppe/go-internal/txtar):
//
//	A comment: what is shown here.
//	-- request.json --
//	{"packages": [{"path": "sub"}], "flags": ["cgo-disable"], "tags": [{"name": "v1.0.0", "on_ref": true}]}
//	-- repo/go.mod --
//	module ex.org/m
//	-- registry/a.org/x@v1.0.0/x.go --
//	package x
//	-- want/packages --
//	gomod ex.org/m v1.0.0
//
// Files below repo/ are the work tree, those below registry/ are for the test to serve, those below
// want/ are compared (Check). What is missing below want/ is not compared.
package resolvertest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/resolver"
)

// Ref is the commit of scenarios that name none.
const Ref = "58c88e4952e95935c0dd72d4a24b0c44f2249f5b"

// CommitTime is its committer time.
var CommitTime = time.Date(2024, 1, 2, 3, 4, 1, 0, time.UTC)

// Scenario is a parsed txtar file.
type Scenario struct {
	Request Request
	// Repo, Registry and Want are the files below the folders of that name.
	Repo, Registry, Want map[string][]byte
	// Git is the resolver's way to repositories; nil when it must need none.
	Git resolver.Repositories
}

// Request is the content of request.json; every key may be missing.
type Request struct {
	URL          string                `json:"url"`
	Ref          string                `json:"ref"`
	CommitTime   time.Time             `json:"commit_time"`
	Packages     json.RawMessage       `json:"packages"`
	Flags        []string              `json:"flags"`
	Replacements []request.Replacement `json:"dependency_replacements"`
	Tags         []resolver.Tag        `json:"tags"`
	Submodules   []Submodule           `json:"submodules"`
	// Settings of the resolver.
	Settings map[string]string `json:"settings"`
	// Links, Executables and (empty) Folders of the work tree: txtar has plain files only.
	Links       map[string]string `json:"links"`
	Executables []string          `json:"executables"`
	Folders     []string          `json:"folders"`
}

// Submodule of the scenario's repository.
type Submodule struct {
	Path       string         `json:"path"`
	Ref        string         `json:"ref"`
	CommitTime time.Time      `json:"commit_time"`
	Tags       []resolver.Tag `json:"tags"`
}

// Parse reads a scenario. In every file each key of expand is replaced by its value.
func Parse(data []byte, expand map[string]string) (Scenario, error) {
	for from, to := range expand {
		data = bytes.ReplaceAll(data, []byte(from), []byte(to))
	}
	s := Scenario{Repo: map[string][]byte{}, Registry: map[string][]byte{}, Want: map[string][]byte{}}
	s.Request = Request{URL: "https://ex.org/repo.git", Ref: Ref, CommitTime: CommitTime}
	for _, f := range txtar.Parse(data).Files {
		folder, name, _ := strings.Cut(f.Name, "/")
		switch folder {
		case "repo":
			s.Repo[name] = f.Data
		case "registry":
			s.Registry[name] = f.Data
		case "want":
			s.Want[name] = f.Data
		case "request.json":
			d := json.NewDecoder(bytes.NewReader(f.Data))
			d.DisallowUnknownFields()
			if err := d.Decode(&s.Request); err != nil {
				return s, fmt.Errorf("request.json: %w", err)
			}
		default:
			return s, fmt.Errorf("file %s: want it below repo/, registry/ or want/", f.Name)
		}
	}
	return s, nil
}

// Result of a run.
type Result struct {
	Output  resolver.Output
	Err     error
	Reasons []string
	// Log is the request's log, as text.
	Log      string
	Progress []request.Progress
	// Source is the folder of the work tree, as the resolver left it.
	Source string

	scenario Scenario
	fetcher  *Fetcher
}

// Run runs the resolver. Its folders are removed when the test ends.
func (s Scenario) Run(t testing.TB, r resolver.Resolver, fetcher *Fetcher) Result {
	return s.RunContext(t.Context(), t, r, fetcher)
}

// RunContext is Run with a context of the caller's.
func (s Scenario) RunContext(ctx context.Context, t testing.TB, r resolver.Resolver, fetcher *Fetcher) Result {
	t.Helper()
	dir := t.TempDir()
	in := resolver.Input{
		Source:       s.writeRepo(t, filepath.Join(dir, "source")),
		Scratch:      openRoot(t, filepath.Join(dir, "scratch")),
		Repo:         s.repo(),
		Options:      s.Request.Packages,
		Flags:        s.Request.Flags,
		Replacements: s.Request.Replacements,
		Fetcher:      fetcher,
		Git:          s.Git,
	}
	res := Result{scenario: s, fetcher: fetcher, Source: filepath.Join(dir, "source")}
	var (
		mu  sync.Mutex
		log bytes.Buffer
	)
	in.Log = slog.New(slog.NewTextHandler(&log, nil))
	in.Reason = func(_ context.Context, text string) error {
		res.Reasons = append(res.Reasons, text)
		return nil
	}
	in.Progress = func(p request.Progress) {
		mu.Lock()
		defer mu.Unlock()
		res.Progress = append(res.Progress, p)
	}
	res.Output, res.Err = r.Resolve(ctx, in)
	res.Log = log.String()
	return res
}

func (s Scenario) repo() resolver.Repo {
	repo := resolver.Repo{URL: s.Request.URL, Ref: s.Request.Ref, CommitTime: s.Request.CommitTime, Tags: s.Request.Tags}
	for _, sub := range s.Request.Submodules {
		repo.Submodules = append(repo.Submodules, resolver.Submodule{
			Name: sub.Path, Path: sub.Path, URL: s.Request.URL + "-" + sub.Path,
			Repo: resolver.Repo{Ref: sub.Ref, CommitTime: sub.CommitTime, Tags: sub.Tags},
		})
	}
	return repo
}

func (s Scenario) writeRepo(t testing.TB, dir string) *os.Root {
	t.Helper()
	root := openRoot(t, dir)
	for name, data := range s.Repo {
		mode := os.FileMode(0o644)
		if slices.Contains(s.Request.Executables, name) {
			mode = 0o755
		}
		must(t, root.MkdirAll(path.Dir(name), 0o755))
		must(t, root.WriteFile(name, data, mode))
	}
	for _, name := range s.Request.Folders {
		must(t, root.MkdirAll(name, 0o755))
	}
	for name, target := range s.Request.Links {
		must(t, root.MkdirAll(path.Dir(name), 0o755))
		must(t, os.Symlink(target, filepath.Join(dir, name)))
	}
	return root
}

func openRoot(t testing.TB, dir string) *os.Root {
	t.Helper()
	must(t, os.MkdirAll(dir, 0o755))
	root, err := os.OpenRoot(dir)
	must(t, err)
	t.Cleanup(func() { root.Close() })
	return root
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
