package archive

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func link(path, target string) TreeEntry { return TreeEntry{Path: path, Mode: Link, Linkname: target} }

func TestUnsafeLinks(t *testing.T) {
	file := TreeEntry{Path: "dir/file"}
	tests := []struct {
		name    string
		entries []TreeEntry
		want    []string
	}{
		{"S08 link to the root from the root", []TreeEntry{link("l", ".")}, nil},
		{"S08 link to the root from below", []TreeEntry{link("sub/l", "..")}, nil},
		{"S09 link above the root", []TreeEntry{link("l", "..")}, []string{"l"}},
		{"S10 link above the root from below", []TreeEntry{link("sub/l", "../..")}, []string{"sub/l"}},
		{"S10 absolute link at the root", []TreeEntry{link("l", "/")}, []string{"l"}},
		{"S10 absolute link below", []TreeEntry{link("sub/l", "/")}, []string{"sub/l"}},
		{"S11 all are found before any is removed", []TreeEntry{link("a", "b"), link("b", "../x"), link("c", "b/y")}, []string{"a", "b", "c"}},
		{"S12 dangling inside", []TreeEntry{link("l", "missing/x")}, nil},
		{"S12 loop", []TreeEntry{link("a", "b"), link("b", "a")}, nil},
		{"loop of itself", []TreeEntry{link("a", "a")}, nil},
		{"into a loop", []TreeEntry{link("a", "b"), link("b", "a/../.."), link("c", "a/x")}, nil},
		{"chain that ends inside", []TreeEntry{link("a", "b"), link("b", "dir/file"), file}, nil},
		{"through a file", []TreeEntry{link("l", "dir/file/x"), file}, nil},
		{"dot dot from the real place leaves", []TreeEntry{link("p/q/x", "../../z"), link("p/q/l", "x/../..")}, []string{"p/q/l"}},
		{"dot dot from the real place stays", []TreeEntry{link("x", "p/q/r"), link("l", "x/../../..")}, nil},
		{"dot dot of the text would stay", []TreeEntry{link("x", "."), link("l", "x/..")}, []string{"l"}},
		{"leaves and comes back", []TreeEntry{link("l", "../app/dir")}, []string{"l"}},
		{"dangling and then up", []TreeEntry{link("l", "missing/../..")}, []string{"l"}},
		{"slashes and dots", []TreeEntry{link("a/b/l", ".//..//./../.")}, nil},
		{"in .git too", []TreeEntry{link(".git/l", "../..")}, []string{".git/l"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, UnsafeLinks(tt.entries)); diff != "" {
				t.Errorf("unsafe links (-want +got):\n%s", diff)
			}
		})
	}
}

func TestUnsafeLinksOfLongChains(t *testing.T) {
	// Chains are followed once, whatever their number; the endless ones are refused.
	var entries []TreeEntry
	for i := range 20000 {
		entries = append(entries, link(fmt.Sprintf("l%05d", i), fmt.Sprintf("l%05d", i+1)))
	}
	for range 3 {
		for _, unsafe := range UnsafeLinks(entries) {
			if !strings.HasPrefix(unsafe, "l") {
				t.Fatalf("unknown link %q", unsafe)
			}
		}
	}
	entries = append(entries, link("l20000", "../out"))
	if got, want := len(UnsafeLinks(entries)), 20001; got != want {
		t.Errorf("a chain of %d links that leaves: %d are unsafe", want, got)
	}
}

// The kernel must agree: what it resolves from a link that is called safe lies in the tree.
func TestUnsafeLinksAgreeWithTheFileSystem(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	elements := []string{"..", ".", "a", "b", "c", "d", "l1", "l2", "l3", "l4"}
	places := []string{"l1", "a/l1", "a/b/l2", "l2", "c/l3", "c/d/l4", "a/b/l1", "l4"}
	leaving, staying := 0, 0
	for range 150 {
		// The tree's own name is not among the elements: nothing comes back into it.
		root := filepath.Join(t.TempDir(), "outer", "tree")
		for _, dir := range []string{"a/b", "c/d", "../a/b", "../c/d"} {
			if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		var entries []TreeEntry
		for _, place := range places {
			parts := make([]string, 1+r.IntN(4))
			for i := range parts {
				parts[i] = elements[r.IntN(len(elements))]
			}
			e := link(place, strings.Join(parts, "/"))
			if err := os.Symlink(e.Linkname, filepath.Join(root, place)); err != nil {
				t.Fatal(err)
			}
			entries = append(entries, e)
		}
		unsafe := map[string]bool{}
		for _, l := range UnsafeLinks(entries) {
			unsafe[l] = true
		}
		for _, e := range entries {
			real, err := filepath.EvalSymlinks(filepath.Join(root, e.Path))
			if err != nil {
				continue // dangling or a loop: leads nowhere
			}
			outside := real != root && !strings.HasPrefix(real, root+"/")
			if outside != unsafe[e.Path] {
				t.Errorf("%s of %v resolves to %s (tree %s), unsafe is %v", e.Path, entries, real, root, unsafe[e.Path])
			}
			if outside {
				leaving++
			} else {
				staying++
			}
		}
	}
	if leaving < 20 || staying < 20 {
		t.Fatalf("only %d links that leave and %d that stay: the test shows nothing", leaving, staying)
	}
}
