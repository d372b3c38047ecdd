package store

import (
	"fmt"
	"math"
	"slices"

	"github.com/cachito-serverless/cachito/shared/request"
)

// What lists are filtered by. Adapters keep an entry of each request under every value it has, so that
// a list costs its page and not the requests there are.
const (
	FilterAll         = "" // holds every request, under the value ""
	FilterState       = "state"
	FilterRepo        = "repo"
	FilterRef         = "ref"
	FilterManager     = "pkg_manager"
	FilterErrorOrigin = "error_origin"
	FilterErrorType   = "error_type"
)

// FilterValue is something a request can be listed by: a filter's name and the value.
type FilterValue struct{ Filter, Value string }

// FilterValues are what a request is listed by.
func FilterValues(req request.Request) []FilterValue {
	list := []FilterValue{{FilterAll, ""}, {FilterState, string(req.State)}, {FilterRepo, req.Repo}, {FilterRef, req.Ref}}
	for _, m := range req.PackageManagers {
		list = append(list, FilterValue{FilterManager, m})
	}
	if req.ErrorOrigin != "" {
		list = append(list, FilterValue{FilterErrorOrigin, req.ErrorOrigin}, FilterValue{FilterErrorType, req.ErrorType})
	}
	return list
}

// Values are what a request must be listed by to be in the list, apart from its time; at least one, each once.
func (f Filter) Values() []FilterValue {
	var list []FilterValue
	add := func(filter, value string) {
		if value != "" && !slices.Contains(list, FilterValue{filter, value}) {
			list = append(list, FilterValue{filter, value})
		}
	}
	add(FilterState, string(f.State))
	add(FilterRepo, f.Repo)
	add(FilterRef, f.Ref)
	for _, m := range f.PackageManagers {
		add(FilterManager, m)
	}
	add(FilterErrorOrigin, f.ErrorOrigin)
	add(FilterErrorType, f.ErrorType)
	if len(list) == 0 {
		list = append(list, FilterValue{FilterAll, ""})
	}
	return list
}

// Offset is how many entries come before the page. ErrPageOutOfRange when no int64 could hold that.
func (p Page) Offset() (int64, error) {
	if p.Number < 1 || p.PerPage < 1 {
		return 0, fmt.Errorf("page %d of %d entries: both count from 1", p.Number, p.PerPage)
	}
	if int64(p.Number-1) > math.MaxInt64/int64(p.PerPage) {
		return 0, fmt.Errorf("page %d of %d entries: %w", p.Number, p.PerPage, ErrPageOutOfRange)
	}
	return int64(p.Number-1) * int64(p.PerPage), nil
}
