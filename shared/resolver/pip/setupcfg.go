package pip

import (
	"errors"
	"strings"
)

// errIni: a file that Python's configparser refuses.
var errIni = errors.New("not a valid ini file")

const (
	// maxInterpolation bounds %(a)s in values of others.
	maxInterpolation = 10
	// maxValueBytes bounds a value with its interpolations, maxLookups their number.
	maxValueBytes = 64 << 10
	maxLookups    = 10_000
)

// iniFile is a file as Python's configparser reads it: sections of options, whose names are lower case.
type iniFile map[string]map[string]string

// parseIni reads an ini file. Values go on in lines that are indented more than their name; comments have
// lines of their own. A section or option that comes twice is an error, as is a line that is neither.
func parseIni(text string) (iniFile, error) {
	ini := iniFile{}
	var section map[string]string
	var option string
	var values []string
	indent := 0
	flush := func() {
		if option != "" {
			section[option] = strings.TrimRight(strings.Join(values, "\n"), "\n \t")
		}
		option, values = "", nil
	}
	for line := range strings.SplitSeq(strings.ReplaceAll(text, "\r\n", "\n"), "\n") {
		trimmed := strings.TrimSpace(line)
		depth := len(line) - len(strings.TrimLeft(line, " \t"))
		switch {
		case strings.HasPrefix(trimmed, "#"), strings.HasPrefix(trimmed, ";"):
		case trimmed == "":
			if option != "" {
				values = append(values, "")
			}
		case option != "" && depth > indent:
			values = append(values, trimmed)
		case trimmed[0] == '[':
			flush()
			name, _, ok := strings.Cut(trimmed[1:], "]")
			if _, twice := ini[name]; !ok || name == "" || twice {
				return nil, errIni
			}
			section = map[string]string{}
			ini[name] = section
			indent = depth
		default:
			flush()
			at := strings.IndexAny(trimmed, "=:")
			if at <= 0 || section == nil {
				return nil, errIni
			}
			option = strings.ToLower(strings.TrimSpace(trimmed[:at]))
			if _, twice := section[option]; twice {
				return nil, errIni
			}
			section[option] = ""
			values = []string{strings.TrimSpace(trimmed[at+1:])}
			indent = depth
		}
	}
	flush()
	return ini, nil
}

// get is an option with its interpolations, "" when it is not there.
func (ini iniFile) get(section, option string) (string, error) {
	value, ok := ini.raw(section, option)
	if !ok {
		return "", nil
	}
	w := &interpolation{ini: ini, section: section}
	if err := w.write(value, 0); err != nil {
		return "", err
	}
	return w.text.String(), nil
}

func (ini iniFile) raw(section, option string) (string, bool) {
	if value, ok := ini[section][option]; ok {
		return value, true
	}
	value, ok := ini["DEFAULT"][option]
	return value, ok && ini[section] != nil
}

// interpolation writes one value of a section.
type interpolation struct {
	ini     iniFile
	section string
	text    strings.Builder
	lookups int
}

// write replaces %(option)s by that option's value, and %% by %. It ends as soon as more is written, or
// looked up, than a sensible value takes.
func (w *interpolation) write(value string, depth int) error {
	if w.lookups++; depth > maxInterpolation || w.lookups > maxLookups {
		return errIni
	}
	for {
		plain, rest, found := strings.Cut(value, "%")
		w.text.WriteString(plain)
		switch {
		case w.text.Len() > maxValueBytes:
			return errIni
		case !found:
			return nil
		case strings.HasPrefix(rest, "%"):
			w.text.WriteByte('%')
			value = rest[1:]
			continue
		case !strings.HasPrefix(rest, "("):
			return errIni
		}
		name, after, closed := strings.Cut(rest[1:], ")s")
		inner, known := w.ini.raw(w.section, strings.ToLower(name))
		if !closed || !known {
			return errIni
		}
		if err := w.write(inner, depth+1); err != nil {
			return err
		}
		value = after
	}
}
