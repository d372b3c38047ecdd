package yarn

import (
	"errors"
	"io"
	"regexp"
	"strconv"
	"strings"

	"github.com/cachito-serverless/cachito/shared/resolver/yarn/lines"
)

// Bounds of a yarn.lock. The largest that are known have some 30,000 lines and 2 MB.
const (
	// MaxLockfileBytes of one yarn.lock.
	MaxLockfileBytes = 16 << 20
	// MaxEntries of all lockfiles of one request together.
	MaxEntries = 100_000
	// maxKeys and maxNeeds bound what all entries of a lockfile name together.
	maxKeys  = 300_000
	maxNeeds = 500_000
)

// lockfile is a parsed yarn.lock of Yarn 1:
//
//	# yarn lockfile v1
//
//	"@types/ms@*", "@types/ms@^0.7.0":
//	  version "0.7.34"
//	  resolved "https://registry.yarnpkg.com/@types/ms/-/ms-0.7.34.tgz#10964ba0dee6ac4cd462e2795b6bebd407303433"
//	  integrity sha512-nG96G3Wp6acyAgJqGasjODb+acrI7KltPiRxzHPXnP3NgI28bpQDRv53olbqGXbfcgF5aiiHmO3xpwEpS5Ld9g==
//	  dependencies:
//	    a "^1.0.0"
//
// There is no specification; the parser of Yarn 1.22 (src/lockfile/parse.js, BSD license) reads it. This one takes
// more (values without quotes, a colon before them), as Yarn's YAML fallback does.
type lockfile struct {
	path    string // in the repository
	entries []*entry
	byKey   map[string]*entry
}

// entry is one resolved package.
type entry struct {
	keys []string // "name@spec", those that count: of two equal keys in a file the last one does
	line int
	// version, resolved and integrity as they are, "" when missing.
	version, resolved, integrity string
	// resolvedAt is where the value of resolved stands in the file, quotes included.
	resolvedAt span
	needs      []string // "name@spec" of dependencies and optionalDependencies
}

// span is a range of bytes.
type span struct{ from, to int64 }

// errBerry is a lockfile of Yarn 2 or newer.
var errBerry = errors.New("it is a lockfile of Yarn 2 or newer")

// lockfileParser reads line by line.
type lockfileParser struct {
	lines.Reader
	file    *lockfile
	offset  int64 // of the line
	current *entry
	section string // the map that the entry is in, "" for none
	left    *int   // entries that may still come
	keys    int
	needs   int
}

// parseLockfile reads a yarn.lock. left counts the entries that the request may still have. A lockfile of Yarn
// 2 or newer is errBerry, everything else that is wrong a fault of the client's, which names file and line.
func parseLockfile(r io.Reader, path string, left *int) (*lockfile, error) {
	p := &lockfileParser{Reader: lines.Reader{Path: path}, file: &lockfile{path: path, byKey: map[string]*entry{}}, left: left}
	if err := p.Each(r, MaxLockfileBytes, p.add); err != nil {
		return nil, err
	}
	return p.finish()
}

var versionComment = regexp.MustCompile(`^#\s*yarn lockfile v(\d+)\s*$`)

// add reads one line, with its end.
func (p *lockfileParser) add(raw []byte) error {
	text := string(raw)
	start := p.offset
	p.offset += int64(len(raw))
	if p.Line == 1 && strings.HasPrefix(text, "\ufeff") {
		text, start = text[3:], start+3
	}
	text = strings.TrimRight(text, "\r\n")
	if err := p.CheckConflict(text); err != nil {
		return err
	}
	bare := strings.TrimLeft(text, " ")
	indent := len(text) - len(bare)
	bare = strings.TrimRight(bare, " \t")
	if bare == "" {
		return nil
	}
	if bare[0] == '#' {
		if m := versionComment.FindStringSubmatch(bare); m != nil && m[1] != "1" {
			return p.Unsupported("lockfiles of version %s are not supported, only those of version 1", m[1])
		}
		return nil
	}
	if indent%2 != 0 {
		return p.OddIndent(indent)
	}
	l, err := p.parseLine(bare)
	if err != nil {
		return err
	}
	at := start + int64(indent)
	l.valueAt.from += at
	l.valueAt.to += at
	switch indent / 2 {
	case 0:
		return p.addKeys(l)
	case 1:
		return p.addField(l)
	case 2:
		return p.addNeed(l)
	}
	if p.section == "" {
		return p.Wrong("the line is indented too far")
	}
	return nil // a map inside an unknown one
}

// line is what a line says: "key, key:", "key value" or "key: value".
type line struct {
	keys    []string
	value   string
	isMap   bool // no value: a map follows
	valueAt span // in the line, without the blanks before it
}

