package pip

import (
	"errors"
	"regexp"
	"strings"
)

// errIni: a file that Python's configparser refuses.
var errIni = errors.New("not a valid ini file")

// maxInterpolation bounds %(a)s in values of others.
const maxInterpolation = 10

// iniFile is a file as Python's configparser reads it: sections of options, whose names are lower case.
type iniFile map[string]map[string]string

var interpolationPattern = regexp.MustCompile(`%(?:%|\(([^)]+)\)s)?`)

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
	return ini.interpolate(section, value, 0)
}

func (ini iniFile) raw(section, option string) (string, bool) {
	if value, ok := ini[section][option]; ok {
		return value, true
	}
	value, ok := ini["DEFAULT"][option]
	return value, ok && ini[section] != nil
}

// interpolate replaces %(option)s by that option's value, and %% by %.
func (ini iniFile) interpolate(section, value string, depth int) (string, error) {
	if depth > maxInterpolation || len(value) > MaxMetadataBytes {
		return "", errIni
	}
	var failed error
	out := interpolationPattern.ReplaceAllStringFunc(value, func(m string) string {
		if m == "%%" {
			return "%"
		}
		name := strings.ToLower(strings.TrimSuffix(strings.TrimPrefix(m, "%("), ")s"))
		inner, ok := ini.raw(section, name)
		if m == "%" || !ok {
			failed = errIni
			return ""
		}
		inner, err := ini.interpolate(section, inner, depth+1)
		if err != nil || len(inner) > MaxMetadataBytes {
			failed = errIni
		}
		return inner
	})
	if failed != nil || len(out) > MaxMetadataBytes {
		return "", errIni
	}
	return out, nil
}
