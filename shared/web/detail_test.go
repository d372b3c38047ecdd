package web_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/cachito-serverless/cachito/shared/api"
	"github.com/cachito-serverless/cachito/shared/packages"
	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/requestlog"
	"github.com/cachito-serverless/cachito/shared/store"
)

// has compares a page with what it must have, and must not have.
func has(t *testing.T, page, body string, want, not []string) {
	t.Helper()
	for _, part := range want {
		if !strings.Contains(body, part) {
			t.Errorf("%s lacks %q:\n%s", page, part, body)
		}
	}
	for _, part := range not {
		if strings.Contains(body, part) {
			t.Errorf("%s has %q:\n%s", page, part, body)
		}
	}
}

func TestOverviewComplete(t *testing.T) {
	w := newWorld(t, func(c *api.Config, _ *api.Deps) { c.PublicURL = "https://cachito.example/stage" })
	w.add(made{managers: []string{"gomod", "npm"}, user: "ann@B", flags: []string{"cgo-disable"}, options: map[string]string{"npm": `[{"path":"web"}]`}})
	sum := strings.Repeat("ab", 32)
	has(t, "/requests/1", w.get("/requests/1").Body.String(), []string{
		`<span class="state complete">Complete</span>`, `href="https://git.example.org/team/retrodep.git" rel="noreferrer"`, ref,
		"ann@B", `<span class="tag">cgo-disable</span>`, "1.2 MB", "1,234,567 bytes", sum,
		`href="../api/v1/requests/1/download" download="cachito-1.tar.gz"`,
		"curl -fL -o cachito-1.tar.gz https://cachito.example/stage/api/v1/requests/1/download",
		"echo &#39;" + sum + "  cachito-1.tar.gz&#39; | sha256sum -c",
		"The request was initiated", "Completed successfully", "curl -s &#39;https://cachito.example/stage/api/v1/requests/1/sbom?format=spdx-2.3&#39;",
		`&#34;pkg_managers&#34;:[&#34;gomod&#34;,&#34;npm&#34;]`, `data-refresh="0"`,
	}, []string{`id="progress"`, `id="failure"`})
}

