package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/packages"
	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/store"
)

// The cases of cases-core.md that are answers of the API, by their ids. L07 and L19 are void.

// answer calls the API and decodes what it answers.
func (w *world) answer(method, target, identity string, body any) (int, map[string]any) {
	w.t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		w.t.Fatal(err)
	}
	var header []string
	if body == nil {
		raw = nil
	} else {
		header = []string{"Content-Type", "application/json"}
	}
	out := w.ask(method, target, identity, raw, header...)
	var got map[string]any
	if out.Header().Get("Content-Type") == "application/json" && strings.HasPrefix(out.Body.String(), "{") {
		if err := json.Unmarshal(out.Body.Bytes(), &got); err != nil {
			w.t.Fatalf("%s %s: %v", method, target, err)
		}
	}
	return out.Code, got
}

func TestLifecycle(t *testing.T) {
	t.Run("L01 default package manager and first state", func(t *testing.T) {
		w := newWorld(t, settings())
		status, got := w.answer(http.MethodPost, "/api/v1/requests", user, map[string]any{"repo": repo, "ref": ref})
		history, _ := got["state_history"].([]any)
		if status != http.StatusCreated || fmt.Sprint(got["pkg_managers"]) != "[gomod]" || len(history) != 1 {
			t.Fatalf("got %d %v", status, got)
		}
		first := history[0].(map[string]any)
		if first["state"] != "in_progress" || first["state_reason"] != "The request was initiated" {
			t.Errorf("got %v", first)
		}
	})
	t.Run("L05 the same state and reason twice is one entry", func(t *testing.T) {
		w := newWorld(t, settings())
		w.post(nil)
		for range 2 {
			w.must(http.MethodPatch, "/api/v1/requests/1", worker, map[string]any{"state": "in_progress", "state_reason": "working"})
		}
		if _, got := w.answer(http.MethodGet, "/api/v1/requests/1", "", nil); len(got["state_history"].([]any)) != 2 {
			t.Errorf("got %v", got["state_history"])
		}
	})
	t.Run("L06 complete does not become in_progress again", func(t *testing.T) {
		w := newWorld(t, settings())
		w.post(nil)
		w.complete(1)
		status, got := w.answer(http.MethodPatch, "/api/v1/requests/1", worker, map[string]any{"state": "in_progress", "state_reason": "x"})
		if status != 400 || got["error"] != "State transition is not allowed from complete to in_progress." {
			t.Errorf("got %d %v", status, got)
		}
	})
	t.Run("L11 a complete request has no error keys", func(t *testing.T) {
		w := newWorld(t, settings())
		w.post(nil)
		w.complete(1)
		_, got := w.answer(http.MethodGet, "/api/v1/requests/1", "", nil)
		for _, key := range []string{"error_origin", "error_type"} {
			if v, ok := got[key]; ok {
				t.Errorf("%s is %v", key, v)
			}
		}
	})
	t.Run("L14 download of an unfinished request", func(t *testing.T) {
		w := newWorld(t, settings())
		w.post(nil)
		status, got := w.answer(http.MethodGet, "/api/v1/requests/1/download", "", nil)
		if status != 400 || got["error"] != `The request must be in the "complete" state before downloading the archive` {
			t.Errorf("got %d %v", status, got)
		}
	})
	t.Run("L15 logs that are not there yet, and no longer", func(t *testing.T) {
		w := newWorld(t, settings())
		w.post(nil)
		if out := w.ask(http.MethodGet, "/api/v1/requests/1/logs", "", nil); out.Code != 200 || out.Body.Len() > 0 {
			t.Errorf("unfinished: got %d %q, want 200 and nothing", out.Code, out.Body)
		}
		w.update(1, store.Update{State: request.StateStale, Reason: request.ReasonExpired})
		status, got := w.answer(http.MethodGet, "/api/v1/requests/1/logs", "", nil)
		if status != 410 || got["error"] != "The logs for the Cachito request 1 no longer exist" {
			t.Errorf("stale: got %d %v", status, got)
		}
	})
}

