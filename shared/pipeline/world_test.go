package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cachito-serverless/cachito/shared/blob"
	"github.com/cachito-serverless/cachito/shared/blob/dir"
	"github.com/cachito-serverless/cachito/shared/fetch"
	"github.com/cachito-serverless/cachito/shared/gitrepo"
	"github.com/cachito-serverless/cachito/shared/gitrepo/gitrepotest"
	"github.com/cachito-serverless/cachito/shared/packages"
	"github.com/cachito-serverless/cachito/shared/queue"
	queuesqlite "github.com/cachito-serverless/cachito/shared/queue/sqlite"
	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/requestlog"
	"github.com/cachito-serverless/cachito/shared/resolver"
	"github.com/cachito-serverless/cachito/shared/resolver/gitsubmodule"
	"github.com/cachito-serverless/cachito/shared/store"
	storesqlite "github.com/cachito-serverless/cachito/shared/store/sqlite"
)

// world is what outlives a process: the data folder, a git host, a registry and the time.
type world struct {
	t        *testing.T
	data     string
	git      *gitrepotest.Server
	registry *httptest.Server

	mu      sync.Mutex
	now     time.Time
	answers map[string]func(w http.ResponseWriter) // path -> answer
	asked   []string                               // paths asked of the registry
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, data: t.TempDir(), git: gitrepotest.NewServer(t), now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	w.answers = map[string]func(http.ResponseWriter){}
	w.registry = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.mu.Lock()
		answer := w.answers[r.URL.Path]
		w.asked = append(w.asked, r.URL.Path)
		w.mu.Unlock()
		if answer == nil {
			http.NotFound(rw, r)
			return
		}
		answer(rw)
	}))
	t.Cleanup(w.registry.Close)
	w.serve("/lib-1.0.zip", strings.Repeat("PK library ", 1000))
	w.serve("/tool-2.0.txt", strings.Repeat("tool text\n", 500))
	return w
}

func (w *world) serve(path, content string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answers[path] = func(rw http.ResponseWriter) { io.WriteString(rw, content) }
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) advance(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

func (w *world) requests() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string(nil), w.asked...)
}

// process is one life of the service on the world's data folder.
type process struct {
	*Pipeline
	bomb  *bomb
	store store.Store
	queue queue.Queue
	blobs blob.Blob
	close func()
}

// start begins a process that dies at the given point (-1: never).
func (w *world) start(at int, change ...func(*Settings, *Deps)) *process {
	w.t.Helper()
	ctx := context.Background()
	b := &bomb{at: at}
	for _, name := range []string{"work", "git"} {
		if err := os.MkdirAll(filepath.Join(w.data, name), 0o755); err != nil {
			w.t.Fatal(err)
		}
	}
	st, err := storesqlite.Open(ctx, filepath.Join(w.data, "cachito.db"), storesqlite.WithClock(w.clock))
	if err != nil {
		w.t.Fatal(err)
	}
	q, err := queuesqlite.New(ctx, st.DB(), w.clock)
	if err != nil {
		w.t.Fatal(err)
	}
	hook := func(op, key string) error {
		if !b.point(op + " " + shape(key)) {
			return errCrashed
		}
		return nil
	}
	blobs, err := dir.Open(filepath.Join(w.data, "blobs"), dir.WithEffectHook(hook), dir.WithClock(w.clock))
	if err != nil {
		w.t.Fatal(err)
	}
	host := strings.TrimPrefix(w.registry.URL, "http://")
	client, err := fetch.New(fetch.Settings{AllowHosts: []string{host, w.git.Host()}})
	if err != nil {
		w.t.Fatal(err)
	}
	git, err := gitrepo.New(gitrepo.Settings{Fetch: client, CacheDir: filepath.Join(w.data, "git")})
	if err != nil {
		w.t.Fatal(err)
	}
	d := Deps{
		Store: bombStore{st, b}, Queue: bombQueue{q, b}, Blobs: bombBlob{blobs, b},
		Managers: []resolver.Descriptor{synthetic(w), gitsubmodule.Descriptor()}, Git: git, Fetch: client,
		WorkDir: filepath.Join(w.data, "work"), Log: slog.New(slog.DiscardHandler), Clock: w.clock,
	}
	s := Settings{
		Resolvers: map[string]resolver.Settings{"synthetic": {}, gitsubmodule.Name: {}},
		Lifetime:  24 * time.Hour, LifetimeFailed: 7 * 24 * time.Hour,
	}
	for _, f := range change {
		f(&s, &d)
	}
	p, err := New(s, d)
	if err != nil {
		w.t.Fatal(err)
	}
	pr := &process{Pipeline: p, bomb: b, store: st, queue: q, blobs: blobs}
	pr.close = func() {
		if err := errors.Join(blobs.Close(), st.Close()); err != nil {
			w.t.Error(err)
		}
	}
	return pr
}

// synthetic is a package manager that fetches two files of the registry and uses every kind of output.
func synthetic(w *world) resolver.Descriptor {
	return resolver.Descriptor{
		Name: "synthetic", Rank: 5, Version: "1",
		Types: []packages.Rule{{Type: "synthetic"}},
		New:   func(resolver.Settings) (resolver.Resolver, error) { return syntheticResolver{w}, nil },
	}
}

type syntheticResolver struct{ w *world }

