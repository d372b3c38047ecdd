package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
)

//go:embed templates
var templateFiles embed.FS

const (
	// policy of every page: nothing but our own files, no inline script or style, no eval; forms send to us
	// only, and nobody may put us into a frame.
	policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
		"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
	// docsPolicy is that of the API's documentation: the viewer's style sheet has icons in it.
	docsPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
		"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
	// referrers go to our own pages only. Not "no-referrer": browsers then hide the Origin of a form too.
	referrers = "same-origin"
	// compressFrom is the size in bytes from which a page is compressed for a client that accepts it.
	compressFrom = 2 << 10
)

// view is a page on its way to the client.
type view struct {
	// Template is the file that holds the page's "main" block.
	Template string
	// Status is 200 when it is 0.
	Status int
	Title  string
	// Section is the entry of the navigation that the page belongs to.
	Section string
	// Refresh is after how many seconds the page may have changed; 0: it does not change by itself.
	Refresh int
	Data    any
	// Policy replaces the usual one.
	Policy string
	// root leads from the page to "/", relative.
	root string
	hash string
}

// Root leads to the start page: "./", or "../" for each folder below it.
func (v view) Root() string { return v.root }

// Asset is the relative URL of an asset.
func (v view) Asset(name string) string { return v.root + "assets/" + v.hash + "/" + name }

// Announced is the title of "/" that clients of the API know (api.md 9.17).
func (v view) Announced() string {
	if v.Section == "requests" && v.root == "./" && v.Title == "" {
		return "Cachito API Documentation"
	}
	return v.Spoken() + " · Cachito"
}

// Spoken is what the page is about.
func (v view) Spoken() string {
	if v.Title == "" {
		return "Requests"
	}
	return v.Title
}

// parseTemplates reads every page together with the layout and the parts that pages share.
func parseTemplates() (map[string]*template.Template, error) {
	shared, err := template.New("layout.html").Funcs(functions).ParseFS(templateFiles, "templates/layout.html", "templates/parts.html")
	if err != nil {
		return nil, fmt.Errorf("web templates: %w", err)
	}
	names, err := fs.Glob(templateFiles, "templates/*.html")
	if err != nil {
		return nil, err
	}
	all := map[string]*template.Template{}
	for _, name := range names {
		base := path.Base(name)
		if base == "layout.html" || base == "parts.html" {
			continue
		}
		t, err := shared.Clone()
		if err != nil {
			return nil, err
		}
		if all[base], err = t.ParseFS(templateFiles, name); err != nil {
			return nil, fmt.Errorf("web templates: %w", err)
		}
	}
	return all, nil
}

// rootOf leads from a page's path to "/".
func rootOf(page string) string {
	if deep := strings.Count(page, "/") - 1; deep > 0 {
		return strings.Repeat("../", deep)
	}
	return "./"
}

// render answers with a view. Pages are small, so they are made whole before the first byte is sent: a
// client that asks again for a page that has not changed is told so (304), which makes polling cheap.
func (p *Pages) render(w http.ResponseWriter, r *http.Request, v view) {
	v.root, v.hash = rootOf(r.URL.Path), p.assets.hash
	var b bytes.Buffer
	if err := p.templates[v.Template].ExecuteTemplate(&b, "layout.html", v); err != nil {
		p.Log.ErrorContext(r.Context(), "page not made", "template", v.Template, "error", err)
		secure(w.Header(), policy)
		http.Error(w, "The page could not be made.", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	if v.Policy == "" {
		v.Policy = policy
	}
	secure(h, v.Policy)
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-cache")
	if v.Status == 0 {
		v.Status = http.StatusOK
	}
	body := b.Bytes()
	if v.Status == http.StatusOK {
		sum := sha256.Sum256(body)
		tag := `W/"` + hex.EncodeToString(sum[:12]) + `"`
		h.Set("ETag", tag)
		if r.Header.Get("If-None-Match") == tag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	send(w, r, v.Status, body)
}

// secure sets what every page and every asset is sent with.
func secure(h http.Header, policy string) {
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", referrers)
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
}

// send answers with what is ready, compressed for a client that accepts it.
func send(w http.ResponseWriter, r *http.Request, status int, body []byte) {
	h := w.Header()
	h.Add("Vary", "Accept-Encoding")
	if len(body) >= compressFrom && acceptsGzip(r) {
		body = zip(body)
		h.Set("Content-Encoding", "gzip")
	}
	write(w, r, status, body)
}

// acceptsGzip reports whether the client takes compressed answers.
func acceptsGzip(r *http.Request) bool {
	for item := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		name, params, _ := strings.Cut(strings.TrimSpace(item), ";")
		if strings.EqualFold(strings.TrimSpace(name), "gzip") {
			q, ok := strings.CutPrefix(strings.ReplaceAll(params, " ", ""), "q=")
			weight, err := strconv.ParseFloat(q, 64)
			return !ok || err == nil && weight > 0
		}
	}
	return false
}
