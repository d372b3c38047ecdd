package pipeline

import (
	"context"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/resolver"
)

const whole = "first|second, longer"

// pieces stores two files as one.
func pieces(ctx context.Context, in resolver.Input) (resolver.Output, error) {
	stored, err := in.Fetcher.Store(ctx, strings.NewReader(whole))
	first := resolver.Part{Of: stored, Size: 5, CRC32: crc32.ChecksumIEEE([]byte("first"))}
	second := resolver.Part{Of: stored, Offset: 6, Size: 14, CRC32: crc32.ChecksumIEEE([]byte("second, longer"))}
	return resolver.Output{Deps: []resolver.Entry{
		{Path: "a.txt", Part: &first, Executable: true}, {Path: "b.zip", Part: &second}, {Path: "empty", Part: &resolver.Part{Of: stored, Offset: 6}},
	}}, err
}

// TestParts: files that are pieces of one object of the cache, which heals like any other.
func TestParts(t *testing.T) {
	w := newWorld(t)
	url, ref := w.repository()
	pr := w.start(-1, func(s *Settings, d *Deps) {
		d.Managers = append(d.Managers, resolver.Descriptor{Name: "pieces", Version: "1", New: func(resolver.Settings) (resolver.Resolver, error) {
			return resolverFunc(pieces), nil
		}})
		s.Resolvers["pieces"] = resolver.Settings{}
	})
	defer pr.close()
	first := pr.finish(t, url, ref, nil, "pieces")
	files, _ := pr.unpacked(t, first)
	for name, want := range map[string]string{"deps/a.txt": "first", "deps/b.zip": "second, longer", "deps/empty": ""} {
		if got, ok := files[name]; !ok || got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	for name, damage := range map[string]func(path string) error{
		"gone": os.Remove,
		"truncated": func(path string) error {
			return os.Truncate(path, 10)
		},
		"changed": func(path string) error {
			return os.WriteFile(path, []byte("first|sEcond, longer"), 0o644)
		},
	} {
		t.Run(name, func(t *testing.T) {
			damaged := 0
			err := filepath.WalkDir(filepath.Join(w.data, "blobs"), func(path string, d os.DirEntry, err error) error {
				if err != nil || d.IsDir() {
					return err
				}
				if raw, err := os.ReadFile(path); err != nil || string(raw) != whole {
					return err
				}
				damaged++
				return damage(path)
			})
			if err != nil || damaged != 1 {
				t.Fatalf("damaged %d objects (%v), want 1", damaged, err)
			}
			removeMatching(t, w, "bundles")
			again := pr.finish(t, url, ref, nil, "pieces")
			if again.State != request.StateComplete || again.Bundle.SHA256 != first.Bundle.SHA256 {
				t.Errorf("the request is %s (%s), bundle %v, want %s", again.State, again.StateReason, again.Bundle, first.Bundle.SHA256)
			}
		})
	}
}
