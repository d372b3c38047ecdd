package gomod

import (
	"strings"
	"testing"

	"golang.org/x/mod/module"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/packages"
	"github.com/cachito-serverless/cachito/shared/resolver"
)

func TestChooseVendorMode(t *testing.T) {
	tests := []struct {
		name                  string
		vendor, check, exists bool
		vendoring, mayChange  bool
	}{
		{"G33 no flag, no folder", false, false, false, false, false},
		{"G33 no flag, folder", false, false, true, false, false},
		{"G33 vendor, no folder", true, false, false, true, true},
		{"G33 vendor, folder", true, false, true, true, true},
		{"G33 check, no folder", false, true, false, true, true},
		{"G33 check, folder", false, true, true, true, false},
		{"G33 both, folder", true, true, true, true, false},
		{"G33 both, no folder", true, true, false, true, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			vendoring, mayChange := chooseVendorMode(tt.vendor, tt.check, tt.exists)
			if vendoring != tt.vendoring || mayChange != tt.mayChange {
				t.Errorf("got (%v, %v), want (%v, %v)", vendoring, mayChange, tt.vendoring, tt.mayChange)
			}
		})
	}
}

func TestInLocal(t *testing.T) {
	m := &moduleID{Path: "ex.org/foo", Replace: &module.Version{Path: "./src/foo"}}
	n := naming{main: mainModule{path: "ex.org/m", dir: "."}, base: ".", local: []localModule{
		{path: "ex.org/foo", dir: "./src/foo"},
		{path: "ex.org/foobar", dir: "./src/foobar"},
		{path: "ex.org/parent", dir: "../"},
	}}
	tests := []struct{ name, pkg, want string }{
		{"G57 below the module", "ex.org/foo/bar/baz", "./src/foo/bar/baz"},
		{"G58 the module itself", "ex.org/foo", "./src/foo"},
		{"a trailing slash is not doubled", "ex.org/parent/x", "../x"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := n.inLocal(tt.pkg, m); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestCovers(t *testing.T) {
	tests := []struct {
		name, module, pkg string
		want              bool
	}{
		{"G59 parent", "github.com/foo", "github.com/foo/bar", true},
		{"G59 same", "github.com/foo", "github.com/foo", true},
		{"G59 longer word", "github.com/foo", "github.com/foobar", false},
		{"G59 child", "github.com/foo/bar", "github.com/foo", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := covers(tt.module, tt.pkg); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestLongestCover(t *testing.T) {
	modules := []string{"github.com/foo/bar", "github.com/foo/bar/baz", "github.com/foo"}
	pathOf := func(i int) string { return modules[i] }
	if got := longestCover("github.com/foo/bar/baz", modules, pathOf); got != 1 {
		t.Errorf("G60 longer: got %d, want 1", got)
	}
	if got := longestCover("github.com/foobar", modules, pathOf); got != -1 {
		t.Errorf("G60 none: got %d, want -1", got)
	}
}

func TestUnknownVersion(t *testing.T) {
	n := naming{main: mainModule{path: "ex.org/m", version: "v1.0.0"}, required: []module.Version{
		{Path: "a.org/x", Version: "v2.0.0"}, {Path: "ex.org/m/nested", Version: "v3.0.0"}, {Path: "ex.org", Version: "v4.0.0"},
	}}
	tests := []struct{ name, pkg, want string }{
		{"G63 below the main module", "ex.org/m/generated", "v1.0.0"},
		{"below a required one", "a.org/x/gone", "v2.0.0"},
		{"the longest name decides", "ex.org/m/nested/gone", "v3.0.0"},
		{"below none", "else.org/x", "v1.0.0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := n.unknownVersion(tt.pkg); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestCheckLocalVersion(t *testing.T) {
	outside, absolute := "The local file dependency path %s is outside the repository", "Absolute paths to gomod dependencies are not supported: %s"
	tests := []struct {
		name, dir, version string
		wantType           fault.Type
		want               string
	}{
		{"G67 outside", "some-module", "../../local/foo", fault.ValidationError, outside},
		{"G67 beside", "some-module", "../local/bar", "", ""},
		{"G67 below", "some-module", "./local/foo", "", ""},
		{"G67 at the root", ".", "../x", fault.ValidationError, outside},
		{"G67 back and forth", "some-module", "./a/../../../x", fault.ValidationError, outside},
		{"G68 absolute", ".", "/home/u/x", fault.UnsupportedFeature, absolute},
		{"G68 backslash", ".", `\Users\u\x`, fault.UnsupportedFeature, absolute},
		{"G68 drive", ".", `C:\Users\u\x`, fault.UnsupportedFeature, absolute},
		{"a version", ".", "v1.0.0", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := checkLocalVersion(tt.dir, tt.version)
			if tt.want == "" {
				if err != nil {
					t.Errorf("got %v, want no error", err)
				}
				return
			}
			want := strings.ReplaceAll(tt.want, "%s", tt.version)
			if f := fault.From(err); f == nil || f.Message != want || f.Type != tt.wantType {
				t.Errorf("got %v, want %s: %s", err, tt.wantType, want)
			}
		})
	}
}

func TestCheckParents(t *testing.T) {
	one := func(dir, name, dep, version string) resolved {
		return resolved{dir: dir, module: packages.Package{Name: name, Type: typeModule, Dependencies: []packages.Dependency{
			{Name: dep, Type: typeModule, Version: &version, HasReplaces: true},
		}}}
	}
	tests := []struct {
		name string
		all  []resolved
		ok   bool
	}{
		{"G69 parent is missing", []resolved{one("foo", "ex.org/p/foo", "ex.org/p", "../")}, false},
		{"G70 parent by its name", []resolved{one("foo", "ex.org/p/foo", "ex.org/p", "../"), one("x", "ex.org/p", "a", "v1")}, true},
		// A /v2 in the module's name is no directory: going by names alone would miss this.
		{"G70 parent by its directory", []resolved{one("foo", "ex.org/p/foo/v2", "other.org/q", "../q"), one(".", "ex.org/p", "a", "v1")}, true},
		{"in the middle of the path", []resolved{one("foo", "ex.org/p/foo", "b.org/q", "./a/../../q")}, false},
		{"two dots in a name are no parent", []resolved{one("foo", "ex.org/p/foo", "b.org/q", "./a..b")}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := checkParents(tt.all); (err == nil) != tt.ok {
				t.Errorf("got %v, want ok=%v", err, tt.ok)
			}
		})
	}
}

func TestOptionPaths(t *testing.T) {
	tests := []struct {
		name, raw string
		want      string
		fails     bool
	}{
		{"none", ``, ".", false},
		{"empty list", `[]`, ".", false},
		{"empty paths are ignored", `[{"path": ""}, {}]`, ".", false},
		{"normalised", `[{"path": "./a/"}, {"path": "b//c/../d"}]`, "a b/d", false},
		{"a name with two dots", `[{"path": "a..b"}]`, "a..b", false},
		{"leaves the repository", `[{"path": "../a"}]`, "", true},
		{"absolute", `[{"path": "/a"}]`, "", true},
		{"no list", `{"path": "a"}`, "", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := resolver.OptionPaths(Name, []byte(tt.raw), "")
			if (err != nil) != tt.fails || strings.Join(got, " ") != tt.want {
				t.Errorf("got %q (%v), want %q", got, err, tt.want)
			}
			if err != nil && !fault.IsClient(err) {
				t.Errorf("not the client's fault: %v", err)
			}
		})
	}
}
