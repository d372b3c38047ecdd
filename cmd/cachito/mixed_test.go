package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/gitrepo/gitrepotest"
)

// mixed is one repository of many package managers. Two of them share a tarball, and generic has it once more.
var mixed = map[string]string{
	"go.mod":  "module example.com/mixed\n\ngo 1.21\n\nrequire rsc.io/sampler v1.99.99\n\nrequire golang.org/x/text v0.0.0-20170915032832-14c0d48ead0c // indirect\n",
	"go.sum":  "golang.org/x/text v0.0.0-20170915032832-14c0d48ead0c h1:qgOY6WgZOaTkIIMiVjBQcw93ERBE4m30iBm00nkL0i8=\ngolang.org/x/text v0.0.0-20170915032832-14c0d48ead0c/go.mod h1:NqM8EUOU14njkJ3fqMW+pc6Ldnwhi/IjpwHt7yyuwOQ=\nrsc.io/sampler v1.99.99 h1:7i08f/p5TBU5joCPW3GjWG1ZFCmr28ybGqlXtelhEK8=\nrsc.io/sampler v1.99.99/go.mod h1:T1hPZKmBbMNahiBKFy5HrXp6adAjACjK9JXDnKaTXpA=\n",
	"main.go": "package main\n\nimport (\n\t\"fmt\"\n\n\t\"rsc.io/sampler\"\n)\n\nfunc main() { fmt.Println(sampler.Hello()) }\n",

	"npm/package.json": `{"name": "web", "version": "1.0.0", "dependencies": {"is-number": "7.0.0"}}`,
	"npm/package-lock.json": `{"name": "web", "version": "1.0.0", "lockfileVersion": 3, "requires": true, "packages": {
  "": {"name": "web", "version": "1.0.0", "dependencies": {"is-number": "7.0.0"}},
  "node_modules/is-number": {"version": "7.0.0", "resolved": "https://registry.npmjs.org/is-number/-/is-number-7.0.0.tgz", "integrity": "` + isNumber + `"}}}`,

	"pnpm/package.json": `{"name": "admin", "version": "1.0.0", "dependencies": {"is-number": "7.0.0"}}`,
	"pnpm/pnpm-lock.yaml": `lockfileVersion: '9.0'

settings:
  autoInstallPeers: true
  excludeLinksFromLockfile: false

importers:

  .:
    dependencies:
      is-number:
        specifier: 7.0.0
        version: 7.0.0

packages:

  is-number@7.0.0:
    resolution: {integrity: ` + isNumber + `}
    engines: {node: '>=0.12.0'}

snapshots:

  is-number@7.0.0: {}
`,

	"pip/setup.cfg":        "[metadata]\nname = tools\nversion = 1.0\n",
	"pip/requirements.txt": "six==1.17.0 --hash=sha256:ff70335d468e7eb6ec65b95b99d3a2836546063f63acc5171de367e834932a81\n",

	"cargo/Cargo.toml": "[package]\nname = \"fast\"\nversion = \"1.0.0\"\nedition = \"2021\"\n\n[dependencies]\nitoa = \"1\"\n",
	"cargo/Cargo.lock": `version = 3

[[package]]
name = "fast"
version = "1.0.0"
dependencies = ["itoa"]

[[package]]
name = "itoa"
version = "1.0.15"
source = "registry+https://github.com/rust-lang/crates.io-index"
checksum = "4a5f13b858c8d314ee3e8f639011f7ccefe71f97f96e50151fb991f267928e2c"
`,
	"cargo/src/main.rs": "fn main() { println!(\"{}\", itoa::Buffer::new().format(128u8)); }\n",

	"artifacts.lock.yaml": `metadata:
  version: "1.0"
artifacts:
  - download_url: https://registry.npmjs.org/is-number/-/is-number-7.0.0.tgz
    checksum: "sha256:7b75c1057198cf97696909a9bee176c9c5e9bcb5b03bf3ecef2f484defadd51e"
    filename: vendored.tgz
`,
}

const isNumber = "sha512-41Cifkg6e8TylSpdtTpeLVMqvSBEVzTttHvERD741+pnZ8ANv0004MRL43QKPDlK9cGvNp6NZWZUBlbGXYxxng=="

