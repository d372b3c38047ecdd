package api

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/cachito-serverless/cachito/shared/blob"
	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/purl"
	"github.com/cachito-serverless/cachito/shared/queue"
	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/store"
)

// httpError is an answer other than success, with the text that the client is shown.
type httpError struct {
	status int
	text   string
}

func (e *httpError) Error() string { return e.text }

var (
	errNotFound     = &httpError{http.StatusNotFound, "The requested resource was not found"}
	errUnauthorized = &httpError{http.StatusUnauthorized, "The server could not verify that you are authorized to access the URL requested. You either supplied the wrong credentials (e.g. a bad password), or your browser doesn't understand how to supply the credentials required."}
	errInternal     = &httpError{http.StatusInternalServerError, "The server encountered an internal error and was unable to complete your request. Either the server is overloaded or there is an error in the application."}
)

func badRequest(format string, args ...any) error {
	return &httpError{http.StatusBadRequest, fmt.Sprintf(format, args...)}
}

// problemError is answered as application/problem+json, with "error" added for clients that read it.
type problemError struct {
	status        int
	title, detail string
}

func (e *problemError) Error() string { return e.detail }

// dateError names the date parameters that are ISO 8601 but not of a form that is accepted.
type dateError struct{ params []string }

func (e *dateError) Error() string { return "invalid date format: " + strings.Join(e.params, ", ") }

// fail answers with an error. What nobody foresaw is logged, and the client is told nothing of it.
func (c *call) fail(err error) {
	var (
		answer     *httpError
		problem    *problemError
		dates      *dateError
		invalid    *request.InvalidError
		noPURL     *purl.Error
		transition *request.TransitionError
		f          *fault.Error
		busy       *busyError
	)
	switch {
	case errors.As(err, &problem):
		c.sendError("application/problem+json", problem.status, object{
			"detail": problem.detail, "status": problem.status, "title": problem.title, "type": "about:blank", "error": problem.detail,
		})
		return
	case errors.As(err, &dates):
		list := object{}
		for _, p := range dates.params {
			list[p] = "invalid date format"
		}
		c.sendError("application/json", http.StatusBadRequest, object{"errors": list})
		return
	case errors.As(err, &answer):
	case errors.As(err, &invalid):
		answer = &httpError{http.StatusBadRequest, invalid.Text}
	case errors.As(err, &noPURL):
		answer = &httpError{http.StatusNotImplemented, noPURL.Message}
	case errors.As(err, &transition):
		answer = &httpError{http.StatusBadRequest, transition.Error()}
	case errors.Is(err, store.ErrNotFound):
		answer = errNotFound
	case errors.Is(err, store.ErrItemTooLarge):
		answer = &httpError{http.StatusRequestEntityTooLarge, "The request is too large to be stored"}
	case busyPart(err) != "":
		part := busyPart(err)
		c.log.WarnContext(c.r.Context(), "service busy", "part", part, "method", c.r.Method, "path", c.r.URL.Path, "error", err)
		answer = &httpError{http.StatusServiceUnavailable, "The " + part + " is busy, please try again later"}
	case errors.As(err, &busy):
		busy.tell(c.w.Header())
		answer = &httpError{http.StatusServiceUnavailable, busy.Error()}
	case errors.As(err, &f) && f.Origin == fault.OriginClient:
		answer = &httpError{http.StatusBadRequest, f.Message}
	default:
		answer = errInternal
		if c.r.Context().Err() == nil { // else the client went away, and nobody reads this
			c.log.ErrorContext(c.r.Context(), "call failed", "method", c.r.Method, "path", c.r.URL.Path, "error", err)
		}
	}
	c.sendError("application/json", answer.status, object{"error": answer.text})
}

// busyPart is the part of the service that an error says to be busy, or "".
func busyPart(err error) string {
	switch {
	case errors.Is(err, store.ErrBusy):
		return "database"
	case errors.Is(err, blob.ErrBusy):
		return "storage"
	case errors.Is(err, queue.ErrBusy):
		return "queue"
	}
	return ""
}

func (c *call) sendError(contentType string, status int, v object) {
	err := c.stream(contentType, status, func(w io.Writer) error {
		if err := writeValue(w, v); err != nil {
			return err
		}
		_, err := io.WriteString(w, "\n")
		return err
	})
	if err != nil {
		c.log.ErrorContext(c.r.Context(), "error not told", "error", err)
		c.w.WriteHeader(http.StatusInternalServerError)
	}
}
