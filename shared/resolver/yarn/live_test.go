package yarn

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/cachito-serverless/cachito/shared/fetch"
	"github.com/cachito-serverless/cachito/shared/gitrepo"
	"github.com/cachito-serverless/cachito/shared/gitrepo/gitrepotest"
	"github.com/cachito-serverless/cachito/shared/resolver"
	"github.com/cachito-serverless/cachito/shared/resolver/javascript/javascripttest"
	"github.com/cachito-serverless/cachito/shared/resolver/resolvertest"
)

const (
	// liveYarn is the release that builds: the last of Yarn 1.
	liveYarn = "1.22.22"
	// gitHost stands for the loopback git server, by a mirror for us and by git's insteadOf for Yarn.
	gitHost = "git.example"
)

// live is the real registry, with a server for tarballs and one for git on loopback.
type live struct {
	javascripttest.Repositories
	yarn    string // yarn.js
	files   *httptest.Server
	git     *gitrepotest.Server
	commit  string
	fetcher *resolvertest.Fetcher
}

func newLive(t *testing.T) *live {
	t.Helper()
	javascripttest.SkipUnlessLive(t)
	l := &live{git: gitrepotest.NewServer(t)}
	l.yarn = filepath.Join(javascripttest.Install(t, t.TempDir(), "yarn@"+liveYarn), "yarn", "bin", "yarn.js")

	sub := l.git.Init("o/sub").Commit(map[string]string{"part.js": "module.exports = 'with its submodule'\n"})
	l.commit = l.git.Init("o/gitpkg").Commit(map[string]string{
		"package.json": `{"name": "gitpkg", "version": "1.2.3", "main": "lib/main.js", "files": ["lib"], "dependencies": {"isarray": "^2.0.0"}}`,
		"lib/main.js":  "module.exports = 'gitpkg ' + require('./sub/part.js') + ' ' + require('isarray')([])\n",
		"test/big.js":  "not packed\n",
		".gitmodules":  "[submodule \"s\"]\n\tpath = lib/sub\n\turl = ../sub.git\n",
	}, gitrepotest.Gitlink("lib/sub", sub))
	fetchClient, err := fetch.New(fetch.Settings{
		AllowHosts: []string{l.git.Host()}, Mirrors: []fetch.Mirror{{Prefix: "https://" + gitHost + "/", Target: "http://" + l.git.Host() + "/"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if l.Client, err = gitrepo.New(gitrepo.Settings{Fetch: fetchClient}); err != nil {
		t.Fatal(err)
	}

	mux := http.NewServeMux()
	l.files = httptest.NewServer(mux)
	t.Cleanup(l.files.Close)
	l.git.Init("o/plain").Commit(map[string]string{"package.json": `{"name": "plain", "version": "1.0.0"}`, "index.js": "module.exports = 'plain'\n"})
	for _, p := range []string{"urlpkg", "one", "two", "three"} {
		content := javascripttest.Tarball(p, "1.0.0")
		mux.HandleFunc("/"+p+"/archive.tgz", func(w http.ResponseWriter, _ *http.Request) { w.Write(content) })
		mux.HandleFunc("/"+p+".tgz", func(w http.ResponseWriter, _ *http.Request) { w.Write(content) })
	}
	forged := javascripttest.Tarball("forged", "1.0.0")
	mux.HandleFunc("/o/forged/tar.gz/"+commit, func(w http.ResponseWriter, _ *http.Request) { w.Write(forged) })
	l.fetcher = resolvertest.NewFetcher(t, map[string]http.Handler{
		npmHost: http.HandlerFunc(javascripttest.Pass), strings.TrimPrefix(l.files.URL, "http://"): mux, "codeload.github.com": mux,
	})
	return l
}

// environment of yarn: nothing of this user's configuration, an empty cache.
func environment(t *testing.T) []string {
	t.Helper()
	return []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "YARN_CACHE_FOLDER=" + t.TempDir(), "YARN_DISABLE_SELF_UPDATE_CHECK=true"}
}

// lock makes a lockfile with the real Yarn and returns the repository's files.
func (l *live) lock(t *testing.T, files map[string]string) map[string]string {
	t.Helper()
	dir, home := t.TempDir(), t.TempDir()
	javascripttest.WriteFiles(t, dir, files)
	javascripttest.WriteFiles(t, home, map[string]string{".gitconfig": "[url \"http://" + l.git.Host() + "/\"]\n\tinsteadOf = https://" + gitHost + "/\n"})
	cmd := exec.CommandContext(t.Context(), "node", l.yarn, "install", "--ignore-scripts", "--non-interactive", "--registry", "https://"+npmHost+"/")
	cmd.Dir = dir
	cmd.Env = append(environment(t), "HOME="+home)
	for _, name := range []string{"NODE_EXTRA_CA_CERTS", "HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy"} {
		if value := os.Getenv(name); value != "" {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("yarn install: %v\n%s", err, out)
	}
	content, err := os.ReadFile(filepath.Join(dir, "yarn.lock"))
	if err != nil {
		t.Fatal(err)
	}
	repo := maps.Clone(files)
	repo["yarn.lock"] = string(content)
	return repo
}

// resolve resolves the repository, which lies in a folder of it.
func (l *live) resolve(t *testing.T, files map[string]string, dir string) resolvertest.Result {
	t.Helper()
	r, err := New(resolver.Settings{Values: map[string]string{
		"registry": "https://" + npmHost + "/", "registry_hosts": `["` + npmHost + `"]`, "file_deps_allowlist": `{"app": ["linked"]}`,
	}})
	if err != nil {
		t.Fatal(err)
	}
	return javascripttest.Resolve(t, r, files, dir, l, l.fetcher)
}

// bundle unpacks a result, which lies in a folder of the repository, and returns that folder.
func bundle(t *testing.T, res resolvertest.Result, where, dir string) string {
	t.Helper()
	root := filepath.Join(t.TempDir(), where)
	res.Unpack(t, root)
	return filepath.Join(root, "app", dir)
}

// install runs Yarn with the network off and an empty cache, from a folder of the application, and then the
// application.
func (l *live) install(t *testing.T, app, from, want string, flags ...string) {
	t.Helper()
	lock := filepath.Join(app, "yarn.lock")
	before, err := os.ReadFile(lock)
	if err != nil {
		t.Fatal(err)
	}
	cmd := javascripttest.Offline(t, append([]string{"node", l.yarn, "install", "--frozen-lockfile", "--non-interactive"}, flags...), environment(t), "YARN_REGISTRY")
	cmd.Dir = filepath.Join(app, from)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("yarn install --frozen-lockfile %v: %v\n%s", flags, err, out)
	}
	cmd = javascripttest.Offline(t, []string{"node", "main.js"}, environment(t), "YARN_REGISTRY")
	cmd.Dir = app
	if out, err := cmd.CombinedOutput(); err != nil || string(out) != want {
		t.Errorf("main.js prints %q (%v), want %q", out, err, want)
	}
	if after, err := os.ReadFile(lock); err != nil || !bytes.Equal(before, after) {
		t.Errorf("yarn install has changed the lockfile (%v)", err)
	}
}

// application is one that has everything: a scope, an alias, a workspace, a link, a tarball, a git repository, a
// package for another platform.
func (l *live) application() map[string]string {
	return map[string]string{
		"package.json": `{"name": "app", "version": "1.0.0", "private": true, "workspaces": ["packages/*"], "dependencies": {
  "is-odd": "3.0.1", "@types/ms": "0.7.34", "alias": "npm:isarray@2.0.5", "linked": "link:./linked",
  "urlpkg": "` + l.files.URL + `/urlpkg.tgz", "gitpkg": "git+https://` + gitHost + `/o/gitpkg.git#` + l.commit + `",
  "plain": "https://` + gitHost + `/o/plain.git"},
 "devDependencies": {"isarray": "1.0.0"}, "optionalDependencies": {"fsevents": "2.3.3"}}`,
		"linked/package.json":     `{"name": "linked", "version": "1.0.0", "main": "index.js"}`,
		"linked/index.js":         "module.exports = 'linked'\n",
		"packages/w/package.json": `{"name": "w", "version": "1.0.0", "dependencies": {"ms": "^2.1.3"}}`,
		"packages/w/index.js":     "module.exports = 'w ' + require('ms')(60000)\n",
		"main.js": `console.log(require('is-odd')(3), require('alias')([]), require('urlpkg'), require('gitpkg'),
  require('@types/ms/package.json').version, require('linked'), require('w'), require('plain'))` + "\n",
	}
}

const applicationPrints = "true true urlpkg gitpkg with its submodule true 0.7.34 linked w 1m plain\n"

func TestLiveOffline(t *testing.T) {
	l := newLive(t)
	files := l.lock(t, l.application())
	res := l.resolve(t, files, ".")
	if len(res.Output.Overlays) > 0 {
		t.Errorf("files of the repository are changed: %v", resolvertest.Entries(res.Output.Overlays))
	}
	if strings.Contains(res.Log, "level=WARN") {
		t.Errorf("the log warns:\n%s", res.Log)
	}
	t.Run("O03 with and without --offline, from the root and from a workspace", func(t *testing.T) {
		l.install(t, bundle(t, res, "one folder", "."), ".", applicationPrints)
		l.install(t, bundle(t, res, "deep/down/another", "."), ".", applicationPrints, "--offline")
		l.install(t, bundle(t, res, "one folder", "."), "packages/w", applicationPrints)
		l.install(t, bundle(t, res, "odd #% é name", "."), "packages/w", applicationPrints, "--offline")
	})
	t.Run("in a folder of the repository", func(t *testing.T) {
		res := l.resolve(t, files, "web/app")
		l.install(t, bundle(t, res, "one folder", "web/app"), ".", applicationPrints)
	})
	t.Run("without integrity values, as Yarn before 1.10 wrote them", func(t *testing.T) {
		files := maps.Clone(files)
		files["yarn.lock"] = regexp.MustCompile(`(?m)^  integrity .*\n`).ReplaceAllString(files["yarn.lock"], "")
		l.install(t, bundle(t, l.resolve(t, files, "."), "one folder", "."), ".", applicationPrints, "--offline")
	})
	t.Run("an archive that a forge makes of a commit", func(t *testing.T) {
		files := maps.Clone(files)
		files["package.json"] = strings.Replace(files["package.json"], `"dependencies": {`, `"dependencies": {"forged": "o/forged", `, 1)
		files["yarn.lock"] += "\nforged@o/forged:\n  version \"1.0.0\"\n  resolved \"https://codeload.github.com/o/forged/tar.gz/" + commit + "\"\n"
		files["main.js"] += "console.log(require('forged'))\n"
		l.install(t, bundle(t, l.resolve(t, files, "."), "one folder", "."), ".", applicationPrints+"forged\n", "--offline")
	})
	t.Run("with a mirror of the repository's own", func(t *testing.T) {
		files := maps.Clone(files)
		files[".yarnrc"] = "yarn-offline-mirror \"./no-such-mirror\"\nyarn-offline-mirror-pruning true\n"
		files["packages/w/.yarnrc"] = "yarn-offline-mirror false\n"
		app := bundle(t, l.resolve(t, files, "."), "one folder", ".")
		l.install(t, app, ".", applicationPrints)
		l.install(t, bundle(t, l.resolve(t, files, "."), "another", "."), "packages/w", applicationPrints, "--offline")
		if _, err := os.Stat(filepath.Join(app, "../deps/yarn/mirror/ms-2.1.3.tgz")); err != nil {
			t.Errorf("yarn has pruned the mirror: %v", err)
		}
	})
	t.Run("O07 a damaged tarball", func(t *testing.T) {
		app := bundle(t, res, "one folder", ".")
		damaged := filepath.Join(app, "../deps/yarn/is-odd/is-odd-3.0.1.tgz")
		if err := os.WriteFile(damaged, javascripttest.Tarball("is-odd", "3.0.1"), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := javascripttest.Offline(t, []string{"node", l.yarn, "install", "--frozen-lockfile", "--non-interactive", "--offline"}, environment(t), "YARN_REGISTRY")
		cmd.Dir = app
		// Yarn turns to the registry then, which it cannot reach.
		if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "is-odd-3.0.1.tgz") {
			t.Errorf("got %v, want a failure that names the file:\n%s", err, out)
		}
	})
}

// Two files of one name: Yarn itself would take the first for both, and fail.
func TestLiveMirrorCollision(t *testing.T) {
	l := newLive(t)
	files := l.lock(t, map[string]string{
		"package.json": `{"name": "app", "version": "1.0.0", "private": true, "workspaces": ["packages/*"], "dependencies": {
  "one": "` + l.files.URL + `/one/archive.tgz", "two": "` + l.files.URL + `/two/archive.tgz"}}`,
		"packages/w/package.json": `{"name": "w", "version": "1.0.0", "dependencies": {"three": "` + l.files.URL + `/three/archive.tgz"}}`,
		"main.js":                 "console.log(require('one'), require('two'), require('three'))\n",
	})
	res := l.resolve(t, files, ".")
	if got := resolvertest.Entries(res.Output.Overlays); got != "yarn.lock\n" {
		t.Errorf("changed are %q, want yarn.lock", got)
	}
	l.install(t, bundle(t, res, "one folder", "."), ".", "one two three\n")
	l.install(t, bundle(t, res, "another", "."), "packages/w", "one two three\n", "--offline")
}

// What Yarn makes of "!" in workspace patterns, which findWorkspaces relies on.
func TestLiveNegatedWorkspaces(t *testing.T) {
	l := newLive(t)
	dir := t.TempDir()
	javascripttest.WriteFiles(t, dir, map[string]string{
		"package.json":            `{"name": "app", "version": "1.0.0", "private": true, "workspaces": ["packages/*", "!packages/x"]}`,
		"packages/w/package.json": `{"name": "w", "version": "1.0.0"}`,
		"packages/x/package.json": `{"name": "x", "version": "1.0.0"}`,
	})
	cmd := javascripttest.Offline(t, []string{"node", l.yarn, "--silent", "workspaces", "info"}, environment(t), "YARN_REGISTRY")
	cmd.Dir = dir
	out, err := cmd.Output()
	var members map[string]any
	if err != nil || json.Unmarshal(out, &members) != nil || members["w"] == nil || members["x"] == nil {
		t.Errorf("yarn workspaces info prints %s (%v), want w and x", out, err)
	}
}
