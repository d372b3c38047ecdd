package pnpm

import (
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/cachito-serverless/cachito/shared/resolver"
	"github.com/cachito-serverless/cachito/shared/resolver/javascript/javascripttest"
	"github.com/cachito-serverless/cachito/shared/resolver/resolvertest"
)

// application has everything: a scope, an alias, a catalog, a patch, a workspace, a folder, a tarball of the
// repository and one of a server with peers, a git repository and a folder of it, a package for another platform.
func (l *live) application(t *testing.T, b builder) map[string]string {
	t.Helper()
	manifest := map[string]any{
		"version": "1.0.0", "private": true, "packageManager": l.pin(t),
		"dependencies": map[string]string{
			"is-odd": "3.0.1", "@types/ms": "0.7.34", "alias": "npm:isarray@2.0.5", "localdir": "file:localdir", "tb": "file:tb.tgz",
			"urlpkg": l.files.URL + "/urlpkg.tgz", "gitpkg": "git+" + l.git.URL("o/gitpkg"), "subpkg": "git+" + l.git.URL("o/gitpkg") + "#path:/sub",
			"ms": "catalog:", "w": "workspace:*",
		},
		"devDependencies":      map[string]string{"isarray": "1.0.0"},
		"optionalDependencies": map[string]string{"fsevents": "2.3.3"},
	}
	workspace := "packages:\n  - 'packages/*'\ncatalog:\n  ms: 2.1.3\n"
	const patched = "isarray@2.0.5"
	if b.patchInWorkspace {
		workspace += "patchedDependencies:\n  " + patched + ": patches/alias.patch\n"
	} else {
		manifest["pnpm"] = map[string]any{"patchedDependencies": map[string]string{patched: "patches/alias.patch"}}
	}
	text, err := json.Marshal(manifest)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]string{
		"package.json": string(text), "pnpm-workspace.yaml": workspace,
		"localdir/package.json": `{"name": "localdir", "version": "1.0.0", "main": "index.js"}`, "localdir/index.js": "module.exports = 'localdir'\n",
		"tb.tgz": string(javascripttest.Tarball("tb", "2.0.0")), "packages/w/package.json": `{"name": "w", "version": "1.0.0", "dependencies": {"ms": "catalog:"}}`,
		"packages/w/index.js": "module.exports = 'w ' + require('ms')(60000)\n",
		"patches/alias.patch": "diff --git a/patched.js b/patched.js\nnew file mode 100644\nindex 0000000..1111111\n--- /dev/null\n+++ b/patched.js\n@@ -0,0 +1 @@\n+module.exports = 'patched'\n",
		"main.js": `console.log(require('is-odd')(3), require('alias')([]), require('alias/patched.js'), require('localdir'), require('tb'),
  require('urlpkg'), require('gitpkg'), require('subpkg'), require('ms')(60000), require('w'), require('@types/ms/package.json').version)` + "\n",
	}
}

const applicationPrints = "true true patched localdir tb urlpkg 1m gitpkg function subpkg 1m w 1m 0.7.34\n"

// pin is the packageManager of the applications, with the hash that Corepack writes.
func (l *live) pin(t *testing.T) string {
	t.Helper()
	resp, err := http.Get("https://" + npmHost + "/pnpm/-/pnpm-" + pinned + ".tgz")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	sum := sha512.New()
	if _, err := io.Copy(sum, resp.Body); err != nil {
		t.Fatal(err)
	}
	return "pnpm@" + pinned + "+sha512." + hex.EncodeToString(sum.Sum(nil))
}

// lock makes a lockfile with the builder and returns the repository's files.
func (b builder) lock(t *testing.T, files map[string]string) map[string]string {
	t.Helper()
	dir := t.TempDir()
	javascripttest.WriteFiles(t, dir, files)
	cmd := exec.CommandContext(t.Context(), b.argv[0], append(b.argv[1:], "install", "--lockfile-only")...)
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + b.path, "HOME=" + t.TempDir(), "npm_config_manage_package_manager_versions=false", "PNPM_CONFIG_PM_ON_FAIL=ignore"}
	for _, name := range []string{"NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy"} {
		if value := os.Getenv(name); value != "" {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("pnpm install --lockfile-only: %v\n%s", err, out)
	}
	content, err := os.ReadFile(filepath.Join(dir, lockfileName))
	if err != nil {
		t.Fatal(err)
	}
	repo := maps.Clone(files)
	repo[lockfileName] = string(content)
	return repo
}

