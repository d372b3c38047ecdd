package storetest

import (
	"errors"
	"math"
	"time"

	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/store"
)

// list checks a page's ids and the total.
func (w *world) list(f store.Filter, page, perPage int, ids []int64, total int64) {
	w.Helper()
	got, err := w.s.List(w.Context(), f, store.Page{Number: page, PerPage: perPage})
	if err != nil {
		w.Errorf("List(%+v, page %d of %d): %v", f, page, perPage, err)
		return
	}
	var gotIDs []int64
	for _, req := range got.Requests {
		gotIDs = append(gotIDs, req.ID)
	}
	w.equal("ids", gotIDs, ids)
	w.equal("total", got.Total, total)
}

func (w *world) outOfRange(f store.Filter, page, perPage int) {
	w.Helper()
	_, err := w.s.List(w.Context(), f, store.Page{Number: page, PerPage: perPage})
	if !errors.Is(err, store.ErrPageOutOfRange) {
		w.Errorf("List(%+v, page %d of %d): got %v, want ErrPageOutOfRange", f, page, perPage, err)
	}
}

const eggs, spam = "https://github.com/org/eggs", "https://github.com/org/spam"

// manyIDs is enough for two borders of what an adapter may count in blocks of 1000.
const manyIDs = 2003

var listCases = []testCase{
	{"empty", func(w *world) {
		for _, f := range []store.Filter{{}, {State: request.StateComplete}, {Repo: eggs, Ref: refA}, {CreatedFrom: start}} {
			w.list(f, 1, 20, nil, 0)
			w.outOfRange(f, 2, 20)
		}
	}},
	{"pages", func(w *world) {
		for range 5 {
			w.create()
		}
		w.list(store.Filter{}, 1, 2, []int64{5, 4}, 5)
		w.list(store.Filter{}, 2, 2, []int64{3, 2}, 5)
		w.list(store.Filter{}, 3, 2, []int64{1}, 5)
		w.outOfRange(store.Filter{}, 4, 2)
		w.list(store.Filter{}, 1, 5, []int64{5, 4, 3, 2, 1}, 5)
		w.outOfRange(store.Filter{}, 2, 5)
		w.list(store.Filter{}, 1, 100, []int64{5, 4, 3, 2, 1}, 5)
		w.outOfRange(store.Filter{}, 1<<31-1, 1<<31-1)
	}},
	{"requests are whole, with their history on demand", func(w *world) {
		w.create(func(n *store.New) { n.User = "ada" })
		w.update(1, store.Update{State: request.StateInProgress, Reason: "a", Source: new("s")})
		want := w.get(1)
		got, err := w.s.List(w.Context(), store.Filter{}, store.Page{Number: 1, PerPage: 1, History: true})
		w.ok(err)
		w.equal("with history", got.Requests, []request.Request{want})
		got, err = w.s.List(w.Context(), store.Filter{}, store.Page{Number: 1, PerPage: 1})
		w.ok(err)
		want.History = nil
		w.equal("without", got.Requests, []request.Request{want})
	}},
	{"filters", func(w *world) {
		add := func(repo, ref string, managers ...string) {
			w.create(func(n *store.New) { n.Repo, n.Ref, n.PackageManagers = repo, ref, managers })
			w.advance(time.Hour)
		}
		add(eggs, refA, "gomod")                 // 1 complete
		add(eggs, refB, "gomod", "npm")          // 2 failed, client, A
		add(spam, refA, "npm")                   // 3 failed, server, B
		add(spam, refB)                          // 4
		add(eggs, refA, "npm", "pip")            // 5 failed, client, B
		add(eggs+".git", refA, "npm", "rubygem") // 6 stale
		w.update(1, toState(request.StateComplete, "x"))
		fail := func(id int64, origin, kind string) {
			w.update(id, store.Update{State: request.StateFailed, Reason: "x", ErrorOrigin: origin, ErrorType: kind})
		}
		fail(2, "client", "A")
		fail(3, "server", "B")
		fail(5, "client", "B")
		w.update(6, toState(request.StateStale, "x"))
		at := func(id int) time.Time { return start.Add(time.Duration(id-1) * time.Hour) }
		type m = []string
		for _, c := range []struct {
			f    store.Filter
			want []int64
		}{
			{store.Filter{State: request.StateFailed}, []int64{5, 3, 2}},
			{store.Filter{State: request.StateInProgress}, []int64{4}},
			{store.Filter{State: "nonsense"}, nil},
			{store.Filter{Repo: eggs}, []int64{5, 2, 1}},
			{store.Filter{Repo: "https://github.com/org/egg"}, nil},
			{store.Filter{Ref: refA}, []int64{6, 5, 3, 1}},
			{store.Filter{PackageManagers: m{"npm"}}, []int64{6, 5, 3, 2}},
			{store.Filter{PackageManagers: m{"npm", "npm"}}, []int64{6, 5, 3, 2}},
			{store.Filter{PackageManagers: m{"npm", "gomod"}}, []int64{2}},
			{store.Filter{PackageManagers: m{"npm", "yarn"}}, nil},
			{store.Filter{ErrorOrigin: "client"}, []int64{5, 2}},
			{store.Filter{ErrorType: "B"}, []int64{5, 3}},
			{store.Filter{ErrorOrigin: "client", ErrorType: "B"}, []int64{5}},
			{store.Filter{State: request.StateFailed, Repo: eggs}, []int64{5, 2}},
			{store.Filter{State: request.StateFailed, Repo: eggs, Ref: refA, PackageManagers: m{"pip"}, ErrorOrigin: "client", ErrorType: "B", CreatedFrom: at(5), CreatedTo: at(5)}, []int64{5}},
			{store.Filter{State: request.StateComplete, Repo: spam}, nil},
			{store.Filter{CreatedFrom: at(4)}, []int64{6, 5, 4}},
			{store.Filter{CreatedFrom: at(4).Add(time.Microsecond)}, []int64{6, 5}},
			{store.Filter{CreatedTo: at(2)}, []int64{2, 1}},
			{store.Filter{CreatedTo: at(2).Add(-time.Microsecond)}, []int64{1}},
			{store.Filter{CreatedFrom: at(2), CreatedTo: at(4)}, []int64{4, 3, 2}},
			{store.Filter{CreatedFrom: at(4), CreatedTo: at(2)}, nil},
			{store.Filter{CreatedFrom: at(2), State: request.StateFailed}, []int64{5, 3, 2}},
		} {
			w.list(c.f, 1, 10, c.want, int64(len(c.want)))
			if len(c.want) > 1 {
				w.list(c.f, 2, 1, c.want[1:2], int64(len(c.want)))
			}
			w.outOfRange(c.f, max(len(c.want), 1)+1, 1)
		}
	}},
	{"a change of state moves between filters", func(w *world) {
		for range 3 {
			w.create()
		}
		states := []request.State{request.StateInProgress, request.StateFailed, request.StateStale}
		for i, s := range states {
			w.update(2, toState(s, "x"))
			for j, other := range states {
				want := map[bool][]int64{true: {2}}[i == j]
				if other == request.StateInProgress {
					want = map[bool][]int64{true: {3, 2, 1}, false: {3, 1}}[i == 0]
				}
				w.list(store.Filter{State: other}, 1, 10, want, int64(len(want)))
			}
		}
		w.list(store.Filter{}, 1, 10, []int64{3, 2, 1}, 3)
	}},
	{"pages that no list can have", func(w *world) {
		w.create()
		w.update(1, toState(request.StateComplete, "x"))
		for _, f := range []store.Filter{{}, {State: request.StateComplete}, {State: request.StateComplete, Ref: refA}, {CreatedFrom: start}} {
			for _, perPage := range []int{1, 3, 10, 1000} {
				// Number * PerPage is more than an int64 holds.
				w.outOfRange(f, math.MaxInt, perPage)
				w.outOfRange(f, math.MaxInt/2+2, perPage)
			}
			for _, p := range []store.Page{{}, {Number: 1}, {PerPage: 1}, {Number: -1, PerPage: 1}, {Number: 1, PerPage: -1}} {
				if got, err := w.s.List(w.Context(), f, p); err == nil {
					w.Errorf("List(%+v, %+v): got %+v, want an error", f, p, got)
				}
			}
		}
		_, err := w.s.Metrics(w.Context(), store.MetricsFilter{}, store.Page{Number: math.MaxInt, PerPage: 10})
		if !errors.Is(err, store.ErrPageOutOfRange) {
			w.Errorf("Metrics: got %v, want ErrPageOutOfRange", err)
		}
	}},
	{Thousands, func(w *world) {
		for i := range manyIDs {
			w.create(func(n *store.New) {
				n.Repo = eggs
				if (i+1)%2 == 0 {
					n.Repo = spam
				}
			})
		}
		// Holes at the borders of blocks.
		for _, id := range []int64{1, 998, 999, 1000, 1001, 2000} {
			w.update(id, toState(request.StateComplete, "x"))
		}
		w.list(store.Filter{}, 1, 5, []int64{2003, 2002, 2001, 2000, 1999}, manyIDs)
		w.list(store.Filter{}, 2, 1002, span(1001, 1), manyIDs)
		w.list(store.Filter{}, manyIDs, 1, []int64{1}, manyIDs)
		w.outOfRange(store.Filter{}, manyIDs+1, 1)
		w.list(store.Filter{}, 21, 50, span(1003, 954), manyIDs)
		complete := store.Filter{State: request.StateComplete}
		w.list(complete, 1, 3, []int64{2000, 1001, 1000}, 6)
		w.list(complete, 2, 2, []int64{1000, 999}, 6)
		w.outOfRange(complete, 3, 3)
		progress := store.Filter{State: request.StateInProgress}
		w.list(progress, 1, 4, []int64{2003, 2002, 2001, 1999}, manyIDs-6)
		w.list(progress, 334, 3, []int64{1003, 1002, 997}, manyIDs-6)
		w.list(progress, manyIDs-6, 1, []int64{2}, manyIDs-6)
		w.list(store.Filter{Repo: spam}, 101, 5, []int64{1002, 1000, 998, 996, 994}, manyIDs/2)
		w.list(store.Filter{Repo: spam, State: request.StateComplete}, 1, 5, []int64{2000, 1000, 998}, 3)
		w.list(store.Filter{Repo: eggs, State: request.StateInProgress}, 1, 2, []int64{2003, 2001}, 1002-3)
	}},
}

// span counts down from high to low.
func span(high, low int64) []int64 {
	var ids []int64
	for id := high; id >= low; id-- {
		ids = append(ids, id)
	}
	return ids
}