func TestOverviewRunning(t *testing.T) {
	w := newWorld(t)
	id := w.add(made{managers: []string{"gomod", "npm"}, state: request.StateInProgress})
	ctx := t.Context()
	if _, err := w.store.FinishStep(ctx, id, "source", store.Update{}); err != nil {
		t.Fatal(err)
	}
	if err := w.store.Progress(ctx, id, "resolve-gomod", request.Progress{Done: 812, Total: 1552, Bytes: 214_300_000}); err != nil {
		t.Fatal(err)
	}
	if err := w.store.Lease(ctx, id, "resolve-npm", now.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	has(t, "/requests/1", w.get("/requests/1").Body.String(), []string{
		`data-refresh="1"`, `data-state="In progress"`,
		`<li class="done" id="step-source">`, `value="52" aria-label="gomod"`, "812 of 1,552, 214.3 MB",
		`<progress max="100" aria-label="npm"`, "runs", `<li class="waiting" id="step-bundle">`,
	}, []string{`id="bundle"`, "/download"})
}

func TestOverviewEnds(t *testing.T) {
	w := newWorld(t)
	w.add(made{managers: []string{"npm"}, state: request.StateFailed, reason: "package-lock.json: expected a, got b"})
	w.add(made{managers: []string{"npm"}, state: request.StateStale})
	has(t, "failed", w.get("/requests/1").Body.String(), []string{`id="failure"`, "package-lock.json: expected a, got b", "InvalidChecksum, to be mended in the repository or the request", `data-refresh="0"`}, []string{"/download"})
	has(t, "stale", w.get("/requests/2").Body.String(), []string{"This request has expired", "requests/new?from=2"}, []string{"requests/2/download"})
}

func TestContents(t *testing.T) {
	w := newWorld(t)
	yes, no := true, false
	list := []packages.Package{
		{Name: "web", Type: "npm", Version: version("1.0.0"), Path: "web", Dependencies: []packages.Dependency{
			{Name: "lit", Type: "npm", Version: version("3.0.0"), Dev: &no, Bundled: &yes}, {Name: "vite", Type: "npm", Version: version("5.0.0"), Dev: &yes},
		}},
		{Name: "api", Type: "npm", Version: nil, Dependencies: []packages.Dependency{{
			Name: "lit", Type: "npm", Version: version("3.0.0"), Dev: &no, Bundled: &yes, Replaces: &packages.Replaced{Name: "old-lit", Type: "npm", Version: version("1")},
		}}},
	}
	for i := range 250 {
		list[0].Dependencies = append(list[0].Dependencies, packages.Dependency{Name: fmt.Sprintf("many-%03d", i), Type: "npm", Version: version("1")})
	}
	w.add(made{managers: []string{"npm"}, packages: list})
	for _, tt := range []struct {
		page      string
		want, not []string
	}{
		{"/requests/1/dependencies", []string{"<b>1</b> to <b>100</b> of <b>252</b>", "<bdi>lit</bdi>", "bundled", "instead of <bdi>old-lit 1</bdi>", `<td class="wide num">2</td>`, `href="?page=3">Last`}, []string{"many-150"}},
		{"/requests/1/dependencies?page=3", []string{"<b>201</b> to <b>252</b> of <b>252</b>", "<bdi>vite</bdi>", `<span class="tag">dev</span>`}, []string{"many-000"}},
		{"/requests/1/dependencies?q=MANY+2", []string{"<b>1</b> to <b>88</b> of <b>88</b>", `value="MANY 2"`}, []string{"lit", "many-111"}},
		{"/requests/1/dependencies?q=many&page=2", []string{`<a href="?q=many">First</a>`, `<a rel="next" href="?page=3&amp;q=many">Next</a>`}, nil},
		{"/requests/1/dependencies?q=nothing", []string{"Nothing found"}, []string{"<tbody>"}},
		{"/requests/1/dependencies?package=1", []string{"Those of", "<b>api</b>", "<b>1</b> to <b>1</b> of <b>1</b>"}, []string{"vite"}},
		{"/requests/1/dependencies?package=2&q=many&page=2", []string{"<b>web</b> 1.0.0", `name="package" value="2"`, `href="?package=2&amp;page=3&amp;q=many"`}, nil},
		{"/requests/1/packages", []string{`href="../../requests/1/dependencies?package=2"`, ">252<", "in <bdi>web</bdi>"}, nil},
		{"/requests/1/packages?q=web", []string{"<b>1</b> to <b>1</b> of <b>1</b>"}, []string{"package=1"}},
	} {
		t.Run(tt.page, func(t *testing.T) {
			out := w.get(tt.page)
			has(t, tt.page, out.Body.String(), tt.want, tt.not)
			checkPage(t, tt.page, out.Result(), out.Body.String())
		})
	}
	for _, page := range []string{"/requests/1/dependencies?package=3", "/requests/1/dependencies?package=x", "/requests/1/dependencies?page=4", "/requests/1/packages?page=2"} {
		if out := w.get(page); out.Code != http.StatusNotFound {
			t.Errorf("%s: status %d, want 404", page, out.Code)
		}
	}
}

// TestContentsMissing: without packages data the pages say why.
func TestContentsMissing(t *testing.T) {
	w := newWorld(t)
	w.add(made{managers: []string{"npm"}, state: request.StateInProgress})
	w.add(made{managers: []string{"npm"}, state: request.StateFailed, reason: "no"})
	for _, tab := range []string{"dependencies", "packages", "dependencies?package=1"} {
		has(t, tab, w.get("/requests/1/"+tab).Body.String(), []string{"They are known once the request is complete."}, nil)
		has(t, tab, w.get("/requests/2/"+tab).Body.String(), []string{"There is no packages data for this request."}, nil)
	}
	damaged := w.add(made{managers: []string{"npm"}})
	if err := w.blobs.Put(t.Context(), "packages/0003", []byte(`{"packages": [{"name": 1}]}`), true); err != nil {
		t.Fatal(err)
	}
	out := w.get(fmt.Sprintf("/requests/%d/packages", damaged))
	if out.Code != http.StatusInternalServerError || !strings.Contains(w.logged.String(), "packages data of request 3") {
		t.Errorf("damaged: %d, log %s", out.Code, w.logged)
	}
}

func TestEnvironmentAndFiles(t *testing.T) {
	w := newWorld(t)
	w.add(made{
		managers:  []string{"npm"},
		variables: map[string]request.EnvironmentVariable{"GOPROXY": {Value: "off", Kind: "literal"}, "GOCACHE": {Value: "deps/gomod", Kind: "path"}},
		files:     [][2]string{{"app/.npmrc", "offline=true\n"}, {"app/bin", "\x00\x01"}, {"app/long", strings.Repeat("é", 9000)}},
	})
	w.add(made{managers: []string{"npm"}})
	body := w.get("/requests/1/environment").Body.String()
	has(t, "environment", body, []string{"GOPROXY", "off", "literal", "deps/gomod"}, nil)
	if strings.Index(body, "GOCACHE") > strings.Index(body, "GOPROXY") {
		t.Error("variables are not in order")
	}
	has(t, "no environment", w.get("/requests/2/environment").Body.String(), []string{"needs no variables"}, nil)
	body = w.get("/requests/1/files").Body.String()
	has(t, "files", body, []string{"app/.npmrc", "offline=true", "The content is no text.", "This is only the beginning."}, []string{"\uFFFD"})
	has(t, "no files", w.get("/requests/2/files").Body.String(), []string{"There are no configuration files."}, nil)
	out := w.get("/requests/1/files/content?n=3")
	want := map[string]string{
		"Content-Type": "application/octet-stream", "Content-Disposition": `attachment; filename="long"`,
		"Content-Security-Policy": "default-src 'none'; sandbox", "X-Content-Type-Options": "nosniff",
	}
	for name, value := range want {
		if got := out.Header().Get(name); got != value {
			t.Errorf("%s: got %q, want %q", name, got, value)
		}
	}
	if out.Body.String() != strings.Repeat("é", 9000) {
		t.Errorf("%d bytes", out.Body.Len())
	}
	for _, n := range []string{"0", "4", "x", ""} {
		if out := w.get("/requests/1/files/content?n=" + n); out.Code != http.StatusNotFound {
			t.Errorf("file %q: status %d, want 404", n, out.Code)
		}
	}
}

func TestFilesThatAreOdd(t *testing.T) {
	w := newWorld(t)
	id := w.add(made{managers: []string{"npm"}})
	key := request.ConfigFileKey("not base64!")
	if err := w.blobs.Put(t.Context(), key, []byte("not base64!"), true); err != nil {
		t.Fatal(err)
	}
	var files []request.ConfigFile
	for i := range 60 {
		files = append(files, request.ConfigFile{Path: fmt.Sprintf("app/%02d", i), Key: key})
	}
	if err := w.store.AddConfigFiles(t.Context(), id, files); err != nil {
		t.Fatal(err)
	}
	has(t, "files", w.get("/requests/1/files").Body.String(), []string{"The content is not base64", "There are 10 more."}, []string{"app/50", "Download the file"})
	if out := w.get("/requests/1/files/content?n=1"); out.Code != http.StatusUnprocessableEntity {
		t.Errorf("status %d, want 422", out.Code)
	}
	large := strings.Repeat("QUFB", 1<<21)
	if err := w.blobs.Put(t.Context(), request.ConfigFileKey(large), []byte(large), true); err != nil {
		t.Fatal(err)
	}
	if err := w.store.AddConfigFiles(t.Context(), id, []request.ConfigFile{{Path: "a", Key: request.ConfigFileKey(large)}}); err != nil {
		t.Fatal(err)
	}
	if out := w.get("/requests/1/files/content?n=1"); out.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("large: status %d, want 413", out.Code)
	}
}

