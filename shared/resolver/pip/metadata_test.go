package pip

import (
	"bytes"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cachito-serverless/cachito/shared/fault"
)

// tree writes files below a new root.
func tree(t testing.TB, files map[string]string) *os.Root {
	t.Helper()
	root, err := os.OpenRoot(t.TempDir())
	must(t, err)
	t.Cleanup(func() { root.Close() })
	for name, text := range files {
		must(t, root.MkdirAll(path.Dir(name), 0o755))
		if target, isLink := strings.CutPrefix(text, "-> "); isLink {
			must(t, os.Symlink(target, filepath.Join(root.Name(), name)))
			continue
		}
		must(t, root.WriteFile(name, []byte(text), 0o644))
	}
	return root
}

// wantFault compares a fault: "" wants none. The text may end in "…" for anything.
func wantFault(t testing.TB, err error, origin fault.Origin, kind fault.Type, text string) {
	t.Helper()
	f := fault.From(err)
	if text == "" {
		if err != nil {
			t.Fatalf("got %v, want no error", err)
		}
		return
	}
	if f == nil {
		t.Fatalf("got no error, want %s", text)
	}
	prefix, open := strings.CutSuffix(text, "…")
	same := f.Message == text || open && strings.HasPrefix(f.Message, prefix)
	if f.Origin != origin || f.Type != kind || !same {
		t.Errorf("got %s %s %q (%v)\nwant %s %s %q", f.Origin, f.Type, f.Message, err, origin, kind, text)
	}
}

// growing are options each of which is a thousand times the next.
var growing = func() string {
	var b strings.Builder
	for c := 'a'; c < 'i'; c++ {
		b.WriteString(string(c) + " = " + strings.Repeat("%("+string(c+1)+")s", 1000) + "\n")
	}
	return b.String() + "i = x\n"
}()

