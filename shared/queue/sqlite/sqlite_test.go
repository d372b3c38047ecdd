package sqlite_test

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"github.com/cachito-serverless/cachito/shared/queue"
	"github.com/cachito-serverless/cachito/shared/queue/queuetest"
	"github.com/cachito-serverless/cachito/shared/queue/sqlite"
	store "github.com/cachito-serverless/cachito/shared/store/sqlite"
)

func open(t *testing.T, path string, clock func() time.Time) *sqlite.Queue {
	t.Helper()
	s, err := store.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	q, err := sqlite.New(t.Context(), s.DB(), clock)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(q.Close(), s.Close()); err != nil {
			t.Errorf("closing: %v", err)
		}
	})
	return q
}

func TestQueue(t *testing.T) {
	queuetest.Run(t, func(t *testing.T, clock func() time.Time) queue.Queue {
		return open(t, filepath.Join(t.TempDir(), "cachito.db"), clock)
	})
}

func TestTwoHandles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cachito.db")
	here, there := open(t, path, nil), open(t, path, nil)
	m := queue.Message{RequestID: 1, Step: "source"}
	time.AfterFunc(50*time.Millisecond, func() {
		if err := there.Send(context.Background(), m, 0); err != nil {
			t.Error(err)
		}
	})
	// Not woken by the other handle, so found by the slow poll.
	d, err := here.Receive(t.Context(), "source", time.Minute, 30*time.Second)
	if err != nil || d.Message != m {
		t.Fatalf("got %+v, %v", d, err)
	}
	if _, err := there.Receive(t.Context(), "source", time.Minute, 0); !errors.Is(err, queue.ErrEmpty) {
		t.Errorf("the other handle: got %v, want ErrEmpty", err)
	}
	if err := there.Ack(t.Context(), d); err != nil {
		t.Error(err)
	}
	if age, err := here.OldestAge(t.Context(), "source"); err != nil || age != 0 {
		t.Errorf("age after the other handle's Ack: got %s, %v", age, err)
	}
}

func TestNoTable(t *testing.T) {
	db, err := sql.Open("sqlite", filepath.Join(t.TempDir(), "other.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := sqlite.New(t.Context(), db, nil); err == nil || !strings.Contains(err.Error(), "store/sqlite") {
		t.Errorf("got %v, want an error that names store/sqlite", err)
	}
}
