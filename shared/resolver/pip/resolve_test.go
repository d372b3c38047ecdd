package pip

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/resolver"
	"github.com/cachito-serverless/cachito/shared/resolver/resolvertest"
)

// scenario parses a txtar and makes its world.
func scenario(t testing.TB, text string) (resolvertest.Scenario, *world) {
	t.Helper()
	s, err := resolvertest.Parse([]byte(text), nil)
	must(t, err)
	return s, newWorld(t, &s)
}

// resolve runs a scenario.
func resolve(t testing.TB, text string) resolvertest.Result {
	t.Helper()
	s, w := scenario(t, text)
	return s.Run(t, newResolver(t, s.Request.Settings), w.fetcher(t))
}

// TestChoosing: what is taken from an index's page, and what is said when nothing is.
func TestChoosing(t *testing.T) {
	const hash = "sha256:0000000000000000000000000000000000000000000000000000000000000000"
	noMetadata := " does not include metadata (there is no PKG-INFO file). It is not a valid sdist and cannot be downloaded from PyPI. Consider editing your requirements file to download the package from git or a direct download URL instead."
	tests := []struct {
		name, text string
		want       string // paths below deps/pip, without index.html
		kind       fault.Type
		wantErr    string
		wantLog    string
	}{
		{name: "P61 no sdist", text: "-- repo/requirements.txt --\nAioWSGI==0.7\n-- registry/aiowsgi-0.7-py3-none-any.whl --\n-- registry/aiowsgi-0.7.egg --\n", kind: fault.InvalidRequestData, wantErr: "No sdists found for package AioWSGI==0.7"},
		{name: "P62 another version", text: "-- repo/requirements.txt --\nfoo==2.0\n-- registry/foo-1.0.tar.gz --\n", kind: fault.InvalidRequestData, wantErr: "No sdists found for package foo==2.0"},
		{name: "P62 alpha", text: "-- repo/requirements.txt --\nfoo==1.0.a1\n-- registry/foo-1.0.tar.gz --\n", kind: fault.InvalidRequestData, wantErr: "No sdists found for package foo==1.0.a1"},
		{name: "P62 post", text: "-- repo/requirements.txt --\nfoo==1.0.post1\n-- registry/foo-1.0.tar.gz --\n", kind: fault.InvalidRequestData, wantErr: "No sdists found for package foo==1.0.post1"},
		{name: "P62 dev", text: "-- repo/requirements.txt --\nfoo==1.0.dev1\n-- registry/foo-1.0.tar.gz --\n", kind: fault.InvalidRequestData, wantErr: "No sdists found for package foo==1.0.dev1"},
		{name: "P62 the same version in other words", text: "-- repo/requirements.txt --\nfoo==v1.0-1\n-- registry/foo-1.0.0.post1.tar.gz --\n", want: "foo/foo-1.0.0.post1.tar.gz"},
		{name: "P63 dots", text: "-- repo/requirements.txt --\nruamel-yaml_clib==1\n-- registry/ruamel.yaml.clib-1.tar.gz --\n", want: "ruamel.yaml.clib/ruamel.yaml.clib-1.tar.gz"},
		{name: "P63 underscores", text: "-- repo/requirements.txt --\nrequests.kerberos==1\n-- registry/requests_kerberos-1.tar.gz --\n", want: "requests_kerberos/requests_kerberos-1.tar.gz"},
		{name: "P63 capitals", text: "-- repo/requirements.txt --\ndjango==1\n-- registry/Django-1.tar.gz --\n", want: "Django/Django-1.tar.gz"},
		{name: "P64 .tar.gz first", text: "-- repo/requirements.txt --\nfoo==1.0\n-- registry/foo-1.0.zip --\n-- registry/foo-1.0.tar.gz --\n-- registry/foo-1.0.tar --\n", want: "foo/foo-1.0.tar.gz"},
		{name: "P64 then .zip", text: "-- repo/requirements.txt --\nfoo==1.0\n-- registry/foo-1.0.tar --\n-- registry/foo-1.0.zip --\n", want: "foo/foo-1.0.zip"},
		{name: "P64 rather a .zip than a yanked .tar.gz", text: "-- repo/requirements.txt --\nfoo==1.0\n-- registry/foo-1.0.zip --\n-- registry/foo-1.0.tar.gz --\n-- registry/about.json --\n{\"foo-1.0.tar.gz\": {\"yanked\": true}}\n", want: "foo/foo-1.0.zip"},
		{name: "P65 yanked", text: "-- repo/requirements.txt --\nfoo==1.0\n-- registry/foo-1.0.tar.gz --\n-- registry/about.json --\n{\"foo-1.0.tar.gz\": {\"yanked\": \"broken\"}}\n", want: "foo/foo-1.0.tar.gz", wantLog: "was yanked"},
		{name: "P65 yanked and HTML", text: "-- repo/requirements.txt --\nfoo==1.0\n-- registry/html --\n-- registry/foo-1.0.tar.gz --\n-- registry/about.json --\n{\"foo-1.0.tar.gz\": {\"yanked\": \"\"}}\n", want: "foo/foo-1.0.tar.gz", wantLog: "was yanked"},
		{name: "P65 yanked and refused", text: "-- request.json --\n{\"settings\": {\"refuse_yanked\": \"true\"}}\n-- repo/requirements.txt --\naiowsgi==0.7\n-- registry/aiowsgi-0.7.tar.gz --\n-- registry/about.json --\n{\"aiowsgi-0.7.tar.gz\": {\"yanked\": true}}\n", kind: fault.InvalidRequestData, wantErr: "All sdists for package aiowsgi==0.7 are yanked"},
		{name: "P67 no PKG-INFO", text: "-- repo/requirements.txt --\nmyapp-without-pkg-info==1\n-- registry/myapp-without-pkg-info-1.tar.gz/x --\n", kind: fault.ValidationError, wantErr: "myapp-without-pkg-info-1.tar.gz" + noMetadata},
		{name: "P67 no PKG-INFO in a zip", text: "-- repo/requirements.txt --\nfoo==1\n-- registry/foo-1.zip/x --\n", kind: fault.ValidationError, wantErr: "foo-1.zip" + noMetadata},
		{name: "P67 deeper", text: "-- repo/requirements.txt --\nfoo==1\n-- registry/foo-1.tar.gz/src/foo.egg-info/PKG-INFO --\nName: other\n", want: "foo/foo-1.tar.gz"},
		{name: "P67 .tar.Z", text: "-- repo/requirements.txt --\nfoo==1\n-- registry/foo-1.tar.Z/x --\n", want: "foo/foo-1.tar.Z"},
		{name: "P69 wrong hash", text: "-- repo/requirements.txt --\nfoo==1 --hash=" + hash + "\n-- registry/foo-1.tar.gz --\n", kind: fault.InvalidChecksum, wantErr: "Failed to verify checksum of foo-1.tar.gz against any of the provided hashes"},
		{name: "P69 wrong hash that the index does not know", text: "-- repo/requirements.txt --\nfoo==1 --hash=" + hash + "\n-- registry/foo-1.tar.gz --\n-- registry/about.json --\n{\"foo-1.tar.gz\": {\"digest\": \"none\"}}\n", kind: fault.InvalidChecksum, wantErr: "Failed to verify checksum of foo-1.tar.gz against any of the provided hashes"},
		{name: "P69 wrong hash of another algorithm", text: "-- repo/requirements.txt --\nfoo==1 --hash=sha224:00000000000000000000000000000000000000000000000000000000\n-- registry/foo-1.tar.gz --\n", kind: fault.InvalidChecksum, wantErr: "Failed to verify checksum of foo-1.tar.gz against any of the provided hashes"},
		{name: "P69 unknown algorithm", text: "-- repo/requirements.txt --\nfoo==1 --hash=blake3:00\n-- registry/foo-1.tar.gz --\n", kind: fault.InvalidChecksum, wantErr: "Failed to verify checksum of foo-1.tar.gz against any of the provided hashes"},
		{name: "P69 one of several", text: "-- repo/requirements.txt --\nfoo==1 --hash=blake3:00 --hash=" + hash + " --hash=SHA256:{sha256:foo-1.tar.gz}\n-- registry/foo-1.tar.gz --\n", want: "foo/foo-1.tar.gz"},
		{name: "P69 one of several algorithms, none in the index", text: "-- repo/requirements.txt --\nfoo==1 --hash=sha384:" + strings.Repeat("0", 96) + " --hash=sha256:{sha256:foo-1.tar.gz}\n-- registry/foo-1.tar.gz --\n-- registry/about.json --\n{\"foo-1.tar.gz\": {\"digest\": \"none\"}}\n", want: "foo/foo-1.tar.gz"},
		{name: "md5 alone", text: "-- repo/requirements.txt --\nfoo==1 --hash=md5:00000000000000000000000000000000\n-- registry/foo-1.tar.gz --\n", kind: fault.InvalidChecksum, wantErr: "Failed to verify checksum of foo-1.tar.gz against any of the provided hashes: md5 and sha1 alone do not count, give its sha256"},
		{name: "the index lies about a digest", text: "-- repo/requirements.txt --\nfoo==1\n-- registry/foo-1.tar.gz --\n-- registry/about.json --\n{\"foo-1.tar.gz\": {\"digest\": \"" + hash + "\"}}\n", kind: fault.InvalidChecksum, wantErr: "Failed to verify checksum of foo-1.tar.gz against any of the provided hashes"},
		{name: "a locked digest chooses the file", text: "-- repo/requirements.txt --\nfoo==1.0 --hash=sha256:{sha256:foo-1.0.zip}\n-- registry/foo-1.0.zip --\n-- registry/foo-1.0.tar.gz --\n", want: "foo/foo-1.0.zip"},
		{name: "P70 wrong hash of a URL", text: "-- repo/requirements.txt --\na @ https://x.org/a.zip --hash=" + hash + "\n-- registry/url/x.org/a.zip/x --\n", kind: fault.InvalidChecksum, wantErr: "Failed to verify checksum of a-external-sha256-" + strings.Repeat("0", 64) + ".zip against any of the provided hashes"},
		{name: "a URL's hash that is none", text: "-- repo/requirements.txt --\na @ https://x.org/a.zip --hash=sha256:ab\n-- registry/url/x.org/a.zip/x --\n", kind: fault.InvalidChecksum, wantErr: "Failed to verify checksum of a.zip against any of the provided hashes"},
		{name: "a hash with a path", text: "-- repo/requirements.txt --\na @ https://x.org/a.zip --hash=sha256:../../x\n", kind: fault.InvalidChecksum, wantErr: "Failed to verify checksum of a.zip against any of the provided hashes"},
		{name: "another package in the file", text: "-- repo/requirements.txt --\nfoo==1\n-- registry/foo-1.tar.gz/PKG-INFO --\nName: evil\nVersion: 1\n", kind: fault.ValidationError, wantErr: "foo-1.tar.gz is not what it is called: its metadata says that it is evil 1. If that is right, give its hash in the requirements file."},
		{name: "another version in the file", text: "-- repo/requirements.txt --\nfoo==1\n-- registry/foo-1.zip/PKG-INFO --\nName: foo\nVersion: 2\n", kind: fault.ValidationError, wantErr: "foo-1.zip is not what it is called: its metadata says that it is foo 2. If that is right, give its hash in the requirements file."},
		{name: "another package that is locked", text: "-- repo/requirements.txt --\nfoo==1 --hash=sha256:{sha256:foo-1.tar.gz}\n-- registry/foo-1.tar.gz/PKG-INFO --\nName: evil\nVersion: 1\n", want: "foo/foo-1.tar.gz"},
		{name: "P88 platform and os", text: "-- request.json --\n{\"packages\": [{\"binary\": {\"platform\": \".\", \"os\": \"darwin\"}}]}\n", kind: fault.ValidationError, wantErr: "Use either 'platform' (regex pattern) or 'os' with 'arch', but not both."},
		{name: "P89 no wheel", text: "-- request.json --\n{\"packages\": [{\"binary\": {\"packages\": \"foo\"}}]}\n-- repo/requirements.txt --\nfoo==1\n-- registry/foo-1.tar.gz --\n-- registry/foo-1-py3-none-win_amd64.whl --\n", kind: fault.InvalidRequestData, wantErr: "No wheels found for package foo==1"},
		{name: "neither wheel nor sdist", text: "-- request.json --\n{\"packages\": [{\"binary\": {}}]}\n-- repo/requirements.txt --\nfoo==1\n-- registry/foo-2.tar.gz --\n", kind: fault.InvalidRequestData, wantErr: "No distributions found for package foo==1"},
		{name: "wheels of an odd name are skipped", text: "-- request.json --\n{\"packages\": [{\"binary\": {}}]}\n-- repo/requirements.txt --\nfoo==1\n-- registry/foo-1.tar.gz --\n-- registry/foo-1-any.whl --\n", want: "foo/foo-1.tar.gz", wantLog: "file name is not valid"},
		{name: "wheels without a locked digest are dropped", text: "-- request.json --\n{\"packages\": [{\"binary\": {}}]}\n-- repo/requirements.txt --\nfoo==1 --hash=sha256:{sha256:foo-1.tar.gz}\n-- registry/foo-1.tar.gz --\n-- registry/foo-1-py3-none-any.whl --\n", want: "foo/foo-1.tar.gz"},
		{name: "a wheel alone is locked", text: "-- request.json --\n{\"packages\": [{\"binary\": {}}]}\n-- repo/requirements.txt --\nfoo==1 --hash=sha256:{sha256:foo-1-py3-none-any.whl}\n-- registry/foo-1.tar.gz --\n-- registry/foo-1-py3-none-any.whl --\n", want: "foo/foo-1-py3-none-any.whl"},
		{name: "no distribution is locked", text: "-- request.json --\n{\"packages\": [{\"binary\": {}}]}\n-- repo/requirements.txt --\nfoo==1 --hash=" + hash + "\n-- registry/foo-1.tar.gz --\n-- registry/foo-1-py3-none-any.whl --\n", kind: fault.InvalidChecksum, wantErr: "Failed to verify checksum of foo-1-py3-none-any.whl against any of the provided hashes"},
		{name: "a requirement for another platform has no wheel", text: "-- request.json --\n{\"packages\": [{\"binary\": {\"packages\": \"pywin32\"}}]}\n-- repo/requirements.txt --\npywin32==1; sys_platform == 'win32'\n-- registry/pywin32-1-py3-none-win_amd64.whl --\n", wantLog: "left out"},
		{name: "a requirement for another platform has other hashes", text: "-- request.json --\n{\"packages\": [{\"binary\": {}}]}\n-- repo/requirements.txt --\nfoo==1; os_name == 'nt' --hash=" + hash + "\n-- registry/foo-1.tar.gz --\n", wantLog: "left out"},
		{name: "a requirement for another platform keeps its sdist", text: "-- request.json --\n{\"packages\": [{\"binary\": {}}]}\n-- repo/requirements.txt --\nfoo==1; os_name == 'nt'\n-- registry/foo-1.tar.gz --\n-- registry/foo-1-py3-none-any.whl --\n", want: "foo/foo-1.tar.gz"},
		{name: "Python of the index", text: "-- request.json --\n{\"packages\": [{\"binary\": {\"py_version\": 38}}]}\n-- repo/requirements.txt --\nfoo==1\n-- registry/foo-1.tar.gz --\n-- registry/foo-1-py3-none-any.whl --\n-- registry/about.json --\n{\"foo-1-py3-none-any.whl\": {\"requires_python\": \">=3.9\"}}\n", want: "foo/foo-1.tar.gz"},
		{name: "a wheel that is another's", text: "-- request.json --\n{\"packages\": [{\"binary\": {\"packages\": \"foo\"}}]}\n-- repo/requirements.txt --\nfoo==1\n-- registry/foo-1-py3-none-any.whl/foo-1.dist-info/METADATA --\nName: evil\nVersion: 1\n", kind: fault.ValidationError, wantErr: "foo-1-py3-none-any.whl is not what it is called: its metadata says that it is evil 1. If that is right, give its hash in the requirements file."},
		{name: "a wheel without metadata", text: "-- request.json --\n{\"packages\": [{\"binary\": {\"packages\": \"foo\"}}]}\n-- repo/requirements.txt --\nfoo==1\n-- registry/foo-1-py3-none-any.whl/x --\n", kind: fault.ValidationError, wantErr: "foo-1-py3-none-any.whl does not include metadata (there is no .dist-info/METADATA file). It is not a valid wheel."},
		{name: "a wheel of a URL", text: "-- request.json --\n{\"packages\": [{\"binary\": {}}]}\n-- repo/requirements.txt --\nfoo @ https://x.org/d/foo-1-py3-none-any.whl#cachito_hash=sha256:{sha256:foo-1-py3-none-any.whl}\n-- registry/url/x.org/foo-1-py3-none-any.whl/x --\n", want: "external-foo/foo-1-py3-none-any.whl"},
		{name: "a wheel of a URL with an odd name", text: "-- request.json --\n{\"packages\": [{\"binary\": {}}]}\n-- repo/requirements.txt --\nfoo @ https://x.org/d/%2e%2e%2ffoo.whl#cachito_hash=" + hash + "\n", kind: fault.ValidationError, wantErr: "The file name of foo @ https://x.org/d/%2e%2e%2ffoo.whl#cachito_hash=" + hash + " is not valid for a wheel"},
		{name: "P55 no files", text: "-- request.json --\n{\"packages\": [{\"requirements_files\": []}]}\n-- repo/requirements.txt --\nfoo==1\n"},
		{name: "P56 files of a directory", text: "-- request.json --\n{\"packages\": [{\"path\": \"sub\"}]}\n-- repo/requirements.txt --\nno==1\n-- repo/sub/requirements.txt --\nfoo==1\n-- repo/sub/requirements-build.txt --\nbar==1\n-- registry/foo-1.tar.gz --\n-- registry/bar-1.tar.gz --\n", want: "bar/bar-1.tar.gz foo/foo-1.tar.gz"},
		{name: "P56 the default name is a directory", text: "-- repo/requirements.txt/x --\n"},
		{name: "P57 two of one name", text: "-- request.json --\n{\"packages\": [{\"path\": \"a\"}, {\"path\": \"b\"}]}\n-- repo/a/setup.py --\nsetup(name='x', version='1')\n-- repo/b/setup.py --\nsetup(name='x', version='1')\n", kind: fault.InvalidRequestData, wantErr: "Duplicate package: {'name': 'x', 'version': '1', 'type': 'pip'}"},
		{name: "P57 two without a version", text: "-- request.json --\n{\"packages\": [{\"path\": \"a\"}, {\"path\": \"b\"}]}\n-- repo/a/setup.py --\nsetup(name=\"it's\")\n-- repo/b/setup.py --\nsetup(name=\"it's\")\n", kind: fault.InvalidRequestData, wantErr: `Duplicate package: {'name': "it's", 'version': None, 'type': 'pip'}`},
		{name: "trusted hosts may be refused", text: "-- request.json --\n{\"settings\": {\"refuse_trusted_host\": \"true\"}}\n-- repo/requirements.txt --\n--trusted-host h\n", kind: fault.ValidationError, wantErr: "Cachito does not support the following options: --trusted-host"},
		{name: "a path outside", text: "-- request.json --\n{\"packages\": [{\"path\": \"../x\"}]}\n", kind: fault.ValidationError, wantErr: `The "path" values in the "packages.pip" value must be to a relative path in the source repository`},
		{name: "a file outside", text: "-- request.json --\n{\"packages\": [{\"requirements_build_files\": [\"/etc/passwd\"]}]}\n", kind: fault.ValidationError, wantErr: `The "requirements_build_files" values in the "packages.pip" value must be to a relative path in the source repository`},
		{name: "no list", text: "-- request.json --\n{\"packages\": {}}\n", kind: fault.ValidationError, wantErr: `The value of "packages.pip" must be an array of objects with the following keys: path, requirements_build_files, requirements_files`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			res := resolve(t, tt.text)
			wantFault(t, res.Err, fault.OriginClient, tt.kind, tt.wantErr)
			if !strings.Contains(res.Log, tt.wantLog) {
				t.Errorf("the log lacks %q:\n%s", tt.wantLog, res.Log)
			}
			if tt.wantErr != "" {
				return
			}
			var got []string
			for _, e := range res.Output.Deps {
				if e.Path != indexPage {
					got = append(got, strings.TrimPrefix(e.Path, "pip/"))
				}
			}
			if diff := cmp.Diff(tt.want, strings.Join(got, " ")); diff != "" {
				t.Errorf("files (-want +got):\n%s", diff)
			}
		})
	}
}

