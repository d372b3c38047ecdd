// Package request is the domain of Cachito's API: a request, its states and legal transitions, and
// what a body must look like to become one. It is pure: no I/O, no HTTP, no package manager's name.
package request

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"
)

// State of a request: its name on the wire.
type State string

// The states. New requests are in progress; stale is the end of everything.
const (
	StateInProgress State = "in_progress"
	StateComplete   State = "complete"
	StateFailed     State = "failed"
	StateStale      State = "stale"
)

// Reasons that clients see in state_reason.
const (
	ReasonInitiated   = "The request was initiated"
	ReasonSource      = "Fetching the application source"
	ReasonBundle      = "Assembling the bundle archive"
	ReasonAggregate   = "Aggregating packages data"
	ReasonComplete    = "Completed successfully"
	ReasonExpired     = "The request has expired"
	ReasonNotEnqueued = "Failed to schedule the task to the workers. Please try again."
)

// CanBecome reports whether a request in state s may move to next.
func (s State) CanBecome(next State) bool {
	switch s {
	case StateInProgress:
		return true
	case StateComplete, StateFailed:
		return next == StateStale
	default:
		return false
	}
}

// TransitionError is an illegal change of state.
type TransitionError struct{ From, To State }

func (e *TransitionError) Error() string {
	return fmt.Sprintf("State transition is not allowed from %s to %s.", e.From, e.To)
}

// Request is one stored order to fetch a repository at a commit.
type Request struct {
	ID   int64
	Repo string
	// Ref is a commit: 40 lower-case hex digits.
	Ref string
	// PackageManagers in the API's fixed order.
	PackageManagers []string
	// Packages holds, for each package manager, the array of option objects as it was sent.
	Packages     map[string]json.RawMessage
	Flags        []string // sorted
	Replacements []Replacement
	User         string // "" = null
	SubmittedBy  string // "" = null

	Created     time.Time // zero = null (old rows)
	State       State
	StateReason string
	Updated     time.Time // of the newest history entry
	// History is newest first. List leaves it nil unless asked for it.
	History []StateChange

	// ErrorOrigin and ErrorType are both set or both empty.
	ErrorOrigin string
	ErrorType   string

	EnvironmentVariables map[string]EnvironmentVariable
	PackagesCount        *int64
	DependenciesCount    *int64

	// Steps of the pipeline by name ("source", "resolve-gomod", "bundle"), fixed at creation.
	Steps map[string]Step
	// Source is the key of the source record once the source step is done.
	Source string
	// Results holds the result key of each package manager that is done.
	Results map[string]string
	// PackagesKey is the blob that holds the packages data; empty until there is one.
	PackagesKey string
	// Bundle is nil until the bundle step is done.
	Bundle *Bundle
}

// Replacement is an entry of dependency_replacements.
type Replacement struct {
	Name    string `json:"name"`
	Type    string `json:"type"`
	Version string `json:"version"`
	NewName string `json:"new_name,omitempty"`
}

// EnvironmentVariable is what a build from the bundle must set. Kind is "path" (relative to the
// bundle's root) or "literal".
type EnvironmentVariable struct {
	Value string `json:"value"`
	Kind  string `json:"kind"`
}

// StateChange is one entry of a request's history.
type StateChange struct {
	State  State
	Reason string
	At     time.Time
}

// Bundle is a finished archive: where it lies and what it must hash to.
type Bundle struct {
	Key    string
	SHA256 string // lower-case hex
	Size   int64
}

// ConfigFile is a configuration file of a request. Its content is a blob (it may be larger than a
// database item): Key names it.
type ConfigFile struct {
	Path string // relative to the bundle's root
	Key  string // blob that holds the content as it was sent: base64 text
}

// ConfigFileKey is the blob that holds a configuration file's content, by that content: base64 text, as the
// API and the pipeline both store it.
func ConfigFileKey(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "configfiles/" + hex.EncodeToString(sum[:])
}

// StepState says whether a step of the pipeline still has to run.
type StepState string

// A step waits until its work is done; nothing creates or removes a step after the request was made.
const (
	StepWaiting StepState = "waiting"
	StepDone    StepState = "done"
)

// Step is the book-keeping of one step of one request.
type Step struct {
	State StepState
	// SentAt is when its message was last sent; zero: never.
	SentAt time.Time
	// Sends counts the reaper's re-sends.
	Sends int
	// LeaseUntil is when the worker that runs it is given up for dead; zero: nobody runs it.
	LeaseUntil time.Time
	Progress   Progress
	// IdleRuns counts the runs, one after the other, that reached their time limit without getting any further.
	IdleRuns int `json:",omitempty"`
}

// Progress is how far a step is: Done of Total dependencies, and Bytes fetched.
type Progress struct {
	Done  int64 `json:"done"`
	Total int64 `json:"total"`
	Bytes int64 `json:"bytes"`
}
