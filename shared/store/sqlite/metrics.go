package sqlite

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/store"
)

// recordMetric stores the life of a request that reached its final state with this entry.
func recordMetric(ctx context.Context, tx *transaction, req request.Request, entry request.StateChange) error {
	if entry.State != request.StateComplete && entry.State != request.StateFailed {
		return nil
	}
	return measure(ctx, tx, req.ID)
}

// measure derives a request's metric from its history.
func measure(ctx context.Context, tx *transaction, id int64) error {
	list, err := history(ctx, tx, id)
	if err != nil {
		return err
	}
	m, over := store.MetricOf(id, list)
	if !over {
		return nil
	}
	if err := countCompleted(ctx, tx, id, -1); err != nil {
		return err // what was counted of it before, when its times change
	}
	_, err = tx.ExecContext(ctx, `INSERT OR REPLACE INTO metric (id, state, reason, finished, duration, queued) VALUES (?, ?, ?, ?, ?, ?)`,
		id, string(m.FinalState), m.FinalStateReason, m.Finished.UnixMicro(), m.Duration.Microseconds(), m.TimeInQueue.Microseconds())
	if err != nil {
		return err
	}
	return countCompleted(ctx, tx, id, 1)
}

// countCompleted adds a request's metric to the sum of the complete ones, or takes it out (sign -1).
func countCompleted(ctx context.Context, tx *transaction, id int64, sign int) error {
	_, err := tx.ExecContext(ctx, `UPDATE completed SET n = n + ?1, duration = completed.duration + ?1 * m.duration
		FROM (SELECT duration FROM metric WHERE id = ?2 AND state = 'complete') m`, sign, id)
	return err
}

// SetTimes sets when a request was created (nil: leave it; zero: unknown) and the times of its history,
// oldest first, as far as they are given. It is for imports from another service, and for tests.
func (s *Store) SetTimes(ctx context.Context, id int64, created *time.Time, states []time.Time) error {
	_, err := s.modify(ctx, id, func(tx *transaction, req *request.Request) (*request.StateChange, error) {
		if created != nil {
			req.Created = micro(*created)
		}
		for i, at := range states {
			res, err := tx.ExecContext(ctx, `UPDATE history SET at = ? WHERE request_id = ? AND seq = ?`, at.UnixMicro(), id, i+1)
			if err != nil {
				return nil, err
			}
			if n, err := res.RowsAffected(); err != nil || n != 1 {
				return nil, fmt.Errorf("request %d has fewer than %d states (%v)", id, len(states), err)
			}
		}
		list, err := history(ctx, tx, id)
		if err != nil {
			return nil, err
		}
		req.Updated = list[0].At
		return nil, measure(ctx, tx, id)
	})
	return err
}

func metricsWhere(f store.MetricsFilter) (string, []any) {
	where, args := []string{`1`}, []any(nil)
	if !f.FinishedFrom.IsZero() {
		where, args = append(where, `m.finished >= ?`), append(args, f.FinishedFrom.UnixMicro())
	}
	if !f.FinishedTo.IsZero() {
		where, args = append(where, `m.finished <= ?`), append(args, f.FinishedTo.UnixMicro())
	}
	for _, v := range []store.FilterValue{
		{Filter: store.FilterErrorOrigin, Value: f.ErrorOrigin}, {Filter: store.FilterErrorType, Value: f.ErrorType},
	} {
		if v.Value != "" {
			where = append(where, `EXISTS (SELECT 1 FROM list_index b WHERE b.filter = ? AND b.value = ? AND b.id = m.id)`)
			args = append(args, v.Filter, v.Value)
		}
	}
	return ` WHERE ` + strings.Join(where, ` AND `), args
}

// Metrics implements store.Store.
func (s *Store) Metrics(ctx context.Context, f store.MetricsFilter, p store.Page) (store.MetricsList, error) {
	where, args := metricsWhere(f)
	var list store.MetricsList
	skip, err := p.Offset()
	if err != nil {
		return list, err
	}
	err = s.read.snapshot(ctx, func(q querier) error {
		list, err = metricsPage(ctx, q, where, args, p.PerPage, skip)
		return err
	})
	if err == nil && len(list.Metrics) == 0 && p.Number > 1 {
		err = store.ErrPageOutOfRange
	}
	return list, err
}

func metricsPage(ctx context.Context, q querier, where string, args []any, limit int, skip int64) (list store.MetricsList, err error) {
	if err := q.QueryRowContext(ctx, `SELECT count(*) FROM metric m`+where, args...).Scan(&list.Total); err != nil {
		return list, err
	}
	rows, err := q.QueryContext(ctx, `SELECT id, state, reason, finished, duration, queued FROM metric m`+where+` ORDER BY id DESC LIMIT ? OFFSET ?`,
		append(args, limit, skip)...)
	if err != nil {
		return list, err
	}
	defer rows.Close()
	for rows.Next() {
		var m store.Metric
		var finished, duration, queued int64
		if err := rows.Scan(&m.ID, &m.FinalState, &m.FinalStateReason, &finished, &duration, &queued); err != nil {
			return list, err
		}
		m.Finished, m.Duration, m.TimeInQueue = fromMicros(finished), time.Duration(duration)*time.Microsecond, time.Duration(queued)*time.Microsecond
		list.Metrics = append(list.Metrics, m)
	}
	return list, rows.Err()
}

// MetricsSummary implements store.Store.
func (s *Store) MetricsSummary(ctx context.Context, f store.MetricsFilter) (sum store.MetricsSummary, err error) {
	err = s.read.view(ctx, func(q querier) error {
		sum, err = summarize(ctx, q, f)
		return err
	})
	return sum, err
}

func summarize(ctx context.Context, q querier, f store.MetricsFilter) (store.MetricsSummary, error) {
	where, args := metricsWhere(f)
	var sum store.MetricsSummary
	rows, err := q.QueryContext(ctx, `SELECT m.state, m.duration, m.queued,
		EXISTS (SELECT 1 FROM list_index b WHERE b.filter = 'error_origin' AND b.value = 'client' AND b.id = m.id),
		EXISTS (SELECT 1 FROM list_index b WHERE b.filter = 'error_origin' AND b.value = 'server' AND b.id = m.id)
		FROM metric m`+where, args...)
	if err != nil {
		return sum, err
	}
	defer rows.Close()
	var lives []store.Life
	for rows.Next() {
		var l store.Life
		var d, wait int64
		var client, server bool
		if err := rows.Scan(&l.State, &d, &wait, &client, &server); err != nil {
			return sum, err
		}
		l.Duration, l.TimeInQueue = time.Duration(d)*time.Microsecond, time.Duration(wait)*time.Microsecond
		switch {
		case client:
			l.ErrorOrigin = "client"
		case server:
			l.ErrorOrigin = "server"
		}
		lives = append(lives, l)
	}
	if err := rows.Err(); err != nil {
		return sum, err
	}
	return store.Summarize(lives), nil
}
