package npm

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cachito-serverless/cachito/shared/gitrepo/gitrepotest"
	"github.com/cachito-serverless/cachito/shared/resolver"
	"github.com/cachito-serverless/cachito/shared/resolver/javascript/javascripttest"
	"github.com/cachito-serverless/cachito/shared/resolver/resolvertest"
)

// gitHost stands for the loopback git server in package.json; npm does not know it, so it uses git.
const gitHost = "git.example"

// live is the real registry, with a server for tarballs and one for git on loopback.
type live struct {
	tools   string // npm-<version>/ each
	files   *httptest.Server
	git     *gitrepotest.Server
	commit  string
	fetcher *resolvertest.Fetcher
}

func newLive(t *testing.T) *live {
	t.Helper()
	javascripttest.SkipUnlessLive(t)
	l := &live{tools: t.TempDir(), git: gitrepotest.NewServer(t)}
	repo := l.git.Init("o/gitpkg")
	l.commit = repo.Commit(map[string]string{
		"package.json": `{"name": "gitpkg", "version": "1.2.3", "main": "lib/main.js", "files": ["lib"], "dependencies": {"isarray": "^2.0.0"}}`,
		"lib/main.js":  "module.exports = 'gitpkg ' + require('isarray')([])\n",
		"test/big.js":  "not packed\n",
	})
	mux := http.NewServeMux()
	l.files = httptest.NewServer(mux)
	t.Cleanup(l.files.Close)
	for name, manifest := range map[string]string{
		"urlpkg": `{"name": "urlpkg", "version": "1.0.0", "dependencies": {"inner": "` + l.files.URL + `/inner.tgz"}}`,
		"inner":  `{"name": "inner", "version": "2.0.0-beta.1"}`,
		"q":      `{"name": "q", "version": "3.0.0"}`,
		"ms":     `{"name": "ms", "version": "9.9.9"}`,
	} {
		content := javascripttest.Archive("package/index.js", "module.exports = () => '"+name+"'\n", "package/package.json", manifest)
		mux.HandleFunc("/"+name+".tgz", func(w http.ResponseWriter, _ *http.Request) { w.Write(content) })
	}
	l.fetcher = resolvertest.NewFetcher(t, map[string]http.Handler{npmHost: http.HandlerFunc(javascripttest.Pass), strings.TrimPrefix(l.files.URL, "http://"): mux})
	return l
}

// Resolve implements resolver.Repositories.
func (l *live) Resolve(context.Context, string, string) (string, error) {
	return "", fmt.Errorf("no branch is asked for")
}

// CheckOut implements resolver.Repositories.
func (l *live) CheckOut(ctx context.Context, url, commit string, into *os.Root, _ ...resolver.CheckOutOption) (resolver.Checkout, error) {
	name := strings.TrimSuffix(strings.TrimPrefix(url, "https://"+gitHost+"/"), ".git")
	for _, args := range [][]string{{"clone", "--quiet", "--no-checkout", l.git.URL(name), "."}, {"checkout", "--quiet", commit}} {
		cmd := exec.CommandContext(ctx, "git", args...)
		cmd.Dir = into.Name()
		if out, err := cmd.CombinedOutput(); err != nil {
			return resolver.Checkout{}, fmt.Errorf("git %s: %w\n%s", args[0], err, out)
		}
	}
	return resolver.Checkout{}, into.RemoveAll(".git")
}

// releases of npm, the last ones of each major version.
var releases = map[string]string{
	"6": "6.14.18", "7": "7.24.2", "8": "8.19.4", "9": "9.9.4", "10": "10.9.9", "11": "11.21.2", "12": "12.2.1",
}

// npm runs npm of a major version, "": the machine's own.
func (l *live) npm(t *testing.T, version string) []string {
	t.Helper()
	if version == "" {
		return []string{"npm"}
	}
	dir := filepath.Join(l.tools, "npm-"+version)
	cli := filepath.Join(dir, "node_modules", "npm", "bin", "npm-cli.js")
	if _, err := os.Stat(cli); err != nil {
		javascripttest.Install(t, dir, "npm@"+releases[version])
	}
	return []string{"node", cli}
}

