package pep440

import (
	"regexp"
	"slices"
	"strings"
)

// Specifier is one clause: an operator and a version.
//
//	~=1.4.2  ==1.0  ==1.*  !=1.0  >=1  ===whatever
type Specifier struct {
	Operator string
	// Version as it is written, with the ".*" of a prefix.
	Version string
	parsed  Version
	prefix  bool // ==1.*, !=1.*
}

// versions by operator, at the beginning of a text. Local versions and ".*" go with == and != alone;
// ~= wants two numbers at least.
var (
	arbitraryPattern  = regexp.MustCompile(`^\s*([^\s;)]*)`)
	equalPattern      = regexp.MustCompile(`(?i)^\s*(v?` + epochExpr + releaseExpr + `(?:\.\*|` + preExpr + postExpr + devExpr + localExpr + `)?)`)
	compatiblePattern = regexp.MustCompile(`(?i)^\s*(v?` + epochExpr + `([0-9]+(?:\.[0-9]+)+)` + preExpr + postExpr + devExpr + `)`)
	orderedPattern    = regexp.MustCompile(`(?i)^\s*(v?` + epochExpr + releaseExpr + preExpr + postExpr + devExpr + `)`)
)

// operators, longer ones before their beginnings.
var operators = []string{"===", "==", "~=", "!=", "<=", ">=", "<", ">"}

// ScanOperator returns the comparison operator at the beginning of text, "" when there is none.
func ScanOperator(text string) string {
	for _, op := range operators {
		if strings.HasPrefix(text, op) {
			return op
		}
	}
	return ""
}

// ScanSpecifier reads a specifier at the beginning of text and returns what follows it; ok is false
// when there is none.
func ScanSpecifier(text string) (spec Specifier, rest string, ok bool) {
	op := ScanOperator(text)
	if op == "" {
		return Specifier{}, text, false
	}
	pattern := orderedPattern
	switch op {
	case "===":
		pattern = arbitraryPattern
	case "==", "!=":
		pattern = equalPattern
	case "~=":
		pattern = compatiblePattern
	}
	after := text[len(op):]
	m := pattern.FindStringSubmatchIndex(after)
	if m == nil {
		return Specifier{}, text, false
	}
	s := Specifier{Operator: op, Version: after[m[2]:m[3]]}
	if op != "===" {
		plain := s.Version
		if plain, s.prefix = strings.CutSuffix(plain, ".*"); s.prefix && op != "==" && op != "!=" {
			return Specifier{}, text, false
		}
		var err error
		if s.parsed, err = Parse(plain); err != nil {
			return Specifier{}, text, false
		}
	}
	return s, after[m[1]:], true
}

// String is the specifier without spaces.
func (s Specifier) String() string { return s.Operator + s.Version }

// IsPinned reports whether it names one version: == without ".*", or === with anything.
func (s Specifier) IsPinned() bool {
	switch s.Operator {
	case "==":
		return !s.prefix
	case "===":
		return s.Version != ""
	}
	return false
}

// Contains reports whether a version, prereleases included, fits. Texts that are no version fit
// nothing but "===".
func (s Specifier) Contains(text string) bool {
	if s.Operator == "===" {
		return strings.EqualFold(strings.TrimSpace(text), s.Version)
	}
	v, err := Parse(text)
	return err == nil && s.contains(v)
}

func (s Specifier) contains(v Version) bool {
	w := s.parsed
	switch s.Operator {
	case "==":
		return s.equals(v)
	case "!=":
		return !s.equals(v)
	case "<=":
		return Compare(withoutLocal(v), w) <= 0
	case ">=":
		return Compare(withoutLocal(v), w) >= 0
	case "<":
		// 1.0a1 is not < 1.0, unless the specifier names a prerelease itself.
		return Compare(v, w) < 0 && (w.IsPrerelease() || !v.IsPrerelease() || !Equal(v.base(), w.base()))
	case ">":
		switch {
		case Compare(v, w) <= 0:
			return false
		case !w.hasPost && v.hasPost && Equal(v.base(), w.base()): // 1.0.post1 is not > 1.0
			return false
		}
		return v.local == nil || !Equal(v.base(), w.base()) // 1.0+x is not > 1.0
	default: // ~=1.4.2 is >=1.4.2, ==1.4.*
		series := Version{epoch: w.epoch, release: w.release[:len(w.release)-1]}
		return Compare(withoutLocal(v), w) >= 0 && hasPrefix(v, series)
	}
}

func withoutLocal(v Version) Version {
	v.local = nil
	return v
}

func (s Specifier) equals(v Version) bool {
	switch {
	case s.prefix:
		return hasPrefix(v, s.parsed)
	case s.parsed.local == nil: // a specifier without a local version fits any
		v.local = nil
	}
	return Compare(v, s.parsed) == 0
}

// hasPrefix reports whether v's release begins with that of prefix; numbers that it lacks are 0.
func hasPrefix(v, prefix Version) bool {
	if v.epoch != prefix.epoch {
		return false
	}
	release := slices.Clone(v.release)
	for len(release) < len(prefix.release) {
		release = append(release, "0")
	}
	return slices.Equal(release[:len(prefix.release)], prefix.release)
}

// Set is specifiers that must all fit.
type Set []Specifier

// ParseSet reads specifiers between commas: ">=3.8,!=3.9.*". An empty text is the empty set, which fits
// every version. ErrInvalid for anything else.
func ParseSet(text string) (Set, error) {
	var set Set
	for clause := range strings.SplitSeq(text, ",") {
		clause = strings.TrimSpace(clause)
		if clause == "" {
			continue
		}
		s, rest, ok := ScanSpecifier(clause)
		if !ok || strings.TrimSpace(rest) != "" {
			return nil, ErrInvalid
		}
		set = append(set, s)
	}
	return set, nil
}

// Contains reports whether every specifier fits.
func (s Set) Contains(version string) bool {
	for _, one := range s {
		if !one.Contains(version) {
			return false
		}
	}
	return true
}
