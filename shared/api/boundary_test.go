package api_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/cachito-serverless/cachito/shared/api"
)

// TestRequestIDs: every answer has an id, which every line that its call logged has too.
func TestRequestIDs(t *testing.T) {
	w := newWorld(t, settings())
	good := fmt.Appendf(nil, `{"repo": %q, "ref": %q}`, repo, ref)
	seen := map[string]bool{}
	for _, tt := range []struct {
		name, method, target string
		body                 []byte
		status               int
		logged               string // a message among the lines
	}{
		{"an order", http.MethodPost, "/api/v1/requests", good, 201, "request accepted"},
		{"a refused order", http.MethodPost, "/api/v1/requests", []byte("{}"), 400, "call"},
		{"a list", http.MethodGet, "/api/v1/requests", nil, 200, "call"},
		{"nothing there", http.MethodGet, "/api/v1/requests/9", nil, 404, "call"},
		{"no method", "BREW", "/api/v1/requests", nil, 405, "call"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := len(w.logged.String())
			out := w.ask(tt.method, tt.target, user, tt.body, "Content-Type", "application/json", "X-Request-Id", "chosen")
			id := out.Header().Get("X-Request-Id")
			if out.Code != tt.status || !regexp.MustCompile(`^[0-9a-f]{16}$`).MatchString(id) || seen[id] {
				t.Errorf("status %d, want %d; id %q, want 16 hex digits of its own", out.Code, tt.status, id)
			}
			seen[id] = true
			lines := strings.TrimSpace(w.logged.String()[before:])
			for line := range strings.SplitSeq(lines, "\n") {
				if !strings.Contains(line, `"http_request_id":"`+id+`"`) {
					t.Errorf("a line without the id: %s", line)
				}
			}
			if !strings.Contains(lines, `"msg":"`+tt.logged+`"`) {
				t.Errorf("nothing says %q:\n%s", tt.logged, lines)
			}
		})
	}
}

// TestNoLineBreaksInHeaders: what clients send is in no header of the answer, and in one line of the log.
func TestNoLineBreaksInHeaders(t *testing.T) {
	w := newWorld(t, settings())
	w.post(nil)
	w.complete(1)
	const evil = "%0d%0aSet-Cookie:%20x=y%0d%0a"
	for _, target := range []string{
		"/api/v1/requests/1" + evil, evil, "/api/v1/requests/1/download?" + evil, "/api/v1/requests?state=" + evil, "/api/v1/requests?repo=" + evil,
		"/api/v1/requests?" + evil + "=1", "/api/v1/requests/latest?ref=" + ref + "&repo_name=" + evil, "/api/v1/sbom?requests=" + evil,
		"/api/v1/sbom?requests=1&format=" + evil, "/api/v1/content-manifest?requests=1" + evil, "/api/v1/request-metrics?error_type=" + evil,
		"/api/v1/request-metrics/summary?finished_to=2026-01-01&finished_from=" + evil,
	} {
		t.Run(target, func(t *testing.T) {
			before := len(w.logged.String())
			if !strings.HasPrefix(target, "/") {
				target = "/" + target
			}
			out := w.ask(http.MethodGet, target, user, nil)
			if out.Code >= 500 {
				t.Errorf("status %d: %s", out.Code, out.Body)
			}
			for name, values := range out.Header() {
				if text := strings.Join(values, ""); strings.ContainsAny(name+text, "\r\n") || strings.Contains(text, "x=y") {
					t.Errorf("header %s: %q", name, text)
				}
			}
			if n := strings.Count(w.logged.String()[before:], "\n"); n != 1 {
				t.Errorf("%d lines of log, want 1", n)
			}
		})
	}
}

// TestLargestBodies: each route's bound is on what is read, whatever the client says about the length.
func TestLargestBodies(t *testing.T) {
	w := newWorld(t, settings())
	w.post(nil)
	files := func(size int) string {
		const begin, end = `[{"path": "a", "type": "base64", "content": "`, `"}]`
		return begin + strings.Repeat("A", size-len(begin)-len(end)) + end
	}
	report := func(size int) string {
		const begin, end = `{"error_type": "`, `"}`
		return begin + strings.Repeat("e", size-len(begin)-len(end)) + end
	}
	for _, tt := range []struct {
		name, method, target, body string
		status                     int
		want                       string // in the error
	}{
		{"files, the largest", http.MethodPost, "/configuration-files", files(api.MaxConfigFilesBytes), 204, ""},
		{"files, one byte more", http.MethodPost, "/configuration-files", files(api.MaxConfigFilesBytes + 1), 413, "The request body is larger than 6291456 bytes"},
		{"a report, the largest", http.MethodPatch, "", report(api.MaxBodyBytes), 200, ""},
		{"a report, one byte more", http.MethodPatch, "", report(api.MaxBodyBytes + 1), 413, "The request body is larger than 1048576 bytes"},
	} {
		for _, length := range []string{"told", "unknown"} {
			t.Run(tt.name+", length "+length, func(t *testing.T) {
				r := httptest.NewRequestWithContext(t.Context(), tt.method, "/api/v1/requests/1"+tt.target, strings.NewReader(tt.body))
				r.Header.Set("Content-Type", "application/json")
				r.Header.Set(identityHeader, worker)
				if length == "unknown" {
					r.ContentLength = -1
				}
				out := httptest.NewRecorder()
				w.handler.ServeHTTP(out, r)
				if out.Code != tt.status {
					t.Errorf("status %d, want %d: %.200s", out.Code, tt.status, out.Body)
				}
				if tt.want != "" && message(t, out.Body.Bytes()) != tt.want {
					t.Errorf("got %q, want %q", message(t, out.Body.Bytes()), tt.want)
				}
			})
		}
	}
}