func TestMetadata(t *testing.T) {
	const setupCfg = "setup.cfg"
	attr := func(value, more string) string { return "[metadata]\nname = n\nversion = " + value + "\n" + more }
	tests := []struct {
		name    string
		files   map[string]string
		dir     string
		wantN   string
		wantV   string
		wantErr string // ValidationError
		wantLog string
	}{
		{name: "P01 setup.py", files: map[string]string{"setup.py": `setup(name="foo", version="1.0.0")`}, wantN: "foo", wantV: "1.0.0"},
		{name: "P02 normal form", files: map[string]string{"setup.py": `setuptools.setup(name="foo", version="1.0.alpha.1")`}, wantN: "foo", wantV: "1.0a1"},
		{name: "P03 tuple", files: map[string]string{"setup.py": `setup(name="foo", version=(1,0,"alpha",1))`}, wantN: "foo", wantV: "1.0a1"},
		{name: "P03 number", files: map[string]string{"setup.py": `setup(name="foo", version=1)`}, wantN: "foo", wantV: "1"},
		{name: "P03 no version", files: map[string]string{"setup.py": `setup(name="foo", version="my version_x")`}, wantN: "foo", wantV: "my.version-x"},
		{name: "P04 variable", files: map[string]string{"setup.py": "V=\"1.2\"\nsetup(name=\"foo\", version=V)"}, wantN: "foo", wantV: "1.2"},
		{name: "P05 the last one before", files: map[string]string{"setup.py": "V=\"1.2\"\nV=\"1.3\"\nsetup(name=\"foo\", version=V)\nV=\"1.4\""}, wantN: "foo", wantV: "1.3"},
		{name: "P06 not a literal", files: map[string]string{"setup.py": "V=\"1.2\"\nsetup(name=\"foo\", version=V+\"\")"}, wantN: "foo"},
		{name: "P07 not a call of setup", files: map[string]string{"setup.py": "from distutils.core import setup as s\ns(name=\"foo\")"}, wantN: "my-repo", wantLog: "no name"},
		{name: "P08 both files", files: map[string]string{"setup.py": `setup(name="foo")`, setupCfg: "[metadata]\nname = bar\nversion = 2.0\n"}, wantN: "foo", wantV: "2.0"},
		{name: "P09 only a name", files: map[string]string{setupCfg: "[metadata]\nname = bar\n"}, wantN: "bar", wantLog: "version cannot be told"},
		{name: "P10 nothing", files: map[string]string{"sub/d/x": ""}, dir: "sub/d", wantN: "my-repo-sub-d"},
		{name: "P11 pyproject.toml first", files: map[string]string{"pyproject.toml": "[project]\nname = \"x\"\nversion = \"1\"\n", "setup.py": "setup(name='y', version='2')"}, wantN: "x", wantV: "1"},
		{name: "P12 dynamic version", files: map[string]string{"pyproject.toml": "[project]\nname = \"x\"\nversion = \"9\"\ndynamic = [\"version\"]\n", setupCfg: "[metadata]\nversion = 3\n"}, wantN: "x", wantV: "3"},
		{name: "P13 version in a file", files: map[string]string{setupCfg: attr("file: VERSION", ""), "VERSION": "\n1.0.0\n"}, wantN: "n", wantV: "1.0.0"},
		{name: "P13 the file is missing", files: map[string]string{setupCfg: attr("file: VERSION", "")}, wantN: "n"},
		{name: "P13 one of several files", files: map[string]string{setupCfg: attr("file: A, B", ""), "B": "2\n"}, wantN: "n", wantV: "2"},
		{name: "P14 a file outside", files: map[string]string{setupCfg: attr("file: ../VERSION", "")}, wantErr: "'../VERSION' is not a subpath of '.'"},
		{name: "P14 outside of the package, inside of the repository", files: map[string]string{"sub/setup.cfg": attr("file: ../VERSION", ""), "VERSION": "1"}, dir: "sub", wantErr: "'../VERSION' is not a subpath of 'sub'"},
		{name: "P14 through a link", files: map[string]string{"sub/setup.cfg": attr("file: VERSION", ""), "sub/VERSION": "-> ../VERSION", "VERSION": "1"}, dir: "sub", wantErr: "'VERSION' is not a subpath of 'sub'"},
		{name: "P15 package before module", files: map[string]string{setupCfg: attr("attr: bar.__version__", ""), "bar.py": "__version__ = '1'", "bar/__init__.py": "__version__ = '2'"}, wantN: "n", wantV: "2"},
		{name: "P16 no module", files: map[string]string{setupCfg: attr("attr: v", ""), "__init__.py": `v="5"`}, wantN: "n", wantV: "5"},
		{name: "P16 leading dot", files: map[string]string{setupCfg: attr("attr: .bar.v", ""), "bar.py": "v = '6'"}, wantN: "n", wantV: "6"},
		{name: "P17 two dots", files: map[string]string{setupCfg: attr("attr: ..bar.v", "")}, wantErr: "'..bar' is not an accepted module name"},
		{name: "P17 no identifier", files: map[string]string{setupCfg: attr("attr: bar-x.v", "")}, wantErr: "'bar-x' is not an accepted module name"},
		{name: "P18 malformed", files: map[string]string{setupCfg: "[malformed"}, wantN: "my-repo", wantLog: "setup.cfg"},
		{name: "package_dir of everything", files: map[string]string{setupCfg: attr("attr: bar.v", "[options]\npackage_dir =\n    =src\n"), "src/bar.py": "v = (1, 2)"}, wantN: "n", wantV: "1.2"},
		{name: "package_dir of a package", files: map[string]string{setupCfg: attr("attr: bar.baz.v", "[options]\npackage_dir = =src, bar = lib/b\n"), "lib/b/baz.py": "v = '3'"}, wantN: "n", wantV: "3"},
		{name: "package_dir outside", files: map[string]string{setupCfg: attr("attr: bar.v", "[options]\npackage_dir = =../x\n")}, wantN: "n"},
		{name: "attribute without a literal", files: map[string]string{setupCfg: attr("attr: bar.v", ""), "bar.py": "v = f()"}, wantN: "n"},
		{name: "module of Python 2", files: map[string]string{setupCfg: attr("attr: bar.v", ""), "bar.py": "print 'x'\nv = '1'"}, wantN: "n", wantLog: "bar.py"},
		{name: "interpolation", files: map[string]string{setupCfg: "[DEFAULT]\nx = 4\n[metadata]\nname = a%%b\nversion = 1.%(x)s\n"}, wantN: "a%b", wantV: "1.4"},
		{name: "interpolation of nothing", files: map[string]string{setupCfg: attr("%(x)s", "")}, wantN: "my-repo"},
		{name: "interpolation for ever", files: map[string]string{setupCfg: attr("%(version)s", "")}, wantN: "my-repo"},
		{name: "interpolation that grows", files: map[string]string{setupCfg: "[metadata]\nname = %(a)s\n" + growing}, wantN: "my-repo"},
		{name: "interpolation that takes for ever", files: map[string]string{setupCfg: "[metadata]\nname = %(a)s\n" + strings.ReplaceAll(growing, "i = x", "i =")}, wantN: "my-repo"},
		{name: "section twice", files: map[string]string{setupCfg: "[metadata]\nname = a\n[metadata]\nname = b\n"}, wantN: "my-repo"},
		{name: "option twice", files: map[string]string{setupCfg: "[metadata]\nname = a\nName = b\n"}, wantN: "my-repo"},
		{name: "option without section", files: map[string]string{setupCfg: "name = a\n"}, wantN: "my-repo"},
		{name: "comments and colons", files: map[string]string{setupCfg: "# c\n[metadata]\n; c\nname: a\n\nversion:1\n  # c\n"}, wantN: "a", wantV: "1"},
		{name: "malformed pyproject.toml", files: map[string]string{"pyproject.toml": "[project\n", "setup.py": "setup(name='y')"}, wantN: "y", wantLog: "pyproject.toml"},
		{name: "pyproject.toml with odd types", files: map[string]string{"pyproject.toml": "[project]\nname = 1\nversion = [1]\n"}, wantN: "my-repo"},
		{name: "setup.py of Python 2", files: map[string]string{"setup.py": "print 'x'\nsetup(name='y')", setupCfg: "[metadata]\nname = z\n"}, wantN: "z", wantLog: "setup.py"},
		{name: "a directory called setup.py", files: map[string]string{"setup.py/x": ""}, wantN: "my-repo"},
		{name: "setup.py is a link out of the tree", files: map[string]string{"setup.py": "-> /etc/passwd"}, wantN: "my-repo"},
		{name: "a large file", files: map[string]string{"setup.py": "setup(name='y')\n" + strings.Repeat("#", MaxMetadataBytes)}, wantN: "my-repo", wantLog: "larger than"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.dir == "" {
				tt.dir = "."
			}
			var log bytes.Buffer
			m, err := readMetadata(t.Context(), tree(t, tt.files), tt.dir, "https://h/o/My_Repo.git", slog.New(slog.NewTextHandler(&log, nil)))
			wantFault(t, err, fault.OriginClient, fault.ValidationError, tt.wantErr)
			if tt.wantErr == "" && (m.name != tt.wantN || m.version != tt.wantV) {
				t.Errorf("got %q %q, want %q %q", m.name, m.version, tt.wantN, tt.wantV)
			}
			if !strings.Contains(log.String(), tt.wantLog) {
				t.Errorf("the log lacks %q:\n%s", tt.wantLog, log.String())
			}
		})
	}
}

