package pip

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/resolver/resolvertest"
)

// asks is the request.json that names a lockfile.
func asks(file, binary string) string {
	if binary != "" {
		binary = `, "binary": ` + binary
	}
	return "-- request.json --\n" + `{"packages": [{"requirements_files": ["` + file + `"]` + binary + `}]}` + "\n"
}

const lockedWorld = `
-- registry/six-1.16.0.tar.gz --
-- registry/six-1.16.0-py2.py3-none-any.whl --
-- registry/idna-3.4.tar.gz --
-- registry/url/x.org/direct-1.0.tar.gz/x --
-- registry/git/git.example/team/tagged@58c88e4952e95935c0dd72d4a24b0c44f2249f5b/setup.py --
`

func TestLockfiles(t *testing.T) {
	const uv = `
-- repo/uv.lock --
version = 1
revision = 3
requires-python = ">=3.9"
[[package]]
name = "app"
version = "0.1.0"
source = { editable = "." }
dependencies = [{ name = "six" }, { name = "lib", extra = ["x"] }]
[package.optional-dependencies]
more = [{ name = "tagged" }]
[package.dev-dependencies]
dev = [{ name = "idna" }]
[[package]]
name = "lib"
source = { directory = "libs/lib" }
dependencies = [{ name = "direct" }]
[[package]]
name = "six"
version = "1.16.0"
source = { registry = "https://other.example/simple" }
sdist = { url = "https://files.pypi.example/six-1.16.0.tar.gz", hash = "sha256:{sha256:six-1.16.0.tar.gz}", size = 1 }
wheels = [{ url = "https://files.pypi.example/six-1.16.0-py2.py3-none-any.whl", hash = "sha256:{sha256:six-1.16.0-py2.py3-none-any.whl}" }]
[[package]]
name = "idna"
version = "3.4"
source = { registry = "https://other.example/simple" }
sdist = { url = "https://files.pypi.example/idna-3.4.tar.gz", hash = "sha256:{sha256:idna-3.4.tar.gz}" }
[[package]]
name = "direct"
version = "1.0"
source = { url = "https://x.org/direct-1.0.tar.gz" }
sdist = { hash = "sha256:{sha256:direct-1.0.tar.gz}" }
[[package]]
name = "tagged"
version = "1.5"
source = { git = "https://git.example/team/tagged?tag=v1&subdirectory=a#58c88e4952e95935c0dd72d4a24b0c44f2249f5b" }
`
	const poetry = `
-- repo/poetry.lock --
[[package]]
name = "six"
version = "1.16.0"
groups = ["main", "dev"]
files = [
	{ file = "six-1.16.0-py2.py3-none-any.whl", hash = "sha256:{sha256:six-1.16.0-py2.py3-none-any.whl}" },
	{ file = "six-1.16.0.tar.gz", hash = "sha256:{sha256:six-1.16.0.tar.gz}" },
]
[[package]]
name = "idna"
version = "3.4"
groups = ["dev"]
files = [{ file = "idna-3.4.tar.gz", hash = "sha256:{sha256:idna-3.4.tar.gz}" }]
[[package]]
name = "direct"
version = "1.0"
files = [{ file = "direct-1.0.tar.gz", hash = "sha256:{sha256:direct-1.0.tar.gz}" }]
[package.source]
type = "url"
url = "https://x.org/direct-1.0.tar.gz"
[[package]]
name = "tagged"
version = "1.5"
files = []
[package.source]
type = "git"
url = "https://git.example/team/tagged"
reference = "main"
resolved_reference = "58c88e4952e95935c0dd72d4a24b0c44f2249f5b"
[[package]]
name = "lib"
version = "0.1.0"
files = []
[package.source]
type = "directory"
url = "libs/lib"
[metadata]
lock-version = "2.1"
`
	const pylock = `
-- repo/pylock.docs.toml --
lock-version = "1.0"
created-by = "pip"
[[packages]]
name = "six"
version = "1.16.0"
marker = "python_version > '3'"
sdist = { url = "https://files.pypi.example/six-1.16.0.tar.gz", hashes = { md5 = "00", sha256 = "{sha256:six-1.16.0.tar.gz}" } }
wheels = [{ name = "six-1.16.0-py2.py3-none-any.whl", url = "https://files.pypi.example/six-1.16.0-py2.py3-none-any.whl", hashes = { sha256 = "{sha256:six-1.16.0-py2.py3-none-any.whl}" } }]
[[packages]]
name = "idna"
version = "3.4"
sdist = { name = "idna-3.4.tar.gz", url = "https://files.pypi.example/idna-3.4.tar.gz", hashes = { sha256 = "{sha256:idna-3.4.tar.gz}" } }
[[packages]]
name = "direct"
archive = { url = "https://x.org/direct-1.0.tar.gz", hashes = { sha256 = "{sha256:direct-1.0.tar.gz}", sha512 = "00" } }
[[packages]]
name = "tagged"
vcs = { type = "git", url = "https://git.example/team/tagged", requested-revision = "v1", commit-id = "58c88e4952e95935c0dd72d4a24b0c44f2249f5b" }
[[packages]]
name = "lib"
directory = { path = "libs/lib", editable = true }
`
	direct := func(dev string) string {
		return "  pip direct https://x.org/direct-1.0.tar.gz#cachito_hash=sha256:DIRECT\n  pip idna 3.4" + dev +
			"\n  pip six 1.16.0\n  pip tagged git+https://git.example/team/tagged@58c88e4952e95935c0dd72d4a24b0c44f2249f5b\n"
	}
	const files = "external-direct/direct-external-sha256-DIRECT.tar.gz git.example/team/tagged/tagged-external-gitcommit-58c88e4952e95935c0dd72d4a24b0c44f2249f5b.tar.gz idna/idna-3.4.tar.gz six/six-1.16.0.tar.gz"
	tests := []struct{ name, text, want, wantFiles string }{
		{"uv.lock", asks("uv.lock", "") + uv, "pip repo -\n" + direct(" dev") + "pip lib - (libs/lib)\n", files},
		{"poetry.lock", asks("poetry.lock", "") + poetry, "pip repo -\n" + direct(" dev") + "pip lib 0.1.0 (libs/lib)\n", files},
		{"pylock.toml", asks("pylock.docs.toml", "") + pylock, "pip repo -\n" + direct("") + "pip lib - (libs/lib)\n", files},
		{"wheels of uv.lock", asks("uv.lock", `{"packages": "six"}`) + uv, "pip repo -\n" + direct(" dev") + "pip lib - (libs/lib)\n", strings.Replace(files, "six-1.16.0.tar.gz", "six-1.16.0-py2.py3-none-any.whl", 1)},
		{"wheels of poetry.lock", asks("poetry.lock", `{"packages": "six"}`) + poetry, "pip repo -\n" + direct(" dev") + "pip lib 0.1.0 (libs/lib)\n", strings.Replace(files, "six-1.16.0.tar.gz", "six-1.16.0-py2.py3-none-any.whl", 1)},
		{
			"poetry.lock 1.1", asks("poetry.lock", "") + "-- repo/poetry.lock --\n[[package]]\nname = \"Six\"\nversion = \"1.16.0\"\ncategory = \"dev\"\n[metadata]\nlock-version = \"1.1\"\n[metadata.files]\nsix = [{file = \"six-1.16.0.tar.gz\", hash = \"sha256:{sha256:six-1.16.0.tar.gz}\"}]\n",
			"pip repo -\n  pip six 1.16.0 dev\n", "six/six-1.16.0.tar.gz",
		},
		{"uv.lock without a project", asks("uv.lock", "") + "-- repo/uv.lock --\nversion = 1\n[[package]]\nname = \"six\"\nversion = \"1.16.0\"\nsdist = { url = \"https://files.pypi.example/six-1.16.0.tar.gz\", hash = \"sha256:{sha256:six-1.16.0.tar.gz}\" }\n", "pip repo -\n  pip six 1.16.0\n", "six/six-1.16.0.tar.gz"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, w := scenario(t, tt.text+lockedWorld)
			res := s.Run(t, newResolver(t, nil), w.fetcher(t))
			must(t, res.Err)
			sum := digest(w.index.files["direct-1.0.tar.gz"])
			if diff := cmp.Diff(strings.ReplaceAll(tt.want, "DIRECT", sum), resolvertest.Packages(res.Output)); diff != "" {
				t.Errorf("packages (-want +got):\n%s", diff)
			}
			var got []string
			for _, e := range res.Output.Deps {
				if e.Path != indexPage {
					got = append(got, strings.TrimPrefix(e.Path, "pip/"))
				}
			}
			if diff := cmp.Diff(strings.ReplaceAll(tt.wantFiles, "DIRECT", sum), strings.Join(got, " ")); diff != "" {
				t.Errorf("files (-want +got):\n%s", diff)
			}
			if len(res.Output.Unverified) > 0 || len(res.Output.Overlays) > 0 {
				t.Errorf("unverified %v, overlays %v; want none", res.Output.Unverified, res.Output.Overlays)
			}
		})
	}
}

