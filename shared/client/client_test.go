package client_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cachito-serverless/cachito/shared/client"
	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/google/go-cmp/cmp"
)

// serve answers every call with answer and returns a client of it.
func serve(t *testing.T, answer http.HandlerFunc) *client.Client {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	c, err := client.New(server.URL, server.Client())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestBase(t *testing.T) {
	for _, suffix := range []string{"", "/", "/api/v1", "/api/v1/"} {
		t.Run("suffix "+suffix, func(t *testing.T) {
			var got string
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				got = r.URL.RequestURI()
				fmt.Fprint(w, `{}`)
			}))
			defer server.Close()
			c, err := client.New(server.URL+"/stage"+suffix, server.Client())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := c.JSON(context.Background(), "/sbom?requests=1"); err != nil {
				t.Fatal(err)
			}
			if want := "/stage/api/v1/sbom?requests=1"; got != want {
				t.Errorf("asked for %s, want %s", got, want)
			}
		})
	}
	for _, base := range []string{"", "host:8080", "ftp://host", "http://", "http://a b"} {
		t.Run("refused "+base, func(t *testing.T) {
			if _, err := client.New(base, http.DefaultClient); err == nil {
				t.Error("accepted")
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	tests := []struct {
		name   string
		status int
		body   string
		want   error
	}{
		{"error", 400, `{"error": "'x' is too short"}`, &client.StatusError{Status: 400, Message: "'x' is too short"}},
		{"problem", 415, `{"detail": "Invalid Content-type", "status": 415}`, &client.StatusError{Status: 415, Message: "Invalid Content-type"}},
		{"errors", 400, `{"errors": {"created_from": "invalid date format"}}`, &client.StatusError{Status: 400, Message: "map[created_from:invalid date format]"}},
		{"no JSON", 500, `<html>`, &client.StatusError{Status: 500, Message: "Internal Server Error"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(tt.status)
				fmt.Fprint(w, tt.body)
			})
			_, err := c.Get(context.Background(), 1)
			var got *client.StatusError
			if !errors.As(err, &got) {
				t.Fatalf("got %v, want a StatusError", err)
			}
			if diff := cmp.Diff(tt.want, error(got)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	for _, status := range []int{502, 503, 504} {
		t.Run(fmt.Sprintf("gateway %d", status), func(t *testing.T) {
			c := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
			_, err := c.Get(context.Background(), 1)
			var gone *client.UnreachableError
			if !errors.As(err, &gone) {
				t.Errorf("got %v, want an UnreachableError", err)
			}
		})
	}
	for _, body := range []string{`[]`, `{}`, `{"id": 0, "state": "complete"}`, `{"id": 1}`, `no`} {
		t.Run("no request "+body, func(t *testing.T) {
			c := serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, body) })
			if got, err := c.Get(context.Background(), 1); err == nil {
				t.Errorf("took it for %+v", got)
			}
		})
	}
}

func TestWaitForgivesAndTellsProgress(t *testing.T) {
	calls := 0
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/progress") {
			fmt.Fprint(w, `{"steps": {"resolve-x": {"state": "waiting", "done": 1, "total": 2, "bytes": 3}}}`)
			return
		}
		switch calls++; calls {
		case 1:
			fmt.Fprint(w, `{"id": 1, "state": "in_progress", "state_reason": "a"}`)
		case 2:
			w.WriteHeader(http.StatusServiceUnavailable)
		default:
			fmt.Fprint(w, `{"id": 1, "state": "failed", "state_reason": "b"}`)
		}
	})
	var reasons []string
	req, err := c.Wait(context.Background(), 1, func(r client.Request, p client.Progress) {
		reasons = append(reasons, r.StateReason)
		want := client.Progress{"resolve-x": {State: request.StepWaiting, Progress: request.Progress{Done: 1, Total: 2, Bytes: 3}}}
		if diff := cmp.Diff(want, p); diff != "" {
			t.Errorf("progress (-want +got):\n%s", diff)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := req.State, request.StateFailed; got != want {
		t.Errorf("state %s, want %s", got, want)
	}
	if diff := cmp.Diff([]string{"a", "b"}, reasons); diff != "" {
		t.Errorf("reasons (-want +got):\n%s", diff)
	}
}

func TestWaitGivesUp(t *testing.T) {
	calls := 0
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		calls++
		w.WriteHeader(http.StatusBadGateway)
	})
	_, err := c.Wait(context.Background(), 1, nil)
	var gone *client.UnreachableError
	if !errors.As(err, &gone) {
		t.Errorf("got %v, want an UnreachableError", err)
	}
	if calls != 5 {
		t.Errorf("%d calls, want 5", calls)
	}
}

func TestWaitEndsWithContext(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"id": 1, "state": "in_progress"}`) })
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if _, err := c.Wait(ctx, 1, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want the context's end", err)
	}
}

func TestDownload(t *testing.T) {
	const content = "bundle"
	sum := sha256.Sum256([]byte(content))
	digest := "sha-256=" + base64.StdEncoding.EncodeToString(sum[:])
	tests := []struct {
		name         string
		answer       http.HandlerFunc
		wantVerified bool
		wantErr      string
	}{
		{"digest on the answer", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Digest", digest)
			fmt.Fprint(w, content)
		}, true, ""},
		{"digest on the redirect only", func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/download") {
				w.Header().Set("Digest", digest)
				http.Redirect(w, r, "/object", http.StatusFound)
				return
			}
			fmt.Fprint(w, content)
		}, true, ""},
		{"several digests", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Digest", "md5=x, SHA-256="+strings.TrimPrefix(digest, "sha-256="))
			fmt.Fprint(w, content)
		}, true, ""},
		{"no digest", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, content) }, false, ""},
		{"digest of something else", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Digest", digest)
			fmt.Fprint(w, "other")
		}, false, "the bundle is damaged"},
		{"malformed digest", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Digest", "sha-256=short")
			fmt.Fprint(w, content)
		}, false, "holds no sha-256"},
		{"broken off", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			fmt.Fprint(w, content)
		}, false, "broke off after 6 bytes"},
		{"endless redirects", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, r.URL.Path, http.StatusFound)
		}, false, "redirects"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := serve(t, tt.answer)
			dir := t.TempDir()
			path := filepath.Join(dir, "b.tar.gz")
			got, err := c.Download(context.Background(), 7, path)
			entries, dirErr := os.ReadDir(dir)
			if dirErr != nil {
				t.Fatal(dirErr)
			}
			if tt.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), tt.wantErr) {
					t.Errorf("got %v, want %q in it", err, tt.wantErr)
				}
				if len(entries) != 0 {
					t.Errorf("left behind: %v", entries)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			want := client.Downloaded{Path: path, SHA256: fmt.Sprintf("%x", sum), Size: int64(len(content)), Verified: tt.wantVerified}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if stored, err := os.ReadFile(path); err != nil || string(stored) != content {
				t.Errorf("stored %q, %v", stored, err)
			}
			if len(entries) != 1 {
				t.Errorf("want the bundle alone, got %v", entries)
			}
		})
	}
}
