package yarn

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/packages"
	"github.com/cachito-serverless/cachito/shared/resolver/javascript/javascripttest"
	"github.com/cachito-serverless/cachito/shared/resolver/resolvertest"
)

// check resolves a scenario that is given as text, and compares what it wants.
func check(t *testing.T, text string) resolvertest.Result {
	t.Helper()
	return javascripttest.Check(t, text, resolve)
}

const app = `
-- repo/package.json --
{"name": "app", "version": "1.0.0", "dependencies": {"l": "link:./l", "s": "^1"}, "devDependencies": {"d": "^1"}}
`

// lockOf is an application with this yarn.lock.
func lockOf(text string) string {
	return app + "-- repo/yarn.lock --\n# yarn lockfile v1\n\n\n" + text + "\n"
}

// refused is what a case wants that ends in a fault of the client's.
func refused(kind, text string) string {
	return "-- want/error --\nclient " + kind + "\n" + text + "\n"
}

const (
	chai = `chai@^4.0.0:
  version "4.2.0"
  resolved "Y/chai/-/chai-4.2.0.tgz#SHA1(chai-4.2.0.tgz)"
-- registry/registry.example/chai/-/chai-4.2.0.tgz --
chai 4.2.0
`
	fecha = `
-- registry/x.test/f.tgz --
fecha 4.2.0
`
	s1 = `
-- registry/registry.example/s/-/s-1.0.0.tgz --
s 1.0.0
`
)

const fileRefused = "l@file:l is a 'file:' dependency. File dependencies are allowed if: a) the dependency is declared as a workspace in package.json or b) the dependency is present in the server-side allowlist."

