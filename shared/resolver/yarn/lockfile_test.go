package yarn

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/resolver/yarn/lines"
)

func parse(text string) (*lockfile, error) {
	left := MaxEntries
	return parseLockfile(strings.NewReader(text), "yarn.lock", &left)
}

// show prints entries: keys, version, resolved, integrity and needs.
func show(l *lockfile) string {
	var b strings.Builder
	for _, e := range l.entries {
		fmt.Fprintf(&b, "%q %q %q %q %q\n", e.keys, e.version, e.resolved, e.integrity, e.needs)
	}
	return b.String()
}

func TestParseLockfile(t *testing.T) {
	plain := "a@^1:\n  version \"1.0.0\"\n  resolved \"https://h/a.tgz#x\"\n"
	wantPlain := `["a@^1"] "1.0.0" "https://h/a.tgz#x" "" []` + "\n"
	for _, test := range []struct{ name, text, want string }{
		{"nothing", "", ""},
		{"comments", "# yarn lockfile v1\n#\n\n\n", ""},
		{"plain", plain, wantPlain},
		{"without the last newline", strings.TrimSuffix(plain, "\n"), wantPlain},
		{"CRLF", strings.ReplaceAll(plain, "\n", "\r\n"), wantPlain},
		{"BOM", "\ufeff" + plain, wantPlain},
		{"BOM and comment", "\ufeff# yarn lockfile v1\n" + plain, wantPlain},
		{"several keys, quoted and not", "\"@a/b@^1.0\", \"@a/b@>= 2 < 3\", c@*:\n  version \"1\"\n", `["@a/b@^1.0" "@a/b@>= 2 < 3" "c@*"] "1" "" "" []` + "\n"},
		{"escapes", "\"a@file:\\\"x\\\" \\u00e9\":\n  version \"1\"\n", `["a@file:\"x\" é"] "1" "" "" []` + "\n"},
		{"values without quotes", "a@^1:\n  version 1.0.0\n  resolved https://h/a.tgz#x\n  integrity sha512-abc==\n", `["a@^1"] "1.0.0" "https://h/a.tgz#x" "sha512-abc==" []` + "\n"},
		{"colons before values", "\"a@npm:^1\":\n  version: 1.0.0\n  dependencies:\n    b: ^1\n", `["a@npm:^1"] "1.0.0" "" "" ["b@^1"]` + "\n"},
		{"needs of both kinds", "a@1:\n  version \"1\"\n  dependencies:\n    b \"^1\"\n    \"@c/d\" \"npm:e@^2\"\n  optionalDependencies:\n    f \"1 || 2\"\n", `["a@1"] "1" "" "" ["b@^1" "@c/d@npm:e@^2" "f@1 || 2"]` + "\n"},
		{"fields after a map", "a@1:\n  dependencies:\n    b \"^1\"\n  version \"1\"\n", `["a@1"] "1" "" "" ["b@^1"]` + "\n"},
		{"unknown fields and maps", "a@1:\n  name x\n  version \"1\"\n  uid abc\n  prebuiltVariants:\n    k \"v\"\n  deep:\n    deeper:\n      deepest \"x\"\n", `["a@1"] "1" "" "" []` + "\n"},
		{"the last of equal keys counts", "a@1, b@1:\n  version \"1\"\na@1:\n  version \"2\"\n", `["b@1"] "1" "" "" []` + "\n" + `["a@1"] "2" "" "" []` + "\n"},
		{"an entry that another replaces", "a@1:\n  version \"1\"\na@1:\n  version \"2\"\n", `["a@1"] "2" "" "" []` + "\n"},
		{"comments inside", "a@1: # here\n  # there\n  version \"1\" # and here\n", `["a@1"] "1" "" "" []` + "\n"},
		{"no name before the spec", "\"@1\":\n  version \"1\"\n", `["@1"] "1" "" "" []` + "\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			l, err := parse(test.text)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, show(l)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseLockfileFaults(t *testing.T) {
	many := func(n int, format string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	for _, test := range []struct {
		name, text string
		kind       fault.Type
		want       string
	}{
		{"conflict", "a@1:\n<<<<<<< HEAD\n  version \"1\"\n=======\n", fault.InvalidFileFormat, "yarn.lock:2: there is a merge conflict (<<<<<<<); resolve it, `yarn install` does, and commit the result"},
		{"conflict's end", ">>>>>>> x\n", fault.InvalidFileFormat, "yarn.lock:1: there is a merge conflict (>>>>>>>); "},
		{"conflict with CRLF", "=======\r\n", fault.InvalidFileFormat, "yarn.lock:1: there is a merge conflict (=======); "},
		{"conflict's ancestor", "||||||| base\n", fault.InvalidFileFormat, "yarn.lock:1: there is a merge conflict (|||||||); "},
		{"newer format", "# yarn lockfile v2\n", fault.UnsupportedFeature, "yarn.lock:1: lockfiles of version 2 are not supported, only those of version 1"},
		{"odd indentation", "a@1:\n version \"1\"\n", fault.InvalidFileFormat, "yarn.lock:2: want an even number of spaces at the beginning of the line, got 1"},
		{"tab", "a@1:\n\tversion \"1\"\n", fault.InvalidFileFormat, `yarn.lock:2: the text "\tversion" has a control character, or is not UTF-8`},
		{"field without entry", "  version \"1\"\n", fault.InvalidFileFormat, "yarn.lock:1: the line belongs to no entry"},
		{"need without map", "a@1:\n    b \"1\"\n", fault.InvalidFileFormat, "yarn.lock:2: the line is indented too far"},
		{"far indentation", "a@1:\n      b \"1\"\n", fault.InvalidFileFormat, "yarn.lock:2: the line is indented too far"},
		{"need after a field", "a@1:\n  dependencies:\n  version \"1\"\n    b \"1\"\n", fault.InvalidFileFormat, "yarn.lock:4: the line is indented too far"},
		{"no colon", "a@1\n", fault.InvalidFileFormat, `yarn.lock:1: want a colon or a value after "a@1"`},
		{"value at the top", "a@1 \"x\"\n", fault.InvalidFileFormat, `yarn.lock:1: want a list of keys with a colon at its end, got the value "x"`},
		{"two values", "a@1:\n  version \"1\" \"2\"\n", fault.InvalidFileFormat, `yarn.lock:2: want the end of the line at "\"2\""`},
		{"two fields", "a@1:\n  version, resolved \"1\"\n", fault.InvalidFileFormat, "yarn.lock:2: want one field, got 2"},
		{"open quotes", "\"a@1:\n", fault.InvalidFileFormat, `yarn.lock:1: the quotes at "\"a@1:" do not end`},
		{"bad escape", "\"a\\x@1\":\n", fault.InvalidFileFormat, `yarn.lock:1: the text "\"a\\x@1\"" is not quoted as in JSON`},
		{"empty key", "\"\":\n  version \"1\"\n", fault.InvalidFileFormat, `yarn.lock:1: want a key at "\"\":"`},
		{"comma first", ", a@1:\n", fault.InvalidFileFormat, `yarn.lock:1: want a key at ", a@1:"`},
		{"control character", "a\x01@1:\n", fault.InvalidFileFormat, `yarn.lock:1: the text "a\x01@1" has a control character, or is not UTF-8`},
		{"control character, escaped", "\"a\\u0000@1\":\n", fault.InvalidFileFormat, `yarn.lock:1: the text "a\x00@1" has a control character, or is not UTF-8`},
		{"not UTF-8", "a\xff@1:\n", fault.InvalidFileFormat, `yarn.lock:1: the text "a\xff@1" has a control character, or is not UTF-8`},
		{"no version", "a@1:\n  resolved \"x\"\nb@1:\n", fault.InvalidFileFormat, `yarn.lock:1: "a@1" has no version`},
		{"no version at the end", "\na@1:\n", fault.InvalidFileFormat, `yarn.lock:2: "a@1" has no version`},
		{"a long line", "a@" + strings.Repeat("1", lines.MaxLineBytes) + ":\n", fault.InvalidFileFormat, fmt.Sprintf("yarn.lock:1: the line has more than %d bytes", lines.MaxLineBytes)},
		{"a large file", strings.Repeat("# 0123456789\n", MaxLockfileBytes/13+1), fault.UnsupportedFeature, fmt.Sprintf("The file yarn.lock has more than %d bytes, the limit", MaxLockfileBytes)},
		{"many entries", many(MaxEntries+1, "a@%d:\n  version \"1\"\n"), fault.UnsupportedFeature, fmt.Sprintf("yarn.lock:200001: the lockfiles have more than %d entries, the limit", MaxEntries)},
		{"many keys", many(30, "a@%d"+strings.Repeat(",b@1", maxKeys/29)+":\n  version \"1\"\n"), fault.UnsupportedFeature, fmt.Sprintf("yarn.lock:57: the lockfile has more than %d keys, the limit", maxKeys)},
		{"many needs", "a@1:\n  version \"1\"\n  dependencies:\n" + many(maxNeeds+1, "    a%d \"1\"\n"), fault.UnsupportedFeature, fmt.Sprintf("yarn.lock:%d: the lockfile names more than %d needs, the limit", maxNeeds+4, maxNeeds)},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := parse(test.text)
			var f *fault.Error
			if !errors.As(err, &f) || f.Type != test.kind || f.Origin != fault.OriginClient || !strings.HasPrefix(f.Message, test.want) {
				t.Errorf("got %v, want %s %q", err, test.kind, test.want)
			}
		})
	}
	if _, err := parse("__metadata:\n  version: 8\n"); !errors.Is(err, errBerry) {
		t.Errorf("berry: got %v", err)
	}
}

func TestKeys(t *testing.T) {
	for _, test := range []struct{ key, name, spec, real string }{
		{"chai@^4.0.0", "chai", "^4.0.0", "chai"},
		{"@a/b@1", "@a/b", "1", "@a/b"},
		{"x@npm:isarray@2.0.5", "x", "npm:isarray@2.0.5", "isarray"},
		{"x@npm:@a/b", "x", "npm:@a/b", "@a/b"},
		{"@s/x@npm:@a/b@^1", "@s/x", "npm:@a/b@^1", "@a/b"},
		{"x@npm:", "x", "npm:", "x"},
		{"g@git+ssh://git@h/o/g.git#main", "g", "git+ssh://git@h/o/g.git#main", "g"},
		{"a", "a", "", "a"},
		{"@a/b", "@a/b", "", "@a/b"},
		{"a@", "a", "", "a"},
		{"@", "@", "", "@"},
		{"", "", "", ""},
	} {
		name, spec := lines.SplitKey(test.key)
		if real := realName(test.key); name != test.name || spec != test.spec || real != test.real {
			t.Errorf("%q: got %q, %q, %q", test.key, name, spec, real)
		}
	}
}

// A lockfile at the limits must leave room in a process of 150 MB.
func TestLockfileMemory(t *testing.T) {
	var b strings.Builder
	for i := 0; b.Len() < MaxLockfileBytes-400; i++ {
		fmt.Fprintf(&b, "p%d@^1:\n  version \"1.0.0\"\n  resolved \"https://h/%d.tgz#97edff6f525f192a3f83cea1944765f769ae2678\"\n  integrity sha512-nG96G3Wp6acyAgJqGasjODb+acrI7KltPiRxzHPXnP3NgI28bpQDRv53olbqGXbfcgF5aiiHmO3xpwEpS5Ld9g==\n  dependencies:\n    a \"^1\"\n    b \"^1\"\n", i, i)
	}
	text := b.String()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	l, err := parse(text)
	if err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if used := int64(after.HeapAlloc) - int64(before.HeapAlloc); used > 60<<20 {
		t.Errorf("%d entries use %d MB", len(l.entries), used>>20)
	}
	runtime.KeepAlive(text)
}

// printed is a lockfile as Yarn writes it.
func printed(l *lockfile) string {
	quote := func(s string) string {
		var b strings.Builder
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		if err := e.Encode(s); err != nil {
			panic(err)
		}
		return strings.TrimSuffix(b.String(), "\n")
	}
	b := strings.Builder{}
	b.WriteString("# yarn lockfile v1\n\n")
	for _, e := range l.entries {
		var keys []string
		for _, k := range e.keys {
			keys = append(keys, quote(k))
		}
		fmt.Fprintf(&b, "\n%s:\n  version %s\n", strings.Join(keys, ", "), quote(e.version))
		if e.resolved != "" {
			fmt.Fprintf(&b, "  resolved %s\n", quote(e.resolved))
		}
		if e.integrity != "" {
			fmt.Fprintf(&b, "  integrity %s\n", quote(e.integrity))
		}
		if len(e.needs) > 0 {
			b.WriteString("  dependencies:\n")
		}
		for _, need := range e.needs {
			name, spec := lines.SplitKey(need)
			fmt.Fprintf(&b, "    %s %s\n", quote(name), quote(spec))
		}
	}
	return b.String()
}

// FuzzParseLockfile holds that what is read, printed and read again is the same, that the place of resolved is
// right, and that nothing comes out that did not go in.
func FuzzParseLockfile(f *testing.F) {
	scenarios, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(scenarios) == 0 {
		f.Fatalf("no scenarios: %v", err)
	}
	for _, name := range scenarios {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range txtar.Parse(data).Files {
			if strings.HasSuffix(file.Name, "yarn.lock") {
				f.Add(string(file.Data))
			}
		}
	}
	for _, seed := range []string{"", "\ufeff", "__metadata:\n", "a@1:\n  version \"1\"\n<<<<<<<\n", "\"a\\u0040\": \n", "a@1,b@2:\r\n  version 1\r\n", "# yarn lockfile v9\n", "a:\n  x:\n    y:\n      z 1\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		l, err := parse(text)
		if err != nil {
			var fa *fault.Error
			if !errors.Is(err, errBerry) && (!errors.As(err, &fa) || fa.Origin != fault.OriginClient) {
				t.Fatalf("%v is no fault of the client's", err)
			}
			return
		}
		size := 0
		for _, e := range l.entries {
			if len(e.keys) == 0 || e.version == "" || l.byKey[e.keys[0]] != e {
				t.Errorf("odd entry %+v", e)
			}
			size += len(strings.Join(e.keys, "")) + len(e.version) + len(e.resolved) + len(e.integrity)
			if e.resolved == "" {
				continue
			}
			raw := text[e.resolvedAt.from:e.resolvedAt.to]
			value := raw
			if raw[0] == '"' {
				if err := json.Unmarshal([]byte(raw), &value); err != nil {
					t.Fatalf("resolved at %q: %v", raw, err)
				}
			}
			if value != e.resolved {
				t.Errorf("resolved is %q, and at its place %q", e.resolved, value)
			}
		}
		if size > 3*len(text) { // a byte that is escaped is six
			t.Errorf("%d bytes are read out of %d", size, len(text))
		}
		// A need whose name holds an "@" cannot be told apart once it is joined; Yarn cannot either.
		for _, e := range l.entries {
			e.needs = slices.DeleteFunc(e.needs, func(n string) bool { name, _ := lines.SplitKey(n); return name == "" || strings.Count(n, "@") > 1 })
		}
		back, err := parse(printed(l))
		if err != nil {
			t.Fatalf("what is printed does not parse: %v\n%s", err, printed(l))
		}
		if diff := cmp.Diff(show(l), show(back)); diff != "" {
			t.Errorf("read again (-first +second):\n%s", diff)
		}
	})
}
