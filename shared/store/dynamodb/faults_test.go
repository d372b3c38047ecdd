package dynamodb

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/cachito-serverless/cachito/shared/awsclient/awsclienttest"
	"github.com/cachito-serverless/cachito/shared/store"
	"github.com/cachito-serverless/cachito/shared/store/storetest"
)

// losing is a transport that loses the answers that lose names.
func losing(lose func(operation string, nth, ofAll int) bool) *awsclienttest.Losing {
	return &awsclienttest.Losing{Base: whole, Lose: lose, Operation: func(r *http.Request) string {
		_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
		return operation
	}}
}

// TestStoreLosesAnswers runs the contract while every fifth answer is lost: nothing is applied twice. Only the
// case that is about amount is left out.
func TestStoreLosesAnswers(t *testing.T) {
	emulator(t) // or skip
	random := rand.New(rand.NewPCG(1, 2))
	l := losing(func(string, int, int) bool { return random.IntN(5) == 0 })
	storetest.Run(t, func(t *testing.T, clock func() time.Time) store.Store {
		return open(t, l, WithClock(clock))
	}, storetest.Thousands)
	t.Run("answers were lost", func(t *testing.T) {
		for _, operation := range operations {
			if l.Lost(operation) == 0 {
				t.Errorf("no answer of %s was lost: the test tests nothing", operation)
			}
		}
	})
}

// nthOf loses the nth answer of an operation.
func nthOf(operation string, n int) func(string, int, int) bool {
	return func(op string, nth, _ int) bool { return op == operation && nth == n }
}

func newRequest() store.New {
	return store.New{
		Repo: "https://github.com/org/eggs", Ref: strings.Repeat("a", 40), PackageManagers: []string{"gomod"},
		Steps: []string{"source", "resolve-gomod", "bundle"},
	}
}

// TestLostAnswersWithoutTokens: should the database no longer know a transaction's token (it does so for ten
// minutes), the value that the write left behind tells that it had arrived.
func TestLostAnswersWithoutTokens(t *testing.T) {
	forgetful := func(t *testing.T, operation string, n int) *Store {
		return open(t, newToken{losing(nthOf(operation, n))})
	}
	t.Run("Create", func(t *testing.T) {
		s := forgetful(t, "TransactWriteItems", 1)
		req, err := s.Create(t.Context(), newRequest())
		if err != nil || req.ID != 1 {
			t.Fatalf("Create: got id %d, %v, want 1", req.ID, err)
		}
		counts, err := s.Counts(t.Context())
		if err != nil || counts.Total != 1 {
			t.Errorf("Counts: got %d, %v, want 1", counts.Total, err)
		}
	})
	// What a repeat would change of all that a store does: the count of the reaper's re-sends.
	t.Run("MarkSent", func(t *testing.T) {
		s := forgetful(t, "TransactWriteItems", 2)
		if _, err := s.Create(t.Context(), newRequest()); err != nil {
			t.Fatal(err)
		}
		if err := s.MarkSent(t.Context(), 1, "source", true); err != nil {
			t.Fatal(err)
		}
		got, err := s.Get(t.Context(), 1)
		if err != nil || got.Steps["source"].Sends != 1 {
			t.Errorf("got %d re-sends, %v, want 1", got.Steps["source"].Sends, err)
		}
	})
	t.Run("Lease", func(t *testing.T) {
		lost := losing(nthOf("PutItem", 1))
		m := &meter{base: lost}
		s := open(t, m)
		if _, err := s.Create(t.Context(), newRequest()); err != nil {
			t.Fatal(err)
		}
		m.spend()
		if err := s.Lease(t.Context(), 1, "source", time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		// One read, the write that arrived, and the one that finds it there.
		if calls, _ := m.spend(); calls != 2 || lost.Lost("PutItem") != 1 {
			t.Errorf("got %d answers and %v lost, want 2 and 1", calls, lost.Lost("PutItem"))
		}
		r, err := s.readRow(t.Context(), 1)
		if err != nil || r.version != 2 {
			t.Errorf("the row: got version %d, %v, want 2", r.version, err)
		}
	})
}

// newToken gives each call a token of its own, as if the database had forgotten the one before.
type newToken struct{ base http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (n newToken) RoundTrip(r *http.Request) (*http.Response, error) {
	if !strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".TransactWriteItems") {
		return n.base.RoundTrip(r)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	_, rest, _ := strings.Cut(string(body), `"ClientRequestToken":"`)
	token, _, found := strings.Cut(rest, `"`)
	if !found {
		return nil, errors.New("a transaction without a token")
	}
	changed := strings.Replace(string(body), token, "t"+time.Now().Format("150405.000000000"), 1)
	out := r.Clone(r.Context())
	out.Body, out.ContentLength = io.NopCloser(strings.NewReader(changed)), int64(len(changed))
	return n.base.RoundTrip(out)
}

// TestBusy: writers that come too many, or a database that does not answer, are store.ErrBusy after a while.
func TestBusy(t *testing.T) {
	client := newClient("http://database.example", refuse{})
	s := New(client, "cachito", WithPatience(300*time.Millisecond))
	for _, c := range []struct {
		name string
		call func(context.Context) error
	}{
		{"Create", func(ctx context.Context) error { _, err := s.Create(ctx, newRequest()); return err }},
		{"Get", func(ctx context.Context) error { _, err := s.Get(ctx, 1); return err }},
		{"Lease", func(ctx context.Context) error { return s.Lease(ctx, 1, "source", time.Time{}) }},
		{"List", func(ctx context.Context) error {
			_, err := s.List(ctx, store.Filter{}, store.Page{Number: 1, PerPage: 1})
			return err
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := c.call(t.Context()); !errors.Is(err, store.ErrBusy) || !errors.Is(err, awsclienttest.ErrLost) {
				t.Errorf("got %v, want ErrBusy with its cause", err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if err := c.call(ctx); !errors.Is(err, context.Canceled) {
				t.Errorf("after the caller went away: got %v, want context.Canceled", err)
			}
		})
	}
}

// TestTurns: a writer that waits for others of its process gives up as well.
func TestTurns(t *testing.T) {
	s := New(newClient("http://database.example", refuse{}), "cachito", WithPatience(50*time.Millisecond))
	s.creating <- struct{}{}
	for i := range s.changing {
		s.changing[i] <- struct{}{}
	}
	for name, call := range map[string]func(context.Context) error{
		"Create":         func(ctx context.Context) error { _, err := s.Create(ctx, newRequest()); return err },
		"Update":         func(ctx context.Context) error { _, err := s.Update(ctx, 1, store.Update{}); return err },
		"Lease":          func(ctx context.Context) error { return s.Lease(ctx, -1, "source", time.Time{}) },
		"AddConfigFiles": func(ctx context.Context) error { return s.AddConfigFiles(ctx, 1, nil) },
	} {
		if err := call(t.Context()); !errors.Is(err, store.ErrBusy) || !errors.Is(err, errTurn) {
			t.Errorf("%s: got %v, want ErrBusy because of errTurn", name, err)
		}
	}
}

// refuse is a network that does not answer.
type refuse struct{}

// RoundTrip implements http.RoundTripper.
func (refuse) RoundTrip(*http.Request) (*http.Response, error) { return nil, awsclienttest.ErrLost }
