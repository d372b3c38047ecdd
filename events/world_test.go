package events_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cachito-serverless/cachito/shared/api"
	"github.com/cachito-serverless/cachito/shared/blob/dir"
	"github.com/cachito-serverless/cachito/shared/config"
	"github.com/cachito-serverless/cachito/shared/function"
	"github.com/cachito-serverless/cachito/shared/function/functiontest"
	"github.com/cachito-serverless/cachito/shared/pipeline"
	"github.com/cachito-serverless/cachito/shared/queue"
	queuesqlite "github.com/cachito-serverless/cachito/shared/queue/sqlite"
	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/resolver/all"
	"github.com/cachito-serverless/cachito/shared/store"
	storesqlite "github.com/cachito-serverless/cachito/shared/store/sqlite"
	"github.com/cachito-serverless/cachito/shared/wiring"
)

const (
	client = "arn:aws:sts::111122223333:assumed-role/cachito-client/tbrady"
	worker = "arn:aws:sts::111122223333:assumed-role/cachito-worker/build-7"
)

// world is the functions over the embedded adapters, wired as functions/ wires them over AWS's.
type world struct {
	*functiontest.Upstream
	t        *testing.T
	folder   string
	store    *storesqlite.Store
	queue    *queuesqlite.Queue
	pipeline *pipeline.Pipeline
	routes   http.Handler
	handlers map[string]any // by function
	close    func()
}

func open(t *testing.T, u *functiontest.Upstream, folder string) *world {
	t.Helper()
	ctx := t.Context()
	settings := map[string]string{
		"CACHITO_TABLE":            "cachito", // on AWS: nobody is anybody without the gateway's word
		"CACHITO_WORKER_USERNAMES": worker, "CACHITO_PACKAGE_MANAGERS": "gomod,npm,pip,yarn", "CACHITO_REQUEST_LIFETIME": "365d", "CACHITO_REQUEST_LIFETIME_FAILED": "365d",
	}
	maps.Copy(settings, u.Settings())
	cfg, err := config.Load(func(name string) string { return settings[name] })
	must(t, err)
	w := &world{Upstream: u, t: t, folder: folder}
	places := wiring.Places{Git: filepath.Join(folder, "git"), Tools: filepath.Join(folder, "tools"), Work: filepath.Join(folder, "work")}
	for _, d := range []string{places.Git, places.Tools, places.Work} {
		must(t, os.MkdirAll(d, 0o700))
	}
	w.store, err = storesqlite.Open(ctx, filepath.Join(folder, "db"))
	must(t, err)
	w.queue, err = queuesqlite.New(ctx, w.store.DB(), time.Now)
	must(t, err)
	blobs, err := dir.Open(filepath.Join(folder, "blobs"))
	must(t, err)
	w.close = sync.OnceFunc(func() { must(t, errors.Join(w.queue.Close(), w.store.Close(), blobs.Close())) })
	t.Cleanup(w.close)

	log := slog.New(slog.DiscardHandler)
	adapters := wiring.Adapters{Store: w.store, Queue: w.queue, Blobs: blobs, CheckBlobs: func(context.Context) error { return nil }}
	w.pipeline, err = wiring.Pipeline(cfg, all.List(), adapters, places, nil, log)
	must(t, err)
	w.routes, err = wiring.API(cfg, all.List(), adapters, wiring.Transport{
		MaxAnswerBytes: api.LambdaAnswerBytes, Identify: function.User(cfg.GatewayClaim),
	}, log)
	must(t, err)
	w.handlers = map[string]any{
		"api":    function.API(w.routes, log),
		"source": function.Steps(w.pipeline, log), "resolve": function.Steps(w.pipeline, log), "bundle": function.Steps(w.pipeline, log),
		"reaper": function.Reap(w.pipeline),
	}
	return w
}

