package berry

import (
	"io"
	"regexp"
	"strconv"
	"strings"

	"github.com/cachito-serverless/cachito/shared/resolver/yarn/lines"
)

// Bounds of a yarn.lock. The largest that are known have some 40,000 lines and 2 MB.
const (
	// MaxLockfileBytes of one yarn.lock.
	MaxLockfileBytes = 32 << 20
	// maxKeys and maxNeeds bound what all entries of a lockfile name together.
	maxKeys  = 300_000
	maxNeeds = 1_000_000
	// Versions of the format, __metadata.version: 4 is Yarn 2's, 6 (and 5, of its release candidates) Yarn 3's,
	// 7 to 10 are Yarn 4's.
	minFormat, maxFormat = 4, 10
)

// lockfile is a parsed yarn.lock of Yarn 2 or newer:
//
//	__metadata:
//	  version: 8
//	  cacheKey: 10c0
//
//	"@types/ms@npm:*, @types/ms@npm:^0.7.0":
//	  version: 0.7.34
//	  resolution: "@types/ms@npm:0.7.34"
//	  dependencies:
//	    a: "npm:^1.0.0"
//	  checksum: 10c0/ac80bd90012116ceb2d188fde62d96830ca847823e8ca71255616bc73991aa7d...
//	  languageName: node
//	  linkType: hard
//
// It is the part of YAML that Yarn writes (packages/yarnpkg-parsers/sources/syml.ts, BSD license): maps of plain or
// quoted texts. Anchors, lists and other documents are not, so nothing can grow.
type lockfile struct {
	path string // in the repository
	// format is __metadata.version.
	format int
	// cacheKey is that of checksums that have none of their own; it names the form of Yarn's zips.
	cacheKey string
	entries  []*entry
	// byKey has the entries by "name@range", with and without what is bound to it ("::locator=...").
	byKey map[string][]*entry
	// byName has them by the name before the range.
	byName map[string][]*entry
	// byResolution has them by entry.resolution.
	byResolution map[string]*entry
}

// entry is one package.
type entry struct {
	keys []string // "name@range"
	line int
	// Fields as they are, "" when missing.
	version, resolution, checksum, conditions string
	needs                                     []string // "name@range" of dependencies, optional ones among them
	locator                                   locator
	checksumLine                              int
}

// lockfileParser reads line by line.
type lockfileParser struct {
	lines.Reader
	file    *lockfile
	current *entry // nil within __metadata
	meta    bool   // __metadata was there
	top     bool   // a key of the top level was there
	section string // the map that the entry is in, "" for none
	waiting string // the long key after "? ", whose ":" comes on the next line
	left    *int   // entries that may still come
	keys    int
	needs   int
}

// parseLockfile reads a yarn.lock. left counts the entries that the request may still have. What is wrong is a
// fault of the client's, which names file and line.
func parseLockfile(r io.Reader, path string, left *int) (*lockfile, error) {
	p := &lockfileParser{
		Reader: lines.Reader{Path: path}, left: left,
		file: &lockfile{path: path, byKey: map[string][]*entry{}, byName: map[string][]*entry{}, byResolution: map[string]*entry{}},
	}
	if err := p.Each(r, MaxLockfileBytes, p.add); err != nil {
		return nil, err
	}
	return p.finish()
}

var formatPattern = regexp.MustCompile(`^[0-9]{1,4}$`)

// add reads one line, with its end.
func (p *lockfileParser) add(raw []byte) error {
	text := string(raw)
	if p.Line == 1 {
		text = strings.TrimPrefix(text, "\ufeff")
	}
	text = strings.TrimRight(text, " \r\n")
	if err := p.CheckConflict(text); err != nil {
		return err
	}
	bare := strings.TrimLeft(text, " ")
	indent := len(text) - len(bare)
	switch {
	case bare == "" || bare[0] == '#':
		return nil
	case bare[0] == '\t':
		return p.Wrong("tabs are no indentation in YAML")
	case indent%2 != 0:
		return p.OddIndent(indent)
	case bare == ":" && indent == 0 && p.waiting != "":
		keys := p.waiting
		p.waiting = ""
		return p.addKeys(keys)
	case p.waiting != "":
		return p.Wrong("want a colon below the key that begins with a question mark")
	}
	if long, ok := strings.CutPrefix(bare, "? "); ok && indent == 0 {
		key, rest, err := p.scalar(long, "")
		if err != nil || rest != "" || key == "" {
			return p.Wrong("want a key at %q", lines.Shorten(long))
		}
		p.waiting = key
		return nil
	}
	key, rest, err := p.scalar(bare, ":")
	if err != nil {
		return err
	}
	rest, ok := strings.CutPrefix(rest, ":")
	if !ok || key == "" || rest != "" && rest[0] != ' ' {
		return p.Wrong("want a key and a colon at %q", lines.Shorten(bare))
	}
	value, isMap := "", true
	if rest = strings.TrimLeft(rest, " "); rest != "" && rest[0] != '#' {
		isMap = false
		if value, rest, err = p.scalar(rest, ""); err != nil {
			return err
		}
		if rest = strings.TrimLeft(rest, " "); rest != "" && rest[0] != '#' {
			return p.Wrong("want the end of the line at %q", lines.Shorten(rest))
		}
	}
	switch indent / 2 {
	case 0:
		if !isMap {
			return p.Wrong("want a map below %q, got the value %q", lines.Shorten(key), lines.Shorten(value))
		}
		return p.addKeys(key)
	case 1:
		return p.addField(key, value, isMap)
	case 2:
		return p.addNeed(key, value, isMap)
	}
	if p.section == "" {
		return p.Wrong("the line is indented too far")
	}
	return nil // a map inside one that nobody reads
}

