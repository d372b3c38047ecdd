package api_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cachito-serverless/cachito/shared/api"
	"github.com/cachito-serverless/cachito/shared/blob"
	"github.com/cachito-serverless/cachito/shared/blob/dir"
	"github.com/cachito-serverless/cachito/shared/packages"
	"github.com/cachito-serverless/cachito/shared/queue"
	queuesqlite "github.com/cachito-serverless/cachito/shared/queue/sqlite"
	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/requestlog"
	"github.com/cachito-serverless/cachito/shared/resolver/all"
	"github.com/cachito-serverless/cachito/shared/store"
	storesqlite "github.com/cachito-serverless/cachito/shared/store/sqlite"
)

const (
	repo = "https://github.com/release-engineering/retrodep.git"
	ref  = "c50b93a32df1c9d700e3e80996845bc2e13be848"
	user = "tbrady@DOMAIN.LOCAL"
	// worker may PATCH.
	worker = "worker@DOMAIN.LOCAL"

	identityHeader = "X-Remote-User"
)

// world is the API over the embedded adapters or others, with an empty store. No resolver runs: messages stay
// in their queue.
type world struct {
	t       testing.TB
	store   store.Store
	queue   *faultyQueue
	blobs   blob.Blob
	handler http.Handler
	// call sends a request; nil: straight to the handler.
	call   func(r *http.Request, identity string) *httptest.ResponseRecorder
	logged *lockedBuffer
	health *api.Health

	mu  sync.Mutex
	now time.Time // zero: the real time
}

// settings that every case begins with (cases-api.md).
func settings() api.Config {
	return api.Config{
		PackageManagers:        []string{"gomod", "npm", "pip", "git-submodule", "yarn", "rubygems"},
		DefaultPackageManagers: []string{"gomod"},
		MutuallyExclusive:      [][2]string{{"npm", "yarn"}, {"gomod", "git-submodule"}},
		MaxPerPage:             100,
		LogsEnabled:            true,
		UserRepresentatives:    []string{user},
		WorkerUsernames:        []string{worker},
		IdentityHeader:         identityHeader,
	}
}

// adapters are an empty store, queues and an empty storage, with the world's clock.
type adapters func(t testing.TB, clock func() time.Time) (store.Store, queue.Queue, blob.Blob)

func newWorld(t testing.TB, cfg api.Config, change ...func(*api.Deps)) *world {
	t.Helper()
	return newWorldOn(t, embedded, cfg, change...)
}

func embedded(t testing.TB, clock func() time.Time) (store.Store, queue.Queue, blob.Blob) {
	t.Helper()
	folder := t.TempDir()
	empty, err := emptyDatabase()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "db"), empty, 0o600); err != nil {
		t.Fatal(err)
	}
	requests, err := storesqlite.Open(t.Context(), filepath.Join(folder, "db"), storesqlite.WithClock(clock))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := requests.Close(); err != nil {
			t.Error(err)
		}
	})
	messages, err := queuesqlite.New(t.Context(), requests.DB(), clock)
	if err != nil {
		t.Fatal(err)
	}
	blobs, err := dir.Open(filepath.Join(folder, "blobs"))
	if err != nil {
		t.Fatal(err)
	}
	return requests, messages, blobs
}

