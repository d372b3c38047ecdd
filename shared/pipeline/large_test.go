package pipeline

import (
	"fmt"
	"testing"

	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/resolver/gitsubmodule"
)

// TestHundredThousandFiles: a repository of 100,000 small files goes through every step.
func TestHundredThousandFiles(t *testing.T) {
	const n = 100_000
	w := newWorld(t)
	files := make(map[string]string, n)
	for i := range n {
		files[fmt.Sprintf("d%d/e%d/f%d.txt", i%50, i%1000, i)] = "same\n" // one object, 100,000 entries
	}
	ref := w.git.Init("o/many").Commit(files)
	pr := w.start(-1)
	defer pr.close()
	req := pr.finish(t, w.git.URL("o/many"), ref, nil, gitsubmodule.Name)
	if req.State != request.StateComplete {
		t.Fatalf("got %s: %s", req.State, req.StateReason)
	}
	got, _ := pr.unpacked(t, req)
	if want := n + 2; len(got) != want { // deps and cachito.env besides
		t.Errorf("the bundle has %d entries, want %d", len(got), want)
	}
}
