package berry

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/resolver/yarn/lines"
)

const metadata = "__metadata:\n  version: 8\n  cacheKey: 10c0\n"

func parse(text string) (*lockfile, error) {
	left := 100
	return parseLockfile(strings.NewReader(text), "yarn.lock", &left)
}

func TestParseLockfile(t *testing.T) {
	long := "a@npm:" + strings.Repeat("1 || ", 300) + "1"
	for _, test := range []struct{ name, text, want string }{
		{"nothing but the head", metadata, ""},
		{
			"an entry", metadata + "\n\"@s/a@npm:^1, @s/a@npm:^1.1\":\n  version: 1.1.0\n  resolution: \"@s/a@npm:1.1.0\"\n  dependencies:\n    b: \"npm:^2\"\n    \"@s/c\": ^3\n" +
				"  dependenciesMeta:\n    b:\n      optional: true\n  bin:\n    x: x.js\n  checksum: 10c0/abc\n  conditions: os=darwin & cpu=x64\n  languageName: node\n  linkType: hard\n",
			"@s/a@npm:1.1.0 1.1.0 [@s/a@npm:^1 @s/a@npm:^1.1] needs [b@npm:^2 @s/c@^3] 10c0/abc os=darwin & cpu=x64",
		},
		{"quotes, comments, blanks, returns", "\ufeff# first\r\n" + metadata +
			"'a@npm:1':\r\n  version: '1.0''0' # c\r\n  resolution: \"a@npm:1\\u002e0.0\"   \r\n\r\n", "a@npm:1.0.0 1.0'0 [a@npm:1] needs []  "},
		{"a key that is too long for one line of YAML", metadata + "? \"" + long + "\"\n:\n  version: 1.0.0\n  resolution: \"a@npm:1.0.0\"\n", "a@npm:1.0.0 1.0.0 [" + long + "] needs []  "},
	} {
		t.Run(test.name, func(t *testing.T) {
			l, err := parse(test.text)
			if err != nil {
				t.Fatal(err)
			}
			var lines []string
			for _, e := range l.entries {
				lines = append(lines, fmt.Sprintf("%s %s %v needs %v %s %s", e.resolution, e.version, e.keys, e.needs, e.checksum, e.conditions))
			}
			if diff := cmp.Diff(test.want, strings.Join(lines, "\n")); diff != "" {
				t.Errorf("entries (-want +got):\n%s", diff)
			}
			if l.format != 8 || l.cacheKey != "10c0" {
				t.Errorf("format %d, cache key %q", l.format, l.cacheKey)
			}
		})
	}
}

