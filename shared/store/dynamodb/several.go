package dynamodb

import (
	"cmp"
	"context"
	"math"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/cachito-serverless/cachito/shared/store"
)

// mergeRatio is how many entries of a partition a Query reads for the price of one item of a batch (some 100
// bytes each, and units of 4 KB).
const mergeRatio = 40

// pageOfSeveral walks the entries of the rarest value and keeps those that have the others too.
func (s *Store) pageOfSeveral(ctx context.Context, values []store.FilterValue, created period, skip int64, limit int) (ids []int64, total int64, err error) {
	all, err := s.idsOfSeveral(ctx, values, created)
	if err != nil {
		return nil, 0, err
	}
	return slicePage(all, skip, limit), int64(len(all)), nil
}

// slicePage is a page of a list that is there as a whole.
func slicePage[T any](all []T, skip int64, limit int) []T {
	if skip >= int64(len(all)) {
		return nil
	}
	rest := all[skip:]
	return rest[:min(limit, len(rest))]
}

// countedValue is a value and how many requests have it.
type countedValue struct {
	store.FilterValue
	n int64
}

// idsOfSeveral are all ids that have every value and were created in the period, highest first.
func (s *Store) idsOfSeveral(ctx context.Context, values []store.FilterValue, created period) ([]int64, error) {
	counted := make([]countedValue, len(values))
	g, groupCtx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for n, v := range values {
		g.Go(func() error {
			_, total, err := s.blocks(groupCtx, v)
			counted[n] = countedValue{v, total}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	slices.SortStableFunc(counted, func(a, b countedValue) int { return cmp.Compare(a.n, b.n) })
	var ids []int64
	err := s.entries(ctx, counted[0].FilterValue, math.MaxInt64, 0, 0, func(id int64, i item) {
		if created.contains(i.time(attrCreated)) {
			ids = append(ids, id)
		}
	})
	for _, v := range counted[1:] {
		if err != nil || len(ids) == 0 {
			break
		}
		ids, err = s.keep(ctx, ids, v)
	}
	return ids, err
}

// keep returns those of the ids, highest first, that have the value: by reading its entries beside them, or
// one by one when it has very many more.
func (s *Store) keep(ctx context.Context, ids []int64, v countedValue) ([]int64, error) {
	var kept []int64
	if v.n <= mergeRatio*int64(len(ids)) {
		left := ids
		err := s.entries(ctx, v.FilterValue, ids[0], ids[len(ids)-1], 0, func(id int64, _ item) {
			for len(left) > 0 && left[0] > id {
				left = left[1:]
			}
			if len(left) > 0 && left[0] == id {
				kept = append(kept, id)
			}
		})
		return kept, err
	}
	keys := make([]key, 0, len(ids))
	for _, id := range ids {
		keys = append(keys, key{listPartition(v.FilterValue), sortID(id)})
	}
	found, err := s.batchGet(ctx, keys)
	if err != nil {
		return nil, err
	}
	for n, id := range ids {
		if _, ok := found[keys[n]]; ok {
			kept = append(kept, id)
		}
	}
	return kept, nil
}