// The Y cases, and each sentence of upstream's. Those with more to see are scenarios in testdata.
func TestCases(t *testing.T) {
	for _, test := range []struct{ name, text string }{
		{"Y01 no yarn.lock", app + refused("InvalidRepoStructure", "File check failed for yarn: the yarn.lock file must be present")},
		{"Y01 no package.json", "-- repo/yarn.lock --\n" + refused("InvalidRepoStructure", "File check failed for yarn: the package.json file must be present")},
		{"Y02 package-lock.json, path web", `
-- request.json --
{"packages": [{"path": "web"}]}
-- repo/web/package.json --
-- repo/web/yarn.lock --
-- repo/web/package-lock.json --
` + refused("InvalidRepoStructure", "File check failed for yarn: the web/package-lock.json file must not be present")},
		{"Y02 npm-shrinkwrap.json", lockOf("") + "-- repo/npm-shrinkwrap.json --\n" + refused("InvalidRepoStructure", "File check failed for yarn: the npm-shrinkwrap.json file must not be present")},
		{"Y03 node_modules", lockOf("") + "-- repo/node_modules/x --\n" + refused("InvalidRepoStructure", "File check failed for yarn: the node_modules directory must not be present")},
		{"Y03 node_modules is a dangling link", `
-- request.json --
{"links": {"node_modules": "nowhere"}}
` + lockOf("") + refused("InvalidRepoStructure", "File check failed for yarn: the node_modules directory must not be present")},
		{"Y04 yarn.lock is a folder", app + "-- repo/yarn.lock/x --\n" + refused("InvalidRepoStructure", "File check failed for yarn: yarn.lock must be a file")},
		{"Y05 no version", "-- repo/package.json --\n{\"name\": \"app\"}\n-- repo/yarn.lock --\n" + refused("InvalidRequestData", "The package.json file is missing required data (name, version)")},
		{"Y05 no name", "-- repo/package.json --\n{\"version\": \"1\"}\n-- repo/yarn.lock --\n" + refused("InvalidRequestData", "The package.json file is missing required data (name, version)")},
		{"Y05 the name is no text", "-- repo/package.json --\n{\"name\": [1], \"version\": \"1\"}\n-- repo/yarn.lock --\n" + refused("InvalidRequestData", "The package.json file is missing required data (name, version)")},
		{"Y06 of the registry", lockOf(chai) + `
-- want/packages --
yarn app 1.0.0
  yarn chai 4.2.0 dev
-- want/deps --
yarn/chai/chai-4.2.0.tgz
yarn/mirror/chai-4.2.0.tgz -> ../chai/chai-4.2.0.tgz
`},
		{"Y07 with a scope", lockOf(`"@types/ms@0.7.34":
  version "0.7.34"
  resolved "Y/@types/ms/-/ms-0.7.34.tgz#SHA1(ms-0.7.34.tgz)"
-- registry/registry.example/@types/ms/-/ms-0.7.34.tgz --
@types/ms 0.7.34
-- want/deps --
yarn/@types/ms/types-ms-0.7.34.tgz
yarn/mirror/@types-ms-0.7.34.tgz -> ../@types/ms/types-ms-0.7.34.tgz`)},
		{"Y08 an alias", lockOf(`"x@npm:isarray@2.0.5":
  version "2.0.5"
  resolved "Y/isarray/-/isarray-2.0.5.tgz"
-- registry/registry.example/isarray/-/isarray-2.0.5.tgz --
isarray 2.0.5
-- want/packages --
yarn app 1.0.0
  yarn isarray 2.0.5 dev`)},
		{"Y09 the second key is wanted at run time", lockOf(`"d@^1", "d@^1.1.0":
  version "1.0.0"
  resolved "Y/d/-/d-1.0.0.tgz"

s@^1:
  version "1.0.0"
  resolved "Y/s/-/s-1.0.0.tgz"
  dependencies:
    d "^1.1.0"
-- registry/registry.example/d/-/d-1.0.0.tgz --
d 1.0.0
-- want/packages --
yarn app 1.0.0
  yarn d 1.0.0
  yarn s 1.0.0` + s1)},
		{"Y10 devDependencies only", lockOf(`d@^1:
  version "1.0.0"
  resolved "Y/d/-/d-1.0.0.tgz"
-- registry/registry.example/d/-/d-1.0.0.tgz --
d 1.0.0
-- want/packages --
yarn app 1.0.0
  yarn d 1.0.0 dev`)},
		{"Y11 a need of a need", lockOf(`s@^1:
  version "1.0.0"
  resolved "Y/s/-/s-1.0.0.tgz"
  dependencies:
    "@q/r" "^2"
"@q/r@^2":
  version "2.0.0"
  resolved "Y/@q/r/-/r-2.0.0.tgz"
-- registry/registry.example/@q/r/-/r-2.0.0.tgz --
@q/r 2.0.0
-- want/packages --
yarn app 1.0.0
  yarn @q/r 2.0.0
  yarn s 1.0.0` + s1)},
		{"Y12, Y13 workspaces", `
-- repo/package.json --
{"name": "app", "version": "1.0.0", "workspaces": {"packages": ["packages/*"]}}
-- repo/packages/w/package.json --
{"name": "w", "version": "1.0.0", "dependencies": {"s": "^1"}}
-- repo/packages/empty/readme --
-- repo/yarn.lock --
s@^1:
  version "1.0.0"
  resolved "Y/s/-/s-1.0.0.tgz"
-- want/packages --
yarn app 1.0.0
  yarn s 1.0.0
  yarn w file:packages/w` + s1},
		{"Y14 a workspace is a link out of the package", `
-- request.json --
{"packages": [{"path": "web"}], "links": {"web/packages/w": "../../other"}}
-- repo/web/package.json --
{"name": "app", "version": "1.0.0", "workspaces": ["packages/*"]}
-- repo/other/package.json --
{"name": "w", "version": "1.0.0"}
-- repo/web/yarn.lock --
` + refused("InvalidRepoStructure", "Workspace path leads outside the package root: packages/w/package.json")},
		{"Y15 a tarball by SHA-1", lockOf(`"fecha@https://x.test/f.tgz":
  version "4.2.0"
  resolved "https://x.test/f.tgz#SHA1(f.tgz)"
-- want/packages --
yarn app 1.0.0
  yarn fecha https://x.test/f.tgz#SHA1(f.tgz) dev
-- want/deps --
yarn/external-fecha/fecha-4.2.0-external-sha1-SHA1(f.tgz).tgz
yarn/mirror/f.tgz -> ../external-fecha/fecha-4.2.0-external-sha1-SHA1(f.tgz).tgz` + fecha)},
		{"Y16 the strongest digest", lockOf(`"fecha@https://x.test/f.tgz":
  version "4.2.0"
  resolved "https://x.test/f.tgz#SHA1(f.tgz)"
  integrity "sha1-AAAAAAAAAAAAAAAAAAAAAAAAAAA= SRI(f.tgz)"
-- want/deps --
yarn/external-fecha/fecha-4.2.0-external-sha512-HEX(f.tgz).tgz
yarn/mirror/f.tgz -> ../external-fecha/fecha-4.2.0-external-sha512-HEX(f.tgz).tgz` + fecha)},
		{"Y16 the version is that of the archive", lockOf(`"fecha@https://x.test/f.tgz":
  version "9.9.9"
  resolved "https://x.test/f.tgz#SHA1(f.tgz)"
-- want/deps --
yarn/external-fecha/fecha-4.2.0-external-sha1-SHA1(f.tgz).tgz
yarn/mirror/f.tgz -> ../external-fecha/fecha-4.2.0-external-sha1-SHA1(f.tgz).tgz` + fecha)},
		{"Y17 a git repository", lockOf(`"g@git+https://h/o/g.git#main":
  version "1.0.0"
  resolved "git+https://h/o/g.git#COMMIT"
-- registry/git/h/o/g.git/package.json --
{"name": "g", "version": "1.2.3"}
-- want/packages --
yarn app 1.0.0
  yarn g git+https://h/o/g.git#COMMIT dev
-- want/deps --
yarn/external-g/g-1.2.3-external-gitcommit-COMMIT.tgz
yarn/mirror/g.git-COMMIT`)},
		{"Y18 file: is refused", lockOf(`"l@file:./l":
  version "0.0.0"`) + refused("InvalidRepoStructure", fileRefused)},
		{"Y18 allowed for another package only", `
-- request.json --
{"settings": {"file_deps_allowlist": "{\"other\": [\"l\"]}"}}
` + lockOf(`"l@./l":
  version "0.0.0"`) + refused("InvalidRepoStructure", fileRefused)},
		{"Y19 link: allowed by name", `
-- request.json --
{"settings": {"file_deps_allowlist": "{\"app\": [\"l\"]}"}}
` + lockOf(`"l@link:./l":
  version "0.0.0"
-- want/packages --
yarn app 1.0.0
  yarn l file:l`)},
		{"Y19 leads out of the repository", `
-- request.json --
{"settings": {"file_deps_allowlist": "{\"app\": [\"l\"]}"}}
` + lockOf(`"l@link:../l":
  version "0.0.0"`) + refused("InvalidRepoStructure", "The path ../l of the dependency l leads out of the repository")},
		{"Y19 an absolute path", `
-- request.json --
{"settings": {"file_deps_allowlist": "{\"app\": [\"l\"]}"}}
` + lockOf(`"l@file:/etc":
  version "0.0.0"`) + refused("InvalidRepoStructure", "The path /etc of the dependency l leads out of the repository")},
		{"Y19 a tarball of the repository, as resolved", `
-- request.json --
{"settings": {"file_deps_allowlist": "{\"app\": [\"is-buffer\", \"boxen\"]}"}}
` + lockOf(`is-buffer@./ext/is-buffer-1.1.6.tgz:
  version "1.1.6"
  resolved "./ext/is-buffer-1.1.6.tgz#efaa2ea9daa0d7ab2ea13a97b2b8ad51fefbe8be"
"boxen@file:ext/boxen-5.1.2.tgz":
  version "5.1.2"
  resolved "file:ext/boxen-5.1.2.tgz#788cb686fc83c1f486dfa8a40c68fc2b831d2b50"
-- want/packages --
yarn app 1.0.0
  yarn boxen file:ext/boxen-5.1.2.tgz#788cb686fc83c1f486dfa8a40c68fc2b831d2b50 dev
  yarn is-buffer file:ext/is-buffer-1.1.6.tgz#efaa2ea9daa0d7ab2ea13a97b2b8ad51fefbe8be dev
-- want/deps --
yarn/`)},
		{"a password in a URL is not reported", lockOf(`"fecha@https://x.test/f.tgz":
  version "4.2.0"
  resolved "https://user:secret@x.test/f.tgz#SHA1(f.tgz)"
-- want/packages --
yarn app 1.0.0
  yarn fecha https://x.test/f.tgz#SHA1(f.tgz) dev` + fecha)},
		{"an outdated lockfile is told in the log", lockOf("") + `-- want/log --
file=yarn.lock missing="package.json needs d@^1"
file=yarn.lock missing="package.json needs l@link:./l"
-- want/packages --
yarn app 1.0.0
`},
		{"Y20 no source", lockOf(`z@^1:
  version "1.0.0"`) + refused("InvalidRequestData", "The dependency z@1.0.0 has no source")},
		{"Y21 berry", app + "-- repo/yarn.lock --\n# comment\n\n__metadata:\n  version: 6\n  cacheKey: 8\n" +
			refused("InvalidRepoStructure", "Unable to determine the yarn version to use to process the request")},
		{"Y21 berry, whose package.json often has no version", "-- repo/package.json --\n{\"name\": \"app\", \"packageManager\": \"yarn@5.0.0\"}\n-- repo/yarn.lock --\n__metadata:\n  version: 8\n" +
			refused("UnsupportedFeature", "Unsupported Yarn version '5.0.0' detected")},

		{"git without a commit", lockOf(`"g@git+https://h/o/g.git":
  version "1.0.0"
  resolved "git+https://h/o/g.git"`) + refused("InvalidFileFormat", "The url for the dependency g@git+https://h/o/g.git was in an unexpected format (expected <git_url>#<commit_hash>)")},
		{"git with a branch", lockOf(`"g@git+https://h/o/g.git#main":
  version "1.0.0"
  resolved "git+https://h/o/g.git#main"`) + refused("InvalidFileFormat", "The url for the dependency g@git+https://h/o/g.git#main was in an unexpected format (expected <git_url>#<commit_hash>)")},
		{"a tarball without any digest", lockOf(`"t@https://x.test/t.tgz":
  version "1.0.0"
  resolved "https://x.test/t.tgz"`) + refused("InvalidFileFormat", `The dependency t@https://x.test/t.tgz is missing the integrity value. Is the "integrity" key missing in your lockfile?`)},
		{"an archive of a branch", lockOf(`"t@o/t":
  version "1.0.0"
  resolved "https://codeload.github.com/o/t/tar.gz/main"`) + refused("InvalidFileFormat", `The dependency t@https://codeload.github.com/o/t/tar.gz/main is missing the integrity value. Is the "integrity" key missing in your lockfile?`)},
		{"ssh", lockOf(`"t@ssh://git@h/o/t.git":
  version "1.0.0"
  resolved "ssh://git@h/o/t.git#COMMIT"`) + refused("UnsupportedFeature", "The dependency t@ssh://git@h/o/t.git#COMMIT is hosted in an unsupported location")},
		{"a wrong digest", lockOf(`s@^1:
  version "1.0.0"
  resolved "Y/s/-/s-1.0.0.tgz#97edff6f525f192a3f83cea1944765f769ae2678"`+s1) + refused("InvalidChecksum", "The file s-1.0.0.tgz has an unexpected checksum value, expected 97edff6f525f192a3f83cea1944765f769ae2678 but computed SHA1(s-1.0.0.tgz)")},
		{"an unknown algorithm", lockOf(`s@^1:
  version "1.0.0"
  resolved "https://x.test/s.tgz"
  integrity sha3-abc=`) + refused("InvalidChecksum", "Cannot perform checksum on the file s.tgz, Hash algorithm sha3 is unknown.")},
		{"a malformed digest", lockOf(`s@^1:
  version "1.0.0"
  resolved "https://x.test/s.tgz"
  integrity "sha512-***"`) + refused("InvalidChecksum", `The dependency s@https://x.test/s.tgz has an invalid integrity value: integrity "sha512-***" is not base64`)},
		{"not there", lockOf(`s@^1:
  version "1.0.0"
  resolved "Y/s/-/s-1.0.0.tgz"`) + refused("NetworkError", "Could not download s-1.0.0.tgz from https://registry.example/s/-/s-1.0.0.tgz. exception_name: HTTPError, details: Could not download https://registry.example/s/-/s-1.0.0.tgz: 404 Not Found")},
		{"a server that cannot be reached is not the client's fault", lockOf(`s@^1:
  version "1.0.0"
  resolved "https://down.test/s.tgz#97edff6f525f192a3f83cea1944765f769ae2678"`) + "-- want/error --\nserver NetworkError\nCould not download s.tgz from https://down.test/s.tgz. exception_name: ConnectionError, details: Could not download https://down.test/s.tgz: the server cannot be reached\n"},
		{"no repository", lockOf(`"g@git+https://h/o/g.git":
  version "1.0.0"
  resolved "git+https://h/o/g.git#COMMIT"`) + refused("RepositoryAccessError", "Failed to clone git+https://h/o/g.git#COMMIT")},
		{"N38 a git repository with scripts", lockOf(`"g@git+https://h/o/g.git":
  version "1.0.0"
  resolved "git+https://h/o/g.git#COMMIT"
-- registry/git/h/o/g.git/package.json --
{"name": "g", "version": "1.2.3", "scripts": {"prepare": "x", "prepack": "y"}}`) + refused("UnsupportedFeature",
			"The dependency git+https://h/o/g.git#COMMIT is not supported because Cachito cannot execute the following required scripts of Git dependencies: prepack, prepare")},
		{"an archive without package.json", lockOf(`"t@https://x.test/t.tgz":
  version "1.0.0"
  resolved "https://x.test/t.tgz#SHA1(t.tgz)"
-- registry/x.test/t.tgz --
= <html>not found</html>`) + refused("InvalidFileFormat", "Could not process dependency https://x.test/t.tgz#SHA1(t.tgz): the archive cannot be read: unexpected EOF")},
		{"N10 two packages of one name and version", `
-- request.json --
{"packages": [{"path": "a"}, {"path": "b"}]}
-- repo/a/package.json --
{"name": "x", "version": "1.0.0"}
-- repo/a/yarn.lock --
-- repo/b/package.json --
{"name": "x", "version": "1.0.0"}
-- repo/b/yarn.lock --
` + refused("InvalidRequestData", "Duplicate package: {'name': 'x', 'version': '1.0.0', 'type': 'yarn'}")},
		{"package.json is no JSON", "-- repo/package.json --\n<<<<<<< HEAD\n-- repo/yarn.lock --\n" + refused("InvalidFileFormat", "The file package.json is not valid JSON: invalid character '<' looking for beginning of value")},
		{"workspaces is no list", "-- repo/package.json --\n{\"name\": \"a\", \"version\": \"1\", \"workspaces\": 1}\n-- repo/yarn.lock --\n" + refused("InvalidFileFormat", `package.json: "workspaces" must be a list of patterns, or an object with such a list as "packages"`)},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			check(t, test.text)
		})
	}
}

