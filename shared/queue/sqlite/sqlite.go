// Package sqlite is the embedded adapter of the queues: a table in the file of the requests, so that a
// request and its message are equally durable. Waiting receivers of the same process are woken at once;
// messages of other processes are found by a slow poll.
package sqlite

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cachito-serverless/cachito/shared/queue"
)

// deadLetters is the queue of messages that were received too often.
const deadLetters = "dead-letter"

// pollEvery is how long a receiver waits before it looks for messages of other processes, and for those
// whose visibility timeout is over.
const pollEvery = 500 * time.Millisecond

// Database is the file's writing connection: store/sqlite's, which commits what comes at the same time
// together, or any sql.DB. What ExecContext did is durable when it returns.
type Database interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	BeginTx(ctx context.Context, opts *sql.TxOptions) (*sql.Tx, error)
}

// Queue is the queues. Make it with New.
type Queue struct {
	db    Database
	clock func() time.Time

	mu   sync.Mutex
	wake chan struct{} // closed when something was sent
}

var _ queue.Queue = (*Queue)(nil)

// New makes the queues in a database that store/sqlite opened (its DB). clock nil means time.Now.
func New(ctx context.Context, db Database, clock func() time.Time) (*Queue, error) {
	if clock == nil {
		clock = time.Now
	}
	var n int
	if err := db.QueryRowContext(ctx, `SELECT count(*) FROM sqlite_schema WHERE name = 'message'`).Scan(&n); err != nil {
		return nil, fmt.Errorf("opening the queues: %w", err)
	}
	if n == 0 {
		return nil, errors.New("opening the queues: the database has no table of messages; open it with store/sqlite first")
	}
	return &Queue{db: db, clock: clock, wake: make(chan struct{})}, nil
}

// Close implements queue.Queue; the database is its opener's to close.
func (q *Queue) Close() error { return nil }

func (q *Queue) signal() chan struct{} {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.wake
}

func (q *Queue) wakeAll() {
	q.mu.Lock()
	defer q.mu.Unlock()
	close(q.wake)
	q.wake = make(chan struct{})
}

func (q *Queue) now() int64 { return q.clock().UnixMicro() }

// Send implements queue.Queue.
func (q *Queue) Send(ctx context.Context, m queue.Message, delay time.Duration) error {
	if err := q.SendIn(ctx, q.db, m, delay); err != nil {
		return err
	}
	q.Sent()
	return nil
}

// Tx is the database, or a transaction of it.
type Tx interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// SendIn sends a message as a part of somebody's transaction. Call Sent when that is committed.
func (q *Queue) SendIn(ctx context.Context, tx Tx, m queue.Message, delay time.Duration) error {
	raw, err := json.Marshal(m)
	if err != nil {
		return err
	}
	if len(raw) > queue.MaxMessageBytes {
		return fmt.Errorf("message for request %d: %w", m.RequestID, queue.ErrMessageTooLarge)
	}
	now := q.now()
	_, err = tx.ExecContext(ctx, `INSERT INTO message (queue, body, sent, visible, receives, receipt) VALUES (?, ?, ?, ?, 0, '')`,
		m.Step, string(raw), now, now+delay.Microseconds())
	if err != nil {
		return fmt.Errorf("sending to queue %s: %w", m.Step, err)
	}
	return nil
}

// Sent wakes the receivers that wait: there may be something for them.
func (q *Queue) Sent() { q.wakeAll() }

