package contentmanifest_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/contentmanifest"
	"github.com/cachito-serverless/cachito/shared/packages"
	"github.com/cachito-serverless/cachito/shared/resolver/all/documenttest"
)

// written gives the purls of the entries, each with its dependencies and sources.
func written(t *testing.T, requests ...packages.Context) [][3]any {
	t.Helper()
	var b bytes.Buffer
	if err := contentmanifest.Write(&b, requests, documenttest.Rules()); err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Contents []struct {
			PURL                  string
			Dependencies, Sources []struct{ PURL string }
		} `json:"image_contents"`
	}
	if err := json.Unmarshal(b.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	var list [][3]any
	for _, e := range doc.Contents {
		var d, s []string
		for _, c := range e.Dependencies {
			d = append(d, c.PURL)
		}
		for _, c := range e.Sources {
			s = append(s, c.PURL)
		}
		list = append(list, [3]any{e.PURL, d, s})
	}
	return list
}

func TestForm(t *testing.T) {
	const metadata = `"metadata": {"icm_spec":"https://raw.githubusercontent.com/containerbuildsystem/atomic-reactor/f4abcfdaf8247a6b074f94fa84f3846f82d781c6/atomic_reactor/schemas/content_manifest.json","icm_version":1,"image_layer_index":-1}}` + "\n"
	for _, test := range []struct{ name, data, want string }{
		{"empty", `[]`, `{"image_contents": [], ` + metadata},
		{
			"one", `[{"name":"n","type":"npm","version":"1","dependencies":[{"name":"a","type":"npm","version":"1"}]}]`,
			`{"image_contents": [{"dependencies":[{"purl":"pkg:npm/a@1"}],"purl":"pkg:github/o/r@R","sources":[{"purl":"pkg:npm/a@1"}]}], ` + metadata,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			var b bytes.Buffer
			if err := contentmanifest.Write(&b, []packages.Context{documenttest.Request(t, test.data)}, documenttest.Rules()); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, b.String()); diff != "" {
				t.Errorf("keys in order, a newline at the end (-want +got):\n%s", diff)
			}
		})
	}
}

func TestContents(t *testing.T) {
	for _, test := range []struct {
		name, data string
		want       [][3]any
	}{
		{
			"development dependencies are sources only; repeats stay",
			`[{"name":"n","type":"npm","version":"1","dependencies":[{"name":"b","type":"npm","version":"1","dev":true},{"name":"b","type":"npm","version":"1","dev":false},{"name":"a","type":"npm","version":"1","dev":true}]}]`,
			[][3]any{{"pkg:github/o/r@R", []string{"pkg:npm/b@1"}, []string{"pkg:npm/a@1", "pkg:npm/b@1", "pkg:npm/b@1"}}},
		},
		{
			"gems do not know development",
			`[{"name":"n","type":"rubygems","version":"1","path":"x","dependencies":[{"name":"b","type":"rubygems","version":"1"},{"name":"a","type":"rubygems","version":"1"}]}]`,
			[][3]any{{"pkg:github/o/r@R#x", []string{"pkg:gem/a@1", "pkg:gem/b@1"}, []string{"pkg:gem/a@1", "pkg:gem/b@1"}}},
		},
		{
			"submodules stand for themselves",
			`[{"name":"n","type":"git-submodule","version":"https://github.com/a/b#c","dependencies":[]}]`,
			[][3]any{{"pkg:github/a/b@c", []string(nil), []string(nil)}},
		},
		{
			"a Go package has its own dependencies and its module's as sources; modules have no entry",
			`[{"name":"m.org/m","type":"gomod","version":"v1","dependencies":[{"name":"x","type":"gomod","version":"v2"}]},` +
				`{"name":"m.org/m/cmd","type":"go-package","version":"v1","dependencies":[{"name":"fmt","type":"go-package","version":null}]},` +
				`{"name":"other.org/p","type":"go-package","version":"v1","dependencies":[]}]`,
			[][3]any{{"pkg:golang/m.org%2Fm%2Fcmd@v1", []string{"pkg:golang/fmt"}, []string{"pkg:golang/x@v2"}}, {"pkg:golang/other.org%2Fp@v1", []string(nil), []string(nil)}},
		},
		{
			"unknown types, and dependencies of another type than their package's, are passed over",
			`[{"name":"n","type":"spam","version":"1","dependencies":[]},{"name":"n","type":"pip","version":"1","dependencies":[{"name":"a","type":"npm","version":"1"}]}]`,
			[][3]any{{"pkg:github/o/r@R", []string(nil), []string(nil)}},
		},
		{
			"of equal purls: npm, pip, yarn, rubygems, whatever the stored order",
			`[{"name":"n","type":"rubygems","version":"1","dependencies":[{"name":"g","type":"rubygems","version":"1"}]},` +
				`{"name":"n","type":"yarn","version":"1","dependencies":[{"name":"y","type":"yarn","version":"1"}]},` +
				`{"name":"n","type":"pip","version":"1","dependencies":[{"name":"p","type":"pip","version":"1"}]},` +
				`{"name":"n","type":"npm","version":"1","dependencies":[{"name":"j","type":"npm","version":"1"}]}]`,
			[][3]any{
				{"pkg:github/o/r@R", []string{"pkg:npm/j@1"}, []string{"pkg:npm/j@1"}},
				{"pkg:github/o/r@R", []string{"pkg:pypi/p@1"}, []string{"pkg:pypi/p@1"}},
				{"pkg:github/o/r@R", []string{"pkg:npm/y@1"}, []string{"pkg:npm/y@1"}},
				{"pkg:github/o/r@R", []string{"pkg:gem/g@1"}, []string{"pkg:gem/g@1"}},
			},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, written(t, documenttest.Request(t, test.data))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	t.Run("several requests: nothing merged, equal purls in id order", func(t *testing.T) {
		one := documenttest.Request(t, `[{"name":"n","type":"yarn","version":"1","dependencies":[{"name":"a","type":"yarn","version":"1"}]}]`)
		two := documenttest.Request(t, `[{"name":"n","type":"npm","version":"1","dependencies":[{"name":"b","type":"npm","version":"1"}]}]`)
		first := documenttest.Request(t, `[{"name":"n","type":"npm","version":"1","dependencies":[]}]`)
		first.Repo = "https://github.com/a/a"
		want := [][3]any{
			{"pkg:github/a/a@R", []string(nil), []string(nil)},
			{"pkg:github/o/r@R", []string{"pkg:npm/a@1"}, []string{"pkg:npm/a@1"}},
			{"pkg:github/o/r@R", []string{"pkg:npm/b@1"}, []string{"pkg:npm/b@1"}},
			{"pkg:github/o/r@R", []string{"pkg:npm/b@1"}, []string{"pkg:npm/b@1"}},
		}
		if diff := cmp.Diff(want, written(t, one, two, first, two)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

var errFull = errors.New("disk full")

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errFull }

func TestWriterTrouble(t *testing.T) {
	if err := contentmanifest.Write(full{}, nil, documenttest.Rules()); !errors.Is(err, errFull) {
		t.Errorf("got %v, want %v", err, errFull)
	}
}
