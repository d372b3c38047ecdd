package pip

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"maps"
	"net/http"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/cachito-serverless/cachito/shared/resolver"
	"github.com/cachito-serverless/cachito/shared/resolver/pip/pep508"
	"github.com/cachito-serverless/cachito/shared/resolver/resolvertest"
)

// Hosts of the scenarios.
const (
	indexHost = "pypi.example"
	filesHost = "files.pypi.example"
)

// index is a package index made of files in memory.
type index struct {
	// files by name, in the order of the pages.
	names []string
	files map[string][]byte
	about map[string]about
	// asHTML: it speaks PEP 503 only.
	asHTML bool
	// status of pages, by project, instead of 200.
	status map[string]int
}

// about says what a page says of a file, besides its name and digest.
type about struct {
	Yanked         any    `json:"yanked"`
	RequiresPython string `json:"requires_python"`
	// Digest is what the page says instead of the right one: "none", or "sha256:..".
	Digest string `json:"digest"`
}

func newIndex() *index {
	return &index{files: map[string][]byte{}, about: map[string]about{}, status: map[string]int{}}
}

func (x *index) add(name string, content []byte) {
	x.names = append(x.names, name)
	x.files[name] = content
}

func digest(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// projectOf guesses a file's project: what stands before the first dash with a digit behind it.
func projectOf(file string) string {
	return pep508.Canonical(regexp.MustCompile(`-[0-9].*$`).ReplaceAllString(file, ""))
}

func (x *index) hashes(name string) map[string]string {
	switch d := x.about[name].Digest; {
	case d == "none":
		return map[string]string{}
	case d != "":
		algorithm, sum, _ := strings.Cut(d, ":")
		return map[string]string{algorithm: sum}
	}
	return map[string]string{"sha256": digest(x.files[name])}
}

// ServeHTTP serves /simple/<project>/, and the files that its HTML names.
func (x *index) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/files/") {
		x.static(w, r)
		return
	}
	project := path.Base(r.URL.Path)
	if status := x.status[project]; status != 0 {
		w.WriteHeader(status)
		return
	}
	var mine []string
	for _, name := range x.names {
		if projectOf(name) == project {
			mine = append(mine, name)
		}
	}
	if len(mine) == 0 {
		http.NotFound(w, r)
		return
	}
	if x.asHTML {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(w, "<!DOCTYPE html><html><body><h1>Links</h1>")
		for _, name := range mine {
			fragment := ""
			for algorithm, sum := range x.hashes(name) {
				fragment = "#" + algorithm + "=" + sum
			}
			more := ""
			if a := x.about[name]; a.Yanked != nil && a.Yanked != false {
				more += ` data-yanked="` + html.EscapeString(fmt.Sprint(a.Yanked)) + `"`
			}
			if a := x.about[name]; a.RequiresPython != "" {
				more += ` data-requires-python="` + html.EscapeString(a.RequiresPython) + `"`
			}
			fmt.Fprintf(w, `<a href="../../files/%s%s"%s>%s</a><br/>`, html.EscapeString(name), fragment, more, name)
		}
		fmt.Fprint(w, "</body></html>")
		return
	}
	w.Header().Set("Content-Type", "application/vnd.pypi.simple.v1+json")
	page := map[string]any{"meta": map[string]any{"api-version": "1.1"}, "name": project}
	var files []map[string]any
	for _, name := range mine {
		f := map[string]any{"filename": name, "url": "https://" + filesHost + "/" + name, "hashes": x.hashes(name), "size": len(x.files[name])}
		if a := x.about[name]; a.Yanked != nil {
			f["yanked"] = a.Yanked
		}
		if a := x.about[name]; a.RequiresPython != "" {
			f["requires-python"] = a.RequiresPython
		}
		files = append(files, f)
	}
	page["files"] = files
	json.NewEncoder(w).Encode(page)
}

// static serves the files by the last element of their path.
func (x *index) static(w http.ResponseWriter, r *http.Request) {
	content, ok := x.files[path.Base(r.URL.Path)]
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Write(content)
}

// hosts are what the index's files are reached by.
func (x *index) hosts() map[string]http.Handler {
	return map[string]http.Handler{indexHost: x, filesHost: http.HandlerFunc(x.static)}
}

