package javascript

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cachito-serverless/cachito/shared/fault"
)

func TestMatchesWorkspace(t *testing.T) {
	for _, test := range []struct {
		patterns string // separated by blanks
		target   string
		want     bool
	}{
		{"packages/*", "packages/a", true},
		{"packages/*", "./packages/a/", true},
		{"./packages/*/", "packages/a", true},
		{"packages/*", "packages/a/b", true}, // as Python's fnmatch
		{"packages/*", "packages", false},
		{"packages/*", "packages/../x", false},
		{"packages/*", "../packages/a", false},
		{"a b", "b", true},
		{"a", "ab", false},
		{"a?", "ab", true},
		{"a?", "a", false},
		{"[ab]c", "bc", true},
		{"[a-c]x", "bx", true},
		{"[!a-c]x", "bx", false},
		{"[!a-c]x", "dx", true},
		{"[]]", "]", true},
		{"[", "[", true},
		{"[a", "[a", true},
		{"*", "anything/at/all", true},
		{"**/x", "a/x", true},
		{"*a*b", "xaybxb", true},
		{"*a*b", "xaybx", false},
		{"packages/* !packages/a", "packages/a", false},
		{"packages/* !packages/a", "packages/b", true},
		{"packages/* !packages/* packages/b", "packages/b", true},
		{"", "a", false},
	} {
		if got := MatchesWorkspace(strings.Fields(test.patterns), test.target); got != test.want {
			t.Errorf("%s, %s: got %v, want %v", test.patterns, test.target, got, test.want)
		}
	}
	started := time.Now()
	MatchesWorkspace([]string{strings.Repeat("*a", 2000) + "b"}, strings.Repeat("a", 4000))
	if took := time.Since(started); took > 5*time.Second {
		t.Errorf("a pattern of many stars took %v", took)
	}
}

func TestFileRule(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"app/packages/in", "outer"} {
		if err := os.MkdirAll(filepath.Join(dir, "repo", name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for link, target := range map[string]string{"app/packages/out": "../../../..", "app/packages/up": "../../outer", "app/packages/abs": "/etc", "app/packages/loop": "loop"} {
		if err := os.Symlink(target, filepath.Join(dir, "repo", link)); err != nil {
			t.Fatal(err)
		}
	}
	root, err := os.OpenRoot(filepath.Join(dir, "repo"))
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	rule := FileRule{Workspaces: []string{"packages/*"}, Allowed: []string{"free"}}
	for _, test := range []struct {
		name, source string
		outside      bool
	}{
		{"a", "file:packages/in", false},
		{"a", "file:packages/missing", false},
		{"a", "file:packages/up", false},
		{"free", "file:../outer", false},
		{"free", "file:../../x", true},
		{"free", "file:/etc", true},
		{"a", "file:packages/out", true},
		{"a", "file:packages/abs", true},
		{"a", "file:packages/loop", true},
		{"a", "file:packages/in/../../../../x", true},
	} {
		err := rule.Check(root, "app", test.name, test.source)
		kind := fault.Type("")
		if test.outside {
			kind = fault.InvalidRepoStructure
		}
		message := "The path " + strings.TrimPrefix(test.source, "file:") + " of the dependency " + test.name + " leads out of the repository"
		if test.source == "file:packages/in/../../../../x" {
			message = test.name + "@" + test.source + notAllowed
		}
		checkFault(t, err, kind, message)
	}
	checkFault(t, rule.Check(root, "app", "other", "file:../outer"), fault.InvalidRepoStructure, "other@file:../outer"+notAllowed)
}

const notAllowed = " is a 'file:' dependency. File dependencies are allowed if: a) the dependency is declared as a workspace in package.json or b) the dependency is present in the server-side allowlist."

func TestParseAllowlist(t *testing.T) {
	got, err := ParseAllowlist(`{"a":["b"]}`)
	if err != nil || len(got["a"]) != 1 || got["a"][0] != "b" {
		t.Errorf("got %v (%v)", got, err)
	}
	if got, err := ParseAllowlist(""); err != nil || len(got) != 0 {
		t.Errorf("empty: got %v (%v)", got, err)
	}
	if _, err := ParseAllowlist("[]"); err == nil {
		t.Error("a list is taken for an object")
	}
}
