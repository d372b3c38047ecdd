package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
)

// maxGroup bounds how many changes are committed together, and so how long the first of them waits.
const maxGroup = 64

// group commits changes of callers who come at the same time in one transaction. A commit is durable when
// the disk says so, which takes far longer than the change itself; the callers wait for one sync together
// instead of for one each. Each change is all or nothing by itself, sees those before it, and is reported as
// done only after the sync.
type group struct {
	conn *conn

	mu      sync.Mutex
	waiting []*change
	running bool
}

// change is one caller's part of a group.
type change struct {
	ctx   context.Context //nolint:containedctx // of the caller, who waits in do
	apply func(tx *transaction) error
	err   error
	panic string
	done  chan struct{}
}

// do makes a change in a writing transaction, and returns when it is durable or failed. Once it runs it is
// not interrupted: that would undo the others' changes too.
func (g *group) do(ctx context.Context, apply func(tx *transaction) error) error {
	c := &change{ctx: ctx, apply: apply, done: make(chan struct{})}
	g.mu.Lock()
	g.waiting = append(g.waiting, c)
	start := !g.running
	g.running = true
	g.mu.Unlock()
	if start {
		go g.run()
	}
	<-c.done
	if c.panic != "" {
		panic(c.panic)
	}
	return c.err
}

// run commits groups until nobody waits.
func (g *group) run() {
	for {
		g.mu.Lock()
		n := min(len(g.waiting), maxGroup)
		if n == 0 {
			g.running = false
			g.mu.Unlock()
			return
		}
		batch := g.waiting[:n:n]
		g.waiting = g.waiting[n:]
		g.mu.Unlock()
		g.commit(batch)
		for _, c := range batch {
			close(c.done)
		}
	}
}

func (g *group) commit(batch []*change) {
	err := g.conn.transaction(context.Background(), nil, func(tx *transaction) error {
		tx.grouped = true
		for _, c := range batch {
			if c.err = c.ctx.Err(); c.err != nil {
				continue // left before its turn came
			}
			if err := tx.part(c, len(batch) > 1); err != nil {
				return err
			}
		}
		if len(batch) == 1 {
			return batch[0].err // nothing to commit
		}
		return nil
	})
	if err == nil {
		return
	}
	for _, c := range batch {
		if c.err == nil {
			c.err = err
		}
	}
}

// part applies a change, and undoes it when it fails. An error says that the whole transaction is lost.
func (t *transaction) part(c *change, others bool) error {
	if !others {
		c.run(t)
		return nil
	}
	if _, err := t.ExecContext(c.ctx, `SAVEPOINT part`); err != nil {
		return err
	}
	if c.run(t); c.err != nil {
		if _, err := t.ExecContext(c.ctx, `ROLLBACK TO part`); err != nil {
			return fmt.Errorf("undoing a change that failed (%w): %w", c.err, err)
		}
	}
	_, err := t.ExecContext(c.ctx, `RELEASE part`)
	return err
}

// run applies the change; a panic is the caller's, not the group's.
func (c *change) run(t *transaction) {
	defer func() {
		if p := recover(); p != nil {
			c.panic = fmt.Sprintf("%v\n%s", p, debug.Stack())
			c.err = errors.New("panic")
		}
	}()
	c.err = c.apply(t)
}

// DB is the writing connection of a Store, for the queues in the same file.
type DB struct{ s *Store }

// ExecContext runs one statement that changes something. It is durable when ExecContext returns nil, and
// committed together with the changes of others.
func (d DB) ExecContext(ctx context.Context, query string, args ...any) (res sql.Result, err error) {
	err = d.s.change(ctx, func(tx *transaction) error {
		res, err = tx.ExecContext(ctx, query, args...)
		return err
	})
	return res, err
}

// QueryRowContext is as of sql.DB.
func (d DB) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	return d.s.write.QueryRowContext(ctx, query, args...)
}

// BeginTx is as of sql.DB: the transaction is the caller's alone, and has the connection until it ends.
func (d DB) BeginTx(ctx context.Context, opts *sql.TxOptions) (*sql.Tx, error) {
	return d.s.write.db.BeginTx(ctx, opts)
}

// Conn is as of sql.DB: nobody writes until it is closed.
func (d DB) Conn(ctx context.Context) (*sql.Conn, error) { return d.s.write.db.Conn(ctx) }
