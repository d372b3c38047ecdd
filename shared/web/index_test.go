package web

import (
	"fmt"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/packages"
)

func indexed(t *testing.T, list []packages.Package) *index {
	t.Helper()
	making := &indexer{seen: map[identity]int32{}}
	for _, p := range list {
		if err := making.add(p); err != nil {
			t.Fatal(err)
		}
	}
	return making.finish()
}

func v(s string) *string { return &s }

// TestIndex: the dependencies are the API's, in its order, and every package knows its own.
func TestIndex(t *testing.T) {
	yes, no := true, false
	list := []packages.Package{
		{Name: "b", Type: "npm", Version: v("1"), Dependencies: []packages.Dependency{
			{Name: "z", Type: "npm", Version: v("2"), Dev: &no},
			{Name: "a", Type: "npm", Version: v("2"), Dev: &yes},
			{Name: "a", Type: "npm", Version: v("2"), Dev: &no},
			{Name: "z", Type: "npm", Version: v("2"), Dev: &no},
		}},
		{Name: "empty", Type: "npm"},
		{Name: "a", Type: "gomod", Path: "sub", Dependencies: []packages.Dependency{
			{Name: "std", Type: "go-package"}, {Name: "std", Type: "go-package", Version: v("")}, {Name: "z", Type: "npm", Version: v("2")},
		}},
	}
	in := indexed(t, list)
	if diff := cmp.Diff(packages.MergeDependencies(list), in.dependencies); diff != "" {
		t.Errorf("dependencies (-API +index):\n%s", diff)
	}
	got := map[string][]string{}
	users := map[string]int32{}
	for i, d := range in.dependencies {
		name := fmt.Sprint(d.Name, " ", packages.Deref(d.Version), " ", d.Version != nil, " ", d.Dev != nil && *d.Dev)
		users[name] = in.users[i]
		for _, p := range in.packages {
			for _, at := range p.needs {
				if int(at) == i {
					got[p.Name] = append(got[p.Name], name)
				}
			}
		}
	}
	if diff := cmp.Diff(map[string][]string{
		"b": {"a 2 true false", "z 2 true false", "a 2 true true"},
		"a": {"std  false false", "std  true false", "z 2 true false"},
	}, got); diff != "" {
		t.Errorf("needs (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]int32{"a 2 true false": 1, "a 2 true true": 1, "std  false false": 1, "std  true false": 1, "z 2 true false": 2}, users); diff != "" {
		t.Errorf("users (-want +got):\n%s", diff)
	}
}

func TestFound(t *testing.T) {
	for q, want := range map[string]bool{
		"": true, "babel": true, "CORE 7.26": true, "npm web": true, "babel/core": true, "core7.26": false, "yarn": false, "babel yarn": false, "  \t": true,
	} {
		if got := found(words(q), "@babel/Core", "7.26.0", "npm", "packages/web"); got != want {
			t.Errorf("%q: got %v, want %v", q, got, want)
		}
	}
}

// manyPackages are n dependencies of one package.
func manyPackages(n int) []packages.Package {
	p := packages.Package{Name: "p", Type: "npm"}
	for i := range n {
		p.Dependencies = append(p.Dependencies, packages.Dependency{Name: "@scope/dependency-" + strconv.Itoa(i), Type: "npm", Version: v("1.2." + strconv.Itoa(i))})
	}
	return []packages.Package{p}
}

// TestIndexCache: what was looked at last is kept, within a bound; what is larger than the bound is not.
func TestIndexCache(t *testing.T) {
	c := newIndexes()
	sized := func(bytes int64) *index { return &index{bytes: bytes} }
	c.put("a", sized(maxCachedBytes/2))
	c.put("b", sized(maxCachedBytes/2))
	if c.get("a") == nil || c.get("b") == nil || c.get("a") == nil {
		t.Fatal("two halves do not fit")
	}
	c.put("c", sized(1)) // b was used before a
	if c.get("b") != nil || c.get("a") == nil || c.get("c") == nil {
		t.Error("not the one that was used least recently went")
	}
	c.put("d", sized(maxCachedBytes+1))
	if c.get("d") != nil || c.get("a") == nil {
		t.Error("one that is too large is kept, or pushed others out")
	}
	if c.bytes != maxCachedBytes/2+1 || len(c.byKey) != 2 || c.used.Len() != 2 {
		t.Errorf("%d bytes, %d keys, %d in use", c.bytes, len(c.byKey), c.used.Len())
	}
}

// TestIndexOf50000: an index takes what it says, and a search through it takes a moment.
func TestIndexOf50000(t *testing.T) {
	list := manyPackages(50_000)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	in := indexed(t, list)
	runtime.GC()
	runtime.ReadMemStats(&after)
	taken := int64(after.HeapAlloc) - int64(before.HeapAlloc)
	if taken > 3*in.bytes || in.bytes > maxCachedBytes {
		t.Errorf("%d bytes by its own word, %d measured; want it kept (%d)", in.bytes, taken, maxCachedBytes)
	}
	started := time.Now()
	n := 0
	for i := range in.dependencies {
		if in.foundDependency(i, words("dependency-49 1.2")) {
			n++
		}
	}
	if took := time.Since(started); n != 1111 || took > time.Second {
		t.Errorf("found %d in %v, want 1111 at once", n, took)
	}
	t.Logf("%d bytes by its own word, %d measured, searched in %v", in.bytes, taken, time.Since(started))
	runtime.KeepAlive(list)
}
