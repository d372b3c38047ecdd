package api

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/cachito-serverless/cachito/shared/request"
)

const (
	// MaxBodyBytes bounds the body of a request or of a report about one.
	MaxBodyBytes = 1 << 20
	// MaxConfigFilesBytes bounds one delivery of configuration files (Lambda takes 6 MB).
	MaxConfigFilesBytes = 6 << 20
)

// body is what a route wants of the request's body.
type body struct {
	schema   *request.Schema
	maxBytes int64
}

// readBody reads, decodes and checks the body of a route that has one. An empty body counts as null.
func (c *call) readBody() error {
	raw, err := io.ReadAll(http.MaxBytesReader(c.w, c.r.Body, c.route.body.maxBytes))
	if err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			return &httpError{http.StatusRequestEntityTooLarge, fmt.Sprintf("The request body is larger than %d bytes", tooLarge.Limit)}
		}
		return badRequest("The request body could not be read")
	}
	if len(raw) > 0 {
		contentType := c.r.Header.Get("Content-Type")
		if !isJSON(contentType) {
			return &problemError{
				http.StatusUnsupportedMediaType, "Unsupported Media Type",
				fmt.Sprintf("Invalid Content-type (%s), expected JSON data", contentType),
			}
		}
		if c.body, err = request.ParseJSON(raw); err != nil || c.body == nil {
			return &problemError{http.StatusBadRequest, "Bad Request", "Request body is not valid JSON"}
		}
	}
	return c.route.body.schema.Check(c.body)
}

// isJSON: application/json or application/<anything>+json; letter case and parameters do not matter.
func isJSON(contentType string) bool {
	media, _, err := mime.ParseMediaType(contentType)
	if err != nil && media == "" {
		media, _, _ = strings.Cut(contentType, ";")
		media = strings.ToLower(strings.TrimSpace(media))
	}
	return media == "application/json" || strings.HasPrefix(media, "application/") && strings.HasSuffix(media, "+json")
}
