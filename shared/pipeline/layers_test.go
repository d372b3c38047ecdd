package pipeline

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/resolver"
)

func twoManagers() []manager {
	return []manager{
		{Descriptor: resolver.Descriptor{Name: "late", Rank: 20}},
		{Descriptor: resolver.Descriptor{Name: "early", Rank: 10}},
	}
}

func TestMergeLayers(t *testing.T) {
	got, err := mergeLayers(twoManagers(), map[string]resolver.Output{
		"early": {
			Deps:                 []resolver.Entry{{Path: "e/z", Inline: []byte("z")}, {Path: "e/a", Inline: []byte("a")}},
			Overlays:             []resolver.Entry{{Path: "go.mod", Inline: []byte("m")}},
			EnvironmentVariables: map[string]request.EnvironmentVariable{"X": {Value: "early", Kind: "literal"}},
		},
		"late": {
			Deps:                 []resolver.Entry{{Path: "e/a", Inline: []byte("a")}},
			ConfigFiles:          []resolver.ConfigFile{{Path: "app/.rc", Content: []byte("rc")}, {Path: "top", Content: []byte("t")}},
			EnvironmentVariables: map[string]request.EnvironmentVariable{"X": {Value: "late", Kind: "literal"}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := layers{
		deps: []resolver.Entry{{Path: "e/a", Inline: []byte("a")}, {Path: "e/z", Inline: []byte("z")}},
		app:  []resolver.Entry{{Path: ".rc", Inline: []byte("rc")}, {Path: "go.mod", Inline: []byte("m")}},
		root: []resolver.Entry{{Path: "top", Inline: []byte("t")}},
		env:  map[string]request.EnvironmentVariable{"X": {Value: "late", Kind: "literal"}},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(layers{})); diff != "" {
		t.Errorf("layers (-want +got):\n%s", diff)
	}
}

func TestMergeLayersRefuses(t *testing.T) {
	for name, late := range map[string]resolver.Output{
		"different content": {Overlays: []resolver.Entry{{Path: "f", Inline: []byte("other")}}},
		"leaves app":        {Overlays: []resolver.Entry{{Path: "../f", Inline: []byte("x")}}},
		"absolute":          {Deps: []resolver.Entry{{Path: "/f", Inline: []byte("x")}}},
		"not clean":         {Deps: []resolver.Entry{{Path: "a/./f", Inline: []byte("x")}}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := mergeLayers(twoManagers(), map[string]resolver.Output{
				"early": {Overlays: []resolver.Entry{{Path: "f", Inline: []byte("one")}}}, "late": late,
			})
			if err == nil || fault.IsClient(err) {
				t.Fatalf("got %v, want a fault of ours", err)
			}
			if name == "different content" && !strings.Contains(err.Error(), "early and late wrote different content to app/f") {
				t.Errorf("got %q, want both managers and the file named", err)
			}
		})
	}
}

func TestDefaultVariables(t *testing.T) {
	literal := func(v string) request.EnvironmentVariable {
		return request.EnvironmentVariable{Value: v, Kind: "literal"}
	}
	path := request.EnvironmentVariable{Value: "deps/x", Kind: "path"}
	defaults := map[string]request.EnvironmentVariable{"SUMDB": literal("on"), "CACHE": literal("/elsewhere"), "MORE": literal("1")}
	got := withDefaults(map[string]request.EnvironmentVariable{"CACHE": path, "SUMDB": literal("off")}, defaults)
	want := map[string]request.EnvironmentVariable{"CACHE": path, "SUMDB": literal("on"), "MORE": literal("1")}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("variables (-want +got):\n%s", diff)
	}
	if got := withDefaults(nil, defaults); len(got) > 0 {
		t.Errorf("a manager without work got %v", got)
	}
}
