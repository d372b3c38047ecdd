package web_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/cachito-serverless/cachito/shared/packages"
	"github.com/cachito-serverless/cachito/shared/request"
)

// TestEveryLinkLeadsSomewhere walks through all pages as a proxy shows them below a path: no link is broken,
// none leaves the path, and every asset that a page loads is there.
func TestEveryLinkLeadsSomewhere(t *testing.T) {
	const prefix = "/stage/cachito"
	w := newWorld(t)
	for range 30 {
		w.add(made{repo: "https://git.example.org/a", managers: []string{"gomod"}, packages: []packages.Package{{Name: "p", Type: "gomod", Dependencies: []packages.Dependency{{Name: "d", Type: "gomod"}}}}})
	}
	w.add(made{repo: "https://git.example.org/a", managers: []string{"npm"}, state: request.StateInProgress})
	w.add(made{repo: "https://git.example.org/a", managers: []string{"npm"}, state: request.StateFailed, reason: "no"})
	w.add(made{
		repo: "https://git.example.org/a", managers: []string{"npm"}, files: [][2]string{{"app/.npmrc", "a=b"}}, log: []string{"line"},
		variables: map[string]request.EnvironmentVariable{"A": {Value: "b", Kind: "literal"}},
	})
	outer := http.StripPrefix(prefix, w.handler)
	seen := map[string]bool{}
	waiting := []string{prefix + "/"}
	for len(waiting) > 0 {
		at := waiting[0]
		waiting = waiting[1:]
		if seen[at] {
			continue
		}
		seen[at] = true
		out := httptest.NewRecorder()
		outer.ServeHTTP(out, httptest.NewRequestWithContext(t.Context(), http.MethodGet, at, nil))
		if strings.HasSuffix(at, "/download") || strings.HasSuffix(at, "/metrics") || strings.HasSuffix(at, "/status") {
			continue // there is no bundle here, and what else they say is the API's business
		}
		if out.Code != http.StatusOK {
			t.Errorf("%s: status %d", at, out.Code)
		}
		if !strings.HasPrefix(out.Header().Get("Content-Type"), "text/html") {
			continue
		}
		checkPage(t, at, out.Result(), out.Body.String())
		for _, link := range linksOf(t, at, out.Body.String()) {
			if link.Host == "git.example.org" {
				continue
			}
			if !strings.HasPrefix(link.Path, prefix+"/") {
				t.Errorf("%s: the link %s leaves %s", at, link, prefix)
			}
			waiting = append(waiting, link.RequestURI())
		}
	}
	for _, page := range []string{"/", "/?page=2", "/docs", "/requests/new", "/requests/new?from=33", "/requests/33/files/content?n=1", "/requests/33/log", "/requests/1/dependencies?package=1", "/api/v1/openapi.json"} {
		if !seen[prefix+page] {
			t.Errorf("no link leads to %s", page)
		}
	}
}

func linksOf(t *testing.T, page, body string) []*url.URL {
	t.Helper()
	here, err := url.Parse(page)
	if err != nil {
		t.Fatal(err)
	}
	root, err := html.Parse(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	var links []*url.URL
	ids := map[string]int{}
	var fragments []string
	for n := range root.Descendants() {
		for _, a := range n.Attr {
			switch a.Key {
			case "id":
				ids[a.Val]++
			case "for", "aria-labelledby", "data-copy", "data-instant":
				fragments = append(fragments, a.Val)
			case "aria-describedby":
				fragments = append(fragments, strings.Fields(a.Val)...)
			case "href", "src", "data-description":
				if fragment, ok := strings.CutPrefix(a.Val, "#"); ok {
					fragments = append(fragments, fragment)
					continue
				}
				u, err := here.Parse(a.Val)
				if err != nil {
					t.Errorf("%s: link %q: %v", page, a.Val, err)
					continue
				}
				links = append(links, u)
			}
		}
	}
	for id, n := range ids {
		if n > 1 {
			t.Errorf("%s: %d elements have the id %q", page, n, id)
		}
	}
	for _, f := range fragments {
		if ids[f] == 0 {
			t.Errorf("%s: nothing has the id %q", page, f)
		}
	}
	return slices.Clip(links)
}

// TestNotThere: what is no page is the API's JSON, as it always was; a request that is not there is a page.
func TestNotThere(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{"/favicon.ico", "/requests", "/requests/", "/requests/x", "/requests/1/", "/requests/1/nothing", "/assets/", "/assets/style.css", "/docs/", "/api/v1"} {
		out := w.get(path)
		if out.Code != http.StatusNotFound || out.Header().Get("Content-Type") != "application/json" {
			t.Errorf("%s: %d %s, want a 404 in JSON", path, out.Code, out.Header().Get("Content-Type"))
		}
	}
	for _, path := range []string{"/requests/1", "/requests/0", "/requests/99999999999999999999/log", "/requests/1/files/content?n=1"} {
		out := w.get(path)
		if out.Code != http.StatusNotFound {
			t.Errorf("%s: %d, want 404", path, out.Code)
		}
		checkPage(t, path, out.Result(), out.Body.String())
	}
	if out := w.ask(httptest.NewRequestWithContext(t.Context(), http.MethodDelete, "/requests/new", nil)); out.Code != http.StatusMethodNotAllowed || out.Header().Get("Allow") != "GET, HEAD, OPTIONS, POST" {
		t.Errorf("DELETE: %d, Allow %q", out.Code, out.Header().Get("Allow"))
	}
}
