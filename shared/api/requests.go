package api

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/store"
)

func (s *server) listParams() []param {
	return []param{
		{name: "page", kind: countParam},
		{name: "per_page", kind: countParam},
		{name: "state", schema: &request.Schema{Type: "string", Enum: request.States}},
		{name: "verbose", kind: boolParam},
		{name: "repo", schema: &request.Schema{Type: "string", MaxLength: request.MaxRepoLength}},
		{name: "ref", schema: request.RefSchema()},
		{name: "pkg_manager", schema: &request.Schema{Type: "string", Enum: s.names}, many: true},
		{name: "created_from", kind: dateParam},
		{name: "created_to", kind: dateParam},
		{name: "error_origin", schema: &request.Schema{Type: "string", Enum: request.Origins}},
		{name: "error_type", schema: request.Text()},
	}
}

// list answers GET /requests: a page of requests, newest first.
func (c *call) list() error {
	ctx := c.r.Context()
	f := store.Filter{
		Repo: c.query.text("repo"), Ref: c.query.text("ref"),
		ErrorOrigin: c.query.text("error_origin"), ErrorType: c.query.text("error_type"),
	}
	f.State = request.State(c.query.text("state"))
	for _, name := range c.query.values["pkg_manager"] {
		if name == "" {
			continue
		}
		if !slices.Contains(c.names, name) {
			return badRequest("Cachito does not have package manager %s.", name)
		}
		if !slices.Contains(f.PackageManagers, name) {
			f.PackageManagers = append(f.PackageManagers, name)
		}
	}
	if d, ok := c.query.dates["created_from"]; ok {
		f.CreatedFrom = d.from()
	}
	if d, ok := c.query.dates["created_to"]; ok {
		f.CreatedTo = d.to()
	}
	verbose := c.query.bool("verbose")
	p := c.page(10)
	p.History = verbose
	list, err := c.Store.List(ctx, f, p)
	if err != nil {
		return pageError(err)
	}
	items := listOf(list.Requests, func(req request.Request) any {
		if verbose {
			return c.verbose(ctx, req)
		}
		return c.brief(req)
	})
	return c.write(http.StatusOK, object{"items": items, "meta": c.meta("/requests", p, list.Total, c.listExtras(verbose))})
}

// page reads page and per_page; the latter is silently bounded.
func (c *call) page(perPage int) store.Page {
	return store.Page{Number: c.query.count("page", 1), PerPage: min(c.query.count("per_page", perPage), c.MaxPerPage)}
}

// listExtras are the filters that the links of a list carry on, upstream's own two first.
func (c *call) listExtras(verbose bool) string {
	var b strings.Builder
	add := func(name, value string) {
		if value != "" {
			b.WriteString("&" + name + "=" + url.QueryEscape(value))
		}
	}
	add("state", c.query.text("state"))
	if verbose {
		add("verbose", "True")
	}
	for _, name := range []string{"repo", "ref"} {
		add(name, c.query.text(name))
	}
	for _, v := range c.query.values["pkg_manager"] {
		add("pkg_manager", v)
	}
	for _, name := range []string{"created_from", "created_to", "error_origin", "error_type"} {
		add(name, c.query.text(name))
	}
	return b.String()
}

// meta is what a list tells about its pages.
func (c *call) meta(path string, p store.Page, total int64, extras string) object {
	pages := (total + int64(p.PerPage) - 1) / int64(p.PerPage)
	link := func(page int64) string {
		return c.base() + path + "?page=" + strconv.FormatInt(page, 10) + "&per_page=" + strconv.Itoa(p.PerPage) + extras
	}
	meta := object{
		"first": link(1), "last": link(pages), "next": nil, "previous": nil,
		"page": p.Number, "pages": pages, "per_page": p.PerPage, "total": total,
	}
	if int64(p.Number) < pages {
		meta["next"] = link(int64(p.Number) + 1)
	}
	if p.Number > 1 {
		meta["previous"] = link(int64(p.Number) - 1)
	}
	return meta
}

// get answers GET /requests/{id}.
func (c *call) get() error {
	req, err := c.load()
	if err != nil {
		return err
	}
	return c.write(http.StatusOK, c.verbose(c.r.Context(), req))
}

var repoNamePattern = regexp.MustCompile(`^.*\/[\w.-]+\n?$`)

func latestParams() []param {
	return []param{
		{name: "repo_name", required: true, schema: &request.Schema{Type: "string", MinLength: 3, MaxLength: 200, Pattern: repoNamePattern}},
		{name: "ref", required: true, schema: request.RefSchema()},
	}
}

// latest answers GET /requests/latest: the newest request of a repository at a ref.
func (c *call) latest() error {
	req, err := c.Store.Latest(c.r.Context(), c.query.text("repo_name"), c.query.text("ref"))
	if err != nil {
		return err
	}
	return c.write(http.StatusOK, c.brief(req))
}

// environmentVariables answers GET /requests/{id}/environment-variables.
func (c *call) environmentVariables() error {
	req, err := c.load()
	if err != nil {
		return err
	}
	list := object{}
	for name, v := range req.EnvironmentVariables {
		list[name] = object{"value": v.Value, "kind": v.Kind}
	}
	return c.write(http.StatusOK, list)
}

// progress answers GET /requests/{id}/progress, which upstream does not have: how far each step is.
func (c *call) progress() error {
	req, err := c.load()
	if err != nil {
		return err
	}
	steps := object{}
	for name, s := range req.Steps {
		steps[name] = object{"state": s.State, "done": s.Progress.Done, "total": s.Progress.Total, "bytes": s.Progress.Bytes}
	}
	return c.write(http.StatusOK, object{
		"state": req.State, "state_reason": req.StateReason, "updated": timestamp(req.Updated), "steps": steps,
	})
}
