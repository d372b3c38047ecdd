// Package sqlite is the embedded database of requests: one SQLite file (pure Go, WAL), which holds the
// queues as well (package queue/sqlite). Every write is synced to disk, so that an accepted request
// survives the process and the machine; writes that come at the same time share one transaction (group).
//
// Lists cost O(page): each request stands in list_index under every value it can be filtered by, and
// list_block counts the ids per value and block of 1000 ids, so that a page is found by walking blocks
// instead of rows, and totals are sums of blocks (OFFSET and count(*) are O(n) in SQLite too).
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"net/url"
	"time"

	_ "modernc.org/sqlite" // the driver

	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/store"
)

const (
	busyTimeout = 20 * time.Second
	// readerCount is how many connections read side by side.
	readerCount = 4
	// readerCacheKiB is each reader's page cache. What it misses is in the kernel's; SQLite's 2 MB for each would
	// be a sixth of the service's memory.
	readerCacheKiB = 512
)

// Store is the database. Make it with Open.
type Store struct {
	write *conn // SQLite has one writer anyway
	group group // of changes, over write
	read  readers
	clock func() time.Time

	listed listed
}

var _ store.Store = (*Store)(nil)

// Option changes how a database is opened.
type Option func(*Store)

// WithClock sets the time that is stored; the default is time.Now.
func WithClock(clock func() time.Time) Option { return func(s *Store) { s.clock = clock } }

// Open opens the file, makes it when it is not there, and brings it to this program's schema. A file
// of a newer schema is refused and left as it is.
func Open(ctx context.Context, path string, opts ...Option) (*Store, error) {
	s := &Store{clock: time.Now}
	for _, opt := range opts {
		opt(s)
	}
	file := (&url.URL{Scheme: "file", Opaque: url.PathEscape(path)}).String()
	// No journal_mode here: it is kept in the file, and a file that is refused must not be changed.
	dsn := fmt.Sprintf("%s?_pragma=busy_timeout(%d)&_pragma=synchronous(FULL)&_pragma=foreign_keys(1)", file, busyTimeout.Milliseconds())
	db, err := sql.Open("sqlite", dsn+"&_txlock=immediate")
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", path, err)
	}
	s.write = newConn(db)
	s.group.conn = s.write
	if err := migrate(ctx, db, path); err != nil {
		return nil, errors.Join(err, s.write.close())
	}
	s.read.free = make(chan *conn, readerCount)
	for range readerCount {
		db, err := sql.Open("sqlite", fmt.Sprintf("%s&_pragma=query_only(1)&_pragma=cache_size(-%d)", dsn, readerCacheKiB))
		if err != nil {
			return nil, errors.Join(fmt.Errorf("opening %s: %w", path, err), s.Close())
		}
		c := newConn(db)
		s.read.all = append(s.read.all, c)
		s.read.free <- c
	}
	return s, nil
}

// DB is the writing connection, for the queues in the same file.
func (s *Store) DB() DB { return DB{s} }

// Close implements store.Store.
func (s *Store) Close() error { return errors.Join(s.read.close(), s.write.close()) }

// Ping implements store.Store.
func (s *Store) Ping(ctx context.Context) error {
	return s.read.view(ctx, func(q querier) error {
		var one int
		return q.QueryRowContext(ctx, `SELECT 1 FROM sqlite_schema LIMIT 1`).Scan(&one)
	})
}

// change runs f in a writing transaction, which is durable when change returns nil.
func (s *Store) change(ctx context.Context, f func(tx *transaction) error) error {
	return s.group.do(ctx, f)
}

func micros(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMicro()
}

// micro is the precision of stored times.
func micro(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.UTC().Truncate(time.Microsecond)
}

func fromMicros(n int64) time.Time { return time.UnixMicro(n).UTC() }

// load reads a request without its history.
func load(ctx context.Context, q querier, id int64) (request.Request, error) {
	var body string
	err := q.QueryRowContext(ctx, `SELECT body FROM request WHERE id = ?`, id).Scan(&body)
	if errors.Is(err, sql.ErrNoRows) {
		return request.Request{}, notFound(id)
	}
	if err != nil {
		return request.Request{}, fmt.Errorf("reading request %d: %w", id, err)
	}
	return store.DecodeRow(id, []byte(body))
}

