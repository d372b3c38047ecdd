package store

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/cachito-serverless/cachito/shared/request"
)

// Request is the request that Create stores, apart from its id and history. now must be in UTC with
// microseconds at most.
func (n New) Request(now time.Time) request.Request {
	req := request.Request{
		Repo: n.Repo, Ref: n.Ref, PackageManagers: n.PackageManagers, Packages: n.Packages,
		Flags: n.Flags, Replacements: n.Replacements, User: n.User, SubmittedBy: n.SubmittedBy,
		Created: now, State: request.StateInProgress, StateReason: request.ReasonInitiated, Updated: now,
		Steps: map[string]request.Step{},
	}
	for _, name := range n.Steps {
		step := request.Step{State: request.StepWaiting}
		if name == SourceStep {
			step.SentAt = now
		}
		req.Steps[name] = step
	}
	return req
}

// EncodeRow is the row of a request without its history, in JSON. ErrItemTooLarge.
func EncodeRow(req request.Request) ([]byte, error) {
	req.History = nil
	raw, err := json.Marshal(req)
	if err != nil {
		return nil, err
	}
	if len(raw) > MaxItemBytes {
		return nil, fmt.Errorf("request %d would need %d bytes: %w", req.ID, len(raw), ErrItemTooLarge)
	}
	return raw, nil
}

// DecodeRow reads what EncodeRow wrote.
func DecodeRow(id int64, raw []byte) (request.Request, error) {
	var req request.Request
	if err := json.Unmarshal(raw, &req); err != nil {
		return req, fmt.Errorf("request %d is damaged: %w", id, err)
	}
	return req, nil
}

// MetricOf is the life of a request as its history (newest first) tells it; false while it is not over.
func MetricOf(id int64, history []request.StateChange) (Metric, bool) {
	for i, c := range slices.Backward(history) {
		if i == len(history)-1 || c.State != request.StateComplete && c.State != request.StateFailed {
			continue
		}
		first, second := history[len(history)-1], history[len(history)-2]
		return Metric{
			ID: id, FinalState: c.State, FinalStateReason: c.Reason, Finished: c.At,
			Duration: c.At.Sub(first.At), TimeInQueue: second.At.Sub(first.At),
		}, true
	}
	return Metric{}, false
}

// Life is what a summary needs of one finished request.
type Life struct {
	State                 request.State
	Duration, TimeInQueue time.Duration
	ErrorOrigin           string
}

// Summarize aggregates finished requests.
func Summarize(lives []Life) MetricsSummary {
	sum := MetricsSummary{Total: int64(len(lives))}
	if len(lives) == 0 {
		return sum
	}
	durations, queued := make([]time.Duration, 0, len(lives)), make([]time.Duration, 0, len(lives))
	for _, l := range lives {
		durations, queued = append(durations, l.Duration), append(queued, l.TimeInQueue)
		if l.State == request.StateComplete {
			sum.Complete++
		} else {
			sum.Failed++
		}
		switch l.ErrorOrigin {
		case "client":
			sum.ClientErrors++
		case "server":
			sum.ServerErrors++
		}
	}
	slices.Sort(durations)
	slices.Sort(queued)
	sum.DurationAvg, sum.Duration50, sum.Duration95 = average(durations), seconds(durations, 0.5), seconds(durations, 0.95)
	sum.TimeInQueueAvg, sum.TimeInQueue95 = average(queued), seconds(queued, 0.95)
	return sum
}

func average(list []time.Duration) *float64 {
	sum := 0.0
	for _, d := range list {
		sum += d.Seconds()
	}
	return new(sum / float64(len(list)))
}

func seconds(sorted []time.Duration, p float64) *float64 {
	return new(Percentile(sorted, p).Seconds())
}