func TestParseLockfileRefuses(t *testing.T) {
	a := "a@npm:1:\n  resolution: \"a@npm:1.0.0\"\n"
	for _, test := range []struct{ name, text, want string }{
		{"nothing", "", "yarn.lock:1: the lockfile has no __metadata with a version"},
		{"no version", "__metadata:\n  cacheKey: 8\n", "yarn.lock:1: the lockfile has no __metadata with a version"},
		{"Yarn 5", "__metadata:\n  version: 11\n", `yarn.lock:2: lockfiles of version "11" are not supported, only those of the versions 4 to 10 (Yarn 2 to 4)`},
		{"a version that is none", "__metadata:\n  version: latest\n", `yarn.lock:2: lockfiles of version "latest" are not supported, only those of the versions 4 to 10 (Yarn 2 to 4)`},
		{"a merge conflict", metadata + "<<<<<<< HEAD\n", "yarn.lock:4: there is a merge conflict (<<<<<<<); resolve it, `yarn install` does, and commit the result"},
		{"tabs", metadata + "a@npm:1:\n\tresolution: x\n", "yarn.lock:5: tabs are no indentation in YAML"},
		{"odd indentation", metadata + "a@npm:1:\n   resolution: x\n", "yarn.lock:5: want an even number of spaces at the beginning of the line, got 3"},
		{"indented too far", metadata + "a@npm:1:\n    resolution: x\n", "yarn.lock:5: the line is indented too far"},
		{"far too far", metadata + "a@npm:1:\n      resolution: x\n", "yarn.lock:5: the line is indented too far"},
		{"no entry", "  version: 8\n", "yarn.lock:1: the line belongs to no entry"},
		{"a value for a key", metadata + "a@npm:1: 2\n", `yarn.lock:4: want a map below "a@npm:1", got the value "2"`},
		{"no colon", metadata + "a\n", `yarn.lock:4: want a key and a colon at "a"`},
		{"quotes that do not end", metadata + "\"a@npm:1:\n", `yarn.lock:4: the quotes at "\"a@npm:1:" do not end`},
		{"quotes that are odd", metadata + "\"a\\q\":\n", `yarn.lock:4: the text "\"a\\q\"" is not quoted as in JSON`},
		{"more behind the value", metadata + "a@npm:1:\n  version: \"1\" 2\n", `yarn.lock:5: want the end of the line at "2"`},
		{"an anchor", metadata + "a@npm:1: &x\n", `yarn.lock:4: "&x" is no text as Yarn writes it`},
		{"an alias", metadata + "a@npm:1:\n  dependencies: *x\n", `yarn.lock:5: "*x" is no text as Yarn writes it`},
		{"a list", metadata + "a@npm:1:\n  - x\n", `yarn.lock:5: "- x" is no text as Yarn writes it`},
		{"a control character", metadata + "\"a\\u0000b\":\n", `yarn.lock:4: the text "a\x00b" has a control character, or is not UTF-8`},
		{"no resolution", metadata + "a@npm:1:\n  version: 1.0.0\n" + root, `yarn.lock:4: "a@npm:1" has no resolution`},
		{"an odd resolution", metadata + "a@npm:1:\n  resolution: nothing\n", `yarn.lock:4: the resolution "nothing" is none`},
		{"a scope without a name", metadata + "a@npm:1:\n  resolution: \"@x@npm:1\"\n", `yarn.lock:4: the resolution "@x@npm:1" is none`},
		{"twice", metadata + a + "b@npm:1:\n  resolution: \"a@npm:1.0.0\"\n", `yarn.lock:6: the resolution "a@npm:1.0.0" is that of line 4 as well`},
		{"an empty key", metadata + "\"a@npm:1, \":\n", `yarn.lock:4: the list of keys "a@npm:1, " has an empty one`},
		{"a long key without its colon", metadata + "? \"a@npm:1\"\n  resolution: x\n", "yarn.lock:5: want a colon below the key that begins with a question mark"},
		{"a long key at the end", metadata + "? \"a@npm:1\"", "yarn.lock:4: want a colon below the key that begins with a question mark"},
		{"a long line", metadata + strings.Repeat("a", lines.MaxLineBytes+1), fmt.Sprintf("yarn.lock:4: the line has more than %d bytes", lines.MaxLineBytes)},
		{"many entries", metadata + strings.Repeat("a@npm:1:\n", 102), `yarn.lock:4: "a@npm:1" has no resolution`},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := parse(test.text)
			if err == nil || !fault.IsClient(err) || fault.From(err).Message != test.want {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
}

// Many of anything are refused before they need memory.
func TestLockfileLimits(t *testing.T) {
	var many strings.Builder
	many.WriteString(metadata)
	for i := range 101 {
		fmt.Fprintf(&many, "a@npm:%d:\n  resolution: \"a@npm:%d\"\n", i, i)
	}
	for name, text := range map[string]string{
		"entries": many.String(),
		"keys":    metadata + strings.Repeat("\""+strings.Repeat("a,", 400_000)+"a\":\n", 1),
		"needs":   metadata + "a@npm:1:\n  resolution: \"a@npm:1.0.0\"\n  dependencies:\n" + strings.Repeat("    b: 1\n", maxNeeds+1),
		"bytes":   metadata + strings.Repeat("# a comment\n", MaxLockfileBytes/12),
	} {
		if _, err := parse(text); err == nil || fault.From(err).Type != fault.UnsupportedFeature {
			t.Errorf("%s: got %v, want a limit", name, err)
		}
	}
}

func TestParseLocator(t *testing.T) {
	for _, test := range []struct {
		text string
		want locator
	}{
		{"is-odd@npm:3.0.1", locator{name: "is-odd", reference: "npm:3.0.1", protocol: "npm:", selector: "3.0.1"}},
		{"@s/a@npm:1.0.0::__archiveUrl=https%3A%2F%2Fh%2Fx.tgz", locator{
			name: "@s/a", reference: "npm:1.0.0::__archiveUrl=https%3A%2F%2Fh%2Fx.tgz", protocol: "npm:", selector: "1.0.0",
			bound: map[string]string{"__archiveUrl": "https://h/x.tgz"},
		}},
		{"w@workspace:packages/w", locator{name: "w", reference: "workspace:packages/w", protocol: "workspace:", selector: "packages/w"}},
		{"l@patch:l@npm%3A1.3.0#./p.patch&./q.patch::version=1.3.0&hash=a0&locator=app%40workspace%3A.", locator{
			name: "l", reference: "patch:l@npm%3A1.3.0#./p.patch&./q.patch::version=1.3.0&hash=a0&locator=app%40workspace%3A.",
			protocol: "patch:", source: "l@npm:1.3.0", selector: "./p.patch&./q.patch", bound: map[string]string{"version": "1.3.0", "hash": "a0", "locator": "app@workspace:."},
		}},
		{"x@https://h/o/x.git#commit=1", locator{name: "x", reference: "https://h/o/x.git#commit=1", protocol: "https:", source: "//h/o/x.git", selector: "commit=1"}},
		{"x@o/x", locator{name: "x", reference: "o/x", selector: "o/x"}},
	} {
		got, ok := parseLocator(test.text)
		if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(locator{})); !ok || diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.text, diff)
		}
	}
	for _, text := range []string{"", "x", "x@", "@x@npm:1", "a/b@npm:1", "x@npm:%zz", "x@npm:1::a=%zz"} {
		if got, ok := parseLocator(text); ok {
			t.Errorf("%q is %+v", text, got)
		}
	}
}

