package main

import (
	"context"

	"github.com/cachito-serverless/cachito/shared/queue"
	queuesqlite "github.com/cachito-serverless/cachito/shared/queue/sqlite"
	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/store"
	storesqlite "github.com/cachito-serverless/cachito/shared/store/sqlite"
)

// acceptor stores a request and its first message in one commit, and so with one sync of the disk: they are
// in the same file.
func acceptor(s *storesqlite.Store, q *queuesqlite.Queue) func(ctx context.Context, n store.New, step string) (request.Request, error) {
	return func(ctx context.Context, n store.New, step string) (request.Request, error) {
		req, err := s.CreateAnd(ctx, n, func(tx storesqlite.Tx, req request.Request) error {
			return q.SendIn(ctx, tx, queue.Message{RequestID: req.ID, Step: step}, 0)
		})
		if err == nil {
			q.Sent()
		}
		return req, err
	}
}