// TestIndexTrouble: P66 and other answers that are no pages.
func TestIndexTrouble(t *testing.T) {
	answer := func(status int, kind, body string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if kind != "" {
				w.Header().Set("Content-Type", kind)
			}
			w.WriteHeader(status)
			fmt.Fprint(w, body)
		})
	}
	const jsonType = "application/vnd.pypi.simple.v1+json"
	const page = "PyPI query failed: https://pypi.example/simple/foo/"
	tests := []struct {
		name    string
		handler http.Handler
		origin  fault.Origin
		kind    fault.Type
		want    string
	}{
		{"P66 500 to the end", answer(500, "", ""), fault.OriginServer, fault.NetworkError, "PyPI query failed: Could not download https://pypi.example/simple/foo/: 500 Internal Server Error"},
		{"P66 404", answer(404, "", ""), fault.OriginClient, fault.InvalidRequestData, "No sdists found for package foo==1"},
		{"410", answer(410, "", ""), fault.OriginClient, fault.InvalidRequestData, "No sdists found for package foo==1"},
		{"403", answer(403, "", ""), fault.OriginClient, fault.NetworkError, page + " answered 403 Forbidden"},
		{"a page for people", answer(200, "text/html", "<html><body>Please log in <a href='/login'>here</a></body></html>"), fault.OriginClient, fault.InvalidRequestData, "No sdists found for package foo==1"},
		{"an image", answer(200, "image/png", "x"), fault.OriginServer, fault.NetworkError, page + `: the answer is not a page of a package index: its type is "image/png"`},
		{"half a page", answer(200, jsonType, `{"files": [{"filename": "foo-1.tar.gz", "url": "x"}`), fault.OriginServer, fault.NetworkError, page + "…"},
		{"a page that is a list", answer(200, jsonType, `[]`), fault.OriginServer, fault.NetworkError, page + ": the answer is not a page of a package index"},
		{"files that are none", answer(200, jsonType, `{"files": 1}`), fault.OriginServer, fault.NetworkError, page + ": the answer is not a page of a package index"},
		{"a file that is none", answer(200, jsonType, `{"files": [1]}`), fault.OriginServer, fault.NetworkError, page + ": the answer is not a page of a package index"},
		{"a newer format", answer(200, jsonType, `{"meta": {"api-version": "2.0"}, "name": "foo", "files": []}`), fault.OriginServer, fault.NetworkError, page + `: the answer is not a page of a package index: version "2.0" of the format is not known`},
		{"another project", answer(200, jsonType, `{"name": "evil", "files": []}`), fault.OriginServer, fault.NetworkError, page + `: the index answered for the project "evil"`},
		{"file names with paths", answer(200, jsonType, `{"files": [{"filename": "../foo-1.tar.gz", "url": "x"}, {"filename": "foo-1.tar.gz/../../x", "url": "x"}, {"filename": "foo\u0000-1.tar.gz", "url": "x"}, {"filename": "f\u043eo-1.tar.gz", "url": "x"}]}`), fault.OriginClient, fault.InvalidRequestData, "No sdists found for package foo==1"},
		{"no such file", answer(200, jsonType, `{"files": [{"filename": "foo-1.tar.gz", "url": "https://files.pypi.example/x"}]}`), fault.OriginClient, fault.NetworkError, "Could not download https://files.pypi.example/x: 404 Not Found"},
		{"a page that is too large", answer(200, jsonType, `{"x": "`+strings.Repeat("x", MaxPageBytes)+`"}`), fault.OriginClient, fault.UnsupportedFeature, "https://pypi.example/simple/foo/ is larger than 50331648 bytes, the limit for one file"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, w := scenario(t, "-- repo/requirements.txt --\nfoo==1\n")
			w.hosts[indexHost] = tt.handler
			res := s.Run(t, newResolver(t, nil), w.fetcher(t))
			wantFault(t, res.Err, tt.origin, tt.kind, tt.want)
		})
	}
}

