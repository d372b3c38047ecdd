package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// printer writes the story: numbered steps, indented facts, colors on a terminal only.
type printer struct {
	w     io.Writer
	color bool
	step  int
}

func newPrinter(f *os.File) *printer {
	return &printer{w: f, color: term.IsTerminal(int(f.Fd())) && os.Getenv("NO_COLOR") == ""}
}

func (p *printer) paint(code, text string) string {
	if !p.color {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (p *printer) title(text string) { fmt.Fprintf(p.w, "\n%s\n", p.paint("1", text)) }

// chapter begins the next step.
func (p *printer) chapter(text string) {
	p.step++
	fmt.Fprintf(p.w, "\n%s  %s\n", p.paint("1;36", fmt.Sprintf("%2d", p.step)), p.paint("1", text))
}

// fact is one line: what, and what about it.
func (p *printer) fact(name, format string, args ...any) {
	fmt.Fprintf(p.w, "    %s %s\n", p.paint("2", fmt.Sprintf("%-13s", name)), fmt.Sprintf(format, args...))
}

// check is a fact that was verified.
func (p *printer) check(format string, args ...any) {
	fmt.Fprintf(p.w, "    %s %s\n", p.paint("32", "✓"), fmt.Sprintf(format, args...))
}

// quote shows the output of a program.
func (p *printer) quote(text string) {
	for line := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		fmt.Fprintf(p.w, "    %s %s\n", p.paint("2", "│"), line)
	}
}
