package web

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/cachito-serverless/cachito/shared/blob"
	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/requestlog"
	"github.com/cachito-serverless/cachito/shared/sbom"
)

// detail is what all pages of one request begin with.
type detail struct {
	summary
	Tab          string
	Prefix       string // from the page to the request's own: "", or "../12" below it
	User         string
	SubmittedBy  string
	Flags        []string
	Updated      time.Time
	Packages     *int64
	Dependencies *int64
	Variables    int
	ErrorOrigin  string
	ErrorType    string
	// Links to the API, absolute.
	Base string
	// Own is the request's own URL in the API.
	Own         string
	LogsEnabled bool
	// Body of the tab.
	Body any
}

// tab serves one page of a request. path is its name below the request's own page, "" for that itself.
func (p *Pages) tab(name string, body func(r *http.Request, req request.Request) (any, error)) Route {
	below := ""
	if name != "" {
		below = "/" + name
	}
	return Route{http.MethodGet, "/requests/{id}" + below, p.page(func(r *http.Request, id int64) (view, error) {
		req, err := p.Store.Get(r.Context(), id)
		if err != nil {
			return view{}, err
		}
		d := detail{
			summary: p.summarize(req, p.Clock()), Tab: name, User: req.User, SubmittedBy: req.SubmittedBy, Flags: req.Flags,
			Updated: req.Updated, Packages: req.PackagesCount, Dependencies: req.DependenciesCount,
			Variables: len(req.EnvironmentVariables), ErrorOrigin: req.ErrorOrigin, ErrorType: req.ErrorType,
			Base: p.Base(r), LogsEnabled: p.LogsEnabled,
		}
		d.Own = fmt.Sprintf("%s/requests/%d", d.Base, req.ID)
		d.Prefix = fmt.Sprintf("%srequests/%d", rootOf(r.URL.Path), req.ID)
		if d.Body, err = body(r, req); err != nil {
			return view{}, err
		}
		v := view{Template: cmp.Or(name, "overview") + ".html", Section: "requests", Title: fmt.Sprintf("Request %d", req.ID), Data: d}
		if name != "" {
			v.Title = fmt.Sprintf("%s of request %d", strings.ToUpper(name[:1])+name[1:], req.ID)
		}
		if req.State == request.StateInProgress {
			v.Refresh = refreshBusy
		}
		return v, nil
	})}
}

// overview is the body of a request's own page.
type overview struct {
	Steps   []step
	History []change
	Bundle  *request.Bundle
	// File is the bundle's name when it is downloaded.
	File string
	// Lines to be copied.
	Download, Offline, Repeat string
	Ask                       []ask
	Packages                  []given
	Replacements              []request.Replacement
}

// ask is a question to the API, as a line for a shell and as a link.
type ask struct{ What, Path, Line string }

// given are the options of a package manager in the order, as they were sent.
type given struct{ Manager, Options string }

type step struct {
	Name    string
	State   string // done, running, waiting
	Percent int
	// Known: how much there is to do is known, so Percent means something.
	Known bool
	Text  string
}

type change struct {
	State     request.State
	StateName string
	Reason    string
	At        time.Time
	// After is how long after the change before it this one came; empty for the first.
	After string
}

