package main

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// hermetoFileDeps allows what Hermeto's cases need and Hermeto always does.
const hermetoFileDeps = `{"yarn-test-project": ["boxen", "is-buffer"]}`

// hermetoDifference is what we answer otherwise than Hermeto does, and how a request fails that both refuse.
type hermetoDifference struct {
	// otherwise: one fails where the other completes.
	otherwise bool
	// says is a part of our sentence when ours fails.
	says string
	// theirs and ours match the lines of components that only one has.
	theirs, ours *regexp.Regexp
	// unreachable names a host that neither mirrors nor registries stand for.
	unreachable string
	// reason of a difference, as docs/hermeto.md has it; empty when both refuse.
	reason string
}

const yarnItself = "The Yarn that the project names is bundled and so a dependency; a project without version has the commit as its version."

// hermetoDifferences by case.
var hermetoDifferences = map[string]hermetoDifference{
	"cargo_missing_lockfile_permissive_mode": {
		otherwise: true, says: "Required files not found: Cargo.lock",
		reason: "A missing Cargo.lock is refused: what the registry has today is not what was tested.",
	},
	"generic_e2e": {
		ours:   regexp.MustCompile(`^hermeto .* of the repository$`),
		reason: "The repository is a package itself, which the files belong to.",
	},
	"generic_file_not_reachable": {says: "Could not download http://example.com/"},
	"gomod_correct_vendor_in_submodule_passes_vendor_check": {
		theirs: regexp.MustCompile(`^example.com/gomod-vendor-check-pass `), ours: regexp.MustCompile(`^(example.com/gomod-vendor-check-pass|integration-tests) `),
		reason: "A module in a submodule has the version of the submodule's commit, and the submodule is a package itself.",
	},
	"gomod_empty_vendor_fails_vendor_check":              {says: "The content of the vendor directory is not consistent with go.mod."},
	"gomod_wrong_vendor_in_submodule_fails_vendor_check": {says: "The content of the vendor directory is not consistent with go.mod."},
	"gomod_local_deps": {
		theirs: regexp.MustCompile(`some-module`), ours: regexp.MustCompile(`some-module`),
		reason: "A module that is replaced by a folder has that folder as its version, as in Cachito.",
	},
	"gomod_e2e_vendor_nonvendor_module_mix_ordering_1": {
		ours:   regexp.MustCompile(`vendored-module \.\./vendored-module `),
		reason: "A module that is replaced by a folder has that folder as its version, as in Cachito.",
	},
	"gomod_missing_checksums": {
		otherwise: true, says: "missing go.sum entry",
		reason: "A module without checksum in go.sum is refused: nothing vouches for it.",
	},
	"gomod_workspaces": {
		theirs: regexp.MustCompile(`^(github.com/labstack/echo/v4/middleware|github.com/labstack/gommon/|golang.org/x/(crypto|net|sys|text|time)/)`),
		reason: "Packages are those that the ordered module needs, not those of the whole workspace.",
	},
	"npm_aliased_deps": {
		theirs: regexp.MustCompile(`^fecha 4.2.0 `), ours: regexp.MustCompile(`^fecha git\+ssh:`),
		reason: "A dependency from git has its URL as version and a generic purl with it, as in Cachito.",
	},
	"pip_no_sdists": {says: "No sdists found for package"},
	"pip_rust_extension_lock_and_config_mismatch_strict": {
		otherwise: true,
		reason:    "A Cargo.lock in a Python package is taken as it is: its crates are bundled, and whether it fits its Cargo.toml is cargo's to say.",
	},
	"yarn_correct_version_is_installed_by_corepack": {
		theirs: regexp.MustCompile(` of the repository$`), ours: regexp.MustCompile(`^@yarnpkg/cli-dist 3.6.1 | of the repository$`),
		reason: yarnItself,
	},
	"yarn_e2e_multiple_packages": {
		theirs: regexp.MustCompile(` of the repository$`), ours: regexp.MustCompile(`^@yarnpkg/cli-dist 3.7.0 | of the repository$`),
		reason: yarnItself,
	},
	"yarn_incorrect_checksum":                     {says: `yarn.lock:25: the checksum "deadbeefcafefeeddeaf" is none`},
	"yarn_zero_installs":                          {says: "the yarn.lock file must be present"},
	"yarn_classic_invalid_checksum":               {unreachable: "GitHub's archives (sindresorhus/camelcase)"},
	"yarn_classic_updating_frozen_lockfile_fails": {unreachable: "GitHub's archives (sindresorhus/camelcase)"},
	"yarn_classic_e2e_multiple_packages": {
		otherwise: true, says: "missing required data (name, version)",
		reason: "A package.json without name or version is refused, as in Cachito.",
	},
}

// TestHermetoDifferencesAreTold: docs/hermeto.md has every difference with its reason.
func TestHermetoDifferencesAreTold(t *testing.T) {
	page, err := os.ReadFile("../../docs/hermeto.md")
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]string{}
	for line := range strings.Lines(string(page)) {
		if cells := strings.Split(line, "|"); len(cells) == 4 {
			told[strings.Trim(cells[1], " `")] = strings.TrimSpace(cells[2])
		}
	}
	for name, d := range hermetoDifferences {
		if d.reason != "" && told[name] != d.reason {
			t.Errorf("docs/hermeto.md says of %s: %q, want %q", name, told[name], d.reason)
		}
	}
}
