// Package pep440 reads, prints and compares the versions of Python packages, and checks them against
// version specifiers (https://packaging.python.org/en/latest/specifications/version-specifiers/). It is
// tested with the test cases of pypa/packaging, the specification's reference.
package pep440

import (
	"cmp"
	"errors"
	"regexp"
	"slices"
	"strings"
)

// MaxVersionBytes bounds a version; the longest that is known has some 100.
const MaxVersionBytes = 1024

// ErrInvalid is the error of texts that are no version, or no specifier.
var ErrInvalid = errors.New("not valid by PEP 440")

// Pieces of a version's expression; every number may be of any length.
const (
	epochExpr   = `(?:([0-9]+)!)?`
	releaseExpr = `([0-9]+(?:\.[0-9]+)*)`
	preExpr     = `(?:[-_.]?(alpha|a|beta|b|preview|pre|c|rc)[-_.]?([0-9]+)?)?`
	postExpr    = `(?:-([0-9]+)|[-_.]?(post|rev|r)[-_.]?([0-9]+)?)?`
	devExpr     = `(?:[-_.]?(dev)[-_.]?([0-9]+)?)?`
	localExpr   = `(?:\+([a-z0-9]+(?:[-_.][a-z0-9]+)*))?`
)

var versionPattern = regexp.MustCompile(`^v?` + epochExpr + releaseExpr + preExpr + postExpr + devExpr + localExpr + `$`)

// number is a decimal number of any length, without leading zeros: "0", "20240102030405".
type number string

func newNumber(digits string) number {
	if digits = strings.TrimLeft(digits, "0"); digits == "" {
		return "0"
	}
	return number(digits)
}

func compareNumbers(a, b number) int {
	return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(string(a), string(b)))
}

// Version is a parsed version; make it with Parse.
type Version struct {
	epoch   number
	release []number
	preKind string // "a", "b", "rc" or ""
	pre     number
	hasPost bool
	post    number
	hasDev  bool
	dev     number
	local   []string // numbers without leading zeros
}

// Parse reads a version in any of its spellings: "1.0", "v1.0-ALPHA.1", "1!2.0.post3.dev4+local.5".
// ErrInvalid for anything else.
func Parse(text string) (Version, error) {
	text = strings.ToLower(strings.TrimSpace(text))
	if len(text) > MaxVersionBytes {
		return Version{}, ErrInvalid
	}
	m := versionPattern.FindStringSubmatch(text)
	if m == nil {
		return Version{}, ErrInvalid
	}
	v := Version{epoch: newNumber(m[1])}
	for part := range strings.SplitSeq(m[2], ".") {
		v.release = append(v.release, newNumber(part))
	}
	if m[3] != "" {
		v.preKind, v.pre = preKind(m[3]), newNumber(m[4])
	}
	if m[5] != "" || m[6] != "" {
		v.hasPost, v.post = true, newNumber(m[5]+m[7])
	}
	if m[8] != "" {
		v.hasDev, v.dev = true, newNumber(m[9])
	}
	if m[10] != "" {
		for _, part := range strings.FieldsFunc(m[10], isSeparator) {
			if isDigits(part) {
				part = string(newNumber(part))
			}
			v.local = append(v.local, part)
		}
	}
	return v, nil
}

func preKind(word string) string {
	switch word {
	case "alpha", "a":
		return "a"
	case "beta", "b":
		return "b"
	}
	return "rc" // c, pre, preview
}

func isSeparator(r rune) bool { return r == '-' || r == '_' || r == '.' }

func isDigits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// String is the version's normal form: "1.0a1", "1!2.0.post3.dev4+local.5".
func (v Version) String() string {
	text := v.Public()
	if v.local != nil {
		text += "+" + strings.Join(v.local, ".")
	}
	return text
}

// Public is the normal form without the local part.
func (v Version) Public() string {
	var b strings.Builder
	b.WriteString(v.base())
	if v.preKind != "" {
		b.WriteString(v.preKind + string(v.pre))
	}
	if v.hasPost {
		b.WriteString(".post" + string(v.post))
	}
	if v.hasDev {
		b.WriteString(".dev" + string(v.dev))
	}
	return b.String()
}

// base is epoch and release alone.
func (v Version) base() string {
	var b strings.Builder
	if v.epoch != "0" {
		b.WriteString(string(v.epoch) + "!")
	}
	for i, n := range v.release {
		if i > 0 {
			b.WriteByte('.')
		}
		b.WriteString(string(n))
	}
	return b.String()
}

// IsPrerelease reports whether it is an alpha, beta, candidate or development release.
func (v Version) IsPrerelease() bool { return v.preKind != "" || v.hasDev }

// Compare orders versions: negative when a comes before b, 0 when they are the same version ("1" and "1.0.0").
func Compare(a, b Version) int {
	return cmp.Or(
		compareNumbers(a.epoch, b.epoch),
		slices.CompareFunc(trimmed(a.release), trimmed(b.release), compareNumbers),
		cmp.Compare(a.preRank(), b.preRank()), compareNumbers(a.pre, b.pre),
		compareFlag(a.hasPost, b.hasPost), compareNumbers(a.post, b.post),
		-compareFlag(a.hasDev, b.hasDev), compareNumbers(a.dev, b.dev),
		compareLocal(a.local, b.local),
	)
}

func trimmed(release []number) []number {
	for len(release) > 0 && release[len(release)-1] == "0" {
		release = release[:len(release)-1]
	}
	return release
}

// preRank orders 1.dev0, 1a0, 1b0, 1rc0, 1.
func (v Version) preRank() int {
	switch {
	case v.preKind == "a":
		return 1
	case v.preKind == "b":
		return 2
	case v.preKind == "rc":
		return 3
	case v.hasDev && !v.hasPost:
		return 0
	}
	return 4
}

func compareFlag(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// compareLocal: no local part comes first; words come before numbers.
func compareLocal(a, b []string) int {
	return slices.CompareFunc(a, b, func(x, y string) int {
		dx, dy := isDigits(x), isDigits(y)
		if dx && dy {
			return compareNumbers(number(x), number(y))
		}
		return cmp.Or(compareFlag(dx, dy), strings.Compare(x, y))
	})
}

// Equal reports whether two texts name the same version; texts that are no versions must be the same.
func Equal(a, b string) bool {
	va, errA := Parse(a)
	vb, errB := Parse(b)
	if errA != nil || errB != nil {
		return a == b
	}
	return Compare(va, vb) == 0
}