// What an index answers by mistake is not remembered as the file, where no digest would tell.
func TestIndexIsWellAgain(t *testing.T) {
	for _, tt := range []struct {
		name string
		ill  func(good []byte) []byte
	}{
		{"a page for people", func([]byte) []byte { return []byte("<html>sign in</html>") }},
		{"half of it", func(good []byte) []byte { return good[:len(good)/2] }},
		{"nothing", func([]byte) []byte { return nil }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, w := scenario(t, "-- repo/requirements.txt --\nfoo==1.0\n-- registry/foo-1.0.tar.gz --\n-- registry/about.json --\n{\"foo-1.0.tar.gz\": {\"digest\": \"none\"}}\n")
			fetcher := w.fetcher(t)
			good := w.index.files["foo-1.0.tar.gz"]
			w.index.files["foo-1.0.tar.gz"] = tt.ill(good)
			if f := fault.From(s.Run(t, newResolver(t, nil), fetcher).Err); f == nil || f.Type != fault.ValidationError {
				t.Fatalf("while it is ill: got %v, want ValidationError", f)
			}
			w.index.files["foo-1.0.tar.gz"] = good
			if err := s.Run(t, newResolver(t, nil), fetcher).Err; err != nil {
				t.Errorf("once it is well again: %v", err)
			}
		})
	}
}