func (s syntheticResolver) Resolve(ctx context.Context, in resolver.Input) (resolver.Output, error) {
	var out resolver.Output
	if err := in.Reason(ctx, "Fetching the synthetic dependencies"); err != nil {
		return out, err
	}
	list, err := in.Source.ReadFile("needs.txt")
	if err != nil {
		return out, err
	}
	version := "1.0"
	pkg := packages.Package{Name: "app", Type: "synthetic", Version: &version}
	for i, name := range strings.Fields(string(list)) {
		f, err := in.Fetcher.Fetch(ctx, resolver.Artifact{URL: s.w.registry.URL + "/" + name, Describe: name})
		if err != nil {
			return out, err
		}
		out.Deps = append(out.Deps, resolver.Entry{Path: "synthetic/" + name, File: &f})
		pkg.Dependencies = append(pkg.Dependencies, packages.Dependency{Name: name, Type: "synthetic", Version: &version})
		in.Progress(request.Progress{Done: int64(i + 1), Total: 2, Bytes: f.Size})
	}
	out.Packages = []packages.Package{pkg}
	out.Overlays = []resolver.Entry{
		{Path: "needs.txt", Inline: []byte("rewritten\n")},
		{Path: "a/new", Inline: []byte("new\n"), Executable: true},
		{Path: "old.txt", Deleted: true},
	}
	out.ConfigFiles = []resolver.ConfigFile{{Path: "app/.syntheticrc", Content: []byte("offline=true\n")}}
	out.EnvironmentVariables = map[string]request.EnvironmentVariable{"SYNTHETIC": {Value: "deps/synthetic", Kind: "path"}}
	return out, nil
}

// repository is a small project with a submodule, and its ref.
func (w *world) repository() (url, ref string) {
	lib := w.git.Init("o/lib")
	libRef := lib.Commit(map[string]string{"lib.txt": "library\n"})
	app := w.git.Init("o/app")
	ref = app.Commit(map[string]string{
		"needs.txt": "lib-1.0.zip tool-2.0.txt\n", "old.txt": "old\n", "dir/main.txt": strings.Repeat("text ", 300),
		".gitmodules": "[submodule \"lib\"]\n\tpath = third/lib\n\turl = ../lib.git\n",
	}, gitrepotest.Gitlink("third/lib", libRef), gitrepotest.Symlink("link", "dir/main.txt"))
	return w.git.URL("o/app"), ref
}

func newRequest(url, ref string, flags []string, managers ...string) store.New {
	return store.New{
		Repo: url, Ref: ref, PackageManagers: managers, Steps: Steps(managers), Flags: flags,
		Token: strings.Join(append(flags, ref+url), " ") + strings.Join(managers, " "),
	}
}

func (pr *process) create(t *testing.T, url, ref string, flags []string, managers ...string) request.Request {
	t.Helper()
	n := newRequest(url, ref, flags, managers...)
	n.Token = "" // every call a new request
	req, err := pr.Store.Create(context.Background(), n)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

// finish creates a request and runs it to its end.
func (pr *process) finish(t *testing.T, url, ref string, flags []string, managers ...string) request.Request {
	t.Helper()
	ctx := context.Background()
	req := pr.create(t, url, ref, flags, managers...)
	if err := pr.send(ctx, req.ID, StepSource, false); err != nil {
		t.Fatal(err)
	}
	if err := pr.drain(t); err != nil {
		t.Fatal(err)
	}
	req, err := pr.store.Get(ctx, req.ID)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

// drain handles messages until the queues are empty or the process is dead.
func (pr *process) drain(t *testing.T) error {
	t.Helper()
	for busy := true; busy; {
		busy = false
		for _, name := range pr.Queues() {
			d, err := pr.Queue.Receive(context.Background(), name, Visibility, 0)
			if errors.Is(err, queue.ErrEmpty) {
				continue
			}
			if err == nil {
				busy = true
				err = pr.Handle(context.Background(), d)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// outcome is what must be the same however often the process died.
type outcome struct {
	State   request.State
	Reason  string
	History []string
	SHA256  string
	Env     map[string]request.EnvironmentVariable
	Config  []request.ConfigFile
	Blobs   []string // keys, without logs
	Queued  map[string]time.Duration
	Scratch []string
}

func (w *world) outcome(pr *process, id int64) outcome {
	w.t.Helper()
	ctx := context.Background()
	req, err := pr.store.Get(ctx, id)
	if err != nil {
		w.t.Fatal(err)
	}
	o := outcome{State: req.State, Reason: req.StateReason, Env: req.EnvironmentVariables, Queued: map[string]time.Duration{}}
	for i := len(req.History) - 1; i >= 0; i-- {
		o.History = append(o.History, req.History[i].Reason)
	}
	if req.Bundle != nil {
		o.SHA256 = req.Bundle.SHA256
	}
	if o.Config, err = pr.store.ConfigFiles(ctx, id); err != nil {
		w.t.Fatal(err)
	}
	for info, err := range pr.blobs.List(ctx, "") {
		if err != nil {
			w.t.Fatal(err)
		}
		if !strings.HasPrefix(info.Key, "logs/") {
			o.Blobs = append(o.Blobs, info.Key)
		}
	}
	for _, name := range pr.Queues() {
		age, err := pr.queue.OldestAge(ctx, name)
		if err != nil {
			w.t.Fatal(err)
		}
		if age != 0 {
			o.Queued[name] = age
		}
	}
	entries, err := os.ReadDir(pr.WorkDir)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, e := range entries {
		o.Scratch = append(o.Scratch, e.Name())
	}
	return o
}

func (w *world) log(pr *process, id int64) string {
	r, err := requestlog.Open(context.Background(), pr.blobs, id)
	if err != nil {
		return "no log: " + err.Error()
	}
	defer r.Close()
	text, _ := io.ReadAll(r)
	return string(text)
}

func jsonText(v any) string {
	raw, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err.Error()
	}
	return string(raw)
}
