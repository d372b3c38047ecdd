package sqlite

import (
	"context"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/store"
	"github.com/cachito-serverless/cachito/shared/store/sqlite/sqlitetest"
)

// filled is a store of n equal requests.
func filled(tb testing.TB, n int64) *Store {
	tb.Helper()
	s := open(tb, filepath.Join(tb.TempDir(), "cachito.db"))
	first, err := s.Create(tb.Context(), eggs)
	if err != nil {
		tb.Fatal(err)
	}
	if err := sqlitetest.Copy(tb.Context(), s.DB(), n); err != nil {
		tb.Fatal(err)
	}
	last, err := s.Get(tb.Context(), n)
	if err != nil || last.ID != n || len(last.History) != len(first.History) {
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
