package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"sync"
)

// maxPrepared bounds how many statements a connection keeps; texts are made of few parts, so there are less.
const maxPrepared = 200

// querier is what a connection and a transaction have in common.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// conn is one connection whose statements stay prepared: parsing and planning costs SQLite more than
// running the short statements of this package.
type conn struct {
	db *sql.DB // with one connection; a broken one is replaced by database/sql

	mu       sync.Mutex
	prepared map[string]*sql.Stmt
	missed   []string // were not prepared when a transaction needed them
}

func newConn(db *sql.DB) *conn {
	db.SetMaxOpenConns(1)
	return &conn{db: db, prepared: map[string]*sql.Stmt{}}
}

// find returns the prepared statement, or nil.
func (c *conn) find(query string) *sql.Stmt {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.prepared[query]
}

// prepare returns the prepared statement, or nil when there are too many or it cannot be prepared; then the
// text is run as it is, and tells what is wrong with it. Not within a transaction: it has the connection.
func (c *conn) prepare(ctx context.Context, query string) *sql.Stmt {
	c.mu.Lock()
	stmt, full := c.prepared[query], len(c.prepared) >= maxPrepared
	c.mu.Unlock()
	if stmt != nil || full {
		return stmt
	}
	stmt, err := c.db.PrepareContext(ctx, query)
	if err != nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if other := c.prepared[query]; other != nil {
		_ = stmt.Close() // somebody was faster
		return other
	}
	c.prepared[query] = stmt
	return stmt
}

// QueryContext implements querier.
func (c *conn) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if stmt := c.prepare(ctx, query); stmt != nil {
		return stmt.QueryContext(ctx, args...)
	}
	return c.db.QueryContext(ctx, query, args...)
}

// QueryRowContext implements querier.
func (c *conn) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	if stmt := c.prepare(ctx, query); stmt != nil {
		return stmt.QueryRowContext(ctx, args...)
	}
	return c.db.QueryRowContext(ctx, query, args...)
}

// transaction runs f in a transaction, which is undone when f or the commit fails.
func (c *conn) transaction(ctx context.Context, opts *sql.TxOptions, f func(tx *transaction) error) error {
	for _, query := range c.takeMissed() {
		c.prepare(ctx, query)
	}
	tx, err := c.db.BeginTx(ctx, opts)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if err := f(&transaction{tx: tx, conn: c}); err != nil {
		return err
	}
	return tx.Commit()
}

func (c *conn) takeMissed() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := c.missed
	c.missed = nil
	return list
}

// miss remembers a statement to be prepared before the next transaction.
func (c *conn) miss(query string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.missed) < maxPrepared {
		c.missed = append(c.missed, query)
	}
}

func (c *conn) close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var errs []error
	for _, stmt := range c.prepared {
		errs = append(errs, stmt.Close())
	}
	return errors.Join(append(errs, c.db.Close())...)
}

// transaction is a transaction that uses its connection's prepared statements.
type transaction struct {
	tx   *sql.Tx
	conn *conn
	// grouped transactions are several callers': none of them may interrupt it.
	grouped bool
}

func (t *transaction) ctx(ctx context.Context) context.Context {
	if t.grouped {
		return context.WithoutCancel(ctx)
	}
	return ctx
}

func (t *transaction) stmt(ctx context.Context, query string) *sql.Stmt {
	stmt := t.conn.find(query)
	if stmt == nil {
		t.conn.miss(query)
		return nil
	}
	return t.tx.StmtContext(ctx, stmt)
}

// ExecContext runs a statement that changes something.
func (t *transaction) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	ctx = t.ctx(ctx)
	if stmt := t.stmt(ctx, query); stmt != nil {
		return stmt.ExecContext(ctx, args...)
	}
	return t.tx.ExecContext(ctx, query, args...)
}

// QueryContext implements querier.
func (t *transaction) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	ctx = t.ctx(ctx)
	if stmt := t.stmt(ctx, query); stmt != nil {
		return stmt.QueryContext(ctx, args...)
	}
	return t.tx.QueryContext(ctx, query, args...)
}

// QueryRowContext implements querier.
func (t *transaction) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	ctx = t.ctx(ctx)
	if stmt := t.stmt(ctx, query); stmt != nil {
		return stmt.QueryRowContext(ctx, args...)
	}
	return t.tx.QueryRowContext(ctx, query, args...)
}

// readers are the connections for reading.
type readers struct {
	all  []*conn
	free chan *conn
}

// view runs f with a connection; every statement sees the newest state.
func (r *readers) view(ctx context.Context, f func(q querier) error) error {
	return r.with(ctx, func(c *conn) error { return f(c) })
}

// snapshot runs f with a transaction: all statements see the state of one moment.
func (r *readers) snapshot(ctx context.Context, f func(q querier) error) error {
	return r.with(ctx, func(c *conn) error {
		return c.transaction(ctx, &sql.TxOptions{ReadOnly: true}, func(tx *transaction) error { return f(tx) })
	})
}

func (r *readers) with(ctx context.Context, f func(c *conn) error) error {
	select {
	case c := <-r.free:
		defer func() { r.free <- c }()
		return f(c)
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (r *readers) close() error {
	var errs []error
	for _, c := range r.all {
		errs = append(errs, c.close())
	}
	return errors.Join(errs...)
}
