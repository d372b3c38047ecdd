package resolver_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/resolver"
)

// fetcher answers by URL: a number becomes a file of that size, anything else fails.
type fetcher struct {
	resolver.Fetcher
	wait map[string]chan struct{}
}

func (f fetcher) Fetch(ctx context.Context, a resolver.Artifact) (resolver.File, error) {
	if ch := f.wait[a.URL]; ch != nil {
		select {
		case <-ch:
		case <-ctx.Done():
			return resolver.File{}, ctx.Err()
		}
	}
	var size int64
	if _, err := fmt.Sscan(a.URL, &size); err != nil {
		return resolver.File{}, errors.New("refused " + a.URL)
	}
	return resolver.File{Size: size}, nil
}

func TestFetchAll(t *testing.T) {
	var seen []request.Progress
	var list []resolver.Artifact
	var want []resolver.File
	for i := range 100 {
		list = append(list, resolver.Artifact{URL: fmt.Sprint(i)})
		want = append(want, resolver.File{Size: int64(i)})
	}
	files, err := resolver.FetchAll(t.Context(), resolver.Input{Fetcher: fetcher{}, Progress: func(p request.Progress) { seen = append(seen, p) }}, list)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, files); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	if len(seen) != 101 || seen[0] != (request.Progress{Total: 100}) || seen[100] != (request.Progress{Done: 100, Total: 100, Bytes: 99 * 50}) {
		t.Errorf("progress: %d reports, the last %+v", len(seen), seen[len(seen)-1])
	}
}

func TestFetchAllFails(t *testing.T) {
	never := make(chan struct{})
	f := fetcher{wait: map[string]chan struct{}{"1": never, "2": never}}
	list := []resolver.Artifact{{URL: "1"}, {URL: "2"}, {URL: "x"}, {URL: "3"}}
	_, err := resolver.FetchAll(t.Context(), resolver.Input{Fetcher: f}, list)
	if err == nil || err.Error() != "refused x" {
		t.Errorf("got %v, want what really failed and not those it stopped", err)
	}
}

func TestFetchAllStopped(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	stop()
	_, err := resolver.FetchAll(ctx, resolver.Input{Fetcher: fetcher{}}, []resolver.Artifact{{URL: "1"}})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}