func TestLockfilesRefused(t *testing.T) {
	const zeros = "sha256:0000000000000000000000000000000000000000000000000000000000000000"
	uvPackage := func(rest string) string {
		return "version = 1\n[[package]]\nname = \"six\"\nversion = \"1.16.0\"\n" + rest
	}
	pyPackage := func(rest string) string {
		return "lock-version = \"1.0\"\n[[packages]]\nname = \"six\"\nversion = \"1.16.0\"\n" + rest
	}
	poetryPackage := func(rest string) string {
		return "[metadata]\nlock-version = \"2.0\"\n[[package]]\nname = \"six\"\nversion = \"1.16.0\"\n" + rest
	}
	tests := []struct {
		name, file, text string
		kind             fault.Type
		want             string
	}{
		{"no TOML", "uv.lock", "version = \n", fault.InvalidFileFormat, "uv.lock is not a valid lockfile: …"},
		{"another version of uv", "uv.lock", "version = 2\n", fault.UnsupportedFeature, "uv.lock: version 2 of the format is not supported, only 1 is"},
		{"another version of Poetry", "poetry.lock", "[metadata]\nlock-version = \"3.0\"\n", fault.UnsupportedFeature, `poetry.lock: lock-version "3.0" is not supported; 1.1 and 2.x are`},
		{"another version of pylock.toml", "pylock.toml", "lock-version = \"2.0\"\n", fault.UnsupportedFeature, `pylock.toml: lock-version "2.0" is not supported, 1.x is`},
		{"uv without sdist", "uv.lock", uvPackage("wheels = [{ url = \"https://x/six-1.16.0-py3-none-any.whl\", hash = \"" + zeros + "\" }]"), fault.InvalidRequestData, "No distributions found for package six==1.16.0"},
		{"uv without files", "uv.lock", uvPackage(""), fault.InvalidRequestData, "No distributions found for package six==1.16.0"},
		{"pylock without files", "pylock.toml", pyPackage(""), fault.InvalidRequestData, "No distributions found for package six==1.16.0"},
		{"uv without a hash", "uv.lock", uvPackage("sdist = { url = \"https://x/six-1.16.0.tar.gz\" }"), fault.ValidationError, "Hash is required, dependency does not specify any: six==1.16.0 (uv.lock)"},
		{"uv, URL without a hash", "uv.lock", uvPackage("source = { url = \"https://u:p@x/six.zip\" }"), fault.ValidationError, "Hash is required, dependency does not specify any: six @ https://x/six.zip (uv.lock)"},
		{"pylock without a hash", "pylock.toml", pyPackage("sdist = { url = \"https://x/six-1.16.0.tar.gz\", hashes = {} }"), fault.ValidationError, "Hash is required, dependency does not specify any: six==1.16.0 (pylock.toml)"},
		{"Poetry without a hash", "poetry.lock", poetryPackage("files = []"), fault.ValidationError, "Hash is required, dependency does not specify any: six==1.16.0 (poetry.lock)"},
		{"uv outside", "uv.lock", uvPackage("source = { editable = \"../x\" }"), fault.ValidationError, "uv.lock: the path '../x' of six is outside of the repository"},
		{"Poetry outside", "poetry.lock", poetryPackage("source = { type = \"directory\", url = \"/x\" }"), fault.ValidationError, "poetry.lock: the path '/x' of six is outside of the repository"},
		{"pylock outside", "pylock.toml", pyPackage("archive = { path = \"../x.zip\" }"), fault.ValidationError, "pylock.toml: the path '../x.zip' of six is outside of the repository"},
		{"uv, a registry that is a folder", "uv.lock", uvPackage("sdist = { path = \"six-1.16.0.tar.gz\", hash = \"" + zeros + "\" }"), fault.UnsupportedFeature, `uv.lock: six 1.16.0 is not at a URL, but at "six-1.16.0.tar.gz"`},
		{"pylock, a file", "pylock.toml", pyPackage("sdist = { path = \"six-1.16.0.tar.gz\" }"), fault.UnsupportedFeature, `pylock.toml: six 1.16.0 is not at a URL, but at "six-1.16.0.tar.gz"`},
		{"pylock, Mercurial", "pylock.toml", pyPackage("vcs = { type = \"hg\", url = \"https://x\" }"), fault.UnsupportedFeature, "pylock.toml: six comes from hg; only git is supported"},
		{"uv, git without a commit", "uv.lock", uvPackage("source = { git = \"https://h/a?rev=main\" }"), fault.ValidationError, "No git ref in six @ git+https://h/a@ (expected 40 hexadecimal characters)"},
		{"uv, git over ssh", "uv.lock", uvPackage("source = { git = \"ssh://git@h/a#" + aCommit + "\" }"), fault.ValidationError, "Direct references with 'git+ssh' scheme are not supported, …"},
		{"Poetry, an index that is not allowed", "poetry.lock", poetryPackage("files = [{file = \"x\", hash = \"" + zeros + "\"}]\nsource = { type = \"legacy\", url = \"https://evil.example/simple\" }"), fault.ValidationError, "The index https://evil.example/simple of poetry.lock is not allowed here; …"},
		{"a hostile name", "uv.lock", "version = 1\n[[package]]\nname = \"../x\"\nversion = \"1\"\n", fault.ValidationError, "Unable to parse the requirement '../x==1': …"},
		{"a hostile version", "uv.lock", "version = 1\n[[package]]\nname = \"x\"\nversion = \"1/../..\"\n", fault.ValidationError, "Unable to parse the requirement 'x==1/../..': …"},
		{"a wrong hash", "poetry.lock", poetryPackage("files = [{file = \"six-1.16.0.tar.gz\", hash = \"" + zeros + "\"}]"), fault.InvalidChecksum, "Failed to verify checksum of six-1.16.0.tar.gz against any of the provided hashes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			res := resolve(t, asks(tt.file, "")+"-- repo/"+tt.file+" --\n"+tt.text+lockedWorld)
			wantFault(t, res.Err, fault.OriginClient, tt.kind, tt.want)
		})
	}
}

