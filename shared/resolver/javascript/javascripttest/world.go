// Package javascripttest is what surrounds the managers of the npm registry in tests: registries and git repositories
// that a scenario describes, the archives in them, and the way to the real ones for tests that ask those.
package javascripttest

import (
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"maps"
	"net/http"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/cachito-serverless/cachito/shared/resolver/resolvertest"
)

const (
	// NPMHost and YarnHost are the public registries, as lockfiles name them.
	NPMHost  = "registry.npmjs.org"
	YarnHost = "registry.yarnpkg.com"
	// AskedHost is where the configured registry is, JSRHost that of JSR: nothing may ask the public ones.
	AskedHost = "registry.example"
	JSRHost   = "jsr.example"
	// Commit is the one commit of each repository.
	Commit = "97edff6f525f192a3f83cea1944765f769ae2678"
)

// World is the network around a scenario.
type World struct {
	// Files by host/path.
	Files map[string][]byte
	// Names are those of the packages whose tarballs are among Files, by host/path.
	Names map[string]string
	Git   resolvertest.Repositories
}

// NewWorld serves what a scenario has below registry/:
//
//	registry/<host>/<path>             a tarball; the content is "name version", or "= text" for just that text
//	registry/git/<host>/<path>.git/... files of the repository's one commit
//
// more are files that the tarballs of some packages have besides, by the package's name.
func NewWorld(t testing.TB, s resolvertest.Scenario, more map[string][]string) *World {
	t.Helper()
	w := &World{Files: map[string][]byte{}, Names: map[string]string{}, Git: resolvertest.Repositories{}}
	for name, content := range s.Registry {
		if file, ok := strings.CutPrefix(name, "git/"); ok {
			repo, file, _ := strings.Cut(file, ".git/")
			url := "https://" + repo + ".git"
			if w.Git[url] == nil {
				w.Git[url] = map[string]resolvertest.Tree{Commit: {Files: map[string]string{}}}
			}
			w.Git[url][Commit].Files[file] = string(content)
			continue
		}
		if text, ok := strings.CutPrefix(string(content), "= "); ok {
			w.Files[name] = []byte(text)
			continue
		}
		fields := strings.Fields(string(content))
		if len(fields) != 2 {
			t.Fatalf("registry/%s: want a name and a version, got %q", name, content)
		}
		w.Files[name], w.Names[name] = Tarball(fields[0], fields[1], more[fields[0]]...), fields[0]
	}
	return w
}

// Expand puts digests of the world's files into the scenario's other files, then what pairs (a word and what stands for it,
// by turns) say, and the commit for COMMIT. A file is named by the last one or two parts of its path:
//
//	SRI(file), SRI1(file), SRI256(file)   integrity by SHA-512, SHA-1 and SHA-256
//	HEX(file), SHA1(file), HEX256(file)   the same in hexadecimal digits
//	SHORT(file)                           the first 16 digits of HEX256
func (w *World) Expand(s resolvertest.Scenario, pairs ...string) {
	var all []string
	for _, url := range slices.Sorted(maps.Keys(w.Files)) {
		sha1, sha256, sha512 := sha1.Sum(w.Files[url]), sha256.Sum256(w.Files[url]), sha512.Sum512(w.Files[url])
		for _, file := range []string{path.Base(url), path.Join(path.Base(path.Dir(url)), path.Base(url))} {
			all = append(all,
				"SRI("+file+")", SRI("sha512", sha512[:]), "SRI1("+file+")", SRI("sha1", sha1[:]), "SRI256("+file+")", SRI("sha256", sha256[:]),
				"HEX("+file+")", hex.EncodeToString(sha512[:]), "SHA1("+file+")", hex.EncodeToString(sha1[:]), "HEX256("+file+")", hex.EncodeToString(sha256[:]),
				"SHORT("+file+")", hex.EncodeToString(sha256[:8]))
		}
	}
	words := strings.NewReplacer(append(append(all, pairs...), "COMMIT", Commit)...)
	for _, files := range []map[string][]byte{s.Repo, s.Want} {
		for name, content := range files {
			files[name] = []byte(words.Replace(string(content)))
		}
	}
}

// SRI is the integrity value of a sum.
func SRI(algorithm string, sum []byte) string {
	return algorithm + "-" + base64.StdEncoding.EncodeToString(sum)
}

// ServeHTTP implements http.Handler: the files.
func (w *World) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	content, ok := w.Files[r.Host+r.URL.Path]
	if !ok {
		http.NotFound(rw, r)
		return
	}
	rw.Write(content)
}

// Fetcher fetches from the world: its own hosts, AskedHost and JSRHost.
func (w *World) Fetcher(t testing.TB) *resolvertest.Fetcher {
	t.Helper()
	hosts := map[string]http.Handler{AskedHost: w, JSRHost: w}
	for url := range w.Files {
		host, _, _ := strings.Cut(url, "/")
		hosts[host] = w
	}
	return resolvertest.NewFetcher(t, hosts)
}

// Check resolves a scenario that is given as text, and compares what it wants.
func Check(t *testing.T, text string, resolve func(testing.TB, resolvertest.Scenario) resolvertest.Result) resolvertest.Result {
	t.Helper()
	s, err := resolvertest.Parse([]byte(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Want) == 0 {
		t.Fatal("the case wants nothing")
	}
	res := resolve(t, s)
	res.Check(t)
	return res
}