// What the documents are made of.
func TestDocuments(t *testing.T) {
	res := check(t, lockOf(chai)+"-- want/root --\n.yarnrc\n")
	if diff := cmp.Diff([]string(nil), res.Output.Unverified); diff != "" {
		t.Errorf("unverified (-want +got):\n%s", diff)
	}
	if got := res.Output.Checksums["pkg:npm/chai@4.2.0"]; len(got) != 1 || got[0] != res.Output.Deps[0].File.SHA256 {
		t.Errorf("checksums are %v", res.Output.Checksums)
	}
	if got := res.Output.EnvironmentVariables["CYPRESS_INSTALL_BINARY"]; len(res.Output.EnvironmentVariables) != 4 || got.Value != "0" || got.Kind != "literal" {
		t.Errorf("variables are %v", res.Output.EnvironmentVariables)
	}
	if got := res.Output.ConfigFiles; len(got) != 1 || got[0].Path != ".yarnrc" || !strings.HasPrefix(string(got[0].Content), "yarn-offline-mirror ") {
		t.Errorf("configuration files are %+v", got)
	}
	t.Run("what no digest vouches for", func(t *testing.T) {
		res := check(t, lockOf(`"gh@o/gh":
  version "1.0.0"
  resolved "https://codeload.github.com/o/gh/tar.gz/COMMIT"
s@^1:
  version "1.0.0"
  resolved "Y/s/-/s-1.0.0.tgz"
-- registry/codeload.github.com/o/gh/tar.gz/`+commit+` --
gh 1.0.0
-- want/root --
.yarnrc`+s1))
		want := []string{"pkg:generic/gh?download_url=https%3A%2F%2Fcodeload.github.com%2Fo%2Fgh%2Ftar.gz%2F" + commit, "pkg:npm/s@1.0.0"}
		if diff := cmp.Diff(want, res.Output.Unverified); diff != "" {
			t.Errorf("unverified (-want +got):\n%s", diff)
		}
	})
}

