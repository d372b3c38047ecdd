package api

import (
	"log/slog"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/telemetry"
)

// Base is the path below which the API's own routes are.
const Base = "/api/v1"

// route is one method of one path. Its fields are checked in their order; then handle runs.
type route struct {
	method string
	path   string // "{id}" stands for a request's id
	body   *body
	// params are the declared query parameters; nil: the route declares none and ignores the query.
	params []param
	// strict routes declare no parameter but refuse unknown ones.
	strict bool
	login  bool
	worker bool
	handle func(c *call) error
}

// call is one request to the API on its way through the checks.
type call struct {
	*server
	w     http.ResponseWriter
	r     *http.Request
	route *route
	id    int64
	query query
	body  any    // decoded, order kept
	user  string // identity of the caller, "" for none
	log   *slog.Logger
	span  telemetry.Span
	begun bool      // a part of the answer is on its way
	slot  bool      // of largeAnswers
	until time.Time // when it must be given back
}

func (s *server) table() []route {
	get, post, patch := http.MethodGet, http.MethodPost, http.MethodPatch
	order := &body{s.orders.OrderSchema(), MaxBodyBytes}
	report := &body{request.ReportSchema(), MaxBodyBytes}
	files := &body{request.ConfigFilesSchema(), MaxConfigFilesBytes}
	routes := []route{
		{method: get, path: Base + "/status", handle: (*call).status},
		{method: get, path: Base + "/status/short", handle: (*call).statusShort},
		{method: get, path: Base + "/requests", params: s.listParams(), handle: (*call).list},
		{method: post, path: Base + "/requests", body: order, login: true, handle: (*call).create},
		{method: get, path: Base + "/requests/latest", params: latestParams(), handle: (*call).latest},
		{method: get, path: Base + "/requests/{id}", strict: true, handle: (*call).get},
		{method: patch, path: Base + "/requests/{id}", strict: true, body: report, login: true, worker: true, handle: (*call).update},
		{method: get, path: Base + "/requests/{id}/configuration-files", strict: true, handle: (*call).configFiles},
		{method: post, path: Base + "/requests/{id}/configuration-files", strict: true, body: files, login: true, worker: true, handle: (*call).addConfigFiles},
		{method: get, path: Base + "/requests/{id}/content-manifest", strict: true, handle: (*call).contentManifest},
		{method: get, path: Base + "/requests/{id}/environment-variables", strict: true, handle: (*call).environmentVariables},
		{method: get, path: Base + "/requests/{id}/download", strict: true, handle: (*call).download},
		{method: get, path: Base + "/requests/{id}/logs", strict: true, handle: (*call).logs},
		{method: get, path: Base + "/requests/{id}/packages", strict: true, handle: (*call).packages},
		{method: get, path: Base + "/requests/{id}/progress", strict: true, handle: (*call).progress},
		{method: get, path: Base + "/requests/{id}/sbom", params: []param{formatParam()}, handle: (*call).requestSBOM},
		{method: get, path: Base + "/content-manifest", params: []param{requestsParam()}, handle: (*call).contentManifests},
		{method: get, path: Base + "/sbom", params: []param{requestsParam(), formatParam()}, handle: (*call).sboms},
		{method: get, path: Base + "/request-metrics", params: metricsParams(false), handle: (*call).metrics},
		{method: get, path: Base + "/request-metrics/summary", params: metricsParams(true), handle: (*call).metricsSummary},
		{method: get, path: Base + "/openapi.json", handle: (*call).openAPIJSON},
		{method: get, path: Base + "/openapi.yaml", handle: (*call).openAPIYAML},
		{method: get, path: "/static/api_v1.yaml", handle: (*call).openAPIYAML},
		{method: get, path: "/healthcheck", handle: (*call).healthcheck},
		{method: get, path: "/metrics", handle: (*call).prometheus},
	}
	for _, p := range s.pages.Routes() {
		routes = append(routes, route{method: p.Method, path: p.Path, handle: func(c *call) error {
			p.Serve(c.w, c.r, c.id)
			return nil
		}})
	}
	return routes
}

// run finds the route and does its checks in the order that clients can see: path, method, origin, body,
// query, login, worker.
func (c *call) run() error {
	method := c.r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	var allowed []string
	for i := range c.routes {
		rt := &c.routes[i]
		id, ok := match(rt.path, c.r.URL.Path)
		if !ok {
			continue
		}
		allowed = append(allowed, rt.method)
		if rt.method == method && c.route == nil {
			c.route, c.id = rt, id
			if strings.Contains(rt.path, "{id}") {
				c.concerns(id)
			}
		}
	}
	if len(allowed) == 0 {
		return errNotFound
	}
	if c.route == nil {
		return c.otherMethod(allowed)
	}
	if err := c.checkOrigin(); err != nil {
		return err
	}
	if c.route.body != nil {
		if err := c.readBody(); err != nil {
			return err
		}
	}
	if c.route.params != nil || c.route.strict {
		var err error
		if c.query, err = checkQuery(parseQuery(c.r.URL.RawQuery), c.route.params); err != nil {
			return err
		}
	}
	if err := c.login(); err != nil {
		return err
	}
	return c.route.handle(c)
}

// otherMethod answers OPTIONS, and 405 for the rest; both tell what is allowed.
func (c *call) otherMethod(allowed []string) error {
	if slices.Contains(allowed, http.MethodGet) {
		allowed = append(allowed, http.MethodHead)
	}
	allowed = append(allowed, http.MethodOptions)
	slices.Sort(allowed)
	c.w.Header().Set("Allow", strings.Join(allowed, ", "))
	if c.r.Method == http.MethodOptions {
		c.w.WriteHeader(http.StatusOK)
		return nil
	}
	return &httpError{http.StatusMethodNotAllowed, "The method is not allowed for the requested URL."}
}

// match compares a path with a route's. Ids are digits only; one that is too large for any request is
// well-formed and simply does not exist.
func match(pattern, path string) (id int64, ok bool) {
	before, after, hasID := strings.Cut(pattern, "{id}")
	if !hasID {
		return 0, pattern == path
	}
	rest, ok := strings.CutPrefix(path, before)
	if !ok {
		return 0, false
	}
	digits, ok := strings.CutSuffix(rest, after)
	if !ok || digits == "" || strings.Trim(digits, "0123456789") != "" {
		return 0, false
	}
	return parseID(digits), true
}

// parseID reads decimal digits; what is too large is an id that no request has.
func parseID(digits string) int64 {
	var id int64
	for _, d := range []byte(digits) {
		if id > (math.MaxInt64-9)/10 {
			return math.MaxInt64
		}
		id = id*10 + int64(d-'0')
	}
	return id
}

// load finds the request that the path names.
func (c *call) load() (request.Request, error) { return c.Store.Get(c.r.Context(), c.id) }
