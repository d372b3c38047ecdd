package javascript

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

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
				if got := g.match(p, false); got != slices.Contains(want.Matches, p) {
					t.Errorf("on %q: got %v", p, got)
				}
				if got := g.match(p, true); got != slices.Contains(want.Partial, p) {
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
		if got := g.match(test.path, false); got != test.want {
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
		if g.match(strings.Repeat("a", 255), false) && !strings.HasPrefix(pattern, "!") {
			t.Errorf("%.40q matches", pattern)
		}
		g.match(strings.Repeat("a/", 100), false)
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
			whole := g.match(name, false)
			if whole && !g.match(name, true) && !slices.Contains(strings.Split(name, "/"), "..") && !slices.Contains(strings.Split(name, "/"), ".") {
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
		if strings.ToValidUTF8(name, "") == name && !slices.Contains(strings.Split(name, "/"), "..") && !g.match(name, false) {
			t.Errorf("%q does not match %q", plain, name)
		}
	})
}
