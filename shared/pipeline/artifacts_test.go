package pipeline

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/packages"
	"github.com/cachito-serverless/cachito/shared/resolver"
)

// TestArtifacts: what the resolvers know of the files behind dependencies is in the packages data.
func TestArtifacts(t *testing.T) {
	const shared, doubtful = "pkg:npm/shared@1", "pkg:npm/doubtful@1"
	outputs := map[string]resolver.Output{
		"one": {Checksums: map[string][]string{shared: {"bb", "aa"}}},
		"two": {Checksums: map[string][]string{shared: {"aa"}, "pkg:npm/b@1": {"cc"}}, Unverified: []string{doubtful, "pkg:npm/b@1"}},
	}
	w := newWorld(t)
	url, ref := w.repository()
	pr := w.start(-1, func(s *Settings, d *Deps) {
		for name, out := range outputs {
			d.Managers = append(d.Managers, resolver.Descriptor{Name: name, Version: "1", New: func(resolver.Settings) (resolver.Resolver, error) {
				return resolverFunc(func(context.Context, resolver.Input) (resolver.Output, error) { return out, nil }), nil
			}})
			s.Resolvers[name] = resolver.Settings{}
		}
	})
	defer pr.close()
	req := pr.finish(t, url, ref, nil, "one", "two")
	o, err := pr.blobs.Open(t.Context(), req.PackagesKey)
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	data, err := packages.DecodeAll(o)
	if err != nil {
		t.Fatal(err)
	}
	want := []packages.Artifact{
		{PURL: "pkg:npm/b@1", SHA256: []string{"cc"}, Unverified: true},
		{PURL: doubtful, Unverified: true},
		{PURL: shared, SHA256: []string{"aa", "bb"}},
	}
	if diff := cmp.Diff(want, data.Artifacts); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
