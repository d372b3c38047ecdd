package sbom_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/google/go-cmp/cmp"
	spdx "github.com/spdx/tools-golang/spdx/v2/v2_3"

	"github.com/cachito-serverless/cachito/shared/packages"
	"github.com/cachito-serverless/cachito/shared/purl"
	"github.com/cachito-serverless/cachito/shared/resolver/all/documenttest"
	"github.com/cachito-serverless/cachito/shared/sbom"
)

var update = flag.Bool("update", false, "rewrite the golden files")

var completed = time.Date(2026, 11, 25, 9, 30, 15, 123456000, time.UTC)

// requestOf is a complete request with these packages, as JSON.
func requestOf(t testing.TB, id int64, data string, artifacts ...packages.Artifact) sbom.Request {
	t.Helper()
	r := sbom.Request{ID: id, Completed: completed, Artifacts: artifacts}
	r.Repo, r.Ref = "https://github.com/o/r.git", strings.Repeat("c", 40)
	if err := json.Unmarshal([]byte(data), &r.Packages); err != nil {
		t.Fatal(err)
	}
	return r
}

func write(t testing.TB, f sbom.Format, requests ...sbom.Request) string {
	t.Helper()
	var b bytes.Buffer
	if err := sbom.Write(&b, f, requests, documenttest.Rules(), "v1.2.3"); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

var richFormats = []sbom.Format{sbom.CycloneDX16, sbom.SPDX23}

const (
	npmData = `[{"name":"app","type":"npm","version":"1.0.0","path":"client","dependencies":[` +
		`{"name":"@s/dev","type":"npm","version":"1.0.0","dev":true},` +
		`{"name":"both","type":"npm","version":"2.0.0","dev":true},{"name":"both","type":"npm","version":"2.0.0","dev":false},` +
		`{"name":"inner","type":"npm","version":"3.0.0","dev":false,"bundled":true}]}]`
	goData = `[{"name":"m.org/m","type":"gomod","version":"v1.0.0","dependencies":[{"name":"a.org/x","type":"gomod","version":"v0.1.0","replaces":null}]},` +
		`{"name":"m.org/m","type":"go-package","version":"v1.0.0","dependencies":[{"name":"fmt","type":"go-package","version":null},{"name":"a.org/x/p","type":"go-package","version":"v0.1.0"},{"name":"m.org/m","type":"go-package","version":"v1.0.0"}]}]`
)

// manyRequests are requests that have everything the formats can say.
func manyRequests(t testing.TB) []sbom.Request {
	second := requestOf(t, 12, goData, packages.Artifact{PURL: "pkg:golang/a.org%2Fx@v0.1.0", SHA256: []string{strings.Repeat("ab", 32)}})
	second.Repo = "ssh://git:s3cr3t@git.example.org:2222/group/tool.git"
	second.Completed = completed.Add(time.Hour)
	return []sbom.Request{
		requestOf(t, 7, npmData,
			packages.Artifact{PURL: "pkg:npm/%40s/dev@1.0.0", SHA256: []string{strings.Repeat("01", 32)}, Unverified: true},
			packages.Artifact{PURL: "pkg:npm/both@2.0.0", SHA256: []string{strings.Repeat("02", 32), strings.Repeat("03", 32)}},
			packages.Artifact{PURL: "pkg:npm/nobody@1", Unverified: true}),
		second,
	}
}

// TestGolden shows both formats whole.
func TestGolden(t *testing.T) {
	for _, f := range richFormats {
		for name, requests := range map[string][]sbom.Request{"none": nil, "one": manyRequests(t)[:1], "two": manyRequests(t)} {
			t.Run(string(f)+" "+name, func(t *testing.T) {
				text := write(t, f, requests...)
				validate(t, f, []byte(text))
				if strings.Contains(text, "s3cr3t") {
					t.Error("the password of the repository's URL is shown")
				}
				var pretty bytes.Buffer
				if err := json.Indent(&pretty, []byte(text), "", " "); err != nil {
					t.Fatal(err)
				}
				golden := filepath.Join("testdata", string(f)+"-"+name+".json")
				if *update {
					if err := os.WriteFile(golden, pretty.Bytes(), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				want, err := os.ReadFile(golden)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(string(want), pretty.String()); diff != "" {
					t.Errorf("%s; -update rewrites it (-want +got):\n%s", golden, diff)
				}
			})
		}
	}
}

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

// TestDownloadLocation: SPDX says where the source comes from, in the field for it as far as validators take it.
func TestDownloadLocation(t *testing.T) {
	for _, test := range []struct{ repo, location, info string }{
		{"https://github.com/o/r", "git+https://github.com/o/r@R", ""},
		{"https://user:pw@gitlab.example.com:8443/o/r.git", "git+https://gitlab.example.com:8443/o/r.git@R", ""},
		{"git://git.example.org/r", "git+git://git.example.org/r@R", ""},
		{"https://git.corp.internal/o/r", "NOASSERTION", "git+https://git.corp.internal/o/r@R"},
		{"http://127.0.0.1:8080/r", "NOASSERTION", "git+http://127.0.0.1:8080/r@R"},
		{"https://[::1]/r", "NOASSERTION", "git+https://[::1]/r@R"},
		{"no URL", "NOASSERTION", ""},
		{"file:///etc", "NOASSERTION", ""},
	} {
		var doc spdx.Document
		text := write(t, sbom.SPDX23, sbom.Request{ID: 1, Completed: completed, Context: packages.Context{Repo: test.repo, Ref: "R"}})
		if err := json.Unmarshal([]byte(text), &doc); err != nil {
			t.Fatal(err)
		}
		if p := doc.Packages[0]; p.PackageDownloadLocation != test.location || p.PackageSourceInfo != test.info {
			t.Errorf("%s: got %q and %q, want %q and %q", test.repo, p.PackageDownloadLocation, p.PackageSourceInfo, test.location, test.info)
		}
	}
}

// TestIdentity: the same input gives the same bytes, another one another serial number.
func TestIdentity(t *testing.T) {
	for _, f := range richFormats {
		read := readCycloneDX
		if f == sbom.SPDX23 {
			read = readSPDX
		}
		one := write(t, f, requestOf(t, 1, npmData))
		if again := write(t, f, requestOf(t, 1, npmData)); one != again {
			t.Errorf("%s: the same request gave other bytes", f)
		}
		later, elsewhere := requestOf(t, 1, npmData), requestOf(t, 1, npmData)
		later.Completed = completed.Add(time.Microsecond)
		elsewhere.Repo = "https://github.com/o/other"
		serials := map[string]bool{read(t, one).serial: true}
		for _, r := range []sbom.Request{requestOf(t, 2, npmData), later, elsewhere} {
			serials[read(t, write(t, f, r)).serial] = true
		}
		serials[read(t, write(t, f, requestOf(t, 1, npmData), requestOf(t, 2, npmData))).serial] = true
		if len(serials) != 5 {
			t.Errorf("%s: five documents have %d serial numbers", f, len(serials))
		}
	}
}

// TestNoPURL: what has no purl has no document, and nothing is written.
func TestNoPURL(t *testing.T) {
	r := requestOf(t, 1, `[{"name":"p","type":"go-package","version":"v1","dependencies":[{"name":"x","type":"go-package","version":"./x"}]}]`)
	for _, f := range sbom.Formats {
		var b bytes.Buffer
		err := sbom.Write(&b, sbom.Format(f), []sbom.Request{r}, documenttest.Rules(), "")
		var e *purl.Error
		if !errors.As(err, &e) || b.Len() > 0 {
			t.Errorf("%s: got %v and %d bytes", f, err, b.Len())
		}
	}
}

func TestUnknownFormat(t *testing.T) {
	err := sbom.Write(new(bytes.Buffer), "spdx-3.0", nil, documenttest.Rules(), "")
	if err == nil || !strings.Contains(err.Error(), "spdx-3.0") || !strings.Contains(err.Error(), "cyclonedx-1.6") {
		t.Errorf("got %v, want an error with the format and what there is", err)
	}
}

// TestBrokenOff: the work ends when nobody reads, with the reader's error.
func TestBrokenOff(t *testing.T) {
	for _, f := range sbom.Formats {
		if err := sbom.Write(full{}, sbom.Format(f), manyRequests(t), documenttest.Rules(), ""); !errors.Is(err, errFull) {
			t.Errorf("%s: got %v, want %v", f, err, errFull)
		}
	}
}

// hostile are texts that a repository may bring as names and versions.
var hostile = []string{
	"", " ", "a b", "\n", "../../etc/passwd", "<script>alert(1)</script>", `"`, `\`, "\u0000", "名前", "\U0001F600", "SPDXRef-DOCUMENT", "DOCUMENT",
	"request-1", "requests", "a%20b", "a#b", "a?b=c", strings.Repeat("x", 5000), "urn:cdx:f08a6ccd-4dce-4759-bd84-c626675d60a7/1", "-", "\u202e",
}

// TestHostileNames: whatever names there are, both documents are valid, and everything in them has an id of
// its own.
func TestHostileNames(t *testing.T) {
	var list []packages.Package
	for _, kind := range []string{"npm", "pip", "yarn", "rubygems", "gomod"} {
		for _, name := range hostile {
			p := packages.Package{Name: name, Type: kind, Version: new("1")}
			for _, d := range hostile {
				version := d
				if version == "" || strings.Contains(version, "/") || strings.Contains(version, "#") {
					version = "1" // no purl can be made of some: that is TestNoPURL's
				}
				p.Dependencies = append(p.Dependencies, packages.Dependency{Name: d, Type: kind, Version: &version})
			}
			list = append(list, p)
		}
	}
	for _, repo := range append([]string{"https://github.com/o/r", "https://[::1]:80/a b/ü?q#f", "https://%zz/x/y", "file:///etc", "a:b@c:d/e"}, hostile...) {
		r := sbom.Request{ID: 1, Completed: completed, Context: packages.Context{Repo: repo, Ref: "R", Packages: list}}
		if repo != "https://github.com/o/r" {
			r.Packages = list[:1]
		}
		for _, f := range richFormats {
			text := write(t, f, r)
			validate(t, f, []byte(text))
			if f == sbom.SPDX23 {
				readSPDX(t, text)
			} else {
				readCycloneDX(t, text)
			}
		}
	}
}
