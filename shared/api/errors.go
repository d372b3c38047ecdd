package api

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/purl"
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
		noPURL     *purl.Error
		transition *request.TransitionError
		f          *fault.Error
		tooLarge   *http.MaxBytesError
	)
	switch {
	case errors.As(err, &problem):
		c.writeAs("application/problem+json", problem.status, map[string]any{
			"detail": problem.detail, "status": problem.status, "title": problem.title, "type": "about:blank", "error": problem.detail,
		})
		return
	case errors.As(err, &dates):
		list := map[string]string{}
		for _, p := range dates.params {
			list[p] = "invalid date format"
		}
		c.write(http.StatusBadRequest, map[string]any{"errors": list})
		return
	case errors.As(err, &answer):
	case errors.As(err, &tooLarge):
		answer = &httpError{http.StatusRequestEntityTooLarge, fmt.Sprintf("The request body is larger than %d bytes", tooLarge.Limit)}
	case errors.As(err, &noPURL):
		answer = &httpError{http.StatusNotImplemented, noPURL.Message}
	case errors.As(err, &transition):
		answer = &httpError{http.StatusBadRequest, transition.Error()}
	case errors.Is(err, store.ErrNotFound):
		answer = errNotFound
	case errors.Is(err, store.ErrItemTooLarge):
		answer = &httpError{http.StatusRequestEntityTooLarge, "The request is too large to be stored"}
	case errors.As(err, &f) && f.Origin == fault.OriginClient:
		answer = &httpError{http.StatusBadRequest, f.Message}
	default:
		answer = errInternal
		if c.r.Context().Err() == nil {
			c.Log.ErrorContext(c.r.Context(), "call failed", "method", c.r.Method, "path", c.r.URL.Path, "error", err)
		}
	}
	c.write(answer.status, map[string]string{"error": answer.text})
}

// write answers with JSON: keys sorted, ASCII only, a newline at the end.
func (c *call) write(status int, v any) { c.writeAs("application/json", status, v) }

// compressFrom is the size from which an answer is compressed for a client that accepts it.
const compressFrom = 4 << 10

func (c *call) writeAs(contentType string, status int, v any) {
	raw, err := marshal(v)
	if err != nil {
		c.Log.ErrorContext(c.r.Context(), "answer not encoded", "error", err)
		status, raw = errInternal.status, []byte(`{"error": "`+errInternal.text+`"}`+"\n")
	}
	c.send(contentType, status, raw)
}

func (c *call) send(contentType string, status int, raw []byte) {
	h := c.w.Header()
	h.Set("Content-Type", contentType)
	h.Add("Vary", "Accept-Encoding")
	if len(raw) < compressFrom || !acceptsGzip(c.r) {
		h.Set("Content-Length", fmt.Sprint(len(raw)))
		c.w.WriteHeader(status)
		if c.r.Method != http.MethodHead {
			c.w.Write(raw)
		}
		return
	}
	h.Set("Content-Encoding", "gzip")
	c.w.WriteHeader(status)
	if c.r.Method == http.MethodHead {
		return
	}
	z, _ := gzip.NewWriterLevel(c.w, gzip.BestSpeed)
	z.Write(raw)
	z.Close()
}

func acceptsGzip(r *http.Request) bool {
	for _, item := range strings.Split(r.Header.Get("Accept-Encoding"), ",") {
		name, params, _ := strings.Cut(strings.TrimSpace(item), ";")
		if strings.EqualFold(strings.TrimSpace(name), "gzip") {
			return strings.ReplaceAll(params, " ", "") != "q=0"
		}
	}
	return false
}

// marshal encodes v with everything outside ASCII escaped.
func marshal(v any) ([]byte, error) {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return ascii(b.String()), nil
}

// ascii escapes the characters of JSON text that are not ASCII.
func ascii(text string) []byte {
	out := make([]byte, 0, len(text))
	for _, r := range text {
		switch {
		case r < 0x80:
			out = append(out, byte(r))
		case r < 0x10000:
			out = fmt.Appendf(out, `\u%04x`, r)
		default:
			r -= 0x10000
			out = fmt.Appendf(out, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		}
	}
	return out
}
