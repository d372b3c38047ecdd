package npm

import (
	"strings"
	"testing"

	"github.com/cachito-serverless/cachito/shared/fault"
)

const (
	mustBeThere = "The npm-shrinkwrap.json or package-lock.json file must be present for the npm package manager"
	versionText = " is not supported Please use a supported lockfileVersion, which are versions 1, 2, and 3"
	fileText    = " is a 'file:' dependency. File dependencies are allowed if: a) the dependency is declared as a workspace in package.json or b) the dependency is present in the server-side allowlist."
	scriptsText = " is not supported because Cachito cannot execute the following required scripts of Git dependencies: "

	lockX = `{"name":"a","version":"1.0.0","lockfileVersion":1,"dependencies":{"x":{"version":"1.0.0","resolved":"R/x/-/x-1.0.0.tgz"}}}`
	lockB = `{"name":"a","version":"1.0.0","lockfileVersion":1,"dependencies":{"b":{"version":"1.0.0","resolved":"R/b/-/b-1.0.0.tgz"}}}`
	empty = `{"name":"a","version":"1.0.0","lockfileVersion":1}`
)

type scenarioCase struct{ name, text string }

func runCases(t *testing.T, cases []scenarioCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			newWorld().run(t, c.text).Check(t)
		})
	}
}

func TestWhichFiles(t *testing.T) {
	shrinkwrap, lock := "-- repo/npm-shrinkwrap.json --\n", "-- repo/package-lock.json --\n"
	runCases(t, []scenarioCase{
		{"N01 the shrinkwrap counts", plainPackage + shrinkwrap + lockX + "\n" + lock + lockB + "\n" + want(
			"packages", "npm a 1.0.0\n  npm x 1.0.0", "deps", "npm/x/x-1.0.0.tgz", "overlays", "npm-shrinkwrap.json")},
		{"N02 no lockfile", plainPackage + refused(fault.InvalidRepoStructure, mustBeThere)},
		{"N03 no lockfile at a path", `
-- request.json --
{"packages": [{"path": "web"}]}
-- repo/web/package.json --
{}
` + refused(fault.InvalidRepoStructure, "The web/npm-shrinkwrap.json or web/package-lock.json file must be present for the npm package manager")},
		{"N04 no package.json", lock + empty + "\n" + refused(fault.InvalidRepoStructure, "The package.json file must be present for the npm package manager")},
		{"N05 a folder node_modules", plainPackage + lock + empty + "\n-- repo/node_modules/x --\n" +
			refused(fault.InvalidRepoStructure, "The node_modules directory cannot be present in the source repository")},
		{"N05 a file node_modules", plainPackage + lock + empty + "\n-- repo/node_modules --\n" +
			refused(fault.InvalidRepoStructure, "The node_modules directory cannot be present in the source repository")},
		{"N06 version 4", plainPackage + lock + `{"name":"a","version":"1.0.0","lockfileVersion":4,"packages":{}}` + "\n" +
			refused(fault.ValidationError, "lockfileVersion 4 from package-lock.json"+versionText)},
		{"N07 no version", plainPackage + lock + `{"name":"a"}` + "\n" + refused(fault.ValidationError, "lockfileVersion None from package-lock.json"+versionText)},
		{"N07 null", plainPackage + lock + `{"lockfileVersion":null}` + "\n" + refused(fault.ValidationError, "lockfileVersion None from package-lock.json"+versionText)},
		{"N08 the version is package.json's", plainPackage + lock + `{"name":"a","lockfileVersion":1}` + "\n" + want("packages", "npm a 1.0.0")},
		{"N08 the version is the ref", "-- repo/package.json --\n{}\n" + lock + `{"name":"a","lockfileVersion":1}` + "\n" +
			want("packages", "npm a 58c88e4952e95935c0dd72d4a24b0c44f2249f5b")},
		{"N08 the name is package.json's", plainPackage + lock + `{"lockfileVersion":1,"version":"2.0.0"}` + "\n" + want("packages", "npm a 2.0.0")},
		{"N08 the name is the repository's", "-- repo/package.json --\n{}\n" + lock + `{"lockfileVersion":1,"version":"2.0.0"}` + "\n" + want("packages", "npm repo 2.0.0")},
		{"N09 no dependencies", plainPackage + lock + empty + "\n" + want("packages", "npm a 1.0.0", "deps", noDeps, "overlays", "",
			"reasons", `Fetching the npm dependencies at the "." directory"`)},
		{"N10 two packages of one name", `
-- request.json --
{"packages": [{"path": "a"}, {"path": "b"}]}
-- repo/a/package.json --
{}
-- repo/b/package.json --
{}
-- repo/a/package-lock.json --
{"name":"x","version":"1.0.0","lockfileVersion":1}
-- repo/b/package-lock.json --
{"name":"x","version":"1.0.0","lockfileVersion":1}
` + refused(fault.InvalidRequestData, "Duplicate package: {'name': 'x', 'version': '1.0.0', 'type': 'npm'}")},
		{"N11 conflict marks", plainPackage + lock + "{\n<<<<<<< HEAD\n\"name\": \"a\"\n=======\n}\n" +
			refused(fault.InvalidFileFormat, "The lock file package-lock.json is not valid JSON: line 2: unexpected '<'; are these the conflict marks of a merge?")},
		{"N11 no object", plainPackage + lock + "[]\n" + refused(fault.ValidationError, "The lock file package-lock.json has an unexpected format (no object)")},
		{"N11 package.json", "-- repo/package.json --\n{\n" + lock + empty + "\n" +
			refused(fault.InvalidFileFormat, "The file package.json is not valid JSON: unexpected end of JSON input")},
		{"a link as lockfile that leaves the repository", `
-- request.json --
{"links": {"package-lock.json": "/etc/passwd"}}
` + plainPackage + refused(fault.InvalidRepoStructure, mustBeThere)},
		{"version 2 without packages", plainPackage + lock + `{"name":"a","version":"1","lockfileVersion":2}` + "\n" +
			refused(fault.ValidationError, "The lock file package-lock.json has an unexpected format (missing key: 'packages')")},
		{"an entry without a version", v1(`"x":{}`) + refused(fault.ValidationError, "The lock file package-lock.json has an unexpected format (missing key: 'version')")},
		{"an entry that is no object", v1(`"x":1`) + refused(fault.ValidationError, "The lock file package-lock.json has an unexpected format (the entry 'x' is not an object)")},
		{"a path that leaves the repository", "-- request.json --\n{\"packages\": [{\"path\": \"../x\"}]}\n" + plainPackage +
			refused(fault.ValidationError, `The "path" values in the "packages.npm" value must be to a relative path in the source repository`)},
	})
}

