package web

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/cachito-serverless/cachito/shared/blob"
	"github.com/cachito-serverless/cachito/shared/packages"
	"github.com/cachito-serverless/cachito/shared/request"
)

// contentsPerPage is how many packages or dependencies a page shows.
const contentsPerPage = 100

// contents are the packages or the dependencies of a request, as far as a search finds them.
type contents struct {
	Query string
	// Package narrows the dependencies to those of one package: its number, from 1; 0 for all.
	Package int
	// Of is that package.
	Of    *item
	Items []item
	Pager pager
	// All is how many there are without the search.
	All int64
	// Missing: there is no packages data; Running: there is none yet.
	Missing, Running bool
}

// item is a package or a dependency.
type item struct {
	Name, Type string
	Version    *string
	Dev        bool
	Bundled    bool
	Replaces   *packages.Replaced
	// Users is how many packages need it. Of a dependency.
	Users int64
	// Number, Path and Needs are of a package: its place from 1, its folder, how many dependencies it has.
	Number int
	Path   string
	Needs  int64
}

func packageItem(n int, p indexedPackage) item {
	return item{Name: p.Name, Type: p.Type, Version: p.Version, Number: n + 1, Path: p.Path, Needs: int64(len(p.needs))}
}

// search makes a page of what is found among n things; found and item are of one of them.
func (c *contents) search(q url.Values, n int, found func(i int, words []string) bool, item func(i int) item) error {
	c.Query = strings.TrimSpace(strings.ToValidUTF8(q.Get("q"), "\uFFFD"))
	c.All = int64(n)
	wanted, page := words(c.Query), pageNumber(q)
	from, total := (page-1)*contentsPerPage, 0
	for i := range n {
		if !found(i, wanted) {
			continue
		}
		if total >= from && len(c.Items) < contentsPerPage {
			c.Items = append(c.Items, item(i))
		}
		total++
	}
	if page > 1 && len(c.Items) == 0 {
		return &problem{http.StatusNotFound, "There is no such page."}
	}
	c.Pager = newPager(int64(page), contentsPerPage, int64(len(c.Items)), int64(total), func(page int64) string {
		values := url.Values{}
		if c.Query != "" {
			values.Set("q", c.Query)
		}
		if c.Package > 0 {
			values.Set("package", strconv.Itoa(c.Package))
		}
		if page > 1 {
			values.Set("page", strconv.FormatInt(page, 10))
		}
		return query(values)
	})
	return nil
}

// index of a request; without one the contents say why.
func (p *Pages) contentsOf(r *http.Request, req request.Request) (*index, contents, error) {
	in, err := p.indexOf(r.Context(), req)
	if errors.Is(err, blob.ErrNotFound) {
		return &index{}, contents{Missing: true, Running: req.State == request.StateInProgress}, nil
	}
	return in, contents{}, err
}

func (p *Pages) dependencies(r *http.Request, req request.Request) (any, error) {
	in, c, err := p.contentsOf(r, req)
	if err != nil {
		return nil, err
	}
	q := r.URL.Query()
	places := func(i int) int { return i }
	n := len(in.dependencies)
	if q.Has("package") && !c.Missing {
		number, err := strconv.Atoi(q.Get("package"))
		if err != nil || number < 1 || number > len(in.packages) {
			return nil, &problem{http.StatusNotFound, "The request has no such package."}
		}
		owner := in.packages[number-1]
		of := packageItem(number-1, owner)
		c.Package, c.Of = number, &of
		n, places = len(owner.needs), func(i int) int { return int(owner.needs[i]) }
	}
	err = c.search(q, n, func(i int, words []string) bool { return in.foundDependency(places(i), words) }, func(i int) item {
		at := places(i)
		d := in.dependencies[at]
		return item{
			Name: d.Name, Type: d.Type, Version: d.Version, Dev: d.Dev != nil && *d.Dev, Bundled: d.Bundled != nil && *d.Bundled,
			Replaces: d.Replaces, Users: int64(in.users[at]),
		}
	})
	return c, err
}

func (p *Pages) packages(r *http.Request, req request.Request) (any, error) {
	in, c, err := p.contentsOf(r, req)
	if err != nil {
		return nil, err
	}
	err = c.search(r.URL.Query(), len(in.packages),
		in.foundPackage,
		func(i int) item { return packageItem(i, in.packages[i]) })
	return c, err
}
