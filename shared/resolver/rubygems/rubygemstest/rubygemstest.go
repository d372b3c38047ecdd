// Package rubygemstest makes gems, and serves them as a registry does, for tests. No ruby is needed.
package rubygemstest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"maps"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"
)

// Gem describes a gem to be made.
type Gem struct {
	Name, Version string
	// Platform is "ruby" when empty.
	Platform string
	// Needs are names of gems that it needs, in any version.
	Needs []string
	// Extensions are scripts that build it, "ext/x/extconf.rb".
	Extensions []string
	// Files of the gem: its own content is below lib/.
	Files map[string]string
}

// FileName is what the gem's file is called: name-version.gem, or name-version-platform.gem.
func (g Gem) FileName() string {
	if g.platform() != "ruby" {
		return g.Name + "-" + g.Version + "-" + g.Platform + ".gem"
	}
	return g.Name + "-" + g.Version + ".gem"
}

func (g Gem) platform() string {
	if g.Platform == "" {
		return "ruby"
	}
	return g.Platform
}

// version in YAML: one that looks like a number is quoted.
func (g Gem) version() string {
	if strings.Count(g.Version, ".") < 2 {
		return "'" + g.Version + "'"
	}
	return g.Version
}

// Metadata is the YAML of the gem's specification, as `gem build` of RubyGems 3.3 writes it.
func (g Gem) Metadata() string {
	var b strings.Builder
	fmt.Fprintf(&b, "--- !ruby/object:Gem::Specification\nname: %s\nversion: !ruby/object:Gem::Version\n  version: %s\nplatform: %s\n", g.Name, g.version(), g.platform())
	b.WriteString("authors:\n- Test Author\nautorequire:\nbindir: bin\ncert_chain: []\ndate: 2024-01-02 00:00:00.000000000 Z\n")
	if len(g.Needs) == 0 {
		b.WriteString("dependencies: []\n")
	} else {
		b.WriteString("dependencies:\n")
	}
	for _, n := range g.Needs {
		fmt.Fprintf(&b, "- !ruby/object:Gem::Dependency\n  name: %s\n  requirement: %s  type: :runtime\n  prerelease: false\n  version_requirements: %s",
			n, anyVersion("  "), anyVersion("  "))
	}
	b.WriteString("description:\nemail:\nexecutables: []\n")
	list(&b, "extensions", g.Extensions)
	b.WriteString("extra_rdoc_files: []\n")
	list(&b, "files", slices.Sorted(maps.Keys(g.Files)))
	b.WriteString("homepage:\nlicenses: []\nmetadata: {}\npost_install_message:\nrdoc_options: []\nrequire_paths:\n- lib\n")
	fmt.Fprintf(&b, "required_ruby_version: %srequired_rubygems_version: %s", anyVersion(""), anyVersion(""))
	b.WriteString("requirements: []\nrubygems_version: 3.3.15\nsigning_key:\nspecification_version: 4\nsummary: For tests\ntest_files: []\n")
	return b.String()
}

// anyVersion is the YAML of a requirement ">= 0".
func anyVersion(indent string) string {
	return strings.ReplaceAll("!ruby/object:Gem::Requirement\n+  requirements:\n+  - - \">=\"\n+    - !ruby/object:Gem::Version\n+      version: '0'\n", "+", indent)
}

func list(b *strings.Builder, key string, items []string) {
	if len(items) == 0 {
		fmt.Fprintf(b, "%s: []\n", key)
		return
	}
	fmt.Fprintf(b, "%s:\n", key)
	for _, item := range items {
		fmt.Fprintf(b, "- %s\n", item)
	}
}

// Build makes the gem's file.
func (g Gem) Build() []byte {
	return Archive(File{"metadata.gz", Gzip([]byte(g.Metadata()))}, File{"data.tar.gz", Gzip(g.data())})
}

func (g Gem) data() []byte {
	var files []File
	for _, name := range slices.Sorted(maps.Keys(g.Files)) {
		files = append(files, File{name, []byte(g.Files[name])})
	}
	return Archive(files...)
}

// File of an archive.
type File struct {
	Name    string
	Content []byte
}

// Archive makes a tar.
func Archive(files ...File) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range files {
		must(w.WriteHeader(&tar.Header{Name: f.Name, Mode: 0o644, Size: int64(len(f.Content)), Format: tar.FormatUSTAR}))
		_, err := w.Write(f.Content)
		must(err)
	}
	must(w.Close())
	return b.Bytes()
}

// Gzip compresses.
func Gzip(content []byte) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err := z.Write(content)
	must(err)
	must(z.Close())
	return b.Bytes()
}

func must(err error) {
	if err != nil {
		panic("rubygemstest: " + err.Error())
	}
}

// Registry serves gems at /gems/<file>. It is a fixture: set it up before it serves.
type Registry struct {
	files map[string][]byte

	mu    sync.Mutex
	asked []string
}

// NewRegistry serves these gems.
func NewRegistry(gems ...Gem) *Registry {
	r := &Registry{files: map[string][]byte{}}
	for _, g := range gems {
		r.Set(g.FileName(), g.Build())
	}
	return r
}

// Set serves content in place of a gem's file.
func (r *Registry) Set(name string, content []byte) { r.files[name] = content }

// File is the content of a gem's file; nil when there is none.
func (r *Registry) File(name string) []byte { return r.files[name] }

// Asked are the paths that were asked for so far.
func (r *Registry) Asked() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.asked)
}

// ServeHTTP implements http.Handler.
func (r *Registry) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	r.asked = append(r.asked, req.URL.Path)
	r.mu.Unlock()
	content, ok := r.files[path.Base(req.URL.Path)]
	if !ok || path.Dir(req.URL.Path) != "/gems" {
		http.NotFound(w, req)
		return
	}
	w.Write(content)
}