func (p *lockfileParser) parseLine(text string) (line, error) {
	var l line
	at := 0
	for {
		key, end, err := p.token(text, at, ":, ")
		if err != nil {
			return l, err
		}
		if key == "" {
			return l, p.Wrong("want a key at %q", lines.Shorten(text[at:]))
		}
		l.keys = append(l.keys, key)
		at = skipBlanks(text, end)
		if at == len(text) || text[at] != ',' {
			break
		}
		at = skipBlanks(text, at+1)
	}
	colon := at < len(text) && text[at] == ':'
	if colon {
		at = skipBlanks(text, at+1)
	}
	if at == len(text) || text[at] == '#' {
		if !colon {
			return l, p.Wrong("want a colon or a value after %q", lines.Shorten(l.keys[len(l.keys)-1]))
		}
		l.isMap = true
		return l, nil
	}
	value, end, err := p.token(text, at, " ")
	if err != nil {
		return l, err
	}
	if rest := skipBlanks(text, end); rest < len(text) && text[rest] != '#' {
		return l, p.Wrong("want the end of the line at %q", lines.Shorten(text[rest:]))
	}
	l.value, l.valueAt = value, span{int64(at), int64(end)}
	return l, nil
}

// token reads a quoted text, or a bare one up to one of the characters of stop.
func (p *lockfileParser) token(text string, at int, stop string) (value string, end int, err error) {
	if at < len(text) && text[at] == '"' {
		if value, end, err = p.Quoted(text[at:]); err != nil {
			return "", 0, err
		}
		end += at
	} else {
		end = at
		for end < len(text) && strings.IndexByte(stop, text[end]) < 0 {
			end++
		}
		value = text[at:end]
	}
	return value, end, p.CheckText(value)
}

func skipBlanks(text string, at int) int {
	for at < len(text) && (text[at] == ' ' || text[at] == '\t') {
		at++
	}
	return at
}

// addKeys begins an entry.
func (p *lockfileParser) addKeys(l line) error {
	if l.keys[0] == "__metadata" {
		return errBerry
	}
	if !l.isMap {
		return p.Wrong("want a list of keys with a colon at its end, got the value %q", lines.Shorten(l.value))
	}
	if err := p.endEntry(); err != nil {
		return err
	}
	if *p.left--; *p.left < 0 {
		return p.Unsupported("the lockfiles have more than %d entries, the limit", MaxEntries)
	}
	if p.keys += len(l.keys); p.keys > maxKeys {
		return p.Unsupported("the lockfile has more than %d keys, the limit", maxKeys)
	}
	p.current, p.section = &entry{keys: l.keys, line: p.Line}, ""
	p.file.entries = append(p.file.entries, p.current)
	for _, key := range l.keys {
		p.file.byKey[key] = p.current
	}
	return nil
}

func (p *lockfileParser) addField(l line) error {
	switch {
	case p.current == nil:
		return p.Wrong("the line belongs to no entry")
	case len(l.keys) > 1:
		return p.Wrong("want one field, got %d", len(l.keys))
	case l.isMap:
		p.section = l.keys[0]
		return nil
	}
	p.section = ""
	switch l.keys[0] {
	case "version":
		p.current.version = l.value
	case "resolved":
		p.current.resolved, p.current.resolvedAt = l.value, l.valueAt
	case "integrity":
		p.current.integrity = l.value
	}
	return nil
}

func (p *lockfileParser) addNeed(l line) error {
	switch {
	case p.current == nil || p.section == "":
		return p.Wrong("the line is indented too far")
	case p.section != "dependencies" && p.section != "optionalDependencies", l.isMap:
		return nil
	}
	if p.needs += len(l.keys); p.needs > maxNeeds {
		return p.Unsupported("the lockfile names more than %d needs, the limit", maxNeeds)
	}
	for _, name := range l.keys {
		p.current.needs = append(p.current.needs, name+"@"+l.value)
	}
	return nil
}

// endEntry checks the entry that is complete now.
func (p *lockfileParser) endEntry() error {
	if e := p.current; e != nil && e.version == "" {
		p.Line = e.line
		return p.Wrong("%s has no version", strconv.Quote(lines.Shorten(e.keys[0])))
	}
	return nil
}

// finish drops the keys, and the entries, that later ones replace.
func (p *lockfileParser) finish() (*lockfile, error) {
	if err := p.endEntry(); err != nil {
		return nil, err
	}
	kept := p.file.entries[:0]
	for _, e := range p.file.entries {
		keys := e.keys[:0]
		for _, key := range e.keys {
			if p.file.byKey[key] == e {
				keys = append(keys, key)
			}
		}
		if e.keys = keys; len(keys) > 0 {
			kept = append(kept, e)
		}
	}
	p.file.entries = kept
	return p.file, nil
}

// realName is the name of the package that a key stands for: an alias has it in its spec.
//
//	chai@^4.0.0 -> chai, x@npm:isarray@2.0.5 -> isarray, y@npm:@types/ms -> @types/ms
func realName(key string) string {
	name, spec := lines.SplitKey(key)
	if alias, ok := strings.CutPrefix(spec, "npm:"); ok && alias != "" {
		name, _ = lines.SplitKey(alias)
	}
	return name
}
