package web_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cachito-serverless/cachito/shared/api"
	"github.com/cachito-serverless/cachito/shared/blob/dir"
	"github.com/cachito-serverless/cachito/shared/packages"
	queuesqlite "github.com/cachito-serverless/cachito/shared/queue/sqlite"
	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/requestlog"
	"github.com/cachito-serverless/cachito/shared/resolver/all"
	"github.com/cachito-serverless/cachito/shared/store"
	storesqlite "github.com/cachito-serverless/cachito/shared/store/sqlite"
)

const (
	repo = "https://git.example.org/team/retrodep.git"
	ref  = "c50b93a32df1c9d700e3e80996845bc2e13be848"

	identityHeader = "X-Remote-User"
)

// world is the API with its pages over the embedded adapters. No resolver runs.
type world struct {
	t       testing.TB
	store   *storesqlite.Store
	blobs   *dir.Blob
	handler http.Handler
	logged  *lockedBuffer
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// now is the time of every test.
var now = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

func clock() time.Time { return now }

// emptyDatabase is a database without requests, made once: making it takes longer than most cases.
var emptyDatabase = sync.OnceValues(func() ([]byte, error) {
	folder, err := os.MkdirTemp("", "web-test-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder)
	path := filepath.Join(folder, "db")
	s, err := storesqlite.Open(context.Background(), path)
	if err != nil {
		return nil, err
	}
	if err := s.Close(); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
})

func newWorld(t testing.TB, change ...func(*api.Config, *api.Deps)) *world {
	t.Helper()
	w := &world{t: t, logged: &lockedBuffer{}}
	folder := t.TempDir()
	empty, err := emptyDatabase()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "db"), empty, 0o600); err != nil {
		t.Fatal(err)
	}
	if w.store, err = storesqlite.Open(t.Context(), filepath.Join(folder, "db"), storesqlite.WithClock(clock)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.store.Close() })
	queue, err := queuesqlite.New(t.Context(), w.store.DB(), clock)
	if err != nil {
		t.Fatal(err)
	}
	if w.blobs, err = dir.Open(filepath.Join(folder, "blobs")); err != nil {
		t.Fatal(err)
	}
	config := api.Config{
		PackageManagers: []string{"gomod", "npm", "pip", "git-submodule", "yarn", "rubygems"}, DefaultPackageManagers: []string{"gomod"},
		MutuallyExclusive: [][2]string{{"npm", "yarn"}, {"gomod", "git-submodule"}},
		MaxPerPage:        100, LogsEnabled: true, LoginDisabled: true, IdentityHeader: identityHeader,
	}
	deps := api.Deps{
		Store: w.store, Queue: queue, Blobs: w.blobs, Managers: all.List(), Steps: steps,
		Log: slog.New(slog.NewTextHandler(w.logged, nil)), Clock: clock,
	}
	for _, f := range change {
		f(&config, &deps)
	}
	if w.handler, err = api.New(config, deps); err != nil {
		t.Fatal(err)
	}
	return w
}

func steps(managers []string) []string {
	names := []string{"source"}
	for _, m := range managers {
		names = append(names, "resolve-"+m)
	}
	return append(names, "bundle")
}

// get asks for a page; header has names and values in turn.
func (w *world) get(target string, header ...string) *httptest.ResponseRecorder {
	w.t.Helper()
	return w.ask(httptest.NewRequestWithContext(w.t.Context(), http.MethodGet, target, nil), header...)
}

// post sends a form.
func (w *world) post(target string, form url.Values, header ...string) *httptest.ResponseRecorder {
	w.t.Helper()
	r := httptest.NewRequestWithContext(w.t.Context(), http.MethodPost, target, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return w.ask(r, header...)
}

func (w *world) ask(r *http.Request, header ...string) *httptest.ResponseRecorder {
	w.t.Helper()
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	out := httptest.NewRecorder()
	w.handler.ServeHTTP(out, r)
	return out
}

// made is what a request in the store is to be.
type made struct {
	repo, user   string
	managers     []string
	state        request.State // "" is complete
	reason       string
	packages     []packages.Package
	variables    map[string]request.EnvironmentVariable
	files        [][2]string // path, content
	log          []string
	flags        []string
	options      map[string]string // by manager
	replacements []request.Replacement
}

// add stores a request as the pipeline leaves it.
func (w *world) add(m made) int64 {
	w.t.Helper()
	ctx := w.t.Context()
	check := func(err error) {
		w.t.Helper()
		if err != nil {
			w.t.Fatal(err)
		}
	}
	if m.repo == "" {
		m.repo = repo
	}
	fresh := store.New{Repo: m.repo, Ref: ref, PackageManagers: m.managers, User: m.user, Flags: m.flags, Replacements: m.replacements, Steps: steps(m.managers)}
	for name, text := range m.options {
		if fresh.Packages == nil {
			fresh.Packages = map[string]json.RawMessage{}
		}
		fresh.Packages[name] = json.RawMessage(text)
	}
	req, err := w.store.Create(ctx, fresh)
	check(err)
	for _, f := range m.files {
		text := base64.StdEncoding.EncodeToString([]byte(f[1]))
		key := request.ConfigFileKey(text)
		check(w.blobs.Put(ctx, key, []byte(text), true))
		check(w.store.AddConfigFiles(ctx, req.ID, []request.ConfigFile{{Path: f[0], Key: key}}))
	}
	if len(m.log) > 0 {
		writer := requestlog.New(w.blobs, req.ID, clock)
		for _, line := range m.log {
			writer.Logger().InfoContext(ctx, line)
		}
		check(writer.Close(ctx))
	}
	switch m.state {
	case request.StateInProgress:
		return req.ID
	case request.StateFailed:
		_, err := w.store.Update(ctx, req.ID, store.Update{State: m.state, Reason: m.reason, ErrorOrigin: "client", ErrorType: "InvalidChecksum"})
		check(err)
		return req.ID
	}
	var data bytes.Buffer
	all := packages.Data{Packages: m.packages}
	all.Sort()
	check(packages.Encode(&data, all))
	key := "packages/" + hex.EncodeToString([]byte{byte(req.ID >> 8), byte(req.ID)})
	check(w.blobs.Put(ctx, key, data.Bytes(), true))
	n, d := packages.Counts(all)
	_, err = w.store.Update(ctx, req.ID, store.Update{
		State: request.StateComplete, Reason: request.ReasonComplete, EnvironmentVariables: m.variables, PackagesKey: &key, PackagesCount: &n, DependenciesCount: &d,
		Bundle: &request.Bundle{Key: "bundles/x", SHA256: strings.Repeat("ab", 32), Size: 1_234_567},
	})
	check(err)
	if m.state == request.StateStale {
		_, err := w.store.Update(ctx, req.ID, store.Update{State: request.StateStale, Reason: request.ReasonExpired})
		check(err)
	}
	return req.ID
}

func version(s string) *string { return &s }

// quoteJSON is a JSON string.
func quoteJSON(s string) string {
	raw, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(raw)
}
