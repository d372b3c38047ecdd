// Package store is the port to the database of requests: states, history, ids, counters, list pages
// and the steps that still have to run. Its methods are use cases, not a key-value store, so that
// SQLite and DynamoDB can each serve them in their own way.
//
// Every adapter passes storetest.Run. All methods may be called concurrently. Every write is
// harmless when it is repeated: callers retry after a lost answer.
package store

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/cachito-serverless/cachito/shared/request"
)

// Errors that callers test for with errors.Is.
var (
	// ErrNotFound: no request has this id (or none matches).
	ErrNotFound = errors.New("request not found")
	// ErrConflict: the request is not in the state that the write was meant for; re-read it.
	ErrConflict = errors.New("request changed meanwhile")
	// ErrItemTooLarge: a row would exceed MaxItemBytes.
	ErrItemTooLarge = errors.New("item exceeds 400 KB")
	// ErrPageOutOfRange: a page past the last one (page 1 of an empty list is fine).
	ErrPageOutOfRange = errors.New("page out of range")
	// ErrBusy: too many writes at once, or the database does not answer; the same call may succeed later.
	ErrBusy = errors.New("the database is busy, please try again later")
)

// MaxItemBytes is DynamoDB's limit for one item. Every adapter enforces it on the JSON form of a
// request's row, so that what works locally works on AWS.
const MaxItemBytes = 400 * 1024

// Store is the database of requests.
type Store interface {
	// Create allots the next id (1, 2, 3, ... no gaps) and stores the request as in_progress with
	// the first history entry, all steps waiting, in one transaction.
	// The source step counts as sent (its SentAt is now), so that the reaper finds it when the
	// message never left.
	Create(ctx context.Context, n New) (request.Request, error)

	// Get returns one request with its history. ErrNotFound.
	Get(ctx context.Context, id int64) (request.Request, error)

	// List returns a page of requests, highest id first, and how many match in all.
	// Page and total cost O(page), not O(offset), for the unfiltered list and for one filter.
	// The requests of a list are shared with other callers, who only read them. ErrPageOutOfRange.
	List(ctx context.Context, f Filter, p Page) (List, error)

	// Latest returns the request with the highest id whose repository name (RepoName) and ref
	// are equal to these. ErrNotFound.
	Latest(ctx context.Context, repoName, ref string) (request.Request, error)

	// Update applies u all or nothing and returns the request as it is afterwards.
	// ErrNotFound; ErrConflict when u.IfState does not hold; *request.TransitionError.
	Update(ctx context.Context, id int64, u Update) (request.Request, error)

	// FinishStep marks a step done and applies u in the same transaction; when the step was done
	// before it only returns the request. ErrNotFound; ErrConflict when the request is not
	// in_progress.
	FinishStep(ctx context.Context, id int64, step string, u Update) (request.Request, error)

	// ReopenSteps makes done steps wait again (their output was lost) and forgets their results.
	// ErrNotFound; ErrConflict when the request is not in_progress.
	ReopenSteps(ctx context.Context, id int64, steps ...string) (request.Request, error)

	// MarkSent records that the step's message was sent now. resend also counts it as a re-send
	// of the reaper. ErrNotFound.
	MarkSent(ctx context.Context, id int64, step string, resend bool) error

	// Lease records until when the step's worker holds it; a zero time gives it back. It is
	// book-keeping for the reaper, no lock: two workers may hold one step. ErrNotFound.
	Lease(ctx context.Context, id int64, step string, until time.Time) error

	// HandBack records that a run of the step ended at its time limit: it gives the lease back, and
	// returns how many runs in a row, this one included, ended so without getting further than the
	// one before; a run with progress makes it 0. ErrNotFound; ErrConflict when the request is not
	// in_progress.
	HandBack(ctx context.Context, id int64, step string, progress bool) (idle int, err error)

	// Progress records how far a step is. It never changes updated, except that updated moves
	// when it is older than TouchAfter, so that clients do not give up. ErrNotFound.
	Progress(ctx context.Context, id int64, step string, p request.Progress) error

	// Unfinished returns in_progress requests with id > after, lowest id first, at most limit:
	// what the reaper looks through.
	Unfinished(ctx context.Context, after int64, limit int) ([]request.Request, error)

	// Expired returns ids of requests in the state whose updated is before the time, lowest first,
	// with id > after, at most limit.
	Expired(ctx context.Context, s request.State, before time.Time, after int64, limit int) ([]int64, error)

	// Referenced reports whether any request that is not stale refers to the blob key as its
	// bundle, packages data, source or result.
	Referenced(ctx context.Context, key string) (bool, error)

	// AddConfigFiles adds files to a request; an exact repeat (path and key) is dropped, the same
	// path with another key is a second entry. ErrNotFound.
	AddConfigFiles(ctx context.Context, id int64, files []request.ConfigFile) error

	// ConfigFiles returns a request's files sorted by path, ties in the order added. ErrNotFound.
	ConfigFiles(ctx context.Context, id int64) ([]request.ConfigFile, error)

	// Counts returns how many requests there are, and how many in each state now.
	Counts(ctx context.Context) (Counts, error)

	// Metrics returns a page of finished requests, highest id first. ErrPageOutOfRange.
	Metrics(ctx context.Context, f MetricsFilter, p Page) (MetricsList, error)

	// MetricsSummary aggregates all finished requests within the filter.
	MetricsSummary(ctx context.Context, f MetricsFilter) (MetricsSummary, error)

	// Ping does one cheap read.
	Ping(ctx context.Context) error

	// Close gives the adapter's resources back.
	Close() error
}

