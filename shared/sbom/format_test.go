package sbom_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

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
