package api_test

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/cachito-serverless/cachito/shared/api"
	"github.com/cachito-serverless/cachito/shared/requestlog"
)

// TestLargeLog: on Lambda a log is delivered by its size like every other answer that can grow.
func TestLargeLog(t *testing.T) {
	cfg := settings()
	cfg.MaxAnswerBytes = api.LambdaAnswerBytes
	w := newWorld(t, cfg, func(d *api.Deps) { d.Blobs = urlBlobs{Blob: d.Blobs} })
	w.post(map[string]any{"pkg_managers": []string{"npm"}})

	log := requestlog.New(w.blobs, 1, w.clock)
	for i := range 1200 {
		log.Logger().InfoContext(t.Context(), fmt.Sprintf("line %d %s", i, strings.Repeat("é", 4000)))
	}
	if err := log.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	stored, err := requestlog.Open(t.Context(), w.blobs, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer stored.Close()
	var want bytes.Buffer
	if _, err := want.ReadFrom(stored); err != nil {
		t.Fatal(err)
	}
	if want.Len() < 8<<20 {
		t.Fatalf("the log has only %d bytes", want.Len())
	}

	for encoding, status := range map[string]int{"gzip": http.StatusOK, "identity": http.StatusFound} {
		out := w.ask(http.MethodGet, "/api/v1/requests/1/logs", "", nil, "Accept-Encoding", encoding)
		if out.Code != status {
			t.Fatalf("%s: status %d, want %d", encoding, out.Code, status)
		}
		if n := lambdaPayload(t, out); n > 6<<20 {
			t.Errorf("%s: Lambda would refuse it: %d bytes", encoding, n)
		}
		got := out.Body.Bytes()
		if status == http.StatusFound {
			got = w.fetched(t, out, "text/plain; charset=utf-8")
		} else {
			got = unzip(t, got)
		}
		if !bytes.Equal(got, want.Bytes()) {
			t.Errorf("%s: the log differs: %d bytes, want %d", encoding, len(got), want.Len())
		}
	}
	head := w.ask(http.MethodHead, "/api/v1/requests/1/logs", "", nil)
	if head.Code != http.StatusOK || head.Body.Len() > 0 || head.Header().Get("Content-Type") != "text/plain; charset=utf-8" {
		t.Errorf("HEAD: got %d, %d bytes, %v", head.Code, head.Body.Len(), head.Header())
	}
}
