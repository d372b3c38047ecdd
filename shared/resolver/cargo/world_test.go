package cargo

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/resolver"
	"github.com/cachito-serverless/cachito/shared/resolver/resolvertest"
)

var update = resolvertest.UpdateFlag()

// cratesHost has the files of crates.io.
const cratesHost = "crates.example"

// TestScenarios. Files of a scenario's registry are crates' (registry/HOST/NAME-VERSION/FILE), served as .crate files
// and as downloads; registry/HOST/index/FILE is served as it is, and registry/git/HOST/PATH@COMMIT/FILE are files of
// git repositories. SUM:HOST/NAME-VERSION in the work tree is a crate's checksum.
func TestScenarios(t *testing.T) {
	resolvertest.RunFolder(t, "testdata", map[string]string{"THE_REF": resolvertest.Ref}, *update, func(t *testing.T, s resolvertest.Scenario) resolvertest.Result {
		return run1(t, s)
	})
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newResolver(t testing.TB) resolver.Resolver {
	t.Helper()
	r, err := New(resolver.Settings{Values: map[string]string{"crates_url": "https://" + cratesHost + "/"}})
	must(t, err)
	return r
}

// scenario is a scenario of plain text.
func scenario(t testing.TB, text string) resolvertest.Scenario {
	t.Helper()
	s, err := resolvertest.Parse([]byte(text), nil)
	must(t, err)
	return s
}

// run1 resolves a scenario.
func run1(t testing.TB, s resolvertest.Scenario) resolvertest.Result {
	t.Helper()
	w := newWorld(t, s)
	if s.Git == nil {
		s.Git = w.git
	}
	for name, content := range s.Repo {
		s.Repo[name] = w.sums(t, content)
	}
	return s.Run(t, newResolver(t), resolvertest.NewFetcher(t, w.hosts))
}

// world is what is around a scenario.
type world struct {
	crates map[string][]byte // HOST/NAME-VERSION
	git    resolvertest.Repositories
	hosts  map[string]http.Handler
}

func newWorld(t testing.TB, s resolvertest.Scenario) *world {
	t.Helper()
	w := &world{crates: map[string][]byte{}, git: resolvertest.Repositories{}, hosts: map[string]http.Handler{}}
	files, plain := map[string]map[string]string{}, map[string][]byte{}
	for name, content := range s.Registry {
		if rest, ok := strings.CutPrefix(name, "git/"); ok {
			repo, rest, _ := strings.Cut(rest, "@")
			commit, file, _ := strings.Cut(rest, "/")
			url := "https://" + repo
			if w.git[url] == nil {
				w.git[url] = map[string]resolvertest.Tree{}
			}
			tree, ok := w.git[url][commit]
			if !ok {
				tree = resolvertest.Tree{Files: map[string]string{}, Refs: []string{"HEAD"}}
			}
			tree.Files[file] = string(content)
			w.git[url][commit] = tree
			continue
		}
		host, rest, _ := strings.Cut(name, "/")
		w.hosts[host] = w.serve(host, plain)
		folder, file, _ := strings.Cut(rest, "/")
		if folder == "index" {
			plain[name] = content
			continue
		}
		if files[host+"/"+folder] == nil {
			files[host+"/"+folder] = map[string]string{}
		}
		files[host+"/"+folder][folder+"/"+file] = string(content)
	}
	for name, content := range files {
		w.crates[name] = pack(t, content)
	}
	return w
}

var download = regexp.MustCompile(`/([^/]+)/([^/]+)/download$|/([^/]+)\.crate$`)

func (w *world) serve(host string, plain map[string][]byte) http.Handler {
	return http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		content, ok := plain[host+r.URL.Path]
		if m := download.FindStringSubmatch(r.URL.Path); m != nil {
			content, ok = w.crates[host+"/"+strings.Trim(m[1]+"-"+m[2], "-")+m[3]]
		}
		if !ok {
			http.NotFound(out, r)
			return
		}
		out.Write(content)
	})
}

var sumMark = regexp.MustCompile(`SUM:[^"]+`)

func (w *world) sums(t testing.TB, content []byte) []byte {
	return sumMark.ReplaceAllFunc(content, func(mark []byte) []byte {
		crate, ok := w.crates[string(mark[len("SUM:"):])]
		if !ok {
			t.Fatalf("%s: there is no such crate", mark)
		}
		sum := sha256.Sum256(crate)
		return []byte(hex.EncodeToString(sum[:]))
	})
}

// pack makes a crate.
func pack(t testing.TB, files map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		must(t, w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(files[name])), Typeflag: tar.TypeReg}))
		_, err := io.WriteString(w, files[name])
		must(t, err)
	}
	must(t, errors.Join(w.Close(), z.Close()))
	return b.Bytes()
}

// wantFault compares a fault; a text that ends in "…" is a beginning.
func wantFault(t *testing.T, err error, kind fault.Type, want string) {
	t.Helper()
	if err == nil {
		t.Fatalf("got no error, want the client's %s\n%s", kind, want)
	}
	f := fault.From(err)
	begins, cut := strings.CutSuffix(want, "…")
	if f.Origin != fault.OriginClient || f.Type != kind || !cut && f.Message != want || !strings.HasPrefix(f.Message, begins) {
		t.Errorf("got %v (%s %s), want the client's %s\n%s", err, f.Origin, f.Type, kind, want)
	}
}

func sha(content []byte) []byte {
	sum := sha256.Sum256(content)
	return sum[:]
}

// dead is a git server whose disk is full.
type dead struct{ resolver.Repositories }

var errDead = errors.New("no space left on device")

func (dead) CheckOut(context.Context, string, string, *os.Root, ...resolver.CheckOutOption) (resolver.Checkout, error) {
	return resolver.Checkout{}, errDead
}
