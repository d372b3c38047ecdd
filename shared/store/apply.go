package store

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/cachito-serverless/cachito/shared/request"
)

// This file holds the rules of a change of a request that are the same for every adapter. An adapter
// reads the request, applies the rule, and writes the outcome conditionally on what it read.

// resolvePrefix begins the name of a package manager's step.
const resolvePrefix = "resolve-"

// SourceStep is the step whose message Create's caller sends.
const SourceStep = "source"

// Apply changes req as u says, all or nothing. onceApplied tells that an entry named u.Once was
// applied before. The returned entry, when there is one, is to be added to the history; req.History
// itself stays as it is. now must be in UTC with microseconds at most.
//
// A repeat (State and Reason equal the newest entry) is accepted even when u.IfState does not hold any
// more: it is how the caller learns that its first try arrived.
func (u Update) Apply(req *request.Request, onceApplied bool, now time.Time) (*request.StateChange, error) {
	transition := u.State != "" && (u.Once == "" || !onceApplied)
	repeat := transition && u.State == req.State && u.Reason == req.StateReason
	if u.IfState != "" && u.IfState != req.State && !repeat {
		return nil, fmt.Errorf("request %d is in state %s, not %s: %w", req.ID, req.State, u.IfState, ErrConflict)
	}
	if transition && !repeat && !req.State.CanBecome(u.State) {
		return nil, &request.TransitionError{From: req.State, To: u.State}
	}
	var entry *request.StateChange
	if transition && !repeat {
		// History is ordered by time, also when the clock was set back.
		if now.Before(req.Updated) {
			now = req.Updated
		}
		entry = &request.StateChange{State: u.State, Reason: u.Reason, At: now}
		req.State, req.StateReason, req.Updated = u.State, u.Reason, now
	}
	if transition && u.State == request.StateFailed && u.ErrorOrigin != "" && u.ErrorType != "" {
		req.ErrorOrigin, req.ErrorType = u.ErrorOrigin, u.ErrorType
	}
	u.applyFields(req)
	return entry, nil
}

func (u Update) applyFields(req *request.Request) {
	for name, v := range u.EnvironmentVariables {
		if req.EnvironmentVariables == nil {
			req.EnvironmentVariables = map[string]request.EnvironmentVariable{}
		}
		req.EnvironmentVariables[name] = v
	}
	for name, key := range u.Results {
		if req.Results == nil {
			req.Results = map[string]string{}
		}
		req.Results[name] = key
	}
	if u.PackagesCount != nil {
		req.PackagesCount = new(*u.PackagesCount)
	}
	if u.DependenciesCount != nil {
		req.DependenciesCount = new(*u.DependenciesCount)
	}
	if u.Source != nil {
		req.Source = *u.Source
	}
	if u.PackagesKey != nil {
		req.PackagesKey = *u.PackagesKey
	}
	if u.Bundle != nil {
		req.Bundle = new(*u.Bundle)
	}
	if u.DropBundle {
		req.Bundle = nil
	}
}

// CheckStep returns the step of req, or an error that names the steps there are.
func CheckStep(req *request.Request, step string) (request.Step, error) {
	s, ok := req.Steps[step]
	if !ok {
		var names []string
		for name := range req.Steps {
			names = append(names, name)
		}
		slices.Sort(names)
		return s, fmt.Errorf("request %d has no step %q: its steps are %s", req.ID, step, strings.Join(names, ", "))
	}
	return s, nil
}

// Finish marks the step done. done tells that it was before, which is no error in any state; else a
// request that is not in_progress is an ErrConflict.
func Finish(req *request.Request, step string) (done bool, err error) {
	s, err := CheckStep(req, step)
	if err != nil || s.State == request.StepDone {
		return err == nil, err
	}
	if req.State != request.StateInProgress {
		return false, fmt.Errorf("finishing step %s: request %d is in state %s: %w", step, req.ID, req.State, ErrConflict)
	}
	s.State = request.StepDone
	s.LeaseUntil = time.Time{}
	req.Steps[step] = s
	return false, nil
}

// HandBack ends a run of a step at its time limit, and returns how many runs in a row were idle. A request that
// is not in_progress is an ErrConflict.
func HandBack(req *request.Request, step string, progress bool) (idle int, err error) {
	s, err := CheckStep(req, step)
	if err != nil {
		return 0, err
	}
	if req.State != request.StateInProgress {
		return 0, fmt.Errorf("handing step %s back: request %d is in state %s: %w", step, req.ID, req.State, ErrConflict)
	}
	s.LeaseUntil = time.Time{}
	s.IdleRuns++
	if progress {
		s.IdleRuns = 0
	}
	req.Steps[step] = s
	return s.IdleRuns, nil
}

// Reopen makes done steps wait again and forgets what they left behind. When it was sent and how often
// stays, so that the reaper's limit holds across reopenings.
func Reopen(req *request.Request, steps []string) error {
	if req.State != request.StateInProgress {
		return fmt.Errorf("reopening steps: request %d is in state %s: %w", req.ID, req.State, ErrConflict)
	}
	for _, name := range steps {
		if _, err := CheckStep(req, name); err != nil {
			return err
		}
	}
	for _, name := range steps {
		s := req.Steps[name]
		if s.State != request.StepDone {
			continue
		}
		s.State = request.StepWaiting
		s.LeaseUntil = time.Time{}
		s.Progress = request.Progress{}
		s.IdleRuns = 0
		req.Steps[name] = s
		switch manager, resolve := strings.CutPrefix(name, resolvePrefix); {
		case resolve:
			delete(req.Results, manager)
		case name == SourceStep:
			req.Source = ""
		case name == "bundle":
			req.Bundle, req.PackagesKey = nil, ""
		}
	}
	return nil
}

// References are the blob keys that req keeps from being pruned, sorted, each once; a stale request has
// none.
func References(req *request.Request) []string {
	if req.State == request.StateStale {
		return nil
	}
	keys := []string{req.Source, req.PackagesKey}
	if req.Bundle != nil {
		keys = append(keys, req.Bundle.Key)
	}
	for _, key := range req.Results {
		keys = append(keys, key)
	}
	keys = slices.DeleteFunc(keys, func(key string) bool { return key == "" })
	slices.Sort(keys)
	return slices.Compact(keys)
}

// Percentile interpolates linearly between the ranks of sorted values: of 10, 20, 30, 40 the 0.5 is 25
// and the 0.95 is 38.5. It needs at least one value.
func Percentile(sorted []time.Duration, p float64) time.Duration {
	rank := p * float64(len(sorted)-1)
	low := int(rank)
	if low+1 >= len(sorted) {
		return sorted[len(sorted)-1]
	}
	between := rank - float64(low)
	return sorted[low] + time.Duration(math.Round(between*float64(sorted[low+1]-sorted[low])))
}
