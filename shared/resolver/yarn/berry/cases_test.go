package berry

import (
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/resolver/javascript"
)

const isOdd = "-- registry/registry.example/is-odd/-/is-odd-1.0.0.tgz --\nis-odd 1.0.0\n"

// The cases of the specification, and what a lockfile may hold besides.
func TestCases(t *testing.T) {
	odd := entryOf("is-odd@npm:^1.0.0", "is-odd@npm:1.0.0", "  checksum: 10c0/ZIP(10c0,is-odd-1.0.0.tgz)")
	for _, test := range []struct{ name, text string }{
		{"B01 two versions of Yarn", releases(`"packageManager": "yarn@4.9.4"`, ".yarn/releases/yarn-4.9.3.cjs") +
			refused("InvalidRepoStructure", "Mismatch between the yarn versions specified by yarnPath (yarn@4.9.3) and packageManager (yarn@4.9.4)")},
		{"B02 no version of Yarn", releases(`"private": true`, "") +
			refused("InvalidRepoStructure", "Unable to determine the yarn version to use to process the request")},
		{"B02 a yarnPath without a version", releases(`"private": true`, ".yarn/releases/yarn-berry.cjs") +
			refused("InvalidRepoStructure", "Unable to determine the yarn version to use to process the request")},
		{"B03 too old", releases(`"packageManager": "yarn@2.3.3"`, "") + refused("UnsupportedFeature", "Unsupported Yarn version '2.3.3' detected")},
		{"B03 too new", releases(`"packageManager": "yarn@5.0.0-rc.1"`, "") + refused("UnsupportedFeature", "Unsupported Yarn version '5.0.0-rc.1' detected")},
		{"B03 one that cannot read", releases(`"packageManager": "yarn@3.0.2"`, "") + refused("UnsupportedFeature", "Unsupported Yarn version '3.0.2' detected")},
		{"B03 ours: Yarn 2.4 builds from the bundle", releases(`"private": true`, ".yarn/releases/yarn-2.4.3.cjs") + "-- want/packages --\nyarn app 1.0.0\n"},
		{"packageManager without a version", releases(`"packageManager": "yarn"`, "") + refused("InvalidFileFormat", "could not parse packageManager spec in package.json (expected name@semver)")},
		{"packageManager is another", releases(`"packageManager": "pnpm@9.0.0"`, "") + refused("InvalidFileFormat", "packageManager in package.json must be yarn")},
		{"packageManager with a range", releases(`"packageManager": "yarn@^4.0.0"`, "") + refused("InvalidFileFormat", "^4.0.0 is not a valid semver for packageManager in package.json")},
		{"packageManager with an odd hash", releases(`"packageManager": "yarn@4.9.4+nothing"`, "") +
			refused("InvalidFileFormat", `The hash "nothing" of packageManager in package.json is none (expected algorithm.hexadecimal digits)`)},
		{"yarnPath leads nowhere", strings.Replace(releases(`"private": true`, ".yarn/releases/yarn-4.9.3.cjs"), "-- repo/.yarn/releases/yarn-4.9.3.cjs --\n", "", 1) +
			refused("InvalidRepoStructure", "The file .yarn/releases/yarn-4.9.3.cjs, which yarnPath of .yarnrc.yml names, must be present")},

		{"B04 a package of the registry", project(`"dependencies": {"is-odd": "^1.0.0"}`, odd) + isOdd +
			"-- want/packages --\nyarn app 1.0.0\n  yarn is-odd 1.0.0\n-- want/deps --\nyarn/.berry/plugin.cjs\nyarn/is-odd/is-odd-1.0.0.tgz\n-- want/root/.yarnrc.yml --\n" +
			"# Made by Cachito, for all packages of this bundle.\nplugins:\n  - \"./deps/yarn/.berry/plugin.cjs\"\n-- want/overlays --\n"},
		{"B05 an alias", project(`"dependencies": {"alias-odd": "npm:is-odd@1.0.0"}`, entryOf("alias-odd@npm:is-odd@1.0.0", "is-odd@npm:1.0.0", "  checksum: 10c0/ZIP(10c0,is-odd-1.0.0.tgz)")) + isOdd +
			"-- want/packages --\nyarn app 1.0.0\n  yarn is-odd 1.0.0\n"},
		{"B06 a tarball by its URL", project(`"dependencies": {"t": "https://x.test/t.tgz"}`, entryOf("t@https://x.test/t.tgz", "t@https://x.test/t.tgz", "  checksum: 10c0/ZIP(10c0,t.tgz)")) +
			"-- registry/x.test/t.tgz --\nt 2.0.0\n-- want/packages --\nyarn app 1.0.0\n  yarn t https://x.test/t.tgz\n"},
		{"B07 a patch of Yarn's own", project(`"dependencies": {"is-odd": "^1.0.0"}`, odd+
			entryOf("is-odd@patch:is-odd@npm%3A^1.0.0#optional!builtin<compat/is-odd>", "is-odd@patch:is-odd@npm%3A1.0.0#optional!builtin<compat/is-odd>::version=1.0.0&hash=9bd1a5")) + isOdd +
			"-- want/packages --\nyarn app 1.0.0\n  yarn is-odd 1.0.0\n"},
		{"B08 git", project(`"dependencies": {"x": "https://github.com/o/x.git#main"}`, entryOf("x@https://github.com/o/x.git#main", "x@https://github.com/o/x.git#commit=COMMIT")) +
			"-- registry/git/github.com/o/x.git/package.json --\n{\"name\": \"x\", \"version\": \"3.2.1\"}\n" +
			"-- want/packages --\nyarn app 1.0.0\n  yarn x git+https://github.com/o/x.git#" + commit + "\n-- want/deps --\nyarn/.berry/plugin.cjs\nyarn/external-x/x-3.2.1-external-gitcommit-" + commit + ".tgz\n"},
		{"git over ssh, as Git writes it", project(`"dependencies": {"x": "git@h:o/x.git"}`, entryOf("x@git@h:o/x.git", "x@git@h:o/x.git#commit=COMMIT")) +
			"-- registry/git/git@h/o/x.git/package.json --\n{\"name\": \"x\", \"version\": \"3.2.1\"}\n" +
			"-- want/packages --\nyarn app 1.0.0\n  yarn x git+ssh://git@h/o/x.git#" + commit + "\n"},
		{"git, of Yarn 2", project(`"dependencies": {"x": "o/x"}`, entryOf("x@o/x", "x@https://github.com/o/x.git#COMMIT")) +
			"-- registry/git/github.com/o/x.git/package.json --\n{\"name\": \"x\", \"version\": \"3.2.1\"}\n" +
			"-- want/packages --\nyarn app 1.0.0\n  yarn x git+https://github.com/o/x.git#" + commit + "\n"},
		{"git, a folder of the repository", project(`"dependencies": {"x": "o/x"}`, entryOf("x@o/x", "x@https://github.com/o/x.git#commit=COMMIT&cwd=sub")) +
			"-- registry/git/github.com/o/x.git/sub/package.json --\n{\"name\": \"x\", \"version\": \"3.2.1\"}\n" +
			"-- want/packages --\nyarn app 1.0.0\n  yarn x git+https://github.com/o/x.git#" + commit + "\n"},
		{"git without a commit", project(`"dependencies": {"x": "o/x"}`, entryOf("x@o/x", "x@https://github.com/o/x.git#head=main")) +
			refused("InvalidFileFormat", "The url for the dependency x@git+https://github.com/o/x.git# was in an unexpected format (expected <git_url>#<commit_hash>)")},
		{"git, a workspace", project(`"dependencies": {"x": "o/x"}`, entryOf("x@o/x", "x@https://github.com/o/x.git#commit=COMMIT&workspace=y")) +
			refused("UnsupportedFeature", "The dependency x@https://github.com/o/x.git#commit=97edff6f525f192a3f83cea194... is a workspace of another repository, which is not supported")},
		{"N37 git with scripts", project(`"dependencies": {"x": "o/x"}`, entryOf("x@o/x", "x@https://github.com/o/x.git#commit=COMMIT")) +
			"-- registry/git/github.com/o/x.git/package.json --\n{\"name\": \"x\", \"version\": \"3.2.1\", \"scripts\": {\"prepack\": \"make\"}}\n" +
			refused("UnsupportedFeature", "The dependency git+https://github.com/o/x.git#"+commit+" is not supported because Cachito cannot execute the following required scripts of Git dependencies: prepack")},
		{"exec", project(`"dependencies": {"x": "exec:./gen.js"}`, entryOf("x@exec:./gen.js", "x@exec:./gen.js#./gen.js::hash=1&locator=app%40workspace%3A.")) +
			refused("UnsupportedFeature", "The dependency x@exec:./gen.js#./gen.js::hash=1&locator=app%40workspace%3A. is hosted in an unsupported location")},

		{"another file than the lockfile's", project(`"dependencies": {"is-odd": "^1.0.0"}`, entryOf("is-odd@npm:^1.0.0", "is-odd@npm:1.0.0", "  checksum: 10c0/"+strings.Repeat("ab", 64))) + isOdd +
			refused("InvalidChecksum", "The file is-odd-1.0.0.tgz has an unexpected checksum value, expected "+strings.Repeat("ab", 64)+
				" but computed ZIP(10c0,is-odd-1.0.0.tgz) (of the zip that Yarn makes of it; yarn.lock:5)")},
		{"a checksum that is none", project(`"dependencies": {"is-odd": "^1.0.0"}`, entryOf("is-odd@npm:^1.0.0", "is-odd@npm:1.0.0", "  checksum: deadbeefcafefeeddeaf")) +
			refused("InvalidChecksum", `yarn.lock:5: the checksum "deadbeefcafefeeddeaf" is none: want 128 hexadecimal digits for is-odd@npm:1.0.0`)},
		{"a login page", project(`"dependencies": {"is-odd": "^1.0.0"}`, entryOf("is-odd@npm:^1.0.0", "is-odd@npm:1.0.0", "  checksum: 10c0/"+strings.Repeat("0", 128))) +
			"-- registry/registry.example/is-odd/-/is-odd-1.0.0.tgz --\n= <html>sign in</html>\n" +
			refused("InvalidFileFormat", "Could not process dependency https://registry.example/is-odd/-/is-odd-1.0.0.tgz: the archive cannot be read: unexpected EOF")},
		{"another package, without a checksum", project(`"dependencies": {"is-odd": "^1.0.0"}`, entryOf("is-odd@npm:^1.0.0", "is-odd@npm:1.0.0")) +
			"-- registry/registry.example/is-odd/-/is-odd-1.0.0.tgz --\nevil 1.0.0\n" +
			refused("InvalidChecksum", `The file is-odd-1.0.0.tgz holds "evil" "1.0.0" instead of is-odd 1.0.0, and the lockfile has no integrity value for it`)},
		{"a tarball without a checksum", project(`"dependencies": {"t": "https://x.test/t.tgz"}`, entryOf("t@https://x.test/t.tgz", "t@https://x.test/t.tgz")) +
			refused("InvalidFileFormat", `The dependency t@https://x.test/t.tgz is missing the integrity value. Is the "integrity" key missing in your lockfile?`)},
		{"a package that is gone", project(`"dependencies": {"is-odd": "^1.0.0"}`, entryOf("is-odd@npm:^1.0.0", "is-odd@npm:1.0.0")) +
			refused("NetworkError", "Could not download is-odd-1.0.0.tgz from https://registry.example/is-odd/-/is-odd-1.0.0.tgz. exception_name: HTTPError, details: Could not download https://registry.example/is-odd/-/is-odd-1.0.0.tgz: 404 Not Found")},

		{"the lockfile lacks a dependency", project(`"dependencies": {"is-odd": "^1.0.0"}, "devDependencies": {"b": "1"}`, odd) +
			refused("InvalidRepoStructure", "The file yarn.lock does not fit: package.json needs b@1. The lockfile would have been modified by `yarn install`, which --immutable forbids: run it and commit the result")},
		{"a file that an npm package needs", project(`"private": true`, entryOf("x@file:./x", "x@file:./x#./x::hash=1&locator=y%40npm%3A1.0.0")) +
			refused("UnsupportedFeature", `Cachito only supports File dependencies bound to a WorkspaceLocator, not to "y@npm:1.0.0": x@file:./x#./x::hash=1&locator=y%40npm%3A1.0.0`)},
		{"a link out of the repository", project(`"private": true`, entryOf("x@link:../../x", "x@link:../../x::locator=app%40workspace%3A.")) +
			refused("InvalidRepoStructure", "The path ../../x of the dependency x leads out of the repository")},
		{"a link through a link out of the repository", "-- request.json --\n{\"links\": {\"out\": \"/etc\"}}\n" + project(`"private": true`, entryOf("x@portal:out", "x@portal:out::locator=app%40workspace%3A.")) +
			refused("InvalidRepoStructure", "The path out of the dependency x leads out of the repository")},
		{"an absolute path", project(`"private": true`, entryOf("x@link:/etc", "x@link:/etc::locator=app%40workspace%3A.")) +
			refused("InvalidRepoStructure", "The package x@link:/etc::locator=app%40workspace%3A. has an absolute path (/etc), which is not permitted.")},
		{"a workspace out of the repository", project(`"private": true`, entryOf("x@workspace:../x", "x@workspace:../x")) +
			refused("InvalidRepoStructure", "The path ../x of the dependency x leads out of the repository")},
		{"a patch that is not there", project(`"private": true`, odd+entryOf("is-odd@patch:x", "is-odd@patch:is-odd@npm%3A1.0.0#~/.yarn/patches/x.patch::version=1.0.0&hash=1")) + isOdd +
			refused("InvalidRepoStructure", "The patch .yarn/patches/x.patch of the dependency is-odd must be a file of the repository")},
		{"a patch out of the repository", project(`"private": true`, odd+entryOf("is-odd@patch:x", "is-odd@patch:is-odd@npm%3A1.0.0#../x.patch::version=1.0.0&hash=1&locator=app%40workspace%3A.")) + isOdd +
			refused("InvalidRepoStructure", "The path ../x.patch of the dependency is-odd leads out of the repository")},
		{"a patch of nothing", project(`"private": true`, entryOf("is-odd@patch:x", "is-odd@patch:is-odd@npm%3A1.0.0#~builtin<compat/x>::version=1.0.0&hash=1")) +
			refused("InvalidFileFormat", `yarn.lock:5: the lockfile lacks "is-odd@npm:1.0.0", which is patched: run yarn install and commit the result`)},
		{"a name that leads away", project(`"private": true`, entryOf("../x@npm:1", "../x@npm:1.0.0")) +
			refused("InvalidFileFormat", `yarn.lock:5: the resolution "../x@npm:1.0.0" is none`)},
		{"a name of look-alikes", project(`"private": true`, entryOf("lоdash@npm:1", "lоdash@npm:1.0.0")) +
			refused("InvalidFileFormat", `yarn.lock: "lоdash" is not the name of a package`)},
		{"a version that leads away", project(`"private": true`, entryOf("x@npm:1", "x@npm:..%2f..%2fy")) +
			refused("InvalidFileFormat", `yarn.lock: "../../y" is not a version of x`)},
		{"a URL with a path that no registry has", project(`"private": true`, entryOf("x@npm:1", "x@npm:1.0.0::__archiveUrl=https%3A%2F%2Fregistry.npmjs.org%2Fa%2F..%2F..%2Fb.tgz")) +
			refused("InvalidFileFormat", "The URL of the dependency x@https://registry.npmjs.org/a/../../b.tgz has a path that no registry has")},
		{"a URL of a file", project(`"private": true`, entryOf("x@npm:1", "x@npm:1.0.0::__archiveUrl=file%3A%2F%2F%2Fetc%2Fpasswd")) +
			refused("UnsupportedFeature", "The dependency x@file:///etc/passwd is hosted in an unsupported location")},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			check(t, test.text)
		})
	}
}

