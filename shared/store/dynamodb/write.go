package dynamodb

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/store"
)

// modify reads a request, lets change alter it and add to the transaction, and writes everything that follows
// on condition that the request is still what was read; else it begins again. The result has its history.
func (s *Store) modify(ctx context.Context, id int64, change func(*transaction, *request.Request) (*request.StateChange, error)) (request.Request, error) {
	turn := s.changing[uint64(id)%stripes]
	if err := s.enter(ctx, turn); err != nil {
		return request.Request{}, err
	}
	defer turn.leave()
	writer := rand.Text()
	for p := s.newPace(); ; {
		old, err := s.read(ctx, id)
		if err != nil {
			return request.Request{}, err
		}
		if old.writer == writer { // an earlier try had arrived
			return old.req, nil
		}
		req, err := s.modifyOnce(ctx, old, writer, change)
		if !errors.Is(err, errStale) {
			return req, err
		}
		if err := p.wait(ctx, err); err != nil {
			return request.Request{}, fmt.Errorf("changing request %d: %w", id, err)
		}
	}
}

func (s *Store) modifyOnce(ctx context.Context, old *row, writer string, change func(*transaction, *request.Request) (*request.StateChange, error)) (request.Request, error) {
	tx := transaction{table: s.table}
	req := old.req
	req.Steps, req.Results = maps.Clone(old.req.Steps), maps.Clone(old.req.Results)
	req.EnvironmentVariables = maps.Clone(old.req.EnvironmentVariables)
	entry, err := change(&tx, &req)
	if err != nil {
		return request.Request{}, err
	}
	next := row{version: old.version + 1, writer: writer, entries: old.entries}
	if entry != nil {
		next.entries++
		req.History = append([]request.StateChange{*entry}, req.History...)
		tx.put(historyItem(req.ID, next.entries, *entry), condition{})
		if entry.State == request.StateComplete {
			duration := entry.At.Sub(req.History[len(req.History)-1].At)
			tx.addTwo(completedKey, attrCount, 1, attrDuration, duration.Microseconds())
		}
	}
	if next.body, err = store.EncodeRow(req); err != nil {
		return request.Request{}, err
	}
	if len(tx.items) == 0 && bytes.Equal(next.body, old.body) {
		return req, nil // nothing is new
	}
	next.req = req
	i, err := next.item()
	if err != nil {
		return request.Request{}, err
	}
	tx.put(i, hasNumber(attrVersion, old.version))
	tx.move(&old.req, &req)
	if err := s.commit(ctx, &tx); err != nil {
		return request.Request{}, fmt.Errorf("changing request %d: %w", req.ID, err)
	}
	return req, nil
}

// Update implements store.Store.
func (s *Store) Update(ctx context.Context, id int64, u store.Update) (request.Request, error) {
	return s.modify(ctx, id, func(tx *transaction, req *request.Request) (*request.StateChange, error) {
		return s.apply(ctx, tx, req, u)
	})
}

func (s *Store) apply(ctx context.Context, tx *transaction, req *request.Request, u store.Update) (*request.StateChange, error) {
	once := false
	if u.Once != "" {
		k := onceKey(req.ID, u.Once)
		i, err := s.getItem(ctx, k)
		if err != nil {
			return nil, err
		}
		if once = i != nil; !once {
			tx.put(k.attributes(), condition{}) // the row's condition holds for it as well
		}
	}
	return u.Apply(req, once, s.now())
}

// FinishStep implements store.Store.
func (s *Store) FinishStep(ctx context.Context, id int64, step string, u store.Update) (request.Request, error) {
	return s.modify(ctx, id, func(tx *transaction, req *request.Request) (*request.StateChange, error) {
		if done, err := store.Finish(req, step); err != nil || done {
			return nil, err
		}
		return s.apply(ctx, tx, req, u)
	})
}

