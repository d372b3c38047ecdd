package pipeline

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/cachito-serverless/cachito/shared/blob"
	"github.com/cachito-serverless/cachito/shared/queue"
	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/store"
)

// errCrashed is what every port answers after the simulated death of the process.
var errCrashed = errors.New("crashed")

// bomb counts the effects of a process on the world and ends it before or after one of them: from then
// on no effect happens any more, whatever the process still tries.
type bomb struct {
	mu    sync.Mutex
	names []string
	at    int // index of the point to stop at; -1: never
	dead  bool
}

// effect runs do between two points at which the process may die.
func (b *bomb) effect(name string, do func() error) error {
	if !b.point("before " + name) {
		return errCrashed
	}
	err := do()
	if !b.point("after " + name) {
		return errCrashed
	}
	return err
}

func (b *bomb) point(name string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.dead {
		return false
	}
	if len(b.names) == b.at {
		b.dead = true
	}
	b.names = append(b.names, name)
	return !b.dead
}

func (b *bomb) alive() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.dead {
		return errCrashed
	}
	return nil
}

// bombStore is a store whose writes are effects.
type bombStore struct {
	store.Store
	b *bomb
}

func (s bombStore) Create(ctx context.Context, n store.New) (r request.Request, err error) {
	err = s.b.effect("store.Create", func() error { r, err = s.Store.Create(ctx, n); return err })
	return r, err
}

func (s bombStore) Get(ctx context.Context, id int64) (request.Request, error) {
	if err := s.b.alive(); err != nil {
		return request.Request{}, err
	}
	return s.Store.Get(ctx, id)
}

func (s bombStore) Update(ctx context.Context, id int64, u store.Update) (r request.Request, err error) {
	err = s.b.effect("store.Update "+u.Reason, func() error { r, err = s.Store.Update(ctx, id, u); return err })
	return r, err
}

func (s bombStore) FinishStep(ctx context.Context, id int64, step string, u store.Update) (r request.Request, err error) {
	err = s.b.effect("store.FinishStep "+step, func() error { r, err = s.Store.FinishStep(ctx, id, step, u); return err })
	return r, err
}

func (s bombStore) ReopenSteps(ctx context.Context, id int64, steps ...string) (r request.Request, err error) {
	err = s.b.effect("store.ReopenSteps", func() error { r, err = s.Store.ReopenSteps(ctx, id, steps...); return err })
	return r, err
}

func (s bombStore) MarkSent(ctx context.Context, id int64, step string, resend bool) error {
	return s.b.effect("store.MarkSent "+step, func() error { return s.Store.MarkSent(ctx, id, step, resend) })
}

func (s bombStore) Lease(ctx context.Context, id int64, step string, until time.Time) error {
	return s.b.effect("store.Lease "+step, func() error { return s.Store.Lease(ctx, id, step, until) })
}

func (s bombStore) Progress(ctx context.Context, id int64, step string, p request.Progress) error {
	return s.b.effect("store.Progress "+step, func() error { return s.Store.Progress(ctx, id, step, p) })
}

func (s bombStore) AddConfigFiles(ctx context.Context, id int64, f []request.ConfigFile) error {
	return s.b.effect("store.AddConfigFiles", func() error { return s.Store.AddConfigFiles(ctx, id, f) })
}

// bombQueue is a queue whose every call is an effect.
type bombQueue struct {
	queue.Queue
	b *bomb
}

func (q bombQueue) Send(ctx context.Context, m queue.Message, delay time.Duration) error {
	return q.b.effect("queue.Send "+m.Step, func() error { return q.Queue.Send(ctx, m, delay) })
}

func (q bombQueue) Receive(ctx context.Context, name string, visibility, wait time.Duration) (d queue.Delivery, err error) {
	if err := q.b.alive(); err != nil {
		return d, err
	}
	d, err = q.Queue.Receive(ctx, name, visibility, wait)
	if err != nil {
		return d, err
	}
	return d, q.b.effect("queue.Receive "+name, func() error { return nil })
}

func (q bombQueue) Extend(ctx context.Context, d queue.Delivery, v time.Duration) error {
	return q.b.effect("queue.Extend", func() error { return q.Queue.Extend(ctx, d, v) })
}

func (q bombQueue) Ack(ctx context.Context, d queue.Delivery) error {
	return q.b.effect("queue.Ack "+d.Step, func() error { return q.Queue.Ack(ctx, d) })
}

// bombBlob is a blob store whose writes are effects; the renames inside are effects by the adapter's hook.
type bombBlob struct {
	blob.Blob
	b *bomb
}

func (s bombBlob) Put(ctx context.Context, key string, content []byte, overwrite bool) error {
	return s.b.effect("blob.Put "+shape(key), func() error { return s.Blob.Put(ctx, key, content, overwrite) })
}

func (s bombBlob) Create(ctx context.Context) (blob.Writer, error) {
	if err := s.b.alive(); err != nil {
		return nil, err
	}
	w, err := s.Blob.Create(ctx)
	return bombWriter{w, s.b}, err
}

func (s bombBlob) CreateAt(ctx context.Context, key string, parts ...blob.Part) (blob.Writer, error) {
	if err := s.b.alive(); err != nil {
		return nil, err
	}
	w, err := s.Blob.CreateAt(ctx, key, parts...)
	if err != nil {
		return nil, err
	}
	return bombWriter{w, s.b}, nil
}

func (s bombBlob) Get(ctx context.Context, key string, limit int64) ([]byte, error) {
	if err := s.b.alive(); err != nil {
		return nil, err
	}
	return s.Blob.Get(ctx, key, limit)
}

func (s bombBlob) Open(ctx context.Context, key string) (blob.Object, error) {
	if err := s.b.alive(); err != nil {
		return nil, err
	}
	return s.Blob.Open(ctx, key)
}

func (s bombBlob) Touch(ctx context.Context, key string) error {
	return s.b.effect("blob.Touch "+shape(key), func() error { return s.Blob.Touch(ctx, key) })
}

func (s bombBlob) Delete(ctx context.Context, keys ...string) error {
	return s.b.effect("blob.Delete", func() error { return s.Blob.Delete(ctx, keys...) })
}

func (s bombBlob) List(ctx context.Context, prefix string) iter.Seq2[blob.Info, error] {
	return s.Blob.List(ctx, prefix)
}

type bombWriter struct {
	blob.Writer
	b *bomb
}

func (w bombWriter) Write(p []byte) (int, error) {
	if err := w.b.alive(); err != nil {
		return 0, err
	}
	return w.Writer.Write(p)
}

func (w bombWriter) Commit(ctx context.Context, key string, overwrite bool) error {
	return w.b.effect("blob.Commit "+shape(key), func() error { return w.Writer.Commit(ctx, key, overwrite) })
}

// shape is a key without what changes from run to run.
func shape(key string) string {
	var first string
	fmt.Sscanf(key, "%s", &first)
	for i, c := range first {
		if c == '/' {
			return first[:i]
		}
	}
	return first
}
