package yarn

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/resolver/javascript/javascripttest"
	"github.com/cachito-serverless/cachito/shared/resolver/resolvertest"
)

// berryBuilds are the releases of Yarn that build, the last of each line and others that differ, with how they install.
var berryBuilds = []struct{ release, linker, settings, dir string }{
	{"2.4.2", "node-modules", "", "."},
	{"3.2.0", "node-modules", "", "web/app"},
	{"3.8.7", "pnp", "", "."},
	{"3.8.7", "node-modules", "", "web/app"},
	{"4.0.2", "node-modules", "compressionLevel: 9\n", "."},
	{"4.18.1", "pnp", "compressionLevel: mixed\n", "web/app"},
	{"4.18.1", "node-modules", "", "."},
}

// berryLive is one release of Yarn 2 or newer on the real registry.
type berryLive struct {
	*live
	release string
	script  string // yarn.js
	linker  string
	// extra lines of the application's .yarnrc.yml.
	settings string
}

func newBerryLive(t *testing.T, l *live, release, linker, settings string) *berryLive {
	t.Helper()
	return &berryLive{
		live: l, release: release, linker: linker, settings: settings,
		script: filepath.Join(javascripttest.Install(t, t.TempDir(), "@yarnpkg/cli-dist@"+release), "@yarnpkg", "cli-dist", "bin", "yarn.js"),
	}
}

// application has everything that a lockfile may: a scope, an alias, a workspace, a link, a portal, a folder and an
// archive as files, patches of its own and of Yarn's, a tarball, a git repository, a package for another platform.
func (l *berryLive) application() map[string]string {
	patch := "diff --git a/extra.js b/extra.js\nnew file mode 100644\n--- /dev/null\n+++ b/extra.js\n@@ -0,0 +1,1 @@\n+module.exports = 'patched';\n"
	return map[string]string{
		".yarnrc.yml": "nodeLinker: " + l.linker + "\n" + l.settings,
		"package.json": `{"name": "app", "version": "1.0.0", "private": true, "workspaces": ["packages/*"], "packageManager": "yarn@` + l.release + `",
 "dependencies": {"is-odd": "3.0.1", "@types/ms": "0.7.34", "alias": "npm:isarray@2.0.5", "linked": "link:./linked", "portal": "portal:./portal",
  "folder": "file:./folder", "filed": "file:./filed.tgz", "isarray": "patch:isarray@npm:1.0.0#./isarray.patch", "resolve": "1.22.8",
  "urlpkg": "` + l.files.URL + `/urlpkg.tgz", "gitpkg": "https://` + gitHost + `/o/gitpkg.git#commit=` + l.commit + `"},
 "devDependencies": {"w": "workspace:*"}, "optionalDependencies": {"fsevents": "2.3.3"}, "resolutions": {"is-number": "6.0.0"}}`,
		"isarray.patch":           patch,
		"linked/package.json":     `{"name": "linked", "version": "1.0.0", "main": "index.js"}`,
		"linked/index.js":         "module.exports = 'linked'\n",
		"portal/package.json":     `{"name": "portal", "version": "1.0.0", "dependencies": {"ms": "2.1.3"}}`,
		"portal/index.js":         "module.exports = 'portal ' + require('ms')(1000)\n",
		"folder/package.json":     `{"name": "folder", "version": "1.0.0"}`,
		"folder/index.js":         "module.exports = 'folder'\n",
		"filed.tgz":               string(javascripttest.Tarball("filed", "1.0.0")),
		"packages/w/package.json": `{"name": "w", "version": "1.0.0", "dependencies": {"ms": "^2.1.3"}}`,
		"packages/w/index.js":     "module.exports = 'w ' + require('ms')(60000)\n",
		"main.js": `console.log(require('is-odd')(3), require('alias')([]), require('urlpkg'), require('gitpkg'), require('@types/ms/package.json').version,
  require('linked'), require('portal'), require('folder'), require('filed'), require('isarray/extra.js'), require('w'), require('resolve').sync.name)` + "\n",
	}
}

const berryPrints = "true true urlpkg gitpkg with its submodule true 0.7.34 linked portal 1s folder filed patched w 1m resolveSync\n"

