package main

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// checkCargo builds with the machine's Rust, below the root and without a cache, and compares with what cargo
// itself says that the lockfile has.
func checkCargo(script string) func(t *testing.T, b unpacked) {
	return func(t *testing.T, b unpacked) {
		sysroot, err := exec.Command("rustc", "--print", "sysroot").Output()
		if err != nil {
			t.Fatalf("Rust is needed for this test: %v", err)
		}
		bin, home := filepath.Join(strings.TrimSpace(string(sysroot)), "bin"), "CARGO_HOME="+filepath.Join(b.dir, "cargo")
		b.offline(t, bin, "cd crates && "+script, home, "CARGO_TARGET_DIR="+filepath.Join(b.dir, "target"))
		var metadata struct {
			Packages []struct{ Name, Version, Source string }
		}
		out := b.offline(t, bin, "cargo metadata --format-version 1 --all-features --locked --offline", home)
		if err := json.Unmarshal([]byte(out), &metadata); err != nil {
			t.Fatal(err)
		}
		var want []string
		for _, p := range metadata.Packages {
			if p.Source != "" {
				want = append(want, p.Name+" "+p.Version)
			}
		}
		var printed struct {
			Dependencies []struct{ Name, Version string }
		}
		if err := json.Unmarshal(b.printed, &printed); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, d := range printed.Dependencies {
			if !strings.HasPrefix(d.Version, "path+") {
				got = append(got, d.Name+" "+d.Version)
			}
		}
		slices.Sort(want)
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("crates (-cargo +reported):\n%s", diff)
		}
	}
}
