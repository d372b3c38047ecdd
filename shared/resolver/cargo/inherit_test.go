package cargo

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/resolver/resolvertest"
)

// The manifests of a git dependency's crates hold what they took over from their workspace (version.workspace = true).
func TestInherited(t *testing.T) {
	text, err := os.ReadFile("testdata/R03_cargo_git.txtar")
	must(t, err)
	s, err := resolvertest.Parse(text, nil)
	must(t, err)
	res := run1(t, s)
	must(t, res.Err)
	dir := t.TempDir()
	res.Unpack(t, dir)
	crates, err := filepath.Glob(filepath.Join(dir, "deps/cargo-git/crates/*/inner-0.3.0"))
	if err != nil || len(crates) != 1 {
		t.Fatalf("inner is at %v (%v)", crates, err)
	}
	read := func(name string) string {
		t.Helper()
		// As the kernel resolves it, and rustc with it: ".." is the parent of what the link leads to.
		content, err := os.ReadFile(crates[0] + "/" + name)
		must(t, err)
		return string(content)
	}
	got, err := parseManifest([]byte(read("Cargo.toml")))
	must(t, err)
	want := manifest{
		"package": map[string]any{"name": "inner", "version": "0.3.0", "edition": "2021", "readme": "../../README.md"},
		"lints":   map[string]any{"rust": map[string]any{"unsafe_code": "forbid"}},
		"dependencies": map[string]any{
			"libc":  map[string]any{"version": "0.2"},
			"serde": map[string]any{"version": "1", "default-features": true, "features": []any{"derive", "rc"}, "optional": true},
		},
		"target": map[string]any{"cfg(unix)": map[string]any{"build-dependencies": map[string]any{
			"sibling": map[string]any{"path": "../../crates/sibling", "package": "unused"},
		}}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Cargo.toml of inner (-want +got):\n%s", diff)
	}
	if got := read(cargoChecksumName); got != cargoChecksum {
		t.Errorf("%s is %q", cargoChecksumName, got)
	}
	if got := read("../../README.md"); got != "Read me.\n" {
		t.Errorf("the file above the crate is %q", got)
	}
	// What inherits nothing stays as it is.
	other := strings.Replace(crates[0], "inner-0.3.0", "unused-0.4.0", 1)
	if content, err := os.ReadFile(filepath.Join(other, "Cargo.toml")); err != nil || string(content) != "[package]\nname = \"unused\"\nversion = \"0.4.0\"\n" {
		t.Errorf("Cargo.toml of unused is %q (%v)", content, err)
	}
}
