package api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/cachito-serverless/cachito/shared/api"
	"github.com/cachito-serverless/cachito/shared/resolver"
)

// TestOptIn: a manager that Cachito does not have exists only where it is enabled, in orders and in the
// description alike.
func TestOptIn(t *testing.T) {
	withNew := func(d *api.Deps) {
		d.Managers = append(d.Managers, resolver.Descriptor{Name: "new", OptIn: true, Options: []resolver.Option{{Name: "path"}}})
	}
	const order = `{"repo": "https://git.example/a/b.git", "ref": "` + ref + `", "pkg_managers": ["new"], "packages": {"new": [{"path": "x"}]}}`
	described := func(w *world) string {
		return w.ask(http.MethodGet, api.Base+"/openapi.yaml", "", nil).Body.String()
	}
	t.Run("not enabled", func(t *testing.T) {
		w := newWorld(t, settings(), withNew)
		bare := strings.Replace(order, `, "packages": {"new": [{"path": "x"}]}`, "", 1)
		for body, want := range map[string]string{
			bare:  `{"error": "'new' is not one of ['gomod', 'npm', 'pip', 'git-submodule', 'yarn', 'rubygems']"}`,
			order: `{"error": "Additional properties are not allowed ('new' was unexpected)"}`,
		} {
			out := w.ask(http.MethodPost, api.Base+"/requests", user, []byte(body), "Content-Type", "application/json")
			if got := strings.TrimSpace(out.Body.String()); out.Code != http.StatusBadRequest || got != want {
				t.Errorf("%s: got %d %s, want 400 %s", body, out.Code, got, want)
			}
		}
		if strings.Contains(described(w), "- new\n") {
			t.Error("the description names it")
		}
	})
	t.Run("enabled", func(t *testing.T) {
		cfg := settings()
		cfg.PackageManagers = append(cfg.PackageManagers, "new")
		w := newWorld(t, cfg, withNew)
		out := w.ask(http.MethodPost, api.Base+"/requests", user, []byte(order), "Content-Type", "application/json")
		if body := out.Body.String(); out.Code != http.StatusCreated || !strings.Contains(body, `"pkg_managers": ["new"]`) {
			t.Errorf("got %d %s", out.Code, body)
		}
		if !strings.Contains(described(w), "- new\n") {
			t.Error("the description does not name it")
		}
	})
}
