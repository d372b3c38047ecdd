package api

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// stream answers with the JSON text that write makes. An error is returned as long as nothing was sent;
// later the connection is cut, so that nobody takes a part for the whole.
func (c *call) stream(contentType string, status int, write func(w io.Writer) error) error {
	d := newDelivery(c, status, contentType)
	defer d.end()
	err := write(&ascii{next: d})
	if err == nil {
		err = d.close()
	}
	return c.ended(err)
}

// ended is the end of an answer that may have been begun.
func (c *call) ended(err error) error {
	if err == nil || errors.Is(err, errHeadDone) {
		return nil
	}
	if !c.begun {
		return err
	}
	if c.r.Context().Err() == nil {
		c.log.WarnContext(c.r.Context(), "answer broken off", "method", c.r.Method, "path", c.r.URL.Path, "error", err)
	}
	c.cut()
	return nil
}

// cut breaks the connection off. In a process without a server (cachito fetch) there is none to cut, and
// whoever reads has ended it.
func (c *call) cut() {
	if c.r.Context().Value(http.ServerContextKey) != nil {
		panic(http.ErrAbortHandler)
	}
}

// acceptsGzip reports whether the client takes compressed answers.
func acceptsGzip(r *http.Request) bool {
	for item := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		name, params, _ := strings.Cut(strings.TrimSpace(item), ";")
		if strings.EqualFold(strings.TrimSpace(name), "gzip") {
			q, ok := strings.CutPrefix(strings.ReplaceAll(params, " ", ""), "q=")
			weight, err := strconv.ParseFloat(q, 64)
			return !ok || err == nil && weight > 0
		}
	}
	return false
}

// withoutBody is a writer for HEAD: headers pass, the body does not.
type withoutBody struct{ http.ResponseWriter }

func (withoutBody) Write(p []byte) (int, error) { return len(p), nil }
