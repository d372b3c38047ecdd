package pep508

import (
	_ "embed"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// packagingCases are the parameters of pypa/packaging 25.0's own tests (tests/test_requirements.py, every
// 29th of its first test's; tests/test_markers.py, 300 of its valid markers), with what that library
// makes of them; testdata/LICENSE.BSD is their licence.
//
//go:embed testdata/packaging.json
var packagingCases []byte

type parsed struct {
	Text       string   `json:"text"`
	Name       string   `json:"name"`
	Extras     []string `json:"extras"`
	URL        string   `json:"url"`
	Specifiers []string `json:"specifiers"`
	Marker     string   `json:"marker"`
}

type evaluated struct {
	marker string
	env    map[string]string
	want   bool
}

func (e *evaluated) UnmarshalJSON(data []byte) error {
	return json.Unmarshal(data, &[]any{&e.marker, &e.env, &e.want})
}

type cases struct {
	Requirements   []parsed    `json:"requirements"`
	Invalid        []string    `json:"invalid"`
	ValidMarkers   []string    `json:"valid_markers"`
	InvalidMarkers []string    `json:"invalid_markers"`
	Printed        [][2]string `json:"printed"`
	Evaluated      []evaluated `json:"evaluated"`
}

func read(t testing.TB) cases {
	t.Helper()
	var c cases
	if err := json.Unmarshal(packagingCases, &c); err != nil {
		t.Fatal(err)
	}
	if len(c.Requirements) < 150 || len(c.Invalid) < 10 || len(c.ValidMarkers) < 300 {
		t.Fatal("the file is not whole")
	}
	return c
}

func describe(text string, r Requirement) parsed {
	got := parsed{Text: text, Name: r.Name, Extras: slices.Sorted(slices.Values(r.Extras)), URL: r.URL}
	for _, s := range r.Specifiers {
		got.Specifiers = append(got.Specifiers, s.String())
	}
	slices.Sort(got.Specifiers)
	if r.Marker != nil {
		got.Marker = r.Marker.String()
	}
	return got
}

func TestParse(t *testing.T) {
	for _, want := range read(t).Requirements {
		r, err := Parse(want.Text)
		if err != nil {
			t.Errorf("%q: %v", want.Text, err)
		} else if diff := cmp.Diff(want, describe(want.Text, r), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%q (-want +got):\n%s", want.Text, diff)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	list := append(read(t).Invalid, "foo = 1", ".", "./x", "a==1 b==2", "a==1#c", "Café==1", "a[x", "a (==1", "a @", "a; python_version", "a; os_name == 'x' or", strings.Repeat("a", MaxBytes+1),
		"a; "+strings.Repeat("(", maxDepth+1)+"os_name=='x'")
	for _, text := range list {
		r, err := Parse(text)
		var syntax *SyntaxError
		if !errors.As(err, &syntax) {
			t.Errorf("%q: got %+v, %v; want a SyntaxError", text, r, err)
		}
	}
}

func TestCanonical(t *testing.T) {
	for name, want := range map[string]string{"ruamel.yaml.clib": "ruamel-yaml-clib", "Requests__Kerberos": "requests-kerberos", "a-_.B": "a-b"} {
		if got := Canonical(name); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
}

func TestMarkers(t *testing.T) {
	c := read(t)
	for _, text := range c.ValidMarkers {
		if _, err := ParseMarker(text); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	for _, text := range c.InvalidMarkers {
		if m, err := ParseMarker(text); err == nil {
			t.Errorf("%s: got %s, want an error", text, m)
		}
	}
	for _, pair := range c.Printed {
		if m, err := ParseMarker(pair[0]); err != nil || m.String() != pair[1] {
			t.Errorf("%s: got %v, %v; want %s", pair[0], m, err, pair[1])
		}
	}
}

func TestEvaluate(t *testing.T) {
	list := append(read(t).Evaluated,
		evaluated{"python_full_version < '3.12'", Environment{"python_full_version": "3.11.1+"}, true},
		evaluated{`"2.7.9" < "foo"`, Environment{}, true},
		evaluated{`platform_release >= "5"`, Environment{"platform_release": "6.18.0-generic-x"}, true},
		evaluated{`os_name == "nt" and platform_release > "5"`, Environment{"os_name": "posix"}, false},
		evaluated{`os_name == "posix" or platform_release > "5"`, Environment{"os_name": "posix"}, true},
		evaluated{`extra == "x"`, Environment{"extra": ""}, false},
	)
	for _, tt := range list {
		m, err := ParseMarker(tt.marker)
		if err != nil {
			t.Errorf("%s: %v", tt.marker, err)
		} else if got := m.Evaluate(tt.env); got != truth(tt.want) {
			t.Errorf("%s in %v: got %v, want %v", tt.marker, tt.env, got, tt.want)
		}
	}
	for _, text := range []string{
		`os_name == "posix"`, `os_name == "posix" and sys_platform == "linux"`, `os_name == "posix" or sys_platform == "win32"`,
		`"a" in extras`, `"2.7.0" ~= "nonsense"`,
	} {
		m, err := ParseMarker(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := m.Evaluate(Environment{"sys_platform": "linux"}); got != Unknown {
			t.Errorf("%s: got %v, want Unknown", text, got)
		}
	}
}

// FuzzParse: a marker that is printed is read again, and means the same.
func FuzzParse(f *testing.F) {
	c := read(f)
	for i := 0; i < len(c.Requirements); i += 10 {
		f.Add(c.Requirements[i].Text)
	}
	for _, text := range append(c.Invalid, c.InvalidMarkers...) {
		f.Add(text)
	}
	env := Environment{"os_name": "posix", "python_version": "3.11", "sys_platform": "linux"}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := Parse(text)
		if err != nil || r.Marker == nil {
			return
		}
		printed := r.Marker.String()
		if strings.Contains(text, `"`) && strings.Contains(text, "'") {
			return // quotes within quotes are printed as packaging prints them, which cannot be read
		}
		again, err := ParseMarker(printed)
		if err != nil {
			t.Fatalf("%q: printed as %q: %v", text, printed, err)
		}
		if again.String() != printed || again.Evaluate(env) != r.Marker.Evaluate(env) {
			t.Errorf("%q: printed as %q, read as %q", text, printed, again)
		}
	})
}
