package gomod

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/module"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/packages"
)

func TestParseModulesTxt(t *testing.T) {
	tests := []struct {
		name, text string
		want       []module.Version
		wantErr    string
	}{
		{name: "G38 no space", text: "#invalid-line\n", wantErr: "vendor/modules.txt: unexpected format: '#invalid-line'"},
		{name: "G38 module line", text: "# main-module\n", wantErr: "vendor/modules.txt: unexpected module line format: '# main-module'"},
		{name: "G38 quotes as Python does", text: "# it's\n", wantErr: `vendor/modules.txt: unexpected module line format: "# it's"`},
		{name: "G38 no parent", text: "github.com/x/package\n", wantErr: "vendor/modules.txt: package has no parent module: github.com/x/package"},
		{
			name: "G39 only modules with packages", text: "# a.org/x v1.0.0\n## explicit; go 1.17\na.org/x/p\na.org/x/q\n# a.org/y v2.0.0\n",
			want: []module.Version{{Path: "a.org/x", Version: "v1.0.0"}},
		},
		{name: "G40 directory", text: "# a.org/x v0.0.0 => ./x\na.org/x\n# a.org/x => ./x\n", want: []module.Version{{Path: "a.org/x", Version: "./x"}}},
		{name: "G40 directory, no version", text: "# a.org/x => ../x\na.org/x\n", want: []module.Version{{Path: "a.org/x", Version: "../x"}}},
		{name: "G40 module", text: "# a.org/x v1.0.0 => b.org/x v1.1.0\na.org/x\n", want: []module.Version{{Path: "b.org/x", Version: "v1.1.0"}}},
		{name: "G40 module, no version", text: "# a.org/x => b.org/x v1.1.0\na.org/x\n", want: []module.Version{{Path: "b.org/x", Version: "v1.1.0"}}},
		{name: "workspace", text: "## workspace\n# a.org/x v1.0.0\n## explicit\na.org/x\n", want: []module.Version{{Path: "a.org/x", Version: "v1.0.0"}}},
		{name: "empty", text: ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseModulesTxt(tt.text)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("modules (-want +got):\n%s", diff)
			}
			if tt.wantErr == "" && err == nil {
				return
			}
			f := fault.From(err)
			if f == nil || f.Message != tt.wantErr || f.Type != fault.InvalidFileFormat {
				t.Errorf("error: got %v, want %s", err, tt.wantErr)
			}
		})
	}
}

func TestAddGoSum(t *testing.T) {
	got := sums{}
	got.addGoSum("a.org/x v1.0.0 h1:abc=\na.org/x v1.0.0/go.mod h1:def=\n\nb.org/y v2.0.0/go.mod h1:def=\nnonsense\nc.org/z v1.0.0 h9:abc=\n")
	if diff := cmp.Diff(sums{{Path: "a.org/x", Version: "v1.0.0"}: true}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestPyDependency(t *testing.T) {
	v, old := "../", `it's "old"`
	tests := []struct {
		name string
		d    packages.Dependency
		want string
	}{
		{"module", packages.Dependency{Name: "ex.org/p", Type: "gomod", Version: &v, HasReplaces: true}, `{'type': 'gomod', 'name': 'ex.org/p', 'version': '../', 'replaces': None}`},
		{"package", packages.Dependency{Name: "ex.org/p", Type: "go-package", Version: &v}, `{'type': 'go-package', 'name': 'ex.org/p', 'version': '../'}`},
		{
			"replacement",
			packages.Dependency{Name: "p", Type: "gomod", HasReplaces: true, Replaces: &packages.Replaced{Name: "q", Type: "gomod", Version: &old}},
			`{'type': 'gomod', 'name': 'p', 'version': None, 'replaces': {'type': 'gomod', 'name': 'q', 'version': 'it\'s "old"'}}`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := pyDependency(tt.d); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func FuzzParseModulesTxt(f *testing.F) {
	for _, seed := range []string{
		"# a.org/x v1.0.0\n## explicit; go 1.17\na.org/x/p\n# a.org/y v2.0.0 => ./y\na.org/y\n", "#x\n", "# a => b v1\na\n", "p\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		found, err := parseModulesTxt(text)
		if err != nil {
			if !fault.IsClient(err) {
				t.Errorf("not the client's fault: %v", err)
			}
			return
		}
		var again strings.Builder
		for _, m := range found {
			if m.Path == "" || m.Version == "" {
				t.Fatalf("empty name or version in %q", found)
			}
			again.WriteString("# " + m.Path + " " + m.Version + "\n" + "p\n")
		}
		if got, err := parseModulesTxt(again.String()); err != nil || !cmp.Equal(got, found) {
			t.Errorf("printed and parsed again: got %q (%v), want %q", got, err, found)
		}
	})
}

func FuzzAddGoSum(f *testing.F) {
	f.Add("a.org/x v1.0.0 h1:abc=\na.org/x v1.0.0/go.mod h1:def=\n")
	f.Add("\x00 v h1:\n")
	f.Fuzz(func(t *testing.T, text string) {
		s := sums{}
		s.addGoSum(text)
		if n := strings.Count(text, "h1:"); len(s) > n {
			t.Errorf("%d modules of %d hashes", len(s), n)
		}
		for m := range s {
			if strings.HasSuffix(m.Version, "/go.mod") || strings.ContainsAny(m.Path+m.Version, " \t\n") {
				t.Errorf("not a module: %q", m)
			}
		}
	})
}

// FuzzModuleFiles reads go.mod and go.work files: whatever stands in them, every directory that go's
// own parser would take from them is one that ours has seen.
func FuzzModuleFiles(f *testing.F) {
	f.Add("module m\n\ngo 1.21\n\nrequire a.org/x v1.0.0\n\nreplace a.org/x => ../x\n", "go 1.21\n\nuse ./a\n")
	f.Add("module m\nreplace (\n\ta => \"../ x\"\n\tb v1.0.0 => c v1.0.0\n)\n", "use (\n\t.\n\t../..\n)\nreplace a => /x\n")
	f.Fuzz(func(t *testing.T, goMod, goWork string) {
		root := testTree(t, map[string]string{"a/go.mod": goMod, "go.work": goWork})
		files, err := readModuleFiles(root, "a")
		if err != nil {
			if !fault.IsClient(err) {
				t.Errorf("not the client's fault: %v", err)
			}
			return
		}
		seen := map[string]bool{}
		for _, l := range files.local {
			seen[l.text] = true
		}
		for _, r := range files.replaces() {
			if r.New.Version == "" && !seen[r.New.Path] {
				t.Errorf("directory %q was not seen", r.New.Path)
			}
		}
		for _, u := range files.goWork.Use {
			if !seen[u.Path] {
				t.Errorf("directory %q was not seen", u.Path)
			}
		}
		if err := files.checkLocal(root); err != nil && !fault.IsClient(err) {
			t.Errorf("not the client's fault: %v", err)
		}
	})
}

func TestTestdataIsComplete(t *testing.T) {
	files, err := os.ReadDir("testdata")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if f.Name() != "fuzz" && filepath.Ext(f.Name()) != ".txtar" {
			t.Errorf("testdata/%s is no scenario", f.Name())
		}
	}
}
