package web_test

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/cachito-serverless/cachito/shared/packages"
	"github.com/cachito-serverless/cachito/shared/request"
)

// attacks are texts that a repository or a client may bring.
var attacks = []string{
	`<script>alert(1)</script>`,
	`"><img src=x onerror=alert(1)>`,
	`' onmouseover='alert(1)`,
	"` onload=alert(1) `",
	`javascript:alert(1)`,
	`data:text/html,<script>alert(1)</script>`,
	`</pre></td></table></main><style>*{display:none}</style>`,
	`<!--`, `]]>`, `{{.}} ${7*7} {%x%}`,
	"\u202egpj.exe\u2066\u2069\u200e\u061c",
	"zero\u200bwidth\ufeff\u00ad\u2028\u3164\U000e0041",
	"\x1b[31mred\x1b]0;title\x07\x9b",
	"null\x00 bell\x07 back\x08\x7f",
	"not UTF-8: \xff\xfe",
}

// hostile is a request that brings an attack wherever one can be brought.
func hostile(attack string) made {
	dev := true
	return made{
		repo: "https://git.example.org/" + attack, user: attack, managers: []string{"npm"}, flags: []string{attack},
		packages: []packages.Package{{
			Name: attack, Type: attack, Version: &attack, Path: attack,
			Dependencies: []packages.Dependency{{Name: attack, Type: attack, Version: &attack, Dev: &dev, Replaces: &packages.Replaced{Name: attack, Type: attack, Version: &attack}}},
		}},
		variables:    map[string]request.EnvironmentVariable{attack: {Value: attack, Kind: attack}},
		files:        [][2]string{{attack, attack}},
		log:          []string{attack},
		options:      map[string]string{"npm": `[{"path": ` + quoteJSON(attack) + `}]`},
		replacements: []request.Replacement{{Name: attack, Type: attack, Version: attack, NewName: attack}},
	}
}

// pagesOf are all pages that show something of a request.
func pagesOf(id int64, attack string) []string {
	own := "/requests/" + strconv.FormatInt(id, 10)
	q := url.QueryEscape(attack)
	return []string{
		"/", "/?repo=" + q, "/?state=" + q, "/?ref=" + q, "/?pkg_manager=" + q, "/?created_from=" + q, "/?error_type=" + q + "&page=" + q,
		own, own + "/dependencies", own + "/dependencies?q=" + q, own + "/dependencies?package=1&q=" + q, own + "/packages", own + "/packages?q=" + q,
		own + "/environment", own + "/files", own + "/log", "/requests/new?from=" + strconv.FormatInt(id, 10), "/requests/new?from=" + q,
		own + "/dependencies?package=" + q, own + "/files/content?n=" + q,
	}
}

func TestHostileTexts(t *testing.T) {
	for _, attack := range attacks {
		t.Run(strconv.QuoteToASCII(attack), func(t *testing.T) {
			w := newWorld(t)
			id := w.add(hostile(attack))
			failed := w.add(made{repo: "https://git.example.org/x", managers: []string{"npm"}, state: request.StateFailed, reason: attack})
			for _, page := range append(pagesOf(id, attack), "/requests/"+strconv.FormatInt(failed, 10)) {
				out := w.get(page)
				if out.Code >= 500 {
					t.Errorf("%s: status %d", page, out.Code)
				}
				checkPage(t, page, out.Result(), out.Body.String())
			}
			// What was typed into the form comes back in it.
			form := url.Values{"repo": {attack}, "ref": {attack}, "user": {attack}, "manager": {"npm", attack}, "flag": {attack}, "npm.0.path": {attack}, "replacement.0.name": {attack}, "replacement.0.type": {attack}}
			out := w.post("/requests/new", form)
			if out.Code != http.StatusBadRequest {
				t.Errorf("form: status %d, want 400", out.Code)
			}
			checkPage(t, "form", out.Result(), out.Body.String())
		})
	}
}

// checkPage holds what every page promises: its header, and markup that is ours alone.
func checkPage(t *testing.T, page string, answer *http.Response, body string) {
	t.Helper()
	h := answer.Header
	want := map[string]string{
		"Content-Type": "text/html; charset=utf-8", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin",
	}
	for name, value := range want {
		if got := h.Get(name); got != value {
			t.Errorf("%s: %s: got %q, want %q", page, name, got, value)
		}
	}
	csp := h.Get("Content-Security-Policy")
	for _, rule := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'"} {
		if !slices.Contains(strings.Split(csp, "; "), rule) {
			t.Errorf("%s: the policy %q lacks %q", page, csp, rule)
		}
	}
	if strings.Contains(csp, "unsafe") {
		t.Errorf("%s: the policy %q allows what is unsafe", page, csp)
	}
	root, err := html.Parse(strings.NewReader(body))
	if err != nil {
		t.Fatalf("%s: %v", page, err)
	}
	elements := 0
	for n := range root.Descendants() {
		switch n.Type {
		case html.ElementNode:
			elements++
			checkElement(t, page, n)
		case html.TextNode:
			if n.Parent.Data != "textarea" { // what is edited has to stay as it is
				checkText(t, page, n.Data)
			}
		case html.CommentNode:
			t.Errorf("%s: comment %q", page, n.Data)
		}
	}
	if elements < 20 {
		t.Errorf("%s: only %d elements", page, elements)
	}
}

// ours are all elements that our templates use.
var ours = strings.Fields("html head meta title link script body a header img nav main footer p h1 h2 h3 form input label select option " +
	"details summary div button section table thead tbody tr th td span b bdi code pre progress time ul li ol dl dt dd fieldset legend textarea noscript")

func checkElement(t *testing.T, page string, n *html.Node) {
	t.Helper()
	if !slices.Contains(ours, n.Data) {
		t.Errorf("%s: element <%s>", page, n.Data)
	}
	for _, a := range n.Attr {
		if n.Data != "input" || a.Key != "value" {
			checkText(t, page, a.Val)
		}
		switch {
		case strings.HasPrefix(a.Key, "on"), a.Key == "style", a.Key == "srcdoc":
			t.Errorf("%s: <%s %s=%q>", page, n.Data, a.Key, a.Val)
		case a.Key == "href", a.Key == "src", a.Key == "action":
			u, err := url.Parse(a.Val)
			if err != nil {
				t.Errorf("%s: <%s %s=%q>: %v", page, n.Data, a.Key, a.Val, err)
				continue
			}
			foreign := u.Scheme != "" || u.Host != ""
			repository := n.Data == "a" && u.Scheme == "https" && u.Host == "git.example.org"
			if foreign && !repository {
				t.Errorf("%s: <%s %s=%q> leads elsewhere", page, n.Data, a.Key, a.Val)
			}
			if n.Data == "script" && !strings.Contains(a.Val, "assets/") {
				t.Errorf("%s: script %q", page, a.Val)
			}
		}
	}
	if n.Data == "script" && n.FirstChild != nil {
		t.Errorf("%s: inline script %q", page, n.FirstChild.Data)
	}
}

// checkText refuses what eyes cannot see.
func checkText(t *testing.T, page, text string) {
	t.Helper()
	for _, r := range text {
		if r < ' ' && r != '\n' && r != '\t' || r >= 0x7f && r < 0xa0 || strings.ContainsRune("\u202e\u2066\u2069\u200e\u061c\u200b\ufeff\u00ad\u2028\u3164\U000e0041", r) {
			t.Errorf("%s: %U in %q", page, r, text)
			return
		}
	}
}
