package web_test

import (
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/api"
	"github.com/cachito-serverless/cachito/shared/request"
)

var rowPattern = regexp.MustCompile(`id="request-(\d+)" data-state="([^"]+)"`)

// rows are the requests on a page of the list, "3 Complete".
func rows(body string) []string {
	list := []string{}
	for _, m := range rowPattern.FindAllStringSubmatch(body, -1) {
		list = append(list, m[1]+" "+m[2])
	}
	return list
}

func TestListFilters(t *testing.T) {
	w := newWorld(t)
	w.add(made{managers: []string{"gomod"}})                                                                            // 1
	w.add(made{repo: "https://example.org/a.git", managers: []string{"npm"}, state: request.StateFailed, reason: "no"}) // 2
	w.add(made{managers: []string{"gomod", "npm"}, state: request.StateInProgress})                                     // 3
	w.add(made{managers: []string{}, state: request.StateStale})                                                        // 4
	tests := []struct {
		query  string
		status int
		want   []string
		text   string // in the page as well
	}{
		{"", 200, []string{"4 Stale", "3 In progress", "2 Failed", "1 Complete"}, "<b>1</b> to <b>4</b> of <b>4</b>"},
		{"?state=complete", 200, []string{"1 Complete"}, `aria-current="true">Complete <b>1</b>`},
		{"?state=", 200, []string{"4 Stale", "3 In progress", "2 Failed", "1 Complete"}, ""},
		{"?state=no", 400, []string{}, "There is no such state"},
		{"?repo=https://example.org/a.git", 200, []string{"2 Failed"}, `value="https://example.org/a.git"`},
		{"?repo=https://example.org/b.git", 200, []string{}, "Nothing found"},
		{"?ref=" + ref, 200, []string{"4 Stale", "3 In progress", "2 Failed", "1 Complete"}, ""},
		{"?ref=c50b", 400, []string{}, "A commit is 40 digits"},
		{"?pkg_manager=gomod", 200, []string{"3 In progress", "1 Complete"}, "<option selected>gomod</option>"},
		{"?pkg_manager=gomod&pkg_manager=npm", 200, []string{"3 In progress"}, ""},
		{"?pkg_manager=cpan", 400, []string{}, "There is no such package manager"},
		{"?error_origin=client", 200, []string{"2 Failed"}, `<details class="more" open>`},
		{"?error_origin=me", 400, []string{}, "An error comes from"},
		{"?error_type=InvalidChecksum", 200, []string{"2 Failed"}, ""},
		{"?created_from=2026-11-25&created_to=2026-11-25", 200, []string{"4 Stale", "3 In progress", "2 Failed", "1 Complete"}, ""},
		{"?created_from=2026-11-26", 200, []string{}, "Nothing found"},
		{"?created_to=2026-11-24", 200, []string{}, "Nothing found"},
		{"?created_to=yesterday", 400, []string{}, "A day looks like"},
		{"?page=2", 404, []string{}, "The list has no such page"},
		{"?page=no", 200, []string{"4 Stale", "3 In progress", "2 Failed", "1 Complete"}, ""},
		{"?page=99999999999999999999", 200, []string{"4 Stale", "3 In progress", "2 Failed", "1 Complete"}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.query, func(t *testing.T) {
			out := w.get("/" + tt.query)
			body := out.Body.String()
			if out.Code != tt.status || !strings.Contains(body, tt.text) {
				t.Errorf("status %d, want %d with %q in it:\n%s", out.Code, tt.status, tt.text, body)
			}
			if diff := cmp.Diff(tt.want, rows(body)); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
			checkPage(t, tt.query, out.Result(), body)
		})
	}
}

// TestListPages: pages keep the filter, and name each other.
func TestListPages(t *testing.T) {
	w := newWorld(t)
	for range 60 {
		w.add(made{managers: []string{"gomod"}, state: request.StateInProgress})
	}
	page := w.get("/?state=in_progress&page=2").Body.String()
	if got := rows(page); len(got) != 25 || got[0] != "35 In progress" {
		t.Errorf("page 2: %d requests, the first is %v; want 25 from 35 on", len(got), got)
	}
	for _, link := range []string{
		`<a href="?state=in_progress">First</a>`, `<a rel="prev" href="?state=in_progress">Previous</a>`,
		`<a rel="next" href="?page=3&amp;state=in_progress">Next</a>`, `<a href="?page=3&amp;state=in_progress">Last</a>`,
	} {
		if !strings.Contains(page, link) {
			t.Errorf("the page lacks %s", link)
		}
	}
	if got := rows(w.get("/?state=in_progress&page=3").Body.String()); len(got) != 10 {
		t.Errorf("page 3 has %d requests, want 10", len(got))
	}
}

