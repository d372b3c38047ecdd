// Package logging sets log/slog up and keeps credentials out of what is logged. It has no global
// logger: main makes one and passes it on.
package logging

import (
	"io"
	"log/slog"
	"net/url"
	"os"
	"strings"

	"golang.org/x/term"
)

// Formats of New.
const (
	JSON = "json"
	Text = "text"
	Auto = "auto"
)

// New makes a logger that writes to w from level on. Auto is Text when w is a terminal, else JSON.
// Values that are URLs, and URLs within strings and errors, lose their user info. Lines carry what their
// context knows: the attributes of telemetry.WithLogAttrs (the Cachito request, the call), the trace, and the
// invocation of a Lambda function as requestId.
func New(w io.Writer, format string, level slog.Leveler) *slog.Logger {
	if format == Auto {
		format = JSON
		if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
			format = Text
		}
	}
	options := &slog.HandlerOptions{Level: level, ReplaceAttr: redactAttr}
	if format == Text {
		return slog.New(contextHandler{Handler: slog.NewTextHandler(w, options)})
	}
	return slog.New(contextHandler{Handler: slog.NewJSONHandler(w, options)})
}

func redactAttr(_ []string, a slog.Attr) slog.Attr {
	switch v := a.Value.Any().(type) {
	case string:
		a.Value = slog.StringValue(Redact(v))
	case error:
		a.Value = slog.StringValue(Redact(v.Error()))
	case *url.URL:
		if v != nil {
			a.Value = slog.StringValue(Redact(v.String()))
		}
	}
	return a
}

// Redact removes the user info of every URL in text: "https://user:password@host/x" becomes
// "https://host/x". Text without "://" comes back as it is.
func Redact(text string) string {
	const mark = "://"
	if !strings.Contains(text, mark) {
		return text
	}
	var b strings.Builder
	for {
		at := strings.Index(text, mark)
		if at < 0 {
			b.WriteString(text)
			return b.String()
		}
		b.WriteString(text[:at+len(mark)])
		text = text[at+len(mark):]
		// The authority ends where path, query, fragment or the text around the URL goes on. A
		// password may hold "@", so the last one counts.
		end := strings.IndexAny(text, "/?# \t\r\n\"'`<>")
		if end < 0 {
			end = len(text)
		}
		text = text[strings.LastIndexByte(text[:end], '@')+1:]
	}
}
