package main

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cachito-serverless/cachito/shared/queue"
	queuesqlite "github.com/cachito-serverless/cachito/shared/queue/sqlite"
	"github.com/cachito-serverless/cachito/shared/store"
	storesqlite "github.com/cachito-serverless/cachito/shared/store/sqlite"
)

// TestAcceptor: an accepted request and its message are there together, for a receiver that waits; when the
// message cannot be stored there is no request either.
func TestAcceptor(t *testing.T) {
	s, err := storesqlite.Open(t.Context(), filepath.Join(t.TempDir(), "db"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	q, err := queuesqlite.New(t.Context(), s.DB(), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	received := make(chan queue.Delivery, 1)
	go func() {
		d, err := q.Receive(t.Context(), "source", time.Minute, patience)
		if err != nil {
			t.Error(err)
		}
		received <- d
	}()
	accept := acceptor(s, q)
	order := store.New{Repo: "https://git.example/a", Ref: strings.Repeat("a7", 20), Steps: []string{"source", "bundle"}}
	req, err := accept(t.Context(), order, "source")
	if err != nil || req.ID != 1 {
		t.Fatalf("got %+v, %v", req, err)
	}
	if d := <-received; d.RequestID != 1 || d.Step != "source" {
		t.Errorf("message: got %+v", d.Message)
	}

	if _, err := accept(t.Context(), order, strings.Repeat("x", queue.MaxMessageBytes)); !errors.Is(err, queue.ErrMessageTooLarge) {
		t.Errorf("a message that is too large: got %v", err)
	}
	if _, err := s.Get(t.Context(), 2); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("its request: got %v, want none", err)
	}
	if req, err := accept(t.Context(), order, "source"); err != nil || req.ID != 2 {
		t.Errorf("the next one: got %+v, %v, want id 2", req, err)
	}
}
