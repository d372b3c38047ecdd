package pip

import (
	"net/http"
	"os"
	"path"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/resolver/resolvertest"
)

const cratesHost = "crates.example"

// crateFile is a published crate.
func crateFile(t testing.TB, name, version, manifest string) []byte {
	t.Helper()
	stem := name + "-" + version
	return pack(t, stem+".tar.gz", map[string]string{"Cargo.toml": manifest, "src/lib.rs": ""})
}

// rustWorld is a scenario with one sdist, from these files, and the crates a 1.0.0 and b-b 0.2.0+x.
func rustWorld(t testing.TB, files map[string]string) (resolvertest.Scenario, *world) {
	t.Helper()
	s, w := scenario(t, "-- request.json --\n{\"settings\": {\"crates_url\": \"https://"+cratesHost+"\"}}\n-- repo/requirements.txt --\nfoo==1\n-- repo/requirements-build.txt --\nbar==1\n-- registry/bar-1.tar.gz --\n")
	crates := map[string][]byte{
		"/a/a-1.0.0.crate": crateFile(t, "a", "1.0.0", "[package]\nname = \"a\"\nversion = \"1.0.0\"\nlinks = \"z\"\n[dependencies.b]\nversion = \"0.2\"\npackage = \"b-b\"\noptional = true\ndefault-features = false\nfeatures = [\"f\"]\n"+
			"[target.\"cfg(unix)\".build-dependencies]\nc = \"1\"\n[features]\ndefault = []\nx = [\"dep:b\"]\n"),
		"/b-b/b-b-0.2.0%2Bx.crate": crateFile(t, "b-b", "0.2.0+x", "[package]\nname = \"b-b\"\nversion = \"0.2.0+x\"\n"),
	}
	w.hosts[cratesHost] = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		content, ok := crates[r.URL.EscapedPath()]
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Write(content)
	})
	full := map[string]string{"PKG-INFO": "Name: foo\nVersion: 1\n"}
	for name, text := range files {
		text = strings.ReplaceAll(text, "SUM-A", digest(crates["/a/a-1.0.0.crate"]))
		full[name] = strings.ReplaceAll(text, "SUM-B", digest(crates["/b-b/b-b-0.2.0%2Bx.crate"]))
	}
	w.index.add("foo-1.tar.gz", pack(t, "foo-1.tar.gz", full))
	return s, w
}

const (
	registrySource = "source = \"registry+https://github.com/rust-lang/crates.io-index\"\n"
	goodLock       = "version = 3\n[[package]]\nname = \"foo\"\nversion = \"0.1.0\"\n" +
		"[[package]]\nname = \"a\"\nversion = \"1.0.0\"\n" + registrySource + "checksum = \"SUM-A\"\n" +
		"[[package]]\nname = \"b-b\"\nversion = \"0.2.0+x\"\n" + registrySource + "checksum = \"SUM-B\"\n"
	maturin = "[build-system]\nrequires = [\"maturin>=1\"]\n"
)