// resolve resolves the repository, which lies in a folder of it.
func (l *live) resolve(t *testing.T, files map[string]string, dir string) resolvertest.Result {
	t.Helper()
	r, err := New(resolver.Settings{Values: map[string]string{
		"registry": "https://" + npmHost + "/", "registry_hosts": `["` + npmHost + `"]`, "jsr_registry": "https://jsr.example/",
	}})
	if err != nil {
		t.Fatal(err)
	}
	return javascripttest.Resolve(t, r, files, dir, l, l.fetcher)
}

// bundle unpacks a result, which lies in a folder of the repository, and returns that folder and the variables
// of the build.
func bundle(t *testing.T, res resolvertest.Result, where, dir string) (app string, env []string) {
	t.Helper()
	root := filepath.Join(t.TempDir(), where)
	res.Unpack(t, root)
	for name, v := range res.Output.EnvironmentVariables {
		value := v.Value
		if v.Kind == "path" {
			value = filepath.Join(root, value)
		}
		env = append(env, name+"="+value)
	}
	return filepath.Join(root, "app", dir), env
}

// build runs pnpm with the network off and an empty store, from a folder of the application, and then the
// application.
func (b builder) build(t *testing.T, app, from, want string, env []string) {
	t.Helper()
	before, err := os.ReadFile(filepath.Join(app, lockfileName))
	if err != nil {
		t.Fatal(err)
	}
	env = append([]string{"PATH=" + b.path, "HOME=" + t.TempDir(), "CI=1"}, env...)
	cmd := javascripttest.Offline(t, append(b.argv, "install", "--frozen-lockfile"), env, "http_proxy", "https_proxy")
	cmd.Dir = filepath.Join(app, from)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("pnpm install --frozen-lockfile: %v\n%s", err, out)
	}
	cmd = javascripttest.Offline(t, []string{"node", "main.js"}, env, "http_proxy", "https_proxy")
	cmd.Dir = app
	if out, err := cmd.CombinedOutput(); err != nil || string(out) != want {
		t.Errorf("main.js prints %q (%v), want %q", out, err, want)
	}
	if after, err := os.ReadFile(filepath.Join(app, lockfileName)); err != nil || string(after) != string(before) {
		t.Errorf("pnpm install has changed the lockfile (%v)", err)
	}
}

func TestLiveOffline(t *testing.T) {
	l := newLive(t)
	for _, b := range builders {
		t.Run(b.name, func(t *testing.T) {
			b := l.install(t, b)
			files := b.lock(t, l.application(t, b))
			res := l.resolve(t, files, ".")
			if strings.Contains(res.Log, "level=WARN") {
				t.Errorf("the log warns:\n%s", res.Log)
			}
			app, env := bundle(t, res, "one", ".")
			b.build(t, app, ".", applicationPrints, env)
			app, env = bundle(t, res, "deep/down/another", ".")
			b.build(t, app, "packages/w", applicationPrints, env)

			t.Run("in a folder of the repository, which names registries, with an archive that a forge makes", func(t *testing.T) {
				files := withForged(t, files)
				files[".npmrc"] = "registry=https://" + npmHost + "/\n"
				if b.patchInWorkspace {
					files[workspaceName] += "registries:\n  default: https://" + npmHost + "/\n"
				}
				res := l.resolve(t, files, "web/app")
				app, env := bundle(t, res, "one", "web/app")
				b.build(t, app, ".", applicationPrints+"forged\n", env)
			})
			t.Run("a damaged tarball", func(t *testing.T) {
				app, env := bundle(t, res, "one", ".")
				damaged := filepath.Join(app, "../deps/pnpm/is-odd/-/is-odd-3.0.1.tgz")
				if err := os.WriteFile(damaged, javascripttest.Tarball("is-odd", "3.0.1"), 0o600); err != nil {
					t.Fatal(err)
				}
				// pnpm would try again for minutes.
				env = append(env, "PATH="+b.path, "HOME="+t.TempDir(), "CI=1", "npm_config_fetch_retries=0", "PNPM_CONFIG_FETCH_RETRIES=0")
				cmd := javascripttest.Offline(t, append(b.argv, "install", "--frozen-lockfile"), env, "http_proxy", "https_proxy")
				cmd.Dir = app
				if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(strings.ToLower(string(out)), "integrity") {
					t.Errorf("got %v, want a failure that tells of the integrity:\n%s", err, out)
				}
			})
		})
	}
}

