// Package dynamodb is the database of requests on DynamoDB: one table, on demand, without secondary
// indexes (they are only eventually consistent). Everything a list, a search or a metric needs is an item of
// its own, written in the transaction that changes the request; there is no Scan. docs/design.md shows the
// keys and what each use costs.
//
// A transaction carries a token under which the database applies it once, however often it is sent, and every
// change is conditional on the version that was read: a lost answer never does anything twice.
package dynamodb

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/cachito-serverless/cachito/shared/awsclient"
	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/store"
)

const (
	// patience is how long a call is tried again before it is ErrBusy: API Gateway gives up after 29 s.
	patience = 15 * time.Second
	// Pauses between tries: random, up to a bound that doubles from the first to the last.
	firstPause, lastPause = 4 * time.Millisecond, 250 * time.Millisecond
	// stripes is how many locks keep this process from competing with itself for a request.
	stripes = 64
	// parallel bounds the reads that one call has under way.
	parallel = 8
)

// Store is the database. Make it with New.
type Store struct {
	db       *sdk.Client
	table    string
	clock    func() time.Time
	patience time.Duration

	// Within one process writers wait for each other, which costs less than to conflict in the database.
	// Nothing relies on it.
	creating gate
	changing [stripes]gate
}

var _ store.Store = (*Store)(nil)

// Option changes how a database is used.
type Option func(*Store)

// WithClock sets the time that is stored; the default is time.Now.
func WithClock(clock func() time.Time) Option { return func(s *Store) { s.clock = clock } }

// WithPatience sets how long a call is tried again before it is ErrBusy.
func WithPatience(d time.Duration) Option { return func(s *Store) { s.patience = d } }

// New uses a table that has the keys of Table. The client's transport must read whole answers before it
// returns them, and give up on one that does not come.
func New(client *sdk.Client, table string, opts ...Option) *Store {
	// One kind of retry is enough: ours knows what a lost answer means.
	client = sdk.New(client.Options(), func(o *sdk.Options) {
		o.Retryer = aws.NopRetryer{}
		o.APIOptions = append(slices.Clip(o.APIOptions), awsclient.Explain(awsclient.Resource{
			Name: func(any) string { return "table " + table }, Settings: "CACHITO_TABLE", Busy: store.ErrBusy,
			Type: fault.DatabaseError, Sentence: "The database of the service does not work. Please try again later.",
		}))
	})
	s := &Store{db: client, table: table, clock: time.Now, patience: patience, creating: newGate()}
	for i := range s.changing {
		s.changing[i] = newGate()
	}
	for _, opt := range opts {
		opt(s)
	}
	return s
}

// Close implements store.Store. The client is its maker's.
func (s *Store) Close() error { return nil }

// Ping implements store.Store.
func (s *Store) Ping(ctx context.Context) error {
	if _, err := s.getItem(ctx, lastKey); err != nil {
		return fmt.Errorf("reading table %s: %w", s.table, err)
	}
	return nil
}

// now is the time to be stored.
func (s *Store) now() time.Time { return micro(s.clock()) }

// micro is the precision of stored times.
func micro(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.UTC().Truncate(time.Microsecond)
}

// gate lets one at a time through.
type gate chan struct{}

func newGate() gate { return make(gate, 1) }

// errTurn: others of this process hold a request, or creation, for too long.
var errTurn = errors.New("waiting for this process's other writers")

// enter waits for its turn, as long as a call is tried; the caller leaves. store.ErrBusy.
func (s *Store) enter(ctx context.Context, g gate) error {
	timeout := time.NewTimer(s.patience)
	defer timeout.Stop()
	select {
	case g <- struct{}{}:
		return nil
	case <-timeout.C:
		return fmt.Errorf("%w: %w", store.ErrBusy, errTurn)
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (g gate) leave() { <-g }

// pace is the time between tries of one call.
type pace struct {
	deadline time.Time
	pause    time.Duration
}

func (s *Store) newPace() *pace { return &pace{deadline: time.Now().Add(s.patience)} }

// wait pauses before the next try. When there is none it returns store.ErrBusy with the cause.
func (p *pace) wait(ctx context.Context, cause error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if time.Now().After(p.deadline) {
		return fmt.Errorf("%w: %w", store.ErrBusy, cause)
	}
	p.pause = min(max(2*p.pause, firstPause), lastPause)
	select {
	case <-time.After(rand.N(p.pause)):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
