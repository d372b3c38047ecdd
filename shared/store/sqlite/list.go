package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/store"
)

// reindex moves a request's entries from the old values to the new ones.
func reindex(ctx context.Context, tx *transaction, id int64, old, now []store.FilterValue) error {
	for _, v := range old {
		if slices.Contains(now, v) {
			continue
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM list_index WHERE filter = ? AND value = ? AND id = ?`, v.Filter, v.Value, id); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `UPDATE list_block SET n = n - 1 WHERE filter = ? AND value = ? AND block = ?`, v.Filter, v.Value, id/blockSize); err != nil {
			return err
		}
	}
	var rows, counts []any
	for _, v := range now {
		if !slices.Contains(old, v) {
			rows = append(rows, v.Filter, v.Value, id)
			counts = append(counts, v.Filter, v.Value, id/blockSize)
		}
	}
	if len(rows) == 0 {
		return nil
	}
	// All in two statements: what a statement costs is more than what it does here.
	n := len(rows) / 3
	if _, err := tx.ExecContext(ctx, `INSERT INTO list_index (filter, value, id) VALUES (?, ?, ?)`+strings.Repeat(`, (?, ?, ?)`, n-1), rows...); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO list_block (filter, value, block, n) VALUES (?, ?, ?, 1)`+strings.Repeat(`, (?, ?, ?, 1)`, n-1)+
		` ON CONFLICT DO UPDATE SET n = n + 1`, counts...)
	return err
}

// List implements store.Store. The requests are shared with other callers.
func (s *Store) List(ctx context.Context, f store.Filter, p store.Page) (list store.List, err error) {
	err = s.read.snapshot(ctx, func(q querier) error { // ids, totals and rows of one moment
		ids, total, err := pageOfIDs(ctx, q, f, p)
		if err != nil {
			return err
		}
		if len(ids) == 0 && p.Number > 1 {
			return store.ErrPageOutOfRange
		}
		list.Total = total
		if list.Requests, err = s.loadAll(ctx, q, ids); err != nil || !p.History {
			return err
		}
		for i := range list.Requests {
			if list.Requests[i].History, err = history(ctx, q, list.Requests[i].ID); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return store.List{}, err
	}
	return list, nil
}

// loadAll reads requests without their histories, in the order of the ids.
func (s *Store) loadAll(ctx context.Context, q querier, ids []int64) ([]request.Request, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	keys, err := json.Marshal(ids)
	if err != nil {
		return nil, err
	}
	rows, err := q.QueryContext(ctx, `SELECT r.id, CAST(r.body AS BLOB) FROM json_each(?) k JOIN request r ON r.id = k.value ORDER BY k.key`, string(keys))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	list := make([]request.Request, 0, len(ids))
	for rows.Next() {
		var id int64
		var body sql.RawBytes
		if err := rows.Scan(&id, &body); err != nil {
			return nil, err
		}
		req, err := s.listed.decode(id, body)
		if err != nil {
			return nil, err
		}
		list = append(list, req)
	}
	return list, rows.Err()
}

func pageOfIDs(ctx context.Context, q querier, f store.Filter, p store.Page) (ids []int64, total int64, err error) {
	skip, err := p.Offset()
	if err != nil {
		return nil, 0, err
	}
	wanted := f.Values()
	switch created := !f.CreatedFrom.IsZero() || !f.CreatedTo.IsZero(); {
	case len(wanted) == 1 && !created:
		return pageOfOne(ctx, q, wanted[0], skip, p.PerPage)
	case len(wanted) == 1 && wanted[0].Filter == store.FilterAll:
		return pageOfCreated(ctx, q, f, skip, p.PerPage)
	}
	return pageOfSeveral(ctx, q, wanted, f, skip, p.PerPage)
}

// pageOfOne finds the block in which the page begins by the counts of blocks, from the end that is nearer.
func pageOfOne(ctx context.Context, q querier, v store.FilterValue, skip int64, limit int) (ids []int64, total int64, err error) {
	err = q.QueryRowContext(ctx, `SELECT coalesce(sum(n), 0) FROM list_block WHERE filter = ? AND value = ?`, v.Filter, v.Value).Scan(&total)
	if err != nil || skip >= total {
		return nil, total, err
	}
	if skip <= total/2 {
		below, left, err := walkBlocks(ctx, q, `SELECT (block + 1) * ?3, n FROM list_block WHERE filter = ?1 AND value = ?2 ORDER BY block DESC`, v, skip)
		if err != nil {
			return nil, total, err
		}
		ids, err = scanIDs(q.QueryContext(ctx, `SELECT id FROM list_index WHERE filter = ? AND value = ? AND id < ? ORDER BY id DESC LIMIT ? OFFSET ?`,
			v.Filter, v.Value, below, limit, left))
		return ids, total, err
	}
	from, left, err := walkBlocks(ctx, q, `SELECT block * ?3, n FROM list_block WHERE filter = ?1 AND value = ?2 ORDER BY block`, v, total-skip-1)
	if err != nil {
		return nil, total, err
	}
	ids, err = scanIDs(q.QueryContext(ctx, `SELECT id FROM list_index WHERE filter = ?1 AND value = ?2 AND id <=
			(SELECT id FROM list_index WHERE filter = ?1 AND value = ?2 AND id >= ?3 ORDER BY id LIMIT 1 OFFSET ?4)
		ORDER BY id DESC LIMIT ?5`, v.Filter, v.Value, from, left, limit))
	return ids, total, err
}

// walkBlocks passes whole blocks until skip entries lie behind. It returns where the block begins in which
// that happens, and how many of skip are left to pass in it.
func walkBlocks(ctx context.Context, q querier, query string, v store.FilterValue, skip int64) (begin, left int64, err error) {
	rows, err := q.QueryContext(ctx, query, v.Filter, v.Value, blockSize)
	if err != nil {
		return 0, 0, err
	}
	defer rows.Close()
	for rows.Next() {
		var n int64
		if err := rows.Scan(&begin, &n); err != nil {
			return 0, 0, err
		}
		if skip < n {
			return begin, skip, nil
		}
		skip -= n
	}
	return 0, 0, errors.Join(rows.Err(), fmt.Errorf("the counts of %s %q changed within a transaction", v.Filter, v.Value))
}

// pageOfSeveral walks the entries of the rarest value and keeps those that have the others too.
func pageOfSeveral(ctx context.Context, q querier, wanted []store.FilterValue, f store.Filter, skip int64, limit int) (ids []int64, total int64, err error) {
	rarest, fewest := 0, int64(-1)
	for i, v := range wanted {
		var n int64
		if err := q.QueryRowContext(ctx, `SELECT coalesce(sum(n), 0) FROM list_block WHERE filter = ? AND value = ?`, v.Filter, v.Value).Scan(&n); err != nil {
			return nil, 0, err
		}
		if fewest < 0 || n < fewest {
			rarest, fewest = i, n
		}
	}
	where := []string{`a.filter = ?`, `a.value = ?`}
	args := []any{wanted[rarest].Filter, wanted[rarest].Value}
	for i, v := range wanted {
		if i != rarest {
			where = append(where, `EXISTS (SELECT 1 FROM list_index b WHERE b.filter = ? AND b.value = ? AND b.id = a.id)`)
			args = append(args, v.Filter, v.Value)
		}
	}
	from := `FROM list_index a`
	if !f.CreatedFrom.IsZero() || !f.CreatedTo.IsZero() {
		from += ` JOIN request r ON r.id = a.id`
	}
	if !f.CreatedFrom.IsZero() {
		where, args = append(where, `r.created >= ?`), append(args, f.CreatedFrom.UnixMicro())
	}
	if !f.CreatedTo.IsZero() {
		where, args = append(where, `r.created <= ?`), append(args, f.CreatedTo.UnixMicro())
	}
	clause := from + ` WHERE ` + strings.Join(where, ` AND `)
	if err := q.QueryRowContext(ctx, `SELECT count(*) `+clause, args...).Scan(&total); err != nil {
		return nil, 0, err
	}
	ids, err = scanIDs(q.QueryContext(ctx, `SELECT a.id `+clause+` ORDER BY a.id DESC LIMIT ? OFFSET ?`, append(args, limit, skip)...))
	return ids, total, err
}

// Counts implements store.Store.
func (s *Store) Counts(ctx context.Context) (c store.Counts, err error) {
	err = s.read.snapshot(ctx, func(q querier) error {
		c, err = counts(ctx, q)
		return err
	})
	return c, err
}

func counts(ctx context.Context, q querier) (store.Counts, error) {
	c := store.Counts{ByState: map[request.State]int64{
		request.StateInProgress: 0, request.StateComplete: 0, request.StateFailed: 0, request.StateStale: 0,
	}}
	rows, err := q.QueryContext(ctx, `SELECT filter, value, sum(n) FROM list_block WHERE filter IN (?, ?) GROUP BY filter, value`, store.FilterAll, store.FilterState)
	if err != nil {
		return c, err
	}
	defer rows.Close()
	for rows.Next() {
		var filter, value string
		var n int64
		if err := rows.Scan(&filter, &value, &n); err != nil {
			return c, err
		}
		if filter == store.FilterAll {
			c.Total = n
		} else {
			c.ByState[request.State(value)] = n
		}
	}
	if err := rows.Err(); err != nil {
		return c, err
	}
	var micros int64
	err = q.QueryRowContext(ctx, `SELECT n, duration FROM completed`).Scan(&c.Completed, &micros)
	c.CompletedSeconds = float64(micros) / 1e6
	return c, err
}
