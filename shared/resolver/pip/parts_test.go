package pip

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/ulikunitz/xz"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/resolver"
	"github.com/cachito-serverless/cachito/shared/resolver/pip/pep508"
	"github.com/cachito-serverless/cachito/shared/resolver/resolvertest"
)

func answer(kind, body string) resolver.Response {
	return resolver.Response{Status: 200, Header: http.Header{"Content-Type": {kind}}, Body: []byte(body), URL: "https://pypi.example/simple/foo/"}
}

func TestParsePage(t *testing.T) {
	const sum = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
	all := func(string) bool { return true }
	tests := []struct {
		name, kind, body string
		want             string
	}{
		{
			"JSON", "application/vnd.pypi.simple.v1+json",
			`{"alternate-locations": [], "files": [
				{"filename": "foo-1.tar.gz", "url": "../../f/foo-1.tar.gz#x", "hashes": {"sha256": "` + strings.ToUpper(sum) + `", "blake3": "00"}, "yanked": false, "requires-python": null, "core-metadata": {"sha256": "x"}},
				{"filename": "foo-2.tar.gz", "url": "https://other.example/a/foo-2.tar.gz?x=1", "hashes": {}, "yanked": "", "requires-python": ">=3"}
			], "meta": {"api-version": "1.3"}, "name": "FOO", "versions": ["1"]}`,
			"foo-1.tar.gz https://pypi.example/f/foo-1.tar.gz sha256:" + sum + "\nfoo-2.tar.gz https://other.example/a/foo-2.tar.gz?x=1 yanked >=3\n",
		},
		{
			"JSON without a type", "", ` {"files": [{"filename": "foo-1.zip", "url": "foo-1.zip"}]}`,
			"foo-1.zip https://pypi.example/simple/foo/foo-1.zip\n",
		},
		{
			"HTML", "text/html; charset=utf-8",
			`<!DOCTYPE html><html><head><meta name="pypi:repository-version" content="1.0"><title>x</title></head><body>
			<A HREF="../../f/foo-1%2B1.tar.gz#sha256=` + sum + `" data-requires-python="&gt;=3.6" data-dist-info-metadata="x">foo-1+1.tar.gz</A><br/>
			<a href="foo-2.zip" data-yanked>foo-2.zip</a><a>no link</a><a href="">empty</a>
			<a href="foo-3.zip#md5=098f6bcd4621d373cade4e832627b4f6&amp;egg=foo"><b>foo</b>-3.zip</a>`,
			"foo-1+1.tar.gz https://pypi.example/f/foo-1%2B1.tar.gz sha256:" + sum + " >=3.6\nfoo-2.zip https://pypi.example/simple/foo/foo-2.zip yanked\nfoo-3.zip https://pypi.example/simple/foo/foo-3.zip md5:098f6bcd4621d373cade4e832627b4f6\n",
		},
		{
			"HTML with a base", "application/vnd.pypi.simple.v1+html", `<base href="https://b.example/x/"><a href="foo-1.zip">foo-1.zip</a>`,
			"foo-1.zip https://b.example/x/foo-1.zip\n",
		},
		{"HTML without a type", "", `<a href="/foo-1.zip">foo-1.zip</a>`, "foo-1.zip https://pypi.example/foo-1.zip\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			list, err := parsePage(answer(tt.kind, tt.body), "foo", all)
			must(t, err)
			var got strings.Builder
			for _, d := range list {
				got.WriteString(d.file + " " + d.url)
				for _, one := range d.digests {
					got.WriteString(" " + one.String())
				}
				if d.yanked {
					got.WriteString(" yanked")
				}
				if d.requiresPython != "" {
					got.WriteString(" " + d.requiresPython)
				}
				got.WriteString("\n")
			}
			if diff := cmp.Diff(tt.want, got.String()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func FuzzParsePage(f *testing.F) {
	f.Add("application/vnd.pypi.simple.v1+json", `{"meta": {"api-version": "1.0"}, "name": "foo", "files": [{"filename": "foo-1.zip", "url": "u", "hashes": {"sha256": "00"}, "yanked": true}]}`)
	f.Add("text/html", `<base href="x"><a href="foo-1.zip#sha256=00" data-yanked="">foo</a>`)
	f.Fuzz(func(t *testing.T, kind, body string) {
		list, err := parsePage(answer(kind, body), "foo", func(file string) bool { return strings.HasPrefix(file, "foo") })
		if err != nil && list != nil {
			t.Errorf("both a page and %v", err)
		}
		for _, d := range list {
			if u, err := url.Parse(d.url); err != nil || u.Fragment != "" || !strings.HasPrefix(d.file, "foo") {
				t.Errorf("%+v (%v)", d, err)
			}
		}
	})
}

func TestSdistName(t *testing.T) {
	tests := []struct{ file, project, version, want string }{
		{"foo-1.0.tar.gz", "foo", "1", "foo 1.0 .tar.gz"},
		{"foo-bar-1.0.zip", "Foo_Bar", "1.0.0", "foo-bar 1.0 .zip"},
		{"foo-1.0-1.tar.gz", "foo", "1.0.post1", "foo 1.0-1 .tar.gz"},
		{"foo-2-1.0.tar.gz", "foo-2", "1.0", "foo-2 1.0 .tar.gz"},
		{"foo-2-1.0.tar.gz", "foo", "1.0", ""},
		{"foo-1.0.tar", "foo", "1.0", "foo 1.0 .tar"},
		{"foo-1.0.tgz", "foo", "1.0", ""},
		{"foo-1.0-py3-none-any.whl", "foo", "1.0", ""},
		{"foobar-1.0.tar.gz", "foo", "1.0", ""},
		{"foo-2004d.tar.gz", "foo", "2004d", "foo 2004d .tar.gz"},
		{"foo-../../x.tar.gz", "foo", "../../x", ""},
		{"..-1.0.tar.gz", "..", "1.0", ""},
		{"\u212aafka-1.0.tar.gz", "kafka", "1.0", ""}, // the Kelvin sign
		{"-1.0.tar.gz", "", "1.0", ""},
		{"foo-1.0.tar.gz\n", "foo", "1.0", ""},
	}
	for _, tt := range tests {
		name, version, ext, ok := sdistName(tt.file, tt.project, tt.version)
		if got := strings.TrimSpace(name + " " + version + " " + ext); got != tt.want || ok != (tt.want != "") {
			t.Errorf("%q: got %q (%v), want %q", tt.file, got, ok, tt.want)
		}
	}
}

func TestParseWheel(t *testing.T) {
	for file, want := range map[string]string{
		"foo-1.0-py3-none-any.whl":                                "foo 1.0 [py3] [none] [any]",
		"foo_bar-1.0+x.1-2b-cp311-cp311-linux_x86_64.whl":         "foo_bar 1.0+x.1 [cp311] [cp311] [linux_x86_64]",
		"a-1-py2.py3-none-manylinux1_i686.manylinux2014_i686.whl": "a 1 [py2 py3] [none] [manylinux1_i686 manylinux2014_i686]",
		"foo-1.0-x-cp311-cp311-any.whl":                           "",
		"foo__bar-1.0-py3-none-any.whl":                           "",
		"foo-one-py3-none-any.whl":                                "",
		"foo-1.0-any.whl":                                         "",
		"foo-1.0-py3-none-any.zip":                                "",
		"../foo-1.0-py3-none-any.whl":                             "",
		"foo-1.0-py3-none-any-any-any.whl":                        "",
		"f\u043eo-1.0-py3-none-any.whl":                           "",
	} {
		w, ok := parseWheel(file)
		got := ""
		if ok {
			got = fmt.Sprint(w.name, " ", w.version, " ", w.python, " ", w.abi, " ", w.platform)
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", file, got, want)
		}
	}
}

// TestBinaryFilter: 4.7's rules, and P86, P87.
func TestBinaryFilter(t *testing.T) {
	const any3, linux, windows = "foo-1-py3-none-any.whl", "foo-1-cp312-cp312-manylinux_2_17_x86_64.whl", "foo-1-cp312-cp312-win_amd64.whl"
	tests := []struct {
		name, filter string
		yes, no      []string
	}{
		{
			"P86 defaults", `{}`,
			[]string{any3, linux, "foo-1-cp39-cp39-musllinux_1_1_x86_64.whl", "foo-1-cp39-cp39-linux_x86_64.whl", "foo-1-py2.py3-none-any.whl", "foo-1-py38.py39-none-any.whl"},
			[]string{windows, "foo-1-cp312-cp312-manylinux_2_17_aarch64.whl", "foo-1-pp39-pypy39_pp73-manylinux_2_17_x86_64.whl", "foo-1-py2-none-any.whl", "foo-1-cp312-cp312-macosx_11_0_x86_64.whl"},
		},
		{
			"P87 version", `{"py_version": 311}`,
			[]string{any3, "foo-1-cp310-abi3-manylinux_2_17_x86_64.whl", "foo-1-cp311-cp311-manylinux_2_17_x86_64.whl", "foo-1-py310-none-any.whl"},
			[]string{linux, "foo-1-cp310-cp310-manylinux_2_17_x86_64.whl", "foo-1-cp312-abi3-manylinux_2_17_x86_64.whl", "foo-1-py312-none-any.whl"},
		},
		{"version as text", `{"py_version": "310, 312"}`, []string{linux, "foo-1-cp310-cp310-linux_x86_64.whl"}, []string{"foo-1-cp311-cp311-linux_x86_64.whl"}},
		{"another system", `{"os": "win,macosx", "arch": "amd64,arm64"}`, []string{windows, any3, "foo-1-cp312-cp312-macosx_11_0_arm64.whl"}, []string{linux}},
		{"everything", `{"os": ":all:", "arch": ":all:", "py_impl": ":all:", "abi": ":all:"}`, []string{linux, windows, any3, "foo-1-pp39-pypy39_pp73-win_amd64.whl", "foo-1-py2-none-any.whl"}, nil},
		{"implementation", `{"py_impl": "pp"}`, []string{"foo-1-pp39-pypy39_pp73-linux_x86_64.whl", any3}, []string{linux}},
		{"ABI", `{"abi": "cp312"}`, []string{linux, any3, "foo-1-cp310-abi3-linux_x86_64.whl"}, []string{"foo-1-cp311-cp311-linux_x86_64.whl"}},
		{"platform", `{"platform": "^manylinux.*x86"}`, []string{linux, any3}, []string{windows, "foo-1-cp312-cp312-musllinux_1_1_x86_64.whl"}},
		{"nulls", `{"packages": null, "arch": null, "platform": null, "py_version": null}`, []string{linux, any3}, []string{windows}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f, err := parseBinary([]byte(tt.filter))
			must(t, err)
			for want, files := range map[bool][]string{true: tt.yes, false: tt.no} {
				for _, file := range files {
					w, ok := parseWheel(file)
					if !ok {
						t.Fatalf("%s is no wheel", file)
					}
					if got := f.matches(w, ""); got != want {
						t.Errorf("%s: got %v, want %v", file, got, want)
					}
				}
			}
		})
	}
}

func TestBinaryFilterRefuses(t *testing.T) {
	const both = "Use either 'platform' (regex pattern) or 'os' with 'arch', but not both."
	for filter, want := range map[string]string{
		`{"platform": "x", "os": "darwin"}`:    both, // P88
		`{"platform": "x", "arch": "aarch64"}`: both,
		`{"platform": "("}`:                    `"platform" of "binary" is not a regular expression: …`,
		`{"py_version": "3.11"}`:               `"py_version" of "binary" must be digits such as 311 for Python 3.11, got '3.11'`,
		`{"py_version": -3}`:                   `"py_version" of "binary" must be digits such as 311 for Python 3.11, got '-3'`,
		`{"arch": ""}`:                         `"arch" of "binary" must not be empty: …`,
		`{"os": ["linux"]}`:                    `"os" of "binary" must be a text, a number or null`,
		`[]`:                                   `The "binary" value of packages.pip must be an object`,
	} {
		_, err := parseBinary([]byte(filter))
		wantFault(t, err, fault.OriginClient, fault.ValidationError, want)
	}
	if f, err := parseBinary([]byte("null")); f != nil || err != nil {
		t.Errorf("null: got %v, %v", f, err)
	}
}

func TestBinaryFilterMarkers(t *testing.T) {
	tests := []struct {
		filter, marker string
		want           bool // certainly false
	}{
		{`{}`, `sys_platform == "win32"`, true},
		{`{}`, `sys_platform == "linux"`, false},
		{`{}`, `python_version < "3"`, false}, // nobody knows
		{`{"py_version": 311}`, `python_version < "3.8"`, true},
		{`{"py_version": "37,311"}`, `python_version < "3.8"`, false},
		{`{}`, `platform_machine == "aarch64"`, true},
		{`{"os": "win", "arch": "amd64"}`, `os_name == "nt" and platform_system == "Windows"`, false},
		{`{"os": "macosx"}`, `sys_platform != "darwin"`, true},
		{`{"os": ":all:"}`, `sys_platform == "win32"`, false},
		{`{"platform": "manylinux"}`, `sys_platform == "win32"`, false},
		{`{}`, `platform_python_implementation == "PyPy"`, true},
		{`{}`, `extra == "x"`, true},
	}
	for _, tt := range tests {
		f, err := parseBinary([]byte(tt.filter))
		must(t, err)
		m, err := pep508.ParseMarker(tt.marker)
		must(t, err)
		if got := f.excludes(m); got != tt.want {
			t.Errorf("%s, %s: got %v, want %v", tt.filter, tt.marker, got, tt.want)
		}
	}
}

// stored keeps content as a fetched file.
func stored(t testing.TB, content []byte) (*resolvertest.Fetcher, resolver.File) {
	t.Helper()
	f := resolvertest.NewFetcher(t, nil)
	file, err := f.Store(t.Context(), bytes.NewReader(content))
	must(t, err)
	return f, file
}

// TestVerifySdist: P67, P68 and archives that somebody made to hurt.
func TestVerifySdist(t *testing.T) {
	const metadata = "Name: foo\nVersion: 1\n"
	withPkgInfo := pack(t, "foo-1.tar", map[string]string{"PKG-INFO": metadata})
	var xzFile bytes.Buffer
	xw, err := xz.NewWriter(&xzFile)
	must(t, err)
	_, err = xw.Write(withPkgInfo)
	must(t, err)
	must(t, xw.Close())
	hostile := func(headers ...tar.Header) []byte {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		for _, h := range headers {
			must(t, w.WriteHeader(&h))
		}
		must(t, w.Close())
		return b.Bytes()
	}
	tests := []struct {
		name, file string
		content    []byte
		wantErr    string
	}{
		{"gzip", "foo-1.tar.gz", pack(t, "foo-1.tar.gz", map[string]string{"PKG-INFO": metadata}), ""},
		{"plain", "foo-1.tar", withPkgInfo, ""},
		{"xz", "foo-1.tar.xz", xzFile.Bytes(), ""},
		{"zip", "foo-1.zip", pack(t, "foo-1.zip", map[string]string{"PKG-INFO": metadata}), ""},
		{"gzip by another name", "foo-1.tar", pack(t, "foo-1.tar.gz", map[string]string{"PKG-INFO": metadata}), ""},
		{"P68 a zip called .tar", "foo-1.tar", pack(t, "foo-1.zip", map[string]string{"PKG-INFO": metadata}), "Cannot open foo-1.tar as a Tar file. Error: …"},
		{"P68 a tar called .zip", "foo-1.zip", withPkgInfo, "Cannot open foo-1.zip as a Zip file. Error: …"},
		{"cut off", "foo-1.tar.gz", pack(t, "foo-1.tar.gz", map[string]string{"a": strings.Repeat("x", 1000)})[:60], "Cannot open foo-1.tar.gz as a Tar file. Error: …"},
		{"empty", "foo-1.tar.gz", nil, "Cannot open foo-1.tar.gz as a Tar file. Error: …"},
		{"empty zip", "foo-1.zip", nil, "Cannot open foo-1.zip as a Zip file. Error: …"},
		{"absolute name", "foo-1.tar", hostile(tar.Header{Name: "/etc/passwd", Typeflag: tar.TypeReg}), "Cannot open foo-1.tar as a Tar file. Error: …"},
		{"name that goes up", "foo-1.tar", hostile(tar.Header{Name: "a/../../PKG-INFO", Typeflag: tar.TypeReg}), "Cannot open foo-1.tar as a Tar file. Error: …"},
		{"device", "foo-1.tar", hostile(tar.Header{Name: "a/PKG-INFO", Typeflag: tar.TypeChar}), "Cannot open foo-1.tar as a Tar file. Error: …"},
		{"PKG-INFO is a link", "foo-1.tar", hostile(tar.Header{Name: "a/PKG-INFO", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"}), "foo-1.tar does not include metadata …"},
		{"PKG-INFO is a folder", "foo-1.tar", hostile(tar.Header{Name: "a/PKG-INFO", Typeflag: tar.TypeDir}), "foo-1.tar does not include metadata …"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f, file := stored(t, tt.content)
			m, err := lookInto(t.Context(), f, file, tt.file, sdistMetadata)
			wantFault(t, err, fault.OriginClient, fault.ValidationError, tt.wantErr)
			if tt.wantErr == "" && (m.name != "foo" || m.version != "1") {
				t.Errorf("got %+v", m)
			}
		})
	}
}

// TestVerifyBomb: zeros a thousand times as large as their archive (1 GB in 1 MB) end by that ratio, long before
// all of them are unpacked.
func TestVerifyBomb(t *testing.T) {
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	must(t, err)
	w := tar.NewWriter(z)
	const size = 24 << 20
	must(t, w.WriteHeader(&tar.Header{Name: "foo-1/zeros", Size: size, Mode: 0o644}))
	_, err = io.CopyN(w, zeros{}, size)
	must(t, err)
	must(t, w.Close())
	must(t, z.Close())
	f, file := stored(t, b.Bytes())
	_, err = lookInto(t.Context(), f, file, "foo-1.tar.gz", sdistMetadata)
	wantFault(t, err, fault.OriginClient, fault.ValidationError, "Cannot open foo-1.tar.gz as a Tar file. Error: …")
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

func TestCoreMetadata(t *testing.T) {
	for text, want := range map[string]string{
		"Metadata-Version: 1.0\r\nNAME: a b\r\nversion:1\r\n":      "a b|1",
		"Summary: x\n\nName: in the description\n":                 "|",
		"Name: x\n" + strings.Repeat("y", maxCoreMetadataBytes+10): "x|",
		"Version: 1\nName: z\nName: w\n":                           "z|1",
	} {
		var m coreMetadata
		must(t, m.read(strings.NewReader(text)))
		if got := m.name + "|" + m.version; got != want {
			t.Errorf("%.40q: got %q, want %q", text, got, want)
		}
	}
}

// FuzzVerifySdist: whatever is in an archive, it is looked through or refused.
func FuzzVerifySdist(f *testing.F) {
	f.Add(pack(f, "foo-1.tar.gz", map[string]string{"PKG-INFO": "Name: foo\n"}), "foo-1.tar.gz")
	f.Add(pack(f, "foo-1.tar", map[string]string{"PKG-INFO": "Name: foo\n"}), "foo-1.tar")
	f.Add(pack(f, "foo-1.zip", map[string]string{"PKG-INFO": "Name: foo\n"}), "foo-1.zip")
	f.Add([]byte("BZh91AY&SY"), "foo-1.tar.bz2")
	f.Fuzz(func(t *testing.T, content []byte, name string) {
		fetcher, file := stored(t, content)
		m, err := lookInto(t.Context(), fetcher, file, name, sdistMetadata)
		if err == nil && !m.found && !strings.HasSuffix(name, ".tar.Z") {
			t.Error("no metadata and no error")
		}
		if err != nil && !fault.IsClient(err) {
			t.Errorf("got %v", err)
		}
	})
}
