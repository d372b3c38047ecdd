package chaos

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cachito-serverless/cachito/shared/gitrepo/gitrepotest"
)

// Sizes of the projects: small, so that many fit into a few minutes, but for one package that goes to S3 in
// several parts.
const (
	packagesThere = 24
	packagesEach  = 5
	bigBytes      = 6 << 20
	bigEvery      = 6
	slowPackages  = 8
	slowPause     = 4500 * time.Millisecond // so that two come in one run
)

// projects are what is asked for: commits of a repository, and the registry of their npm packages.
type projects struct {
	git      *gitrepotest.Server
	repo     *gitrepotest.Repo
	registry *httptest.Server
	library  string // commit of the submodule
	tarballs map[string][]byte
	random   func(parts ...any) *rand.Rand

	calm atomic.Bool // nothing is slow any more
	slow sync.Mutex  // one slow package at a time

	mu   sync.Mutex
	refs map[string]project
}

// project is one commit, and what a request for it must come to.
type project struct {
	ref      string
	managers []string
	kind     string
}

// Kinds of projects, besides ordinary ones.
const (
	ordinary = ""
	damaged  = "damaged"  // a package is not what its lockfile says
	poisoned = "poisoned" // its resolve step is always killed
	outlived = "outlived" // so is one of two messages for it: the other one does the work
	slow     = "slow"     // needs several runs
	hanging  = "hanging"  // never gets its package
)

func newProjects(t *testing.T, random func(parts ...any) *rand.Rand) *projects {
	t.Helper()
	p := &projects{git: gitrepotest.NewServer(t), tarballs: map[string][]byte{}, random: random, refs: map[string]project{}}
	p.registry = httptest.NewServer(http.HandlerFunc(p.serve))
	t.Cleanup(p.registry.Close)
	for i := range packagesThere {
		p.publish(fmt.Sprintf("dep-%d", i), 2000+700*i)
	}
	p.publish("big", bigBytes)
	p.publish("hanging", 100)
	for i := range slowPackages {
		p.publish(fmt.Sprintf("slow-%d", i), 3000)
	}
	p.library = p.git.Init("o/library").Commit(map[string]string{"library.txt": "library\n"})
	p.repo = p.git.Init("o/app")
	return p
}

// hosts that functions must be let to.
func (p *projects) hosts() string {
	return p.git.Host() + "," + strings.TrimPrefix(p.registry.URL, "http://")
}

// publish puts a package of about so many bytes into the registry, which no compression makes smaller.
func (p *projects) publish(name string, size int) {
	noise := make([]byte, size)
	random := p.random("package", name)
	for i := range noise {
		noise[i] = byte(random.Uint32())
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	t := tar.NewWriter(z)
	for _, f := range []struct{ name, content string }{
		{"package/package.json", fmt.Sprintf(`{"name":%q,"version":"1.0.0"}`, name)}, {"package/noise", string(noise)},
	} {
		if err := t.WriteHeader(&tar.Header{Name: f.name, Mode: 0o644, Size: int64(len(f.content)), Format: tar.FormatPAX}); err != nil {
			panic(err)
		}
		t.Write([]byte(f.content))
	}
	if err := t.Close(); err != nil {
		panic(err)
	}
	if err := z.Close(); err != nil {
		panic(err)
	}
	p.tarballs[name] = b.Bytes()
}

// serve is the registry.
func (p *projects) serve(w http.ResponseWriter, r *http.Request) {
	name, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	content, ok := p.tarballs[name]
	switch {
	case !ok:
		http.NotFound(w, r)
		return
	case name == "hanging":
		<-r.Context().Done()
		return
	case strings.HasPrefix(name, "slow-") && !p.calm.Load():
		p.slow.Lock()
		defer p.slow.Unlock()
		if r.Context().Err() != nil {
			return
		}
		select {
		case <-time.After(slowPause):
		case <-r.Context().Done():
			return
		}
	}
	w.Write(content)
}

// add makes the nth project of a kind.
func (p *projects) add(kind string, nth int) project {
	random := p.random("project", kind, nth)
	var names []string
	for _, i := range random.Perm(packagesThere)[:packagesEach] {
		names = append(names, fmt.Sprintf("dep-%d", i))
	}
	pr := project{kind: kind, managers: []string{"npm"}}
	switch {
	case kind == slow:
		for i := range slowPackages {
			names = append(names, fmt.Sprintf("slow-%d", i))
		}
	case kind == hanging:
		names = append(names, "hanging")
	case kind == damaged, kind == ordinary && nth%bigEvery == 0:
		names = append(names, "big")
	}
	files := map[string]string{
		"package.json":      fmt.Sprintf(`{"name":"app%s","version":"1.%d.0"}`, kind, nth),
		"package-lock.json": p.lockfile(kind, nth, names),
		"source/main.js":    strings.Repeat(fmt.Sprintf("// line of %s %d\n", kind, nth), 40),
	}
	var options []gitrepotest.Option
	if kind == ordinary && nth%2 == 0 {
		files[".gitmodules"] = "[submodule \"library\"]\n\tpath = library\n\turl = ../library.git\n"
		options = append(options, gitrepotest.Gitlink("library", p.library))
		pr.managers = append(pr.managers, "git-submodule")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	pr.ref = p.repo.Commit(files, options...)
	p.repo.Branch(fmt.Sprintf("%s-%d", "kind"+kind, nth), pr.ref)
	p.refs[pr.ref] = pr
	return pr
}

// of is the project of a commit.
func (p *projects) of(ref string) project {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.refs[ref]
}

func (p *projects) lockfile(kind string, nth int, names []string) string {
	packages := map[string]any{}
	needs := map[string]string{}
	for _, name := range names {
		sum := sha512.Sum512(p.tarballs[name])
		if kind == damaged && name == "big" {
			sum[0]++ // of what has gone to S3 in parts, which must be given back
		}
		packages["node_modules/"+name] = map[string]string{
			"version": "1.0.0", "resolved": "https://registry.npmjs.org/" + name + "/-/" + name + "-1.0.0.tgz",
			"integrity": "sha512-" + base64.StdEncoding.EncodeToString(sum[:]),
		}
		needs[name] = "1.0.0"
	}
	packages[""] = map[string]any{"name": "app" + kind, "version": fmt.Sprintf("1.%d.0", nth), "dependencies": needs}
	raw, err := json.MarshalIndent(map[string]any{
		"name": "app" + kind, "version": fmt.Sprintf("1.%d.0", nth), "lockfileVersion": 3, "requires": true, "packages": packages,
	}, "", "  ")
	if err != nil {
		panic(err)
	}
	return string(raw)
}
