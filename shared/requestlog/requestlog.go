// Package requestlog is the log of one request, which users read to find out what happened to it.
//
// Objects cannot be appended to, so a log is a row of pieces below logs/{id}/, each named by the
// time it was written; reading puts them together in that order. A step that runs twice may log a
// line twice: the log tells what happened, and it happened twice.
package requestlog

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cachito-serverless/cachito/shared/blob"
)

const (
	// FlushBytes and FlushEvery bound what a crash can lose, and how stale a running request's log is.
	FlushBytes = 64 << 10
	FlushEvery = 2 * time.Second
	// MaxLineBytes cuts what a tool printed without end.
	MaxLineBytes = 16 << 10
	// MaxLogBytes is where a writer stops, with a line that says so: a log is read by people.
	MaxLogBytes = 16 << 20
)

// What ends a line longer than MaxLineBytes, and the log of a step that went on and on.
const (
	cutLine = " ..."
	cutLog  = "The log of this step is cut here, because it is too long\n"
)

func prefix(id int64) string { return fmt.Sprintf("logs/%d/", id) }

// pieceCount keeps pieces of one process in order when the clock does not tell them apart.
var pieceCount atomic.Uint32

// Writer collects the lines of one step of one request. It is safe for concurrent use.
type Writer struct {
	blobs blob.Blob
	id    int64
	clock func() time.Time

	mu      sync.Mutex
	buf     bytes.Buffer
	written int64
	last    time.Time
	full    bool // MaxLogBytes are reached
	err     error
}

// New makes a writer that adds to the log of request id. Call Close, or the last lines are lost.
func New(blobs blob.Blob, id int64, clock func() time.Time) *Writer {
	return &Writer{blobs: blobs, id: id, clock: clock, last: clock()}
}

// Logger returns a logger whose lines go to the request's log:
//
//	[2026-11-25T06:30:00.000Z INFO] dependency fetched name=rsc.io/quote bytes=4096
func (w *Writer) Logger() *slog.Logger { return slog.New(&handler{w: w}) }

// Flush publishes what was logged so far as one piece.
func (w *Writer) Flush(ctx context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.flush(ctx)
}

// Close publishes the rest and reports the first error of the writer's life.
func (w *Writer) Close(ctx context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return errors.Join(w.err, w.flush(ctx))
}

func (w *Writer) flush(ctx context.Context) error {
	if w.buf.Len() == 0 {
		return nil
	}
	now := w.clock()
	key := fmt.Sprintf("%s%020d-%010d-%s", prefix(w.id), now.UnixNano(), pieceCount.Add(1), randomHex())
	if err := w.blobs.Put(ctx, key, bytes.Clone(w.buf.Bytes()), false); err != nil {
		return fmt.Errorf("writing the log of request %d: %w", w.id, err)
	}
	w.written += int64(w.buf.Len())
	w.buf.Reset()
	w.last = now
	return nil
}

func randomHex() string {
	var b [4]byte
	rand.Read(b[:]) // never fails since Go 1.24
	return hex.EncodeToString(b[:])
}

func (w *Writer) add(ctx context.Context, line string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.full {
		return
	}
	if w.written+int64(w.buf.Len()+len(line)) > MaxLogBytes {
		w.full = true
		line = cutLog
	}
	w.buf.WriteString(line)
	if w.buf.Len() >= FlushBytes || w.clock().Sub(w.last) >= FlushEvery {
		if err := w.flush(ctx); err != nil && w.err == nil {
			w.err = err
		}
	}
}

type handler struct {
	w     *Writer
	attrs string
	group string
}

func (h *handler) Enabled(context.Context, slog.Level) bool { return true }

func (h *handler) Handle(ctx context.Context, r slog.Record) error {
	var b strings.Builder
	fmt.Fprintf(&b, "[%s %s] %s%s", h.w.clock().UTC().Format("2006-01-02T15:04:05.000Z"), r.Level, r.Message, h.attrs)
	r.Attrs(func(a slog.Attr) bool {
		b.WriteString(format(h.group, a))
		return true
	})
	line := strings.TrimRight(strings.ToValidUTF8(b.String(), "\uFFFD"), "\n")
	if len(line) > MaxLineBytes {
		line = strings.ToValidUTF8(line[:MaxLineBytes], "") + cutLine // not half a character
	}
	h.w.add(ctx, line+"\n")
	return nil
}

