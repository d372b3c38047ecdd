package gittree

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/resolver"
	"github.com/cachito-serverless/cachito/shared/resolver/resolvertest"
)

const (
	url    = "https://git.example/r"
	commit = "58c88e4952e95935c0dd72d4a24b0c44f2249f5b"
)

func input(t *testing.T) resolver.Input {
	t.Helper()
	scratch, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { scratch.Close() })
	return resolver.Input{
		Scratch: scratch, Fetcher: resolvertest.NewFetcher(t, map[string]http.Handler{}),
		Git: resolvertest.Repositories{url: {commit: {
			Files: map[string]string{"a": "first", "b/c": "second", "b/empty": "", "d": "#!run"}, Links: map[string]string{"l": "b/c"}, Executables: []string{"d"},
		}}},
	}
}

func TestStore(t *testing.T) {
	in := input(t)
	root, _, done, err := CheckOut(t.Context(), in, url, commit, "one", "what for")
	if err != nil {
		t.Fatal(err)
	}
	if err := root.Mkdir("nothing", 0o755); err != nil {
		t.Fatal(err)
	}
	entries, err := List(root, 10)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("a\nb/c\nb/empty\nd (executable)\nl -> b/c\nnothing/\n", resolvertest.Entries(entries)); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
	blobs, err := Store(t.Context(), in.Fetcher, root, entries)
	if err != nil {
		t.Fatal(err)
	}
	f, err := in.Fetcher.Open(t.Context(), entries[0].Part.Of)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	got := make([]byte, entries[1].Part.Size)
	if _, err := f.ReadAt(got, entries[1].Part.Offset); err != nil || string(got) != "second" {
		t.Errorf("b/c is %q, %v", got, err)
	}
	// printf second | git hash-object --stdin
	if got, want := fmt.Sprintf("%x", blobs["b/c"]), "2147e418895119ab132ef3a44c8b16a4a6ce1b77"; got != want {
		t.Errorf("git's name of b/c is %s, want %s", got, want)
	}
	done()
	if _, err := in.Scratch.Stat("one"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the tree is still there (%v)", err)
	}
}

func TestListIsBounded(t *testing.T) {
	root, _, done, err := CheckOut(t.Context(), input(t), url, commit, "one", "")
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	if _, err := List(root, 4); !errors.Is(err, ErrTooManyFiles) {
		t.Errorf("got %v, want %v", err, ErrTooManyFiles)
	}
}

func TestCheckOutNamesTheDependency(t *testing.T) {
	in := input(t)
	_, _, _, err := CheckOut(t.Context(), in, "https://git.example/other", commit, "one", "the dependency x")
	if f := fault.From(err); f.Origin != fault.OriginClient || f.Message != "Failed cloning the Git repository (the dependency x)" {
		t.Errorf("got %v", err)
	}
	if _, err := in.Scratch.Stat("one"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder is still there (%v)", err)
	}
}
