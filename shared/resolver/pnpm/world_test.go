package pnpm

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/cachito-serverless/cachito/shared/resolver"
	"github.com/cachito-serverless/cachito/shared/resolver/resolvertest"
)

const (
	npmHost = "registry.npmjs.org"
	// askedHost is where the configured registry is, jsrHost that of JSR: nothing may ask the public ones.
	askedHost = "registry.example"
	jsrHost   = "jsr.example"
	commit    = "97edff6f525f192a3f83cea1944765f769ae2678"
)

// world is the network around a scenario.
type world struct {
	tarballs map[string][]byte // host/path -> content
	git      resolvertest.Repositories
}

// newWorld serves what a scenario has below registry/:
//
//	registry/<host>/<path>             a tarball; the content is "name version", or "= text" for just that text
//	registry/git/<host>/<path>.git/... files of the repository's one commit, COMMIT
//
// In the scenario's other files SRI(file), SRI1(file), SRI256(file) and HEX(file) (SHA-512) are the tarball's digests, by the last one or
// two parts of its path.
func newWorld(t testing.TB, s resolvertest.Scenario) *world {
	t.Helper()
	w := &world{tarballs: map[string][]byte{}, git: resolvertest.Repositories{}}
	for name, content := range s.Registry {
		if file, ok := strings.CutPrefix(name, "git/"); ok {
			repo, file, _ := strings.Cut(file, ".git/")
			url := "https://" + repo + ".git"
			if w.git[url] == nil {
				w.git[url] = map[string]resolvertest.Tree{commit: {Files: map[string]string{}}}
			}
			w.git[url][commit].Files[file] = string(content)
			continue
		}
		if text, ok := strings.CutPrefix(string(content), "= "); ok {
			w.tarballs[name] = []byte(text)
			continue
		}
		fields := strings.Fields(string(content))
		if len(fields) != 2 {
			t.Fatalf("registry/%s: want a name and a version, got %q", name, content)
		}
		w.tarballs[name] = tarball(fields[0], fields[1])
	}
	expand := w.replacer()
	for _, files := range []map[string][]byte{s.Repo, s.Want} {
		for name, content := range files {
			files[name] = []byte(expand.Replace(string(content)))
		}
	}
	return w
}

func (w *world) replacer() *strings.Replacer {
	var pairs []string
	for _, url := range slices.Sorted(maps.Keys(w.tarballs)) {
		one, sum, short := sha1.Sum(w.tarballs[url]), sha512.Sum512(w.tarballs[url]), sha256.Sum256(w.tarballs[url])
		for _, file := range []string{path.Base(url), path.Join(path.Base(path.Dir(url)), path.Base(url))} {
			pairs = append(pairs, "HEX("+file+")", hex.EncodeToString(sum[:]), "HEX256("+file+")", hex.EncodeToString(short[:]),
				"SRI("+file+")", sri("sha512", sum[:]), "SRI1("+file+")", sri("sha1", one[:]), "SRI256("+file+")", sri("sha256", short[:]))
		}
	}
	return strings.NewReplacer(append(pairs, "COMMIT", commit)...)
}

func sri(algorithm string, sum []byte) string {
	return algorithm + "-" + base64.StdEncoding.EncodeToString(sum)
}

// tarball is a package's archive as the registry has it.
func tarball(name, version string) []byte {
	manifest, err := json.Marshal(map[string]string{"name": name, "version": version})
	if err != nil {
		panic(err)
	}
	return archive([]archived{{"package/package.json", string(manifest)}, {"package/index.js", "module.exports = '" + name + "'\n"}})
}

type archived struct{ name, content string }

func archive(members []archived) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	t := tar.NewWriter(z)
	for _, m := range members {
		if err := t.WriteHeader(&tar.Header{Name: m.name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(m.content))}); err != nil {
			panic(err)
		}
		if _, err := t.Write([]byte(m.content)); err != nil {
			panic(err)
		}
	}
	if t.Close() != nil || z.Close() != nil {
		panic("an archive cannot be made")
	}
	return b.Bytes()
}

func (w *world) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	content, ok := w.tarballs[r.Host+r.URL.Path]
	if !ok {
		http.NotFound(rw, r)
		return
	}
	rw.Write(content)
}

func (w *world) fetcher(t testing.TB) *resolvertest.Fetcher {
	t.Helper()
	hosts := map[string]http.Handler{}
	for url := range w.tarballs {
		host, _, _ := strings.Cut(url, "/")
		hosts[host] = w
	}
	hosts[askedHost], hosts[jsrHost] = w, w
	return resolvertest.NewFetcher(t, hosts)
}

func newResolver(t testing.TB, extra map[string]string) resolver.Resolver {
	t.Helper()
	values := map[string]string{
		"registry":       "https://" + askedHost + "/",
		"registry_hosts": fmt.Sprintf("[%q]", npmHost),
		"jsr_registry":   "https://" + jsrHost + "/",
	}
	maps.Copy(values, extra)
	r, err := New(resolver.Settings{Values: values})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// resolve resolves a scenario.
func resolve(t testing.TB, s resolvertest.Scenario) resolvertest.Result {
	t.Helper()
	w := newWorld(t, s)
	s.Git = w.git
	return s.Run(t, newResolver(t, s.Request.Settings), w.fetcher(t))
}

var update = resolvertest.UpdateFlag()

func TestScenarios(t *testing.T) {
	resolvertest.RunFolder(t, "testdata", nil, *update, func(t *testing.T, s resolvertest.Scenario) resolvertest.Result {
		return resolve(t, s)
	})
}
