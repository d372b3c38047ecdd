package web

import (
	"fmt"
	"html/template"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// functions of the templates.
var functions = template.FuncMap{
	"visible": visible,
	"short":   short,
	"bytes":   humanBytes,
	"number":  numberOf,
	"tab":     newTab,
	"search":  newSearch,
	"wrong":   newWrong,
	"stamp":   stamp,
	"iso":     func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
}

// visible shows what eyes would not see, as code points: control characters, characters that turn the
// direction of writing or have no width, and bytes that are no text. A name then cannot pretend to be
// another one, and a terminal's escape sequences are only letters.
//
//	"a\x1b[31mb" -> "a⟨U+001B⟩[31mb"    "evil\u202Egpj.exe" -> "evil⟨U+202E⟩gpj.exe"
func visible(s string) string { return show(s, false) }

// visibleLines is visible for texts of several lines.
func visibleLines(s string) string { return show(s, true) }

func show(s string, lines bool) string {
	if utf8.ValidString(s) && strings.IndexFunc(s, isHidden) < 0 {
		return s
	}
	var b strings.Builder
	for _, r := range strings.ToValidUTF8(s, "\uFFFD") {
		switch {
		case lines && (r == '\n' || r == '\t'), !isHidden(r):
			b.WriteRune(r)
		default:
			fmt.Fprintf(&b, "⟨U+%04X⟩", r)
		}
	}
	return b.String()
}

// isHidden: control and format characters (bidirectional controls, zero widths, tags), other separators
// than the blank, and what has no meaning.
func isHidden(r rune) bool {
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Co) ||
		r != ' ' && unicode.Is(unicode.Zs, r) || r >= 0xfe00 && r <= 0xfe0f || r == 0x3164 || r == 0x115f || r == 0x1160 || r == 0xffa0
}

// short is the beginning of a commit, or of a digest.
func short(hash string) string {
	if len(hash) > 12 {
		return hash[:12]
	}
	return hash
}

// humanBytes prints a size with three digits or so, in powers of 1000: "1.2 MB".
func humanBytes(n int64) string {
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	value, units := float64(n), []string{"kB", "MB", "GB", "TB"}
	unit := units[0]
	for _, unit = range units {
		if value /= 1000; value < 999.95 {
			break
		}
	}
	return fmt.Sprintf("%.1f %s", value, unit)
}

// number prints a count in groups of three: "50,000".
func number[N int | int64](n N) string {
	s := strconv.FormatInt(int64(n), 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// stamp is a time as pages show it in full.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// ago says how long something is past, in one unit: it is read at a glance.
func ago(now, t time.Time) string {
	d := now.Sub(t)
	switch {
	case d < time.Minute:
		return "just now"
	case d < time.Hour:
		return fmt.Sprintf("%d min ago", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h ago", int(d.Hours()))
	case d < 60*24*time.Hour:
		return fmt.Sprintf("%d days ago", int(d.Hours()/24))
	}
	return t.UTC().Format("2 Jan 2006")
}

// span is a duration as it is read: "0.4 s", "12 s", "3 min 20 s", "2 h 5 min".
func span(d time.Duration) string {
	switch {
	case d < 0:
		return "0 s"
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min %d s", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
}

// repository is a request's repository as pages show it.
type repository struct {
	Host string // with the scheme left out; empty when the URL has no host
	Path string
	// Link leads to it in a browser; empty unless it is http or https.
	Link string
}

// readRepository takes a repository's URL apart. User info never reaches a page.
//
//	https://github.com/spf13/cobra.git -> github.com, spf13/cobra
//	git@host:ns/name                   -> host, ns/name
func readRepository(raw string) repository {
	u, err := url.Parse(strings.TrimSpace(raw))
	if scheme, _, isURL := strings.Cut(raw, "://"); isURL && (err != nil || u.Host == "") {
		return repository{Path: scheme + "://…"} // it cannot be parsed: who knows where a password is in it
	}
	if err != nil || u.Host == "" {
		host, rest, ok := strings.Cut(raw, ":")
		if !ok || strings.Contains(host, "/") {
			return repository{Path: raw}
		}
		return repository{Host: host[strings.LastIndex(host, "@")+1:], Path: strings.TrimSuffix(rest, ".git")}
	}
	out := repository{Host: u.Host, Path: strings.TrimSuffix(strings.Trim(u.Path, "/"), ".git")}
	if u.Scheme == "http" || u.Scheme == "https" {
		link := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}
		out.Link = link.String()
	}
	return out
}

// String is the repository in one piece.
func (r repository) String() string {
	if r.Host == "" {
		return r.Path
	}
	return r.Host + "/" + r.Path
}

// numberOf is number for the integers that templates hand over, behind a pointer or not.
func numberOf(n any) string {
	switch n := n.(type) {
	case int:
		return number(n)
	case *int64:
		return number(*n)
	case int64:
		return number(n)
	}
	return fmt.Sprint(n)
}
