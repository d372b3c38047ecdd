package pysource

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestReadSetup(t *testing.T) {
	tests := []struct{ name, src, wantName, wantVersion string }{
		{"P01 literals", `setup(name="foo", version="1.0.0")`, "foo", "1.0.0"},
		{"P02 setuptools", `setuptools.setup(name="foo", version="1.0.alpha.1")`, "foo", "1.0.alpha.1"},
		{"P03 tuple", `setup(version=(1,0,"alpha",1))`, "", "1.0.alpha.1"},
		{"P03 number", `setup(version=1)`, "", "1"},
		{"P03 float", `setup(version=1.10)`, "", "1.1"},
		{"P03 text", `setup(version="my version_x")`, "", "my version_x"},
		{"P04 variable", "V=\"1.2\"\nsetup(name=\"foo\", version=V)", "foo", "1.2"},
		{"P05 the last before the call", "V=\"1.2\"\nV=\"1.3\"\nsetup(name='foo', version=V)\nV=\"1.4\"", "foo", "1.3"},
		{"P06 expression", "V='1'\nsetup(version=V+\"\")", "", ""},
		{"P06 formatted", "V='1'\nsetup(version=f\"{V}\")", "", ""},
		{"P06 annotated", "V: str=\"1.2\"\nsetup(version=V)", "", ""},
		{"P06 call", "setup(version=get())", "", ""},
		{"P07 another name", "from distutils.core import setup as s\ns(name='x')", "", ""},
		{"P07 dotted", "distutils.core.setup(name='x')", "", ""},
		{"P07 positional", "setup(\"foo\",\"1\")", "", ""},
		{"P07 unpacked", "d = {}\nsetup(**d)", "", ""},
		{"a definition is no call", "def setup(name='x'): pass\nsetup(name='y')", "y", ""},
		{"another object's", "x.setup(name='a')\na.setuptools.setup(name='b')\nsetuptools.setup(name='c')", "c", ""},
		{"guarded", "if __name__ == '__main__':\n    setup(name='x')\nelse:\n    pass", "x", ""},
		{"in an expression", "x = [setup(name='x')]", "x", ""},
		{"within arguments: the outer one", "setup(version=setup(name='x'), name='y')", "y", ""},
		{"deep first, then later", "def main():\n  if 1:\n    setup(name='deep')\nsetup(name='later')", "deep", ""},
		{"inner list decides", "N = 'a'\ndef f():\n    N = 'b'\n    setup(name=N)", "b", ""},
		{"inner list decides though it is no literal", "N = 'a'\ndef f():\n    N = g()\n    setup(name=N)", "", ""},
		{"outer list", "N = 'a'\ndef f():\n    M = 'b'\n    setup(name=N)", "a", ""},
		{"a branch is not around the call", "if x:\n    N = 'a'\nsetup(name=N)", "", ""},
		{"two targets", "N = M = 'a'\nsetup(name=M)", "a", ""},
		{"tuple targets do not count", "N, M = 'a', 'b'\nsetup(name=N)", "", ""},
		{"augmented does not count", "N = 'a'\nN += 'b'\nsetup(name=N)", "a", ""},
		{"same line", "N = 'a'; setup(name=N)", "", ""},
		{"grouped", "setup(name=('x'), version=((1, 2),))", "x", ""},
		{"joined strings", "setup(name='a' \"b\"\n  r'c\\d')", `abc\d`, ""},
		{"escapes", `setup(name='\x61\u0062\143\q\
d')`, `abc\qd`, ""},
		{"bytes are no text", "setup(name=b'x', version=b'1')", "", ""},
		{"none", "setup(name=None, version=None)", "", ""},
		{"empty", "setup(name='', version=())", "", ""},
		{"zero", "setup(version=0)", "", ""},
		{"a name that is a number", "setup(name=1, version=-1)", "", "-1"},
		{"hexadecimal", "setup(version=0x1F)", "", "31"},
		{"large", "setup(version=1e22)", "", "1e+22"},
		{"underscores", "setup(version=1_000)", "", "1000"},
		{"complex", "setup(version=1j)", "", ""},
		{"comments and continued lines", "# setup(name='no')\nsetup( # comment\n  name = \\\n 'x', # more\n)", "x", ""},
		{"in a string", "'''\nsetup(name='no')\n'''\nsetup(name='x')", "x", ""},
		{"CRLF and BOM", "\ufeffV = '1'\r\nsetup(\r\n  name='x',\r\n  version=V)\r\n", "x", "1"},
		{"everything else of the language", `
from . import a
from ..b import (c, d as e)
import os.path as p
@dec(1)
async def f(a, /, b: int = 1, *args, c=lambda x: x, **kw) -> dict[str, int]:
    async with x as y, z:
        await y
    return {**a, 'b': [*c], **{}}
class A(B, metaclass=M): x: int = 3; y = 4
try: pass
except (X, Y) as e: raise E from e
except* Z: ...
else: pass
finally: del x, y
match = 1
match.x = 2
match (a, b):
    case {"k": v} if v: print(v)
    case [1, *_]:
        pass
    case _: pass
type T = int
print >>f, "x"
x = a if b else not c
y = x[1:2, ::3] @ -z ** ~w; z = (yield)
while (n := g()) is not None: continue
with open(f"{p['x']!r:>{w}} {{}} {q["y"]}") as h: print(h, end='')
s = t"{x}" if 0 else rb"\x" u'' if 1 else 0xff + 0o17 + 0b1 + 1_0.5e-3j
assert x, "y"
global g, h
setup(name='x')
`, "", ""}, // bytes and text side by side are Python's error, at compile time
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := ReadSetup(tt.src)
			if tt.name == "everything else of the language" {
				s, err = ReadSetup(strings.Replace(tt.src, `rb"\x" u''`, `rb"\x"`, 1))
				tt.wantName = "x"
			}
			if err != nil {
				t.Fatal(err)
			}
			if s.Name.Text != tt.wantName || s.Version.Text != tt.wantVersion {
				t.Errorf("got %q %q, want %q %q", s.Name.Text, s.Version.Text, tt.wantName, tt.wantVersion)
			}
		})
	}
}

