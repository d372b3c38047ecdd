package rubygems

import (
	"bytes"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/cachito-serverless/cachito/shared/resolver"
	"github.com/cachito-serverless/cachito/shared/resolver/resolvertest"
	"github.com/cachito-serverless/cachito/shared/resolver/rubygems/rubygemstest"
)

// seedFiles are the files of that name in all scenarios.
func seedFiles(f *testing.F, name string) {
	f.Helper()
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		f.Fatalf("no scenarios (%v)", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		s, err := resolvertest.Parse(data, nil)
		if err != nil {
			f.Fatal(err)
		}
		for n, content := range s.Repo {
			if path.Base(n) == name {
				f.Add(content)
			}
		}
	}
}

var safePath = regexp.MustCompile(`^rubygems/[A-Za-z0-9_~+@-][A-Za-z0-9._~+@-]*(/[A-Za-z0-9._~+@-]+)*$`)

// FuzzLockfile: whatever a lockfile holds, what is made of it stays in its places.
func FuzzLockfile(f *testing.F) {
	seedFiles(f, lockfileName)
	f.Fuzz(func(t *testing.T, data []byte) {
		lock, err := parseLockfile(bytes.NewReader(data))
		if err != nil {
			return
		}
		found, err := lock.check("https://rubygems.org/")
		if err != nil {
			return
		}
		l := newLayout()
		gems := gemSet{}
		for _, g := range found.registry {
			if err := gems.add(g, lockfileName); err != nil {
				t.Fatalf("one lockfile contradicts itself: %v", err)
			}
		}
		for _, g := range gems.sorted() {
			if err := l.addGem(g); err != nil {
				t.Fatalf("%s: %v", g.fileName(), err)
			}
		}
		for _, g := range found.git {
			if strings.Contains(g.version(), " ") || len(g.tree.commit) != 40 {
				t.Fatalf("version %q", g.version())
			}
			if err := l.addTree(g.tree, []resolver.Entry{{Path: "f"}}); err != nil {
				return // the same tree twice, which Resolve fetches once
			}
		}
		entries, err := l.sorted()
		if err != nil {
			return
		}
		for _, e := range entries {
			if path.Clean(e.Path) != e.Path || e.Path != depsFolder && !safePath.MatchString(e.Path) {
				t.Fatalf("path %q", e.Path)
			}
			if e.Link != "" && !strings.HasPrefix(path.Join(path.Dir(e.Path), e.Link), depsFolder+"/") {
				t.Fatalf("link %q -> %q", e.Path, e.Link)
			}
		}
		for _, g := range found.local {
			if v := g.version(); !strings.HasPrefix(v, "./") && !strings.HasPrefix(v, "..") {
				if !path.IsAbs(g.path) {
					t.Fatalf("version %q of %q", v, g.path)
				}
			}
		}
	})
}

// FuzzMetadata: a gem is read or refused, in little memory and time.
func FuzzMetadata(f *testing.F) {
	f.Add(rubygemstest.Gem{Name: "a", Version: "1.0", Needs: []string{"b"}}.Build())
	f.Add(twice(f))
	f.Add(gemWith("name: &a b\nversion: *a\nplatform: {cpu: x}\n"))
	f.Add([]byte("<html>"))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := readMetadata(bytes.NewReader(data))
		if err == nil && (m.name == "" || m.version == "" || m.platform == "") {
			t.Fatalf("got %+v without an error", m)
		}
	})
}

// FuzzYAML is FuzzMetadata without the archive around it.
func FuzzYAML(f *testing.F) {
	f.Add([]byte(rubygemstest.Gem{Name: "a", Version: "1.0"}.Metadata()))
	f.Add([]byte("name: &a b\nversion: *a\nplatform: !x {cpu: x}\n"))
	f.Add([]byte("version: !ruby/object:Gem::Version \n  hash: 23\n  version: \"1.0\"\nname: |\n  x\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := parseMetadata(bytes.NewReader(rubygemstest.Gzip(data)))
		if err == nil && (m.name == "" || m.version == "" || m.platform == "") {
			t.Fatalf("got %+v without an error", m)
		}
	})
}

// FuzzMergeConfig: our settings are the last lines, and merging again changes nothing.
func FuzzMergeConfig(f *testing.F) {
	seedFiles(f, "config")
	f.Add([]byte("---\r\nBUNDLE_PATH: \"x\"\r\nBUNDLE_FROZEN:\r\n- a\r\n  b"))
	ours := settingsFor("a/b")
	tail, _ := mergeConfig(nil, ours, nil)
	tail = bytes.TrimPrefix(tail, []byte("---\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		once, _ := mergeConfig(data, ours, map[string]bool{"BUNDLE_LOCAL__X": true})
		if !bytes.HasSuffix(once, tail) {
			t.Fatalf("ours are not last:\n%s", once)
		}
		twice, dropped := mergeConfig(once, ours, map[string]bool{"BUNDLE_LOCAL__X": true})
		if !bytes.Equal(once, twice) || len(dropped) > 0 {
			t.Fatalf("merged again:\n%q\nbefore:\n%q", twice, once)
		}
	})
}
