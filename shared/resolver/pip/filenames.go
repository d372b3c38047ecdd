package pip

import (
	"regexp"
	"strings"

	"github.com/cachito-serverless/cachito/shared/resolver/pip/pep440"
	"github.com/cachito-serverless/cachito/shared/resolver/pip/pep508"
)

// fileNamePattern is what names of distributions are made of. Anything else, a slash above all, is not
// written to a bundle, whatever an index says.
var fileNamePattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+!-]*$`)

// sdistName takes "name-version.ext" apart, where name is the project's in some spelling and version the
// wanted one in some spelling. ok is false for other files.
func sdistName(file, project, version string) (name, fileVersion, ext string, ok bool) {
	if !fileNamePattern.MatchString(file) {
		return "", "", "", false
	}
	for _, e := range sdistExtensions {
		if strings.HasSuffix(file, e) {
			ext = e
			break
		}
	}
	stem := strings.TrimSuffix(file, ext)
	if ext == "" {
		return "", "", "", false
	}
	canonical := pep508.Canonical(project)
	// Names may hold dashes, versions of old files too: try every dash.
	for i := 1; i < len(stem)-1; i++ {
		if stem[i] == '-' && pep508.Canonical(stem[:i]) == canonical && pep440.Equal(stem[i+1:], version) {
			return stem[:i], stem[i+1:], ext, true
		}
	}
	return "", "", "", false
}

// wheel is a parsed name of a wheel (https://packaging.python.org/en/latest/specifications/binary-distribution-format/).
//
//	numpy-1.26.4-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl
type wheel struct {
	name, version         string
	python, abi, platform []string
}

// parseWheel reads a file name; ok is false when it is not a wheel's.
func parseWheel(file string) (w wheel, ok bool) {
	stem, isWheel := strings.CutSuffix(file, wheelExtension)
	if !isWheel || !fileNamePattern.MatchString(file) {
		return w, false
	}
	parts := strings.Split(stem, "-")
	switch {
	case len(parts) != 5 && len(parts) != 6:
		return w, false
	case len(parts) == 6 && (parts[2] == "" || parts[2][0] < '0' || parts[2][0] > '9'): // a build tag begins with a digit
		return w, false
	case strings.Contains(parts[0], "__"):
		return w, false
	}
	if _, err := pep440.Parse(strings.ReplaceAll(parts[1], "_", "-")); err != nil {
		return w, false
	}
	w = wheel{name: parts[0], version: strings.ReplaceAll(parts[1], "_", "-")}
	tags := parts[len(parts)-3:]
	w.python, w.abi, w.platform = strings.Split(tags[0], "."), strings.Split(tags[1], "."), strings.Split(tags[2], ".")
	return w, true
}
