package pip

import (
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/pyrepr"
	"github.com/cachito-serverless/cachito/shared/resolver/pip/pep440"
	"github.com/cachito-serverless/cachito/shared/resolver/pip/pep508"
)

const (
	anything    = ":all:"
	defaultArch = "x86_64"
	defaultOS   = "linux"
	defaultImpl = "cp"
)

// binaryFilter is the request's "binary": which wheels are wanted, for which packages. Every field is a
// list of alternatives; nil is anything.
//
//	{"packages": ":all:", "arch": "x86_64", "os": "linux", "py_version": 311, "py_impl": "cp", "abi": ":all:", "platform": null}
type binaryFilter struct {
	packages []string // canonical names; nil: all, and their sdists too
	arch, os []string
	versions []pyVersion
	impl     []string
	abi      []string
	platform *regexp.Regexp // instead of arch and os
}

// pyVersion is "311": 3.11. minor is -1 in "3".
type pyVersion struct{ major, minor int }

func parsePyVersion(digits string) (pyVersion, bool) {
	if len(digits) == 0 || len(digits) > 6 || strings.Trim(digits, "0123456789") != "" {
		return pyVersion{}, false
	}
	v := pyVersion{major: int(digits[0] - '0'), minor: -1}
	if len(digits) > 1 {
		v.minor, _ = strconv.Atoi(digits[1:]) // six digits at most
	}
	return v, true
}

func (v pyVersion) String() string { return strconv.Itoa(v.major) + "." + strconv.Itoa(v.minor) }

// parseBinary reads the option. Fault: ValidationError.
func parseBinary(raw json.RawMessage) (*binaryFilter, error) {
	var fields map[string]any
	if err := json.Unmarshal(raw, &fields); err != nil {
		return nil, fault.Client(fault.ValidationError, `The "binary" value of packages.pip must be an object`).Because(err)
	}
	if fields == nil { // null
		return nil, nil
	}
	text := func(key, missing string) (string, error) {
		switch v := fields[key].(type) {
		case nil:
			return missing, nil
		case string:
			if strings.TrimSpace(v) == "" {
				return "", fault.Client(fault.ValidationError, `"%s" of "binary" must not be empty: give a comma-separated list, or %q`, key, anything)
			}
			return v, nil
		case float64:
			return strconv.FormatFloat(v, 'f', -1, 64), nil
		}
		return "", fault.Client(fault.ValidationError, `"%s" of "binary" must be a text, a number or null`, key)
	}
	f := &binaryFilter{}
	var err error
	list := func(key, missing string) (items []string) {
		var value string
		if value, err = text(key, missing); err != nil || value == anything {
			return nil
		}
		for item := range strings.SplitSeq(value, ",") {
			if item = strings.TrimSpace(item); item == anything {
				return nil
			} else if item != "" {
				items = append(items, item)
			}
		}
		return items
	}
	steps := []func(){
		func() {
			for _, name := range list("packages", anything) {
				f.packages = append(f.packages, pep508.Canonical(name))
			}
		},
		func() { f.arch = list("arch", defaultArch) },
		func() { f.os = list("os", defaultOS) },
		func() { f.impl = list("py_impl", defaultImpl) },
		func() { f.abi = list("abi", anything) },
		func() {
			for _, digits := range list("py_version", anything) {
				v, ok := parsePyVersion(digits)
				if !ok {
					err = fault.Client(fault.ValidationError, `"py_version" of "binary" must be digits such as 311 for Python 3.11, got %s`, pyrepr.String(digits))
					return
				}
				f.versions = append(f.versions, v)
			}
		},
	}
	for _, step := range steps {
		if step(); err != nil {
			return nil, err
		}
	}
	expression, err := text("platform", "")
	if err != nil || expression == "" {
		return f, err
	}
	if !slices.Equal(f.arch, []string{defaultArch}) || !slices.Equal(f.os, []string{defaultOS}) {
		return nil, fault.Client(fault.ValidationError, "Use either 'platform' (regex pattern) or 'os' with 'arch', but not both.")
	}
	if f.platform, err = regexp.Compile(expression); err != nil {
		return nil, fault.Client(fault.ValidationError, `"platform" of "binary" is not a regular expression: %v`, err)
	}
	f.arch, f.os = nil, nil
	return f, nil
}

// wanted says which kinds of files are for a project.
func (f *binaryFilter) wanted(project string) (sdist, wheels bool) {
	switch {
	case f == nil:
		return true, false
	case f.packages == nil:
		return true, true
	}
	listed := slices.Contains(f.packages, pep508.Canonical(project))
	return !listed, listed
}

