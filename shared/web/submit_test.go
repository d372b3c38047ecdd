package web_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"

	"github.com/cachito-serverless/cachito/shared/api"
	"github.com/cachito-serverless/cachito/shared/request"
)

// goodForm is a form that is accepted, with changes: name, value, ...; an empty value removes the field.
func goodForm(change ...string) url.Values {
	form := url.Values{"repo": {repo}, "ref": {ref}, "manager": {"gomod"}}
	for i := 0; i+1 < len(change); i += 2 {
		if change[i+1] == "" {
			form.Del(change[i])
			continue
		}
		if change[i] == "manager" || change[i] == "flag" {
			form.Add(change[i], change[i+1])
			continue
		}
		form.Set(change[i], change[i+1])
	}
	return form
}

func TestSubmit(t *testing.T) {
	type order struct {
		Managers     []string
		Packages     map[string]string
		Flags        []string
		Replacements []request.Replacement
		User         string
	}
	tests := []struct {
		name   string
		form   url.Values
		header []string
		want   order
	}{
		{"as little as possible", goodForm("manager", ""), nil, order{Managers: []string{}}},
		{"one manager, its paths untouched", goodForm("gomod.0.path", ""), nil, order{Managers: []string{"gomod"}}},
		{
			"paths, an empty row between them", goodForm("gomod.0.path", " tools ", "gomod.2.path", ".", "npm.0.path", "not asked for"), nil,
			order{Managers: []string{"gomod"}, Packages: map[string]string{"gomod": `[{"path":"tools"},{"path":"."}]`}},
		},
		{
			"lists have one a line", goodForm("manager", "pip", "pip.0.path", "a", "pip.0.requirements_files", "one.txt\r\n two words.txt \n\n"), nil,
			order{Managers: []string{"gomod", "pip"}, Packages: map[string]string{"pip": `[{"path":"a","requirements_files":["one.txt","two words.txt"]}]`}},
		},
		{"flags", goodForm("flag", "include-git-dir", "flag", "cgo-disable", "flag", "unheard-of"), nil, order{Managers: []string{"gomod"}, Flags: []string{"cgo-disable", "include-git-dir"}}},
		{
			"replacements, an empty row among them",
			goodForm("replacement.0.name", "a", "replacement.0.type", "gomod", "replacement.0.version", "v1", "replacement.1.type", "gomod", "replacement.2.name", "b", "replacement.2.type", "gomod", "replacement.2.version", "v2", "replacement.2.new_name", "c"), nil,
			order{Managers: []string{"gomod"}, Replacements: []request.Replacement{{Name: "a", Type: "gomod", Version: "v1"}, {Name: "b", Type: "gomod", Version: "v2", NewName: "c"}}},
		},
		{"the caller's identity", goodForm(), []string{identityHeader, "ann@B"}, order{Managers: []string{"gomod"}, User: "ann@B"}},
		{"on behalf of somebody", goodForm("user", "bob@B"), []string{identityHeader, "proxy@B"}, order{Managers: []string{"gomod"}, User: "bob@B"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, func(c *api.Config, _ *api.Deps) { c.UserRepresentatives = []string{"proxy@B"} })
			out := w.post("/requests/new", tt.form, tt.header...)
			if out.Code != http.StatusSeeOther || out.Header().Get("Location") != "1" {
				t.Fatalf("got %d, Location %q; want 303, 1:\n%s", out.Code, out.Header().Get("Location"), out.Body)
			}
			req, err := w.store.Get(t.Context(), 1)
			if err != nil {
				t.Fatal(err)
			}
			got := order{Managers: req.PackageManagers, Flags: req.Flags, Replacements: req.Replacements, User: req.User}
			for name, raw := range req.Packages {
				if got.Packages == nil {
					got.Packages = map[string]string{}
				}
				got.Packages[name] = string(raw)
			}
			if len(got.Flags) == 0 {
				got.Flags = nil
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("order (-want +got):\n%s", diff)
			}
			if req.Repo != repo || req.Ref != ref {
				t.Errorf("got %s at %s, want %s at %s", req.Repo, req.Ref, repo, ref)
			}
		})
	}
}

