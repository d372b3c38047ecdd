package web

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/store"
)

const (
	// listPerPage is how many requests a page of the list shows.
	listPerPage = 25
	// refreshBusy and refreshIdle are after how many seconds a page looks for news, when something runs and
	// when nothing does.
	refreshBusy = 1
	refreshIdle = 10
)

type listData struct {
	Filter   filter
	States   []stateCount
	Managers []string
	Origins  []string
	Rows     []row
	Pager    pager
	// Empty: there is not a single request in the service.
	Empty bool
	Base  string
}

// stateCount is a state with how many requests are in it.
type stateCount struct {
	Name  string
	Value string
	Count int64
}

// row is a request in the list.
type row struct {
	summary
	Packages, Dependencies *int64
}

// list serves "/": the requests, newest first.
func (p *Pages) list(r *http.Request, _ int64) (view, error) {
	ctx, q := r.Context(), r.URL.Query()
	data := listData{Origins: request.Origins, Base: p.Base(r)}
	for _, d := range p.Managers {
		data.Managers = append(data.Managers, d.Name)
	}
	var wanted store.Filter
	data.Filter, wanted = readFilter(q, data.Managers)
	counts, err := p.Store.Counts(ctx)
	if err != nil {
		return view{}, fmt.Errorf("counting requests: %w", err)
	}
	data.Empty = counts.Total == 0
	data.States = []stateCount{{"All", "", counts.Total}}
	for _, s := range stateNames {
		data.States = append(data.States, stateCount{s.Name, string(s.State), counts.ByState[s.State]})
	}
	v := view{Template: "list.html", Section: "requests", Refresh: refreshIdle}
	if data.Filter.Active() || q.Has("page") {
		v.Title = "Requests"
	}
	if len(data.Filter.Errors) > 0 {
		v.Status, v.Refresh, v.Data = http.StatusBadRequest, 0, data
		return v, nil
	}
	page := store.Page{Number: pageNumber(q), PerPage: listPerPage}
	found, err := p.Store.List(ctx, wanted, page)
	if errors.Is(err, store.ErrPageOutOfRange) {
		return view{}, &problem{http.StatusNotFound, "The list has no such page: it is shorter now, or was never that long."}
	}
	if err != nil {
		return view{}, fmt.Errorf("listing requests: %w", err)
	}
	now := p.Clock()
	for _, req := range found.Requests {
		data.Rows = append(data.Rows, row{p.summarize(req, now), req.PackagesCount, req.DependenciesCount})
		if req.State == request.StateInProgress {
			v.Refresh = refreshBusy
		}
	}
	data.Pager = newPager(int64(page.Number), listPerPage, int64(len(found.Requests)), found.Total, data.Filter.Page)
	v.Data = data
	return v, nil
}

// summary is what every page says about a request.
type summary struct {
	ID         int64
	State      request.State
	StateName  string
	Reason     string
	Repo       repository
	Ref        string
	Managers   []string
	Created    time.Time
	CreatedAgo string
	// Took is how long it took, or takes so far.
	Took string
	// Percent done, for one that is in progress.
	Percent int
}

func (p *Pages) summarize(req request.Request, now time.Time) summary {
	s := summary{
		ID: req.ID, State: req.State, Reason: req.StateReason, Repo: readRepository(req.Repo), Ref: req.Ref,
		Managers: req.PackageManagers, Created: req.Created,
	}
	for _, known := range stateNames {
		if known.State == req.State {
			s.StateName = known.Name
		}
	}
	if req.Created.IsZero() {
		return s
	}
	s.CreatedAgo = ago(now, req.Created)
	switch req.State {
	case request.StateInProgress:
		s.Took = span(now.Sub(req.Created).Truncate(time.Second))
		s.Percent = percentDone(p.Steps(req.PackageManagers), req.Steps)
	case request.StateComplete, request.StateFailed:
		s.Took = span(req.Updated.Sub(req.Created))
	}
	return s
}

// percentDone is how much of all steps is done, each counting the same.
func percentDone(names []string, steps map[string]request.Step) int {
	if len(names) == 0 {
		return 0
	}
	sum := 0.0
	for _, name := range names {
		sum += fraction(steps[name])
	}
	return int(100 * sum / float64(len(names)))
}

func fraction(s request.Step) float64 {
	switch {
	case s.State == request.StepDone:
		return 1
	case s.Progress.Total > 0:
		return min(1, float64(s.Progress.Done)/float64(s.Progress.Total))
	}
	return 0
}