func TestVersion1(t *testing.T) {
	const fecha = `"fecha":{"version":"https://x.test/f.tgz","integrity":"SRI(f.tgz)"}`
	allow := "-- request.json --\n" + `{"settings": {"file_deps_allowlist": "{\"a\": [\"l\"], \"z\": []}"}}` + "\n"
	url := func(file string) string {
		return `"t":{"version":"https://x.test/` + file + `.tgz","integrity":"SRI(` + file + `.tgz)"}`
	}
	git := func(url string) string { return `"w":{"version":"` + url + `","from":"` + url + `"}` }
	runCases(t, []scenarioCase{
		{"N20 registry", v1(`"chai":{"version":"4.2.0","resolved":"R/chai/-/chai-4.2.0.tgz","integrity":"SRI(chai-4.2.0.tgz)"}`) +
			want("packages", "npm a 1.0.0\n  npm chai 4.2.0", "deps", "npm/chai/chai-4.2.0.tgz", "overlays", "package-lock.json", "app/package-lock.json", `{
  "name": "a",
  "version": "1.0.0",
  "lockfileVersion": 1,
  "requires": true,
  "dependencies": {
    "chai": {
      "version": "4.2.0",
      "resolved": "file:../deps/npm/chai/chai-4.2.0.tgz",
      "integrity": "SRI(chai-4.2.0.tgz)"
    }
  }
}`)},
		{"N21 scope and dev", v1(`"@types/ms":{"version":"0.7.34","resolved":"R/@types/ms/-/ms-0.7.34.tgz","integrity":"SRI(ms-0.7.34.tgz)","dev":true}`) +
			want("packages", "npm a 1.0.0\n  npm @types/ms 0.7.34 dev", "deps", "npm/@types/ms/types-ms-0.7.34.tgz")},
		{"N22 nested", v1(`"a":{"version":"1.0.0","resolved":"R/a/-/a-1.0.0.tgz","dependencies":{"b":{"version":"2.0.0","resolved":"R/b/-/b-2.0.0.tgz"}}},
			"b":{"version":"1.0.0","resolved":"R/b/-/b-1.0.0.tgz"}`) +
			want("packages", "npm a 1.0.0\n  npm a 1.0.0\n  npm b 1.0.0\n  npm b 2.0.0", "deps", "npm/a/a-1.0.0.tgz\nnpm/b/b-1.0.0.tgz\nnpm/b/b-2.0.0.tgz")},
		{"N23 dev false wins", v1(`"a":{"version":"1.0.0","resolved":"R/a/-/a-1.0.0.tgz","dependencies":{"b":{"version":"1.0.0","resolved":"R/b/-/b-1.0.0.tgz","dev":true}}},
			"b":{"version":"1.0.0","resolved":"R/b/-/b-1.0.0.tgz"}`) +
			want("packages", "npm a 1.0.0\n  npm a 1.0.0\n  npm b 1.0.0")},
		{"N24 bundled false wins", v1(`"a":{"version":"1.0.0","resolved":"R/a/-/a-1.0.0.tgz","dependencies":{"b":{"version":"1.0.0","bundled":true}}},
			"b":{"version":"1.0.0","resolved":"R/b/-/b-1.0.0.tgz"}`) +
			want("packages", "npm a 1.0.0\n  npm a 1.0.0\n  npm b 1.0.0", "deps", "npm/a/a-1.0.0.tgz\nnpm/b/b-1.0.0.tgz")},
		{"N25 bundled", v1(`"b":{"version":"1.0.0","bundled":true}`) +
			want("packages", "npm a 1.0.0\n  npm b 1.0.0 bundled", "deps", noDeps, "overlays", "")},
		{"N26 github", v1(`"p":{"version":"github:kevva/is-positive#COMMIT","from":"github:kevva/is-positive#COMMIT"}`) +
			want("packages", "npm a 1.0.0\n  npm p github:kevva/is-positive#COMMIT",
				"deps", "npm/github/kevva/is-positive/p-3.1.0-external-gitcommit-COMMIT.tgz", "app/package-lock.json", `{
  "name": "a",
  "version": "1.0.0",
  "lockfileVersion": 1,
  "requires": true,
  "dependencies": {
    "p": {
      "version": "3.1.0",
      "resolved": "file:../deps/npm/github/kevva/is-positive/p-3.1.0-external-gitcommit-COMMIT.tgz",
      "integrity": "PACKED(is-positive)"
    }
  }
}`)},
		{"N26 github, named as its package", v1(`"is-positive":{"version":"github:kevva/is-positive#COMMIT","from":"github:kevva/is-positive#COMMIT"}`) +
			want("packages", "npm a 1.0.0\n  npm is-positive github:kevva/is-positive#COMMIT",
				"deps", "npm/github/kevva/is-positive/is-positive-3.1.0-external-gitcommit-COMMIT.tgz")},
		{"N27 git", v1(git("git+https://github.com/o/w.git#COMMIT")) +
			want("packages", "npm a 1.0.0\n  npm w git+https://github.com/o/w.git#COMMIT", "deps", "npm/external-w/w-1.0.0-external-gitcommit-COMMIT.tgz")},
		{"N28 tarball", v1(fecha) + want("packages", "npm a 1.0.0\n  npm fecha https://x.test/f.tgz",
			"deps", "npm/external-fecha/fecha-4.2.0-external-sha512-HEX(f.tgz).tgz")},
		{"N29 tarball without integrity", v1(`"fecha":{"version":"https://x.test/f.tgz"}`) + refused(fault.InvalidFileFormat,
			`The dependency fecha@https://x.test/f.tgz is missing the integrity value. Is the "integrity" key missing in your lockfile?`)},
		{"N30 git without a commit", v1(git("git+https://h/o/w.git")) + refused(fault.InvalidFileFormat,
			"The url for the dependency w@git+https://h/o/w.git was in an unexpected format (expected <git_url>#<commit_hash>)")},
		{"N30 git with a branch", v1(git("git+https://h/o/w.git#main")) + refused(fault.InvalidFileFormat,
			"The url for the dependency w@git+https://h/o/w.git#main was in an unexpected format (expected <git_url>#<commit_hash>)")},
		{"N31 ssh", v1(git("ssh://git@h/o/w.git#COMMIT")) + refused(fault.UnsupportedFeature,
			"The dependency w@ssh://git@h/o/w.git#COMMIT is hosted in an unsupported location")},
		{"N32 file", v1(`"l":{"version":"file:l"}`) + refused(fault.InvalidRepoStructure, "l@file:l"+fileText)},
		{"N33 file, allowed", allow + v1(`"l":{"version":"file:l"}`) + want("packages", "npm a 1.0.0\n  npm l file:l", "deps", noDeps, "overlays", "")},
		{"N34 file, allowed for another package", allow + strings.ReplaceAll(v1(`"l":{"version":"file:l"}`), `{"name":"a"`, `{"name":"z"`) +
			refused(fault.InvalidRepoStructure, "l@file:l"+fileText)},
		{"a workspace of package.json", strings.Replace(v1(`"l":{"version":"file:packages/l"}`), `"version": "1.0.0"}`, `"version": "1.0.0", "workspaces": ["packages/*"]}`, 1) +
			want("packages", "npm a 1.0.0\n  npm l file:packages/l")},
		{"workspaces of package.json that are none", strings.Replace(v1(`"l":{"version":"file:packages/l"}`), `"version": "1.0.0"}`, `"version": "1.0.0", "workspaces": 1}`, 1) +
			refused(fault.InvalidFileFormat, `package.json: "workspaces" must be a list of patterns, or an object with such a list as "packages"`)},
		{"N35 yarn's host", v1(`"x":{"version":"1.0.0","resolved":"Y/x/-/x-1.0.0.tgz"}`) +
			want("packages", "npm a 1.0.0\n  npm x 1.0.0", "deps", "npm/x/x-1.0.0.tgz")},
		{"N36 the registry's URL as version", strings.Replace(v1(`"ms":{"version":"R/ms/-/ms-2.1.3.tgz","integrity":"SRI(ms-2.1.3.tgz)"}`),
			`"version": "1.0.0"`, `"version": "1.0.0", "dependencies": {"ms": "R/ms/-/ms-2.1.3.tgz"}`, 1) +
			want("packages", "npm a 1.0.0\n  npm ms 2.1.3", "deps", "npm/ms/ms-2.1.3.tgz", "overlays", "package-lock.json\npackage.json", "app/package.json", `{
  "name": "a",
  "version": "1.0.0",
  "dependencies": {
    "ms": ""
  }
}`)},
		{"N37 required script", v1(git("git+https://h/o/prepare.git#COMMIT")) + refused(fault.UnsupportedFeature,
			"The dependency git+https://h/o/prepare.git#COMMIT"+scriptsText+"prepare")},
		{"N38 required scripts", v1(git("git+https://h/o/both.git#COMMIT")) + refused(fault.UnsupportedFeature,
			"The dependency git+https://h/o/both.git#COMMIT"+scriptsText+"prepack, prepare")},
		{"N39 another digest", v1(`"fecha":{"version":"https://x.test/f.tgz","integrity":"SRI(q.tgz)"}`) + refused(fault.InvalidChecksum,
			"The file f.tgz has an unexpected checksum value, expected HEX(q.tgz) but computed HEX(f.tgz)")},
		{"another algorithm", v1(`"fecha":{"version":"https://x.test/f.tgz","integrity":"sha3-AAAA"}`) + refused(fault.InvalidChecksum,
			"Cannot perform checksum on the file f.tgz, Hash algorithm sha3 is unknown.")},
		{"an integrity that is none", v1(`"fecha":{"version":"https://x.test/f.tgz","integrity":"sha1-AAAA"}`) + refused(fault.InvalidChecksum,
			`The dependency fecha@https://x.test/f.tgz has an invalid integrity value: integrity "sha1-AAAA": sha1 digest has 3 bytes instead of 20`)},
		{"an archive without package.json", v1(url("none")) + refused(fault.InvalidRepoStructure, "Could not process dependency https://x.test/none.tgz: no package.json file")},
		{"package.json is a folder", v1(url("folder")) + refused(fault.InvalidRepoStructure, "Could not process dependency https://x.test/folder.tgz: package.json is not a regular file")},
		{"package.json is a link", v1(url("link")) + refused(fault.InvalidRepoStructure, "Could not process dependency https://x.test/link.tgz: package.json is not a regular file")},
		{"package.json is no JSON", v1(url("bad")) + refused(fault.InvalidFileFormat, "Could not process dependency https://x.test/bad.tgz: package.json is not valid JSON")},
		{"no archive", v1(url("html")) + refused(fault.InvalidFileFormat, "Could not process dependency https://x.test/html.tgz: the archive cannot be read: archive/tar: invalid tar header")},
		{"no clone", v1(git("git+https://user:secret@h/o/missing.git#COMMIT")) + refused(fault.RepositoryAccessError, "Failed to clone git+https://xxxxx@h/o/missing.git#COMMIT")},
		{"no tarball", v1(`"fecha":{"version":"https://user:secret@x.test/missing.tgz?token=1","integrity":"SRI(f.tgz)"}`) + refused(fault.NetworkError,
			"Could not download missing.tgz from https://x.test/missing.tgz. exception_name: HTTPError, details: Could not download https://x.test/missing.tgz: 404 Not Found")},
		{"an alias", v1(`"x":{"version":"npm:isarray@2.0.5","resolved":"R/isarray/-/isarray-2.0.5.tgz","integrity":"SRI(isarray-2.0.5.tgz)"}`) +
			want("packages", "npm a 1.0.0\n  npm isarray 2.0.5", "deps", "npm/isarray/isarray-2.0.5.tgz")},
		{"a URL of another package", v1(`"x":{"version":"1.0.0","resolved":"R/isarray/-/isarray-2.0.5.tgz"}`) + refused(fault.InvalidFileFormat,
			"The URL of the dependency x@R/isarray/-/isarray-2.0.5.tgz is that of another package, isarray")},
		{"no URL at all", v1(`"x":{"version":"1.0.0","integrity":"SRI(x-1.0.0.tgz)"}`) + want("packages", "npm a 1.0.0\n  npm x 1.0.0", "app/package-lock.json", `{
  "name": "a",
  "version": "1.0.0",
  "lockfileVersion": 1,
  "requires": true,
  "dependencies": {
    "x": {
      "version": "1.0.0",
      "resolved": "file:../deps/npm/x/x-1.0.0.tgz",
      "integrity": "SRI(x-1.0.0.tgz)"
    }
  }
}`)},
		{"requires of an entry", v1(`"x":{"version":"1.0.0","resolved":"R/x/-/x-1.0.0.tgz","requires":{"fecha":"https://x.test/f.tgz","b":"^1"}},`+fecha) +
			want("app/package-lock.json", `{
  "name": "a",
  "version": "1.0.0",
  "lockfileVersion": 1,
  "requires": true,
  "dependencies": {
    "x": {
      "version": "1.0.0",
      "resolved": "file:../deps/npm/x/x-1.0.0.tgz",
      "requires": {
        "fecha": "",
        "b": "^1"
      },
      "integrity": "SRI(x-1.0.0.tgz)"
    },
    "fecha": {
      "version": "4.2.0",
      "resolved": "file:../deps/npm/external-fecha/fecha-4.2.0-external-sha512-HEX(f.tgz).tgz",
      "integrity": "SRI(f.tgz)"
    }
  }
}`)},
	})
}
