package javascript

import (
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

var update = flag.Bool("update", false, "write testdata/packed.json anew")

// testdata/packed.json is what npm 11 packs of each tree of testdata/pack.txtar, whose files are named
// <tree>/<path>. TestPackListLive asks npm again.
func TestPackListIsNPMs(t *testing.T) {
	data, err := os.ReadFile("testdata/packed.json")
	if err != nil {
		t.Fatal(err)
	}
	var recorded map[string][]string
	if err := json.Unmarshal(data, &recorded); err != nil {
		t.Fatal(err)
	}
	trees := packTrees(t)
	if len(trees) != len(recorded) {
		t.Errorf("%d trees, %d lists of npm's: run the live test with -update", len(trees), len(recorded))
	}
	for name, dir := range trees {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(recorded[name], listOf(t, dir)); diff != "" {
				t.Errorf("(-npm +ours):\n%s", diff)
			}
		})
	}
}

func TestPackListLive(t *testing.T) {
	if os.Getenv("CACHITO_LIVE") != "1" {
		t.Skip("needs npm: set CACHITO_LIVE=1 (make test-live)")
	}
	now := map[string][]string{}
	for name, dir := range packTrees(t) {
		cmd := exec.CommandContext(t.Context(), "npm", "pack", "--ignore-scripts", "--dry-run", "--json", "--offline", "--loglevel=error")
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "HOME="+t.TempDir(), "NPM_CONFIG_UPDATE_NOTIFIER=false")
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("npm pack: %v\n%s", err, out)
		}
		var packed []struct{ Files []struct{ Path string } }
		if err := json.Unmarshal(out, &packed); err != nil || len(packed) != 1 {
			t.Fatalf("npm pack --json says %s (%v)", out, err)
		}
		for _, f := range packed[0].Files {
			now[name] = append(now[name], f.Path)
		}
		slices.Sort(now[name])
		if diff := cmp.Diff(now[name], listOf(t, dir)); diff != "" {
			t.Errorf("%s (-npm +ours):\n%s", name, diff)
		}
	}
	if *update {
		data, err := json.MarshalIndent(now, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile("testdata/packed.json", append(data, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// packTrees writes the trees of testdata/pack.txtar to disk.
func packTrees(t *testing.T) map[string]string {
	t.Helper()
	archive, err := txtar.ParseFile("testdata/pack.txtar")
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	trees := map[string]string{}
	for _, f := range archive.Files {
		name := filepath.Join(root, f.Name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, f.Data, 0o644); err != nil {
			t.Fatal(err)
		}
		tree := name[len(root)+1:]
		for filepath.Dir(tree) != "." {
			tree = filepath.Dir(tree)
		}
		trees[tree] = filepath.Join(root, tree)
	}
	return trees
}

// listOf is what packList finds in a folder.
func listOf(t *testing.T, dir string) []string {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	manifest, err := root.ReadFile("package.json")
	if err != nil {
		t.Fatal(err)
	}
	list, err := packList(t.Context(), root, manifest)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range list {
		names = append(names, f.path)
	}
	return names
}
