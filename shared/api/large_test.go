package api_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/cachito-serverless/cachito/shared/api"
)

// stuckClient takes nothing until it is released. It says when the first byte of its answer has come.
type stuckClient struct {
	*httptest.ResponseRecorder
	begun, release chan struct{}
}

func newStuckClient() *stuckClient {
	return &stuckClient{ResponseRecorder: httptest.NewRecorder(), begun: make(chan struct{}), release: make(chan struct{})}
}

func (c *stuckClient) Write(p []byte) (int, error) {
	select {
	case <-c.begun:
	default:
		close(c.begun)
	}
	<-c.release
	return c.ResponseRecorder.Write(p)
}

// serve answers on its own; the channel is closed when the answer is whole.
func (w *world) serve(c http.ResponseWriter, route string) <-chan struct{} {
	done := make(chan struct{})
	r := httptest.NewRequestWithContext(w.t.Context(), http.MethodGet, "/api/v1/"+route, nil)
	go func() {
		defer close(done)
		w.handler.ServeHTTP(c, r)
	}()
	return done
}

func oneSlot(wait time.Duration) api.Config {
	cfg := settings()
	cfg.LargeAnswers, cfg.LargeAnswerWait = 1, wait
	return cfg
}

func largeWorld(t *testing.T, cfg api.Config) *world {
	t.Helper()
	w := newWorld(t, cfg)
	for id, n := range []int{1200, 10} { // more than 1 MiB, and little
		w.post(map[string]any{"pkg_managers": []string{"npm"}})
		w.storePackages(int64(id+1), bulky(n))
		w.complete(int64(id + 1))
	}
	return w
}

// TestLargeAnswersAreBounded: while one large answer is under way, a second one is told to come again; small ones
// are answered.
func TestLargeAnswersAreBounded(t *testing.T) {
	w := largeWorld(t, oneSlot(time.Millisecond))
	slow := newStuckClient()
	done := w.serve(slow, "requests/1/packages")
	<-slow.begun
	for _, route := range []string{"requests/1", "requests/1/packages", "requests?verbose=true", "sbom?requests=1", "requests/1/sbom?format=spdx-2.3", "content-manifest?requests=1,2"} {
		out := w.ask(http.MethodGet, "/api/v1/"+route, "", nil)
		if got := message(t, out.Body.Bytes()); out.Code != http.StatusServiceUnavailable || out.Header().Get("Retry-After") != "1" || !strings.Contains(got, "try again") {
			t.Errorf("%s: got %d, Retry-After %q, %q", route, out.Code, out.Header().Get("Retry-After"), got)
		}
	}
	for _, route := range []string{"requests/2", "sbom?requests=2", "requests", "status/short"} {
		if out := w.ask(http.MethodGet, "/api/v1/"+route, "", nil); out.Code != http.StatusOK {
			t.Errorf("%s, which is small: got %d %s", route, out.Code, out.Body)
		}
	}
	close(slow.release)
	<-done
	if out := w.ask(http.MethodGet, "/api/v1/requests/1", "", nil); out.Code != http.StatusOK {
		t.Errorf("afterwards: got %d", out.Code)
	}
}

// TestLargeAnswerTakesTooLong: who takes a large answer for longer than others can wait is cut off.
func TestLargeAnswerTakesTooLong(t *testing.T) {
	w := largeWorld(t, oneSlot(time.Millisecond))
	slow := newStuckClient()
	begin := time.Date(2026, 11, 25, 10, 0, 0, 0, time.UTC)
	w.at(begin, func() {
		done := w.serve(slow, "requests/1/packages")
		<-slow.begun
		w.mu.Lock()
		w.now = begin.Add(11 * time.Minute)
		w.mu.Unlock()
		close(slow.release)
		<-done
	})
	whole := w.ask(http.MethodGet, "/api/v1/requests/1/packages", "", nil)
	if whole.Code != http.StatusOK || slow.Body.Len() >= whole.Body.Len()/2 {
		t.Errorf("afterwards: got %d; the slow client got %d of %d bytes", whole.Code, slow.Body.Len(), whole.Body.Len())
	}
	if !strings.Contains(w.logged.String(), "too slowly") {
		t.Error("the log does not tell why the answer was broken off")
	}
}

// TestLargeAnswerWaits: a client that comes while the slot is taken gets its answer when it comes free.
func TestLargeAnswerWaits(t *testing.T) {
	w := largeWorld(t, oneSlot(time.Minute))
	slow, next := newStuckClient(), newStuckClient()
	first := w.serve(slow, "requests/1/packages")
	<-slow.begun
	close(next.release)
	second := w.serve(next, "requests/1/packages")
	select {
	case <-next.begun:
		t.Error("two large answers at once")
	case <-time.After(50 * time.Millisecond):
	}
	close(slow.release)
	<-first
	<-second
	if next.Code != http.StatusOK || next.Body.Len() != slow.Body.Len() {
		t.Errorf("got %d and %d bytes, want 200 and %d", next.Code, next.Body.Len(), slow.Body.Len())
	}
}

// TestLargeAnswerKeepsNoSlotAfterTrouble: neither errors nor clients that go away use slots up.
func TestLargeAnswerKeepsNoSlotAfterTrouble(t *testing.T) {
	w := largeWorld(t, oneSlot(time.Millisecond))
	for range 3 {
		for _, target := range []string{"/api/v1/requests/1/packages", "/api/v1/requests/1"} {
			if out := w.ask(http.MethodHead, target, "", nil); out.Code != http.StatusOK {
				t.Fatalf("HEAD %s: %d", target, out.Code)
			}
		}
	}
	info, err := w.blobs.Stat(t.Context(), "bundles/1/packages.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.blobs.Put(t.Context(), info.Key, []byte(`{"packages": [`+strings.Repeat(" ", 2<<20)), true); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if out := w.ask(http.MethodGet, "/api/v1/requests/1/packages", "", nil); out.Code != http.StatusInternalServerError {
			t.Fatalf("broken data: got %d", out.Code)
		}
	}
}