// scalar reads a quoted text, or a bare one up to a character of stop that a blank or the end follows, or up to
// a comment.
func (p *lockfileParser) scalar(text, stop string) (value, rest string, err error) {
	switch text[0] {
	case '"':
		end := 0
		if value, end, err = p.Quoted(text); err != nil {
			return "", "", err
		}
		rest = text[end:]
	case '\'':
		end := 1
		for ; end < len(text); end++ {
			if text[end] == '\'' {
				if end+1 < len(text) && text[end+1] == '\'' {
					end++
					continue
				}
				break
			}
		}
		if end >= len(text) {
			return "", "", p.Wrong("the quotes at %q do not end", lines.Shorten(text))
		}
		value, rest = strings.ReplaceAll(text[1:end], "''", "'"), text[end+1:]
	case '&', '*', '!', '|', '>', '%', '@', '`', '{', '[', '-':
		if len(text) > 1 || text[0] == '-' || strings.ContainsRune("{[", rune(text[0])) {
			return "", "", p.Wrong("%q is no text as Yarn writes it", lines.Shorten(text))
		}
		value = text
	default:
		end := len(text)
		for i := range len(text) {
			blankNext := i+1 == len(text) || text[i+1] == ' '
			if blankNext && strings.IndexByte(stop, text[i]) >= 0 || text[i] == '#' && i > 0 && text[i-1] == ' ' {
				end = i
				break
			}
		}
		value, rest = strings.TrimRight(text[:end], " "), text[end:]
	}
	return value, rest, p.CheckText(value)
}

// addKeys begins an entry.
func (p *lockfileParser) addKeys(text string) error {
	if err := p.endEntry(); err != nil {
		return err
	}
	p.section, p.current, p.top = "", nil, true
	if text == "__metadata" {
		p.meta = true
		return nil
	}
	if *p.left--; *p.left < 0 {
		return p.Unsupported("the lockfiles of the request have too many entries")
	}
	keys := strings.Split(text, ",")
	if p.keys += len(keys); p.keys > maxKeys {
		return p.Unsupported("the lockfile has more than %d keys, the limit", maxKeys)
	}
	for i, key := range keys {
		if keys[i] = strings.TrimSpace(key); keys[i] == "" {
			return p.Wrong("the list of keys %q has an empty one", lines.Shorten(text))
		}
	}
	p.current = &entry{keys: keys, line: p.Line}
	return nil
}

func (p *lockfileParser) addField(key, value string, isMap bool) error {
	switch {
	case !p.top:
		return p.Wrong("the line belongs to no entry")
	case isMap:
		p.section = key
		return nil
	}
	p.section = ""
	e := p.current
	if e == nil {
		return p.addMetadata(key, value)
	}
	switch key {
	case "version":
		e.version = value
	case "resolution":
		e.resolution = value
	case "checksum":
		e.checksum, e.checksumLine = value, p.Line
	case "conditions":
		e.conditions = value
	}
	return nil
}

func (p *lockfileParser) addMetadata(key, value string) error {
	switch key {
	case "version":
		n, err := strconv.Atoi(value)
		if !formatPattern.MatchString(value) || err != nil || n < minFormat || n > maxFormat {
			return p.Unsupported("lockfiles of version %q are not supported, only those of the versions %d to %d (Yarn 2 to 4)", lines.Shorten(value), minFormat, maxFormat)
		}
		p.file.format = n
	case "cacheKey":
		p.file.cacheKey = value
	}
	return nil
}

func (p *lockfileParser) addNeed(key, value string, isMap bool) error {
	switch {
	case p.section == "":
		return p.Wrong("the line is indented too far")
	case p.current == nil, p.section != "dependencies", isMap:
		return nil
	}
	if p.needs++; p.needs > maxNeeds {
		return p.Unsupported("the lockfile names more than %d needs, the limit", maxNeeds)
	}
	p.current.needs = append(p.current.needs, key+"@"+value)
	return nil
}

// endEntry checks the entry that is complete now.
func (p *lockfileParser) endEntry() error {
	e := p.current
	if e == nil {
		return nil
	}
	at := p.Line
	p.Line = e.line
	defer func() { p.Line = at }()
	if e.resolution == "" {
		return p.Wrong("%s has no resolution", strconv.Quote(lines.Shorten(e.keys[0])))
	}
	var ok bool
	if e.locator, ok = parseLocator(e.resolution); !ok {
		return p.Wrong("the resolution %q is none", lines.Shorten(e.resolution))
	}
	if first := p.file.byResolution[e.resolution]; first != nil {
		return p.Wrong("the resolution %q is that of line %d as well", lines.Shorten(e.resolution), first.line)
	}
	p.file.byResolution[e.resolution] = e
	p.file.entries = append(p.file.entries, e)
	names := map[string]bool{}
	for _, key := range e.keys {
		name, _ := lines.SplitKey(key)
		if !names[name] {
			names[name] = true
			p.file.byName[name] = append(p.file.byName[name], e)
		}
		p.file.byKey[key] = append(p.file.byKey[key], e)
		if plain, _, bound := strings.Cut(key, "::"); bound {
			p.file.byKey[plain] = append(p.file.byKey[plain], e)
		}
	}
	return nil
}

func (p *lockfileParser) finish() (*lockfile, error) {
	if p.waiting != "" {
		return nil, p.Wrong("want a colon below the key that begins with a question mark")
	}
	if err := p.endEntry(); err != nil {
		return nil, err
	}
	if !p.meta || p.file.format == 0 {
		p.Line = 1
		return nil, p.Wrong("the lockfile has no __metadata with a version")
	}
	return p.file, nil
}