func newWorldOn(t testing.TB, on adapters, cfg api.Config, change ...func(*api.Deps)) *world {
	t.Helper()
	w := &world{t: t, logged: &lockedBuffer{}}
	requests, messages, blobs := on(t, w.clock)
	w.store, w.queue, w.blobs = requests, &faultyQueue{Queue: messages}, blobs
	deps := api.Deps{
		Store: w.store, Queue: w.queue, Blobs: w.blobs, Managers: all.List(),
		Steps: func(managers []string) []string {
			steps := []string{"source"}
			for _, m := range managers {
				steps = append(steps, "resolve-"+m)
			}
			return append(steps, "bundle")
		},
		Expire: w.expire,
		Log:    slog.New(slog.NewJSONHandler(w.logged, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Clock:  w.clock,
		Health: func(context.Context) api.Health {
			if w.health == nil {
				return api.Health{Services: services(nil), Workers: []api.Worker{{Name: "worker"}}}
			}
			return *w.health
		},
	}
	for _, f := range change {
		f(&deps)
	}
	var err error
	if w.handler, err = api.New(cfg, deps); err != nil {
		t.Fatal(err)
	}
	return w
}

// emptyDatabase is a database without requests, made once: making it takes longer than most cases.
var emptyDatabase = sync.OnceValues(func() ([]byte, error) {
	folder, err := os.MkdirTemp("", "api-test-")
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

// faultyQueue is the embedded queue, until it is broken.
type faultyQueue struct {
	queue.Queue
	err error
}

func (q *faultyQueue) Send(ctx context.Context, m queue.Message, delay time.Duration) error {
	if q.err != nil {
		return q.err
	}
	return q.Queue.Send(ctx, m, delay)
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

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.now.IsZero() {
		return time.Now()
	}
	return w.now
}

// at runs do at a moment; a zero one is the real time.
func (w *world) at(moment time.Time, do func()) {
	w.mu.Lock()
	w.now = moment
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		w.now = time.Time{}
		w.mu.Unlock()
	}()
	do()
}

// expire is what the pipeline does for a request that became stale.
func (w *world) expire(ctx context.Context, before request.Request) error {
	none := ""
	_, err := w.store.Update(ctx, before.ID, store.Update{DropBundle: true, PackagesKey: &none})
	return errors.Join(err, requestlog.Delete(ctx, w.blobs, before.ID))
}

// services are upstream's, with the reasons of those that are down.
func services(down map[string]string) []api.Service {
	return []api.Service{
		{Name: "nexus", Reason: down["nexus"], Managers: []string{"npm", "pip", "yarn", "rubygems"}},
		{Name: "athens", Reason: down["athens"], Managers: []string{"gomod"}},
		{Name: "database", Reason: down["database"], Core: true},
		{Name: "rabbitmq", Reason: down["rabbitmq"], Core: true},
	}
}

// ask calls the API. identity is a name, "dn:" and the subject of a verified client certificate, or "".
func (w *world) ask(method, target, identity string, body []byte, header ...string) *httptest.ResponseRecorder {
	w.t.Helper()
	r := httptest.NewRequestWithContext(w.t.Context(), method, target, bytes.NewReader(body))
	r.Host = "localhost"
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	if w.call != nil {
		return w.call(r, identity)
	}
	if subject, ok := strings.CutPrefix(identity, "dn:"); ok {
		cert := certificate(w.t, subject)
		r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{cert}, VerifiedChains: [][]*x509.Certificate{{cert}}}
	} else if identity != "" {
		r.Header.Set(identityHeader, identity)
	}
	out := httptest.NewRecorder()
	w.handler.ServeHTTP(out, r)
	return out
}

// must calls the API as a step of preparation.
func (w *world) must(method, target, identity string, body any) {
	w.t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		w.t.Fatal(err)
	}
	out := w.ask(method, target, identity, raw, "Content-Type", "application/json")
	if out.Code >= 300 {
		w.t.Fatalf("%s %s: status %d, %s", method, target, out.Code, out.Body)
	}
}

// post posts a request with these keys beside repo and ref.
func (w *world) post(extra map[string]any) {
	w.t.Helper()
	body := map[string]any{"repo": repo, "ref": ref}
	for k, v := range extra {
		body[k] = v
	}
	w.must(http.MethodPost, "/api/v1/requests", user, body)
}

// complete moves a request to complete.
func (w *world) complete(id int64) {
	w.t.Helper()
	w.must(http.MethodPatch, fmt.Sprintf("/api/v1/requests/%d", id), worker, map[string]any{"state": "complete", "state_reason": "Completed successfully"})
}

// storePackages stores packages data as the pipeline does.
func (w *world) storePackages(id int64, list []packages.Package) {
	w.t.Helper()
	data := packages.Data{Packages: list}
	data.Sort()
	var b bytes.Buffer
	if err := packages.Encode(&b, data); err != nil {
		w.t.Fatal(err)
	}
	key := fmt.Sprintf("bundles/%d/packages.json", id)
	if err := w.blobs.Put(w.t.Context(), key, b.Bytes(), true); err != nil {
		w.t.Fatal(err)
	}
	w.update(id, store.Update{PackagesKey: &key})
}

// storeBundle stores a bundle as the pipeline does, with this text in the object of its checksum.
func (w *world) storeBundle(id int64, content []byte, stored string) {
	w.t.Helper()
	sum := sha256.Sum256(content)
	b := request.Bundle{Key: fmt.Sprintf("bundles/%d/bundle.tar.gz", id), SHA256: hex.EncodeToString(sum[:]), Size: int64(len(content))}
	if stored == "" {
		stored = b.SHA256
	}
	for key, raw := range map[string][]byte{b.Key: content, b.Key + ".sha256": []byte(stored)} {
		if err := w.blobs.Put(w.t.Context(), key, raw, true); err != nil {
			w.t.Fatal(err)
		}
	}
	w.update(id, store.Update{Bundle: &b})
}

func (w *world) storeLog(id int64, text string) {
	w.t.Helper()
	if err := w.blobs.Put(w.t.Context(), fmt.Sprintf("logs/%d/1", id), []byte(text), false); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) update(id int64, u store.Update) {
	w.t.Helper()
	if _, err := w.store.Update(w.t.Context(), id, u); err != nil {
		w.t.Fatal(err)
	}
}

var certificateKey = sync.OnceValues(func() (*ecdsa.PrivateKey, error) {
	return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
})

// certificate makes a client certificate with a subject like "CN=tbrady,DC=domain,DC=local".
func certificate(t testing.TB, subject string) *x509.Certificate {
	t.Helper()
	oids := map[string]asn1.ObjectIdentifier{
		"CN": {2, 5, 4, 3}, "OU": {2, 5, 4, 11}, "O": {2, 5, 4, 10}, "C": {2, 5, 4, 6},
		"DC": {0, 9, 2342, 19200300, 100, 1, 25}, "UID": {0, 9, 2342, 19200300, 100, 1, 1},
	}
	var names pkix.RDNSequence
	for part := range strings.SplitSeq(subject, ",") {
		key, value, _ := strings.Cut(part, "=")
		if oids[key] == nil {
			t.Fatalf("subject %q: attribute %q has no OID here", subject, key)
		}
		names = append(names, pkix.RelativeDistinguishedNameSET{{Type: oids[key], Value: value}})
	}
	slices.Reverse(names) // the text begins with what is last in the certificate
	raw, err := asn1.Marshal(names)
	if err != nil {
		t.Fatal(err)
	}
	key, err := certificateKey()
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), RawSubject: raw, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}