// invalid sources: nothing may be found in them.
var invalid = map[string]string{
	"print of Python 2":     "print 'x'\nsetup(name='x')",
	"print of a name":       "print x\n",
	"exec of Python 2":      "exec code\n",
	"except of Python 2":    "try:\n  pass\nexcept X, e:\n  pass\n",
	"raise of Python 2":     "raise E, 'x'\n",
	"octal of Python 2":     "x = 0777\n",
	"long of Python 2":      "x = 10L\n",
	"inequality":            "x = a <> b\n",
	"backticks":             "x = `a`\n",
	"unicode raw string":    "x = ur'a'\n",
	"bracket open":          "setup(name='x'\n",
	"bracket closed":        "x = )\n",
	"other bracket":         "x = (]\n",
	"string open":           "x = 'a\n",
	"long string open":      "x = '''a\n",
	"unexpected indent":     "x = 1\n  y = 2\n",
	"odd dedent":            "if x:\n    y\n  z\n",
	"no block":              "if x:\ny = 1\n",
	"no colon":              "def f()\n  pass\n",
	"two operands":          "x = a b\n",
	"nothing after =":       "x =\n",
	"odd character":         "x = a ? b\n",
	"backslash in the line": "x = \\ 1\n",
	"no text":               "\xff\xfe",
	"zero byte":             "x = 1\x00",
	"deep":                  strings.Repeat("(", 200) + strings.Repeat(")", 200),
	"deep blocks":           deepBlocks(),
	"empty statement":       ";\n",
	"statement in brackets": "setup(name='a';b)\n",
}

func deepBlocks() string {
	var b strings.Builder
	for i := range 200 {
		b.WriteString(strings.Repeat(" ", i) + "if x:\n")
	}
	return b.String() + strings.Repeat(" ", 200) + "pass\n"
}

func TestInvalid(t *testing.T) {
	for name, src := range invalid {
		t.Run(name, func(t *testing.T) {
			if s, err := ReadSetup(src); !errors.Is(err, ErrSyntax) {
				t.Errorf("got %+v, %v; want ErrSyntax", s, err)
			}
		})
	}
	if _, err := ReadSetup(strings.Repeat("x = 1\n", MaxBytes/6+1)); !errors.Is(err, ErrSyntax) {
		t.Errorf("a file that is too long: got %v, want ErrSyntax", err)
	}
}

