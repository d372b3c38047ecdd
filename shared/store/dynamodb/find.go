package dynamodb

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/store"
)

// Latest implements store.Store.
func (s *Store) Latest(ctx context.Context, repoName, ref string) (request.Request, error) {
	id := int64(0)
	q := search{partition: latestPartition(repoName, ref), newest: true, limit: 1}
	err := s.query(ctx, q, func(i item) (_ bool, err error) {
		id, err = i.sortedID()
		return false, err
	})
	if err != nil {
		return request.Request{}, err
	}
	if id == 0 {
		return request.Request{}, fmt.Errorf("repository %s at %s: %w", repoName, ref, store.ErrNotFound)
	}
	return s.Get(ctx, id)
}

// Unfinished implements store.Store.
func (s *Store) Unfinished(ctx context.Context, after int64, limit int) ([]request.Request, error) {
	var list []request.Request
	for len(list) < limit {
		ids, err := s.inState(ctx, request.StateInProgress, after, limit-len(list))
		if err != nil || len(ids) == 0 {
			return list, err
		}
		after = ids[len(ids)-1]
		requests, err := s.loadWhole(ctx, ids)
		if err != nil {
			return nil, err
		}
		for _, req := range requests {
			if req.State == request.StateInProgress { // still
				list = append(list, req)
			}
		}
	}
	return list, nil
}

// inState are the ids of a state above after, lowest first, at most limit.
func (s *Store) inState(ctx context.Context, state request.State, after int64, limit int) (ids []int64, err error) {
	if limit <= 0 || after == math.MaxInt64 {
		return nil, nil
	}
	v := store.FilterValue{Filter: store.FilterState, Value: string(state)}
	q := search{partition: listPartition(v), from: sortID(max(after, 0) + 1), limit: limit}
	err = s.query(ctx, q, func(i item) (bool, error) {
		id, err := i.sortedID()
		ids = append(ids, id)
		return true, err
	})
	return ids, err
}

// Expired implements store.Store. Requests that are complete or failed lie in order of their last update, so
// that those past their lifetime are read and no others. Of the other states, of which those in progress are
// few, the requests are read.
func (s *Store) Expired(ctx context.Context, state request.State, before time.Time, after int64, limit int) ([]int64, error) {
	if state != request.StateComplete && state != request.StateFailed {
		return s.expiredByRow(ctx, state, before, after, limit)
	}
	var ids []int64
	q := search{partition: expiresPartition(state), to: sortMicros(before)}
	err := s.query(ctx, q, func(i item) (bool, error) {
		id, err := i.sortedID()
		if id > after {
			ids = append(ids, id)
		}
		return true, err
	})
	slices.Sort(ids)
	return ids[:min(max(limit, 0), len(ids))], err
}

func (s *Store) expiredByRow(ctx context.Context, state request.State, before time.Time, after int64, limit int) ([]int64, error) {
	var expired []int64
	for len(expired) < limit {
		ids, err := s.inState(ctx, state, after, maxBatch)
		if err != nil || len(ids) == 0 {
			return expired, err
		}
		after = ids[len(ids)-1]
		requests, err := s.load(ctx, ids, false)
		if err != nil {
			return nil, err
		}
		for _, req := range requests {
			if req.State == state && req.Updated.UnixMicro() < before.UnixMicro() && len(expired) < limit {
				expired = append(expired, req.ID)
			}
		}
	}
	return expired, nil
}

// Referenced implements store.Store.
func (s *Store) Referenced(ctx context.Context, key string) (found bool, err error) {
	if key == "" {
		return false, nil
	}
	err = s.query(ctx, search{partition: referencePartition(key), limit: 1}, func(item) (bool, error) {
		found = true
		return false, nil
	})
	return found, err
}