func TestRefusedOrders(t *testing.T) {
	relative := `The "path" values in the "packages.gomod" value must be to a relative path in the source repository`
	for _, tt := range []struct {
		name string
		body map[string]any
		want string
	}{
		{"L16 path that leaves", map[string]any{"packages": map[string]any{"gomod": []any{map[string]any{"path": "../x"}}}}, relative},
		{"L16 absolute path", map[string]any{"packages": map[string]any{"gomod": []any{map[string]any{"path": "/x"}}}}, relative},
		{"L16 empty path", map[string]any{"packages": map[string]any{"gomod": []any{map[string]any{"path": ""}}}}, relative},
		{"L17 empty object", map[string]any{"packages": map[string]any{"gomod": []any{map[string]any{}}}}, `The value of "packages.gomod" must be an array of objects with the following keys: path`},
		{"L17 unknown key", map[string]any{"packages": map[string]any{"gomod": []any{map[string]any{"spam": 1}}}}, `Additional properties are not allowed ('spam' was unexpected)`},
		{"L17 no list", map[string]any{"packages": map[string]any{"gomod": "x"}}, `'x' is not of type 'array'`},
		{"L18 packages of another manager", map[string]any{"packages": map[string]any{"pip": []any{map[string]any{"path": "."}}}, "pkg_managers": []string{"gomod"}}, `The following package managers in the "packages" object do not apply: pip`},
		{"L20 replacements for pip", map[string]any{"pkg_managers": []string{"pip"}, "dependency_replacements": []any{map[string]any{"name": "a", "type": "pip", "version": "1"}}}, "Dependency replacements are not yet supported for the pip package manager"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, settings())
			tt.body["repo"], tt.body["ref"] = repo, ref
			status, got := w.answer(http.MethodPost, "/api/v1/requests", user, tt.body)
			if status != 400 || got["error"] != tt.want {
				t.Errorf("got %d %v, want %q", status, got["error"], tt.want)
			}
			if _, list := w.answer(http.MethodGet, "/api/v1/requests", "", nil); list["meta"].(map[string]any)["total"] != 0.0 {
				t.Errorf("the refused request was stored: %v", list)
			}
		})
	}
}

func TestPackagesAnswers(t *testing.T) {
	one, yes := "1", true
	data := []packages.Package{{Name: "b", Type: "npm", Version: &one, Dependencies: []packages.Dependency{
		{Name: "z", Type: "npm", Version: &one, Dev: &yes}, {Name: "z", Type: "npm", Version: &one},
	}}}
	t.Run("K05 GET of a request fills replaces in, packages does not", func(t *testing.T) {
		w := newWorld(t, settings())
		w.post(nil)
		w.complete(1)
		w.storePackages(1, data)
		_, got := w.answer(http.MethodGet, "/api/v1/requests/1", "", nil)
		for _, d := range got["dependencies"].([]any) {
			if v, ok := d.(map[string]any)["replaces"]; !ok || v != nil {
				t.Errorf("dependency %v has no null replaces", d)
			}
		}
		_, plain := w.answer(http.MethodGet, "/api/v1/requests/1/packages", "", nil)
		want := []any{map[string]any{"name": "z", "type": "npm", "version": "1"}, map[string]any{"name": "z", "type": "npm", "version": "1", "dev": true}}
		if diff := cmp.Diff(want, plain["dependencies"]); diff != "" {
			t.Errorf("stored dependencies (-want +got):\n%s", diff)
		}
	})
	t.Run("K06 no packages data", func(t *testing.T) {
		w := newWorld(t, settings())
		w.post(nil)
		// api.md 4: every 404 has one text.
		if status, got := w.answer(http.MethodGet, "/api/v1/requests/1/packages", "", nil); status != 404 {
			t.Errorf("not there yet: got %d %v", status, got)
		}
		w.complete(1)
		status, got := w.answer(http.MethodGet, "/api/v1/requests/1/packages", "", nil)
		if status != 500 || got["error"] != "Invalid state: packages file was not found." {
			t.Errorf("gone: got %d %v", status, got)
		}
	})
}