// format prints one attribute, by the rules that slog.Handler has for empty ones, groups and LogValuers.
func format(group string, a slog.Attr) string {
	a.Value = a.Value.Resolve()
	if a.Equal(slog.Attr{}) {
		return ""
	}
	if a.Value.Kind() == slog.KindGroup {
		if a.Key != "" {
			group += a.Key + "."
		}
		var b strings.Builder
		for _, inner := range a.Value.Group() {
			b.WriteString(format(group, inner))
		}
		return b.String()
	}
	value := a.Value.String()
	if strings.ContainsAny(value, " \"\t") && !strings.Contains(value, "\n") {
		value = fmt.Sprintf("%q", value)
	}
	return " " + group + a.Key + "=" + value
}

func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	out := *h
	for _, a := range attrs {
		out.attrs += format(h.group, a)
	}
	return &out
}

func (h *handler) WithGroup(name string) slog.Handler {
	out := *h
	if name != "" {
		out.group += name + "."
	}
	return &out
}

// Open reads the log of a request as far as it is written. blob.ErrNotFound when there is none.
func Open(ctx context.Context, blobs blob.Blob, id int64) (io.ReadCloser, error) {
	keys, err := pieces(ctx, blobs, id)
	if err != nil {
		return nil, err
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("log of request %d: %w", id, blob.ErrNotFound)
	}
	return &reader{ctx: ctx, blobs: blobs, keys: keys}, nil
}

// Tail reads about the last limit bytes of a request's log, from the beginning of a line on, and tells how
// many bytes come before them. Pieces that are not needed are not opened. blob.ErrNotFound when there is no
// log.
func Tail(ctx context.Context, blobs blob.Blob, id int64, limit int64) (tail []byte, before int64, err error) {
	var all []blob.Info
	for info, err := range blobs.List(ctx, prefix(id)) {
		if err != nil {
			return nil, 0, fmt.Errorf("listing the log of request %d: %w", id, err)
		}
		all = append(all, info)
		before += info.Size
	}
	if len(all) == 0 {
		return nil, 0, fmt.Errorf("log of request %d: %w", id, blob.ErrNotFound)
	}
	first, size := len(all), int64(0)
	for first > 0 && size < limit {
		first--
		size += all[first].Size
	}
	before -= size
	r := &reader{ctx: ctx, blobs: blobs}
	for _, info := range all[first:] {
		r.keys = append(r.keys, info.Key)
	}
	defer r.Close()
	if size > limit {
		n, err := io.CopyN(io.Discard, r, size-limit)
		if err != nil && err != io.EOF {
			return nil, 0, fmt.Errorf("log of request %d: %w", id, err)
		}
		before += n
	}
	if tail, err = io.ReadAll(io.LimitReader(r, limit)); err != nil {
		return nil, 0, fmt.Errorf("log of request %d: %w", id, err)
	}
	if size > limit {
		if end := bytes.IndexByte(tail, '\n'); end >= 0 {
			tail, before = tail[end+1:], before+int64(end)+1
		}
	}
	return tail, before, nil
}

// Delete removes the log of a request; one that is not there is no error.
func Delete(ctx context.Context, blobs blob.Blob, id int64) error {
	keys, err := pieces(ctx, blobs, id)
	if err != nil {
		return err
	}
	return blobs.Delete(ctx, keys...)
}

func pieces(ctx context.Context, blobs blob.Blob, id int64) ([]string, error) {
	var keys []string
	for info, err := range blobs.List(ctx, prefix(id)) {
		if err != nil {
			return nil, fmt.Errorf("listing the log of request %d: %w", id, err)
		}
		keys = append(keys, info.Key)
	}
	return keys, nil
}

type reader struct {
	ctx   context.Context
	blobs blob.Blob
	keys  []string
	open  io.ReadCloser
}

func (r *reader) Read(p []byte) (int, error) {
	for {
		if r.open == nil {
			if len(r.keys) == 0 {
				return 0, io.EOF
			}
			o, err := r.blobs.Open(r.ctx, r.keys[0])
			r.keys = r.keys[1:]
			if errors.Is(err, blob.ErrNotFound) { // deleted meanwhile
				continue
			}
			if err != nil {
				return 0, err
			}
			r.open = o
		}
		n, err := r.open.Read(p)
		if err == io.EOF {
			r.open.Close()
			r.open = nil
			if n == 0 {
				continue
			}
			err = nil
		}
		return n, err
	}
}

func (r *reader) Close() error {
	if r.open != nil {
		return r.open.Close()
	}
	return nil
}