// withForged adds a dependency on GitHub, which cannot be had from a test.
func withForged(t *testing.T, files map[string]string) map[string]string {
	t.Helper()
	files = maps.Clone(files)
	key := "https://codeload.github.com/o/forged/tar.gz/" + commit
	for _, edit := range [][3]string{
		{"package.json", `"dependencies":{`, `"dependencies":{"forged":"github:o/forged",`},
		{lockfileName, "      gitpkg:\n", "      forged:\n        specifier: github:o/forged\n        version: " + key + "\n      gitpkg:\n"},
		{lockfileName, "\n  fsevents@2.3.3:\n    resolution", "\n  forged@" + key + ":\n    resolution: {tarball: " + key + "}\n    version: 1.0.0\n\n  fsevents@2.3.3:\n    resolution"},
		{lockfileName, "snapshots:\n", "snapshots:\n\n  forged@" + key + ": {}\n"},
	} {
		if !strings.Contains(files[edit[0]], edit[1]) {
			t.Fatalf("%s does not hold %q:\n%s", edit[0], edit[1], files[edit[0]])
		}
		files[edit[0]] = strings.Replace(files[edit[0]], edit[1], edit[2], 1)
	}
	files["main.js"] += "console.log(require('forged'))\n"
	return files
}

// A lockfile of version 6, which pnpm 8 writes and reads.
func TestLiveLockfile6(t *testing.T) {
	l := newLive(t)
	b := l.install(t, builder{version: "8.15.9", script: "bin/pnpm.cjs"})
	files := l.application(t, b)
	files["package.json"] = strings.ReplaceAll(files["package.json"], "catalog:", "2.1.3")
	files["packages/w/package.json"] = strings.ReplaceAll(files["packages/w/package.json"], "catalog:", "2.1.3")
	files[workspaceName] = "packages:\n  - 'packages/*'\n"
	// pnpm 8 takes "path:" for a branch.
	files["package.json"] = regexp.MustCompile(`"subpkg":"[^"]*",`).ReplaceAllString(files["package.json"], "")
	files["main.js"] = strings.Replace(files["main.js"], " require('subpkg'),", "", 1)
	prints := strings.Replace(applicationPrints, "subpkg ", "", 1)
	files = b.lock(t, files)
	if !strings.HasPrefix(files[lockfileName], "lockfileVersion: '6.") {
		t.Fatalf("pnpm 8 writes %.40q", files[lockfileName])
	}
	res := l.resolve(t, files, ".")
	app, env := bundle(t, res, "one", ".")
	b.build(t, app, ".", prints, env)
	app, env = bundle(t, res, "deep/down/another", ".")
	b.build(t, app, "packages/w", prints, env)
}

// The pnpm that package.json asks for is in the bundle, where Corepack looks.
func TestLiveCorepack(t *testing.T) {
	l := newLive(t)
	corepack := filepath.Join(l.npm(t, "corepack@latest"), "corepack", "dist", "pnpm.js")
	newest := l.install(t, builder{version: "11", script: "bin/pnpm.mjs", newNode: true})
	for _, version := range []string{pinned, "11.28.11", "12.21.0"} {
		t.Run(version, func(t *testing.T) {
			files := newest.lock(t, map[string]string{
				"package.json": fmt.Sprintf(`{"packageManager": "pnpm@%s", "dependencies": {"ms": "2.1.3"}}`, version),
				"main.js":      "console.log(require('ms')(60000))\n",
			})
			app, env := bundle(t, l.resolve(t, files, "."), "one", ".")
			b := builder{argv: []string{filepath.Join(l.node(), "node"), corepack}, path: newest.path}
			cmd := javascripttest.Offline(t, append(b.argv, "--version"), append(env, "PATH="+b.path, "HOME="+t.TempDir()), "http_proxy", "https_proxy")
			cmd.Dir = app
			if out, err := cmd.CombinedOutput(); err != nil || strings.TrimSpace(string(out)) != version {
				t.Fatalf("pnpm --version prints %q (%v), want %s", out, err, version)
			}
			b.build(t, app, ".", "1m\n", env)
		})
	}
}
