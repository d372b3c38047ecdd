package sqlite

import (
	"context"
	"math"

	"github.com/cachito-serverless/cachito/shared/store"
)

// Creation times rise with the ids, imports apart. So most blocks of ids lie wholly inside or outside of
// a period, and only those at its ends have to be read: created_block holds each block's times.

// countCreated adds a new request to its block.
func countCreated(ctx context.Context, tx *transaction, id int64) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO created_block (block, low, high, n)
		SELECT ?1, created, created, 1 FROM request WHERE id = ?2 AND created IS NOT NULL
		ON CONFLICT DO UPDATE SET low = min(low, excluded.low), high = max(high, excluded.high), n = n + 1`, id/blockSize, id)
	return err
}

// recountCreated makes a block's entry anew after a request's creation time was changed.
func recountCreated(ctx context.Context, tx *transaction, id int64) error {
	block := id / blockSize
	if _, err := tx.ExecContext(ctx, `DELETE FROM created_block WHERE block = ?`, block); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO created_block (block, low, high, n)
		SELECT ?1, min(created), max(created), count(*) FROM request
		WHERE id >= ?2 AND id < ?3 AND created IS NOT NULL HAVING count(*) > 0`, block, block*blockSize, (block+1)*blockSize)
	return err
}

// pageOfCreated is a page of the requests created within the filter's bounds, which are inclusive.
func pageOfCreated(ctx context.Context, q querier, f store.Filter, skip int64, limit int) (ids []int64, total int64, err error) {
	from, to := int64(math.MinInt64), int64(math.MaxInt64)
	if !f.CreatedFrom.IsZero() {
		from = f.CreatedFrom.UnixMicro()
	}
	if !f.CreatedTo.IsZero() {
		to = f.CreatedTo.UnixMicro()
	}
	rows, err := q.QueryContext(ctx, `SELECT block, CASE WHEN low >= ?1 AND high <= ?2 THEN n ELSE
			(SELECT count(*) FROM request WHERE id >= block * ?3 AND id < (block + 1) * ?3 AND created BETWEEN ?1 AND ?2) END
		FROM created_block WHERE high >= ?1 AND low <= ?2 ORDER BY block DESC`, from, to, blockSize)
	if err != nil {
		return nil, 0, err
	}
	defer rows.Close()
	start, lowest, left := int64(-1), int64(0), skip
	for rows.Next() {
		var block, n int64
		if err := rows.Scan(&block, &n); err != nil {
			return nil, 0, err
		}
		total += n
		if n > 0 {
			lowest = block * blockSize
		}
		switch {
		case start >= 0:
		case left < n:
			start = (block + 1) * blockSize
		default:
			left -= n
		}
	}
	if err := rows.Err(); err != nil || start < 0 {
		return nil, total, err
	}
	ids, err = scanIDs(q.QueryContext(ctx, `SELECT id FROM request WHERE id < ? AND id >= ? AND created BETWEEN ? AND ?
		ORDER BY id DESC LIMIT ? OFFSET ?`, start, lowest, from, to, limit, left))
	return ids, total, err
}