func TestDownloadTrouble(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		status     int
		origin     fault.Origin
		want       string
	}{
		{"a file of the index is gone", "foo==1", 410, fault.OriginClient, "Could not download https://files.pypi.example/foo-1.tar.gz: 410 Gone"},
		{"the files' host is down", "foo==1", 503, fault.OriginServer, "Could not download https://files.pypi.example/foo-1.tar.gz: 503 Service Unavailable"},
		{"a URL with a password", "a @ https://u:p@files.pypi.example/a.zip#cachito_hash=sha256:" + strings.Repeat("0", 64), 404, fault.OriginClient, "Could not download https://files.pypi.example/a.zip: 404 Not Found"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, w := scenario(t, "-- repo/requirements.txt --\n"+tt.text+"\n-- registry/foo-1.tar.gz --\n")
			w.hosts[filesHost] = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(tt.status) })
			res := s.Run(t, newResolver(t, nil), w.fetcher(t))
			wantFault(t, res.Err, tt.origin, fault.NetworkError, tt.want)
		})
	}
}

func TestGitTrouble(t *testing.T) {
	line := "x @ git+https://u:p@git.example/a.git@" + aCommit
	s, w := scenario(t, "-- repo/requirements.txt --\n"+line+"\n")
	res := s.Run(t, newResolver(t, nil), w.fetcher(t))
	wantFault(t, res.Err, fault.OriginClient, fault.RepositoryAccessError, "Failed cloning the Git repository (https://git.example/a.git@"+aCommit+")")
}