// FuzzLockfiles: whatever a lockfile says, what it asks for is pinned, and stays in its folder.
func FuzzLockfiles(f *testing.F) {
	f.Add("uv.lock", "version = 1\n[[package]]\nname = \"six\"\nversion = \"1\"\nsource = { git = \"https://h/a?rev=x#"+aCommit+"\" }\n")
	f.Add("poetry.lock", "[metadata]\nlock-version = \"2.1\"\n[[package]]\nname = \"six\"\nversion = \"1\"\nfiles = [{file = \"x\", hash = \"sha256:00\"}]\n")
	f.Add("pylock.toml", "lock-version = \"1.0\"\n[[packages]]\nname = \"six\"\ndirectory = { path = \"a/b\" }\n")
	f.Fuzz(func(t *testing.T, name, text string) {
		parse := lockfileParser(name)
		if parse == nil {
			return
		}
		l := &lockfile{requirementsFile: &requirementsFile{path: "d/" + name}, indexes: indexes{standard: "https://pypi.example/"}}
		if err := parse(l, text); err != nil {
			if !fault.IsClient(err) {
				t.Errorf("got %v", err)
			}
			return
		}
		for _, local := range l.locals {
			if !isLocal(local.path) {
				t.Errorf("%q leaves the repository", local.path)
			}
		}
		for _, r := range l.requirements {
			if r.kind == fromIndex && r.version == "" && r.check(false) == nil {
				t.Errorf("%q is not pinned", r.line)
			}
		}
	})
}
