package dynamodb

import (
	"context"
	"slices"
	"time"

	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/store"
)

// Metrics implements store.Store. Without a period it costs what a list does; with one, the short items of
// the period are read.
func (s *Store) Metrics(ctx context.Context, f store.MetricsFilter, p store.Page) (store.MetricsList, error) {
	skip, err := p.Offset()
	if err != nil {
		return store.MetricsList{}, err
	}
	ids, total, err := s.pageOfMetrics(ctx, f, skip, p.PerPage)
	if err != nil {
		return store.MetricsList{}, err
	}
	list := store.MetricsList{Total: total}
	keys := make([]key, 0, len(ids))
	for _, id := range ids {
		keys = append(keys, key{listPartition(finishedValue), sortID(id)})
	}
	found, err := s.batchGet(ctx, keys)
	if err != nil {
		return store.MetricsList{}, err
	}
	for n, id := range ids {
		i, ok := found[keys[n]]
		if !ok {
			continue
		}
		list.Metrics = append(list.Metrics, store.Metric{
			ID: id, FinalState: request.State(i.text(attrState)), FinalStateReason: i.text(attrReason),
			Finished: i.time(attrAt), Duration: i.duration(attrDuration), TimeInQueue: i.duration(attrQueued),
		})
	}
	if len(list.Metrics) == 0 && p.Number > 1 {
		return store.MetricsList{}, store.ErrPageOutOfRange
	}
	return list, nil
}

func (i item) duration(name string) time.Duration {
	return time.Duration(i.number(name)) * time.Microsecond
}

func (s *Store) pageOfMetrics(ctx context.Context, f store.MetricsFilter, skip int64, limit int) (ids []int64, total int64, err error) {
	if finishedWithin(f).all() {
		// What has an error has failed, and so has a metric.
		values := store.Filter{ErrorOrigin: f.ErrorOrigin, ErrorType: f.ErrorType}.Values()
		switch {
		case len(values) > 1:
			return s.pageOfSeveral(ctx, values, period{}, skip, limit)
		case values[0] == allValue:
			return s.pageOfOne(ctx, finishedValue, skip, limit)
		}
		return s.pageOfOne(ctx, values[0], skip, limit)
	}
	err = s.finished(ctx, f, func(i item) error {
		id, err := i.sortedID()
		ids = append(ids, id)
		return err
	})
	if err != nil {
		return nil, 0, err
	}
	slices.Sort(ids)
	slices.Reverse(ids)
	return slicePage(ids, skip, limit), int64(len(ids)), nil
}

func finishedWithin(f store.MetricsFilter) period { return period{f.FinishedFrom, f.FinishedTo} }

// finished calls each with the short items of the requests that match, by when they finished.
func (s *Store) finished(ctx context.Context, f store.MetricsFilter, each func(item) error) error {
	q := search{partition: metricPartition}
	if !f.FinishedFrom.IsZero() {
		q.from = sortMicros(f.FinishedFrom)
	}
	if !f.FinishedTo.IsZero() {
		q.to = sortMicros(f.FinishedTo) + "#~" // after every id of that moment
	}
	return s.query(ctx, q, func(i item) (bool, error) {
		if f.ErrorOrigin != "" && i.text(attrOrigin) != f.ErrorOrigin || f.ErrorType != "" && i.text(attrType) != f.ErrorType {
			return true, nil
		}
		return true, each(i)
	})
}

// MetricsSummary implements store.Store. It reads the short items, some 10,000 in one call, within the period.
func (s *Store) MetricsSummary(ctx context.Context, f store.MetricsFilter) (store.MetricsSummary, error) {
	var lives []store.Life
	err := s.finished(ctx, f, func(i item) error {
		lives = append(lives, store.Life{
			State: request.State(i.text(attrState)), Duration: i.duration(attrDuration), TimeInQueue: i.duration(attrQueued),
			ErrorOrigin: i.text(attrOrigin),
		})
		return nil
	})
	if err != nil {
		return store.MetricsSummary{}, err
	}
	return store.Summarize(lives), nil
}
