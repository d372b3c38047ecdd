package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/cachito-serverless/cachito/shared/api"
	"github.com/cachito-serverless/cachito/shared/resolver/all"
)

// TestOrigins: browsers may send what our own pages make them send, programs everything.
func TestOrigins(t *testing.T) {
	tests := []struct {
		name   string
		change func(*api.Config)
		header []string
		want   bool
	}{
		{"a program", nil, nil, true},
		{"our own page", nil, []string{"Sec-Fetch-Site", "same-origin", "Origin", "http://localhost"}, true},
		{"our own page without TLS", nil, []string{"Origin", "http://localhost"}, true},
		{"somebody who types", nil, []string{"Sec-Fetch-Site", "none"}, true},
		{"another site", nil, []string{"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"}, false},
		{"another host of the same site", nil, []string{"Sec-Fetch-Site", "same-site", "Origin", "https://other.localhost"}, false},
		{"another site without TLS", nil, []string{"Origin", "http://evil.example"}, false},
		{"a page that hides where it is", nil, []string{"Origin", "null"}, false},
		{"behind a proxy, the operator names it", func(c *api.Config) { c.PublicURL = "https://cachito.example/stage" }, []string{"Origin", "https://cachito.example"}, true},
		{"the same with the usual port", func(c *api.Config) { c.PublicURL = "https://Cachito.example:443/stage" }, []string{"Origin", "https://cachito.example"}, true},
		{"behind a proxy, another site", func(c *api.Config) { c.PublicURL = "https://cachito.example/stage" }, []string{"Origin", "https://evil.example"}, false},
		{"behind a trusted proxy", func(c *api.Config) { c.TrustForwarded = true }, []string{"Origin", "https://outer.example", "X-Forwarded-Host", "outer.example, inner"}, true},
		{"behind a proxy that nobody trusts", nil, []string{"Origin", "https://outer.example", "X-Forwarded-Host", "outer.example"}, false},
		{"behind a trusted proxy, another site", func(c *api.Config) { c.TrustForwarded = true }, []string{"Origin", "https://evil.example", "X-Forwarded-Host", "outer.example"}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := settings()
			if tt.change != nil {
				tt.change(&cfg)
			}
			w := newWorld(t, cfg)
			for target, body := range map[string]string{
				"/api/v1/requests": fmt.Sprintf(`{"repo": %q, "ref": %q}`, repo, ref),
				"/requests/new":    "repo=" + repo + "&ref=" + ref,
			} {
				kind, accepted := "application/json", http.StatusCreated
				if target == "/requests/new" {
					kind, accepted = "application/x-www-form-urlencoded", http.StatusSeeOther
				}
				out := w.ask(http.MethodPost, target, user, []byte(body), append([]string{"Content-Type", kind}, tt.header...)...)
				switch {
				case tt.want && out.Code != accepted:
					t.Errorf("POST %s: %d %s, want %d", target, out.Code, out.Body, accepted)
				case !tt.want && (out.Code != http.StatusForbidden || !strings.Contains(out.Body.String(), "another site")):
					t.Errorf("POST %s: %d %s, want 403", target, out.Code, out.Body)
				}
			}
			// Whoever only reads may come from anywhere: a link on another page leads to us.
			if out := w.ask(http.MethodGet, "/api/v1/requests", "", nil, tt.header...); out.Code != http.StatusOK {
				t.Errorf("GET: %d", out.Code)
			}
		})
	}
}

// TestOddPublicURL: an address that cannot be one is told at the start.
func TestOddPublicURL(t *testing.T) {
	cfg := settings()
	cfg.PublicURL = "cachito.example"
	if _, err := api.New(cfg, api.Deps{Managers: all.List()}); err == nil || !strings.Contains(err.Error(), `"cachito.example"`) {
		t.Errorf("got %v, want an error that names it", err)
	}
}
