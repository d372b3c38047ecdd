package pnpm

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/cachito-serverless/cachito/shared/fetch"
	"github.com/cachito-serverless/cachito/shared/gitrepo"
	"github.com/cachito-serverless/cachito/shared/gitrepo/gitrepotest"
	"github.com/cachito-serverless/cachito/shared/resolver/javascript/javascripttest"
	"github.com/cachito-serverless/cachito/shared/resolver/resolvertest"
)

// pinned is the pnpm that applications ask for, and none of those that build them.
const pinned = "10.30.0"

// builders are the releases that build: what the lockfile of each looks like is its own.
var builders = []builder{
	{name: "9.15", version: "9.15.9", script: "bin/pnpm.cjs"},
	{name: "10.15", version: "10.15.1", script: "bin/pnpm.cjs"},
	{name: "10.34", version: "10.34.9", script: "bin/pnpm.cjs", patchInWorkspace: true},
	{name: "11", version: "11", script: "bin/pnpm.mjs", newNode: true, patchInWorkspace: true},
	{name: "newest", version: "latest", newNode: true, patchInWorkspace: true},
}

// builder is a release of pnpm.
type builder struct {
	name, version string
	// script that node runs; "": a native program.
	script string
	// newNode: it needs a newer Node.js than that of the machine.
	newNode bool
	// patchInWorkspace: it reads patchedDependencies in pnpm-workspace.yaml, the others in package.json.
	patchInWorkspace bool

	argv []string
	path string // PATH
}

// live is the real registry, with servers for tarballs and git on loopback.
type live struct {
	javascripttest.Repositories
	tools   string
	files   *httptest.Server
	git     *gitrepotest.Server
	fetcher *resolvertest.Fetcher
	node    func() string // folder of a newer Node.js
}

func newLive(t *testing.T) *live {
	t.Helper()
	javascripttest.SkipUnlessLive(t)
	l := &live{tools: t.TempDir(), git: gitrepotest.NewServer(t)}
	l.node = sync.OnceValue(func() string {
		arch := map[string]string{"amd64": "x64"}[runtime.GOARCH]
		if arch == "" {
			arch = runtime.GOARCH
		}
		name := "node-linux-" + arch
		return filepath.Join(l.npm(t, name+"@24"), name, "bin")
	})
	l.git.Init("o/gitpkg").Commit(map[string]string{
		"package.json":     `{"name": "gitpkg", "version": "1.2.3", "main": "lib/main.js", "files": ["lib"], "dependencies": {"isarray": "^1.0.0"}}`,
		"lib/main.js":      "module.exports = 'gitpkg ' + typeof require('isarray')\n",
		"sub/package.json": `{"name": "subpkg", "version": "0.1.0"}`, "sub/index.js": "module.exports = 'subpkg'\n",
	})
	fetchClient, err := fetch.New(fetch.Settings{AllowHosts: []string{l.git.Host()}})
	if err != nil {
		t.Fatal(err)
	}
	if l.Client, err = gitrepo.New(gitrepo.Settings{Fetch: fetchClient}); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	l.files = httptest.NewServer(mux)
	t.Cleanup(l.files.Close)
	urlpkg := javascripttest.Archive(
		"package/package.json", `{"name": "urlpkg", "version": "1.0.0", "peerDependencies": {"ms": "*"}}`,
		"package/index.js", "module.exports = 'urlpkg ' + require('ms')(60000)\n",
	)
	forged := javascripttest.Archive("forged-1/package.json", `{"name": "forged", "version": "1.0.0"}`, "forged-1/index.js", "module.exports = 'forged'\n")
	serve := func(content []byte) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.Write(content) }
	}
	mux.HandleFunc("/urlpkg.tgz", serve(urlpkg))
	mux.HandleFunc("/o/forged/tar.gz/"+commit, serve(forged))
	l.fetcher = resolvertest.NewFetcher(t, map[string]http.Handler{
		npmHost: http.HandlerFunc(javascripttest.Pass), strings.TrimPrefix(l.files.URL, "http://"): mux, "codeload.github.com": mux,
	})
	return l
}

// npm installs a package of the registry and gives its node_modules.
func (l *live) npm(t *testing.T, spec string) string {
	t.Helper()
	return javascripttest.Install(t, filepath.Join(l.tools, strings.ReplaceAll(spec, "/", "+")), spec)
}

// install brings a builder.
func (l *live) install(t *testing.T, b builder) builder {
	t.Helper()
	modules := l.npm(t, "pnpm@"+b.version)
	node := "node"
	b.path = os.Getenv("PATH")
	if b.newNode {
		node = filepath.Join(l.node(), "node")
		b.path = l.node() + ":" + b.path
	}
	if b.script != "" {
		b.argv = []string{node, filepath.Join(modules, "pnpm", b.script)}
		return b
	}
	native, err := filepath.Glob(filepath.Join(modules, "@pnpm", "exe.*", "pnpm"))
	if err != nil || len(native) == 0 {
		t.Fatalf("pnpm@%s has no native program (%v)", b.version, err)
	}
	b.argv = native[:1]
	return b
}
