package javascript

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/fault"
)

func TestWorkspacePatterns(t *testing.T) {
	for _, test := range []struct {
		raw  string
		want []string
		ok   bool
	}{
		{``, nil, true},
		{`null`, nil, true},
		{`["a","b/*"]`, []string{"a", "b/*"}, true},
		{`{"packages":["a"],"nohoist":["**"]}`, []string{"a"}, true},
		{`{"nohoist":["**"]}`, nil, true},
		{`"a"`, nil, false},
		{`[1]`, nil, false},
		{`{"packages":"a"}`, nil, false},
	} {
		got, err := WorkspacePatterns("package.json", json.RawMessage(test.raw))
		if (err == nil) != test.ok || cmp.Diff(test.want, got) != "" {
			t.Errorf("%s: got %v, %v", test.raw, got, err)
		}
		if f := fault.From(err); f != nil && (f.Type != fault.InvalidFileFormat || f.Origin != fault.OriginClient) {
			t.Errorf("%s: got %s %s", test.raw, f.Origin, f.Type)
		}
	}
}

// workspaceTree has members (folders with a package.json), other folders, and links.
func workspaceTree(t *testing.T, members, folders []string, links map[string]string) *os.Root {
	t.Helper()
	dir := t.TempDir()
	for _, m := range members {
		write(t, filepath.Join(dir, m, "package.json"), "{}")
	}
	for _, f := range folders {
		write(t, filepath.Join(dir, f, "file"), "")
	}
	for name, target := range links {
		full := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(target, full); err != nil {
			t.Fatal(err)
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root
}

func write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestFindWorkspaces(t *testing.T) {
	for _, test := range []struct {
		name             string
		dir              string
		patterns         []string
		members, folders []string
		links            map[string]string
		want             []string
		fault            string
	}{
		{"none", ".", nil, []string{"a"}, nil, nil, nil, ""},
		{"by name, sorted", ".", []string{"b", "a"}, []string{"a", "b", "c"}, nil, nil, []string{"a", "b"}, ""},
		{"Y13 without package.json", ".", []string{"packages/*"}, []string{"packages/a", "packages/b"}, []string{"packages/c"}, nil, []string{"packages/a", "packages/b"}, ""},
		{"slashes and dots around", ".", []string{"./packages/*/", "./x/"}, []string{"packages/a", "x"}, nil, nil, []string{"packages/a", "x"}, ""},
		{"one star is one element", ".", []string{"packages/*"}, []string{"packages/a/b"}, nil, nil, nil, ""},
		{"two stars are any number", ".", []string{"packages/**"}, []string{"packages/a", "packages/a/b"}, []string{"packages/c"}, nil, []string{"packages/a", "packages/a/b"}, ""},
		{"braces", ".", []string{"{a,b}/*"}, []string{"a/x", "b/y", "c/z"}, nil, nil, []string{"a/x", "b/y"}, ""},
		{"node_modules is not looked into", ".", []string{"**"}, []string{"a", "a/node_modules/x", "node_modules/y"}, nil, nil, []string{"a"}, ""},
		{"negated", ".", []string{"packages/*", "!packages/x"}, []string{"packages/a", "packages/x"}, nil, nil, []string{"packages/a"}, ""},
		{"negated by glob", ".", []string{"**", "!**/test/**"}, []string{"a", "a/test/b", "test/c"}, nil, nil, []string{"a"}, ""},
		{"negated first says nothing", ".", []string{"!packages/x", "packages/*"}, []string{"packages/x"}, nil, nil, []string{"packages/x"}, ""},
		{"and back in", ".", []string{"packages/*", "!packages/*", "packages/x"}, []string{"packages/a", "packages/x"}, nil, nil, []string{"packages/x"}, ""},
		{"below the root", "web", []string{"packages/*"}, []string{"web/packages/a", "packages/b"}, nil, nil, []string{"packages/a"}, ""},
		{"letter case matters", ".", []string{"Packages/*"}, []string{"packages/a"}, nil, nil, nil, ""},
		{"link inside", ".", []string{"packages/*"}, []string{"real"}, nil, map[string]string{"packages/w": "../real"}, []string{"packages/w"}, ""},
		{"link on the way", ".", []string{"p/*"}, []string{"real/a"}, nil, map[string]string{"p": "real"}, []string{"p/a"}, ""},
		{"the package's own path is a link", "l", []string{"packages/*"}, []string{"web/packages/a"}, nil, map[string]string{"l": "web", "web/packages/w": "../packages/a"}, []string{"packages/a", "packages/w"}, ""},
		{"the package's own path leads out", "l", []string{"packages/*"}, nil, []string{"x"}, map[string]string{"l": "../.."}, nil, "The path l leads out of the repository"},
		{"Y14 link out of the package", "web", []string{"packages/*"}, []string{"other"}, nil, map[string]string{"web/packages/w": "../../other"}, nil, "Workspace path leads outside the package root: packages/w/package.json"},
		{"link out of the repository", ".", []string{"packages/*"}, []string{"packages/a"}, nil, map[string]string{"packages/w": "../../../etc"}, nil, "Workspace path leads outside the package root: packages/w/package.json"},
		{"absolute link", ".", []string{"packages/*"}, []string{"packages/a"}, nil, map[string]string{"packages/w": "/etc"}, nil, "Workspace path leads outside the package root: packages/w/package.json"},
		{"package.json is a link out", "web", []string{"w"}, []string{"other"}, []string{"web/w"}, map[string]string{"web/w/package.json": "../../other/package.json"}, nil, "Workspace path leads outside the package root: w/package.json"},
		{"link to a folder outside that is no workspace", "web", []string{"packages/*"}, []string{"web/packages/a"}, []string{"docs"}, map[string]string{"web/packages/w": "../../docs"}, []string{"packages/a"}, ""},
		{"link to nothing, to a file, to itself", ".", []string{"p/*"}, []string{"p/a"}, []string{"x"}, map[string]string{"p/n": "nothing", "p/f": "../x/file", "p/l": "l"}, []string{"p/a"}, ""},
		{"cyclic links", ".", []string{"**"}, []string{"a/b"}, nil, map[string]string{"a/b/up": "../..", "a/self": "."}, []string{"a/b"}, ""},
		{"cyclic links by single stars", ".", []string{"*/*/*/*"}, []string{"a"}, nil, map[string]string{"a/up": "."}, []string{"a/up/up/up"}, ""},
		{"parents", ".", []string{"../x"}, []string{"a"}, nil, nil, nil, "Workspace path leads outside the package root: ../x/package.json"},
		{"parents, inside", ".", []string{"a/../b"}, []string{"b"}, nil, nil, []string{"b"}, ""},
		{"too long a pattern", ".", []string{strings.Repeat("a", maxGlobBytes+1)}, []string{"b"}, nil, nil, nil, "The workspaces of package.json cannot be read: "},
	} {
		t.Run(test.name, func(t *testing.T) {
			root := workspaceTree(t, test.members, test.folders, test.links)
			got, err := FindWorkspaces(root, test.dir, test.patterns)
			if f := fault.From(err); f != nil || test.fault != "" {
				if f == nil || f.Origin != fault.OriginClient || test.fault == "" || !strings.HasPrefix(f.Message, test.fault) {
					t.Fatalf("got %v, want %q", err, test.fault)
				}
				return
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestRealPath(t *testing.T) {
	root := workspaceTree(t, []string{"a/b"}, nil, map[string]string{"l": "a", "a/up": "..", "out": "../x", "abs": "/a", "loop": "loop2", "loop2": "loop"})
	for name, want := range map[string]string{"a/b": "a/b", "l/b": "a/b", "a/up/l/b": "a/b", "out": "", "abs": "", "loop": "", "a/up/up/up": "up/up", "none/x": "none/x"} {
		if got, err := RealPath(root, name); got != want || (err == nil) != (want != "") {
			t.Errorf("%s: got %q, %v, want %q", name, got, err, want)
		}
	}
	if got, err := RealPath(root, "a/.."); got != "" || err != nil {
		t.Errorf("the root: got %q, %v", got, err)
	}
}