// TestAsksOnce: a page and a file are asked for once, however many want them, and the canonical name is
// asked for (P60).
func TestAsksOnce(t *testing.T) {
	s, w := scenario(t, `
-- request.json --
{"packages": [{"path": "."}, {"path": "sub"}]}
-- repo/requirements.txt --
AioWSGI==0.7
aiowsgi==0.7.0
-- repo/requirements-build.txt --
aio.WSGI==0.7
-- repo/sub/requirements.txt --
aiowsgi==0.7
-- registry/aiowsgi-0.7.tar.gz --
-- registry/aio-wsgi-0.7.tar.gz --
`)
	f := w.fetcher(t)
	res := s.Run(t, newResolver(t, nil), f)
	must(t, res.Err)
	want := []string{
		"https://files.pypi.example/aio-wsgi-0.7.tar.gz", "https://files.pypi.example/aiowsgi-0.7.tar.gz",
		"https://pypi.example/simple/aio-wsgi/", "https://pypi.example/simple/aiowsgi/",
	}
	got := map[string]int{}
	for _, u := range f.Requests() {
		got[u]++
	}
	for _, u := range want {
		if got[u] != 1 {
			t.Errorf("%s was asked for %d times", u, got[u])
		}
	}
	if len(got) != len(want) {
		t.Errorf("got %v", got)
	}
	if last := res.Progress[len(res.Progress)-1]; last.Done != 2 || last.Total != 2 {
		t.Errorf("progress: got %+v, want 2 of 2", last)
	}
}

