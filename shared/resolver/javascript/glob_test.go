package javascript

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// matches compares as minimatch does with the option matchBase: a pattern without a slash matches the last element
// of any path.
func matches(g *glob, name string, partial bool) bool {
	if g.ignoreCase {
		name = strings.ToLower(name)
	}
	elements := splitSlashes(name)
	return slices.ContainsFunc(g.alternatives, func(pattern []globSegment) bool {
		if len(pattern) == 1 {
			return matchSegments(pattern, lastElement(elements), partial)
		}
		return matchSegments(pattern, elements, partial)
	})
}

// testdata/minimatch.json says what the library behind npm and Yarn finds; testdata/minimatch.js makes it.
func TestGlobIsMinimatch(t *testing.T) {
	data, err := os.ReadFile("testdata/minimatch.json")
	if err != nil {
		t.Fatal(err)
	}
	var recorded struct {
		Paths    []string
		Patterns []struct {
			Pattern          string
			Negate, Relative bool
			Matches, Partial []string
		}
	}
	if err := json.Unmarshal(data, &recorded); err != nil {
		t.Fatal(err)
	}
	if len(recorded.Patterns) < 50 || len(recorded.Paths) < 50 {
		t.Fatal("the record is not whole")
	}
	for _, want := range recorded.Patterns {
		t.Run(want.Pattern, func(t *testing.T) {
			g, err := parseGlob(want.Pattern, true)
			if err != nil {
				t.Fatal(err)
			}
			if g.negate != want.Negate || g.relative() != want.Relative {
				t.Errorf("negate %v, relative %v; want %v, %v", g.negate, g.relative(), want.Negate, want.Relative)
			}
			for _, p := range recorded.Paths {
				if got := matches(g, p, false); got != slices.Contains(want.Matches, p) {
					t.Errorf("on %q: got %v", p, got)
				}
				for _, alternative := range g.alternatives {
					for _, partial := range []bool{false, true} {
						elements := splitSlashes(strings.ToLower(p))
						if few, many := matchFew(alternative, elements, partial), matchMany(alternative, elements, partial); few != many {
							t.Errorf("on %q, as a beginning %v: few %v, many %v", p, partial, few, many)
						}
					}
				}
				if got := matches(g, p, true); got != slices.Contains(want.Partial, p) {
					t.Errorf("on %q as a beginning: got %v", p, got)
				}
			}
		})
	}
}

func TestGlobLetterCase(t *testing.T) {
	for _, test := range []struct {
		pattern, path string
		ignore, want  bool
	}{
		{"README*", "readme.md", true, true},
		{"README*", "readme.md", false, false},
		{"[A-C]", "b", true, true},
		{"[A-C]", "b", false, false},
	} {
		g, err := parseGlob(test.pattern, test.ignore)
		if err != nil {
			t.Fatal(err)
		}
		if got := matches(g, test.path, false); got != test.want {
			t.Errorf("%q on %q, ignoring case %v: got %v", test.pattern, test.path, test.ignore, got)
		}
	}
}

// Patterns are the repository's: they may be made to cost as much as possible.
func TestGlobLimits(t *testing.T) {
	for name, pattern := range map[string]string{
		"too long":               strings.Repeat("a", maxGlobBytes+1),
		"too many braces":        strings.Repeat("{a,b}", 11),
		"braces too deep":        strings.Repeat("{a,", 30) + strings.Repeat("}", 30),
		"extended too deep":      strings.Repeat("+(", 30) + strings.Repeat(")", 30),
		"too many path elements": strings.Repeat("a/", maxGlobSegments+1),
	} {
		if _, err := parseGlob(pattern, true); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	for _, pattern := range []string{
		strings.Repeat("a*", 500) + "b", strings.Repeat("**/a/", 100) + "b", strings.Repeat("+(", 15) + "a" + strings.Repeat(")", 15) + "b",
		"+(a|a|a|a|a)+(a|a|a)+(a|aa|aaa)b", "!(!(!(!(a*)b)c)d)e",
	} {
		g, err := parseGlob(pattern, true)
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if matches(g, strings.Repeat("a", 255), false) && !strings.HasPrefix(pattern, "!") {
			t.Errorf("%.40q matches", pattern)
		}
		matches(g, strings.Repeat("a/", 100), false)
		if d := time.Since(start); d > 5*time.Second {
			t.Errorf("%.40q takes %v", pattern, d)
		}
	}
}

// FuzzGlob holds that any pattern is read and matched in bounded time, and that a path always matches itself
// once its special characters are escaped.
func FuzzGlob(f *testing.F) {
	for _, seed := range []string{"a/**/b", "{a,b}", "+(a|b)", "[!a-z]", "!(a)", "**", "\\", "[[:alpha:]]", "{,", "@(", "a/../b"} {
		f.Add(seed, "a/b")
	}
	f.Fuzz(func(t *testing.T, pattern, name string) {
		if len(pattern) > 100 || len(name) > 100 {
			return
		}
		if g, err := parseGlob(pattern, true); err == nil {
			whole := matches(g, name, false)
			if whole && !matches(g, name, true) && !slices.Contains(strings.Split(name, "/"), "..") && !slices.Contains(strings.Split(name, "/"), ".") {
				t.Errorf("%q matches %q, but not as a beginning", pattern, name)
			}
		}
		var escaped strings.Builder
		for _, r := range name {
			if r != '/' {
				escaped.WriteByte('\\')
			}
			escaped.WriteRune(r)
		}
		plain := escaped.String()
		g, err := parseGlob(plain, false)
		if err != nil || !strings.ContainsRune(name, '/') && name == "" {
			return
		}
		if strings.ToValidUTF8(name, "") == name && !slices.Contains(strings.Split(name, "/"), "..") && !matches(g, name, false) {
			t.Errorf("%q does not match %q", plain, name)
		}
	})
}