func TestAttribute(t *testing.T) {
	tests := []struct{ name, src, want string }{
		{"the last counts", "v = '1'\nv = '2'", "2"},
		{"not in functions", "v = '1'\ndef f():\n  v = '2'", "1"},
		{"no literal", "v = '1'\nv = f()", ""},
		{"missing", "w = '1'", ""},
		{"tuple", "v = (1, 2, 3)", "1.2.3"},
		{"list", "v = ['1', 2]", "1.2"},
		{"tuple without parentheses", "v = '1', 2", "1.2"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v, err := Attribute(tt.src, "v")
			if err != nil || v.Text != tt.want {
				t.Errorf("got %q, %v; want %q", v.Text, err, tt.want)
			}
		})
	}
	if _, err := Attribute("print 'x'", "v"); !errors.Is(err, ErrSyntax) {
		t.Errorf("got %v, want ErrSyntax", err)
	}
}

// TestPythonAgrees compares with Python itself: what it compiles of its standard library must
// be read, and literals must have the same str().
func TestPythonAgrees(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Fatal("python3 is needed for this test")
	}
	const script = `
import ast, glob, json, os, sysconfig
out = []
for path in sorted(glob.glob(os.path.join(sysconfig.get_path("stdlib"), "*.py")))[:60]:
    try:
        tree = ast.parse(open(path, encoding="utf-8").read())
    except Exception:
        continue
    values = {}
    for node in tree.body:
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    try:
                        value = ast.literal_eval(node.value)
                    except Exception:
                        value = None
                    if any(isinstance(n, ast.Constant) and isinstance(n.value, bytes) for n in ast.walk(node.value)):
                        value = None
                    nested = isinstance(value, (tuple, list)) and any(not isinstance(v, (str, int, float, type(None))) for v in value)
                    if not value or isinstance(value, (dict, set, complex, bytes)) or nested:
                        text = ""
                    elif isinstance(value, (tuple, list)):
                        text = ".".join(map(str, value))
                    else:
                        text = str(value)
                    values[target.id] = text
    out.append({"path": path, "values": values})
print(json.dumps(out))
`
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	raw, err := exec.CommandContext(ctx, python, "-c", script).Output()
	if err != nil {
		t.Fatal(err)
	}
	var files []struct {
		Path   string            `json:"path"`
		Values map[string]string `json:"values"`
	}
	if err := json.Unmarshal(raw, &files); err != nil {
		t.Fatal(err)
	}
	if len(files) < 50 {
		t.Fatalf("got %d files", len(files))
	}
	values := 0
	for _, f := range files {
		src, err := os.ReadFile(f.Path)
		if err != nil {
			t.Fatal(err)
		}
		root, err := parse(string(src))
		if err != nil {
			t.Errorf("%s: %v", filepath.Base(f.Path), err)
			continue
		}
		for name, want := range f.Values {
			values++
			if v, found := root.lookUp(name, 1<<30); !found || v.Text != want {
				t.Errorf("%s: %s: got %q (%v), want %q", filepath.Base(f.Path), name, v.Text, found, want)
			}
		}
	}
	t.Logf("%d files, %d values", len(files), values)
}

// FuzzReadSetup: no panic, and what is found in valid sources comes from them.
func FuzzReadSetup(f *testing.F) {
	f.Add("V = '1'\nif x:\n    setup(name='a', version=V)\n")
	f.Add("setup(name=f\"{x['a']}\", version=(1, '2'))")
	f.Add("class A:\n\tx = '''\n'''\nmatch x:\n case 1: pass")
	for _, src := range invalid {
		f.Add(src)
	}
	f.Fuzz(func(t *testing.T, src string) {
		s, err := ReadSetup(src)
		if err == nil && s.Name.Text != "" && !strings.Contains(src, "setup") {
			t.Errorf("found %q in %q", s.Name.Text, src)
		}
		if _, again := Attribute(src, "x"); (again == nil) != (err == nil) {
			t.Errorf("two readings: %v, %v", err, again)
		}
	})
}