// matches reports whether a wheel is wanted: whether one of its tags is, and its Python fits.
func (f *binaryFilter) matches(w wheel, requiresPython string) bool {
	if !f.pythonFits(requiresPython) {
		return false
	}
	return slices.ContainsFunc(w.python, func(python string) bool {
		return slices.ContainsFunc(w.abi, func(abi string) bool {
			return f.python(python, abi) && f.abiFits(abi) && slices.ContainsFunc(w.platform, f.platformFits)
		})
	})
}

// pythonFits checks what the index says of Python's version; what cannot be read fits.
func (f *binaryFilter) pythonFits(requires string) bool {
	set, err := pep440.ParseSet(requires)
	if err != nil || len(f.versions) == 0 {
		return true
	}
	return slices.ContainsFunc(f.versions, func(v pyVersion) bool {
		if v.minor < 0 {
			return true
		}
		// Some release of 3.11 must fit: the first, or a late one where the first is excluded (>=3.11.4).
		return set.Contains(v.String()) || set.Contains(v.String()+".99")
	})
}

func (f *binaryFilter) platformFits(tag string) bool {
	switch {
	case tag == "any":
		return true
	case f.platform != nil:
		return f.platform.MatchString(tag)
	}
	return containsOneOf(tag, f.arch) && containsOneOf(tag, f.os)
}

// containsOneOf reports whether one of the parts is in text; nil is anything.
func containsOneOf(text string, parts []string) bool {
	return parts == nil || slices.ContainsFunc(parts, func(part string) bool { return strings.Contains(text, part) })
}

func (f *binaryFilter) abiFits(tag string) bool {
	return isStable(tag) || containsOneOf(tag, f.abi)
}

// isStable: wheels with such an ABI run on later releases of Python, too.
func isStable(abi string) bool { return abi == "abi3" || abi == "none" }

var pythonTagPattern = regexp.MustCompile(`^([a-z_]+?)_?([0-9]+)$`)

// python checks a tag such as cp311 or py3.
func (f *binaryFilter) python(tag, abi string) bool {
	m := pythonTagPattern.FindStringSubmatch(tag)
	if m == nil {
		return false
	}
	v, ok := parsePyVersion(m[2])
	if !ok || (m[1] != "py" || v.major != 3) && !containsOneOf(tag, f.impl) {
		return false
	}
	return len(f.versions) == 0 || slices.ContainsFunc(f.versions, func(want pyVersion) bool {
		return v.major == want.major && (v.minor == want.minor || v.minor < want.minor && isStable(abi))
	})
}

// excludes reports whether a marker is certainly false wherever the wheels are for.
func (f *binaryFilter) excludes(m *pep508.Marker) bool {
	if f == nil || m == nil {
		return false
	}
	for _, env := range f.environments() {
		if m.Evaluate(env) != pep508.False {
			return false
		}
	}
	return true
}

// environments are the marker variables that the filter fixes, for each combination of its lists.
func (f *binaryFilter) environments() []pep508.Environment {
	list := []pep508.Environment{{"extra": ""}}
	cross := func(n int, set func(i int, env pep508.Environment)) {
		if n == 0 {
			return
		}
		var out []pep508.Environment
		for _, env := range list {
			for i := range n {
				next := pep508.Environment{}
				for k, v := range env {
					next[k] = v
				}
				set(i, next)
				out = append(out, next)
			}
		}
		list = out
	}
	cross(len(f.os), func(i int, env pep508.Environment) { setOS(env, f.os[i]) })
	cross(len(f.arch), func(i int, env pep508.Environment) { env["platform_machine"] = f.arch[i] })
	cross(len(f.versions), func(i int, env pep508.Environment) {
		if v := f.versions[i]; v.minor >= 0 {
			env["python_version"] = v.String()
		}
	})
	cross(len(f.impl), func(i int, env pep508.Environment) {
		if f.impl[i] == defaultImpl {
			env["implementation_name"], env["platform_python_implementation"] = "cpython", "CPython"
		}
	})
	return list
}

// setOS fixes the variables of an operating system, by the words that wheels have for it.
func setOS(env pep508.Environment, name string) {
	switch {
	case strings.Contains(name, "linux"):
		env["sys_platform"], env["platform_system"], env["os_name"] = "linux", "Linux", "posix"
	case strings.Contains(name, "darwin"), strings.Contains(name, "mac"):
		env["sys_platform"], env["platform_system"], env["os_name"] = "darwin", "Darwin", "posix"
	case strings.HasPrefix(name, "win"):
		env["sys_platform"], env["platform_system"], env["os_name"] = "win32", "Windows", "nt"
	}
}
