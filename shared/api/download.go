package api

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/cachito-serverless/cachito/shared/blob"
	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/requestlog"
)

// presignTTL is how long a redirect's URL works: long enough to begin a slow client's download.
const presignTTL = time.Hour

// maxChecksumBytes bounds the object that holds a bundle's checksum in hex.
const maxChecksumBytes = 128

// download answers GET /requests/{id}/download with the bundle, or with a redirect to it.
func (c *call) download() error {
	ctx := c.r.Context()
	req, err := c.load()
	if err != nil {
		return err
	}
	if req.State != request.StateComplete {
		return badRequest(`The request must be in the "complete" state before downloading the archive`)
	}
	if req.Bundle == nil {
		return fmt.Errorf("request %d is complete and has no bundle", req.ID)
	}
	o, err := c.Blobs.Open(ctx, req.Bundle.Key)
	if err != nil {
		return fmt.Errorf("bundle of request %d: %w", req.ID, err)
	}
	defer o.Close()
	stored, err := c.Blobs.Get(ctx, req.Bundle.Key+".sha256", maxChecksumBytes)
	if err == nil && strings.TrimSpace(string(stored)) != req.Bundle.SHA256 || o.Info().Size != req.Bundle.Size {
		c.log.ErrorContext(ctx, "bundle differs from its record", "cachito_request_id", req.ID, "size", o.Info().Size, "want_size", req.Bundle.Size)
		return &httpError{http.StatusInternalServerError, fmt.Sprintf("Checksum of bundle archive %d.tar.gz has changed.", req.ID)}
	}
	if err != nil && !errors.Is(err, blob.ErrNotFound) {
		return err
	}
	sum, err := hex.DecodeString(req.Bundle.SHA256)
	if err != nil {
		return fmt.Errorf("checksum of request %d: %w", req.ID, err)
	}
	h := c.w.Header()
	disposition := fmt.Sprintf("attachment; filename=cachito-%d.tar.gz", req.ID)
	digest := "sha-256=" + base64.StdEncoding.EncodeToString(sum)
	// A URL is signed for one method: HEAD is answered here, which needs no body.
	if c.r.Method != http.MethodHead && c.redirects(req.Bundle.Size) {
		url, err := c.Blobs.PresignGet(ctx, req.Bundle.Key, presignTTL, map[string]string{
			"response-content-type": "application/gzip", "response-content-disposition": disposition,
		})
		if err == nil {
			h.Set("Digest", digest)
			h.Set("Location", url)
			c.w.WriteHeader(http.StatusFound)
			return nil
		}
		if !errors.Is(err, blob.ErrNoPresign) {
			return err
		}
	}
	h.Set("Digest", digest)
	h.Set("Content-Type", "application/gzip")
	h.Set("Content-Disposition", disposition)
	h.Set("Cache-Control", "no-cache")
	h.Set("ETag", `"`+req.Bundle.SHA256+`"`)
	http.ServeContent(&rangeError{ResponseWriter: c.w}, c.r, "", req.Updated.Truncate(time.Second), io.NewSectionReader(o, 0, o.Info().Size))
	return nil
}

func (c *call) redirects(size int64) bool {
	return c.Config.Download == DownloadRedirect || c.Config.Download == DownloadAuto && size > InlineBytes
}

// rangeError replaces net/http's plain text about a range that cannot be served.
type rangeError struct {
	http.ResponseWriter
	replaced bool
}

func (w *rangeError) WriteHeader(status int) {
	if status != http.StatusRequestedRangeNotSatisfiable {
		w.ResponseWriter.WriteHeader(status)
		return
	}
	const text = `{"error": "The server cannot provide the requested range."}` + "\n"
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	w.Header().Del("Content-Disposition")
	w.Header().Del("Digest")
	w.ResponseWriter.WriteHeader(status)
	w.replaced = true
	io.WriteString(w.ResponseWriter, text) // a client that goes away is no error of ours
}

func (w *rangeError) Write(p []byte) (int, error) {
	if w.replaced {
		return len(p), nil
	}
	return w.ResponseWriter.Write(p)
}

// logs answers GET /requests/{id}/logs with the log as far as it is written.
func (c *call) logs() error {
	if !c.LogsEnabled {
		return errNotFound
	}
	req, err := c.load()
	if err != nil {
		return err
	}
	log, err := requestlog.Open(c.r.Context(), c.Blobs, req.ID)
	if err != nil && !errors.Is(err, blob.ErrNotFound) {
		return err
	}
	if err != nil {
		switch req.State {
		case request.StateStale:
			return &httpError{http.StatusGone, fmt.Sprintf("The logs for the Cachito request %d no longer exist", req.ID)}
		case request.StateInProgress:
			log = io.NopCloser(http.NoBody)
		default:
			return errNotFound
		}
	}
	defer log.Close()
	const contentType = "text/plain; charset=utf-8"
	if c.MaxAnswerBytes > 0 {
		return c.sized(contentType, log)
	}
	c.w.Header().Set("Content-Type", contentType)
	if c.r.Method == http.MethodHead {
		c.w.WriteHeader(http.StatusOK)
		return nil
	}
	if _, err := io.Copy(c.w, log); err != nil {
		if ctx := c.r.Context(); ctx.Err() == nil {
			c.log.WarnContext(ctx, "log broken off", "cachito_request_id", req.ID, "error", err)
		}
		c.cut()
	}
	return nil
}

// sized answers with what content holds, in the way that its size allows.
func (c *call) sized(contentType string, content io.Reader) error {
	d := newDelivery(c, http.StatusOK, contentType)
	defer d.end()
	_, err := io.Copy(d, content)
	if err == nil {
		err = d.close()
	}
	return c.ended(err)
}
