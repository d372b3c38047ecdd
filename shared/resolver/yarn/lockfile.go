package yarn

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"github.com/cachito-serverless/cachito/shared/fault"
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
	// maxLineBytes: the keys of an entry are one line.
	maxLineBytes = 1 << 20
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
	file    *lockfile
	line    int
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
	p := &lockfileParser{file: &lockfile{path: path, byKey: map[string]*entry{}}, left: left}
	lines := bufio.NewReaderSize(io.LimitReader(r, MaxLockfileBytes+1), 64<<10)
	var long []byte
	for {
		piece, err := lines.ReadSlice('\n')
		if len(long)+len(piece) > maxLineBytes {
			p.line++
			return nil, p.wrong("the line has more than %d bytes", maxLineBytes)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			long = append(long, piece...)
			continue
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("reading %s: %w", path, err)
		}
		text := piece
		if len(long) > 0 {
			text = append(long, piece...)
			long = long[:0]
		}
		p.line++
		if err := p.add(text); err != nil {
			return nil, err
		}
		if p.offset += int64(len(text)); p.offset > MaxLockfileBytes {
			return nil, fault.Client(fault.UnsupportedFeature, "The file %s has more than %d bytes, the limit", path, MaxLockfileBytes)
		}
		if err != nil {
			return p.finish()
		}
	}
}

// wrong is the fault for the current line.
func (p *lockfileParser) wrong(format string, args ...any) error {
	return fault.Client(fault.InvalidFileFormat, "%s:%d: %s", p.file.path, p.line, fmt.Sprintf(format, args...))
}

var (
	conflictMarkers = []string{"<<<<<<<", "|||||||", "=======", ">>>>>>>"}
	versionComment  = regexp.MustCompile(`^#\s*yarn lockfile v(\d+)\s*$`)
)

// add reads one line, with its end.
func (p *lockfileParser) add(raw []byte) error {
	text := string(raw)
	start := p.offset
	if p.line == 1 && strings.HasPrefix(text, "\ufeff") {
		text, start = text[3:], start+3
	}
	text = strings.TrimRight(text, "\r\n")
	for _, marker := range conflictMarkers {
		if strings.HasPrefix(text, marker) {
			return p.wrong("there is a merge conflict (%s); resolve it, `yarn install` does, and commit the result", marker)
		}
	}
	bare := strings.TrimLeft(text, " ")
	indent := len(text) - len(bare)
	bare = strings.TrimRight(bare, " \t")
	if bare == "" {
		return nil
	}
	if bare[0] == '#' {
		if m := versionComment.FindStringSubmatch(bare); m != nil && m[1] != "1" {
			return fault.Client(fault.UnsupportedFeature, "%s:%d: lockfiles of version %s are not supported, only those of version 1", p.file.path, p.line, m[1])
		}
		return nil
	}
	if indent%2 != 0 {
		return p.wrong("want an even number of spaces at the beginning of the line, got %d", indent)
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
		return p.wrong("the line is indented too far")
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
			return l, p.wrong("want a key at %q", shorten(text[at:]))
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
			return l, p.wrong("want a colon or a value after %q", shorten(l.keys[len(l.keys)-1]))
		}
		l.isMap = true
		return l, nil
	}
	value, end, err := p.token(text, at, " ")
	if err != nil {
		return l, err
	}
	if rest := skipBlanks(text, end); rest < len(text) && text[rest] != '#' {
		return l, p.wrong("want the end of the line at %q", shorten(text[rest:]))
	}
	l.value, l.valueAt = value, span{int64(at), int64(end)}
	return l, nil
}

// token reads a quoted text, or a bare one up to one of the characters of stop.
func (p *lockfileParser) token(text string, at int, stop string) (value string, end int, err error) {
	if at < len(text) && text[at] == '"' {
		end = at + 1
		for end < len(text) && text[end] != '"' {
			if text[end] == '\\' {
				end++
			}
			end++
		}
		if end >= len(text) {
			return "", 0, p.wrong("the quotes at %q do not end", shorten(text[at:]))
		}
		end++
		if err := json.Unmarshal([]byte(text[at:end]), &value); err != nil {
			return "", 0, p.wrong("the text %q is not quoted as in JSON", shorten(text[at:end]))
		}
	} else {
		end = at
		for end < len(text) && strings.IndexByte(stop, text[end]) < 0 {
			end++
		}
		value = text[at:end]
	}
	if i := strings.IndexFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\ufffd' }); i >= 0 {
		return "", 0, p.wrong("the text %q has a control character, or is not UTF-8", shorten(value))
	}
	return value, end, nil
}

func skipBlanks(text string, at int) int {
	for at < len(text) && (text[at] == ' ' || text[at] == '\t') {
		at++
	}
	return at
}

// shorten makes a text fit for a message.
func shorten(text string) string {
	if len(text) > 60 {
		return strings.ToValidUTF8(text[:60], "") + "..."
	}
	return text
}

// addKeys begins an entry.
func (p *lockfileParser) addKeys(l line) error {
	if l.keys[0] == "__metadata" {
		return errBerry
	}
	if !l.isMap {
		return p.wrong("want a list of keys with a colon at its end, got the value %q", shorten(l.value))
	}
	if err := p.endEntry(); err != nil {
		return err
	}
	if *p.left--; *p.left < 0 {
		return fault.Client(fault.UnsupportedFeature, "%s:%d: the lockfiles have more than %d entries, the limit", p.file.path, p.line, MaxEntries)
	}
	if p.keys += len(l.keys); p.keys > maxKeys {
		return fault.Client(fault.UnsupportedFeature, "%s:%d: the lockfile has more than %d keys, the limit", p.file.path, p.line, maxKeys)
	}
	p.current, p.section = &entry{keys: l.keys, line: p.line}, ""
	p.file.entries = append(p.file.entries, p.current)
	for _, key := range l.keys {
		p.file.byKey[key] = p.current
	}
	return nil
}

func (p *lockfileParser) addField(l line) error {
	switch {
	case p.current == nil:
		return p.wrong("the line belongs to no entry")
	case len(l.keys) > 1:
		return p.wrong("want one field, got %d", len(l.keys))
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
		return p.wrong("the line is indented too far")
	case p.section != "dependencies" && p.section != "optionalDependencies", l.isMap:
		return nil
	}
	if p.needs += len(l.keys); p.needs > maxNeeds {
		return fault.Client(fault.UnsupportedFeature, "%s:%d: the lockfile names more than %d needs, the limit", p.file.path, p.line, maxNeeds)
	}
	for _, name := range l.keys {
		p.current.needs = append(p.current.needs, name+"@"+l.value)
	}
	return nil
}

// endEntry checks the entry that is complete now.
func (p *lockfileParser) endEntry() error {
	if e := p.current; e != nil && e.version == "" {
		p.line = e.line
		return p.wrong("%s has no version", strconv.Quote(shorten(e.keys[0])))
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

// splitKey splits "name@spec"; the "@" of a scope belongs to the name.
func splitKey(key string) (name, spec string) {
	if key == "" {
		return "", ""
	}
	at := strings.IndexByte(key[1:], '@')
	if at < 0 {
		return key, ""
	}
	return key[:at+1], key[at+2:]
}

// realName is the name of the package that a key stands for: an alias has it in its spec.
//
//	chai@^4.0.0 -> chai, x@npm:isarray@2.0.5 -> isarray, y@npm:@types/ms -> @types/ms
func realName(key string) string {
	name, spec := splitKey(key)
	if alias, ok := strings.CutPrefix(spec, "npm:"); ok && alias != "" {
		name, _ = splitKey(alias)
	}
	return name
}