// environment of Yarn: nothing of this user's configuration, empty caches.
func (l *berryLive) environment(t *testing.T) []string {
	t.Helper()
	env := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "YARN_ENABLE_TELEMETRY=0", "CI=1"}
	for _, name := range []string{"NODE_EXTRA_CA_CERTS", "HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy"} {
		if value := os.Getenv(name); value != "" {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// lock makes a lockfile with the real Yarn and returns the repository's files.
func (l *berryLive) lock(t *testing.T, files map[string]string) map[string]string {
	t.Helper()
	dir := t.TempDir()
	javascripttest.WriteFiles(t, dir, files)
	javascripttest.WriteFiles(t, dir, map[string]string{"yarn.lock": ""})
	for name := range files { // modes are part of the hash of a folder
		if err := os.Chmod(filepath.Join(dir, name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	env := l.environment(t)
	for _, v := range env {
		if home, ok := strings.CutPrefix(v, "HOME="); ok {
			javascripttest.WriteFiles(t, home, map[string]string{".gitconfig": "[url \"http://" + l.git.Host() + "/\"]\n\tinsteadOf = https://" + gitHost + "/\n"})
		}
	}
	cmd := exec.CommandContext(t.Context(), "node", l.script, "install", "--no-immutable")
	if l.release < "3" {
		cmd.Args = cmd.Args[:3]
	}
	cmd.Dir = dir
	cmd.Env = append(env, "YARN_NPM_REGISTRY_SERVER=https://"+npmHost, "YARN_UNSAFE_HTTP_WHITELIST=127.0.0.1", "YARN_ENABLE_IMMUTABLE_INSTALLS=0")
	if l.release > "4.14" && !strings.HasPrefix(l.release, "4.0") {
		cmd.Env = append(cmd.Env, "YARN_APPROVED_GIT_REPOSITORIES=**")
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("yarn %s install: %v\n%s", l.release, err, out)
	}
	content, err := os.ReadFile(filepath.Join(dir, "yarn.lock"))
	if err != nil {
		t.Fatal(err)
	}
	repo := maps.Clone(files)
	repo["yarn.lock"] = string(content)
	return repo
}

// install runs Yarn with the network off and empty caches, from a folder of the application, and then the application.
func (l *berryLive) install(t *testing.T, app, from string, flags ...string) {
	t.Helper()
	lock := filepath.Join(app, "yarn.lock")
	before, err := os.ReadFile(lock)
	if err != nil {
		t.Fatal(err)
	}
	env := l.environment(t)
	cmd := javascripttest.Offline(t, append([]string{"node", l.script, "install", "--immutable"}, flags...), env, "YARN_REGISTRY")
	cmd.Dir = filepath.Join(app, from)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("yarn %s install --immutable %v: %v\n%s", l.release, flags, err, out)
	}
	cmd = javascripttest.Offline(t, []string{"node", l.script, "node", "main.js"}, env, "YARN_REGISTRY")
	cmd.Dir = app
	if out, err := cmd.Output(); err != nil || string(out) != berryPrints {
		t.Errorf("main.js prints %q (%v), want %q", out, err, berryPrints)
	}
	if after, err := os.ReadFile(lock); err != nil || !bytes.Equal(before, after) {
		t.Errorf("yarn install has changed the lockfile (%v)", err)
	}
}

func TestLiveBerryOffline(t *testing.T) {
	l := newLive(t)
	for _, b := range berryBuilds {
		t.Run(fmt.Sprintf("O04 yarn %s %s", b.release, b.linker), func(t *testing.T) {
			yarn := newBerryLive(t, l, b.release, b.linker, b.settings)
			res := yarn.resolve(t, yarn.lock(t, yarn.application()), b.dir)
			if got, want := resolvertest.Entries(res.Output.Overlays), path.Join(b.dir, "yarn.lock")+"\n"; got != want {
				t.Errorf("changed files of the repository are %q, want %q, for the git dependency's checksum", got, want)
			}
			// Nothing vouches for Yarn itself: packageManager has no hash.
			want := []string{"pkg:npm/%40yarnpkg/cli-dist@" + b.release}
			if diff := cmp.Diff(want, res.Output.Unverified); diff != "" {
				t.Errorf("unverified (-want +got):\n%s", diff)
			}
			yarn.install(t, bundle(t, res, "one folder", b.dir), ".")
			yarn.install(t, bundle(t, res, "odd #% é name", b.dir), "packages/w")
		})
	}
}

// simple is an application without packages for other platforms, which alone have no checksum.
func (l *berryLive) simple() map[string]string {
	return map[string]string{
		".yarnrc.yml":  "nodeLinker: " + l.linker + "\nenableGlobalCache: false\n" + l.settings,
		"package.json": `{"name": "app", "packageManager": "yarn@` + l.release + `", "dependencies": {"is-odd": "3.0.1"}}`,
		"main.js":      "console.log(require('is-odd')(3))\n",
	}
}

// A zero-install has what Yarn needs in the repository: it stays, vouched for by the lockfile, and Yarn is content with it
// even when it may not write.
func TestLiveBerryZeroInstall(t *testing.T) {
	l := newBerryLive(t, newLive(t), "3.8.7", "pnp", "enableImmutableCache: true\n")
	dir := t.TempDir()
	files := l.simple()
	javascripttest.WriteFiles(t, dir, files)
	javascripttest.WriteFiles(t, dir, map[string]string{"yarn.lock": ""})
	cmd := exec.CommandContext(t.Context(), "node", l.script, "install", "--no-immutable")
	cmd.Dir = dir
	cmd.Env = append(l.environment(t), "YARN_NPM_REGISTRY_SERVER=https://"+npmHost, "YARN_ENABLE_IMMUTABLE_CACHE=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("yarn install: %v\n%s", err, out)
	}
	for _, pattern := range []string{"yarn.lock", ".pnp.cjs", ".yarn/cache/*.zip"} {
		names, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil || len(names) == 0 {
			t.Fatalf("Yarn has not made %s (%v)", pattern, err)
		}
		for _, name := range names {
			content, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			files[strings.TrimPrefix(name, dir+"/")] = string(content)
		}
	}
	install := func(res resolvertest.Result) {
		t.Helper()
		app := bundle(t, res, "one folder", ".")
		for _, args := range [][]string{{"install", "--immutable"}, {"node", "main.js"}} {
			cmd := javascripttest.Offline(t, append([]string{"node", l.script}, args...), l.environment(t), "YARN_REGISTRY")
			cmd.Dir = app
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("yarn %v: %v\n%s", args, err, out)
			}
		}
	}
	res := l.resolve(t, files, ".")
	if got := resolvertest.Entries(res.Output.Overlays); got != "" {
		t.Errorf("changed files are %q, want none", got)
	}
	install(res)

	t.Run("an archive that is not the lockfile's", func(t *testing.T) {
		damaged := ""
		for name := range files {
			if strings.HasPrefix(name, ".yarn/cache/is-odd-") {
				damaged = name
			}
		}
		files[damaged] += "x"
		res := l.resolve(t, files, ".")
		if got, want := resolvertest.Entries(res.Output.Overlays), damaged+" (deleted)\n.yarnrc.yml\n"; got != want {
			t.Errorf("changed files are %q, want %q", got, want)
		}
		install(res)
	})
}

// Any Yarn that is installed leads to the bundled one: Corepack's, and Yarn 1. What is not in the bundle is refused, and so
// is what is there and damaged.
func TestLiveBerryRelease(t *testing.T) {
	l := newBerryLive(t, newLive(t), "4.18.1", "node-modules", "")
	res := l.resolve(t, l.lock(t, l.simple()), ".")
	app := bundle(t, res, "one folder", ".")
	run := func(argv ...string) (string, error) {
		cmd := javascripttest.Offline(t, argv, append(l.environment(t), "COREPACK_HOME="+filepath.Join(app, "../deps/corepack"), "COREPACK_ENABLE_NETWORK=0"), "YARN_REGISTRY")
		cmd.Dir = app
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	for _, argv := range [][]string{{"corepack", "yarn"}, {"node", l.yarn}} {
		if out, err := run(append(argv, "--version")...); err != nil || strings.TrimSpace(out) != l.release {
			t.Errorf("%v --version prints %q (%v), want %s", argv, out, err, l.release)
		}
	}
	if out, err := run("node", l.yarn, "add", "is-even@1.0.0"); err == nil || !strings.Contains(out, "is not in the bundle") {
		t.Errorf("adding what is not there: %v\n%s", err, out)
	}
	if err := os.WriteFile(filepath.Join(app, "../deps/yarn/is-odd/is-odd-3.0.1.tgz"), javascripttest.Tarball("is-odd", "3.0.1"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := run("node", l.yarn, "install", "--immutable"); err == nil || !strings.Contains(out, "doesn't match the expected checksum") {
		t.Errorf("O07 a damaged tarball: %v\n%s", err, out)
	}
}
