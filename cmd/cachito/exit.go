package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/cachito-serverless/cachito/shared/client"
	"github.com/cachito-serverless/cachito/shared/config"
	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/wiring"
)

// Exit codes, part of the command's contract.
const (
	exitDone        = 0
	exitFailed      = 1 // the request failed, or we did
	exitUsage       = 2 // what was asked for makes no sense as it stands
	exitUnreachable = 3
	exitInterrupted = 130 // as shells have it for SIGINT
)

// usageError is a command line (or setting) that cannot be carried out as given.
type usageError struct{ message string }

func (e *usageError) Error() string { return e.message }

func usagef(format string, args ...any) error {
	return &usageError{fmt.Sprintf(format, args...)}
}

// requestError: the request ended, but not as complete.
type requestError struct{ req client.Request }

func (e *requestError) Error() string {
	text := fmt.Sprintf("request %d is %s: %s", e.req.ID, e.req.State, e.req.StateReason)
	if e.req.ErrorType != "" {
		text += fmt.Sprintf(" [%s, %s]", e.req.ErrorType, e.req.ErrorOrigin)
	}
	return text
}

// ended turns a finished request into nil or its reason.
func ended(req client.Request) error {
	if req.State == request.StateComplete {
		return nil
	}
	return &requestError{req}
}

// report prints why a command did not succeed and gives its exit code.
func report(ctx context.Context, stderr io.Writer, err error) int {
	if err == nil {
		return exitDone
	}
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		fmt.Fprintln(stderr, "cachito: interrupted")
		return exitInterrupted
	}
	fmt.Fprintf(stderr, "cachito: %v\n", err)
	var usage *usageError
	var setting *config.Error
	var settings *wiring.SettingError
	var gone *client.UnreachableError
	var refused *client.StatusError
	switch {
	case errors.As(err, &usage), errors.As(err, &setting), errors.As(err, &settings):
		return exitUsage
	case errors.As(err, &gone):
		return exitUnreachable
	case errors.As(err, &refused) && refused.Status < http.StatusInternalServerError:
		return exitUsage
	}
	return exitFailed
}
