package berry

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/cachito-serverless/cachito/shared/packages"
	"github.com/cachito-serverless/cachito/shared/resolver"
	"github.com/cachito-serverless/cachito/shared/resolver/javascript"
	"github.com/cachito-serverless/cachito/shared/resolver/resolvertest"
)

const (
	npmHost = "registry.npmjs.org"
	// askedHost is where the configured registry is: nothing may ask the public one.
	askedHost = "registry.example"
	jsrHost   = "jsr.example"
	commit    = "97edff6f525f192a3f83cea1944765f769ae2678"
)

// world is the network around a scenario.
type world struct {
	files map[string][]byte // host/path -> content
	names map[string]string // host/path -> the package's name
	git   resolvertest.Repositories
}

// newWorld serves what a scenario has below registry/:
//
//	registry/<host>/<path>             a tarball; the content is "name version", or "= text" for just that text
//	registry/git/<host>/<path>.git/... files of the repository's one commit, COMMIT
//
// In the scenario's other files ZIP(<cache key>,<file>) is the checksum of Yarn's zip of a tarball, by the last part of
// its path, SHA512(<file>) that of the file itself, and YARNJS that of Yarn in a tarball of cli-dist.
func newWorld(t testing.TB, s resolvertest.Scenario) *world {
	t.Helper()
	w := &world{files: map[string][]byte{}, names: map[string]string{}, git: resolvertest.Repositories{}}
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
			w.files[name] = []byte(text)
			continue
		}
		fields := strings.Fields(string(content))
		if len(fields) != 2 {
			t.Fatalf("registry/%s: want a name and a version, got %q", name, content)
		}
		w.files[name], w.names[name] = tarball(fields[0], fields[1]), fields[0]
	}
	expand := w.replacer(t)
	for _, files := range []map[string][]byte{s.Repo, s.Want} {
		for name, content := range files {
			files[name] = []byte(expand.Replace(string(content)))
		}
	}
	return w
}

const yarnJS = "console.log('yarn')\n"

func (w *world) replacer(t testing.TB) *strings.Replacer {
	t.Helper()
	yarn := sha512.Sum512([]byte(yarnJS))
	pairs := []string{"COMMIT", commit, "YARNJS", hex.EncodeToString(yarn[:])}
	for url, name := range w.names {
		file := path.Base(url)
		sum := sha512.Sum512(w.files[url])
		pairs = append(pairs, "SHA512("+file+")", hex.EncodeToString(sum[:]))
		for _, key := range []string{"7", "8", "10", "10c0"} {
			form, ok := parseForm(key)
			if !ok {
				t.Fatalf("the cache key %s has no form", key)
			}
			z := newZipper(nil)
			digest, err := z.sum(t.Context(), bytes.NewReader(w.files[url]), int64(len(w.files[url])), name, form)
			if err != nil {
				t.Fatal(err)
			}
			pairs = append(pairs, "ZIP("+key+","+file+")", digest)
		}
	}
	return strings.NewReplacer(pairs...)
}

// tarball is a package's archive as the registry has it.
func tarball(name, version string) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	manifest, err := json.Marshal(map[string]string{"name": name, "version": version})
	if err != nil {
		panic(err)
	}
	files := [][2]string{{"package/package.json", string(manifest)}, {"package/index.js", "module.exports = '" + name + "'\n"}}
	if name == releasePackage {
		files = append(files, [2]string{releaseMember, yarnJS})
	}
	for _, f := range files {
		if err := w.WriteHeader(&tar.Header{Name: f[0], Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(f[1]))}); err != nil {
			panic(err)
		}
		if _, err := w.Write([]byte(f[1])); err != nil {
			panic(err)
		}
	}
	if w.Close() != nil || z.Close() != nil {
		panic("an archive cannot be made")
	}
	return b.Bytes()
}

func (w *world) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	content, ok := w.files[r.Host+r.URL.Path]
	if !ok {
		http.NotFound(rw, r)
		return
	}
	rw.Write(content)
}

func (w *world) fetcher(t testing.TB) *resolvertest.Fetcher {
	t.Helper()
	hosts := map[string]http.Handler{askedHost: w, jsrHost: w}
	for url := range w.files {
		host, _, _ := strings.Cut(url, "/")
		hosts[host] = w
	}
	return resolvertest.NewFetcher(t, hosts)
}

// alone is the resolver of requests that have nothing but projects of Yarn 2 and newer.
type alone struct{ entries int }

func (a alone) Resolve(ctx context.Context, in resolver.Input) (resolver.Output, error) {
	in.Fetcher = javascript.WordFaults(in.Fetcher)
	p := New(Settings{Registry: javascript.Registry{Base: "https://" + askedHost + "/", Hosts: []string{npmHost}}, JSR: "https://" + jsrHost + "/", Sums: &Sums{}}, in, &a.entries)
	projects, err := javascript.Open(ctx, packageType, in.Options, p.Open, func(p *Project) packages.Package { return p.Package })
	if err != nil {
		return resolver.Output{}, err
	}
	for _, project := range projects {
		if err := p.Fetch(ctx, project); err != nil {
			return resolver.Output{}, err
		}
	}
	out, err := p.Output(ctx, false)
	for _, project := range projects {
		out.Packages = append(out.Packages, project.Package)
	}
	return out, err
}

// resolve resolves a scenario.
func resolve(t testing.TB, s resolvertest.Scenario) resolvertest.Result {
	t.Helper()
	w := newWorld(t, s)
	s.Git = w.git
	return s.Run(t, alone{1000}, w.fetcher(t))
}

// check runs a scenario that stands in a test.
func check(t *testing.T, text string) resolvertest.Result {
	t.Helper()
	s, err := resolvertest.Parse([]byte(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	res := resolve(t, s)
	res.Check(t)
	return res
}

var update = resolvertest.UpdateFlag()

func TestScenarios(t *testing.T) {
	resolvertest.RunFolder(t, "testdata", nil, *update, func(t *testing.T, s resolvertest.Scenario) resolvertest.Result {
		return resolve(t, s)
	})
}

// project is a repository whose package.json has the members, with a lockfile of Yarn 4 with the entries.
func project(members, entries string) string {
	return "-- repo/package.json --\n{\"name\": \"app\", \"version\": \"1.0.0\", " + members + "}\n" +
		"-- repo/.yarnrc.yml --\nyarnPath: .yarn/releases/yarn-4.9.4.cjs\n-- repo/.yarn/releases/yarn-4.9.4.cjs --\n" +
		"-- repo/yarn.lock --\n__metadata:\n  version: 8\n  cacheKey: 10c0\n\n" + entries + root
}

// root is the entry of the project itself.
const root = `
"app@workspace:.":
  version: 0.0.0-use.local
  resolution: "app@workspace:."
  languageName: unknown
  linkType: soft
`

// entryOf is an entry of a lockfile.
func entryOf(key, resolution string, more ...string) string {
	return fmt.Sprintf("%q:\n  version: 1.0.0\n  resolution: %q\n%s  linkType: hard\n\n", key, resolution, strings.Join(append(more, ""), "\n"))
}

func refused(kind, message string) string {
	return "-- want/error --\nclient " + kind + "\n" + message + "\n"
}

// keys of a map, sorted.
func keys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
