package dynamodb

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/store"
)

// Create implements store.Store. The id is the last one plus one, on condition that the last one is still
// that: ids have no gaps, and creations follow one another. That takes about 100 in a second; whoever loses
// tries again, and after some seconds of it gives up with store.ErrBusy.
func (s *Store) Create(ctx context.Context, n store.New) (request.Request, error) {
	req, err := s.create(ctx, n)
	if err != nil {
		return request.Request{}, fmt.Errorf("storing a request: %w", err)
	}
	return req, nil
}

func (s *Store) create(ctx context.Context, n store.New) (request.Request, error) {
	if err := s.enter(ctx, s.creating); err != nil {
		return request.Request{}, err
	}
	defer s.creating.leave()
	writer := rand.Text()
	var tried request.Request
	for p := s.newPace(); ; {
		if req, found, err := s.createdBefore(ctx, n.Token, tried.ID, writer); err != nil || found {
			return req, err
		}
		last, err := s.getItem(ctx, lastKey)
		if err != nil {
			return request.Request{}, err
		}
		tried = n.Request(s.now())
		tried.ID = last.number(attrID) + 1
		tried.History = []request.StateChange{{State: tried.State, Reason: tried.StateReason, At: tried.Created}}
		err = s.insert(ctx, n.Token, tried, last, writer)
		if !errors.Is(err, errStale) {
			return tried, err
		}
		if err := p.wait(ctx, err); err != nil {
			return request.Request{}, err
		}
	}
}

// createdBefore finds the request that a creation of this token made, or the try of this writer whose answer
// was lost.
func (s *Store) createdBefore(ctx context.Context, token string, tried int64, writer string) (req request.Request, found bool, err error) {
	id := int64(0)
	if token != "" {
		i, err := s.getItem(ctx, tokenKey(token))
		if err != nil {
			return req, false, err
		}
		id = i.number(attrID)
	}
	if id == 0 && tried != 0 {
		i, err := s.getItem(ctx, rowKey(tried))
		if err != nil {
			return req, false, err
		}
		if i.text(attrWriter) == writer {
			id = tried
		}
	}
	if id == 0 {
		return req, false, nil
	}
	req, err = s.Get(ctx, id)
	return req, err == nil, err
}

func (s *Store) insert(ctx context.Context, token string, req request.Request, last item, writer string) error {
	body, err := store.EncodeRow(req)
	if err != nil {
		return err
	}
	i, err := (&row{version: 1, writer: writer, entries: 1, body: body, req: req}).item()
	if err != nil {
		return err
	}
	tx := transaction{table: s.table}
	next, block := follow(last, req.ID, req.Created)
	if last == nil {
		tx.put(next, absent())
	} else {
		tx.put(next, hasNumber(attrID, last.number(attrID)))
	}
	tx.put(block, condition{})
	tx.put(i, absent())
	tx.put(historyItem(req.ID, 1, req.History[0]), condition{})
	if token != "" {
		t := tokenKey(token).attributes()
		t[attrID] = number(req.ID)
		tx.put(t, absent())
	}
	tx.move(nil, &req)
	return s.commit(ctx, &tx)
}

// allValue is the list of all requests.
var allValue = store.FilterValue{Filter: store.FilterAll}

// follow makes the counter that comes after last, and the item with the creation times of the id's block:
// they rise with the ids, clocks that disagree apart, so that lists of a period read the blocks at its ends only.
func follow(last item, id int64, created time.Time) (next, block item) {
	low, high := created, created
	if last != nil && last.number(attrID)/blockSize == id/blockSize {
		if at := last.time(attrLow); at.Before(low) {
			low = at
		}
		if at := last.time(attrHigh); at.After(high) {
			high = at
		}
	}
	next, block = lastKey.attributes(), blockKey(allValue, id/blockSize).attributes()
	next[attrID] = number(id)
	block[attrCount] = number(id - max(id/blockSize*blockSize, 1) + 1)
	for _, i := range []item{next, block} {
		i[attrLow], i[attrHigh] = micros(low), micros(high)
	}
	return next, block
}