// environment of npm: nothing of this user's configuration, an empty cache.
func environment(t *testing.T) []string {
	t.Helper()
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "npm_config_cache=" + t.TempDir(), "npm_config_update_notifier=false",
		"npm_config_audit=false", "npm_config_omit_lockfile_registry_resolved=false", "npm_config_fund=false", "npm_config_fetch_retries=0",
	}
}

// lock makes a lockfile with a real npm and returns the repository's files.
func (l *live) lock(t *testing.T, version string, files map[string]string, args ...string) map[string][]byte {
	t.Helper()
	dir := t.TempDir()
	javascripttest.WriteFiles(t, dir, files)
	argv := append(append(l.npm(t, version), "install", "--package-lock-only"), args...)
	cmd := exec.CommandContext(t.Context(), argv[0], argv[1:]...)
	cmd.Dir = dir
	home := t.TempDir()
	gitConfig := "[url \"http://" + l.git.Host() + "/\"]\n\tinsteadOf = https://" + gitHost + "/\n"
	if err := os.WriteFile(filepath.Join(home, ".gitconfig"), []byte(gitConfig), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd.Env = append(environment(t), "HOME="+home)
	for _, name := range []string{"NODE_EXTRA_CA_CERTS", "HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy", "npm_config_registry"} {
		if value := os.Getenv(name); value != "" {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("npm %s install --package-lock-only: %v\n%s", version, err, out)
	}
	repo := map[string][]byte{}
	for name := range files {
		repo[name] = []byte(files[name])
	}
	content, err := os.ReadFile(filepath.Join(dir, "package-lock.json"))
	if err != nil {
		t.Fatal(err)
	}
	repo["package-lock.json"] = content
	return repo
}

// resolve resolves the repository, below a folder of it.
func (l *live) resolve(t *testing.T, files map[string][]byte, dir string) resolvertest.Result {
	t.Helper()
	r, err := New(resolver.Settings{Values: map[string]string{
		"registry": "https://" + npmHost + "/", "registry_hosts": `["` + npmHost + `"]`,
	}})
	if err != nil {
		t.Fatal(err)
	}
	return javascripttest.Resolve(t, r, files, dir, l, l.fetcher)
}

// ci unpacks the bundle into a folder, installs with the network off and runs the application there.
func (l *live) ci(t *testing.T, version string, res resolvertest.Result, where, dir, want string) {
	t.Helper()
	bundle := filepath.Join(t.TempDir(), where)
	res.Unpack(t, bundle)
	app := filepath.Join(bundle, "app", dir)
	lock := filepath.Join(app, "package-lock.json")
	before, err := os.ReadFile(lock)
	if err != nil {
		t.Fatal(err)
	}
	run := func(argv ...string) string {
		cmd := javascripttest.Offline(t, argv, environment(t), "npm_config_registry")
		cmd.Dir = app
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", strings.Join(argv, " "), err, out)
		}
		return string(out)
	}
	run(append(l.npm(t, version), "ci")...)
	if got := run("node", "main.js"); got != want {
		t.Errorf("main.js prints %q, want %q", got, want)
	}
	if after, err := os.ReadFile(lock); err != nil || !bytes.Equal(before, after) {
		t.Errorf("npm ci has changed the lockfile (%v)", err)
	}
}

// plain is an application that npm 6 understands.
func (l *live) plain() map[string]string {
	return map[string]string{
		"package.json": `{"name": "app", "version": "1.0.0", "dependencies": {
  "is-odd": "3.0.1", "is-number": "7.0.0", "@types/ms": "0.7.34", "alias": "npm:isarray@2.0.5",
  "urlpkg": "` + l.files.URL + `/urlpkg.tgz", "gitpkg": "git+https://` + gitHost + `/o/gitpkg.git#` + l.commit + `"},
 "devDependencies": {"isarray": "2.0.5"}, "optionalDependencies": {"fsevents": "2.3.3"}}`,
		"main.js": `console.log(require('is-odd')(3), require('alias')([]), require('urlpkg')(), require('inner')(), require('gitpkg'),
  require('is-odd/package.json').version, require('@types/ms/package.json').version)` + "\n",
	}
}

const plainPrints = "true true urlpkg inner gitpkg true 3.0.1 0.7.34\n"

// full has workspaces and overrides besides.
func (l *live) full() map[string]string {
	files := l.plain()
	files["package.json"] = strings.Replace(files["package.json"], `"dependencies": {`, `"workspaces": ["packages/*"],
 "overrides": {"ms": "`+l.files.URL+`/ms.tgz", "urlpkg": {"isarray": "2.0.5"}}, "dependencies": {"debug": "4.3.4", `, 1)
	files["packages/ws1/package.json"] = `{"name": "ws1", "version": "1.0.0", "dependencies": {"q": "` + l.files.URL + `/q.tgz", "isarray": "^2.0.0"}}`
	files["packages/ws1/index.js"] = "module.exports = 'ws1 ' + require('q')()\n"
	files["main.js"] += "console.log(require('ws1'), require('ms')())\n"
	return files
}

const fullPrints = plainPrints + "ws1 q ms\n"

func TestLiveOffline(t *testing.T) {
	l := newLive(t)
	t.Run("O02 lockfile 1", func(t *testing.T) {
		res := l.resolve(t, l.lock(t, "6", l.plain()), ".")
		for _, version := range []string{"6", "7", "8", "11", "12"} {
			t.Run("npm "+version, func(t *testing.T) {
				l.ci(t, version, res, "one folder", ".", plainPrints)
				l.ci(t, version, res, "deep/down/another", ".", plainPrints)
			})
		}
	})
	t.Run("O02 lockfile 2", func(t *testing.T) {
		res := l.resolve(t, l.lock(t, "8", l.full(), "--lockfile-version=2"), ".")
		for _, version := range []string{"7", "8", "11", "12"} {
			t.Run("npm "+version, func(t *testing.T) {
				l.ci(t, version, res, "one folder", ".", fullPrints)
				l.ci(t, version, res, "deep/down/another", ".", fullPrints)
			})
		}
	})
	t.Run("O02 lockfile 2 with npm 6", func(t *testing.T) {
		res := l.resolve(t, l.lock(t, "8", l.plain(), "--lockfile-version=2"), ".")
		l.ci(t, "6", res, "one folder", ".", plainPrints)
	})
	t.Run("O01 lockfile 3", func(t *testing.T) {
		files := l.lock(t, "", l.full(), "--lockfile-version=3")
		if !bytes.Contains(files["package-lock.json"], []byte(npmHost)) {
			t.Fatal("the lockfile has no URLs of the registry")
		}
		res := l.resolve(t, files, ".")
		for _, version := range []string{"", "7", "8", "9", "10", "11", "12"} {
			t.Run("npm "+version, func(t *testing.T) {
				l.ci(t, version, res, "one folder", ".", fullPrints)
				l.ci(t, version, res, "deep/down/another", ".", fullPrints)
			})
		}
		t.Run("in a folder of the repository", func(t *testing.T) {
			l.ci(t, "", l.resolve(t, files, "web/app"), "odd #% name", "web/app", fullPrints)
		})
		t.Run("O07 a damaged tarball", func(t *testing.T) {
			bundle := t.TempDir()
			res.Unpack(t, bundle)
			damaged := filepath.Join(bundle, "deps", "npm", "is-odd", "is-odd-3.0.1.tgz")
			other := javascripttest.Archive("package/package.json", `{"name": "is-odd", "version": "3.0.1"}`)
			if err := os.WriteFile(damaged, other, 0o600); err != nil {
				t.Fatal(err)
			}
			cmd := javascripttest.Offline(t, append(l.npm(t, ""), "ci"), environment(t), "npm_config_registry")
			cmd.Dir = filepath.Join(bundle, "app")
			if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "EINTEGRITY") {
				t.Errorf("got %v, want a failure with EINTEGRITY:\n%s", err, out)
			}
		})
	})
	t.Run("O02 lockfile 1 with workspaces", func(t *testing.T) {
		res := l.resolve(t, l.lock(t, "8", l.full(), "--lockfile-version=1"), ".")
		for _, version := range []string{"7", "8", "11", "12"} {
			t.Run("npm "+version, func(t *testing.T) { l.ci(t, version, res, "one folder", ".", fullPrints) })
		}
	})
	t.Run("no resolved (omit-lockfile-registry-resolved)", func(t *testing.T) {
		files := l.lock(t, "", l.full(), "--omit-lockfile-registry-resolved")
		if bytes.Contains(files["package-lock.json"], []byte(npmHost)) {
			t.Fatal("the lockfile has URLs of the registry")
		}
		l.ci(t, "", l.resolve(t, files, "."), "one folder", ".", fullPrints)
	})
}
