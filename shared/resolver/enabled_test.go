package resolver_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/resolver"
)

func TestEnabled(t *testing.T) {
	resolves := func(resolver.Settings) (resolver.Resolver, error) { return nil, nil }
	known := []resolver.Descriptor{
		{Name: "old", New: resolves},
		{Name: "nameless"},
		{Name: "older", New: resolves},
		{Name: "new", New: resolves, OptIn: true},
		{Name: "newer", New: resolves, OptIn: true},
	}
	tests := []struct {
		name string
		list []string
		want string
	}{
		{"default", []string{"default"}, "old older"},
		{"all", []string{"all"}, "old older new newer"},
		{"default and one more", []string{"new", "default"}, "old older new"},
		{"one", []string{"older"}, "older"},
		{"one new", []string{"newer"}, "newer"},
		{"twice", []string{"old", "old", "default"}, "old older"},
		{"none", nil, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := resolver.Enabled(known, tt.list)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, join(got)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
	for _, unknown := range []string{"maven", "nameless", ""} {
		_, err := resolver.Enabled(known, []string{"old", unknown})
		if err == nil || !strings.Contains(err.Error(), `cannot resolve "`+unknown+`"; it knows old, older, new, newer`) {
			t.Errorf("%q: %v", unknown, err)
		}
	}
}

func join(list []resolver.Descriptor) string {
	var names []string
	for _, d := range list {
		names = append(names, d.Name)
	}
	return strings.Join(names, " ")
}
