package web

import (
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/store"
)

// filterNames are the list's filters, by their names in the API and in our URLs.
var filterNames = []string{"state", "repo", "ref", "pkg_manager", "created_from", "created_to", "error_origin", "error_type"}

// dayForm is how date inputs send a day.
const dayForm = "2006-01-02"

// refForm is a commit.
var refForm = regexp.MustCompile(`^[a-f0-9]{40}$`)

// filter is what the list's form says.
type filter struct {
	// Values as they were given, by the filter's name; only those that are set.
	Values url.Values
	// Errors tell what is wrong with a value, by the filter's name.
	Errors map[string]string
}

// readFilter reads the form of the list. Empty fields filter nothing. known are the managers that the API
// knows.
func readFilter(q url.Values, known []string) (filter, store.Filter) {
	in := filter{Values: url.Values{}, Errors: map[string]string{}}
	for _, name := range filterNames {
		for _, v := range q[name] {
			if v = strings.TrimSpace(strings.ToValidUTF8(v, "\uFFFD")); v != "" && !slices.Contains(in.Values[name], v) {
				in.Values.Add(name, v)
			}
		}
	}
	out := store.Filter{
		State: request.State(in.Values.Get("state")), Repo: in.Values.Get("repo"), Ref: in.Values.Get("ref"),
		PackageManagers: in.Values["pkg_manager"],
		ErrorOrigin:     in.Values.Get("error_origin"), ErrorType: in.Values.Get("error_type"),
	}
	if out.State != "" && !slices.Contains(request.States, string(out.State)) {
		in.Errors["state"] = "There is no such state"
	}
	if out.Ref != "" && !refForm.MatchString(out.Ref) {
		in.Errors["ref"] = "A commit is 40 digits or letters from a to f"
	}
	for _, name := range out.PackageManagers {
		if !slices.Contains(known, name) {
			in.Errors["pkg_manager"] = "There is no such package manager"
		}
	}
	if out.ErrorOrigin != "" && !slices.Contains(request.Origins, out.ErrorOrigin) {
		in.Errors["error_origin"] = "An error comes from the client or the server"
	}
	day := func(name string) time.Time {
		v := in.Values.Get(name)
		if v == "" {
			return time.Time{}
		}
		t, err := time.Parse(dayForm, v)
		if err != nil {
			in.Errors[name] = "A day looks like " + dayForm
		}
		return t
	}
	out.CreatedFrom = day("created_from")
	if out.CreatedTo = day("created_to"); !out.CreatedTo.IsZero() {
		out.CreatedTo = out.CreatedTo.Add(24*time.Hour - time.Microsecond) // the whole day
	}
	return in, out
}

// Get is a filter's value.
func (f filter) Get(name string) string { return f.Values.Get(name) }

// Has reports whether one of a filter's values is this one.
func (f filter) Has(name, value string) bool { return slices.Contains(f.Values[name], value) }

// Active reports whether anything is filtered.
func (f filter) Active() bool { return len(f.Values) > 0 }

// More reports whether a filter of those that are folded away is set.
func (f filter) More() bool {
	return slices.ContainsFunc([]string{"created_from", "created_to", "error_origin", "error_type"}, func(name string) bool { return f.Values.Has(name) })
}

// With is the query for the same filter with another value of one field; an empty one clears it.
func (f filter) With(name, value string) string {
	values := url.Values{}
	for key, list := range f.Values {
		if key != name {
			values[key] = list
		}
	}
	if value != "" {
		values.Set(name, value)
	}
	return query(values)
}

// Page is the query for another page of the same filter.
func (f filter) Page(n int64) string {
	if n <= 1 {
		return f.With("page", "")
	}
	return f.With("page", strconv.FormatInt(n, 10))
}

// query is a relative URL of the same page: "?a=b", or "?" for no parameter at all.
func query(values url.Values) string { return "?" + values.Encode() }

// pageNumber reads the parameter page; whatever is no page is the first one.
func pageNumber(q url.Values) int {
	n, err := strconv.ParseInt(q.Get("page"), 10, 32)
	if err != nil || n < 1 {
		return 1
	}
	return int(n)
}
