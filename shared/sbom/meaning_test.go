package sbom_test

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/google/go-cmp/cmp"
	spdx "github.com/spdx/tools-golang/spdx/v2/v2_3"

	"github.com/cachito-serverless/cachito/shared/sbom"
)

// bill is a document as the formats' own libraries read it: components by name, and who depends on whom.
type bill struct {
	serial     string
	components map[string][]string // name and version -> purl, hash, scope or words
	relations  []string
}

// named finds a component's name by the id that a relation has.
func named(t testing.TB, names map[string]string, id string) string {
	t.Helper()
	name, ok := names[id]
	if !ok {
		t.Errorf("a relation names %s: no such component", id)
	}
	return name
}

func readCycloneDX(t testing.TB, text string) bill {
	t.Helper()
	var doc cdx.BOM
	if err := cdx.NewBOMDecoder(strings.NewReader(text), cdx.BOMFileFormatJSON).Decode(&doc); err != nil {
		t.Fatal(err)
	}
	b := bill{serial: doc.SerialNumber, components: map[string][]string{}}
	names := map[string]string{}
	add := func(c cdx.Component) {
		if _, taken := names[c.BOMRef]; taken {
			t.Errorf("two components have the reference %s", c.BOMRef)
		}
		names[c.BOMRef] = c.Name
		words := []string{c.PackageURL}
		if c.Hashes != nil {
			words = append(words, (*c.Hashes)[0].Value)
		}
		if c.Scope == cdx.ScopeExcluded {
			words = append(words, "dev")
		}
		if c.Properties != nil {
			for _, p := range *c.Properties {
				words = append(words, p.Name+"="+p.Value)
			}
		}
		b.components[c.Name+" "+c.Version] = words
	}
	add(*doc.Metadata.Component)
	for _, c := range *doc.Components {
		add(c)
	}
	for _, d := range *doc.Dependencies {
		for _, to := range *d.Dependencies {
			b.relations = append(b.relations, named(t, names, d.Ref)+" -> "+named(t, names, to))
		}
	}
	return b
}

var legalSPDXID = regexp.MustCompile(`^SPDXRef-[a-zA-Z0-9.-]+$`)

func readSPDX(t testing.TB, text string) bill {
	t.Helper()
	var doc spdx.Document
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatal(err)
	}
	b := bill{serial: doc.DocumentNamespace, components: map[string][]string{}}
	names := map[string]string{"DOCUMENT": "DOCUMENT"}
	for _, p := range doc.Packages {
		id := string(p.PackageSPDXIdentifier)
		if _, taken := names[id]; taken {
			t.Errorf("two packages have the id %s", id)
		}
		if !legalSPDXID.MatchString("SPDXRef-" + id) {
			t.Errorf("the id %q is not legal", id)
		}
		names[id] = p.PackageName
		var words []string
		for _, r := range p.PackageExternalReferences {
			words = append(words, r.Locator)
		}
		for _, c := range p.PackageChecksums {
			words = append(words, c.Value)
		}
		if p.PackageComment != "" {
			words = append(words, strings.Fields(p.PackageComment)...)
		}
		b.components[p.PackageName+" "+p.PackageVersion] = words
	}
	for _, r := range doc.Relationships {
		to := r.RefB.SpecialID
		if to == "" {
			to = named(t, names, string(r.RefB.ElementRefID))
		}
		b.relations = append(b.relations, named(t, names, string(r.RefA.ElementRefID))+" "+r.Relationship+" "+to)
	}
	return b
}

