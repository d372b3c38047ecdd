package dir

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/blob"
)

func openFolder(t testing.TB, opts ...Option) *Blob {
	t.Helper()
	b, err := Open(filepath.Join(t.TempDir(), "blobs"), opts...)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func listKeys(t testing.TB, b *Blob, prefix string) []string {
	t.Helper()
	var keys []string
	for info, err := range b.List(t.Context(), prefix) {
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, info.Key)
	}
	return keys
}

// TestListOrder puts names around the length at which they are cut beside each other, because the rest
// of a cut name lies one folder deeper than its neighbours in the order.
func TestListOrder(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	tails := []string{"", "a", "az", "A", ".", "-", "/x", "a/x", "az/x", "é", "~", "!", "%", "é/é", "0/.x"}
	b := openFolder(t)
	var keys []string
	for _, n := range []int{1, 253, 254, 255, 256, 509} {
		for _, filler := range []string{"p", "Q"} {
			for _, tail := range tails {
				key := strings.Repeat(filler, n) + tail
				if !slices.Contains(keys, key) {
					keys = append(keys, key)
				}
			}
		}
	}
	shuffled := slices.Clone(keys)
	random.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	for _, key := range shuffled {
		if err := b.Put(t.Context(), key, []byte(key), false); err != nil {
			t.Fatalf("putting a key of %d bytes: %v", len(key), err)
		}
	}
	slices.Sort(keys)
	if diff := cmp.Diff(keys, listKeys(t, b, "")); diff != "" {
		t.Errorf("keys (-want +got):\n%.2000s", diff)
	}
	for i, key := range keys {
		for _, n := range []int{len(key), len(key) - 1, len(key) / 2} {
			if i%5 != 0 {
				continue // every pair would take a minute under the race detector
			}
			prefix := key[:n]
			var want []string
			for _, k := range keys {
				if strings.HasPrefix(k, prefix) {
					want = append(want, k)
				}
			}
			if diff := cmp.Diff(want, listKeys(t, b, prefix)); diff != "" {
				t.Fatalf("prefix of %d bytes (-want +got):\n%.2000s", n, diff)
			}
		}
		got, err := b.Get(t.Context(), key, blob.MaxKeyBytes)
		if err != nil || string(got) != key {
			t.Fatalf("a key of %d bytes: got %d bytes, %v", len(key), len(got), err)
		}
	}
	if err := b.Delete(t.Context(), keys...); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(b.objects); err != nil || len(left) != 0 {
		t.Errorf("left after deleting everything: %v, %v", left, err)
	}
}

func TestListPrefixOfNoKey(t *testing.T) {
	b := openFolder(t)
	if err := b.Put(t.Context(), "a/b", nil, false); err != nil {
		t.Fatal(err)
	}
	for _, prefix := range []string{"/", "../", "a/../a/", "a//", "a/b/", "b/", "\x00/"} {
		if got := listKeys(t, b, prefix); len(got) != 0 {
			t.Errorf("List(%q): got %q, want nothing", prefix, got)
		}
	}
}

// TestListReadsOnlyItsFolder: a folder beside the prefix's that cannot be read is not looked at.
func TestListReadsOnlyItsFolder(t *testing.T) {
	b := openFolder(t)
	for _, key := range []string{"logs/1/a", "logs/2/b"} {
		if err := b.Put(t.Context(), key, nil, false); err != nil {
			t.Fatal(err)
		}
	}
	// A file where the other request's folder was: reading it as a folder is an error.
	other := filepath.Join(b.objects, "logs", "1")
	if err := os.RemoveAll(other); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("nowhere", other); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"logs/2/b"}, listKeys(t, b, "logs/2/")); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
}

func BenchmarkListPrefix(b *testing.B) {
	store := openFolder(b)
	const requests = 20_000
	logs := filepath.Join(store.objects, "logs")
	for i := range requests {
		if err := os.MkdirAll(filepath.Join(logs, fmt.Sprint(i)), 0o700); err != nil {
			b.Fatal(err)
		}
	}
	if err := store.Put(b.Context(), "logs/7/piece", []byte("x"), false); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if n := len(listKeys(b, store, "logs/7/")); n != 1 {
			b.Fatalf("got %d keys, want 1", n)
		}
	}
}

// TestPublishWhileFoldersVanish: Delete removes folders that become empty, while others put objects into
// them.
func TestPublishWhileFoldersVanish(t *testing.T) {
	b := openFolder(t)
	done := make(chan error)
	const workers, rounds = 4, 40
	for w := range workers {
		go func() {
			for i := range rounds {
				key := fmt.Sprintf("d/e/f/%d", w)
				err := b.Put(t.Context(), key, []byte{byte(i)}, false)
				if err == nil {
					_, err = b.Stat(t.Context(), key)
				}
				if err == nil {
					err = b.Delete(t.Context(), key)
				}
				if err != nil {
					done <- fmt.Errorf("round %d: %w", i, err)
					return
				}
			}
			done <- nil
		}()
	}
	for range workers {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if got := listKeys(t, b, ""); len(got) != 0 {
		t.Errorf("left: %q", got)
	}
	if left, err := os.ReadDir(b.tmp); err != nil || len(left) != 0 {
		t.Errorf("temporary files left: %v, %v", left, err)
	}
}