// Whatever is no lockfile is the client's trouble; whatever is one has entries that can be found.
func FuzzParseLockfile(f *testing.F) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		f.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		if at := strings.Index(string(text), "__metadata:"); at >= 0 {
			lock, _, _ := strings.Cut(string(text[at:]), "\n-- ")
			f.Add(lock)
		}
	}
	f.Add("? \"a@npm:1\"\n:\n  resolution: 'a@npm:1'\n" + metadata)
	f.Fuzz(func(t *testing.T, text string) {
		l, err := parse(text)
		if err != nil {
			if !fault.IsClient(err) {
				t.Errorf("got %v, want a fault of the client's", err)
			}
			return
		}
		for _, e := range l.entries {
			if l.byResolution[e.resolution] != e || len(e.keys) == 0 || len(l.find(e.keys[0])) == 0 {
				t.Errorf("%q cannot be found", e.resolution)
			}
		}
	})
}

// Whatever is no settings file is the client's trouble.
func FuzzParseRC(f *testing.F) {
	f.Add("yarnPath: .yarn/releases/yarn-4.9.4.cjs\nplugins:\n  - a.cjs\n  - path: b.cjs\n    spec: https://h/b.cjs\nnpmScopes:\n  s:\n    npmRegistryServer: \"${X:-https://h}\"\n")
	f.Add("enableHardenedMode: true\nenableImmutableCache: true\ncacheFolder: ../x\n")
	f.Add("a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parseRC([]byte(text), "a/.yarnrc.yml")
		if err != nil {
			if !fault.IsClient(err) {
				t.Errorf("got %v, want a fault of the client's", err)
			}
			return
		}
		if r := c.registryOf("@s/x", ""); r != "" && !strings.HasPrefix(r, "http") {
			t.Errorf("%q is no registry", r)
		}
		if changed, ok := c.overridden(false); ok {
			if again, err := parseRC(changed, "a/.yarnrc.yml"); err != nil || again.hardened || again.immutableCache {
				t.Errorf("the changed file says %+v (%v)", again, err)
			}
		}
	})
}