// ReopenSteps implements store.Store.
func (s *Store) ReopenSteps(ctx context.Context, id int64, steps ...string) (request.Request, error) {
	return s.modify(ctx, id, func(_ *transaction, req *request.Request) (*request.StateChange, error) {
		return nil, store.Reopen(req, steps)
	})
}

// MarkSent implements store.Store. A re-send is counted, so it goes through a transaction, which the database
// applies once.
func (s *Store) MarkSent(ctx context.Context, id int64, step string, resend bool) error {
	if !resend {
		return s.note(ctx, id, step, func(_ *request.Request, st *request.Step) { st.SentAt = s.now() })
	}
	_, err := s.modify(ctx, id, func(_ *transaction, req *request.Request) (*request.StateChange, error) {
		st, err := store.CheckStep(req, step)
		if err != nil {
			return nil, err
		}
		st.SentAt = s.now()
		st.Sends++
		req.Steps[step] = st
		return nil, nil
	})
	return err
}

// HandBack implements store.Store. Runs are counted, so it goes through a transaction as well.
func (s *Store) HandBack(ctx context.Context, id int64, step string, progress bool) (int, error) {
	req, err := s.modify(ctx, id, func(_ *transaction, req *request.Request) (*request.StateChange, error) {
		_, err := store.HandBack(req, step, progress)
		return nil, err
	})
	return req.Steps[step].IdleRuns, err
}

// Lease implements store.Store.
func (s *Store) Lease(ctx context.Context, id int64, step string, until time.Time) error {
	return s.note(ctx, id, step, func(_ *request.Request, st *request.Step) { st.LeaseUntil = micro(until) })
}

// Progress implements store.Store.
func (s *Store) Progress(ctx context.Context, id int64, step string, p request.Progress) error {
	return s.note(ctx, id, step, func(req *request.Request, st *request.Step) {
		moved := st.Progress != p
		st.Progress = p
		if now := s.now(); moved && req.State == request.StateInProgress && now.Sub(req.Updated) > store.TouchAfter {
			req.Updated = now
		}
	})
}

// note changes a step's book-keeping, from which nothing else follows (no list tells when a request in
// progress was updated): one read of one item, one write, half a transaction's price. What f does must be
// harmless when it is done twice.
func (s *Store) note(ctx context.Context, id int64, step string, f func(*request.Request, *request.Step)) error {
	turn := s.changing[uint64(id)%stripes]
	if err := s.enter(ctx, turn); err != nil {
		return err
	}
	defer turn.leave()
	for p := s.newPace(); ; {
		r, err := s.readRow(ctx, id)
		if err != nil {
			return err
		}
		st, err := store.CheckStep(&r.req, step)
		if err != nil {
			return err
		}
		f(&r.req, &st)
		r.req.Steps[step] = st
		err = s.replace(ctx, r)
		if !errors.Is(err, errStale) {
			return err
		}
		if err := p.wait(ctx, err); err != nil {
			return fmt.Errorf("changing request %d: %w", id, err)
		}
	}
}

// replace writes the row's next version, on condition that it is still the one that was read. A condition
// that fails because this write arrived before is success.
func (s *Store) replace(ctx context.Context, r *row) (err error) {
	was := r.body
	if r.body, err = store.EncodeRow(r.req); err != nil || bytes.Equal(was, r.body) {
		return err
	}
	unchanged := hasNumber(attrVersion, r.version)
	r.version++
	r.writer = rand.Text()
	i, err := r.item()
	if err != nil {
		return err
	}
	if err := i.check(); err != nil {
		return err
	}
	return s.call(ctx, func() error {
		_, err := s.db.PutItem(ctx, &sdk.PutItemInput{
			TableName: &s.table, Item: i, ConditionExpression: unchanged.text(),
			ExpressionAttributeNames: unchanged.names, ExpressionAttributeValues: unchanged.values,
			ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
		})
		var failed *types.ConditionalCheckFailedException
		if errors.As(err, &failed) && item(failed.Item).text(attrWriter) == r.writer {
			return nil
		}
		return err
	})
}
