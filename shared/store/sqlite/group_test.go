package sqlite

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// together makes changes come while another one is being committed, so that they are a group of their own.
// It returns what each caller was told.
func together(t *testing.T, s *Store, changes ...func(ctx context.Context) error) []error {
	t.Helper()
	entered, leave := make(chan struct{}), make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() {
		if err := s.change(t.Context(), func(*transaction) error { close(entered); <-leave; return nil }); err != nil {
			t.Error(err)
		}
	})
	<-entered
	errs := make([]error, len(changes))
	for i, f := range changes {
		all.Go(func() {
			defer func() {
				if p := recover(); p != nil {
					errs[i] = fmt.Errorf("panic: %v", p)
				}
			}()
			errs[i] = f(t.Context())
		})
		for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
			s.group.mu.Lock()
			waiting := len(s.group.waiting)
			s.group.mu.Unlock()
			if waiting > i {
				break
			}
			if time.Now().After(deadline) {
				t.Fatal("a change does not wait")
			}
		}
	}
	close(leave)
	all.Wait()
	return errs
}

func names(t *testing.T, s *Store) []string { return table(t, s, `SELECT name FROM n ORDER BY name`) }

func withNames(t *testing.T) *Store {
	t.Helper()
	s := open(t, filepath.Join(t.TempDir(), "cachito.db"))
	if _, err := s.DB().ExecContext(t.Context(), `CREATE TABLE n (name TEXT PRIMARY KEY)`); err != nil {
		t.Fatal(err)
	}
	return s
}

func insert(s *Store, name string, then func(tx *transaction) error) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		return s.change(ctx, func(tx *transaction) error {
			if _, err := tx.ExecContext(ctx, `INSERT INTO n VALUES (?)`, name); err != nil {
				return err
			}
			return then(tx)
		})
	}
}

// TestGroup: changes that come together are committed together, and each is all or nothing by itself.
func TestGroup(t *testing.T) {
	s := withNames(t)
	var used sync.Map
	fine := func(tx *transaction) error { used.Store(tx, true); return nil }
	tests := []struct {
		name   string
		change func(ctx context.Context) error
		want   string // in the error
	}{
		{"first", insert(s, "a", fine), ""},
		{"refused", insert(s, "refused", func(*transaction) error { return errors.New("no") }), "no"},
		{"behind it", insert(s, "b", fine), ""},
		{"a bug", insert(s, "bug", func(*transaction) error { panic("a bug") }), "panic: a bug"},
		{"there already", insert(s, "a", fine), "constraint failed"},
		{"sees those before it", insert(s, "c", func(tx *transaction) error {
			var n int
			if err := tx.QueryRowContext(t.Context(), `SELECT count(*) FROM n WHERE name IN ('a', 'b', 'refused', 'bug')`).Scan(&n); err != nil || n != 2 {
				return fmt.Errorf("saw %d of those before: %w", n, err)
			}
			return fine(tx)
		}), ""},
		{"its caller leaves while it runs", func(ctx context.Context) error {
			ctx, leave := context.WithCancel(ctx)
			return insert(s, "d", func(tx *transaction) error {
				leave()
				_, err := tx.ExecContext(ctx, `INSERT INTO n VALUES ('e')`)
				return err
			})(ctx)
		}, ""},
		{"its caller left before", func(ctx context.Context) error {
			ctx, leave := context.WithCancel(ctx)
			leave()
			return insert(s, "left", fine)(ctx)
		}, "context canceled"},
	}
	var changes []func(ctx context.Context) error
	for _, tt := range tests {
		changes = append(changes, tt.change)
	}
	for i, err := range together(t, s, changes...) {
		if want := tests[i].want; (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", tests[i].name, err, want)
		}
	}
	if diff := cmp.Diff([]string{"a", "b", "c", "d", "e"}, names(t, s)); diff != "" {
		t.Errorf("stored (-want +got):\n%s", diff)
	}
	transactions := 0
	used.Range(func(any, any) bool { transactions++; return true })
	if transactions != 1 {
		t.Errorf("%d transactions, want one", transactions)
	}
}

// TestLostGroup: when the transaction is lost (SQLite gives it up on a full disk, for example) nobody is told
// that his change was made.
func TestLostGroup(t *testing.T) {
	s := withNames(t)
	nothing := func(*transaction) error { return nil }
	lose := func(tx *transaction) error {
		if _, err := tx.ExecContext(t.Context(), `ROLLBACK`); err != nil {
			t.Error(err)
		}
		return errors.New("disk full")
	}
	for i, err := range together(t, s, insert(s, "a", nothing), insert(s, "b", lose), insert(s, "c", nothing)) {
		if err == nil || !strings.Contains(err.Error(), "disk full") {
			t.Errorf("change %d: got %v, want the loss", i, err)
		}
	}
	if got := names(t, s); len(got) > 0 {
		t.Errorf("stored %v, want nothing", got)
	}
	if err := insert(s, "d", nothing)(t.Context()); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}