// TestTwoIndexes: each requirements file has its own; one name for two files is refused.
func TestTwoIndexes(t *testing.T) {
	const text = `
-- request.json --
{"packages": [{"requirements_files": ["a.txt", "b.txt"]}], "settings": {"allowed_indexes": "[\"other.example\"]"}}
-- repo/a.txt --
foo==1
-- repo/b.txt --
--index-url https://other.example/simple
NAME==1
-- registry/foo-1.tar.gz --
`
	other := newIndex()
	other.add("foo-1.tar.gz", pack(t, "foo-1.tar.gz", map[string]string{"PKG-INFO": "Name: foo\nVersion: 1\nSummary: another\n"}))
	other.add("bar-1.tar.gz", sdist(t, "bar-1.tar.gz", "bar", "1"))
	other.asHTML = true // its files are on its own host
	for name, want := range map[string]string{
		"bar": "",
		"foo": "foo-1.tar.gz differs between https://pypi.example/simple/ (a.txt) and https://other.example/simple/ (b.txt); a bundle can hold one of them",
	} {
		s, w := scenario(t, strings.ReplaceAll(text, "NAME", name))
		w.hosts["other.example"] = other
		res := s.Run(t, newResolver(t, s.Request.Settings), w.fetcher(t))
		wantFault(t, res.Err, fault.OriginClient, fault.InvalidRequestData, want)
	}
}

