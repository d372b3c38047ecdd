package gitrepo

import (
	"fmt"
	"path"
	"strings"
	"unicode/utf8"
)

// MaxModulesBytes bounds a .gitmodules file.
const MaxModulesBytes = 1 << 20

// module is a [submodule "name"] section of .gitmodules.
type module struct {
	name string
	path string
	url  string
}

// parseModules reads .gitmodules: git's configuration format (git-config(1), "Syntax"), of which only
// path and url in [submodule "name"] sections matter. As in git, the last value counts, and sections
// of one name are one. What a section says is checked by module.check, not here.
func parseModules(text string) ([]module, error) {
	if len(text) > MaxModulesBytes {
		return nil, fmt.Errorf("larger than %d bytes", MaxModulesBytes)
	}
	p := &configParser{rest: strings.TrimPrefix(text, "\ufeff"), line: 1}
	var modules []module
	index := map[string]int{}
	current := -1
	for {
		p.skipSpace()
		switch {
		case p.rest == "":
			return modules, nil
		case p.rest[0] == '[':
			section, sub, err := p.section()
			if err != nil {
				return nil, err
			}
			current = -1
			if section != "submodule" || sub == "" {
				continue
			}
			i, known := index[sub]
			if !known {
				i = len(modules)
				index[sub] = i
				modules = append(modules, module{name: sub})
			}
			current = i
		default:
			key, value, err := p.variable()
			if err != nil {
				return nil, err
			}
			if current < 0 {
				continue
			}
			switch key {
			case "path":
				modules[current].path = value
			case "url":
				modules[current].url = value
			}
		}
	}
}

// check refuses names and paths that git refuses, or that lead out of the work tree.
func (m module) check() error {
	for _, element := range strings.FieldsFunc(m.name, func(r rune) bool { return r == '/' || r == '\\' }) {
		if element == ".." {
			return fmt.Errorf("the name %q contains \"..\"", m.name)
		}
	}
	if !printable(m.name) {
		return fmt.Errorf("the name %q contains a control character", m.name)
	}
	if m.path == "" || path.IsAbs(m.path) || path.Clean(m.path) != m.path || m.path == "." || strings.HasPrefix(m.path, "../") || m.path == ".." {
		return fmt.Errorf("the path %q is not a clean path inside the repository", m.path)
	}
	if strings.HasPrefix(m.path, "-") || !printable(m.path) {
		return fmt.Errorf("the path %q begins with a dash or contains a control character", m.path)
	}
	for _, element := range strings.Split(m.path, "/") {
		if strings.EqualFold(element, ".git") {
			return fmt.Errorf("the path %q contains .git", m.path)
		}
	}
	if m.url == "" {
		return fmt.Errorf("it has no url")
	}
	if strings.HasPrefix(m.url, "-") {
		return fmt.Errorf("the url %q begins with a dash", m.url)
	}
	return nil
}

func printable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}

type configParser struct {
	rest string
	line int
}

func (p *configParser) errorf(format string, args ...any) error {
	return fmt.Errorf("line %d: %s", p.line, fmt.Sprintf(format, args...))
}

// skipSpace skips blanks, line ends and comments.
func (p *configParser) skipSpace() {
	for p.rest != "" {
		switch p.rest[0] {
		case '\n':
			p.line++
			p.rest = p.rest[1:]
		case ' ', '\t', '\r', '\f', '\v':
			p.rest = p.rest[1:]
		case '#', ';':
			end := strings.IndexByte(p.rest, '\n')
			if end < 0 {
				end = len(p.rest)
			}
			p.rest = p.rest[end:]
		default:
			return
		}
	}
}

