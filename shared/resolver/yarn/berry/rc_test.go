package berry

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/fault"
)

func TestParseRC(t *testing.T) {
	c, err := parseRC([]byte(`
yarnPath: .yarn/releases/yarn-4.9.4.cjs
lockfileFilename: other.lock
compressionLevel: 0
enableImmutableCache: yes please
unknown: {a: [b]}
npmRegistryServer: "https://global.example/"
npmScopes:
  "s": {npmRegistryServer: "https://s.example/npm"}
  "@t": {npmRegistryServer: "${T_REGISTRY-https://t.example}"}
  u: {npmRegistryServer: "${U_REGISTRY}"}
  v: {npmAuthToken: x}
plugins:
  - .yarn/plugins/a.cjs
  - {path: .yarn/plugins/b.cjs, spec: "https://h/b.cjs", checksum: abc}
`), "web/.yarnrc.yml")
	if err != nil {
		t.Fatal(err)
	}
	if c.yarnPath != ".yarn/releases/yarn-4.9.4.cjs" || c.lockfile != "other.lock" || c.immutableCache {
		t.Errorf("got %+v", c)
	}
	want := []rcPlugin{{Path: ".yarn/plugins/a.cjs"}, {Path: ".yarn/plugins/b.cjs", Spec: "https://h/b.cjs", Checksum: "abc"}}
	if diff := cmp.Diff(want, c.plugins); diff != "" {
		t.Errorf("plugins (-want +got):\n%s", diff)
	}
	for name, want := range map[string]string{
		"x": "https://global.example/", "@s/x": "https://s.example/npm/", "@t/x": "https://t.example/", "@u/x": "", "@v/x": "https://global.example/",
		"@jsr/x": "https://jsr.example/", "@w/x": "https://global.example/",
	} {
		if got := c.registryOf(name, "https://jsr.example/"); got != want {
			t.Errorf("%s is of %q, want %q", name, got, want)
		}
	}
}

func TestParseRCRefuses(t *testing.T) {
	bomb := "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
	for i := range 9 {
		from, to := string(rune('0'+i)), string(rune('1'+i))
		bomb += "a" + to + ": &a" + to + " [*a" + from + strings.Repeat(", *a"+from, 9) + "]\n"
	}
	for _, test := range []struct{ name, text, want string }{
		{"a path out of the repository", "pnpDataPath: ../../x", "YarnRC 'pnpDataPath=../../x' property: path points outside of the source directory"},
		{"an absolute path", "virtualFolder: /tmp", "YarnRC 'virtualFolder=/tmp' property: path points outside of the source directory"},
		{"Yarn from elsewhere", "yarnPath: ../../yarn-4.0.0.cjs", "YarnRC 'yarnPath=../../yarn-4.0.0.cjs' property: path points outside of the source directory"},
		{"a lockfile elsewhere", "lockfileFilename: ../yarn.lock", `The file web/.yarnrc.yml: lockfileFilename "../yarn.lock" is no file name`},
		{"no YAML", "a: [", ""},
		{"a list", "- a", ""},
	} {
		_, err := parseRC([]byte(test.text), "web/.yarnrc.yml")
		if err == nil || !fault.IsClient(err) || test.want != "" && fault.From(err).Message != test.want {
			t.Errorf("%s: got %v, want %s", test.name, err, test.want)
		}
	}
	// Aliases that multiply are never unfolded, where nothing reads them; where something does, they are refused.
	if _, err := parseRC([]byte(bomb), ".yarnrc.yml"); err != nil && !fault.IsClient(err) {
		t.Errorf("a bomb: got %v", err)
	}
	if c, err := parseRC([]byte(bomb+"plugins: *a9\n"), ".yarnrc.yml"); err == nil && len(c.plugins) > 10 {
		t.Errorf("a bomb of plugins: %d", len(c.plugins))
	}
}
