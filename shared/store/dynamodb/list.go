package dynamodb

import (
	"context"
	"math"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/store"
)

// maxListTries is how often a list is read when it changes while it is read. After that what was read is
// made to agree with itself.
const maxListTries = 4

// List implements store.Store. Counts, entries and requests are read one after another, and a request may
// change in between: one that fits no more is left out, and the list is read again.
func (s *Store) List(ctx context.Context, f store.Filter, p store.Page) (store.List, error) {
	skip, err := p.Offset()
	if err != nil {
		return store.List{}, err
	}
	for try := 1; ; try++ {
		list, whole, err := s.listOnce(ctx, f, p, skip)
		if err != nil {
			return store.List{}, err
		}
		if whole || try == maxListTries {
			if len(list.Requests) == 0 && p.Number > 1 {
				return store.List{}, store.ErrPageOutOfRange
			}
			return list, nil
		}
	}
}

// listOnce reads a page. whole tells that counts, entries and requests agreed; else the total is corrected by
// what was found.
func (s *Store) listOnce(ctx context.Context, f store.Filter, p store.Page, skip int64) (list store.List, whole bool, err error) {
	ids, total, err := s.pageOfIDs(ctx, f, skip, p.PerPage)
	if err != nil {
		return list, false, err
	}
	all, err := s.load(ctx, ids, p.History)
	if err != nil {
		return list, false, err
	}
	list.Requests = slices.DeleteFunc(all, func(req request.Request) bool { return !fits(req, f) })
	expected, got := min(int64(p.PerPage), max(total-skip, 0)), int64(len(list.Requests))
	switch {
	case got == expected:
		list.Total = total
	case len(ids) < p.PerPage && got > 0: // the last page
		list.Total = skip + got
	default:
		list.Total = max(total-expected+got, 0)
	}
	return list, got == expected, nil
}

// load reads requests in the order of the ids, without those that are not there.
func (s *Store) load(ctx context.Context, ids []int64, history bool) ([]request.Request, error) {
	if history {
		return s.loadWhole(ctx, ids)
	}
	keys := make([]key, 0, len(ids))
	for _, id := range ids {
		keys = append(keys, rowKey(id))
	}
	found, err := s.batchGet(ctx, keys)
	if err != nil {
		return nil, err
	}
	var list []request.Request
	for _, id := range ids {
		i, ok := found[rowKey(id)]
		if !ok {
			continue
		}
		r, err := decodeRow(id, i)
		if err != nil {
			return nil, err
		}
		list = append(list, r.req)
	}
	return list, nil
}

// loadWhole reads requests with their histories.
func (s *Store) loadWhole(ctx context.Context, ids []int64) ([]request.Request, error) {
	list := make([]request.Request, len(ids))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for n, id := range ids {
		g.Go(func() error {
			r, err := s.read(ctx, id)
			if err == nil {
				list[n] = r.req
			}
			return err
		})
	}
	return list, g.Wait()
}

// fits reports whether a request, as it is now, belongs in the list.
func fits(req request.Request, f store.Filter) bool {
	has := store.FilterValues(req)
	for _, v := range f.Values() {
		if !slices.Contains(has, v) {
			return false
		}
	}
	return periodOf(f).contains(req.Created)
}

// period is a time with inclusive bounds, of which either may be zero: none.
type period struct{ from, to time.Time }

func periodOf(f store.Filter) period { return period{f.CreatedFrom, f.CreatedTo} }

func (p period) all() bool { return p.from.IsZero() && p.to.IsZero() }

// contains compares microseconds, as they are stored.
func (p period) contains(t time.Time) bool {
	at := t.UnixMicro()
	return (p.from.IsZero() || at >= p.from.UnixMicro()) && (p.to.IsZero() || at <= p.to.UnixMicro())
}

// pageOfIDs finds the ids of a page, highest first, and how many match in all.
func (s *Store) pageOfIDs(ctx context.Context, f store.Filter, skip int64, limit int) (ids []int64, total int64, err error) {
	values, created := f.Values(), periodOf(f)
	switch {
	case len(values) > 1 || values[0] != allValue && !created.all():
		return s.pageOfSeveral(ctx, values, created, skip, limit)
	case values[0] != allValue:
		return s.pageOfOne(ctx, values[0], skip, limit)
	case !created.all():
		return s.pageOfCreated(ctx, created, skip, limit)
	}
	// Ids have no gaps and requests are never removed.
	last, err := s.getItem(ctx, lastKey)
	if err != nil {
		return nil, 0, err
	}
	total = last.number(attrID)
	for id := total - skip; id > 0 && len(ids) < limit; id-- {
		ids = append(ids, id)
	}
	return ids, total, nil
}

