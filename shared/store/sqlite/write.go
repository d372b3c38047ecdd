package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/store"
)

// Create implements store.Store.
func (s *Store) Create(ctx context.Context, n store.New) (request.Request, error) {
	return s.CreateAnd(ctx, n, func(Tx, request.Request) error { return nil })
}

// Tx is a transaction in which others write too.
type Tx interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// CreateAnd creates a request as Create does, and writes in the same transaction what and writes: both are
// stored, or neither. A request that was created before (New.Token) comes back as it is.
func (s *Store) CreateAnd(ctx context.Context, n store.New, and func(tx Tx, req request.Request) error) (req request.Request, err error) {
	err = s.change(ctx, func(tx *transaction) error {
		if n.Token != "" {
			var id int64
			err := tx.QueryRowContext(ctx, `SELECT id FROM request WHERE token = ?`, n.Token).Scan(&id)
			if err == nil {
				req, err = get(ctx, tx, id)
				return err
			}
			if !errors.Is(err, sql.ErrNoRows) {
				return err
			}
		}
		var last sql.NullInt64
		if err := tx.QueryRowContext(ctx, `SELECT max(id) FROM request`).Scan(&last); err != nil {
			return err
		}
		now := micro(s.clock())
		req = n.Request(now)
		req.ID = last.Int64 + 1
		body, err := store.EncodeRow(req)
		if err != nil {
			return err
		}
		var token any
		if n.Token != "" {
			token = n.Token
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO request (id, token, created, repo_name, ref, state, updated, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
			req.ID, token, micros(req.Created), store.RepoName(req.Repo), req.Ref, string(req.State), req.Updated.UnixMicro(), string(body))
		if err != nil {
			return err
		}
		first := request.StateChange{State: req.State, Reason: req.StateReason, At: now}
		req.History = []request.StateChange{first}
		if err := appendHistory(ctx, tx, req.ID, first); err != nil {
			return err
		}
		if err := countCreated(ctx, tx, req.ID); err != nil {
			return err
		}
		if err := reindex(ctx, tx, req.ID, nil, store.FilterValues(req)); err != nil {
			return err
		}
		return and(tx, req)
	})
	if err != nil {
		return request.Request{}, fmt.Errorf("storing a request: %w", err)
	}
	return req, nil
}

func appendHistory(ctx context.Context, tx *transaction, id int64, c request.StateChange) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO history (request_id, seq, state, reason, at)
		SELECT ?1, coalesce(max(seq), 0) + 1, ?2, ?3, ?4 FROM history WHERE request_id = ?1`, id, string(c.State), c.Reason, c.At.UnixMicro())
	return err
}

// modify reads a request, lets f change it, and writes everything that follows from the change. The
// result has its history.
func (s *Store) modify(ctx context.Context, id int64, f func(tx *transaction, req *request.Request) (*request.StateChange, error)) (request.Request, error) {
	var out request.Request
	err := s.change(ctx, func(tx *transaction) error {
		old, err := load(ctx, tx, id)
		if err != nil {
			return err
		}
		req := old
		req.Steps, req.Results = maps.Clone(old.Steps), maps.Clone(old.Results)
		req.EnvironmentVariables = maps.Clone(old.EnvironmentVariables)
		entry, err := f(tx, &req)
		if err != nil {
			return err
		}
		if err := write(ctx, tx, old, req); err != nil {
			return err
		}
		if entry != nil {
			if err := appendHistory(ctx, tx, id, *entry); err != nil {
				return err
			}
			if err := recordMetric(ctx, tx, req, *entry); err != nil {
				return err
			}
		}
		req.History, err = history(ctx, tx, id)
		out = req
		return err
	})
	return out, err
}

func write(ctx context.Context, tx *transaction, old, req request.Request) error {
	body, err := store.EncodeRow(req)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `UPDATE request SET created = ?, state = ?, updated = ?, body = ? WHERE id = ?`,
		micros(req.Created), string(req.State), req.Updated.UnixMicro(), string(body), req.ID)
	if err != nil {
		return err
	}
	if err := reindex(ctx, tx, req.ID, store.FilterValues(old), store.FilterValues(req)); err != nil {
		return err
	}
	if !old.Created.Equal(req.Created) {
		if err := recountCreated(ctx, tx, req.ID); err != nil {
			return err
		}
	}
	before, after := store.References(&old), store.References(&req)
	for _, key := range before {
		if !slices.Contains(after, key) {
			if _, err := tx.ExecContext(ctx, `DELETE FROM reference WHERE key = ? AND request_id = ?`, key, req.ID); err != nil {
				return err
			}
		}
	}
	for _, key := range after {
		if !slices.Contains(before, key) {
			if _, err := tx.ExecContext(ctx, `INSERT OR IGNORE INTO reference (key, request_id) VALUES (?, ?)`, key, req.ID); err != nil {
				return err
			}
		}
	}
	return nil
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
		res, err := tx.ExecContext(ctx, `INSERT OR IGNORE INTO once (request_id, name) VALUES (?, ?)`, req.ID, u.Once)
		if err != nil {
			return nil, err
		}
		n, err := res.RowsAffected()
		if err != nil {
			return nil, err
		}
		once = n == 0
	}
	return u.Apply(req, once, micro(s.clock()))
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
	return s.modify(ctx, id, func(tx *transaction, req *request.Request) (*request.StateChange, error) {
		return nil, store.Reopen(req, steps)
	})
}

// MarkSent implements store.Store.
func (s *Store) MarkSent(ctx context.Context, id int64, step string, resend bool) error {
	return s.changeStep(ctx, id, step, func(_ *request.Request, st *request.Step) {
		st.SentAt = micro(s.clock())
		if resend {
			st.Sends++
		}
	})
}

// Lease implements store.Store.
func (s *Store) Lease(ctx context.Context, id int64, step string, until time.Time) error {
	return s.changeStep(ctx, id, step, func(_ *request.Request, st *request.Step) { st.LeaseUntil = micro(until) })
}

// HandBack implements store.Store.
func (s *Store) HandBack(ctx context.Context, id int64, step string, progress bool) (idle int, err error) {
	_, err = s.modify(ctx, id, func(_ *transaction, req *request.Request) (_ *request.StateChange, err error) {
		idle, err = store.HandBack(req, step, progress)
		return nil, err
	})
	return idle, err
}

// Progress implements store.Store.
func (s *Store) Progress(ctx context.Context, id int64, step string, p request.Progress) error {
	return s.changeStep(ctx, id, step, func(req *request.Request, st *request.Step) {
		moved := st.Progress != p
		st.Progress = p
		now := micro(s.clock())
		if moved && req.State == request.StateInProgress && now.Sub(req.Updated) > store.TouchAfter {
			req.Updated = now
		}
	})
}

func (s *Store) changeStep(ctx context.Context, id int64, step string, f func(*request.Request, *request.Step)) error {
	_, err := s.modify(ctx, id, func(_ *transaction, req *request.Request) (*request.StateChange, error) {
		st, err := store.CheckStep(req, step)
		if err != nil {
			return nil, err
		}
		f(req, &st)
		req.Steps[step] = st
		return nil, nil
	})
	return err
}

// AddConfigFiles implements store.Store.
func (s *Store) AddConfigFiles(ctx context.Context, id int64, files []request.ConfigFile) error {
	return s.change(ctx, func(tx *transaction) error {
		if _, err := load(ctx, tx, id); err != nil {
			return err
		}
		for _, f := range files {
			_, err := tx.ExecContext(ctx, `INSERT OR IGNORE INTO config_file (request_id, seq, path, key)
				SELECT ?1, coalesce(max(seq), 0) + 1, ?2, ?3 FROM config_file WHERE request_id = ?1`, id, f.Path, f.Key)
			if err != nil {
				return fmt.Errorf("adding configuration files to request %d: %w", id, err)
			}
		}
		return nil
	})
}

// ConfigFiles implements store.Store.
func (s *Store) ConfigFiles(ctx context.Context, id int64) (files []request.ConfigFile, err error) {
	err = s.read.snapshot(ctx, func(q querier) error {
		files, err = configFiles(ctx, q, id)
		return err
	})
	return files, err
}

func configFiles(ctx context.Context, q querier, id int64) ([]request.ConfigFile, error) {
	if _, err := load(ctx, q, id); err != nil {
		return nil, err
	}
	rows, err := q.QueryContext(ctx, `SELECT path, key FROM config_file WHERE request_id = ? ORDER BY path, seq`, id)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var files []request.ConfigFile
	for rows.Next() {
		var f request.ConfigFile
		if err := rows.Scan(&f.Path, &f.Key); err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	return files, rows.Err()
}
