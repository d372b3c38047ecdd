package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
)

// npmResolution is a package of the registry in a lockfile of Yarn 2 or newer.
var npmResolution = regexp.MustCompile(`(?m)^  resolution: "(@?[^@"]+)@npm:([^":]+)"$`)

// checkBerry installs with the Yarn that the project brings, runs the project, and compares with its lockfile.
func checkBerry(yarn, script string) func(t *testing.T, b unpacked) {
	return func(t *testing.T, b unpacked) {
		b.offline(t, "", "node "+yarn+" install --immutable && "+script)
		lock, err := os.ReadFile(filepath.Join(b.bundle, "app", "yarn.lock"))
		if err != nil {
			t.Fatal(err)
		}
		var want []string
		for _, m := range npmResolution.FindAllSubmatch(lock, -1) {
			want = append(want, string(m[1])+"@"+string(m[2]))
		}
		var printed struct {
			Dependencies []struct{ Name, Version string }
		}
		if err := json.Unmarshal(b.printed, &printed); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, d := range printed.Dependencies {
			if d.Name != "@yarnpkg/cli-dist" { // the Yarn that packageManager names
				got = append(got, d.Name+"@"+d.Version)
			}
		}
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(got, slices.Compact(want)) {
			t.Errorf("%d dependencies are reported, yarn.lock has %d", len(got), len(want))
		}
	}
}
