package api

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	// bufferedAnswer is up to which size an answer is put together before it is sent: it then has a
	// Content-Length, and an error on the way can still be told. Larger ones are streamed.
	bufferedAnswer = 64 << 10
	// compressFrom is the size from which an answer is compressed for a client that accepts it.
	compressFrom = 4 << 10
)

// errHeadDone ends the making of an answer to HEAD once its headers are sent.
var errHeadDone = errors.New("HEAD needs no body")

// answer is a JSON answer on its way to the client: escaped to ASCII, compressed if the client accepts
// it, buffered while it is small.
type answer struct {
	c       *call
	status  int
	pending []byte // not sent yet
	partial []byte // the beginning of a character
	started bool
	out     io.Writer
	zip     *gzip.Writer
}

// Write implements io.Writer for JSON text in UTF-8.
func (a *answer) Write(p []byte) (int, error) {
	n := len(p)
	if len(a.partial) > 0 {
		p = append(a.partial, p...)
		a.partial = nil
	}
	for len(p) > 0 {
		if p[0] < utf8.RuneSelf {
			end := bytes.IndexFunc(p, func(r rune) bool { return r >= utf8.RuneSelf })
			if end < 0 {
				end = len(p)
			}
			a.pending = append(a.pending, p[:end]...)
			p = p[end:]
			continue
		}
		if !utf8.FullRune(p) {
			a.partial = bytes.Clone(p)
			break
		}
		r, size := utf8.DecodeRune(p)
		a.pending = appendEscaped(a.pending, r)
		p = p[size:]
	}
	if len(a.pending) > bufferedAnswer {
		if err := a.flush(); err != nil {
			return 0, err
		}
	}
	return n, nil
}

func appendEscaped(out []byte, r rune) []byte {
	const hex = "0123456789abcdef"
	unit := func(u rune) {
		out = append(out, '\\', 'u', hex[u>>12&15], hex[u>>8&15], hex[u>>4&15], hex[u&15])
	}
	if r < 0x10000 {
		unit(r)
	} else {
		unit(0xd800 + (r-0x10000)>>10)
		unit(0xdc00 + (r-0x10000)&0x3ff)
	}
	return out
}

// flush sends what there is of an answer that goes on.
func (a *answer) flush() error {
	if !a.started {
		a.started = true
		a.out = a.c.w
		if acceptsGzip(a.c.r) {
			a.c.w.Header().Set("Content-Encoding", "gzip")
			a.zip, _ = gzip.NewWriterLevel(a.c.w, gzip.BestSpeed)
			a.out = a.zip
		}
		a.c.w.WriteHeader(a.status)
	}
	if a.c.r.Method == http.MethodHead {
		return errHeadDone
	}
	_, err := a.out.Write(a.pending)
	a.pending = a.pending[:0]
	return err
}

// close sends the rest, or the whole of a small answer.
func (a *answer) close() error {
	if a.started {
		if err := a.flush(); err != nil || a.zip == nil {
			return err
		}
		return a.zip.Close()
	}
	h := a.c.w.Header()
	if len(a.pending) >= compressFrom && acceptsGzip(a.c.r) {
		var b bytes.Buffer
		z, _ := gzip.NewWriterLevel(&b, gzip.BestSpeed)
		z.Write(a.pending) // a buffer takes everything
		z.Close()
		a.pending = b.Bytes()
		h.Set("Content-Encoding", "gzip")
	}
	h.Set("Content-Length", strconv.Itoa(len(a.pending)))
	a.started = true
	a.c.w.WriteHeader(a.status)
	if a.c.r.Method == http.MethodHead {
		return nil
	}
	_, err := a.c.w.Write(a.pending)
	return err
}

// stream answers with the JSON text that write makes. An error is returned as long as nothing was sent;
// later the connection is cut, so that nobody takes a part for the whole.
func (c *call) stream(contentType string, status int, write func(w io.Writer) error) error {
	a := &answer{c: c, status: status}
	h := c.w.Header()
	h.Set("Content-Type", contentType)
	h.Add("Vary", "Accept-Encoding")
	err := write(a)
	if err != nil && !a.started {
		h.Del("Vary")
		return err
	}
	if err == nil {
		err = a.close()
	}
	if err == nil || errors.Is(err, errHeadDone) {
		return nil
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

// write answers with a JSON value: keys sorted, ASCII only, a newline at the end.
func (c *call) write(status int, v any) error {
	return c.stream("application/json", status, func(w io.Writer) error {
		if err := writeValue(w, v); err != nil {
			return err
		}
		_, err := io.WriteString(w, "\n")
		return err
	})
}

// object is a JSON object whose members are written one after the other.
type object map[string]any

// streamed is a JSON value that is made while it is written.
type streamed func(w io.Writer) error

// writeValue writes a value as JSON text; of objects and lists no more than one member is held as text.
func writeValue(w io.Writer, v any) error {
	switch v := v.(type) {
	case streamed:
		return v(w)
	case object:
		separator := "{"
		for _, key := range slices.Sorted(maps.Keys(v)) {
			if _, err := io.WriteString(w, separator); err != nil {
				return err
			}
			if err := writePlain(w, key); err != nil {
				return err
			}
			if _, err := io.WriteString(w, ": "); err != nil {
				return err
			}
			if err := writeValue(w, v[key]); err != nil {
				return err
			}
			separator = ", "
		}
		if len(v) > 0 {
			separator = ""
		}
		_, err := io.WriteString(w, separator+"}")
		return err
	}
	return writePlain(w, v)
}

func writePlain(w io.Writer, v any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return err
	}
	_, err := w.Write(bytes.TrimSuffix(b.Bytes(), []byte("\n")))
	return err
}

// writeText writes what r holds as one JSON string, without holding it whole.
func writeText(w io.Writer, r io.Reader) error {
	if _, err := io.WriteString(w, `"`); err != nil {
		return err
	}
	chunk := make([]byte, 32<<10)
	kept := 0 // bytes of a character that is not complete yet
	for {
		n, err := io.ReadFull(r, chunk[kept:])
		end := kept + n
		last := err == io.EOF || err == io.ErrUnexpectedEOF
		if err != nil && !last {
			return err
		}
		whole := end
		for back := 1; !last && back < utf8.UTFMax && back <= end; back++ {
			if utf8.RuneStart(chunk[end-back]) {
				if !utf8.FullRune(chunk[end-back : end]) {
					whole = end - back
				}
				break
			}
		}
		raw, err := json.Marshal(string(chunk[:whole]))
		if err != nil {
			return err
		}
		if _, err := w.Write(raw[1 : len(raw)-1]); err != nil {
			return err
		}
		if last {
			_, err := io.WriteString(w, `"`)
			return err
		}
		kept = copy(chunk, chunk[whole:end])
	}
}

// listOf is a JSON array of what each makes of the items, made while it is written.
func listOf[T any](list []T, each func(T) any) streamed {
	return func(w io.Writer) error {
		separator := "["
		for _, item := range list {
			if _, err := io.WriteString(w, separator); err != nil {
				return err
			}
			if err := writeValue(w, each(item)); err != nil {
				return err
			}
			separator = ", "
		}
		if len(list) > 0 {
			separator = ""
		}
		_, err := io.WriteString(w, separator+"]")
		return err
	}
}

func itself[T any](v T) any { return v }

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
