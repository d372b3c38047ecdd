package sbom_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/packages"
	"github.com/cachito-serverless/cachito/shared/resolver/all/documenttest"
	"github.com/cachito-serverless/cachito/shared/sbom"
)

func TestCycloneDX(t *testing.T) {
	const begin, end = `{"bomFormat": "CycloneDX", "components": [`, `], "specVersion": "1.4", "version": 1}` + "\n"
	lib := func(name, purl, version string) string {
		text := `{"name":"` + name + `","purl":"` + purl + `","type":"library"`
		if version != "" {
			text += `,"version":"` + version + `"`
		}
		return text + "}"
	}
	for _, test := range []struct {
		name string
		data []string
		want string
	}{
		{"no requests", nil, ""},
		{"a request without packages", []string{`[]`}, ""},
		{
			"packages and dependencies, dev too, sorted by purl",
			[]string{`[{"name":"@s/n","type":"npm","version":"1","dependencies":[{"name":"z","type":"npm","version":"1","dev":true},{"name":"@a/b","type":"npm","version":"2","dev":false}]}]`},
			lib("@s/n", "pkg:github/o/r@R", "1") + ", " + lib("@a/b", "pkg:npm/%40a/b@2", "2") + ", " + lib("z", "pkg:npm/z@1", "1"),
		},
		{
			"equal ones once, over requests; dev makes no difference",
			[]string{
				`[{"name":"n","type":"npm","version":"1","dependencies":[{"name":"z","type":"npm","version":"1","dev":true},{"name":"z","type":"npm","version":"1","dev":false}]}]`,
				`[{"name":"n","type":"npm","version":"1","dependencies":[{"name":"z","type":"npm","version":"1","dev":false}]}]`,
			},
			lib("n", "pkg:github/o/r@R", "1") + ", " + lib("z", "pkg:npm/z@1", "1"),
		},
		{
			"of equal purls by name, then version, none first; an empty version is none",
			[]string{`[{"name":"b","type":"pip","version":"1","dependencies":[]},{"name":"a","type":"pip","version":"2","dependencies":[]},` +
				`{"name":"a","type":"npm","version":"1","dependencies":[]},{"name":"a","type":"yarn","version":null,"dependencies":[]},{"name":"a","type":"rubygems","version":"","dependencies":[]}]`},
			lib("a", "pkg:github/o/r@R", "") + ", " + lib("a", "pkg:github/o/r@R", "1") + ", " + lib("a", "pkg:github/o/r@R", "2") + ", " + lib("b", "pkg:github/o/r@R", "1"),
		},
		{
			"modules and Go packages; local ones with their module's version, or ./x",
			[]string{`[{"name":"m.org/m","type":"gomod","version":"v1","dependencies":[{"name":"a.org/x","type":"gomod","version":"./x"}]},{"name":"m.org/m/s","type":"gomod","version":"v2","dependencies":[]},` +
				`{"name":"m.org/m","type":"go-package","version":"v1","dependencies":[{"name":"fmt","type":"go-package","version":null},{"name":"m.org/m/s/p","type":"go-package","version":"./s/p"},{"name":"a.org/x","type":"go-package","version":"./x"}]}]`},
			lib("fmt", "pkg:golang/fmt", "") + ", " + lib("m.org/m/s/p", "pkg:golang/m.org%2Fm%2Fs%2Fp@v2", "v2") + ", " + lib("m.org/m/s", "pkg:golang/m.org%2Fm%2Fs@v2", "v2") + ", " +
				lib("m.org/m", "pkg:golang/m.org%2Fm@v1", "v1") + ", " + lib("a.org/x", "pkg:golang/m.org%2Fm@v1#x", "./x"),
		},
		{
			"a submodule",
			[]string{`[{"name":"n","type":"git-submodule","version":"https://github.com/a/b#c","dependencies":[]}]`},
			lib("n", "pkg:github/a/b@c", "https://github.com/a/b#c"),
		},
		{
			"unknown types, and dependencies of another type than their package's, are passed over",
			[]string{`[{"name":"n","type":"spam","version":"1","dependencies":[{"name":"x","type":"spam","version":"1"}]},{"name":"n","type":"pip","version":"1","dependencies":[{"name":"a","type":"npm","version":"1"}]}]`},
			lib("n", "pkg:github/o/r@R", "1"),
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			var requests []packages.Context
			for _, data := range test.data {
				requests = append(requests, documenttest.Request(t, data))
			}
			var b bytes.Buffer
			if err := sbom.CycloneDX(&b, requests, documenttest.Rules()); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(begin+test.want+end, b.String()); diff != "" {
				t.Errorf("keys in order, a newline at the end (-want +got):\n%s", diff)
			}
		})
	}
	t.Run("no parent for a local module", func(t *testing.T) {
		var b bytes.Buffer
		err := sbom.CycloneDX(&b, []packages.Context{documenttest.Request(t, `[{"name":"p","type":"go-package","version":"v1","dependencies":[{"name":"x","type":"go-package","version":"./x"}]}]`)}, documenttest.Rules())
		if err == nil || err.Error() != "Could not find parent Go module for package: x" || b.Len() != 0 {
			t.Errorf("got %v and %d bytes", err, b.Len())
		}
	})
}

var errFull = errors.New("disk full")

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errFull }

func TestWriterTrouble(t *testing.T) {
	if err := sbom.CycloneDX(full{}, nil, documenttest.Rules()); !errors.Is(err, errFull) {
		t.Errorf("got %v, want %v", err, errFull)
	}
}
