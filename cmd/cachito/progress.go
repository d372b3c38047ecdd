package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/cachito-serverless/cachito/shared/client"
	"github.com/cachito-serverless/cachito/shared/request"
	"golang.org/x/term"
)

// plainEvery is how often a log without a terminal hears of mere progress.
const plainEvery = 5 * time.Second

const barWidth = 24

// view is what there is to show of a request.
type view struct {
	reasons []string // oldest first
	steps   client.Progress
}

// reporter shows how a request goes on: every reason is one line; on a terminal bars of the running
// steps are redrawn below, else their numbers are printed now and then.
type reporter struct {
	w        io.Writer
	terminal bool
	width    func() int
	now      func() time.Time
	start    time.Time
	printed  map[string]bool
	last     time.Time // of the last plain progress line
	lastText string
	drawn    bool
}

func newReporter(w io.Writer, now func() time.Time) *reporter {
	r := &reporter{w: w, now: now, start: now(), last: now(), printed: map[string]bool{}, width: func() int { return 80 }}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb" {
		r.terminal = true
		r.width = func() int {
			if columns, _, err := term.GetSize(int(f.Fd())); err == nil && columns > 20 {
				return columns
			}
			return 80
		}
	}
	return r
}

func (r *reporter) update(v view) {
	for _, reason := range v.reasons {
		if r.printed[reason] {
			continue
		}
		r.printed[reason] = true
		r.clear()
		fmt.Fprintf(r.w, "%6.1fs  %s\n", r.now().Sub(r.start).Seconds(), reason)
	}
	text := r.bars(v.steps)
	switch {
	case r.terminal:
		r.clear()
		if text != "" {
			fmt.Fprint(r.w, clip(text, r.width()-1))
			r.drawn = true
		}
	case text != "" && text != r.lastText && r.now().Sub(r.last) >= plainEvery:
		r.last, r.lastText = r.now(), text
		fmt.Fprintf(r.w, "%6.1fs  %s\n", r.now().Sub(r.start).Seconds(), text)
	}
}

// end removes the bars; what was printed stays.
func (r *reporter) end() { r.clear() }

func (r *reporter) clear() {
	if r.drawn {
		fmt.Fprint(r.w, "\r\x1b[K")
		r.drawn = false
	}
}

// bars describes the running steps in one line.
func (r *reporter) bars(steps client.Progress) string {
	var names []string
	for name, s := range steps {
		if s.State != request.StepDone && s.Total+s.Bytes+s.Done > 0 {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	parts := make([]string, 0, len(names))
	for _, name := range names {
		s := steps[name]
		var b strings.Builder
		b.WriteString(strings.TrimPrefix(name, "resolve-"))
		if s.Total > 0 {
			if r.terminal {
				b.WriteString(" " + bar(s.Done, s.Total))
			}
			fmt.Fprintf(&b, " %d/%d", s.Done, s.Total)
		}
		if s.Bytes > 0 {
			b.WriteString(" " + humanBytes(s.Bytes))
		}
		parts = append(parts, b.String())
	}
	return strings.Join(parts, "   ")
}

func bar(done, total int64) string {
	full := int(min(max(done, 0), total) * barWidth / total)
	return strings.Repeat("█", full) + strings.Repeat("░", barWidth-full)
}

// clip cuts text to so many characters, so that a redrawn line stays one line.
func clip(text string, width int) string {
	runes := []rune(text)
	if len(runes) <= width {
		return text
	}
	return string(runes[:width])
}