// TestDocuments: what the SBOM learns of the files.
func TestDocuments(t *testing.T) {
	res := resolve(t, `
-- repo/requirements.txt --
a==1
b==1
c @ https://x.org/c.zip#cachito_hash=sha256:{sha256:c.zip}
d @ git+https://git.example/d.git@58c88e4952e95935c0dd72d4a24b0c44f2249f5b
-- repo/requirements-build.txt --
b==1 --hash=sha256:{sha256:b-1.tar.gz}
a==1 --hash=sha256:{sha256:a-1.tar.gz}
-- registry/a-1.tar.gz --
-- registry/b-1.tar.gz --
-- registry/url/x.org/c.zip/x --
-- registry/git/git.example/d.git@58c88e4952e95935c0dd72d4a24b0c44f2249f5b/x --
`)
	must(t, res.Err)
	if diff := cmp.Diff([]string{"pkg:pypi/a@1", "pkg:pypi/b@1"}, res.Output.Unverified); diff != "" {
		t.Errorf("unverified (-want +got):\n%s", diff)
	}
	files := map[string]string{}
	for _, e := range res.Output.Deps {
		if e.File != nil {
			files[e.Path] = e.File.SHA256
		}
	}
	if len(res.Output.Checksums) != 4 || res.Output.Checksums["pkg:pypi/a@1"][0] != files["pip/a/a-1.tar.gz"] {
		t.Errorf("checksums: got %v of %v", res.Output.Checksums, files)
	}
	for id, sums := range res.Output.Checksums {
		if len(sums) != 1 {
			t.Errorf("%s has %d checksums", id, len(sums))
		}
	}
}