func TestMeaning(t *testing.T) {
	t.Run("CycloneDX", func(t *testing.T) {
		got := readCycloneDX(t, write(t, sbom.CycloneDX16, manyRequests(t)...))
		wantComponents := map[string][]string{
			"cachito-requests-7-12 ":                                {""},
			"github.com/o/r " + strings.Repeat("c", 40):             {"pkg:github/o/r@" + strings.Repeat("c", 40), "cachito:request=7"},
			"git.example.org/group/tool " + strings.Repeat("c", 40): {"pkg:generic/tool?vcs_url=ssh%3A%2F%2Fgit.example.org%3A2222%2Fgroup%2Ftool.git%40" + strings.Repeat("c", 40), "cachito:request=12"},
			"app 1.0.0":        {"pkg:github/o/r@" + strings.Repeat("c", 40) + "#client", "cachito:type=npm"},
			"@s/dev 1.0.0":     {"pkg:npm/%40s/dev@1.0.0", strings.Repeat("01", 32), "dev", "cachito:type=npm", "cachito:unverified=true"},
			"both 2.0.0":       {"pkg:npm/both@2.0.0", "cachito:type=npm", "cachito:sha256=" + strings.Repeat("02", 32), "cachito:sha256=" + strings.Repeat("03", 32)},
			"inner 3.0.0":      {"pkg:npm/inner@3.0.0", "cachito:type=npm", "cachito:bundled=true"},
			"m.org/m v1.0.0":   {"pkg:golang/m.org%2Fm@v1.0.0", "cachito:type=go-package", "cachito:type=gomod"},
			"a.org/x v0.1.0":   {"pkg:golang/a.org%2Fx@v0.1.0", strings.Repeat("ab", 32), "cachito:type=gomod"},
			"a.org/x/p v0.1.0": {"pkg:golang/a.org%2Fx%2Fp@v0.1.0", "cachito:type=go-package"},
			"fmt ":             {"pkg:golang/fmt", "cachito:type=go-package"},
		}
		if diff := cmp.Diff(wantComponents, got.components); diff != "" {
			t.Errorf("components (-want +got):\n%s", diff)
		}
		want := []string{
			"cachito-requests-7-12 -> github.com/o/r", "cachito-requests-7-12 -> git.example.org/group/tool",
			"github.com/o/r -> app", "git.example.org/group/tool -> m.org/m",
			"app -> @s/dev", "app -> both", "app -> inner",
			"m.org/m -> a.org/x/p", "m.org/m -> a.org/x", "m.org/m -> fmt",
		}
		if diff := cmp.Diff(sorted(want), sorted(got.relations)); diff != "" {
			t.Errorf("relations (-want +got):\n%s", diff)
		}
	})
	t.Run("SPDX", func(t *testing.T) {
		got := readSPDX(t, write(t, sbom.SPDX23, manyRequests(t)...))
		if diff := cmp.Diff([]string{"pkg:npm/%40s/dev@1.0.0", strings.Repeat("01", 32), "cachito:type=npm", "cachito:unverified=true"}, got.components["@s/dev 1.0.0"]); diff != "" {
			t.Errorf("@s/dev (-want +got):\n%s", diff)
		}
		want := []string{
			"DOCUMENT DESCRIBES github.com/o/r", "DOCUMENT DESCRIBES git.example.org/group/tool",
			"github.com/o/r CONTAINS app", "git.example.org/group/tool CONTAINS m.org/m",
			"@s/dev DEV_DEPENDENCY_OF app", "both DEV_DEPENDENCY_OF app", "app DEPENDS_ON both", "app DEPENDS_ON inner",
			"m.org/m DEPENDS_ON a.org/x/p", "m.org/m DEPENDS_ON a.org/x", "m.org/m DEPENDS_ON fmt",
		}
		if diff := cmp.Diff(sorted(want), sorted(got.relations)); diff != "" {
			t.Errorf("relations (-want +got):\n%s", diff)
		}
	})
}

func sorted(list []string) []string {
	out := append([]string(nil), list...)
	slices.Sort(out)
	return out
}

// TestScopes: what is needed otherwise is no development dependency, whichever request says so.
func TestScopes(t *testing.T) {
	dev := requestOf(t, 1, `[{"name":"a","type":"npm","version":"1","dependencies":[{"name":"x","type":"npm","version":"1","dev":true}]}]`)
	run := requestOf(t, 2, `[{"name":"b","type":"npm","version":"1","dependencies":[{"name":"x","type":"npm","version":"1","dev":false}]}]`)
	unsure := requestOf(t, 3, `[{"name":"c","type":"rubygems","version":"1","dependencies":[{"name":"g","type":"rubygems","version":"1"}]}]`)
	for _, test := range []struct {
		name     string
		requests []sbom.Request
		of       string
		want     cdx.Scope
	}{
		{"development alone", []sbom.Request{dev}, "x", cdx.ScopeExcluded},
		{"both", []sbom.Request{dev, run}, "x", cdx.ScopeRequired},
		{"a package of the repository", []sbom.Request{dev}, "a", cdx.ScopeRequired},
		{"a manager that does not know", []sbom.Request{unsure}, "g", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			var doc cdx.BOM
			if err := json.Unmarshal([]byte(write(t, sbom.CycloneDX16, test.requests...)), &doc); err != nil {
				t.Fatal(err)
			}
			for _, c := range *doc.Components {
				if c.Name == test.of && c.Scope != test.want {
					t.Errorf("scope of %s: got %q, want %q", test.of, c.Scope, test.want)
				}
			}
		})
	}
}
