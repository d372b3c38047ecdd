package sqlite

import (
	"database/sql"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/store"
)

var epoch = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)

// spread gives request id the creation time epoch + id seconds, and some of them none or a random one.
func spread(t *testing.T, s *Store, n int64) map[int64]time.Time {
	t.Helper()
	random := rand.New(rand.NewPCG(3, 4))
	times := map[int64]time.Time{}
	_, err := s.write.db.ExecContext(t.Context(), `UPDATE request SET created = ?1 + id * 1000000,
		body = json_set(body, '$.Created', strftime('%Y-%m-%dT%H:%M:%SZ', ?1 / 1000000 + id, 'unixepoch'))`, epoch.UnixMicro())
	if err == nil {
		_, err = s.write.db.ExecContext(t.Context(), `DELETE FROM created_block`)
	}
	if err == nil {
		_, err = s.write.db.ExecContext(t.Context(), `INSERT INTO created_block SELECT id / ?, min(created), max(created), count(*) FROM request GROUP BY 1`, blockSize)
	}
	if err != nil {
		t.Fatal(err)
	}
	for id := int64(1); id <= n; id++ {
		times[id] = epoch.Add(time.Duration(id) * time.Second)
	}
	for i := range 60 {
		id := random.Int64N(n) + 1
		var at time.Time
		if i%3 != 0 {
			at = epoch.Add(time.Duration(random.Int64N(n)) * time.Second)
		}
		if err := s.SetTimes(t.Context(), id, &at, nil); err != nil {
			t.Fatal(err)
		}
		times[id] = at
	}
	return times
}

// TestCreatedPages compares pages of a period with what a look at every request gives.
func TestCreatedPages(t *testing.T) {
	const n = 2500
	s := filled(t, n)
	times := spread(t, s, n)
	random := rand.New(rand.NewPCG(5, 6))
	for range 30 {
		f := store.Filter{
			CreatedFrom: epoch.Add(time.Duration(random.Int64N(n)) * time.Second),
			CreatedTo:   epoch.Add(time.Duration(random.Int64N(n)) * time.Second),
		}
		switch random.IntN(3) {
		case 0:
			f.CreatedTo = time.Time{}
		case 1:
			f.CreatedFrom = time.Time{}
		}
		var want []int64
		for id := int64(n); id > 0; id-- {
			at := times[id]
			if !at.IsZero() && !at.Before(f.CreatedFrom) && (f.CreatedTo.IsZero() || !at.After(f.CreatedTo)) {
				want = append(want, id)
			}
		}
		const perPage = 20
		pages := max((len(want)+perPage-1)/perPage, 1)
		for _, number := range []int{1, random.IntN(pages) + 1, pages} {
			got, err := s.List(t.Context(), f, store.Page{Number: number, PerPage: perPage})
			if err != nil {
				t.Fatalf("%+v, page %d of %d: %v", f, number, pages, err)
			}
			var ids []int64
			for _, req := range got.Requests {
				ids = append(ids, req.ID)
			}
			first := min((number-1)*perPage, len(want))
			last := min(number*perPage, len(want))
			if diff := cmp.Diff(append([]int64(nil), want[first:last]...), ids); diff != "" || got.Total != int64(len(want)) {
				t.Fatalf("%+v, page %d: total %d, want %d; ids (-want +got):\n%s", f, number, got.Total, len(want), diff)
			}
		}
	}
}

// TestMigration brings a file of the first schema to this one.
func TestMigration(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cachito.db")
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	const rows = `
INSERT INTO request (id, created, repo_name, ref, state, updated, body) VALUES
	(1, NULL, 'a', 'r', 'in_progress', 5, '{"ID":1,"State":"in_progress"}'),
	(2, 7000000, 'a', 'r', 'complete', 5, '{"ID":2,"State":"complete","Created":"1970-01-01T00:00:07Z"}'),
	(3, 9000000, 'a', 'r', 'failed', 5, '{"ID":3,"State":"failed","Created":"1970-01-01T00:00:09Z"}');
INSERT INTO metric (id, state, reason, finished, duration, queued) VALUES (2, 'complete', 'x', 9, 2500000, 1), (3, 'failed', 'x', 9, 1000000, 1);
INSERT INTO message (queue, body, sent, visible, receives, receipt) VALUES ('source', '{}', 1, 1, 0, '');`
	if _, err := db.Exec(migrations[0] + rows + `; PRAGMA user_version = 1`); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 { // again: nothing is migrated twice
		s, err := Open(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		c, err := s.Counts(t.Context())
		if err != nil || c.Completed != 1 || c.CompletedSeconds != 2.5 {
			t.Errorf("counts: got %+v, %v, want 1 complete with 2.5 s", c, err)
		}
		list, err := s.List(t.Context(), store.Filter{CreatedFrom: time.Unix(7, 0)}, store.Page{Number: 1, PerPage: 10})
		if err != nil || list.Total != 2 || list.Requests[0].ID != 3 {
			t.Errorf("created since: got %+v, %v, want 3 and 2", list, err)
		}
		var version, messages int
		if err := s.write.db.QueryRow(`PRAGMA user_version`).Scan(&version); err != nil || version != len(migrations) {
			t.Errorf("version: got %d, %v, want %d", version, err, len(migrations))
		}
		if err := s.write.db.QueryRow(`SELECT count(*) FROM message`).Scan(&messages); err != nil || messages != 1 {
			t.Errorf("messages: got %d, %v, want 1", messages, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestSetTimesMovesSums: the sum of durations follows times that are set later.
func TestSetTimesMovesSums(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "cachito.db"))
	for id := int64(1); id <= 2; id++ {
		if _, err := s.Create(t.Context(), eggs); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Update(t.Context(), id, store.Update{State: request.StateComplete, Reason: "x"}); err != nil {
			t.Fatal(err)
		}
	}
	for _, seconds := range []int{10, 30, 30} {
		for id := int64(1); id <= 2; id++ {
			if err := s.SetTimes(t.Context(), id, nil, []time.Time{epoch, epoch.Add(time.Duration(seconds) * time.Second)}); err != nil {
				t.Fatal(err)
			}
		}
		c, err := s.Counts(t.Context())
		if err != nil || fmt.Sprint(c.Completed, c.CompletedSeconds) != fmt.Sprint(2, 2*seconds) {
			t.Errorf("counts: got %+v, %v, want 2 complete with %d s", c, err, 2*seconds)
		}
	}
}
