package gitrepo

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseModules(t *testing.T) {
	for _, tc := range []struct {
		name, in string
		want     []module
		wantErr  string
	}{
		{"plain", "[submodule \"a\"]\n\tpath = third/a\n\turl = https://h/a.git\n", []module{{"a", "third/a", "https://h/a.git"}}, ""},
		{"two, comments, one line", "# c\n[submodule \"a\"] path=a\n; c\n\turl=u # end\n[submodule \"b\"]\npath=b\nurl=v;x\n", []module{{"a", "a", "u"}, {"b", "b", "v"}}, ""},
		{"quotes and escapes", `[submodule "a \"b\" \\c"]` + "\npath = \"x # y\"  \nurl = a\\tb\\\\c\n", []module{{`a "b" \c`, "x # y", "a\tb\\c"}}, ""},
		{"blanks inside stay", "[submodule \"a\"]\npath =   x  y  \n", []module{{"a", "x  y", ""}}, ""},
		{"continued line", "[submodule \"a\"]\npath = x\\\ny\nurl=u\n", []module{{"a", "xy", "u"}}, ""},
		{"CRLF and BOM", "\ufeff[submodule \"a\"]\r\npath = p\r\nurl = u\r\n", []module{{"a", "p", "u"}}, ""},
		{"last value counts, sections of one name are one", "[submodule \"a\"]\npath=p\npath=q\n[submodule \"b\"]\npath=b\n[SubModule \"a\"]\nURL=u\n", []module{{"a", "q", "u"}, {"b", "b", ""}}, ""},
		{"other sections and keys", "[core]\nfsmonitor = evil\n[submodule \"a\"]\nupdate = !evil\npath = p\nbranch\n[submodule]\npath = x\n", []module{{"a", "p", ""}}, ""},
		{"no end of line", "[submodule \"a\"]\npath = p", []module{{"a", "p", ""}}, ""},
		{"empty", "", nil, ""},
		{"open section", "\n[submodule \"a\n", nil, "line 2: the section's quoted name does not end"},
		{"open quote", "[submodule \"a\"]\npath = \"p\n", nil, "line 2: a quoted value does not end"},
		{"unknown escape", "[submodule \"a\"]\npath = \\x\n", nil, "line 2: unknown escape"},
		{"no key", "[submodule \"a\"]\n= x\n", nil, "line 2: want a key or a section"},
		{"no equals sign", "[submodule \"a\"]\npath x\n", nil, `line 2: want = after the key "path"`},
		{"too large", strings.Repeat("#", MaxModulesBytes+1), nil, "larger than"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := parseModules(tc.in)
			if tc.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), tc.wantErr) {
					t.Fatalf("got %v, want %q", err, tc.wantErr)
				}
				return
			}
			if diff := cmp.Diff(tc.want, got, cmp.AllowUnexported(module{})); diff != "" || err != nil {
				t.Errorf("(-want +got):\n%s%v", diff, err)
			}
		})
	}
}

// What we read is what git reads.
func TestParseModulesLikeGit(t *testing.T) {
	for _, value := range []string{"plain", `"a b"`, "a b", `a "b  c" d`, `x\\y`, `a\"b`, `a\tb`, "a#b", `"a#b"`, "  a  ", `a "" b`, "a\\\n b"} {
		text := "[submodule \"m\"]\n\tpath = " + value + "\n"
		file := filepath.Join(t.TempDir(), "modules")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		want := runGit(t, t.TempDir(), "config", "-f", file, "-z", "submodule.m.path")
		got, err := parseModules(text)
		if err != nil || len(got) != 1 || got[0].path != strings.TrimSuffix(want, "\x00") {
			t.Errorf("%q: got %v, %v; git has %q", value, got, err, want)
		}
	}
}

func TestModuleCheck(t *testing.T) {
	good := module{"a/b..c", "third/lib", "https://h/x"}
	if err := good.check(); err != nil {
		t.Error(err)
	}
	for _, bad := range []module{
		{"..", "p", "u"},
		{"a/../b", "p", "u"},
		{`a\..\b`, "p", "u"},
		{"a\x00", "p", "u"},
		{"a", "", "u"},
		{"a", "/etc", "u"},
		{"a", "../x", "u"},
		{"a", "x/../../y", "u"},
		{"a", ".", "u"},
		{"a", "..", "u"},
		{"a", "x/", "u"},
		{"a", "-x", "u"},
		{"a", ".git/hooks", "u"},
		{"a", "x/.GIT", "u"},
		{"a", "x\ny", "u"},
		{"a", "p", ""},
		{"a", "p", "-x"},
	} {
		if err := bad.check(); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

func FuzzParseModules(f *testing.F) {
	for _, seed := range []string{
		"[submodule \"a\"]\n\tpath = third/a\n\turl = https://h/a.git\n", "[submodule \"a\\\"\"] path=\"x\\\\\"\n", "[a.b]\n", "[submodule \"\"]\npath\n",
		"# c\n;\n[core]\nx = y\\\nz\n", "[", "[submodule", "[submodule \"", "a = \"", "a = \\", "\ufeff[x]\r\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		modules, err := parseModules(in)
		if err != nil {
			return
		}
		// What was read, written again with quotes, reads the same.
		quote := func(s string) string {
			return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\t", `\t`).Replace(s) + `"`
		}
		var b strings.Builder
		for _, m := range modules {
			name := strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(m.name)
			fmt.Fprintf(&b, "[submodule \"%s\"]\n\tpath = %s\n\turl = %s\n", name, quote(m.path), quote(m.url))
		}
		again, err := parseModules(b.String())
		if len(b.String()) > MaxModulesBytes {
			return
		}
		if diff := cmp.Diff(modules, again, cmp.AllowUnexported(module{})); diff != "" || err != nil {
			t.Errorf("%q -> %q: (-first +again):\n%s%v", in, b.String(), diff, err)
		}
	})
}

func TestResolveURL(t *testing.T) {
	for _, tc := range []struct{ base, rel, want string }{
		{"https://h/o/app.git", "../lib.git", "https://h/o/lib.git"},
		{"https://h/o/app.git/", "../lib.git", "https://h/o/lib.git"},
		{"https://u:secret@h:8443/o/app", "../../p/lib", "https://h:8443/p/lib"},
		{"https://h/o/app", "./sub", "https://h/o/app/sub"},
		{"https://h/o/app", "./../lib", "https://h/o/lib"},
		{"git@h:o/app.git", "../lib.git", "ssh://h/o/lib.git"},
		{"https://h/o/app", "https://i/x", "https://i/x"},
		{"https://h/o/app", "../../../lib", ""},
		{"https://h/o/app", "lib", ""},
		{"https://h/o/app", "/etc", ""},
	} {
		u, err := parseURL(tc.base)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if r, err := u.resolve(tc.rel); err == nil {
			got = r.public()
		}
		if got != tc.want {
			t.Errorf("%s + %s: got %q, want %q", tc.base, tc.rel, got, tc.want)
		}
	}
}
