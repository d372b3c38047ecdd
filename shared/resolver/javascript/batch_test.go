package javascript

import (
	"context"
	"errors"
	"testing"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/resolver"
)

// urls is a fetcher whose files are named by their URLs.
type urls struct{ resolver.Fetcher }

func (urls) Fetch(_ context.Context, a resolver.Artifact) (resolver.File, error) {
	return resolver.File{SHA256: a.URL}, nil
}

func TestBatch(t *testing.T) {
	var b Batch
	var got [3]string
	for i, url := range []string{"a", "b", "c"} {
		b.Archive(resolver.Artifact{URL: url}, func(_ context.Context, f resolver.File) error {
			got[i] = f.SHA256
			return nil
		})
	}
	if err := b.Fetch(t.Context(), resolver.Input{Fetcher: urls{}}); err != nil || got != [3]string{"a", "b", "c"} {
		t.Errorf("got %v, %v", got, err)
	}
	odd := errors.New("odd")
	b.Archive(resolver.Artifact{URL: "d"}, func(context.Context, resolver.File) error { return odd })
	b.Git(GitSource{}, func(context.Context, PackedGit) error { return errors.New("packed although an archive is odd") }, Gzipped)
	if err := b.Fetch(t.Context(), resolver.Input{Fetcher: urls{}}); !errors.Is(err, odd) {
		t.Errorf("got %v, want %v", err, odd)
	}
}

func TestArchiveVersion(t *testing.T) {
	for version, want := range map[string]string{"1.0.0": "1.0.0", " 1.0.0\n": "1.0.0", "": NoVersion, " ": NoVersion} {
		if got, err := ArchiveVersion("package.json", "a", version); got != want || err != nil {
			t.Errorf("%q: got %q, %v, want %q", version, got, err, want)
		}
	}
	_, err := ArchiveVersion("package.json", "a", "../1")
	checkFault(t, err, fault.InvalidFileFormat, `package.json: "../1" is not a version of a`)
}