func TestPURLs(t *testing.T) {
	rule := Descriptor().Types[0]
	for _, test := range []struct{ name, dependency, version, want string }{
		{"Y06", "chai", "4.2.0", "pkg:npm/chai@4.2.0"},
		{"Y07", "@types/ms", "0.7.34", "pkg:npm/%40types/ms@0.7.34"},
		{"Y15", "fecha", "https://x.test/f.tgz#f09ea0b8115b9733dddc88227086c73ba4ddc926", "pkg:generic/fecha?download_url=https%3A%2F%2Fx.test%2Ff.tgz%23f09ea0b8115b9733dddc88227086c73ba4ddc926"},
		{"Y17", "g", "git+https://h/o/g.git#" + commit, "pkg:generic/g?vcs_url=git%2Bhttps%3A%2F%2Fh%2Fo%2Fg.git%23" + commit},
		{"Y19", "l", "file:a/l", "pkg:generic/l?file=a%2Fl"},
	} {
		got, err := rule.DependencyPURL(packages.Context{}, packages.Package{}, packages.Dependency{Name: test.dependency, Version: &test.version})
		if err != nil || got != test.want {
			t.Errorf("%s: got %s (%v), want %s", test.name, got, err, test.want)
		}
	}
}

// The same input gives the same output, whatever order Go walks its maps in.
func TestDeterminism(t *testing.T) {
	data, err := os.ReadFile("testdata/yarn_mirror_collision.txtar")
	if err != nil {
		t.Fatal(err)
	}
	var first []byte
	for range 10 {
		s, err := resolvertest.Parse(data, nil)
		if err != nil {
			t.Fatal(err)
		}
		res := resolve(t, s)
		if res.Err != nil {
			t.Fatal(res.Err)
		}
		out, err := json.Marshal(res.Output)
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = out
		}
		if diff := cmp.Diff(string(first), string(out)); diff != "" {
			t.Fatalf("another run (-first +now):\n%s", diff)
		}
	}
}
