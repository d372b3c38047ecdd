package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/gitrepo/gitrepotest"
)

// project is a well-known repository at a fixed commit.
type project struct {
	name, ref, manager string
	// packages is the API's object of that name, "" for the root.
	packages string
	// settings of cachito.
	settings []string
	// check builds from the unpacked bundle; printed is what `cachito fetch --json` says of it.
	check func(t *testing.T, b unpacked)
}

// unpacked is a project's bundle in a folder.
type unpacked struct {
	bundle  string // holds app/ and cachito.env
	dir     string // for whatever the build needs; cache/ is what cachito kept
	printed []byte // by cachito fetch --json
}

// TestProjects fetches well-known projects, builds them from the unpacked bundle with the network cut off and
// empty caches, and compares what is reported with what the package manager itself says. It needs mirrors of
// their repositories, which no registry has: MIRROR_DIR is a folder with <owner>+<name>/repo, a bare
// repository each.
func TestProjects(t *testing.T) {
	mirrors := os.Getenv("MIRROR_DIR")
	if mirrors == "" {
		t.Skip("MIRROR_DIR is not set: no mirrors of the projects' repositories")
	}
	host, err := gitrepotest.Start(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(host.Close)
	optIn := []string{"CACHITO_PACKAGE_MANAGERS=all"}
	for _, project := range []project{
		{"spf13/cobra", "adbc8813901bba65827259daa8e22ff94ec1f30e", "gomod", "", nil, checkGo},
		{"caddyserver/caddy", "0cf03d32f7d99cf160d5375e8a40fbe3d910d515", "gomod", "", nil, checkGo},
		{"actions/checkout", "f548e57e544e1ff5a4c46bf1e1b8685f8e4a348a", "npm", "", nil, checkNPM("npm ci && npm run build")},
		// An install script would download a prebuilt database driver.
		{"louislam/uptime-kuma", "6398a9581d1c3c427a7536559f47ccf45dac08b4", "npm", "", nil, checkNPM("npm ci --ignore-scripts")},
		{
			"vuejs/vuex", "bd907467b8392d6671bb115738285ff7f63d0cf6", "yarn", "",
			// Puppeteer's install script would download a browser.
			[]string{`CACHITO_DEFAULT_ENVIRONMENT_VARIABLES={"yarn": {"PUPPETEER_SKIP_DOWNLOAD": {"value": "true", "kind": "literal"}}}`},
			checkYarn,
		},
		// Its program refuses Node.js before 22; its parts do not.
		{
			"prettier/prettier", "4f84a934201322ca87750e2b9b25baf296da6560", "yarn", "", nil,
			checkBerry(".yarn/releases/yarn-4.17.1.cjs", `test "$(node --input-type=module -e "import {format} from './src/index.js'; console.log(await format('a  =  1', {parser: 'babel'}))" | head -1)" = "a = 1;"`),
		},
		// One of its dependencies, thrift, has no wheels: it is built.
		{"containerbuildsystem/cachito", "01a944ebe81c58e294aa79bda43b475634306828", "pip", wheelsFor(t, "requirements-web.txt"), nil, checkPip("requirements-web.txt", "import flask, sqlalchemy, thrift")},
		{"containerbuildsystem/cachito", "01a944ebe81c58e294aa79bda43b475634306828", "pip", `{"pip": [{"requirements_files": ["requirements-web.txt"]}]}`, nil, checkPipSources},
		{"readthedocs/readthedocs.org", "7937196123747181054d4c2361ec81f93c37f8f2", "pip", `{"pip": [{"requirements_files": ["requirements/docs.txt"]}]}`, nil, checkPipSources},
		{"unjs/defu", "80c0146afb11ebd86183a579ec469f3abd976695", "pnpm", "", optIn, checkPNPM("pnpm install --frozen-lockfile && pnpm run build && pnpm exec vitest run")},
		// Its build lists files with git; its bundle has no history.
		{"vuejs/core", "e2bede96134f757aad5c5b33ac9be055022dbfc8", "pnpm", "", optIn, checkPNPM("pnpm install --frozen-lockfile && git init -q && git add . && pnpm run build")},
		// The install script of unrs-resolver looks for its program where pnpm does not link it for this project, and downloads it.
		{"vitejs/vite", "a98c8d95d552c6fa98ab66fb810f5b39ad5abf49", "pnpm", "", optIn, checkPNPM("pnpm install --frozen-lockfile --ignore-scripts && cd packages/vite && pnpm run build-bundle")},
		// It says that it wants a newer Rust than it needs.
		{"BurntSushi/ripgrep", "3fce3b5bb0236da2df6d99672afb8a719642eca7", "cargo", "", optIn, checkCargo("cargo build --locked --offline --ignore-rust-version --manifest-path ../Cargo.toml && \"$CARGO_TARGET_DIR\"/debug/rg --version")},
		// The whole takes half an hour.
		{"nushell/nushell", "0df4ca222cc713e79b6b1684ad8ccaec584ce4ac", "cargo", "", optIn, checkCargo("cargo fetch --locked --offline && cargo check --locked --offline -p nu-utils")},
	} {
		t.Run(project.name, func(t *testing.T) {
			from := filepath.Join(mirrors, strings.Replace(project.name, "/", "+", 1), "repo")
			to := filepath.Join(host.Dir, project.name+".git")
			if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(from, to); err != nil && !errors.Is(err, fs.ErrExist) {
				t.Fatal(err)
			}
			dir := t.TempDir()
			b := unpacked{bundle: filepath.Join(dir, "un packed"), dir: dir}
			cmd := exec.Command("cachito", "fetch", "https://github.com/"+project.name, project.ref, "--pm", project.manager, "-o", b.bundle+"/", "--json")
			if project.packages != "" {
				cmd.Args = append(cmd.Args, "--packages", project.packages)
			}
			cmd.Env = append(os.Environ(), "CACHITO_ALLOW_HOSTS="+host.Host(), "CACHITO_MIRRORS=https://github.com/=http://"+host.Host()+"/", "XDG_CACHE_HOME="+filepath.Join(dir, "cache"))
			cmd.Env = append(cmd.Env, project.settings...)
			var stdout, stderr bytes.Buffer
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			if err := cmd.Run(); err != nil {
				t.Fatalf("cachito fetch: %v\n%s", err, stderr.String())
			}
			b.printed = stdout.Bytes()
			project.check(t, b)
		})
	}
}

// offline runs a script in the bundle's app/ with the bundle's environment and without network; path comes
// before the machine's own.
func (b unpacked) offline(t *testing.T, path, script string, env ...string) string {
	t.Helper()
	cmd := exec.Command("unshare", "-rn", "bash", "-ec", ". ../cachito.env; "+script)
	cmd.Dir = filepath.Join(b.bundle, "app")
	cmd.Env = append([]string{"PATH=" + path + ":" + os.Getenv("PATH"), "HOME=" + filepath.Join(b.dir, "nobody")}, env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s\n%s", script, err, stdout.String(), stderr.String())
	}
	return stdout.String()
}

// checkGo builds with the toolchain that the bundle was resolved with, and compares with go list.
func checkGo(t *testing.T, b unpacked) {
	toolchains, err := filepath.Glob(filepath.Join(b.dir, "cache", "cachito", "toolchains", "mod", "golang.org", "toolchain@*", "bin"))
	if err != nil || len(toolchains) != 1 {
		t.Fatalf("the toolchains are %v (%v), want one", toolchains, err)
	}
	out := b.offline(t, toolchains[0], "go build ./... && go list -deps ./...", "GOTOOLCHAIN=local", "GOFLAGS=-buildvcs=false")
	want := strings.Fields(out)
	slices.Sort(want)
	got := goPackages(t, b.printed)
	if !slices.Equal(got, want) {
		t.Errorf("%d packages are reported, go list says %d", len(got), len(want))
	}
}

// wheelsFor asks for a requirements file with wheels for this machine's Python.
func wheelsFor(t *testing.T, file string) string {
	out, err := exec.Command("python3", "-c", "import platform, sys; print('\"py_version\": \"%d%d\", \"arch\": \"%s\"' % (*sys.version_info[:2], platform.machine()))").Output()
	if err != nil {
		t.Fatalf("python3 is needed for this test: %v", err)
	}
	return `{"pip": [{"requirements_files": ["` + file + `"], "binary": {"packages": ":all:", ` + strings.TrimSpace(string(out)) + `}}]}`
}

// checkPip installs with the machine's pip and runs a line of Python. The build tools of the sdists are
// installed beforehand, because the project has no requirements file for them.
func checkPip(file, line string) func(t *testing.T, b unpacked) {
	return func(t *testing.T, b unpacked) {
		// pip splits PIP_FIND_LINKS at blanks.
		moved := filepath.Join(b.dir, "moved")
		if err := os.Rename(b.bundle, moved); err != nil {
			t.Fatal(err)
		}
		b.bundle = moved
		env := filepath.Join(b.dir, "venv")
		out, err := exec.Command("sh", "-ec", `python3 -m venv "$0"; "$0"/bin/pip install -q --disable-pip-version-check 'setuptools<80' wheel`, env).CombinedOutput()
		if err != nil {
			t.Fatalf("making a virtual environment: %v\n%s", err, out)
		}
		b.offline(t, filepath.Join(env, "bin"), "pip install -q --no-cache-dir --no-build-isolation -r "+file+" && python -c '"+line+"'")
	}
}

// checkPipSources looks for a source distribution of everything that is reported.
func checkPipSources(t *testing.T, b unpacked) {
	var printed struct {
		Dependencies []struct{ Name, Version string }
	}
	if err := json.Unmarshal(b.printed, &printed); err != nil {
		t.Fatal(err)
	}
	for _, d := range printed.Dependencies {
		files, err := filepath.Glob(filepath.Join(b.bundle, "deps", "pip", d.Name, d.Name+"-"+d.Version+".*"))
		if err != nil || len(files) != 1 {
			t.Errorf("%s %s: the files are %v (%v), want one", d.Name, d.Version, files, err)
		}
	}
	if len(printed.Dependencies) != 59 {
		t.Errorf("%d dependencies are reported, want 59", len(printed.Dependencies))
	}
}

// checkYarn installs with Yarn 1, runs the project's own checks, and compares with Yarn's parser of lockfiles.
func checkYarn(t *testing.T, b unpacked) {
	tools := filepath.Join(b.dir, "tools")
	out, err := exec.Command("npm", "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", tools, "yarn@1.22.22", "@yarnpkg/lockfile@1.1.0").CombinedOutput()
	if err != nil {
		t.Fatalf("installing Yarn: %v\n%s", err, out)
	}
	b.offline(t, filepath.Join(tools, "node_modules", ".bin"), "yarn install --frozen-lockfile --non-interactive && yarn lint && yarn test:unit")
	const list = `const lock = require('@yarnpkg/lockfile').parse(require('fs').readFileSync('yarn.lock', 'utf8')).object
for (const [key, entry] of Object.entries(lock)) console.log(key.replace(/(.)@.*/, '$1') + '@' + entry.version)`
	want := strings.Fields(b.offline(t, tools, "node -e \"$LIST\"", "LIST="+list, "NODE_PATH="+filepath.Join(tools, "node_modules")))
	slices.Sort(want)
	want = slices.Compact(want)
	var printed struct {
		Dependencies []struct{ Name, Version string }
	}
	if err := json.Unmarshal(b.printed, &printed); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, d := range printed.Dependencies {
		got = append(got, d.Name+"@"+d.Version)
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("%d dependencies are reported, yarn.lock has %d", len(got), len(want))
	}
}

// checkNPM builds with the machine's npm, and compares with what npm itself reads in the lockfile.
func checkNPM(script string) func(t *testing.T, b unpacked) {
	return func(t *testing.T, b unpacked) {
		b.offline(t, "", script)
		type dependency struct {
			Name, Version string
			Dev           bool
		}
		var nodes []dependency
		if err := json.Unmarshal([]byte(b.offline(t, "", "npm query --package-lock-only '*'")), &nodes); err != nil {
			t.Fatal(err)
		}
		var printed struct {
			Packages     []dependency
			Dependencies []dependency
		}
		if err := json.Unmarshal(b.printed, &printed); err != nil {
			t.Fatal(err)
		}
		// Once each, dev only if it is so wherever it stands; npm lists the package itself as well.
		want := map[string]bool{}
		for _, n := range nodes {
			if id := n.Name + "@" + n.Version; !slices.ContainsFunc(printed.Packages, func(p dependency) bool { return p.Name == n.Name && p.Version == n.Version }) {
				dev, seen := want[id]
				want[id] = n.Dev && (dev || !seen)
			}
		}
		got := map[string]bool{}
		for _, d := range printed.Dependencies {
			got[d.Name+"@"+d.Version] = d.Dev
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("dependencies and whether they are for development alone (-npm +reported):\n%s", diff)
		}
	}
}

// goPackages are the names of all Go packages in what `fetch --json` prints, sorted, each once.
func goPackages(t *testing.T, raw []byte) []string {
	t.Helper()
	type dependency struct{ Name, Type string }
	var out struct {
		Packages []struct {
			dependency
			Dependencies []dependency
		}
	}
	if err := json.Unmarshal(raw, &out); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, p := range out.Packages {
		for _, d := range append(p.Dependencies, p.dependency) {
			if d.Type == "go-package" {
				names = append(names, d.Name)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