// pack makes an archive by the ending of its name; files of tars and zips lie in a folder of its stem, those
// of wheels do not.
func pack(t testing.TB, name string, files map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	folder := ""
	for _, ext := range sdistExtensions {
		if stem, ok := strings.CutSuffix(name, ext); ok {
			folder = stem + "/"
			break
		}
	}
	sorted := slices.Sorted(maps.Keys(files))
	if strings.HasSuffix(name, ".zip") || strings.HasSuffix(name, wheelExtension) {
		z := zip.NewWriter(&b)
		for _, file := range sorted {
			w, err := z.Create(folder + file)
			must(t, err)
			_, err = io.WriteString(w, files[file])
			must(t, err)
		}
		must(t, z.Close())
		return b.Bytes()
	}
	var out io.Writer = &b
	var compressor *gzip.Writer
	if strings.HasSuffix(name, ".gz") {
		compressor = gzip.NewWriter(&b)
		out = compressor
	}
	w := tar.NewWriter(out)
	for _, file := range sorted {
		must(t, w.WriteHeader(&tar.Header{Name: folder + file, Mode: 0o644, Size: int64(len(files[file]))}))
		_, err := io.WriteString(w, files[file])
		must(t, err)
	}
	must(t, w.Close())
	if compressor != nil {
		must(t, compressor.Close())
	}
	return b.Bytes()
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// sdist is a small source distribution with its metadata.
func sdist(t testing.TB, file, name, version string) []byte {
	t.Helper()
	return pack(t, file, map[string]string{
		"PKG-INFO": "Metadata-Version: 1.1\nName: " + name + "\nVersion: " + version + "\n\ndescription\n",
		"setup.py": "from setuptools import setup\nsetup(name='" + name + "', version='" + version + "')\n",
	})
}

// wheelFile is a small wheel with its metadata.
func wheelFile(t testing.TB, file, name, version string) []byte {
	t.Helper()
	folder := strings.Join(strings.Split(file, "-")[:2], "-") + ".dist-info/"
	return pack(t, file, map[string]string{
		folder + "METADATA": "Metadata-Version: 2.1\nName: " + name + "\nVersion: " + version + "\n",
		folder + "WHEEL":    "Wheel-Version: 1.0\n",
	})
}

// world is a scenario with the network around it. Its registry/ folder holds
//
//	registry/NAME-1.0.tar.gz/FILE     a file of the index, from its content; without content: "registry/NAME-1.0.tar.gz"
//	registry/about.json               {"NAME-1.0.tar.gz": {"yanked": true}}
//	registry/url/HOST/NAME.zip/FILE   a file at https://HOST/NAME.zip
//	registry/git/HOST/PATH@REF/FILE   a repository at https://HOST/PATH, for anyone and for u:p
//
// In the repository and in what is wanted, {sha256:NAME} is a file's digest.
type world struct {
	index *index
	hosts map[string]http.Handler
}

var archiveName = regexp.MustCompile(`^(.*?\.(?:tar\.gz|tar\.bz2|tar\.xz|tar\.Z|tar|zip|whl|egg))(?:/(.*))?$`)

func newWorld(t testing.TB, s *resolvertest.Scenario) *world {
	t.Helper()
	w := &world{index: newIndex()}
	contents := map[string]map[string]string{}
	git := resolvertest.Repositories{}
	for name, data := range s.Registry {
		if rest, ok := strings.CutPrefix(name, "git/"); ok {
			repo, file, _ := strings.Cut(rest, "@")
			commit, file, _ := strings.Cut(file, "/")
			address := "https://" + repo
			if git[address] == nil {
				git[address] = map[string]resolvertest.Tree{}
			}
			tree := git[address][commit]
			if tree.Files == nil {
				tree.Files = map[string]string{}
			}
			tree.Files[file] = string(data)
			git[address][commit] = tree
			git["https://u:p@"+repo] = git[address]
			continue
		}
		m := archiveName.FindStringSubmatch(name)
		if m == nil {
			continue
		}
		if contents[m[1]] == nil {
			contents[m[1]] = map[string]string{}
		}
		if m[2] != "" {
			contents[m[1]][m[2]] = string(data)
		}
	}
	s.Git = git
	w.hosts = w.index.hosts()
	for _, name := range slices.Sorted(maps.Keys(contents)) {
		file := path.Base(name)
		content := pack(t, file, contents[name])
		if len(contents[name]) == 0 {
			content = plainDistribution(t, file)
		}
		if rest, ok := strings.CutPrefix(name, "url/"); ok {
			host, _, _ := strings.Cut(rest, "/")
			w.hosts[host] = http.HandlerFunc(w.index.static)
			w.index.files[file] = content
			continue
		}
		w.index.add(file, content)
	}
	if raw := s.Registry["about.json"]; raw != nil {
		must(t, json.Unmarshal(raw, &w.index.about))
	}
	_, w.index.asHTML = s.Registry["html"]
	expand := func(files map[string][]byte) map[string][]byte {
		out := map[string][]byte{}
		for name, data := range files {
			out[name] = digestPattern.ReplaceAllFunc(data, func(m []byte) []byte {
				file := string(digestPattern.FindSubmatch(m)[1])
				if w.index.files[file] == nil {
					t.Fatalf("%s: there is no file %s", name, file)
				}
				return []byte(digest(w.index.files[file]))
			})
		}
		return out
	}
	s.Repo, s.Want = expand(s.Repo), expand(s.Want)
	return w
}

var digestPattern = regexp.MustCompile(`\{sha256:([^}]+)\}`)

func plainDistribution(t testing.TB, file string) []byte {
	t.Helper()
	if w, ok := parseWheel(file); ok {
		return wheelFile(t, file, w.name, w.version)
	}
	stem := file
	for _, ext := range append(slices.Clone(sdistExtensions), ".egg") {
		stem = strings.TrimSuffix(stem, ext)
	}
	at := strings.LastIndexByte(stem, '-')
	return sdist(t, file, stem[:max(at, 0)], stem[at+1:])
}

func (w *world) fetcher(t testing.TB) *resolvertest.Fetcher {
	t.Helper()
	return resolvertest.NewFetcher(t, w.hosts)
}

func newResolver(t testing.TB, extra map[string]string) resolver.Resolver {
	t.Helper()
	values := map[string]string{"index_url": "https://" + indexHost + "/simple/"}
	maps.Copy(values, extra)
	r, err := New(resolver.Settings{Values: values})
	must(t, err)
	return r
}