// TestSubmitRefused: the API's sentence stands at the field that it is about, what was typed is still there,
// and nothing was stored.
func TestSubmitRefused(t *testing.T) {
	long := "https://example.org/" + strings.Repeat("x", 200)
	tests := []struct {
		name  string
		form  url.Values
		field string
		text  string
	}{
		{"no repository", goodForm("repo", ""), "repo", "Say which repository it is"},
		{"a long repository", goodForm("repo", long), "repo", "is too long"},
		{"no commit", goodForm("ref", ""), "ref", "'' is too short"},
		{"a short commit", goodForm("ref", "c50b93"), "ref", "'c50b93' is too short"},
		{"a branch of 40 letters", goodForm("ref", strings.Repeat("z", 40)), "ref", "does not match"},
		{"a commit in quotes", goodForm("ref", `'"`), "ref", "is too short"},
		{"a path out of the repository", goodForm("gomod.0.path", "../x"), "manager-gomod", `The "path" values in the "packages.gomod" value must be to a relative path`},
		{"a list out of the repository", goodForm("manager", "pip", "pip.0.requirements_files", "/etc/passwd"), "manager-pip", `The "requirements_files" values in the "packages.pip" value`},
		{"managers that exclude each other", goodForm("manager", "npm", "manager", "yarn"), "managers", "cannot be processed by both 'npm' and 'yarn'"},
		{"submodules beside a path", goodForm("manager", "git-submodule", "gomod.0.path", "x"), "managers", "Cannot process non-root packages"},
		{"a replacement without name", goodForm("replacement.0.version", "v1", "replacement.0.type", "npm", "manager", "npm"), "replacements", "Dependency replacements are not yet supported for the npm"},
		{"on behalf of somebody", goodForm("user", "bob@B"), "user", `Cannot set "user" when authentication is disabled`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			out := w.post("/requests/new", tt.form)
			if out.Code != http.StatusBadRequest {
				t.Errorf("status %d, want 400", out.Code)
			}
			if got := textAt(t, out.Body.String(), tt.field); !strings.Contains(got, tt.text) {
				t.Errorf("at %s: %q, want %q in it", tt.field, got, tt.text)
			}
			checkPage(t, tt.name, out.Result(), out.Body.String())
			linksOf(t, "/requests/new", out.Body.String()) // what is wrong leads to its field
			sent := maps.Clone(tt.form)
			sent["flag"] = nil
			for name, values := range sent {
				for _, v := range values {
					if !strings.Contains(out.Body.String(), `value="`+html.EscapeString(v)+`"`) && !strings.Contains(out.Body.String(), ">"+html.EscapeString(v)+"<") {
						t.Errorf("%s: what was typed is gone: %q", name, v)
					}
				}
			}
			if n, err := w.store.Counts(t.Context()); err != nil || n.Total != 0 {
				t.Errorf("%d requests were stored (%v)", n.Total, err)
			}
		})
	}
}

