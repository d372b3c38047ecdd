package purl

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
)

// PURL is a package URL taken apart, everything unescaped. The form, and the order in which it is taken
// apart, are https://github.com/package-url/purl-spec/blob/main/PURL-SPECIFICATION.rst:
//
//	pkg:type/namespace/name@version?qualifiers#subpath
type PURL struct {
	Type       string // lower case
	Namespace  string // segments joined by "/"; may be empty
	Name       string
	Version    string            // may be empty
	Qualifiers map[string]string // keys in lower case, no empty values; nil when there are none
	Subpath    string            // segments joined by "/", neither "." nor ".."; may be empty
}

// Parse reads a package URL. Rules of single types (a namespace's letter case, for example) are not applied.
func Parse(text string) (PURL, error) {
	var p PURL
	rest, ok := strings.CutPrefix(text, "pkg:")
	if !ok {
		return p, fmt.Errorf("purl %q does not begin with pkg:", text)
	}
	if at := strings.LastIndexByte(rest, '#'); at >= 0 {
		segments, err := unescapeSegments(rest[at+1:])
		if err != nil {
			return PURL{}, fmt.Errorf("purl %q: subpath: %w", text, err)
		}
		segments = slices.DeleteFunc(segments, func(s string) bool { return s == "." || s == ".." })
		p.Subpath, rest = strings.Join(segments, "/"), rest[:at]
	}
	if at := strings.LastIndexByte(rest, '?'); at >= 0 {
		var err error
		if p.Qualifiers, err = parseQualifiers(rest[at+1:]); err != nil {
			return PURL{}, fmt.Errorf("purl %q: %w", text, err)
		}
		rest = rest[:at]
	}
	kind, rest, _ := strings.Cut(strings.TrimLeft(rest, "/"), "/")
	if !isType(kind) {
		return PURL{}, fmt.Errorf("purl %q: type %q is not letters, digits, \".\" and \"-\"", text, kind)
	}
	p.Type = strings.ToLower(kind)
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		var err error
		if p.Version, err = url.PathUnescape(rest[at+1:]); err != nil {
			return PURL{}, fmt.Errorf("purl %q: version: %w", text, err)
		}
		rest = rest[:at]
	}
	rest = strings.Trim(rest, "/")
	at := strings.LastIndexByte(rest, '/')
	var err error
	if p.Name, err = url.PathUnescape(rest[at+1:]); err != nil {
		return PURL{}, fmt.Errorf("purl %q: name: %w", text, err)
	}
	if p.Name == "" {
		return PURL{}, fmt.Errorf("purl %q has no name", text)
	}
	segments, err := unescapeSegments(rest[:max(at, 0)])
	if err != nil {
		return PURL{}, fmt.Errorf("purl %q: namespace: %w", text, err)
	}
	p.Namespace = strings.Join(segments, "/")
	return p, nil
}

// String prints the package URL as the specification has it. Cachito's own spelling, which the other
// functions of this package give, differs in what it escapes.
func (p PURL) String() string {
	var b strings.Builder
	b.WriteString("pkg:" + p.Type + "/")
	if p.Namespace != "" {
		b.WriteString(Escape(p.Namespace, "/:") + "/")
	}
	b.WriteString(Escape(p.Name, ":"))
	if p.Version != "" {
		b.WriteString("@" + Escape(p.Version, ":"))
	}
	for i, key := range slices.Sorted(maps.Keys(p.Qualifiers)) {
		b.WriteByte("?&"[min(i, 1)])
		b.WriteString(key + "=" + Escape(p.Qualifiers[key], "/:"))
	}
	if p.Subpath != "" {
		b.WriteString("#" + Escape(p.Subpath, "/:"))
	}
	return b.String()
}

// unescapeSegments splits at "/", drops empty segments and unescapes the rest. A segment may not hold a "/".
func unescapeSegments(text string) ([]string, error) {
	var list []string
	for _, s := range strings.Split(text, "/") {
		plain, err := url.PathUnescape(s)
		if err != nil {
			return nil, err
		}
		if strings.Contains(plain, "/") {
			return nil, fmt.Errorf("the segment %q holds a \"/\"", s)
		}
		if plain != "" {
			list = append(list, plain)
		}
	}
	return list, nil
}

func parseQualifiers(text string) (map[string]string, error) {
	var all map[string]string
	for _, pair := range strings.Split(text, "&") {
		key, value, _ := strings.Cut(pair, "=")
		plain, err := url.PathUnescape(value)
		if err != nil {
			return nil, fmt.Errorf("qualifier %s: %w", key, err)
		}
		if plain == "" {
			continue // the same as none
		}
		key = strings.ToLower(key)
		if !isKey(key) {
			return nil, fmt.Errorf("the qualifier %q is not letters, digits, \".\", \"-\" and \"_\"", key)
		}
		if _, twice := all[key]; twice {
			return nil, fmt.Errorf("the qualifier %s is there twice", key)
		}
		if all == nil {
			all = map[string]string{}
		}
		all[key] = plain
	}
	return all, nil
}

// isType: a letter, then letters, digits, "." and "-".
func isType(text string) bool { return startsWithLetter(text, "0123456789.-") }

// isKey: a letter, then letters, digits, ".", "-" and "_".
func isKey(text string) bool { return startsWithLetter(text, "0123456789.-_") }

// startsWithLetter reports whether text is a letter, then letters and characters of more.
func startsWithLetter(text, more string) bool {
	for i := 0; i < len(text); i++ {
		if c := text[i]; !isLetter(c) && (i == 0 || strings.IndexByte(more, c) < 0) {
			return false
		}
	}
	return text != ""
}