func notFound(id int64) error { return fmt.Errorf("request %d: %w", id, store.ErrNotFound) }

func history(ctx context.Context, q querier, id int64) ([]request.StateChange, error) {
	rows, err := q.QueryContext(ctx, `SELECT state, reason, at FROM history WHERE request_id = ? ORDER BY seq DESC`, id)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []request.StateChange
	for rows.Next() {
		var c request.StateChange
		var at int64
		if err := rows.Scan(&c.State, &c.Reason, &at); err != nil {
			return nil, err
		}
		c.At = fromMicros(at)
		list = append(list, c)
	}
	return list, rows.Err()
}

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, id int64) (req request.Request, err error) {
	err = s.read.view(ctx, func(q querier) error {
		req, err = get(ctx, q, id)
		return err
	})
	return req, err
}

// get reads a request and its history in one statement, which sees one moment of both.
func get(ctx context.Context, q querier, id int64) (request.Request, error) {
	rows, err := q.QueryContext(ctx, `SELECT 9223372036854775807 AS seq, CAST(body AS BLOB), '', 0 FROM request WHERE id = ?1
		UNION ALL SELECT seq, state, reason, at FROM history WHERE request_id = ?1 ORDER BY seq DESC`, id)
	if err != nil {
		return request.Request{}, fmt.Errorf("reading request %d: %w", id, err)
	}
	defer rows.Close()
	var req request.Request
	for rows.Next() {
		var seq, at int64
		var text sql.RawBytes // the body, then the states
		var reason string
		if err := rows.Scan(&seq, &text, &reason, &at); err != nil {
			return req, fmt.Errorf("reading request %d: %w", id, err)
		}
		if seq < math.MaxInt64 {
			req.History = append(req.History, request.StateChange{State: request.State(text), Reason: reason, At: fromMicros(at)})
		} else if req, err = store.DecodeRow(id, text); err != nil {
			return req, err
		}
	}
	if err := rows.Err(); err != nil {
		return req, fmt.Errorf("reading request %d: %w", id, err)
	}
	if req.ID == 0 {
		return req, notFound(id)
	}
	return req, nil
}

// Latest implements store.Store.
func (s *Store) Latest(ctx context.Context, repoName, ref string) (req request.Request, err error) {
	err = s.read.snapshot(ctx, func(q querier) error {
		var id int64
		err := q.QueryRowContext(ctx, `SELECT id FROM request WHERE repo_name = ? AND ref = ? ORDER BY id DESC LIMIT 1`, repoName, ref).Scan(&id)
		if errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("repository %s at %s: %w", repoName, ref, store.ErrNotFound)
		}
		if err != nil {
			return err
		}
		req, err = get(ctx, q, id)
		return err
	})
	return req, err
}

// Unfinished implements store.Store.
func (s *Store) Unfinished(ctx context.Context, after int64, limit int) ([]request.Request, error) {
	var list []request.Request
	err := s.read.snapshot(ctx, func(q querier) error {
		ids, err := scanIDs(q.QueryContext(ctx, `SELECT id FROM list_index WHERE filter = ? AND value = ? AND id > ? ORDER BY id LIMIT ?`,
			store.FilterState, string(request.StateInProgress), after, limit))
		if err != nil {
			return err
		}
		for _, id := range ids {
			req, err := get(ctx, q, id)
			if err != nil {
				return err
			}
			list = append(list, req)
		}
		return nil
	})
	return list, err
}

// Expired implements store.Store.
func (s *Store) Expired(ctx context.Context, state request.State, before time.Time, after int64, limit int) (ids []int64, err error) {
	err = s.read.view(ctx, func(q querier) error {
		ids, err = scanIDs(q.QueryContext(ctx, `SELECT id FROM request WHERE state = ? AND updated < ? AND id > ? ORDER BY id LIMIT ?`,
			string(state), before.UnixMicro(), after, limit))
		return err
	})
	return ids, err
}

// Referenced implements store.Store.
func (s *Store) Referenced(ctx context.Context, key string) (bool, error) {
	var n int
	err := s.read.view(ctx, func(q querier) error {
		return q.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM reference WHERE key = ?)`, key).Scan(&n)
	})
	return n != 0, err
}

func scanIDs(rows *sql.Rows, err error) ([]int64, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var ids []int64
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}
