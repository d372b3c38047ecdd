package dynamodb

import (
	"bytes"
	"compress/flate"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/store"
)

// row is a request as it is stored.
type row struct {
	version int64  // 1, 2, 3 ...
	writer  string // names the write that made this version
	entries int64  // of the history
	body    []byte // the request without its history, JSON
	req     request.Request
}

// item deflates the body: most rows then cost one unit to write.
func (r *row) item() (item, error) {
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestSpeed)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(r.body); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	i := rowKey(r.req.ID).attributes()
	i[attrVersion], i[attrWriter], i[attrHistory] = number(r.version), text(r.writer), number(r.entries)
	i[attrBody] = &types.AttributeValueMemberB{Value: b.Bytes()}
	return i, nil
}

func decodeRow(id int64, i item) (*row, error) {
	// One byte more than a row has tells that it is no row.
	body, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(i.bytes(attrBody))), store.MaxItemBytes+1))
	if err == nil && len(body) > store.MaxItemBytes {
		err = store.ErrItemTooLarge
	}
	if err != nil {
		return nil, fmt.Errorf("request %d is damaged: %w", id, err)
	}
	req, err := store.DecodeRow(id, body)
	if err != nil {
		return nil, err
	}
	return &row{version: i.number(attrVersion), writer: i.text(attrWriter), entries: i.number(attrHistory), body: body, req: req}, nil
}

func historyItem(id, seq int64, c request.StateChange) item {
	i := historyKey(id, seq).attributes()
	i[attrState], i[attrReason], i[attrAt] = text(string(c.State)), text(c.Reason), micros(c.At)
	return i
}

func notFound(id int64) error { return fmt.Errorf("request %d: %w", id, store.ErrNotFound) }

// errTorn: a Query saw a part of a transaction that was being written.
var errTorn = errors.New("a request was read while it was being written")

// read reads a request with its history, of one moment.
func (s *Store) read(ctx context.Context, id int64) (*row, error) {
	for p := s.newPace(); ; {
		r, err := s.readOnce(ctx, id)
		if !errors.Is(err, errTorn) {
			return r, err
		}
		if err := p.wait(ctx, err); err != nil {
			return nil, err
		}
	}
}

// readOnce reads the row, then the history. A Query is not of one moment: entries newer than the row are
// left out, and one that is not there yet is errTorn.
func (s *Store) readOnce(ctx context.Context, id int64) (*row, error) {
	var r *row
	var history []request.StateChange
	err := s.query(ctx, search{partition: requestPartition(id), to: historyEnd}, func(i item) (_ bool, err error) {
		if r == nil {
			if i.text(sortKey) != rowSort {
				return false, fmt.Errorf("request %d is damaged: it has a history and no row", id)
			}
			r, err = decodeRow(id, i)
			return true, err
		}
		history = append(history, request.StateChange{
			State: request.State(i.text(attrState)), Reason: i.text(attrReason), At: i.time(attrAt),
		})
		return int64(len(history)) < r.entries, nil
	})
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading request %d: %w", id, err)
	case r == nil:
		return nil, notFound(id)
	case int64(len(history)) < r.entries:
		return nil, fmt.Errorf("request %d: %w", id, errTorn)
	}
	slices.Reverse(history)
	r.req.History = history
	return r, nil
}

// readRow reads a request without its history.
func (s *Store) readRow(ctx context.Context, id int64) (*row, error) {
	i, err := s.getItem(ctx, rowKey(id))
	if err != nil {
		return nil, fmt.Errorf("reading request %d: %w", id, err)
	}
	if i == nil {
		return nil, notFound(id)
	}
	return decodeRow(id, i)
}

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, id int64) (request.Request, error) {
	r, err := s.read(ctx, id)
	if err != nil {
		return request.Request{}, err
	}
	return r.req, nil
}