// TestMixedLive: one request of six package managers, and all of them build from its one bundle without network.
func TestMixedLive(t *testing.T) {
	if os.Getenv("CACHITO_LIVE") == "" {
		t.Skip("CACHITO_LIVE is not set: this test needs the package registries")
	}
	sysroot, err := exec.Command("rustc", "--print", "sysroot").Output()
	if err != nil {
		if os.Getenv("CACHITO_REQUIRE_TOOLS") == "" {
			t.Skip("Rust is not there: ", err)
		}
		t.Fatal("Rust is not there: ", err)
	}
	host, err := gitrepotest.Start(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(host.Close)
	repo := gitrepotest.Init(filepath.Join(host.Dir, "owner/mixed.git"))
	ref := repo.Commit(mixed)

	dir := t.TempDir()
	t.Cleanup(func() { makeWritable(dir) })
	b := unpacked{bundle: filepath.Join(dir, "un packed"), dir: dir}
	cmd := exec.Command("cachito", "fetch", "http://"+host.Host()+"/owner/mixed.git", ref, "-o", b.bundle+"/", "--json",
		"--pm", "gomod", "--pm", "npm:npm", "--pm", "pnpm:pnpm", "--pm", "pip:pip", "--pm", "cargo:cargo", "--pm", "generic")
	cmd.Env = append(os.Environ(), "CACHITO_ALLOW_HOSTS="+host.Host(), "XDG_CACHE_HOME="+filepath.Join(dir, "cache"))
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("cachito fetch: %v\n%s", err, stderr.String())
	}
	var printed struct {
		Packages, Dependencies []struct{ Name, Type string }
	}
	if err := json.Unmarshal(stdout.Bytes(), &printed); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range printed.Packages {
		got = append(got, "package "+p.Type+" "+p.Name)
	}
	for _, d := range printed.Dependencies {
		if d.Type != "go-package" { // most of them the standard library's
			got = append(got, d.Type+" "+d.Name)
		}
	}
	slices.Sort(got)
	want := []string{
		"cargo itoa", "generic vendored.tgz", "gomod golang.org/x/text", "gomod rsc.io/sampler", "npm is-number",
		"package cargo fast", "package generic mixed", "package go-package example.com/mixed", "package gomod example.com/mixed",
		"package npm web", "package pip tools", "package pnpm admin", "pip six", "pnpm is-number",
	}
	if diff := cmp.Diff(want, slices.Compact(got)); diff != "" {
		t.Errorf("packages and dependencies (-want +got):\n%s", diff)
	}

	tools := filepath.Join(dir, "tools")
	if out, err := exec.Command("npm", "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", tools, "pnpm@10.12.1").CombinedOutput(); err != nil {
		t.Fatalf("installing pnpm: %v\n%s", err, out)
	}
	// pip splits PIP_FIND_LINKS at blanks.
	moved := filepath.Join(dir, "moved")
	if err := os.Rename(b.bundle, moved); err != nil {
		t.Fatal(err)
	}
	b.bundle = moved
	path := filepath.Join(strings.TrimSpace(string(sysroot)), "bin") + ":" + filepath.Join(tools, "node_modules", ".bin")
	env := filepath.Join(dir, "venv")
	if out, err := exec.Command("sh", "-ec", `python3 -m venv "$0"; "$0"/bin/pip install -q --disable-pip-version-check 'setuptools<80' wheel`, env).CombinedOutput(); err != nil {
		t.Fatalf("making a virtual environment: %v\n%s", err, out)
	}
	for _, build := range []struct{ name, script, want string }{
		{"gomod", "go list -deps -f '{{.ImportPath}} {{.Module}}' .", "rsc.io/sampler rsc.io/sampler v1.99.99"},
		{"npm", "cd npm; npm ci --silent; node -p 'require(\"is-number\")(1)'", "true"},
		{"pnpm", "cd pnpm; pnpm install --frozen-lockfile --silent; node -p 'require(\"is-number\")(1)'", "true"},
		{"pip", "cd pip; " + env + "/bin/pip install -q --no-cache-dir --no-build-isolation -r requirements.txt; " + env + "/bin/python -c 'import six; print(six.__version__)'", "1.17.0"},
		{"cargo", "cd cargo; cargo run --quiet --locked --offline", "128"},
		{"generic", "tar -xzOf ../deps/generic/vendored.tgz package/package.json | grep -o '\"version\": \"[^\"]*'", "7.0.0"},
	} {
		t.Run(build.name, func(t *testing.T) {
			out := b.offline(t, path, build.script, "GOTOOLCHAIN=local", "GOFLAGS=-buildvcs=false", "CARGO_TARGET_DIR="+filepath.Join(dir, "target"), "LANG=C")
			if !strings.Contains(out, build.want) {
				t.Errorf("got %q, want %q in it", out, build.want)
			}
		})
	}
}
