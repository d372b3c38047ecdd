package pipeline

import (
	"fmt"
	"io"
	"testing"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/resolver"
)

// TestCheckedArtifact: what a resolver does not want is not remembered as what the URL holds, and what is in the cache is
// looked at as well.
func TestCheckedArtifact(t *testing.T) {
	w := newWorld(t)
	pr := w.start(-1)
	defer pr.close()
	wanted := "the file"
	artifact := resolver.Artifact{URL: w.registry.URL + "/file", Check: func(content io.ReaderAt, size int64) error {
		text, err := io.ReadAll(io.NewSectionReader(content, 0, size))
		if err == nil && string(text) != wanted {
			err = fault.Client(fault.InvalidFileFormat, "got %s", text)
		}
		return err
	}}
	steps := []struct{ served, wanted, err string }{
		{"<html>Please log in", "the file", "got <html>Please log in"},
		{"the file", "the file", ""},
		{"something else", "the file", ""}, // from the cache
		{"something else", "another file", "got the file"},
	}
	for i, step := range steps {
		w.serve("/file", step.served)
		wanted = step.wanted
		_, err := pr.fetcher.obtain(t.Context(), artifact)
		if got := fmt.Sprint(err); err == nil && step.err != "" || err != nil && got != step.err {
			t.Errorf("step %d: got %v, want %q", i, err, step.err)
		}
	}
	if n := len(w.requests()); n != 2 {
		t.Errorf("the registry was asked %d times, want 2", n)
	}
}
