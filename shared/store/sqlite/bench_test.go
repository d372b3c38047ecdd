package sqlite

import (
	"context"
	"database/sql"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/store"
)

// filled is a store of n equal requests, written without going through Create. Of many requests only the
// first has a whole body, the others know their ids: 200,000 bodies are much to write.
func filled(tb testing.TB, n int) *Store {
	tb.Helper()
	s := open(tb, filepath.Join(tb.TempDir(), "cachito.db"))
	first, err := s.Create(tb.Context(), eggs)
	if err != nil {
		tb.Fatal(err)
	}
	// Nothing is measured here, so nothing has to reach the disk.
	if _, err := s.write.ExecContext(tb.Context(), `PRAGMA synchronous = OFF`); err != nil {
		tb.Fatal(err)
	}
	body := `json_set(body, '$.ID', ids.id)`
	if n > fewRows {
		body = `json_object('ID', ids.id)`
	}
	err = s.change(tb.Context(), func(tx *sql.Tx) error {
		const ids = `WITH RECURSIVE ids (id) AS (VALUES (2) UNION ALL SELECT id + 1 FROM ids WHERE id < ?)`
		for _, fill := range []string{
			ids + `INSERT INTO request (id, created, repo_name, ref, state, updated, body)
				SELECT ids.id, created, repo_name, ref, state, updated, ` + body + ` FROM ids, request WHERE request.id = 1`,
			ids + `INSERT INTO history (request_id, seq, state, reason, at)
				SELECT ids.id, seq, state, reason, at FROM ids, history WHERE request_id = 1`,
			`DELETE FROM created_block WHERE ?1 > 0`,
			`INSERT INTO created_block (block, low, high, n) SELECT id / 1000, min(created), max(created), count(*) FROM request WHERE ?1 > 0 GROUP BY 1`,
			ids + `INSERT INTO list_index (filter, value, id) SELECT filter, value, ids.id FROM
				(SELECT filter, value FROM list_index WHERE id = 1) CROSS JOIN ids`,
		} {
			if _, err := tx.ExecContext(tb.Context(), fill, n); err != nil {
				return err
			}
		}
		_, err := tx.ExecContext(tb.Context(), `INSERT OR REPLACE INTO list_block (filter, value, block, n)
			SELECT filter, value, id / ?, count(*) FROM list_index GROUP BY 1, 2, 3`, blockSize)
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
	last, err := s.Get(tb.Context(), int64(n))
	if err != nil || last.ID != int64(n) || len(last.History) != len(first.History) {
		tb.Fatalf("filling: got %+v, %v", last, err)
	}
	return s
}

func BenchmarkGet(b *testing.B) {
	s := filled(b, fewRows)
	for i := 0; b.Loop(); i++ {
		if _, err := s.Get(b.Context(), int64(i%fewRows)+1); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkListPage(b *testing.B) {
	s := filled(b, fewRows)
	for i := 0; b.Loop(); i++ {
		page(b, s, store.Filter{}, i%(fewRows/perPage)+1, fewRows)
	}
}

func BenchmarkListEnds(b *testing.B) {
	if testing.Short() {
		b.Skip("fills many rows")
	}
	s := filled(b, manyRows)
	for name, n := range map[string]int{"first": 1, "last": manyRows / perPage} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				page(b, s, store.Filter{}, n, manyRows)
			}
		})
	}
}

const fewRows, perPage = 10_000, 20

func page(tb testing.TB, s *Store, f store.Filter, n int, total int64) {
	tb.Helper()
	list, err := s.List(context.Background(), f, store.Page{Number: n, PerPage: perPage})
	if err != nil || len(list.Requests) != perPage || list.Total != total {
		tb.Fatalf("page %d: %d requests of %d, %v", n, len(list.Requests), list.Total, err)
	}
}

// TestLastPageCost holds the port's promise that pages cost O(page): the last page of 200,000 rows may
// take at most twice the first one's time, unfiltered and with one filter.
func TestLastPageCost(t *testing.T) {
	if testing.Short() {
		t.Skip("fills many rows")
	}
	s := filled(t, manyRows)
	for _, f := range []store.Filter{{}, {State: request.StateInProgress}} {
		// The fastest of many, taken in turns, so that a busy machine does not decide.
		var first, last []time.Duration
		for range 30 {
			at := time.Now()
			page(t, s, f, 1, manyRows)
			mid := time.Now()
			page(t, s, f, manyRows/perPage, manyRows)
			first, last = append(first, mid.Sub(at)), append(last, time.Since(mid))
		}
		t.Logf("filter %+v: first page %s, last page %s", f, slices.Min(first), slices.Min(last))
		if slices.Min(last) > 2*slices.Min(first) {
			t.Errorf("filter %+v: the last page takes %s, the first %s", f, slices.Min(last), slices.Min(first))
		}
	}
}
