// Package sqlite is the embedded database of requests: one SQLite file (pure Go, WAL), which holds the
// queues as well (package queue/sqlite). Every write is a transaction synced to disk, so that an accepted
// request survives the process and the machine.
//
// Lists cost O(page): each request stands in list_index under every value it can be filtered by, and
// list_block counts the ids per value and block of 1000 ids, so that a page is found by walking blocks
// instead of rows, and totals are sums of blocks (OFFSET and count(*) are O(n) in SQLite too).
package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"time"

	_ "modernc.org/sqlite" // the driver

	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/store"
)

const (
	busyTimeout = 20 * time.Second
	readers     = 4
)

// Store is the database. Make it with Open.
type Store struct {
	write *sql.DB // one connection: SQLite has one writer anyway
	read  *sql.DB
	clock func() time.Time
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
	var err error
	if s.write, err = sql.Open("sqlite", dsn+"&_txlock=immediate"); err != nil {
		return nil, fmt.Errorf("opening %s: %w", path, err)
	}
	s.write.SetMaxOpenConns(1)
	if err := migrate(ctx, s.write, path); err != nil {
		s.write.Close()
		return nil, err
	}
	if s.read, err = sql.Open("sqlite", dsn+"&_pragma=query_only(1)"); err != nil {
		s.write.Close()
		return nil, fmt.Errorf("opening %s: %w", path, err)
	}
	s.read.SetMaxOpenConns(readers)
	s.read.SetMaxIdleConns(readers)
	return s, nil
}

// DB is the writing connection, for the queues in the same file.
func (s *Store) DB() *sql.DB { return s.write }

// Close implements store.Store.
func (s *Store) Close() error { return errors.Join(s.read.Close(), s.write.Close()) }

// Ping implements store.Store.
func (s *Store) Ping(ctx context.Context) error {
	var one int
	return s.read.QueryRowContext(ctx, `SELECT 1 FROM sqlite_schema LIMIT 1`).Scan(&one)
}

// change runs f in a writing transaction.
func (s *Store) change(ctx context.Context, f func(tx *sql.Tx) error) error {
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if err := f(tx); err != nil {
		return err
	}
	return tx.Commit()
}

// querier is what *sql.DB and *sql.Tx have in common.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
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
		return request.Request{}, fmt.Errorf("request %d: %w", id, store.ErrNotFound)
	}
	if err != nil {
		return request.Request{}, fmt.Errorf("reading request %d: %w", id, err)
	}
	return decode(id, body)
}

func decode(id int64, body string) (request.Request, error) {
	var req request.Request
	if err := json.Unmarshal([]byte(body), &req); err != nil {
		return req, fmt.Errorf("request %d is damaged: %w", id, err)
	}
	return req, nil
}

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
func (s *Store) Get(ctx context.Context, id int64) (request.Request, error) {
	tx, err := s.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true}) // state and history of one moment
	if err != nil {
		return request.Request{}, fmt.Errorf("reading request %d: %w", id, err)
	}
	defer tx.Rollback()
	return get(ctx, tx, id)
}

func get(ctx context.Context, q querier, id int64) (request.Request, error) {
	req, err := load(ctx, q, id)
	if err != nil {
		return req, err
	}
	req.History, err = history(ctx, q, id)
	return req, err
}

// Latest implements store.Store.
func (s *Store) Latest(ctx context.Context, repoName, ref string) (request.Request, error) {
	var id int64
	err := s.read.QueryRowContext(ctx, `SELECT id FROM request WHERE repo_name = ? AND ref = ? ORDER BY id DESC LIMIT 1`, repoName, ref).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return request.Request{}, fmt.Errorf("repository %s at %s: %w", repoName, ref, store.ErrNotFound)
	}
	if err != nil {
		return request.Request{}, err
	}
	return s.Get(ctx, id)
}

// Unfinished implements store.Store.
func (s *Store) Unfinished(ctx context.Context, after int64, limit int) ([]request.Request, error) {
	ids, err := scanIDs(s.read.QueryContext(ctx, `SELECT id FROM list_index WHERE filter = ? AND value = ? AND id > ? ORDER BY id LIMIT ?`,
		filterState, string(request.StateInProgress), after, limit))
	if err != nil {
		return nil, err
	}
	list := make([]request.Request, 0, len(ids))
	for _, id := range ids {
		req, err := s.Get(ctx, id)
		if err != nil {
			return nil, err
		}
		list = append(list, req)
	}
	return list, nil
}

// Expired implements store.Store.
func (s *Store) Expired(ctx context.Context, state request.State, before time.Time, after int64, limit int) ([]int64, error) {
	return scanIDs(s.read.QueryContext(ctx, `SELECT id FROM request WHERE state = ? AND updated < ? AND id > ? ORDER BY id LIMIT ?`,
		string(state), before.UnixMicro(), after, limit))
}

// Referenced implements store.Store.
func (s *Store) Referenced(ctx context.Context, key string) (bool, error) {
	var n int
	err := s.read.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM reference WHERE key = ?)`, key).Scan(&n)
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