// releases is a project without dependencies.
func releases(members, yarnPath string) string {
	text := "-- repo/package.json --\n{\"name\": \"app\", \"version\": \"1.0.0\", " + members + "}\n-- repo/yarn.lock --\n__metadata:\n  version: 8\n  cacheKey: 10c0\n" + root
	if yarnPath != "" {
		text += "-- repo/.yarnrc.yml --\nyarnPath: " + yarnPath + "\n-- repo/" + yarnPath + " --\n"
	}
	return text
}

// What no checksum vouches for is named; so is what has a checksum that cannot be made here.
func TestUnverified(t *testing.T) {
	res := check(t, project(`"dependencies": {"is-odd": "^1.0.0", "c": "1", "u": "1", "t": "https://x.test/t.tgz"}`,
		entryOf("is-odd@npm:^1.0.0", "is-odd@npm:1.0.0", "  checksum: 10c0/ZIP(10c0,is-odd-1.0.0.tgz)")+
			entryOf("c@npm:1", "c@npm:1.0.0", "  conditions: os=darwin & cpu=arm64")+
			entryOf("t@https://x.test/t.tgz", "t@https://x.test/t.tgz", "  checksum: 10c5/"+strings.Repeat("0", 128))+
			entryOf("u@npm:1", "u@npm:1.0.0", "  checksum: 11c0/"+strings.Repeat("0", 128)))+isOdd+"-- registry/x.test/t.tgz --\nt 2.0.0\n"+
		"-- registry/registry.example/c/-/c-1.0.0.tgz --\nc 1.0.0\n-- registry/registry.example/u/-/u-1.0.0.tgz --\nu 1.0.0\n"+
		"-- want/packages --\nyarn app 1.0.0\n  yarn c 1.0.0\n  yarn is-odd 1.0.0\n  yarn t https://x.test/t.tgz\n  yarn u 1.0.0\n")
	tarball := "pkg:generic/t?download_url=https%3A%2F%2Fx.test%2Ft.tgz"
	if diff := cmp.Diff([]string{tarball, "pkg:npm/c@1.0.0", "pkg:npm/u@1.0.0"}, res.Output.Unverified); diff != "" {
		t.Errorf("unverified (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{tarball, "pkg:npm/c@1.0.0", "pkg:npm/is-odd@1.0.0", "pkg:npm/u@1.0.0"}, keys(res.Output.Checksums)); diff != "" {
		t.Errorf("checksums (-want +got):\n%s", diff)
	}
	if !slices.IsSortedFunc(res.Output.Deps, javascript.ByPath) {
		t.Error("the files are not sorted")
	}
}

// The plug-in is the template with the files in it, whatever a lockfile says.
func TestPlugin(t *testing.T) {
	res := check(t, project(`"dependencies": {"is-odd": "^1.0.0", "x": "1"}`,
		entryOf("is-odd@npm:^1.0.0", "is-odd@npm:1.0.0", "  checksum: 10c0/ZIP(10c0,is-odd-1.0.0.tgz)")+
			entryOf("x@npm:1", "x@https://x.test/t.tgz#= REPOSITORIES;\"\u2028", "  checksum: 10c0/ZIP(10c0,t.tgz)"))+
		isOdd+"-- registry/x.test/t.tgz --\nx 1.0.0\n-- want/packages --\nyarn app 1.0.0\n  yarn is-odd 1.0.0\n  yarn x https://x.test/t.tgz#= REPOSITORIES;\"\u2028\n")
	want := strings.NewReplacer("= FILES;", `= {
  "https://x.test/t.tgz#= REPOSITORIES;\"\u2028": "yarn/external-x/PLACE",
  "is-odd/-/is-odd-1.0.0.tgz": "yarn/is-odd/is-odd-1.0.0.tgz"
};`, "= REPOSITORIES;", "= {};").Replace(pluginTemplate)
	want = strings.Replace(want, "PLACE", path.Base(res.Output.Deps[1].Path), 1)
	if got := string(res.Output.Deps[0].Inline); res.Output.Deps[0].Path != pluginPath || got != want {
		t.Errorf("%s (-want +got):\n%s", res.Output.Deps[0].Path, cmp.Diff(want, got))
	}
}
