package main

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// checkPNPM runs a script with the pnpm that the project asks for, which Corepack has from the bundle, and compares
// what is reported with the lockfile as another YAML library reads it.
func checkPNPM(script string) func(t *testing.T, b unpacked) {
	return func(t *testing.T, b unpacked) {
		// Paths that hold a blank are beyond pnpm 10.34 and 11 (docs/package-managers/pnpm.md).
		plain := filepath.Join(b.dir, "unpacked")
		if out, err := exec.Command("mv", b.bundle, plain).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		b.bundle = plain
		arch := map[string]string{"amd64": "x64"}[runtime.GOARCH]
		if arch == "" {
			arch = runtime.GOARCH
		}
		tools := filepath.Join(b.dir, "tools")
		// Some pnpm releases want a newer Node.js than Debian's.
		node := "node-linux-" + arch
		out, err := exec.Command("npm", "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", tools, "corepack@0.34.6", "yaml@2.8.2", node+"@24").CombinedOutput()
		if err != nil {
			t.Fatalf("installing Corepack and Node.js: %v\n%s", err, out)
		}
		modules := filepath.Join(tools, "node_modules")
		path := filepath.Join(modules, ".bin") + ":" + filepath.Join(modules, node, "bin")
		b.offline(t, path, "pnpm() { node "+filepath.Join(modules, "corepack", "dist", "pnpm.js")+" \"$@\"; }; "+script, "CI=1")

		const list = `const found = []
for (const doc of require('yaml').parseAllDocuments(require('fs').readFileSync('pnpm-lock.yaml', 'utf8')))
  for (const [key, entry] of Object.entries(doc.toJS().packages ?? {}))
    if (!entry.resolution.directory) found.push(key)
console.log(found.join('\n'))`
		want := strings.Fields(b.offline(t, path, "node -e \"$LIST\"", "LIST="+list, "NODE_PATH="+modules))
		var printed struct {
			Dependencies []struct{ Name, Version string }
		}
		if err := json.Unmarshal(b.printed, &printed); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, d := range printed.Dependencies {
			if !strings.Contains(d.Version, ":") && d.Name != "pnpm" {
				got = append(got, d.Name+"@"+d.Version)
			}
		}
		slices.Sort(want)
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("packages of the registry (-lockfile +reported):\n%s", diff)
		}
	}
}
