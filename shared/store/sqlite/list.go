package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/store"
)

// Names of the filters in list_index.
const (
	filterAll         = ""
	filterState       = "state"
	filterRepo        = "repo"
	filterRef         = "ref"
	filterManager     = "pkg_manager"
	filterErrorOrigin = "error_origin"
	filterErrorType   = "error_type"
)

// filterValue is one entry of a request in list_index.
type filterValue struct{ filter, value string }

func filterValues(req request.Request) []filterValue {
	list := []filterValue{{filterAll, ""}, {filterState, string(req.State)}, {filterRepo, req.Repo}, {filterRef, req.Ref}}
	for _, m := range req.PackageManagers {
		list = append(list, filterValue{filterManager, m})
	}
	if req.ErrorOrigin != "" {
		list = append(list, filterValue{filterErrorOrigin, req.ErrorOrigin}, filterValue{filterErrorType, req.ErrorType})
	}
	return list
}

// reindex moves a request's entries from the old values to the new ones.
func reindex(ctx context.Context, tx *sql.Tx, id int64, old, now []filterValue) error {
	for _, v := range old {
		if slices.Contains(now, v) {
			continue
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM list_index WHERE filter = ? AND value = ? AND id = ?`, v.filter, v.value, id); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `UPDATE list_block SET n = n - 1 WHERE filter = ? AND value = ? AND block = ?`, v.filter, v.value, id/blockSize); err != nil {
			return err
		}
	}
	for _, v := range now {
		if slices.Contains(old, v) {
			continue
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO list_index (filter, value, id) VALUES (?, ?, ?)`, v.filter, v.value, id); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO list_block (filter, value, block, n) VALUES (?, ?, ?, 1)
			ON CONFLICT DO UPDATE SET n = n + 1`, v.filter, v.value, id/blockSize); err != nil {
			return err
		}
	}
	return nil
}

// List implements store.Store.
func (s *Store) List(ctx context.Context, f store.Filter, p store.Page) (store.List, error) {
	tx, err := s.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true}) // ids, totals and rows of one moment
	if err != nil {
		return store.List{}, err
	}
	defer tx.Rollback()
	ids, total, err := s.pageOfIDs(ctx, tx, f, p)
	if err != nil {
		return store.List{}, err
	}
	if len(ids) == 0 && p.Number > 1 {
		return store.List{}, store.ErrPageOutOfRange
	}
	list := store.List{Total: total}
	for _, id := range ids {
		req, err := load(ctx, tx, id)
		if err == nil && p.History {
			req.History, err = history(ctx, tx, id)
		}
		if err != nil {
			return store.List{}, err
		}
		list.Requests = append(list.Requests, req)
	}
	return list, nil
}

func (s *Store) pageOfIDs(ctx context.Context, tx *sql.Tx, f store.Filter, p store.Page) (ids []int64, total int64, err error) {
	skip, err := offset(p)
	if err != nil {
		return nil, 0, err
	}
	wanted := wantedValues(f)
	switch created := !f.CreatedFrom.IsZero() || !f.CreatedTo.IsZero(); {
	case len(wanted) == 1 && !created:
		return pageOfOne(ctx, tx, wanted[0], skip, p.PerPage)
	case len(wanted) == 1 && wanted[0].filter == filterAll:
		return pageOfCreated(ctx, tx, f, skip, p.PerPage)
	}
	return pageOfSeveral(ctx, tx, wanted, f, skip, p.PerPage)
}

// offset is how many entries come before the page.
func offset(p store.Page) (int64, error) {
	if p.Number < 1 || p.PerPage < 1 {
		return 0, fmt.Errorf("page %d of %d entries: both count from 1", p.Number, p.PerPage)
	}
	if int64(p.Number-1) > math.MaxInt64/int64(p.PerPage) {
		return 0, fmt.Errorf("page %d of %d entries: %w", p.Number, p.PerPage, store.ErrPageOutOfRange)
	}
	return int64(p.Number-1) * int64(p.PerPage), nil
}

// wantedValues are the entries that a request must have; at least one.
func wantedValues(f store.Filter) []filterValue {
	var list []filterValue
	add := func(filter, value string) {
		if value != "" && !slices.Contains(list, filterValue{filter, value}) {
			list = append(list, filterValue{filter, value})
		}
	}
	add(filterState, string(f.State))
	add(filterRepo, f.Repo)
	add(filterRef, f.Ref)
	for _, m := range f.PackageManagers {
		add(filterManager, m)
	}
	add(filterErrorOrigin, f.ErrorOrigin)
	add(filterErrorType, f.ErrorType)
	if len(list) == 0 {
		list = append(list, filterValue{filterAll, ""})
	}
	return list
}

// pageOfOne walks the counts of blocks from the highest ids down to the block in which the page begins.
func pageOfOne(ctx context.Context, tx *sql.Tx, v filterValue, skip int64, limit int) (ids []int64, total int64, err error) {
	rows, err := tx.QueryContext(ctx, `SELECT block, n FROM list_block WHERE filter = ? AND value = ? ORDER BY block DESC`, v.filter, v.value)
	if err != nil {
		return nil, 0, err
	}
	defer rows.Close()
	start, left := int64(-1), skip
	for rows.Next() {
		var block, n int64
		if err := rows.Scan(&block, &n); err != nil {
			return nil, 0, err
		}
		total += n
		switch {
		case start >= 0:
		case left < n:
			start = (block + 1) * blockSize // ids below this one, after skipping what is left
		default:
			left -= n
		}
	}
	if err := rows.Err(); err != nil || start < 0 {
		return nil, total, err
	}
	ids, err = scanIDs(tx.QueryContext(ctx, `SELECT id FROM list_index WHERE filter = ? AND value = ? AND id < ? ORDER BY id DESC LIMIT ? OFFSET ?`,
		v.filter, v.value, start, limit, left))
	return ids, total, err
}

// pageOfSeveral walks the entries of the rarest value and keeps those that have the others too.
func pageOfSeveral(ctx context.Context, tx *sql.Tx, wanted []filterValue, f store.Filter, skip int64, limit int) (ids []int64, total int64, err error) {
	rarest, fewest := 0, int64(-1)
	for i, v := range wanted {
		var n int64
		if err := tx.QueryRowContext(ctx, `SELECT coalesce(sum(n), 0) FROM list_block WHERE filter = ? AND value = ?`, v.filter, v.value).Scan(&n); err != nil {
			return nil, 0, err
		}
		if fewest < 0 || n < fewest {
			rarest, fewest = i, n
		}
	}
	where := []string{`a.filter = ?`, `a.value = ?`}
	args := []any{wanted[rarest].filter, wanted[rarest].value}
	for i, v := range wanted {
		if i != rarest {
			where = append(where, `EXISTS (SELECT 1 FROM list_index b WHERE b.filter = ? AND b.value = ? AND b.id = a.id)`)
			args = append(args, v.filter, v.value)
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
	if err := tx.QueryRowContext(ctx, `SELECT count(*) `+clause, args...).Scan(&total); err != nil {
		return nil, 0, err
	}
	ids, err = scanIDs(tx.QueryContext(ctx, `SELECT a.id `+clause+` ORDER BY a.id DESC LIMIT ? OFFSET ?`, append(args, limit, skip)...))
	return ids, total, err
}

// Counts implements store.Store.
func (s *Store) Counts(ctx context.Context) (store.Counts, error) {
	c := store.Counts{ByState: map[request.State]int64{
		request.StateInProgress: 0, request.StateComplete: 0, request.StateFailed: 0, request.StateStale: 0,
	}}
	rows, err := s.read.QueryContext(ctx, `SELECT filter, value, sum(n) FROM list_block WHERE filter IN (?, ?) GROUP BY filter, value`, filterAll, filterState)
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
		if filter == filterAll {
			c.Total = n
		} else {
			c.ByState[request.State(value)] = n
		}
	}
	if err := rows.Err(); err != nil {
		return c, err
	}
	var micros int64
	err = s.read.QueryRowContext(ctx, `SELECT n, duration FROM completed`).Scan(&c.Completed, &micros)
	c.CompletedSeconds = float64(micros) / 1e6
	return c, err
}