// block is a count of a value's ids within blockSize of them.
type block struct {
	number, n int64
	low, high time.Time // of allValue's: creation times
}

func (b block) first() int64 { return b.number * blockSize }
func (b block) last() int64  { return (b.number+1)*blockSize - 1 }

// blocks reads a value's counts, highest block first, and their sum.
func (s *Store) blocks(ctx context.Context, v store.FilterValue) (list []block, total int64, err error) {
	err = s.query(ctx, search{partition: blockPartition(v), newest: true}, func(i item) (bool, error) {
		number, err := i.sortedID()
		if err != nil {
			return false, err
		}
		b := block{number: number, n: i.number(attrCount), low: i.time(attrLow), high: i.time(attrHigh)}
		total += b.n
		list = append(list, b)
		return true, nil
	})
	return list, total, err
}

// entries calls each with the ids of a value from high down to low.
func (s *Store) entries(ctx context.Context, v store.FilterValue, high, low int64, limit int, each func(id int64, i item)) error {
	q := search{partition: listPartition(v), from: sortID(max(low, 0)), to: sortID(high), newest: true, limit: limit}
	return s.query(ctx, q, func(i item) (bool, error) {
		id, err := i.sortedID()
		if err == nil {
			each(id, i)
		}
		return true, err
	})
}

// pageOfOne finds the block in which the page begins by the counts, then reads entries from there.
func (s *Store) pageOfOne(ctx context.Context, v store.FilterValue, skip int64, limit int) (ids []int64, total int64, err error) {
	blocks, total, err := s.blocks(ctx, v)
	if err != nil || skip >= total {
		return nil, total, err
	}
	for _, b := range blocks {
		if skip >= b.n {
			skip -= b.n
			continue
		}
		left := skip
		err = s.entries(ctx, v, b.last(), 0, int(left)+min(limit, math.MaxInt-blockSize), func(id int64, _ item) {
			if left--; left < 0 && len(ids) < limit {
				ids = append(ids, id)
			}
		})
		return ids, total, err
	}
	return nil, total, nil
}

// pageOfCreated is a page of the requests created within a period. Blocks wholly inside of it count by their
// number; the few at its ends are read.
func (s *Store) pageOfCreated(ctx context.Context, created period, skip int64, limit int) (ids []int64, total int64, err error) {
	blocks, _, err := s.blocks(ctx, allValue)
	if err != nil {
		return nil, 0, err
	}
	for _, b := range blocks {
		if !created.from.IsZero() && b.high.UnixMicro() < created.from.UnixMicro() ||
			!created.to.IsZero() && b.low.UnixMicro() > created.to.UnixMicro() {
			continue
		}
		inside := created.contains(b.low) && created.contains(b.high)
		if inside && (total+b.n <= skip || len(ids) == limit) {
			total += b.n
			continue
		}
		err := s.entries(ctx, allValue, b.last(), b.first(), 0, func(id int64, i item) {
			if !created.contains(i.time(attrCreated)) {
				return
			}
			if total++; total > skip && len(ids) < limit {
				ids = append(ids, id)
			}
		})
		if err != nil {
			return nil, 0, err
		}
	}
	return ids, total, nil
}

// Counts implements store.Store.
func (s *Store) Counts(ctx context.Context) (store.Counts, error) {
	states := []request.State{request.StateInProgress, request.StateComplete, request.StateFailed, request.StateStale}
	totals := make([]int64, len(states))
	g, groupCtx := errgroup.WithContext(ctx)
	for n, state := range states {
		g.Go(func() (err error) {
			_, totals[n], err = s.blocks(groupCtx, store.FilterValue{Filter: store.FilterState, Value: string(state)})
			return err
		})
	}
	var single map[key]item
	g.Go(func() (err error) {
		single, err = s.batchGet(groupCtx, []key{lastKey, completedKey})
		return err
	})
	if err := g.Wait(); err != nil {
		return store.Counts{}, err
	}
	c := store.Counts{
		Total: single[lastKey].number(attrID), ByState: map[request.State]int64{},
		Completed:        single[completedKey].number(attrCount),
		CompletedSeconds: float64(single[completedKey].number(attrDuration)) / 1e6,
	}
	for n, state := range states {
		c.ByState[state] = totals[n]
	}
	return c, nil
}
