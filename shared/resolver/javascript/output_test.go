package javascript

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/packages"
	"github.com/cachito-serverless/cachito/shared/resolver"
)

func TestReported(t *testing.T) {
	deps := []Dependency{
		{Name: "b", Version: "2", Dev: true},
		{Name: "b", Version: "1", Dev: true, Bundled: true},
		{Name: "a", Version: "1", Bundled: true},
		{Name: "b", Version: "1"},
		{Name: "a", Version: "1", Bundled: true},
	}
	yes, no, one, two := true, false, "1", "2"
	want := []packages.Dependency{
		{Name: "a", Type: "yarn", Version: &one, Dev: &no, Bundled: &yes, HasReplaces: true},
		{Name: "b", Type: "yarn", Version: &one, Dev: &no, HasReplaces: true},
		{Name: "b", Type: "yarn", Version: &two, Dev: &yes, HasReplaces: true},
	}
	if diff := cmp.Diff(want, Reported("yarn", deps)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := Reported("yarn", nil); got == nil || len(got) > 0 {
		t.Errorf("without any: got %#v, want an empty list", got)
	}
}

func TestPlaced(t *testing.T) {
	p := Placed{}
	first, second := resolver.File{SHA256: "11"}, resolver.File{SHA256: "22"}
	if err := errors.Join(p.Put("npm/a", "a", "1", first), p.Put("npm/a", "a", "1", first)); err != nil {
		t.Error(err)
	}
	checkFault(t, p.Put("npm/a", "a", "1", second), fault.InvalidChecksum, "The lockfiles name two different files for a 1: sha256:11 and sha256:22")
	if diff := cmp.Diff([]resolver.Entry{{Path: "npm/a", File: &first}}, p.Entries()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestOutputLists(t *testing.T) {
	file := resolver.File{SHA256: "11"}
	out := resolver.Output{Checksums: map[string][]string{}, Deps: []resolver.Entry{{Path: "b"}, {Path: "a"}}}
	for range 2 {
		AddArtifact(&out, "pkg:npm/b@1", resolver.File{SHA256: "22"}, true)
		AddArtifact(&out, "pkg:npm/b@1", file, false)
		AddArtifact(&out, "pkg:npm/a@1", file, false)
	}
	AddOverlays(&out, resolver.Entry{Path: "y", Inline: []byte("text")}, resolver.Entry{Path: "x", File: &file}, resolver.Entry{Path: "w", Deleted: true})
	AddOverlays(&out, resolver.Entry{Path: "v", Inline: []byte{}})
	Sort(&out)
	want := resolver.Output{
		Deps:        []resolver.Entry{{Path: "a"}, {Path: "b"}},
		Overlays:    []resolver.Entry{{Path: "v", Inline: []byte{}}, {Path: "w", Deleted: true}, {Path: "x", File: &file}, {Path: "y", Inline: []byte("text")}},
		ConfigFiles: []resolver.ConfigFile{{Path: "app/v", Content: []byte{}}, {Path: "app/y", Content: []byte("text")}},
		Unverified:  []string{"pkg:npm/a@1", "pkg:npm/b@1"},
		Checksums:   map[string][]string{"pkg:npm/a@1": {"11"}, "pkg:npm/b@1": {"11", "22"}},
	}
	if diff := cmp.Diff(want, out); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// storing is a fetcher that can only store.
type storing struct {
	resolver.Fetcher
	content bytes.Buffer
}

func (s *storing) Store(_ context.Context, r io.Reader) (resolver.File, error) {
	n, err := s.content.ReadFrom(r)
	return resolver.File{SHA256: "stored", Size: n}, err
}

func TestChanged(t *testing.T) {
	var s storing
	got, err := Changed(t.Context(), &s, "yarn.lock", strings.NewReader("text"), MaxConfigFileBytes)
	if diff := cmp.Diff(resolver.Entry{Path: "yarn.lock", Inline: []byte("text")}, got); diff != "" || err != nil {
		t.Errorf("(-want +got):\n%s\n%v", diff, err)
	}
	got, err = Changed(t.Context(), &s, "yarn.lock", strings.NewReader("text"), MaxConfigFileBytes+1)
	if diff := cmp.Diff(resolver.Entry{Path: "yarn.lock", File: &resolver.File{SHA256: "stored", Size: 4}}, got); diff != "" || err != nil || s.content.String() != "text" {
		t.Errorf("(-want +got):\n%s\n%v, %q", diff, err, s.content.String())
	}
}