func TestLog(t *testing.T) {
	w := newWorld(t)
	w.add(made{managers: []string{"npm"}, log: []string{"first line", "second\tline"}})
	w.add(made{managers: []string{"npm"}, state: request.StateInProgress})
	w.add(made{managers: []string{"npm"}, state: request.StateStale})
	has(t, "log", w.get("/requests/1/log").Body.String(), []string{"INFO] first line\n", "second\tline", "../../api/v1/requests/1/logs"}, []string{"are not shown"})
	has(t, "no log yet", w.get("/requests/2/log").Body.String(), []string{"Nothing was logged yet."}, nil)
	has(t, "log that is gone", w.get("/requests/3/log").Body.String(), []string{"no longer exists"}, nil)
	writer := requestlog.New(w.blobs, 1, clock)
	for i := range 5000 {
		writer.Logger().InfoContext(t.Context(), fmt.Sprintf("line %d of a long log", i))
	}
	if err := writer.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	body := w.get("/requests/1/log").Body.String()
	has(t, "long log", body, []string{"kB before this are not shown", "line 4999 of"}, []string{"first line", "line 1000 of"})
	if len(body) > 150<<10 {
		t.Errorf("the page has %d bytes", len(body))
	}
	hidden := newWorld(t, func(c *api.Config, _ *api.Deps) { c.LogsEnabled = false })
	hidden.add(made{managers: []string{"npm"}, log: []string{"first line"}})
	if out := hidden.get("/requests/1/log"); out.Code != http.StatusNotFound || strings.Contains(out.Body.String(), "first line") {
		t.Errorf("logs switched off: %d", out.Code)
	}
	has(t, "logs switched off", hidden.get("/requests/1").Body.String(), nil, []string{"requests/1/log"})
}