// textAt is what the page says is wrong with a field.
func textAt(t *testing.T, body, field string) string {
	t.Helper()
	root, err := html.Parse(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for n := range root.Descendants() {
		if n.Type == html.ElementNode && slices.Contains(n.Attr, html.Attribute{Key: "id", Val: field + "-wrong"}) {
			return n.FirstChild.Data
		}
	}
	return ""
}

// TestSubmitUnderRights: whoever may not send requests sees so, and the challenge reaches the browser.
func TestSubmitUnderRights(t *testing.T) {
	w := newWorld(t, func(c *api.Config, _ *api.Deps) { c.LoginDisabled = false })
	out := w.post("/requests/new", goodForm())
	if out.Code != http.StatusUnauthorized || !strings.Contains(out.Body.String(), "could not verify that you are authorized") {
		t.Errorf("without identity: %d %s", out.Code, out.Body)
	}
	out = w.post("/requests/new", goodForm("user", "bob@B"), identityHeader, "ann@B")
	if out.Code != http.StatusForbidden || !strings.Contains(textAt(t, out.Body.String(), "user"), "on behalf of another user") {
		t.Errorf("for somebody else: %d %s", out.Code, out.Body)
	}
	if out := w.post("/requests/new", goodForm(), identityHeader, "ann@B"); out.Code != http.StatusSeeOther {
		t.Errorf("with identity: %d", out.Code)
	}
}

// tickets accepts one ticket, once, as Kerberos does.
type tickets struct{ seen int }

func (k *tickets) Accept(token []byte, _ string) (string, []byte, error) {
	if k.seen++; string(token) != "good" || k.seen > 1 {
		return "", nil, errors.New("it was used before")
	}
	return "ann@B", []byte("answer"), nil
}

// TestSubmitWithTicket: a browser is asked for a ticket, sends the form again with one, and the ticket is
// used once.
func TestSubmitWithTicket(t *testing.T) {
	kerberos := &tickets{}
	w := newWorld(t, func(c *api.Config, d *api.Deps) { c.LoginDisabled, d.Negotiator = false, kerberos })
	out := w.post("/requests/new", goodForm())
	if out.Code != http.StatusUnauthorized || out.Header().Get("WWW-Authenticate") != "Negotiate" {
		t.Fatalf("without ticket: %d, WWW-Authenticate %q", out.Code, out.Header().Get("WWW-Authenticate"))
	}
	checkPage(t, "without ticket", out.Result(), out.Body.String())
	out = w.post("/requests/new", goodForm(), "Authorization", "Negotiate "+base64.StdEncoding.EncodeToString([]byte("good")))
	if out.Code != http.StatusSeeOther || kerberos.seen != 1 {
		t.Fatalf("with ticket: %d after %d uses: %s", out.Code, kerberos.seen, out.Body)
	}
	if got, want := out.Header().Get("WWW-Authenticate"), "Negotiate "+base64.StdEncoding.EncodeToString([]byte("answer")); got != want {
		t.Errorf("the browser is told %q, want %q", got, want)
	}
	if req, err := w.store.Get(t.Context(), 1); err != nil || req.User != "ann@B" {
		t.Errorf("user %q (%v), want ann@B", req.User, err)
	}
}

// TestSubmitDisabledManager: a manager that is not enabled is not offered, and one that a form names all the
// same is passed over.
func TestSubmitDisabledManager(t *testing.T) {
	w := newWorld(t, func(c *api.Config, _ *api.Deps) { c.PackageManagers = []string{"gomod"} })
	body := w.get("/requests/new").Body.String()
	if !strings.Contains(body, `value="gomod" checked`) || strings.Contains(body, `value="npm"`) {
		t.Errorf("the form offers npm, or does not offer gomod:\n%s", body)
	}
	if strings.Contains(body, `value="gomod-vendor" checked`) || !strings.Contains(body, `value="gomod-vendor"`) {
		t.Errorf("the form lacks gomod's flags, or has set one:\n%s", body)
	}
	if out := w.post("/requests/new", goodForm("manager", "npm")); out.Code != http.StatusSeeOther {
		t.Errorf("status %d", out.Code)
	}
}

// TestOneMore: a form may ask for another row instead of being sent.
func TestOneMore(t *testing.T) {
	w := newWorld(t)
	body := w.post("/requests/new", goodForm("gomod.0.path", "a", "gomod.1.path", "b", "more", "gomod")).Body.String()
	for n, value := range []string{"a", "b", ""} {
		if field := fmt.Sprintf(`name="gomod.%d.path" value="%s"`, n, value); !strings.Contains(body, field) {
			t.Errorf("the form lacks %s", field)
		}
	}
	body = w.post("/requests/new", goodForm("more", "replacement")).Body.String()
	if !strings.Contains(body, `name="replacement.0.name" value=""`) {
		t.Error("the form has no row for a replacement")
	}
	body = w.post("/requests/new", goodForm("gomod.99999999.path", "a", "replacement.123456789.name", "a")).Body.String()
	if n := strings.Count(body, `name="gomod.`); n > 100 {
		t.Errorf("%d rows", n)
	}
	if n, err := w.store.Counts(t.Context()); err != nil || n.Total != 1 { // the last one was sent
		t.Errorf("%d requests were stored (%v), want 1", n.Total, err)
	}
}

// TestFillIn: the form for a request like another one sends the same order.
func TestFillIn(t *testing.T) {
	w := newWorld(t)
	id := w.add(made{
		repo: "https://user:secret@example.org/a.git", managers: []string{"gomod", "pip"}, state: request.StateInProgress, flags: []string{"cgo-disable"},
		options: map[string]string{
			"gomod": `[{"path":"."},{"path":"tools"}]`,
			"pip":   `[{"path":"a","requirements_files":["one.txt","two.txt"]},{"requirements_build_files":["b.txt"]}]`,
		},
		replacements: []request.Replacement{{Name: "a", Type: "gomod", Version: "v1", NewName: "b"}},
	})
	before, err := w.store.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	page := w.get(fmt.Sprintf("/requests/new?from=%d", id)).Body.String()
	if strings.Contains(page, "secret") {
		t.Error("the form shows user info")
	}
	if out := w.post("/requests/new", formOf(t, page)); out.Code != http.StatusSeeOther {
		t.Fatalf("status %d: %s", out.Code, out.Body)
	}
	after, err := w.store.Get(t.Context(), id+1)
	if err != nil {
		t.Fatal(err)
	}
	pick := func(r request.Request) any {
		options := map[string]any{}
		for name, raw := range r.Packages {
			var v any
			if err := json.Unmarshal(raw, &v); err != nil {
				t.Fatal(err)
			}
			options[name] = v
		}
		return []any{r.Ref, r.PackageManagers, options, r.Flags, r.Replacements}
	}
	if diff := cmp.Diff(pick(before), pick(after)); diff != "" {
		t.Errorf("order (-before +after):\n%s", diff)
	}
	if after.Repo != "https://example.org/a.git" {
		t.Errorf("repository %s", after.Repo)
	}
}

// formOf is what a browser sends of a page's form.
func formOf(t *testing.T, page string) url.Values {
	t.Helper()
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	form := url.Values{}
	for n := range root.Descendants() {
		attr := map[string]string{}
		for _, a := range n.Attr {
			attr[a.Key] = a.Val
		}
		_, checked := attr["checked"]
		_, selected := attr["selected"]
		switch {
		case n.Data == "input" && (attr["type"] != "checkbox" || checked):
			form.Add(attr["name"], attr["value"])
		case n.Data == "textarea" && n.FirstChild != nil:
			form.Add(attr["name"], n.FirstChild.Data)
		case n.Data == "option" && selected:
			for _, a := range n.Parent.Attr {
				if a.Key == "name" {
					form.Add(a.Val, n.FirstChild.Data)
				}
			}
		}
	}
	return form
}

// TestLargeForm: a form is bounded.
func TestLargeForm(t *testing.T) {
	w := newWorld(t)
	out := w.post("/requests/new", goodForm("user", strings.Repeat("x", 300<<10)))
	if out.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("status %d, want 413", out.Code)
	}
	checkPage(t, "large", out.Result(), out.Body.String())
	out = w.post("/requests/new", goodForm(), "Content-Type", "multipart/form-data; boundary=x")
	if out.Code != http.StatusBadRequest {
		t.Errorf("another form of form: status %d, want 400", out.Code)
	}
}
