package requestlog_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/blob"
	"github.com/cachito-serverless/cachito/shared/blob/dir"
	"github.com/cachito-serverless/cachito/shared/requestlog"
)

// clock is a clock that stands still until it is moved.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 11, 25, 6, 30, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// storage is a folder whose writes fail with trouble, when there is one.
type storage struct {
	blob.Blob
	trouble error
}

func (s *storage) Put(ctx context.Context, key string, content []byte, overwrite bool) error {
	if s.trouble != nil {
		return s.trouble
	}
	return s.Blob.Put(ctx, key, content, overwrite)
}

func newStorage(t *testing.T) *storage {
	t.Helper()
	b, err := dir.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return &storage{Blob: b}
}

// text is a request's log; "" when there is none.
func (s *storage) text(t *testing.T, id int64) string {
	t.Helper()
	r, err := requestlog.Open(t.Context(), s, id)
	if errors.Is(err, blob.ErrNotFound) {
		return ""
	}
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	raw, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func (s *storage) pieces(t *testing.T) int {
	t.Helper()
	n := 0
	for _, err := range s.List(t.Context(), "logs/") {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	return n
}

func closeLog(t *testing.T, w *requestlog.Writer) {
	t.Helper()
	if err := w.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

type secret struct{}

func (secret) LogValue() slog.Value {
	return slog.GroupValue(slog.Int("a", 1), slog.String("b", "x y"))
}

func TestLines(t *testing.T) {
	const stamp = "[2026-11-25T06:30:00.000Z INFO] "
	for _, test := range []struct {
		name string
		log  func(l *slog.Logger)
		want string
	}{
		{
			"message and attributes", func(l *slog.Logger) {
				l.InfoContext(t.Context(), "dependency fetched", "name", "rsc.io/quote", "bytes", 4096)
			},
			stamp + "dependency fetched name=rsc.io/quote bytes=4096\n",
		},
		{
			"levels", func(l *slog.Logger) {
				l.DebugContext(t.Context(), "d")
				l.WarnContext(t.Context(), "w")
				l.ErrorContext(t.Context(), "e")
			},
			"[2026-11-25T06:30:00.000Z DEBUG] d\n[2026-11-25T06:30:00.000Z WARN] w\n[2026-11-25T06:30:00.000Z ERROR] e\n",
		},
		{
			"values with blanks, quotes and tabs are quoted", func(l *slog.Logger) { l.InfoContext(t.Context(), "m", "a", "b c", "d", `"`, "e", "\t") },
			stamp + `m a="b c" d="\"" e="\t"` + "\n",
		},
		{
			"what a tool printed keeps its lines", func(l *slog.Logger) { l.InfoContext(t.Context(), "go failed", "stderr", "one two\nthree\n") },
			stamp + "go failed stderr=one two\nthree\n",
		},
		{"With", func(l *slog.Logger) { l.With("a", 1).With("b", 2).InfoContext(t.Context(), "m", "c", 3) }, stamp + "m a=1 b=2 c=3\n"},
		{"groups", func(l *slog.Logger) {
			l.With("x", 0).WithGroup("g").With("a", 1).WithGroup("h").InfoContext(t.Context(), "m", "b", 2, slog.Group("i", "c", 3), slog.Group("", "d", 4))
		}, stamp + "m x=0 g.a=1 g.h.b=2 g.h.i.c=3 g.h.d=4\n"},
		{"values that make themselves", func(l *slog.Logger) { l.InfoContext(t.Context(), "m", "s", secret{}) }, stamp + "m s.a=1 s.b=\"x y\"\n"},
		{"empty attributes and groups", func(l *slog.Logger) {
			l.WithGroup("").InfoContext(t.Context(), "m", slog.Attr{}, slog.Group("g"), "a", "")
		}, stamp + "m a=\n"},
		{"errors and times", func(l *slog.Logger) { l.InfoContext(t.Context(), "m", "error", io.EOF, "took", time.Second) }, stamp + "m error=EOF took=1s\n"},
		{"not UTF-8", func(l *slog.Logger) { l.InfoContext(t.Context(), "a\xffb") }, stamp + "a\uFFFDb\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newStorage(t)
			w := requestlog.New(s, 1, newClock().Now)
			test.log(w.Logger())
			closeLog(t, w)
			if diff := cmp.Diff(test.want, s.text(t, 1)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestLongLinesAreCut(t *testing.T) {
	s := newStorage(t)
	w := requestlog.New(s, 1, newClock().Now)
	w.Logger().Info(strings.Repeat("é", requestlog.MaxLineBytes)) // the limit falls into a character, or the next line's does
	w.Logger().InfoContext(t.Context(), "x"+strings.Repeat("é", requestlog.MaxLineBytes))
	w.Logger().InfoContext(t.Context(), "short")
	closeLog(t, w)
	lines := strings.Split(strings.TrimSuffix(s.text(t, 1), "\n"), "\n")
	if len(lines) != 3 || !strings.HasSuffix(lines[2], "short") {
		t.Fatalf("got %d lines, the last %.100q", len(lines), lines[len(lines)-1])
	}
	for _, line := range lines[:2] {
		if !strings.HasSuffix(line, "é ...") || !utf8.ValidString(line) || strings.ContainsRune(line, utf8.RuneError) ||
			len(line) > requestlog.MaxLineBytes+4 || len(line) < requestlog.MaxLineBytes {
			t.Errorf("a line of %d bytes ends with %q", len(line), line[len(line)-8:])
		}
	}
}

func TestPublishing(t *testing.T) {
	t.Run("a few lines wait", func(t *testing.T) {
		s, c := newStorage(t), newClock()
		w := requestlog.New(s, 1, c.Now)
		w.Logger().InfoContext(t.Context(), "a")
		c.move(requestlog.FlushEvery - time.Nanosecond)
		w.Logger().InfoContext(t.Context(), "b")
		if n := s.pieces(t); n != 0 {
			t.Errorf("%d pieces before the time is over", n)
		}
		c.move(time.Nanosecond)
		w.Logger().InfoContext(t.Context(), "c")
		if got := s.text(t, 1); s.pieces(t) != 1 || strings.Count(got, "\n") != 3 {
			t.Errorf("%d pieces, %q", s.pieces(t), got)
		}
		w.Logger().InfoContext(t.Context(), "d")
		if n := s.pieces(t); n != 1 {
			t.Errorf("%d pieces: the time is to begin anew with each", n)
		}
		closeLog(t, w)
		if n := s.pieces(t); n != 2 {
			t.Errorf("%d pieces after Close", n)
		}
	})
	t.Run("many bytes do not", func(t *testing.T) {
		s := newStorage(t)
		w := requestlog.New(s, 1, newClock().Now)
		line := strings.Repeat("x", requestlog.MaxLineBytes/2)
		for i := range requestlog.FlushBytes/len(line) - 1 {
			w.Logger().Info(line)
			if n := s.pieces(t); n != 0 {
				t.Fatalf("%d pieces after %d lines", n, i+1)
			}
		}
		w.Logger().Info(line)
		if n := s.pieces(t); n != 1 {
			t.Errorf("%d pieces after %d bytes", n, requestlog.FlushBytes)
		}
	})
	t.Run("Flush, and nothing to publish", func(t *testing.T) {
		s := newStorage(t)
		w := requestlog.New(s, 1, newClock().Now)
		for range 2 {
			if err := w.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if n := s.pieces(t); n != 0 {
			t.Errorf("%d empty pieces", n)
		}
		w.Logger().InfoContext(t.Context(), "a")
		if err := w.Flush(t.Context()); err != nil || s.pieces(t) != 1 {
			t.Errorf("%v, %d pieces", err, s.pieces(t))
		}
	})
	t.Run("pieces in order, of several writers, also when the clock stands", func(t *testing.T) {
		s, c := newStorage(t), newClock()
		var want strings.Builder
		for i := range 12 {
			w := requestlog.New(s, 1, c.Now)
			w.Logger().InfoContext(t.Context(), "step", "i", i)
			closeLog(t, w)
			fmt.Fprintf(&want, "[%s INFO] step i=%d\n", c.Now().Format("2006-01-02T15:04:05.000Z"), i)
			if i == 5 {
				c.move(time.Hour)
			}
		}
		if diff := cmp.Diff(want.String(), s.text(t, 1)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
	t.Run("trouble is reported by Close, and its lines are not lost", func(t *testing.T) {
		s, c := newStorage(t), newClock()
		w := requestlog.New(s, 7, c.Now)
		s.trouble = errors.New("disk full")
		c.move(time.Minute)
		w.Logger().InfoContext(t.Context(), "a")
		if err := w.Flush(t.Context()); !errors.Is(err, s.trouble) || !strings.Contains(err.Error(), "writing the log of request 7") {
			t.Errorf("Flush gives %v", err)
		}
		trouble := s.trouble
		s.trouble = nil
		if err := w.Close(t.Context()); !errors.Is(err, trouble) {
			t.Errorf("Close gives %v, want the first trouble", err)
		}
		if got := s.text(t, 7); got != "[2026-11-25T06:31:00.000Z INFO] a\n" {
			t.Errorf("the log is %q", got)
		}
	})
}

func TestSizeCap(t *testing.T) {
	s := newStorage(t)
	w := requestlog.New(s, 1, newClock().Now)
	line := strings.Repeat("x", requestlog.MaxLineBytes-100)
	for range requestlog.MaxLogBytes/len(line) + 20 {
		w.Logger().Info(line)
	}
	closeLog(t, w)
	got := s.text(t, 1)
	const end = "\nThe log of this step is cut here, because it is too long\n"
	if !strings.HasSuffix(got, end) || strings.Count(got, end) != 1 {
		t.Errorf("ends with %q", got[len(got)-100:])
	}
	if limit := requestlog.MaxLogBytes; len(got) > limit+len(end) || len(got) < limit-requestlog.MaxLineBytes {
		t.Errorf("the log has %d bytes, the limit is %d", len(got), limit)
	}
}

func TestOpenAndDelete(t *testing.T) {
	s := newStorage(t)
	for _, id := range []int64{1, 11, 12} {
		w := requestlog.New(s, id, newClock().Now)
		w.Logger().InfoContext(t.Context(), "of", "id", id)
		closeLog(t, w)
	}
	if _, err := requestlog.Open(t.Context(), s, 2); !errors.Is(err, blob.ErrNotFound) || !strings.Contains(err.Error(), "log of request 2") {
		t.Errorf("no log: got %v", err)
	}
	if got := s.text(t, 1); !strings.HasSuffix(got, "of id=1\n") || strings.Count(got, "\n") != 1 {
		t.Errorf("log 1 is %q", got)
	}
	for range 2 { // what is not there is no error
		if err := requestlog.Delete(t.Context(), s, 1); err != nil {
			t.Fatal(err)
		}
	}
	if s.text(t, 1) != "" || s.pieces(t) != 2 {
		t.Errorf("after Delete: log 1 is %q, %d pieces of others, want 2", s.text(t, 1), s.pieces(t))
	}
	t.Run("deleted while it is read", func(t *testing.T) {
		w := requestlog.New(s, 3, newClock().Now)
		for _, text := range []string{"one", "two"} {
			w.Logger().Info(text)
			if err := w.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		r, err := requestlog.Open(t.Context(), s, 3)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		if err := requestlog.Delete(t.Context(), s, 3); err != nil {
			t.Fatal(err)
		}
		if raw, err := io.ReadAll(r); err != nil || len(raw) != 0 {
			t.Errorf("got %q, %v", raw, err)
		}
	})
	t.Run("closed in the middle", func(t *testing.T) {
		r, err := requestlog.Open(t.Context(), s, 11)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(r, make([]byte, 3)); err != nil {
			t.Fatal(err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
}

// Lines of concurrent steps are whole, and each step's stay in order.
// TestTail: the end of a log, from a line's beginning on, wherever the pieces end.
func TestTail(t *testing.T) {
	s, c := newStorage(t), newClock()
	if _, _, err := requestlog.Tail(t.Context(), s, 7, 100); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("no log: got %v, want %v", err, blob.ErrNotFound)
	}
	w := requestlog.New(s, 7, c.Now)
	for i := range 6 {
		w.Logger().InfoContext(t.Context(), fmt.Sprintf("line %d", i))
		if i%2 == 1 { // two lines a piece
			if err := w.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	whole := s.text(t, 7)
	line := int64(len(whole) / 6)
	for _, tt := range []struct {
		name         string
		limit, lines int64
	}{
		{"more than there is", 1 << 20, 6},
		{"all of it", 6 * line, 6},
		{"not quite all", 6*line - 1, 5},
		{"whole pieces", 4 * line, 4},
		{"half a line", 2*line + line/2, 2},
		{"less than a line", line / 2, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tail, before, err := requestlog.Tail(t.Context(), s, 7, tt.limit)
			if err != nil {
				t.Fatal(err)
			}
			got, want := string(tail), whole[int64(len(whole))-tt.lines*line:]
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("tail (-want +got):\n%s", diff)
			}
			if sum := before + int64(len(tail)); sum != int64(len(whole)) {
				t.Errorf("%d bytes before %d: together %d, want %d", before, len(tail), sum, len(whole))
			}
		})
	}
}

func TestConcurrentWriters(t *testing.T) {
	const writers, goroutines, lines = 4, 4, 50
	s, c := newStorage(t), newClock()
	var all sync.WaitGroup
	for i := range writers {
		w := requestlog.New(s, 1, c.Now)
		all.Go(func() {
			var mine sync.WaitGroup
			for j := range goroutines {
				mine.Go(func() {
					for k := range lines {
						w.Logger().With("w", i, "g", j).InfoContext(t.Context(), "m", "k", k)
						c.move(time.Millisecond * 20)
					}
				})
			}
			mine.Wait()
			if err := w.Close(context.WithoutCancel(t.Context())); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	next := map[[2]int]int{}
	text := s.text(t, 1)
	for line := range strings.Lines(text) {
		var w, g, k int
		at := strings.Index(line, "] m ")
		if n, err := fmt.Sscanf(line[at+1:], " m w=%d g=%d k=%d\n", &w, &g, &k); n != 3 || err != nil {
			t.Fatalf("broken line %q: %v", line, err)
		}
		if next[[2]int{w, g}] != k {
			t.Fatalf("line %d of %d/%d where %d is due", k, w, g, next[[2]int{w, g}])
		}
		next[[2]int{w, g}]++
	}
	if n := strings.Count(text, "\n"); n != writers*goroutines*lines {
		t.Errorf("%d lines, want %d", n, writers*goroutines*lines)
	}
}