// TouchAfter bounds how long `updated` stands still while a step makes progress. Clients give a
// request up when it has not moved for an hour (api.md 16.1).
const TouchAfter = 25 * time.Minute

// New is a request to be created.
type New struct {
	Repo            string
	Ref             string
	PackageManagers []string
	Packages        map[string]json.RawMessage
	Flags           []string
	Replacements    []request.Replacement
	User            string
	SubmittedBy     string
	// Steps that this request has, "source" and "bundle" among them.
	Steps []string
	// Token makes Create harmless when repeated: a second Create with the same non-empty token
	// returns the first one's request.
	Token string
}

// Update is a change of a request. Zero fields change nothing.
type Update struct {
	// IfState, when not empty, is the state the request must be in (else ErrConflict).
	IfState request.State
	// State with Reason is a transition. When both equal the newest history entry nothing is
	// appended and it is no error, whatever the state (this makes repeats harmless).
	State  request.State
	Reason string
	// Once, when not empty, names this progress entry: State and Reason are applied only if no
	// entry of this name was applied before.
	Once string
	// ErrorOrigin and ErrorType are recorded only together and only with State failed; a second
	// error replaces the first. Else they are ignored.
	ErrorOrigin string
	ErrorType   string
	// EnvironmentVariables are merged in by name, the last write wins.
	EnvironmentVariables map[string]request.EnvironmentVariable
	PackagesCount        *int64
	DependenciesCount    *int64
	Source               *string
	Results              map[string]string // merged in
	PackagesKey          *string           // "" forgets it
	Bundle               *request.Bundle
	// DropBundle forgets the bundle (stale).
	DropBundle bool
}

// Filter narrows a list; filters are joined by AND, zero fields filter nothing.
type Filter struct {
	State           request.State
	Repo            string
	Ref             string
	PackageManagers []string // the request has all of them
	CreatedFrom     time.Time
	CreatedTo       time.Time // inclusive
	ErrorOrigin     string
	ErrorType       string
}

// Page is 1-based.
type Page struct {
	Number  int
	PerPage int
	// History asks for each request's history as well.
	History bool
}

// List is one page of requests.
type List struct {
	Requests []request.Request
	Total    int64
}

// Counts of requests: those that exist, and by their state now.
type Counts struct {
	Total   int64
	ByState map[request.State]int64
	// Completed is how many ever reached complete, and CompletedSeconds the sum of their
	// durations from creation to complete.
	Completed        int64
	CompletedSeconds float64
}

// MetricsFilter narrows metrics to requests that finished (reached complete or failed) in a period.
type MetricsFilter struct {
	FinishedFrom time.Time
	FinishedTo   time.Time // inclusive
	ErrorOrigin  string
	ErrorType    string
}

// Metric is the life of one finished request.
type Metric struct {
	ID               int64
	FinalState       request.State
	FinalStateReason string
	Finished         time.Time
	Duration         time.Duration // final state - first state
	TimeInQueue      time.Duration // second state - first state
}

// MetricsList is one page of metrics.
type MetricsList struct {
	Metrics []Metric
	Total   int64
}

// MetricsSummary aggregates metrics; the pointers (seconds) are nil when nothing matches.
// Percentiles interpolate linearly between ranks.
type MetricsSummary struct {
	DurationAvg, Duration50, Duration95 *float64
	TimeInQueueAvg, TimeInQueue95       *float64
	ClientErrors, ServerErrors          int64
	Total, Complete, Failed             int64
}
