package pep440

import (
	_ "embed"
	"encoding/json"
	"strings"
	"testing"
)

// packagingCases are the parameters of pypa/packaging 25.0's own tests (tests/test_version.py,
// tests/test_specifiers.py); testdata/LICENSE.BSD is their licence.
//
//go:embed testdata/packaging.json
var packagingCases []byte

type contains struct {
	version, specifier string
	want               bool
}

func (c *contains) UnmarshalJSON(data []byte) error {
	return json.Unmarshal(data, &[]any{&c.version, &c.specifier, &c.want})
}

type cases struct {
	Versions          []string    `json:"versions"` // in order
	InvalidVersions   []string    `json:"invalid_versions"`
	Normalized        [][2]string `json:"normalized"`
	Specifiers        []string    `json:"specifiers"`
	InvalidSpecifiers []string    `json:"invalid_specifiers"`
	Contains          []contains  `json:"contains"`
	Identity          []contains  `json:"identity"`
	IgnoresLocal      []contains  `json:"ignores_local"`
}

func read(t testing.TB) cases {
	t.Helper()
	var c cases
	if err := json.Unmarshal(packagingCases, &c); err != nil {
		t.Fatal(err)
	}
	if len(c.Versions) < 50 || len(c.Contains) < 150 {
		t.Fatalf("got %d versions and %d specifiers: the file is not whole", len(c.Versions), len(c.Contains))
	}
	return c
}

func parse(t testing.TB, text string) Version {
	t.Helper()
	v, err := Parse(text)
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return v
}

func TestOrder(t *testing.T) {
	list := read(t).Versions
	for i, a := range list {
		for j, b := range list {
			want := compareNumber(i, j)
			if got := Compare(parse(t, a), parse(t, b)); got != want {
				t.Errorf("%s, %s: got %d, want %d", a, b, got, want)
			}
		}
	}
}

func compareNumber(a, b int) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func TestNormalForm(t *testing.T) {
	for _, pair := range read(t).Normalized {
		if got := parse(t, pair[0]).String(); got != pair[1] {
			t.Errorf("%q: got %q, want %q", pair[0], got, pair[1])
		}
	}
}

func TestEqual(t *testing.T) {
	tests := []struct {
		a, b string
		want bool
	}{
		{"1.0", "1", true},
		{"1.0", "1.0.0", true},
		{"1.0-1", "1.0.post1", true},
		{"1.0.alpha1", "1a1", true},
		{"1.0", "1.0.1", false},
		{"1", "1!1", false},
		{"1.0+local", "1.0", false},
		{"2004d", "2004d", true}, // no version, but the same text
		{"2004d", "2004", false},
		{"20240102030405060708090a1", "20240102030405060708090alpha01", true},
		{"20240102030405060708090", "20240102030405060708091", false},
	}
	for _, tt := range tests {
		if got := Equal(tt.a, tt.b); got != tt.want {
			t.Errorf("%s, %s: got %v, want %v", tt.a, tt.b, got, tt.want)
		}
	}
}

func TestInvalidVersions(t *testing.T) {
	list := append(read(t).InvalidVersions, "", "1.0 1", "1..0", "1.0ſ1", "１.0", strings.Repeat("1", MaxVersionBytes+1))
	for _, text := range list {
		if v, err := Parse(text); err == nil {
			t.Errorf("%q: got %s, want an error", text, v)
		}
	}
}

func TestSpecifiers(t *testing.T) {
	for _, text := range read(t).Specifiers {
		if set, err := ParseSet(text); err != nil || len(set) != 1 || set[0].String() != text {
			t.Errorf("%q: got %v, %v", text, set, err)
		}
	}
	for _, text := range append(read(t).InvalidSpecifiers, "1.0", "==1.0 junk", "=1.0", "==french toast") {
		if set, err := ParseSet(text); err == nil {
			t.Errorf("%q: got %v, want an error", text, set)
		}
	}
}

func TestContains(t *testing.T) {
	c := read(t)
	list := append(append(c.Contains, c.Identity...), c.IgnoresLocal...)
	list = append(list,
		contains{"3.11", ">=3.8, !=3.9.*", true}, contains{"3.9.2", ">=3.8,!=3.9.*", false},
		contains{"lolwat", "===LOLWAT", true}, contains{"lolwat", ">=1", false}, contains{"2.0", "", true})
	for _, tt := range list {
		set, err := ParseSet(tt.specifier)
		if err != nil {
			t.Errorf("%s: %v", tt.specifier, err)
		} else if got := set.Contains(tt.version); got != tt.want {
			t.Errorf("%s in %s: got %v, want %v", tt.version, tt.specifier, got, tt.want)
		}
	}
}

func TestIsPinned(t *testing.T) {
	for text, want := range map[string]bool{"==1.0": true, "===x": true, "==1.*": false, ">=1": false, "~=1.0": false, "!=1": false, "===": false} {
		s, _, ok := ScanSpecifier(text)
		if !ok || s.IsPinned() != want {
			t.Errorf("%s: got %v (%v), want %v", text, s.IsPinned(), ok, want)
		}
	}
}

// FuzzVersion: what is printed is read again, as the same version.
func FuzzVersion(f *testing.F) {
	c := read(f)
	for _, text := range c.Versions {
		f.Add(text, "1.0")
	}
	for _, pair := range c.Normalized {
		f.Add(pair[0], pair[1])
	}
	f.Fuzz(func(t *testing.T, x, y string) {
		a, err := Parse(x)
		if err != nil {
			return
		}
		again, err := Parse(a.String())
		if err != nil || Compare(a, again) != 0 || again.String() != a.String() {
			t.Errorf("%q: printed as %q, read as %q (%v)", x, a, again, err)
		}
		if b, err := Parse(y); err == nil && Compare(a, b) != -Compare(b, a) {
			t.Errorf("%q, %q: the order depends on the side", x, y)
		}
	})
}

// FuzzSpecifier: what is printed is read again.
func FuzzSpecifier(f *testing.F) {
	c := read(f)
	for _, tt := range c.Contains {
		f.Add(tt.specifier, tt.version)
	}
	f.Fuzz(func(t *testing.T, text, version string) {
		set, err := ParseSet(text)
		if err != nil {
			return
		}
		for _, s := range set {
			again, err := ParseSet(s.String())
			if err != nil || len(again) != 1 || again[0].Contains(version) != s.Contains(version) {
				if s.Operator == "===" { // takes anything, a comma too
					continue
				}
				t.Errorf("%q: printed as %q, read as %v (%v)", text, s, again, err)
			}
		}
	})
}