// seed makes the requests that the events are about; README.md lists them.
func seed(t *testing.T, u *functiontest.Upstream, folder string) {
	t.Helper()
	w := open(t, u, folder)
	defer w.close()
	w.create(u.URL, u.Ref) // 1
	w.run(1, "source", "resolve-npm", "bundle")
	w.create(u.URL, u.Ref) // 2
	w.create(u.URL, u.Ref) // 3
	w.run(3, "source")
	w.create(u.URL, u.Ref) // 4
	w.run(4, "source", "resolve-npm")
	w.create(u.URL, u.Ref) // 5
	w.update(5, store.Update{
		State: request.StateFailed, Reason: "The package-lock.json file at path hello is broken", ErrorOrigin: "client", ErrorType: "InvalidFileFormat",
	})
	w.create(u.URL, u.Ref) // 6
	w.update(6, store.Update{State: request.StateStale, Reason: request.ReasonExpired})
	w.create(u.URL, strings.Repeat("0", 39)+"1") // 7
	w.create(u.URL, u.Ref)                       // 8
	w.create(u.URL, u.Ref, "npm", "rubygems")    // 9
	w.run(9, "source")
	// Nothing of the third was resolved yet: the same input would be found done.
	must(t, os.RemoveAll(filepath.Join(folder, "blobs", "results")))

	// The eighth one's message is given up.
	for _, m := range w.messages("source") {
		if m.RequestID != 8 {
			must(t, w.queue.Send(t.Context(), m, 0))
		}
	}
	must(t, w.queue.Send(t.Context(), queue.Message{RequestID: 8, Step: "source"}, 0))
	for range queue.MaxReceives {
		for {
			d, err := w.queue.Receive(t.Context(), "source", time.Hour, 0)
			must(t, err)
			if d.RequestID == 8 {
				must(t, w.queue.Extend(t.Context(), d, 0))
				break
			}
			must(t, w.queue.Ack(t.Context(), d))
			must(t, w.queue.Send(t.Context(), d.Message, 0))
		}
	}
}

func (w *world) create(repo, ref string, managers ...string) {
	w.t.Helper()
	if len(managers) == 0 {
		managers = []string{"npm"}
	}
	req, err := w.store.Create(w.t.Context(), store.New{Repo: repo, Ref: ref, PackageManagers: managers, User: client, Steps: pipeline.Steps(managers)})
	must(w.t, err)
	must(w.t, w.queue.Send(w.t.Context(), queue.Message{RequestID: req.ID, Step: "source"}, 0))
}

func (w *world) update(id int64, u store.Update) {
	w.t.Helper()
	_, err := w.store.Update(w.t.Context(), id, u)
	must(w.t, err)
}

// run does the steps of a request, whose messages are the last in their queues.
func (w *world) run(id int64, steps ...string) {
	w.t.Helper()
	for _, step := range steps {
		var mine *queue.Delivery
		for _, d := range w.deliveries(step) {
			if d.RequestID == id {
				mine = &d
				continue
			}
			must(w.t, w.queue.Extend(w.t.Context(), d, 0))
		}
		if mine == nil {
			w.t.Fatalf("request %d has no message for %s", id, step)
		}
		gone, err := w.pipeline.Deliver(w.t.Context(), *mine)
		must(w.t, err)
		req, err := w.store.Get(w.t.Context(), id)
		must(w.t, err)
		if !gone || req.State == request.StateFailed {
			w.t.Fatalf("step %s of request %d: %s", step, id, req.StateReason)
		}
	}
}

// deliveries takes every message that is visible.
func (w *world) deliveries(step string) []queue.Delivery {
	w.t.Helper()
	var list []queue.Delivery
	for {
		d, err := w.queue.Receive(context.Background(), step, time.Hour, 0)
		if errors.Is(err, queue.ErrEmpty) {
			return list
		}
		must(w.t, err)
		list = append(list, d)
	}
}

// messages takes every message that is visible out of a queue for good.
func (w *world) messages(step string) []queue.Message {
	w.t.Helper()
	var list []queue.Message
	for _, d := range w.deliveries(step) {
		must(w.t, w.queue.Ack(context.Background(), d))
		list = append(list, d.Message)
	}
	return list
}

// state is everything that an event can change, a line for each request.
func (w *world) state() map[int64]string {
	w.t.Helper()
	lines := map[int64]string{}
	for id := int64(1); ; id++ {
		req, err := w.store.Get(context.Background(), id)
		if errors.Is(err, store.ErrNotFound) {
			return lines
		}
		must(w.t, err)
		files, err := w.store.ConfigFiles(context.Background(), id)
		must(w.t, err)
		var b bytes.Buffer
		fmt.Fprintf(&b, "request %d of %s: %s, %q", id, req.User, req.State, req.StateReason)
		for _, step := range pipeline.Steps(req.PackageManagers) {
			fmt.Fprintf(&b, ", %s %s", step, req.Steps[step].State)
		}
		fmt.Fprintf(&b, ", %d configuration files", len(files))
		lines[id] = b.String()
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// decode reads an event as Lambda's library does.
func decode(t *testing.T, raw []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(raw, into); err != nil {
		t.Fatalf("the event does not decode: %v", err)
	}
}