// TestTitles: the start page has the title that clients of the API know (A13); script replaces it with what
// the page is about.
func TestTitles(t *testing.T) {
	w := newWorld(t)
	id := strconv.FormatInt(w.add(made{}), 10)
	for page, want := range map[string][2]string{
		"/":                      {"Cachito API Documentation", "Requests"},
		"/?state=failed":         {"Requests · Cachito", "Requests"},
		"/requests/" + id:        {"Request 1 · Cachito", "Request 1"},
		"/requests/1/packages":   {"Packages of request 1 · Cachito", "Packages of request 1"},
		"/requests/new":          {"New request · Cachito", "New request"},
		"/docs":                  {"API documentation · Cachito", "API documentation"},
		"/requests/77":           {"Not Found · Cachito", "Not Found"},
		"/requests/new?from=77":  {"Not Found · Cachito", "Not Found"},
		"/requests/new?from=abc": {"Not Found · Cachito", "Not Found"},
	} {
		body := w.get(page).Body.String()
		for _, part := range []string{"<title>" + want[0] + "</title>", `data-title="` + want[1] + ` · Cachito"`} {
			if !strings.Contains(body, part) {
				t.Errorf("%s lacks %s", page, part)
			}
		}
	}
}

// TestLiveList: a request that runs shows how far it is, and the page looks for news more often.
func TestLiveList(t *testing.T) {
	w := newWorld(t)
	w.add(made{managers: []string{"gomod"}})
	if body := w.get("/").Body.String(); !strings.Contains(body, `data-refresh="10"`) {
		t.Error("nothing runs, and the page does not wait 10 seconds")
	}
	id := w.add(made{managers: []string{"gomod"}, state: request.StateInProgress})
	if err := w.store.Progress(t.Context(), id, "resolve-gomod", request.Progress{Done: 1, Total: 2}); err != nil {
		t.Fatal(err)
	}
	body := w.get("/").Body.String()
	for _, part := range []string{`data-refresh="1"`, `<progress max="100" value="16"`} { // half of one of three steps
		if !strings.Contains(body, part) {
			t.Errorf("the list lacks %s", part)
		}
	}
}

// TestUnchanged: asking again for what has not changed costs no body; HEAD costs none either.
func TestUnchanged(t *testing.T) {
	w := newWorld(t)
	w.add(made{managers: []string{"gomod"}})
	first := w.get("/")
	tag := first.Header().Get("ETag")
	if out := w.get("/", "If-None-Match", tag); out.Code != http.StatusNotModified || out.Body.Len() > 0 {
		t.Errorf("unchanged: %d with %d bytes, want 304 with none", out.Code, out.Body.Len())
	}
	w.add(made{managers: []string{"gomod"}})
	if out := w.get("/", "If-None-Match", tag); out.Code != http.StatusOK || out.Header().Get("ETag") == tag {
		t.Errorf("changed: %d with ETag %s, want 200 with another than %s", out.Code, out.Header().Get("ETag"), tag)
	}
	if out := w.get("/", "Accept-Encoding", "gzip"); out.Header().Get("Content-Encoding") != "gzip" || out.Body.Len() >= first.Body.Len() {
		t.Errorf("gzip: Content-Encoding %q, %d bytes of %d", out.Header().Get("Content-Encoding"), out.Body.Len(), first.Body.Len())
	}
}

// TestNoRequestYet: the first visitor is told what to do, with the address as the service is reached.
func TestNoRequestYet(t *testing.T) {
	w := newWorld(t, func(c *api.Config, _ *api.Deps) { c.PublicURL = "https://cachito.example/stage" })
	body := w.get("/").Body.String()
	for _, part := range []string{"No request yet", "curl https://cachito.example/stage/api/v1/requests "} {
		if !strings.Contains(body, part) {
			t.Errorf("the page lacks %q", part)
		}
	}
}

// TestFailures: nobody is shown what is broken inside, and the log says it.
func TestFailures(t *testing.T) {
	w := newWorld(t)
	id := w.add(made{managers: []string{"gomod"}})
	if err := w.store.Close(); err != nil {
		t.Fatal(err)
	}
	for _, page := range []string{"/", fmt.Sprintf("/requests/%d", id), fmt.Sprintf("/requests/%d/files", id)} {
		out := w.get(page)
		if out.Code != http.StatusInternalServerError || strings.Contains(out.Body.String(), "sql") {
			t.Errorf("%s: %d %s", page, out.Code, out.Body)
		}
		checkPage(t, page, out.Result(), out.Body.String())
	}
	if n := strings.Count(w.logged.String(), "page failed"); n != 3 {
		t.Errorf("%d failures in the log, want 3:\n%s", n, w.logged)
	}
}