func TestMetadataWithoutDirectory(t *testing.T) {
	_, err := readMetadata(t.Context(), tree(t, nil), "nope", "https://h/o/r", slog.New(slog.DiscardHandler))
	wantFault(t, err, fault.OriginClient, fault.InvalidRepoStructure, "The path 'nope' is not a directory of the repository")
}

func TestOriginName(t *testing.T) {
	for _, tt := range []struct{ url, dir, want string }{
		{"https://h/o/My_Repo.git", "sub/d", "my-repo-sub-d"},
		{"https://h/o/a.b/", ".", "a-b"},
		{"git@host:o/repo.git", ".", "repo"},
		{"git@host:repo.git", "x", "repo-x"},
	} {
		if got := originName(tt.url, tt.dir); got != tt.want {
			t.Errorf("%s in %s: got %s, want %s", tt.dir, tt.url, got, tt.want)
		}
	}
}

// FuzzParseIni: no panic, and options are found below the sections of the file.
func FuzzParseIni(f *testing.F) {
	f.Add("[metadata]\nname = a%%b\nversion = 1.%(x)s\nx = 1\n")
	f.Add("# c\n[a]\nb:\n  c\n\n  d\n[e]\n")
	f.Add("[malformed")
	f.Fuzz(func(t *testing.T, text string) {
		ini, err := parseIni(text)
		if err != nil {
			return
		}
		for section, options := range ini {
			if !strings.Contains(text, "["+section+"]") {
				t.Errorf("section %q of %q", section, text)
			}
			for option := range options {
				if value, err := ini.get(section, option); err == nil && len(value) > maxValueBytes+len(text) {
					t.Errorf("%s has %d bytes", option, len(value))
				}
			}
		}
	})
}
