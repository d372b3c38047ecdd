package gomod

import (
	"fmt"
	"strings"
	"unicode"

	"github.com/cachito-serverless/cachito/shared/packages"
)

// pyString prints text as Python's repr does: upstream's sentences quote it that way.
func pyString(s string) string {
	quote := byte('\'')
	if strings.Contains(s, "'") && !strings.Contains(s, `"`) {
		quote = '"'
	}
	var b strings.Builder
	b.WriteByte(quote)
	for _, r := range s {
		switch {
		case r == rune(quote) || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case r < 0x20 || r >= 0x7f && r < 0xa1:
			fmt.Fprintf(&b, `\x%02x`, r)
		case !unicode.IsPrint(r) && r < 0x10000:
			fmt.Fprintf(&b, `\u%04x`, r)
		case !unicode.IsPrint(r):
			fmt.Fprintf(&b, `\U%08x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte(quote)
	return b.String()
}

// pyDependency prints a dependency as upstream's Python dict. Only modules have the key replaces.
func pyDependency(d packages.Dependency) string {
	version := "None"
	if d.Version != nil {
		version = pyString(*d.Version)
	}
	text := fmt.Sprintf("{'type': %s, 'name': %s, 'version': %s", pyString(d.Type), pyString(d.Name), version)
	if d.HasReplaces {
		text += ", 'replaces': " + pyReplaced(d.Replaces)
	}
	return text + "}"
}

func pyReplaced(r *packages.Replaced) string {
	if r == nil {
		return "None"
	}
	version := "None"
	if r.Version != nil {
		version = pyString(*r.Version)
	}
	return fmt.Sprintf("{'type': %s, 'name': %s, 'version': %s}", pyString(r.Type), pyString(r.Name), version)
}
