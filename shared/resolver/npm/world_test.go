package npm

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path"
	"runtime"
	"runtime/metrics"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/resolver"
	"github.com/cachito-serverless/cachito/shared/resolver/resolvertest"
)

const (
	npmHost  = "registry.npmjs.org"
	yarnHost = "registry.yarnpkg.com"
	// askedHost is where the configured registry is: nothing may ask the public ones.
	askedHost = "registry.example"
	commit    = "97edff6f525f192a3f83cea1944765f769ae2678"
)

// world is the network around a scenario.
type world struct {
	// tarballs by URL without scheme, what is below the registry's hosts at the asked one.
	tarballs map[string][]byte
	// trees of git repositories by host/path, with the files of the one commit.
	trees map[string]map[string]string
	// answers overrule tarballs.
	answers map[string]http.HandlerFunc

	mu     sync.Mutex
	clones []string
}

// newWorld serves the packages that the cases use.
func newWorld() *world {
	w := &world{tarballs: map[string][]byte{}, trees: map[string]map[string]string{}, answers: map[string]http.HandlerFunc{}}
	for _, p := range []string{
		"chai@4.2.0", "@types/ms@0.7.34", "a@1.0.0", "b@1.0.0", "b@2.0.0", "x@1.0.0", "isarray@2.0.5", "ms@2.1.3", "@b/c@1.0.0",
	} {
		w.publish(p)
	}
	w.tarballs["x.test/f.tgz"] = tarball("fecha", "4.2.0")
	w.tarballs["x.test/q.tgz"] = tarball("q", "1.0.0")
	w.tarballs["x.test/none.tgz"] = pack(nil)
	w.tarballs["x.test/folder.tgz"] = pack([]*tar.Header{{Name: "package/package.json/", Typeflag: tar.TypeDir, Mode: 0o755}})
	w.tarballs["x.test/link.tgz"] = pack([]*tar.Header{{Name: "package/package.json", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"}})
	w.tarballs["x.test/bad.tgz"] = pack(nil, "package/package.json", "{")
	w.tarballs["x.test/html.tgz"] = []byte("<!DOCTYPE html>" + strings.Repeat("x", 600))
	w.trees["github.com/kevva/is-positive.git"] = tree("is-positive", "3.1.0", "")
	w.trees["github.com/o/w.git"] = tree("w", "1.0.0", "")
	w.trees["github.com/o/p.git"] = tree("p", "2.3.4", "")
	w.trees["h/o/prepare.git"] = tree("w", "1.0.0", `"prepare":"x","test":"y"`)
	w.trees["h/o/both.git"] = tree("w", "1.0.0", `"prepare":"x","prepack":"y"`)
	return w
}

func split(p string) (name, version string) {
	at := strings.LastIndexByte(p, '@')
	return p[:at], p[at+1:]
}

// publish puts "name@version" into the registry.
func (w *world) publish(p string) {
	name, version := split(p)
	w.tarballs[askedHost+"/"+name+"/-/"+path.Base(name)+"-"+version+".tgz"] = tarball(name, version)
}

func tree(name, version, scripts string) map[string]string {
	return map[string]string{
		"package.json": fmt.Sprintf(`{"name":%q,"version":%q,"scripts":{%s}}`, name, version, scripts),
		"index.js":     "module.exports = 1\n",
	}
}

// tarball makes a package's archive.
func tarball(name, version string) []byte {
	return pack(nil, "package/index.js", "module.exports = '"+name+"'\n", "package/package.json", fmt.Sprintf(`{"name":%q,"version":%q}`, name, version))
}

// pack makes an archive of members without content, then of files: a name and a content by turns.
func pack(special []*tar.Header, files ...string) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	t := tar.NewWriter(z)
	write := func(h *tar.Header, content string) {
		h.Size = int64(len(content))
		if err := t.WriteHeader(h); err != nil {
			panic(err)
		}
		if _, err := t.Write([]byte(content)); err != nil {
			panic(err)
		}
	}
	for _, h := range special {
		write(h, "")
	}
	for i := 0; i < len(files); i += 2 {
		write(&tar.Header{Name: files[i], Typeflag: tar.TypeReg, Mode: 0o644}, files[i+1])
	}
	if t.Close() != nil || z.Close() != nil {
		panic("a tarball cannot be made")
	}
	return b.Bytes()
}

// packedSRI is the integrity that javascript.PackGit's archives of these trees have; they are the same
// whenever and wherever they are made.
var packedSRI = []string{
	"PACKED(is-positive)", "sha512-EGaMx5+d9ZcHf4HOQtd2MeeDbvzZCc9Alki/ASnrAUfECNS1YdfgDKBs3O96Aiv5mlme/3O/e/kdoViIHW+flA==",
	"PACKED(p)", "sha512-/aAHX50BINvXRH+I4vW2n9aFi0eJCTCywXWd996R/EQrs0QEDEn+g8skcmyMphLsvW8sOKlKDVCFhm5tAazoXg==",
}

// replacer knows SRI(file) and HEX(file): the SHA-512 of the tarball with that file name.
func (w *world) replacer() *strings.Replacer {
	var pairs []string
	for _, url := range slices.Sorted(maps.Keys(w.tarballs)) {
		sum := sha512.Sum512(w.tarballs[url])
		file := path.Base(url)
		pairs = append(pairs, "SRI("+file+")", "sha512-"+base64.StdEncoding.EncodeToString(sum[:]), "HEX("+file+")", hex.EncodeToString(sum[:]))
	}
	pairs = append(pairs, packedSRI...)
	return strings.NewReplacer(append(pairs, "COMMIT", commit, "R/", "https://"+npmHost+"/", "Y/", "https://"+yarnHost+"/")...)
}

func (w *world) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	key := r.Host + r.URL.Path
	if answer := w.answers[key]; answer != nil {
		answer(rw, r)
		return
	}
	content, ok := w.tarballs[key]
	if !ok {
		http.NotFound(rw, r)
		return
	}
	rw.Write(content)
}

// Resolve implements resolver.Repositories.
func (w *world) Resolve(context.Context, string, string) (string, error) {
	return "", fault.Client(fault.InvalidRequestData, "no branches here")
}

// CheckOut implements resolver.Repositories.
func (w *world) CheckOut(_ context.Context, url, ref string, into *os.Root, _ ...resolver.CheckOutOption) (resolver.Checkout, error) {
	w.mu.Lock()
	w.clones = append(w.clones, url)
	w.mu.Unlock()
	_, key, _ := strings.Cut(url, "://")
	key = key[strings.IndexByte(key, '@')+1:]
	files, ok := w.trees[key]
	if !ok || !strings.HasPrefix(url, "https://") || ref != commit {
		return resolver.Checkout{}, fault.Client(fault.RepositoryAccessError, "Failed cloning the Git repository")
	}
	for name, content := range files {
		if err := into.MkdirAll(path.Dir(name), 0o755); err != nil {
			return resolver.Checkout{}, err
		}
		if err := into.WriteFile(name, []byte(content), 0o644); err != nil {
			return resolver.Checkout{}, err
		}
	}
	return resolver.Checkout{CommitTime: time.Unix(0, 0)}, nil
}

func (w *world) fetcher(t testing.TB) *resolvertest.Fetcher {
	t.Helper()
	return resolvertest.NewFetcher(t, map[string]http.Handler{askedHost: w, "x.test": w})
}

func newResolver(t testing.TB, extra map[string]string) resolver.Resolver {
	t.Helper()
	values := map[string]string{
		"registry":       "https://" + askedHost + "/",
		"registry_hosts": `["` + npmHost + `","` + yarnHost + `"]`,
	}
	maps.Copy(values, extra)
	r, err := New(resolver.Settings{Values: values})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// scenario parses a txtar file, with the placeholders of replacer; a package.json is there unless the
// scenario says otherwise.
func (w *world) scenario(t testing.TB, text string) resolvertest.Scenario {
	t.Helper()
	s, err := resolvertest.Parse([]byte(w.replacer().Replace(text)), nil)
	if err != nil {
		t.Fatal(err)
	}
	s.Git = w
	for name, content := range s.Want {
		if strings.HasPrefix(name, "app/") { // what is rewritten has no newline at its end, txtar's files have
			s.Want[name] = bytes.TrimSuffix(content, []byte("\n"))
		}
	}
	return s
}

// run resolves a scenario.
func (w *world) run(t testing.TB, text string) resolvertest.Result {
	t.Helper()
	s := w.scenario(t, text)
	return s.Run(t, newResolver(t, s.Request.Settings), w.fetcher(t))
}

const plainPackage = `
-- repo/package.json --
{"name": "a", "version": "1.0.0"}
`

// v1 is a lockfile of version 1 with these dependencies, for the package "a".
func v1(dependencies string) string {
	return plainPackage + "-- repo/package-lock.json --\n" + `{"name":"a","version":"1.0.0","lockfileVersion":1,"requires":true,"dependencies":{` + dependencies + "}}\n"
}

// v3 is a lockfile of version 3 with these entries besides the root's.
func v3(entries string) string {
	return plainPackage + "-- repo/package-lock.json --\n" + `{"name":"a","version":"1.0.0","lockfileVersion":3,"packages":{"":{"name":"a","version":"1.0.0"},` + entries + "}}\n"
}

// want adds what is wanted: a name and a text by turns.
func want(pairs ...string) string {
	var b strings.Builder
	for i := 0; i < len(pairs); i += 2 {
		text := pairs[i+1]
		if text != "" && !strings.HasSuffix(text, "\n") {
			text += "\n"
		}
		fmt.Fprintf(&b, "-- want/%s --\n%s", pairs[i], text)
	}
	return b.String()
}

// refused is a fault of the client.
func refused(kind fault.Type, message string) string {
	return want("error", "client "+string(kind)+"\n"+message)
}

// noDeps is what deps is without any file.
const noDeps = "npm/\n"

func settingsOf(values map[string]string) resolver.Settings { return resolver.Settings{Values: values} }

// peakHeap watches the heap; the function it returns ends that and says by how much it grew at most.
func peakHeap(t testing.TB) func() uint64 {
	t.Helper()
	runtime.GC()
	read := func() uint64 {
		sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
		metrics.Read(sample)
		return sample[0].Value.Uint64()
	}
	before := read()
	stop, done := make(chan struct{}), make(chan uint64)
	go func() {
		most := before
		for {
			most = max(most, read())
			select {
			case <-stop:
				done <- most - before
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
	}()
	return func() uint64 {
		close(stop)
		return <-done
	}
}
