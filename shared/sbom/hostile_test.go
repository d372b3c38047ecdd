package sbom_test

import (
	"bytes"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/cachito-serverless/cachito/shared/packages"
	"github.com/cachito-serverless/cachito/shared/purl"
	"github.com/cachito-serverless/cachito/shared/resolver/all/documenttest"
	"github.com/cachito-serverless/cachito/shared/sbom"
)

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

// FuzzDocuments: a package and a dependency of any names, versions and types in any repository: if the purls can
// be made, both documents are valid and read back whole.
func FuzzDocuments(f *testing.F) {
	for i, text := range hostile {
		f.Add("https://github.com/o/r", "R", text, "1", hostile[len(hostile)-1-i], "2", uint8(i))
	}
	f.Add("https://user:pw@h/\x00?#", "", "a", "https://github.com/a/b#c", "b", "git+https://h/x@y", uint8(200))
	kinds := slices.Sorted(maps.Keys(documenttest.Rules()))
	f.Fuzz(func(t *testing.T, repo, ref, name, version, dependency, dependencyVersion string, bits uint8) {
		kind := kinds[int(bits)%len(kinds)]
		valid := func(s string) string { return strings.ToValidUTF8(s, "?") } // as stored JSON is
		d := packages.Dependency{Name: valid(dependency), Type: kind, Version: new(valid(dependencyVersion)), Dev: new(bits&64 != 0)}
		r := sbom.Request{ID: int64(bits), Completed: completed}
		r.Repo, r.Ref = valid(repo), valid(ref)
		r.Packages = []packages.Package{{Name: valid(name), Type: kind, Version: new(valid(version)), Dependencies: []packages.Dependency{d, d}}}
		for _, format := range richFormats {
			var b bytes.Buffer
			err := sbom.Write(&b, format, []sbom.Request{r}, documenttest.Rules(), "v1")
			var noPURL *purl.Error
			if errors.As(err, &noPURL) {
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			validate(t, format, b.Bytes())
			if format == sbom.SPDX23 {
				readSPDX(t, b.String())
			} else {
				readCycloneDX(t, b.String())
			}
		}
	})
}