func TestCrates(t *testing.T) {
	const crates = "cargo-home/config.toml pip-cargo/a-1.0.0.crate pip-cargo/b-b-0.2.0+x.crate pip-cargo/index/1/a pip-cargo/index/3/b/b-b"
	tests := []struct {
		name    string
		files   map[string]string
		want    string
		kind    fault.Type
		wantErr string
		wantLog string
	}{
		{name: "maturin", files: map[string]string{"pyproject.toml": maturin, "Cargo.lock": goodLock}, want: crates},
		{name: "setuptools-rust in setup.cfg", files: map[string]string{"setup.cfg": "[options]\nsetup_requires =\n    wheel\n    setuptools-rust>=1\n", "Cargo.lock": goodLock}, want: crates},
		{name: "setuptools_rust in setup.py", files: map[string]string{"setup.py": "setup(setup_requires=['wheel', 'setuptools_rust>=1'])", "rust/Cargo.lock": goodLock}, want: crates},
		{name: "the shallowest lockfile", files: map[string]string{"pyproject.toml": maturin, "a/b/Cargo.lock": "no", "z/Cargo.lock": goodLock}, want: crates},
		{name: "version 1 of the lockfile", files: map[string]string{"pyproject.toml": maturin, "Cargo.lock": strings.NewReplacer("checksum = \"SUM-A\"\n", "", "checksum = \"SUM-B\"\n", "").Replace(goodLock) +
			"[metadata]\n\"checksum a 1.0.0 (registry+https://github.com/rust-lang/crates.io-index)\" = \"SUM-A\"\n\"checksum b-b 0.2.0+x (registry+https://github.com/rust-lang/crates.io-index)\" = \"SUM-B\"\n"}, want: crates},
		{name: "no Rust", files: map[string]string{"pyproject.toml": "[build-system]\nrequires = [\"setuptools\"]\n", "Cargo.lock": goodLock}},
		{name: "no Cargo files", files: map[string]string{"pyproject.toml": maturin}},
		{name: "no lockfile", files: map[string]string{"pyproject.toml": maturin, "Cargo.toml": ""}, wantLog: "has no Cargo.lock"},
		{name: "crates from elsewhere", files: map[string]string{"pyproject.toml": maturin, "Cargo.lock": goodLock + "[[package]]\nname = \"g\"\nversion = \"1.0.0\"\nsource = \"git+https://u:p@h/g#abc\"\n"}, want: crates, wantLog: "g 1.0.0 (git+https://h/g#abc)"},
		{name: "malformed", files: map[string]string{"pyproject.toml": maturin, "Cargo.lock": "x"}, kind: fault.InvalidFileFormat, wantErr: "Cargo.lock of foo==1 is not a valid lockfile: …"},
		{name: "a hostile name", files: map[string]string{"pyproject.toml": maturin, "Cargo.lock": "[[package]]\nname = \"../x\"\nversion = \"1.0.0\"\n" + registrySource + "checksum = \"SUM-A\"\n"}, kind: fault.InvalidFileFormat, wantErr: "Cargo.lock of foo==1: the crate \"../x\" \"1.0.0\" has no usable name, version and checksum"},
		{name: "a hostile version", files: map[string]string{"pyproject.toml": maturin, "Cargo.lock": "[[package]]\nname = \"x\"\nversion = \"1.0.0-/../x\"\n" + registrySource + "checksum = \"SUM-A\"\n"}, kind: fault.InvalidFileFormat, wantErr: "Cargo.lock of foo==1: …"},
		{name: "no checksum", files: map[string]string{"pyproject.toml": maturin, "Cargo.lock": "[[package]]\nname = \"x\"\nversion = \"1.0.0\"\n" + registrySource}, kind: fault.InvalidFileFormat, wantErr: "Cargo.lock of foo==1: …"},
		{name: "a wrong checksum", files: map[string]string{"pyproject.toml": maturin, "Cargo.lock": strings.Replace(goodLock, "SUM-A", "SUM-B", 1)}, kind: fault.InvalidChecksum, wantErr: "Failed to verify checksum of a-1.0.0.crate against any of the provided hashes"},
		{name: "another crate", files: map[string]string{"pyproject.toml": maturin, "Cargo.lock": strings.ReplaceAll(goodLock, "\"1.0.0\"", "\"1.0.1\"")}, kind: fault.NetworkError, wantErr: "Could not download https://crates.example/a/a-1.0.1.crate: 404 Not Found"},
		{name: "a large lockfile", files: map[string]string{"pyproject.toml": maturin, "Cargo.lock": strings.Repeat("#", maxCargoLockBytes+1)}, kind: fault.ValidationError, wantErr: "Cannot open foo-1.tar.gz as a source file. Error: Cargo.lock is larger than 2097152 bytes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, w := rustWorld(t, tt.files)
			res := s.Run(t, newResolver(t, s.Request.Settings), w.fetcher(t))
			wantFault(t, res.Err, fault.OriginClient, tt.kind, tt.wantErr)
			if !strings.Contains(res.Log, tt.wantLog) {
				t.Errorf("the log lacks %q:\n%s", tt.wantLog, res.Log)
			}
			if tt.wantErr != "" {
				return
			}
			var got []string
			for _, e := range res.Output.Deps {
				if !strings.HasPrefix(e.Path, "pip/") {
					got = append(got, e.Path)
				}
			}
			if diff := cmp.Diff(tt.want, strings.Join(got, " ")); diff != "" {
				t.Errorf("files (-want +got):\n%s", diff)
			}
			if _, ok := res.Output.EnvironmentVariables["CARGO_HOME"]; ok != (tt.want != "") {
				t.Errorf("CARGO_HOME is set: %v", ok)
			}
		})
	}
}

// TestCratesReported: crates are dependencies of a type of their own, and the index says what cargo needs.
func TestCratesReported(t *testing.T) {
	s, w := rustWorld(t, map[string]string{"pyproject.toml": maturin, "Cargo.lock": goodLock})
	res := s.Run(t, newResolver(t, s.Request.Settings), w.fetcher(t))
	must(t, res.Err)
	want := "pip repo -\n  cargo a 1.0.0\n  cargo b-b 0.2.0+x\n  pip bar 1 dev\n  pip foo 1\n"
	if diff := cmp.Diff(want, resolvertest.Packages(res.Output)); diff != "" {
		t.Errorf("packages (-want +got):\n%s", diff)
	}
	for _, id := range []string{"pkg:cargo/a@1.0.0", "pkg:cargo/b-b@0.2.0%2Bx"} {
		if len(res.Output.Checksums[id]) != 1 {
			t.Errorf("%s has the checksums %v", id, res.Output.Checksums[id])
		}
	}
	dir := t.TempDir()
	res.Unpack(t, dir)
	line, err := os.ReadFile(path.Join(dir, "deps/pip-cargo/index/1/a"))
	must(t, err)
	content, err := os.ReadFile(path.Join(dir, "deps/pip-cargo/a-1.0.0.crate"))
	must(t, err)
	wantLine := `{"name":"a","vers":"1.0.0","deps":[{"name":"b","req":"0.2","features":["f"],"optional":true,"default_features":false,"target":null,"kind":"normal","package":"b-b"},` +
		`{"name":"c","req":"1","features":[],"optional":false,"default_features":true,"target":"cfg(unix)","kind":"build"}],"cksum":"` + digest(content) +
		`","features":{"default":[]},"features2":{"x":["dep:b"]},"yanked":false,"links":"z","v":2}` + "\n"
	if diff := cmp.Diff(wantLine, string(line)); diff != "" {
		t.Errorf("index (-want +got):\n%s", diff)
	}
	t.Run("not unless it is switched on", func(t *testing.T) {
		s.Request.Settings = nil
		res := s.Run(t, newResolver(t, nil), w.fetcher(t))
		must(t, res.Err)
		if got := resolvertest.Entries(res.Output.Deps); strings.Contains(got, "cargo") {
			t.Errorf("got %s", got)
		}
	})
}