// section reads [name "subsection"] or [name.subsection].
func (p *configParser) section() (name, sub string, err error) {
	rest := p.rest[1:]
	end := strings.IndexFunc(rest, func(r rune) bool { return !isKeyRune(r) && r != '.' })
	if end <= 0 {
		return "", "", p.errorf("want a section's name after [")
	}
	name, rest = rest[:end], rest[end:]
	if rest[0] == ']' {
		p.rest = rest[1:]
		name, sub, _ = strings.Cut(name, ".")
		return strings.ToLower(name), sub, nil
	}
	rest = strings.TrimLeft(rest, " \t")
	if !strings.HasPrefix(rest, `"`) {
		return "", "", p.errorf("want ] or a quoted name after the section's")
	}
	var b strings.Builder
	for i := 1; i < len(rest); i++ {
		switch c := rest[i]; c {
		case '\n':
			return "", "", p.errorf("the section's quoted name does not end")
		case '\\':
			i++
			if i == len(rest) || rest[i] == '\n' {
				return "", "", p.errorf("the section's quoted name does not end")
			}
			b.WriteByte(rest[i])
		case '"':
			if !strings.HasPrefix(rest[i+1:], "]") {
				return "", "", p.errorf("want ] after the section's quoted name")
			}
			p.rest = rest[i+2:]
			return strings.ToLower(name), b.String(), nil
		default:
			b.WriteByte(c)
		}
	}
	return "", "", p.errorf("the section's quoted name does not end")
}

func isKeyRune(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-'
}

// variable reads "key = value" or "key".
func (p *configParser) variable() (key, value string, err error) {
	end := strings.IndexFunc(p.rest, func(r rune) bool { return !isKeyRune(r) })
	if end < 0 {
		end = len(p.rest)
	}
	if end == 0 {
		return "", "", p.errorf("want a key or a section")
	}
	key, p.rest = strings.ToLower(p.rest[:end]), strings.TrimLeft(p.rest[end:], " \t\r")
	if p.rest == "" || strings.ContainsRune("\n#;", rune(p.rest[0])) {
		return key, "true", nil
	}
	if p.rest[0] != '=' {
		return "", "", p.errorf("want = after the key %q", key)
	}
	p.rest = p.rest[1:]
	value, err = p.value()
	return key, value, err
}

// value reads to the end of the line: quotes, escapes, continued lines; blanks around it go, and those
// inside stay.
func (p *configParser) value() (string, error) {
	var b strings.Builder
	quoted := false
	keep := 0 // length up to which blanks must not be trimmed
	i := 0
	for ; i < len(p.rest); i++ {
		c := p.rest[i]
		switch {
		case c == '\n' || c == '\r' && strings.HasPrefix(p.rest[i+1:], "\n"):
			if quoted {
				return "", p.errorf("a quoted value does not end")
			}
			p.rest = p.rest[i:]
			return b.String()[:keep], nil
		case c == '\\':
			i++
			if i == len(p.rest) {
				return "", p.errorf("a backslash at the end of the file")
			}
			switch e := p.rest[i]; e {
			case '\n':
				p.line++
				continue
			case '\r':
				if !strings.HasPrefix(p.rest[i+1:], "\n") {
					return "", p.errorf("unknown escape")
				}
				i++
				p.line++
				continue
			case 'n':
				b.WriteByte('\n')
			case 't':
				b.WriteByte('\t')
			case 'b':
				b.WriteByte('\b')
			case '"', '\\':
				b.WriteByte(e)
			default:
				return "", p.errorf("unknown escape \\%c", e)
			}
			keep = b.Len()
		case c == '"':
			quoted = !quoted
			keep = b.Len()
		case !quoted && (c == '#' || c == ';'):
			p.rest = p.rest[i:]
			return b.String()[:keep], nil
		case !quoted && (c == ' ' || c == '\t'):
			if b.Len() > 0 {
				b.WriteByte(c)
			}
		default:
			b.WriteByte(c)
			keep = b.Len()
		}
	}
	if quoted {
		return "", p.errorf("a quoted value does not end")
	}
	p.rest = ""
	return b.String()[:keep], nil
}
