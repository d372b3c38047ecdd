package api

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"strconv"
	"sync"

	"github.com/cachito-serverless/cachito/shared/blob"
)

const (
	// bufferedAnswer is up to which size an answer is put together before it is sent: it then has a
	// Content-Length, and an error on the way can still be told.
	bufferedAnswer = 64 << 10
	// compressFrom is the size from which an answer is compressed for a client that accepts it.
	compressFrom = 4 << 10
)

// LambdaAnswerBytes is Config.MaxAnswerBytes for Lambda: 6 MB less what headers need.
const LambdaAnswerBytes = 6<<20 - 64<<10

// AnswersPrefix begins the keys of answers that were stored because they are too large to be sent. They are
// temporary: whoever operates the storage may delete them a day after they were written.
const AnswersPrefix = "answers/"

// errHeadDone ends the making of an answer to HEAD once its headers are sent.
var errHeadDone = errors.New("HEAD needs no body")

// Answers are many, and what they need to be made is large beside them.
var (
	buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}
	zips    = sync.Pool{New: func() any {
		z, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed) // the level is a valid one
		return z
	}}
)

// maxBuffer is what is worth keeping of a buffer that grew.
const maxBuffer = 2 * bufferedAnswer

// newDelivery begins an answer; end it with end.
func newDelivery(c *call, status int, contentType string) *delivery {
	held := buffers.Get().(*bytes.Buffer)
	held.Reset()
	return &delivery{c: c, status: status, contentType: contentType, held: held}
}

// delivery is the way of an answer to the client, and the one place that decides about its size (the ladder of
// api.md 18): as it is while it is small; compressed for a client that accepts it; and where the
// transport has a limit (Config.MaxAnswerBytes), from there on as a stored object, to which the client is
// redirected. Without a limit nothing is held back beyond bufferedAnswer.
type delivery struct {
	c           *call
	status      int
	contentType string

	held *bytes.Buffer // not sent yet: plain, or compressed once zip is there
	zip  *gzip.Writer  // nil: plain
	cost int64         // of what was written plain, on the transport
	out  io.Writer     // where held goes, once it is decided
	file *stored       // the object, beyond the limit
}

// stored is an answer on its way into the storage.
type stored struct {
	blob.Writer
	sum hash.Hash // names it: the same answer is stored once
}

func (s *stored) Write(p []byte) (int, error) {
	s.sum.Write(p) // never fails
	return s.Writer.Write(p)
}

// Write implements io.Writer.
func (d *delivery) Write(p []byte) (int, error) {
	if d.zip != nil {
		if _, err := d.zip.Write(p); err != nil {
			return 0, err
		}
	} else {
		if d.c.MaxAnswerBytes > 0 {
			d.cost += textCost(p)
		}
		d.held.Write(p)
	}
	return len(p), d.grown()
}

// grown moves on what is held when it has become too much.
func (d *delivery) grown() error {
	switch limit := d.c.MaxAnswerBytes; {
	case d.held.Len() <= bufferedAnswer:
		return nil
	case d.out != nil: // sent or stored as it comes
	case d.zip == nil && acceptsGzip(d.c.r):
		return d.compress()
	case d.c.r.Method == http.MethodHead: // nobody needs the rest
		d.head()
		d.c.w.WriteHeader(d.status)
		return errHeadDone
	case limit == 0:
		d.head()
		d.c.w.WriteHeader(d.status)
		d.out = d.c.w
	case d.onTransport() <= limit:
		return nil
	default:
		if err := d.store(); err != nil {
			return err
		}
	}
	if err := d.c.inTime(); err != nil {
		return err
	}
	_, err := d.held.WriteTo(d.out)
	return err
}

// onTransport is what the answer would take so far.
func (d *delivery) onTransport() int64 {
	if d.zip == nil {
		return d.cost
	}
	return (int64(d.held.Len()) + 2) / 3 * 4 // base64
}

// textCost is what text takes on a transport that puts it into a JSON string, as Lambda's does. The JSON of
// our answers is full of quotes.
func textCost(p []byte) int64 {
	cost := int64(len(p))
	for _, c := range p {
		switch {
		case c == '"' || c == '\\' || c == '\n':
			cost++
		case c == '<' || c == '>' || c == '&' || c < ' ':
			cost += 5
		}
	}
	return cost
}

// compress goes over to gzip, from the beginning of the answer.
func (d *delivery) compress() error {
	plain := bytes.Clone(d.held.Bytes())
	d.held.Reset()
	d.zip = zips.Get().(*gzip.Writer)
	d.zip.Reset(d.held)
	_, err := d.zip.Write(plain)
	return err
}

// store begins an object for the answer.
func (d *delivery) store() error {
	w, err := d.c.Blobs.Create(d.c.r.Context())
	if err != nil {
		return fmt.Errorf("storing a large answer: %w", err)
	}
	d.file = &stored{w, sha256.New()}
	d.out = d.file
	return nil
}

// head sets the headers of an answer that goes out directly. Nothing can be told after it.
func (d *delivery) head() {
	h := d.c.w.Header()
	h.Set("Content-Type", d.contentType)
	h.Add("Vary", "Accept-Encoding")
	if d.zip != nil {
		h.Set("Content-Encoding", "gzip")
	}
	d.c.begun = true
}

// close sends what is left, or all of it.
func (d *delivery) close() error {
	if d.zip == nil && d.out == nil && d.held.Len() >= compressFrom && acceptsGzip(d.c.r) {
		if err := d.compress(); err != nil {
			return err
		}
	}
	if d.zip != nil {
		if err := d.zip.Close(); err != nil {
			return err
		}
	}
	limit := d.c.MaxAnswerBytes
	if d.out == nil && limit > 0 && d.onTransport() > limit && d.c.r.Method != http.MethodHead {
		if err := d.store(); err != nil {
			return err
		}
	}
	if d.out == nil {
		d.head()
		d.c.w.Header().Set("Content-Length", strconv.Itoa(d.held.Len()))
		d.c.w.WriteHeader(d.status)
		if d.c.r.Method == http.MethodHead {
			return nil
		}
		d.out = d.c.w
	}
	if _, err := d.held.WriteTo(d.out); err != nil {
		return err
	}
	if d.file != nil {
		return d.redirect()
	}
	return nil
}

// redirect publishes the stored answer and sends the client there.
func (d *delivery) redirect() error {
	ctx := d.c.r.Context()
	key := AnswersPrefix + hex.EncodeToString(d.file.sum.Sum(nil))
	if err := d.file.Commit(ctx, key, true); err != nil {
		return fmt.Errorf("storing a large answer: %w", err)
	}
	headers := map[string]string{"response-content-type": d.contentType}
	if d.zip != nil {
		headers["response-content-encoding"] = "gzip"
	}
	url, err := d.c.Blobs.PresignGet(ctx, key, presignTTL, headers)
	if err != nil {
		return fmt.Errorf("a URL for a large answer: %w", err)
	}
	h := d.c.w.Header()
	h.Add("Vary", "Accept-Encoding")
	h.Set("Location", url)
	h.Set("Content-Length", "0")
	d.c.begun = true
	d.c.w.WriteHeader(http.StatusFound)
	return nil
}

// end gives back what the answer used, and what was stored of one that came to nothing.
func (d *delivery) end() {
	if d.held.Cap() <= maxBuffer {
		buffers.Put(d.held)
	}
	if d.zip != nil {
		zips.Put(d.zip)
	}
	if d.file != nil {
		if err := d.file.Abort(); err != nil {
			d.c.log.WarnContext(d.c.r.Context(), "a part of an answer stays in the storage", "error", err)
		}
	}
}