// Receive implements queue.Queue.
func (q *Queue) Receive(ctx context.Context, name string, visibility, wait time.Duration) (queue.Delivery, error) {
	deadline := time.Now().Add(wait)
	for {
		woken := q.signal() // before looking, so that nothing sent meanwhile is missed
		list, err := q.take(ctx, name, visibility, 1)
		if err != nil {
			return queue.Delivery{}, fmt.Errorf("receiving from queue %s: %w", name, err)
		}
		if len(list) > 0 {
			return list[0], nil
		}
		left := time.Until(deadline)
		if left <= 0 {
			return queue.Delivery{}, queue.ErrEmpty
		}
		timer := time.NewTimer(min(left, pollEvery))
		select {
		case <-ctx.Done():
			timer.Stop()
			return queue.Delivery{}, ctx.Err()
		case <-woken:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// take makes up to limit visible messages invisible and returns them. Those that were received too often
// go to the dead letters instead.
func (q *Queue) take(ctx context.Context, name string, visibility time.Duration, limit int) ([]queue.Delivery, error) {
	now := q.now()
	var n int
	err := q.db.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM message WHERE queue = ? AND visible <= ?)`, name, now).Scan(&n)
	if err != nil || n == 0 {
		return nil, err // the common case takes no write lock
	}
	tx, err := q.db.BeginTx(ctx, nil)
	if err != nil {
		return nil, err
	}
	defer tx.Rollback()
	if name != deadLetters {
		_, err := tx.ExecContext(ctx, `UPDATE message SET queue = ?, receipt = '' WHERE queue = ? AND visible <= ? AND receives >= ?`,
			deadLetters, name, now, queue.MaxReceives)
		if err != nil {
			return nil, err
		}
	}
	var list []queue.Delivery
	for len(list) < limit {
		d, err := takeOne(ctx, tx, name, now, visibility)
		if errors.Is(err, sql.ErrNoRows) {
			break
		}
		if err != nil {
			return nil, err
		}
		list = append(list, d)
	}
	return list, tx.Commit()
}

func takeOne(ctx context.Context, tx *sql.Tx, name string, now int64, visibility time.Duration) (queue.Delivery, error) {
	var d queue.Delivery
	var seq, sent int64
	var body string
	receipt := newReceipt()
	err := tx.QueryRowContext(ctx, `UPDATE message SET visible = ?, receives = receives + 1, receipt = ?
		WHERE seq = (SELECT seq FROM message WHERE queue = ? AND visible <= ? ORDER BY seq LIMIT 1)
		RETURNING seq, body, sent, receives`, now+max(visibility.Microseconds(), 1), receipt, name, now).Scan(&seq, &body, &sent, &d.ReceiveCount)
	if err != nil {
		return d, err
	}
	if err := json.Unmarshal([]byte(body), &d.Message); err != nil {
		return d, fmt.Errorf("message %d is damaged: %w", seq, err)
	}
	d.Receipt, d.SentAt = receipt, time.UnixMicro(sent).UTC()
	return d, nil
}

func newReceipt() string {
	var b [16]byte
	rand.Read(b[:]) // never fails since Go 1.24
	return hex.EncodeToString(b[:])
}

// Extend implements queue.Queue.
func (q *Queue) Extend(ctx context.Context, d queue.Delivery, visibility time.Duration) error {
	now := q.now()
	res, err := q.db.ExecContext(ctx, `UPDATE message SET visible = ? WHERE receipt = ? AND receipt <> '' AND visible > ?`, now+visibility.Microseconds(), d.Receipt, now)
	if err != nil {
		return fmt.Errorf("extending a message of queue %s: %w", d.Step, err)
	}
	n, err := res.RowsAffected()
	if err != nil {
		return err
	}
	if n == 0 {
		return fmt.Errorf("message of queue %s: %w", d.Step, queue.ErrReceiptExpired)
	}
	if visibility <= 0 {
		q.wakeAll()
	}
	return nil
}

// Ack implements queue.Queue.
func (q *Queue) Ack(ctx context.Context, d queue.Delivery) error {
	if _, err := q.db.ExecContext(ctx, `DELETE FROM message WHERE receipt = ? AND receipt <> ''`, d.Receipt); err != nil {
		return fmt.Errorf("acknowledging a message of queue %s: %w", d.Step, err)
	}
	return nil
}

// DeadLetters implements queue.Queue. It also buries messages of queues that nobody receives from any
// more.
func (q *Queue) DeadLetters(ctx context.Context, visibility time.Duration, limit int) ([]queue.Delivery, error) {
	_, err := q.db.ExecContext(ctx, `UPDATE message SET queue = ?, receipt = '' WHERE queue <> ? AND visible <= ? AND receives >= ?`,
		deadLetters, deadLetters, q.now(), queue.MaxReceives)
	if err != nil {
		return nil, fmt.Errorf("reading the dead letters: %w", err)
	}
	list, err := q.take(ctx, deadLetters, visibility, limit)
	if err != nil {
		return nil, fmt.Errorf("reading the dead letters: %w", err)
	}
	return list, nil
}

// OldestAge implements queue.Queue.
func (q *Queue) OldestAge(ctx context.Context, name string) (time.Duration, error) {
	var oldest sql.NullInt64
	if err := q.db.QueryRowContext(ctx, `SELECT min(sent) FROM message WHERE queue = ?`, name).Scan(&oldest); err != nil {
		return 0, fmt.Errorf("reading the age of queue %s: %w", name, err)
	}
	if !oldest.Valid {
		return 0, nil
	}
	return max(time.Duration(q.now()-oldest.Int64)*time.Microsecond, 1), nil
}