// TestDeterministic: the same input gives the same output, byte by byte.
func TestDeterministic(t *testing.T) {
	const text = `
-- repo/requirements.txt --
a==1
b @ git+https://git.example/d.git@58c88e4952e95935c0dd72d4a24b0c44f2249f5b
c @ https://x.org/c.zip#cachito_hash=sha256:{sha256:c.zip}
-- registry/a-1.tar.gz --
-- registry/url/x.org/c.zip/x --
-- registry/git/git.example/d.git@58c88e4952e95935c0dd72d4a24b0c44f2249f5b/x --
content
-- registry/git/git.example/d.git@58c88e4952e95935c0dd72d4a24b0c44f2249f5b/a/b --
`
	first, second := resolve(t, text), resolve(t, text)
	must(t, errors.Join(first.Err, second.Err))
	if diff := cmp.Diff(first.Output, second.Output); diff != "" {
		t.Errorf("(-first +second):\n%s", diff)
	}
	for _, e := range first.Output.Deps {
		if e.Path == indexPage {
			want := "<!DOCTYPE html>\n<html>\n<head><meta charset=\"utf-8\"><title>Links</title></head>\n<body>\n" +
				`<a href="a/a-1.tar.gz#sha256=` + first.Output.Deps[0].File.SHA256 + `">a-1.tar.gz</a><br>` + "\n</body>\n</html>\n"
			if diff := cmp.Diff(want, string(e.Inline)); diff != "" {
				t.Errorf("index (-want +got):\n%s", diff)
			}
		}
	}
}

func TestStops(t *testing.T) {
	s, w := scenario(t, "-- repo/requirements.txt --\na==1\nb==1\n")
	ctx, cancel := context.WithCancel(t.Context())
	w.hosts[indexHost] = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { cancel() })
	res := s.RunContext(ctx, t, newResolver(t, nil), w.fetcher(t))
	if !errors.Is(res.Err, context.Canceled) {
		t.Errorf("got %v, want the context's error", res.Err)
	}
}

func TestSettings(t *testing.T) {
	for _, values := range []map[string]string{
		{},
		{"index_url": "file:///x"},
		{"index_url": "https://x/", "allowed_indexes": "x"},
		{"index_url": "https://x/", "refuse_yanked": "maybe"},
	} {
		if _, err := New(resolver.Settings{Values: values}); err == nil {
			t.Errorf("%v: got no error", values)
		}
	}
}
