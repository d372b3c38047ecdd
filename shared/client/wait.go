package client

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/cachito-serverless/cachito/shared/request"
)

// Progress is how far each step of a request is, by step name ("source", "resolve-gomod").
type Progress map[string]StepProgress

// StepProgress of one step.
type StepProgress struct {
	State request.StepState `json:"state"`
	request.Progress
}

// Progress reads how far a request is. Services other than ours do not tell: nil, no error.
func (c *Client) Progress(ctx context.Context, id int64) (Progress, error) {
	raw, err := c.json(ctx, http.MethodGet, requestPath(id, "/progress"), nil)
	var refused *StatusError
	if errors.As(err, &refused) && refused.Status == http.StatusNotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var answer struct {
		Steps Progress `json:"steps"`
	}
	if err := json.Unmarshal(raw, &answer); err != nil {
		return nil, err
	}
	return answer.Steps, nil
}

// Polling: quick at first, since small requests take a second, then as upstream's clients do.
const (
	firstPause = 50 * time.Millisecond
	lastPause  = 3 * time.Second
	// patience is how many calls in a row may fail while waiting before Wait gives up.
	patience = 5
)

// Wait polls a request until it is no longer in progress and returns it. changed, when not nil, is
// told every answer. Single failed calls are forgiven; the service being gone for longer is an
// *UnreachableError.
func (c *Client) Wait(ctx context.Context, id int64, changed func(Request, Progress)) (Request, error) {
	pause, failures := firstPause, 0
	for {
		req, err := c.Get(ctx, id)
		var gone *UnreachableError
		switch {
		case errors.As(err, &gone):
			if failures++; failures >= patience {
				return Request{}, err
			}
		case err != nil:
			return Request{}, err
		default:
			failures = 0
			// Progress only decorates: a request without it is still the request.
			progress, progressErr := c.Progress(ctx, id)
			if progressErr != nil {
				progress = nil
			}
			if changed != nil {
				changed(req, progress)
			}
			if req.State != request.StateInProgress {
				return req, nil
			}
		}
		if err := sleep(ctx, pause); err != nil {
			return Request{}, err
		}
		pause = min(pause*5/4, lastPause)
	}
}
