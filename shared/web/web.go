// Package web is the service's pages for people: the list of requests, one request with everything about
// it, the form that sends one, and the API's documentation. The server renders all of them, so reading
// needs no script; a little script keeps them current and answers searches while they are typed.
//
// The pages decide nothing. They read the same store and storage as the API, and what a form sends goes
// through the API's own handler: its checks, its identity and its texts hold here as well. Whatever comes
// from repositories is hostile: html/template escapes it, and visible shows what eyes cannot see.
//
// All links are relative, so the pages work below any path that a proxy puts before them.
package web

import (
	"errors"
	"html/template"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/cachito-serverless/cachito/shared/blob"
	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/resolver"
	"github.com/cachito-serverless/cachito/shared/store"
)

// Deps are what the pages work with. All of them are needed.
type Deps struct {
	Store store.Store
	Blobs blob.Blob
	// API answers what the form sends.
	API http.Handler
	// Base is where the API is for the client of r, as its own links have it: "https://host/prefix/api/v1".
	Base func(r *http.Request) string
	// Managers are all package managers the API knows, in its order; Enabled are those that requests may
	// name, Defaults those of a request that names none.
	Managers          []resolver.Descriptor
	Enabled, Defaults []string
	// Steps of a request for these managers, in their order.
	Steps func(managers []string) []string
	// LogsEnabled: the API serves logs.
	LogsEnabled bool
	Log         *slog.Logger
	Clock       func() time.Time
}

// Route is one method of one path. "{id}" in a path stands for a request's id, which Serve is given.
// GET routes answer HEAD too.
type Route struct {
	Method, Path string
	Serve        func(w http.ResponseWriter, r *http.Request, id int64)
}

// Pages of one service. Its routes may be served concurrently.
type Pages struct {
	Deps
	templates map[string]*template.Template
	assets    assets
	indexes   *indexes
}

// New makes the pages.
func New(d Deps) (*Pages, error) {
	p := &Pages{Deps: d, indexes: newIndexes()}
	var err error
	if p.assets, err = loadAssets(); err != nil {
		return nil, err
	}
	p.templates, err = parseTemplates()
	return p, err
}

// Routes are everything that is served; whatever else is asked for is not the pages' business.
func (p *Pages) Routes() []Route {
	page := func(path string, handle handler) Route { return Route{http.MethodGet, path, p.page(handle)} }
	routes := []Route{
		page("/", p.list),
		p.tab("", p.overview),
		p.tab("dependencies", p.dependencies),
		p.tab("packages", p.packages),
		p.tab("environment", p.environment),
		p.tab("files", p.files),
		{http.MethodGet, "/requests/{id}/files/content", p.file},
		p.tab("log", p.log),
		page("/requests/new", p.form),
		{http.MethodPost, "/requests/new", p.submit},
		page("/docs", p.docs),
	}
	return append(routes, p.assets.routes()...)
}

// docs serves the API's documentation, which the viewer makes of its description.
func (p *Pages) docs(*http.Request, int64) (view, error) {
	return view{Template: "docs.html", Section: "docs", Title: "API documentation", Policy: docsPolicy}, nil
}

// enabled are the descriptors of the package managers that requests may name.
func (p *Pages) enabled() []resolver.Descriptor {
	var list []resolver.Descriptor
	for _, d := range p.Managers {
		if slices.Contains(p.Enabled, d.Name) {
			list = append(list, d)
		}
	}
	return list
}

// handler makes a view of a call. A *problem is shown as it is, store.ErrNotFound as a page that is not
// there; any other error is logged, and the client is told nothing of it.
type handler func(r *http.Request, id int64) (view, error)

// problem is an answer other than the page that was asked for.
type problem struct {
	status int
	text   string
}

func (e *problem) Error() string { return e.text }

// page serves what a handler makes.
func (p *Pages) page(handle handler) func(http.ResponseWriter, *http.Request, int64) {
	return func(w http.ResponseWriter, r *http.Request, id int64) {
		v, err := handle(r, id)
		if err != nil {
			v = p.failure(r, err)
		}
		p.render(w, r, v)
	}
}

func (p *Pages) failure(r *http.Request, err error) view {
	var known *problem
	switch {
	case errors.As(err, &known):
	case errors.Is(err, store.ErrNotFound):
		known = &problem{http.StatusNotFound, "There is no such request."}
	default:
		known = &problem{http.StatusInternalServerError, "Something went wrong here. The service's log says what; its line has the id that this answer has in X-Request-Id."}
		if r.Context().Err() == nil { // else the client went away, and nobody reads this
			p.Log.ErrorContext(r.Context(), "page failed", "path", r.URL.Path, "error", err)
		}
	}
	return view{Template: "problem.html", Status: known.status, Title: http.StatusText(known.status), Data: known.text}
}

// stateNames are the states in the order in which people look for them.
var stateNames = []struct {
	State request.State
	Name  string
}{
	{request.StateInProgress, "In progress"},
	{request.StateComplete, "Complete"},
	{request.StateFailed, "Failed"},
	{request.StateStale, "Stale"},
}