func (p *Pages) overview(r *http.Request, req request.Request) (any, error) {
	now := p.Clock()
	o := overview{Bundle: req.Bundle, File: fmt.Sprintf("cachito-%d.tar.gz", req.ID), Replacements: req.Replacements}
	for _, name := range p.Steps(req.PackageManagers) {
		o.Steps = append(o.Steps, describeStep(name, req.Steps[name], now))
	}
	for i, h := range req.History {
		c := change{State: h.State, Reason: h.Reason, At: h.At}
		for _, known := range stateNames {
			if known.State == h.State {
				c.StateName = known.Name
			}
		}
		if i+1 < len(req.History) {
			c.After = "+" + span(h.At.Sub(req.History[i+1].At))
		}
		o.History = append(o.History, c)
	}
	for _, name := range req.PackageManagers {
		if raw := req.Packages[name]; len(raw) > 0 {
			o.Packages = append(o.Packages, given{name, string(raw)})
		}
	}
	base := p.Base(r)
	own := fmt.Sprintf("%s/requests/%d", base, req.ID)
	o.Download = fmt.Sprintf("curl -fL -o %s %s", o.File, quote(own+"/download"))
	if req.Bundle != nil {
		folder := strings.TrimSuffix(o.File, ".tar.gz")
		o.Offline = strings.Join([]string{
			o.Download,
			fmt.Sprintf("echo '%s  %s' | sha256sum -c", req.Bundle.SHA256, o.File),
			fmt.Sprintf("mkdir %[1]s && tar -xzf %[2]s -C %[1]s && cd %[1]s", folder, o.File),
			". ./cachito.env",
			"cd app",
		}, "\n")
	}
	repeat, err := repeatLine(base, req)
	if err != nil {
		return nil, err
	}
	o.Repeat = repeat
	questions := []struct{ what, path string }{
		{"The request", own},
		{"Packages and dependencies", own + "/packages"},
		{"Environment variables", own + "/environment-variables"},
		{"Configuration files", own + "/configuration-files"},
		{"Content manifest", own + "/content-manifest"},
	}
	for _, format := range sbom.Formats {
		questions = append(questions, struct{ what, path string }{"SBOM, " + format, own + "/sbom?format=" + format})
	}
	if req.State != request.StateComplete {
		questions = []struct{ what, path string }{questions[0], {"Progress", own + "/progress"}}
	}
	for _, q := range questions {
		o.Ask = append(o.Ask, ask{q.what, strings.TrimPrefix(q.path, base), "curl -s " + quote(q.path)})
	}
	return o, nil
}

func describeStep(name string, s request.Step, now time.Time) step {
	out := step{Name: strings.TrimPrefix(name, "resolve-"), State: "waiting", Text: "waits"}
	switch {
	case s.State == request.StepDone:
		out.State, out.Text, out.Percent, out.Known = "done", "done", 100, true
		if s.Progress.Total > 0 {
			out.Text = fmt.Sprintf("%s of %s, %s", number(s.Progress.Done), number(s.Progress.Total), humanBytes(s.Progress.Bytes))
		}
	case s.Progress.Total > 0:
		out.State, out.Known, out.Percent = "running", true, int(100*fraction(s))
		out.Text = fmt.Sprintf("%s of %s, %s", number(s.Progress.Done), number(s.Progress.Total), humanBytes(s.Progress.Bytes))
	case s.LeaseUntil.After(now):
		out.State, out.Text = "running", "runs"
		if s.Progress.Bytes > 0 {
			out.Text = humanBytes(s.Progress.Bytes)
		}
	}
	return out
}

type variable struct{ Name, Value, Kind string }

func (p *Pages) environment(_ *http.Request, req request.Request) (any, error) {
	var all []variable
	for name, v := range req.EnvironmentVariables {
		all = append(all, variable{name, v.Value, v.Kind})
	}
	slices.SortFunc(all, func(a, b variable) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}

// maxLogBytes is how much of a log's end a page shows.
const maxLogBytes = 128 << 10

type logBody struct {
	// Text is the log's end; Before is how many bytes are not shown.
	Text   string
	Before int64
	Gone   bool
}

func (p *Pages) log(r *http.Request, req request.Request) (any, error) {
	if !p.LogsEnabled {
		return nil, &problem{http.StatusNotFound, "This service keeps its logs to itself."}
	}
	tail, before, err := requestlog.Tail(r.Context(), p.Blobs, req.ID, maxLogBytes)
	if errors.Is(err, blob.ErrNotFound) {
		return logBody{Gone: req.State == request.StateStale}, nil
	}
	if err != nil {
		return nil, err
	}
	return logBody{Text: visibleLines(string(tail)), Before: before}, nil
}

// fileName is the last part of a path, as a browser may use it for a download.
func fileName(p string) string {
	return strings.Map(func(r rune) rune {
		if r > ' ' && r < 0x7f && !strings.ContainsRune(`"\/:*?<>|`, r) {
			return r
		}
		return '_'
	}, path.Base(p))
}
