package pnpm

import (
	"encoding/json"
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

const manifest = "\n-- repo/package.json --\n{\"name\": \"app\", \"version\": \"1.0.0\"}\n"

// lockOf is an application with this lockfile.
func lockOf(text string) string {
	return manifest + "-- repo/pnpm-lock.yaml --\n" + text + "\n"
}

// lock9 is one with a lockfile of version 9 that goes on with text.
func lock9(text string) string { return lockOf("lockfileVersion: '9.0'\n\n" + text) }

// refused is what a case wants that ends in a fault of the client's.
func refused(kind, text string) string {
	return "-- want/error --\nclient " + kind + "\n" + text + "\n"
}

func wants(dependencies ...string) string {
	text := "-- want/packages --\npnpm app 1.0.0\n"
	for _, d := range dependencies {
		text += "  pnpm " + d + "\n"
	}
	return text
}

// served is a registry with these packages: "name version".
func served(list ...string) string {
	text := ""
	for _, p := range list {
		name, version, _ := strings.Cut(p, " ")
		text += "-- registry/registry.example/" + name + "/-/" + name[strings.IndexByte(name, '/')+1:] + "-" + version + ".tgz --\n" + p + "\n"
	}
	return text
}

func TestCases(t *testing.T) {
	for _, test := range []struct{ name, text string }{
		{
			"P01 a lockfile of version 5", lockOf("lockfileVersion: 5.4\n") +
				refused("UnsupportedFeature", "Unsupported lockfileVersion: '5.4'"),
		},
		{
			"P01 6.0 is supported, which Hermeto refuses", lockOf(`lockfileVersion: '6.0'

dependencies:
  '@s/a':
    specifier: ^1.0.0
    version: 1.0.0(b@2.0.0)
  alias:
    specifier: npm:b@2.0.0
    version: /b@2.0.0
devDependencies:
  d:
    specifier: ^1.0.0
    version: 1.0.0

packages:

  /@s/a@1.0.0(b@2.0.0):
    resolution: {integrity: SRI(a-1.0.0.tgz)}
    dependencies:
      c: 3.0.0
    dev: false

  /b@2.0.0:
    resolution: {integrity: SRI(b-2.0.0.tgz)}

  /c@3.0.0:
    resolution: {integrity: SRI(c-3.0.0.tgz)}

  /d@1.0.0:
    resolution: {integrity: SRI(d-1.0.0.tgz)}
    dev: true

  file:local:
    resolution: {directory: local, type: directory}
    name: local
    version: 1.0.0

  '@x.test/u.tgz':
    resolution: {tarball: https://x.test/u.tgz}
    name: u
    version: 1.0.0`) + served("@s/a 1.0.0", "b 2.0.0", "c 3.0.0", "d 1.0.0") + "-- registry/x.test/u.tgz --\nu 1.0.0\n" +
				wants("@s/a 1.0.0", "b 2.0.0", "c 3.0.0", "d 1.0.0 dev", "local file:local dev", "u https://x.test/u.tgz dev"),
		},
		{
			"P01 a later version", lockOf("lockfileVersion: '10.0'\n") +
				refused("UnsupportedFeature", "Unsupported lockfileVersion: '10.0'"),
		},
		{
			"P02 a registry package without URL", lock9(`importers:
  .:
    dependencies:
      '@types/ms': {specifier: 0.7.34, version: 0.7.34}
packages:
  '@types/ms@0.7.34':
    resolution: {integrity: SRI(ms-0.7.34.tgz)}
snapshots:
  '@types/ms@0.7.34': {}`) + served("@types/ms 0.7.34") +
				wants("@types/ms 0.7.34") + "-- want/deps --\npnpm/.npmrc\npnpm/@types/ms/-/ms-0.7.34.tgz\n-- want/overlays --\n",
		},
		{
			"P03 an alias is reported by its real name", lock9(`importers:
  .:
    dependencies:
      alias:
        specifier: npm:isarray@2.0.5
        version: isarray@2.0.5
packages:
  isarray@2.0.5:
    resolution: {integrity: SRI(isarray-2.0.5.tgz)}
snapshots:
  isarray@2.0.5: {}`) + served("isarray 2.0.5") + wants("isarray 2.0.5"),
		},
		{
			"P04 peers and patches are cut", lock9(`importers:
  .:
    dependencies:
      a:
        specifier: ^1
        version: 1.0.0(b@2.0.0(c@3.0.0))(patch_hash=abc)
packages:
  a@1.0.0:
    resolution: {integrity: SRI(a-1.0.0.tgz)}
  b@2.0.0:
    resolution: {integrity: SRI(b-2.0.0.tgz)}
snapshots:
  a@1.0.0(b@2.0.0(c@3.0.0))(patch_hash=abc):
    dependencies:
      b: 2.0.0(c@3.0.0)
  b@2.0.0(c@3.0.0): {}`) + served("a 1.0.0", "b 2.0.0") + wants("a 1.0.0", "b 2.0.0"),
		},
		{
			"P05 a folder is local, nothing is downloaded", lock9(`importers:
  .:
    dependencies:
      localdir:
        specifier: file:localdir
        version: file:localdir
packages:
  localdir@file:localdir:
    resolution: {directory: localdir, type: directory}
snapshots:
  localdir@file:localdir: {}`) + wants("localdir file:localdir") + "-- want/deps --\npnpm/.npmrc\n-- want/overlays --\n",
		},
		{
			"P06 a link to a workspace, nothing is downloaded", lock9(`importers:
  .:
    dependencies:
      ws1:
        specifier: workspace:*
        version: link:packages/ws1
  packages/ws1: {}
packages: {}`) + "-- repo/packages/ws1/package.json --\n{\"name\": \"ws1\"}\n" + wants("ws1 file:packages/ws1") + "-- want/deps --\npnpm/.npmrc\n",
		},
		{
			"dev: what the devDependencies alone lead to, through optional ones and cycles", lock9(`importers:
  .:
    optionalDependencies:
      o: {specifier: '1', version: 1.0.0}
    devDependencies:
      d: {specifier: '1', version: 1.0.0}
  w:
    devDependencies:
      d: {specifier: '1', version: 1.0.0}
    dependencies:
      r: {specifier: '1', version: 1.0.0}
packages:
  d@1.0.0: {resolution: {integrity: SRI(d-1.0.0.tgz)}}
  e@1.0.0: {resolution: {integrity: SRI(e-1.0.0.tgz)}}
  o@1.0.0: {resolution: {integrity: SRI(o-1.0.0.tgz)}}
  p@1.0.0: {resolution: {integrity: SRI(p-1.0.0.tgz)}}
  r@1.0.0: {resolution: {integrity: SRI(r-1.0.0.tgz)}}
snapshots:
  d@1.0.0: {dependencies: {e: 1.0.0}}
  e@1.0.0: {dependencies: {d: 1.0.0}}
  o@1.0.0: {optionalDependencies: {p: 1.0.0}}
  p@1.0.0: {dependencies: {o: 1.0.0}}
  r@1.0.0: {}`) + "-- repo/w/package.json --\n{\"name\": \"w\"}\n" + served("d 1.0.0", "e 1.0.0", "o 1.0.0", "p 1.0.0", "r 1.0.0") +
				wants("d 1.0.0 dev", "e 1.0.0 dev", "o 1.0.0", "p 1.0.0", "r 1.0.0", "w file:w"),
		},
		{
			"pnpm 11: a first document with what belongs to pnpm", lockOf(`---
lockfileVersion: '9.0'
importers:
  .:
    configDependencies:
      conf:
        specifier: 6.0.0
        version: 6.0.0
    packageManagerDependencies:
      pnpm:
        specifier: 11.0.0
        version: 11.0.0
packages:
  conf@6.0.0:
    resolution: {integrity: SRI(conf-6.0.0.tgz)}
  pnpm@11.0.0:
    resolution: {integrity: SRI(pnpm-11.0.0.tgz)}
snapshots:
  conf@6.0.0: {}
  pnpm@11.0.0: {}
---
lockfileVersion: '9.0'
importers:
  .:
    dependencies:
      a: {specifier: '1', version: 1.0.0}
packages:
  a@1.0.0:
    resolution: {integrity: SRI(a-1.0.0.tgz)}
snapshots:
  a@1.0.0: {}`) + served("a 1.0.0", "conf 6.0.0", "pnpm 11.0.0") + wants("a 1.0.0", "conf 6.0.0 dev", "pnpm 11.0.0 dev"),
		},
		{
			"pnpm 10: configDependencies with their digest in pnpm-workspace.yaml", lock9("importers:\n  .: {}") +
				"-- repo/pnpm-workspace.yaml --\nconfigDependencies:\n  conf: 6.0.0+SRI(conf-6.0.0.tgz)\n  two:\n    integrity: 1.0.0+SRI(two-1.0.0.tgz)\n" +
				served("conf 6.0.0", "two 1.0.0") + wants("conf 6.0.0 dev", "two 1.0.0 dev"),
		},
		{
			"registries of .npmrc and pnpm-workspace.yaml are followed and taken out", lock9(`importers:
  .:
    dependencies:
      '@own/a': {specifier: '1', version: 1.0.0}
      '@ws/b': {specifier: '1', version: 1.0.0}
packages:
  '@own/a@1.0.0':
    resolution: {integrity: SRI(own.example/a-1.0.0.tgz)}
  '@ws/b@1.0.0':
    resolution: {integrity: SRI(ws.example/b-1.0.0.tgz)}`) + `-- repo/.npmrc --
; a comment
registry = https://registry.npmjs.org
@own:registry="https://own.example/npm/"
node-linker=hoisted
-- repo/pnpm-workspace.yaml --
packages:
  - w
registries:
  default: https://registry.npmjs.org/
  '@ws': https://ws.example/
# of the next
nodeLinker: hoisted
-- registry/own.example/npm/@own/a/-/a-1.0.0.tgz --
@own/a 1.0.0
-- registry/ws.example/@ws/b/-/b-1.0.0.tgz --
@ws/b 1.0.0
` + wants("@own/a https://own.example/npm/@own/a/-/a-1.0.0.tgz", "@ws/b https://ws.example/@ws/b/-/b-1.0.0.tgz") + `-- want/app/.npmrc --
; a comment
node-linker=hoisted
-- want/app/pnpm-workspace.yaml --
packages:
  - w
nodeLinker: hoisted
-- want/deps --
pnpm/.npmrc
pnpm/@own/a/-/a-1.0.0.tgz
pnpm/@ws/b/-/b-1.0.0.tgz
`,
		},
		{
			"a project with a lockfile of its own, in a workspace whose registries are above it", "-- request.json --\n{\"packages\": [{\"path\": \"w\"}]}\n" +
				"-- repo/pnpm-workspace.yaml --\npackages: [w]\nregistries: {'@ws': 'https://ws.example'}\n-- repo/.npmrc --\nregistry=https://registry.npmjs.org/ ; ours\n" +
				"-- repo/w/package.json --\n{\"name\": \"app\", \"version\": \"1.0.0\"}\n-- repo/w/pnpm-lock.yaml --\nlockfileVersion: '9.0'\npackages:\n  '@ws/b@1.0.0':\n    resolution: {integrity: SRI(ws.example/b-1.0.0.tgz)}\n" +
				"-- registry/ws.example/@ws/b/-/b-1.0.0.tgz --\n@ws/b 1.0.0\n" +
				"-- want/packages --\npnpm app 1.0.0 (w)\n  pnpm @ws/b https://ws.example/@ws/b/-/b-1.0.0.tgz dev\n-- want/app/.npmrc --\n\n-- want/app/pnpm-workspace.yaml --\npackages: [w]\n",
		},
		{
			"a registry that depends on the environment is not followed, and the log says so once", lock9("importers:\n  .: {}\n  w: {}\npackages:\n  a@1.0.0:\n    resolution: {integrity: SRI(a-1.0.0.tgz)}\n") +
				"-- repo/.npmrc --\nregistry=${OWN}\n-- repo/w/.npmrc --\nregistry=https://unused.example\nx=y\n-- repo/w/package.json --\n{}\n" + served("a 1.0.0") +
				wants("a 1.0.0 dev", "w file:w") + "-- want/overlays --\n.npmrc\nw/.npmrc\n-- want/app/w/.npmrc --\nx=y\n-- want/log --\nlevel=WARN msg=\"A registry that depends on the environment is not followed\" file=.npmrc registry=${OWN}\n",
		},
		{
			"a configuration dependency with a name that is none", lock9("") + "-- repo/pnpm-workspace.yaml --\nconfigDependencies:\n  ../x: 6.0.0+sha512-AA\n" +
				refused("InvalidFileFormat", `pnpm-workspace.yaml, line 2: "../x" is not the name of a package`),
		},
		{
			"build metadata is in no file's name", lock9(`packages:
  a@1.0.0+build.5:
    resolution: {integrity: SRI(a-1.0.0.tgz)}`) + served("a 1.0.0") +
				wants("a 1.0.0+build.5 dev") + "-- want/deps --\npnpm/.npmrc\npnpm/a/-/a-1.0.0.tgz\n",
		},
		{
			"an entry without integrity must be the package that was asked for", lock9(`packages:
  a@1.0.0:
    resolution: {}`) + "-- registry/registry.example/a/-/a-1.0.0.tgz --\nb 1.0.0\n" +
				refused("InvalidChecksum", `The file a-1.0.0.tgz holds "b" "1.0.0" instead of a 1.0.0, and the lockfile has no integrity value for it`),
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			text := test.text
			// The scenario's placeholders know the last two parts of a URL only.
			text = strings.NewReplacer("SRI(own.example/a-", "SRI(a-", "SRI(ws.example/b-", "SRI(b-").Replace(text)
			check(t, text)
		})
	}
}

// A package.json without name and version is the repository's, as roots of workspaces are.
func TestPackageWithoutName(t *testing.T) {
	const lock = "-- repo/%pnpm-lock.yaml --\nlockfileVersion: '9.0'\nimporters:\n  .: {}\n-- repo/%package.json --\n{}\n"
	check(t, "-- request.json --\n{}\n"+strings.ReplaceAll(lock, "%", "")+"-- want/packages --\npnpm repo "+resolvertest.Ref+"\n")
	check(t, "-- request.json --\n{\"packages\": [{\"path\": \"sub/web\"}]}\n"+strings.ReplaceAll(lock, "%", "sub/web/")+
		"-- want/packages --\npnpm web "+resolvertest.Ref+" (sub/web)\n")
}

func TestPURLs(t *testing.T) {
	rule := Rules()[0]
	for _, test := range []struct{ name, version, want string }{
		{"@types/ms", "0.7.34", "pkg:npm/%40types/ms@0.7.34"},
		{"@jsr/luca__cases", "1.0.0", "pkg:npm/%40luca/cases@1.0.0?repository_url=https://npm.jsr.io"},
		{"@jsr/hono__hono", "4.12.23", "pkg:npm/%40hono/hono@4.12.23?repository_url=https://npm.jsr.io"}, // Hermeto's pnpm_e2e_v10
		{"@jsr/odd", "1.0.0", "pkg:npm/%40jsr/odd@1.0.0"},
		{"localdir", "file:localdir", "pkg:generic/localdir?file=localdir"},
		{"u", "https://x.test/u.tgz", "pkg:generic/u?download_url=https%3A%2F%2Fx.test%2Fu.tgz"},
		{"g", "git+https://h/o/r.git#c&path:/sub", "pkg:generic/g?vcs_url=git%2Bhttps%3A%2F%2Fh%2Fo%2Fr.git%23c%26path%3A%2Fsub"},
	} {
		got, err := rule.DependencyPURL(packages.Context{}, packages.Package{}, packages.Dependency{Name: test.name, Version: &test.version})
		if err != nil || got != test.want {
			t.Errorf("%s %s: got %s (%v), want %s", test.name, test.version, got, err, test.want)
		}
	}
}

// What no digest of a lockfile covers is said, and a commit is as good as one.
func TestUnverified(t *testing.T) {
	res := check(t, lock9(`packages:
  a@1.0.0:
    resolution: {}
  b@1.0.0:
    resolution: {integrity: SRI(b-1.0.0.tgz)}
  g@git+https://git.example/o/r.git#COMMIT:
    resolution: {commit: COMMIT, repo: https://git.example/o/r.git, type: git}
  u@https://x.test/u.tgz:
    resolution: {tarball: https://x.test/u.tgz}
    version: 1.0.0`)+served("a 1.0.0", "b 1.0.0")+"-- registry/x.test/u.tgz --\nu 1.0.0\n"+
		"-- registry/git/git.example/o/r.git/package.json --\n{\"name\": \"g\", \"version\": \"1.0.0\"}\n"+
		wants("a 1.0.0 dev", "b 1.0.0 dev", "g git+https://git.example/o/r.git#"+commit+" dev", "u https://x.test/u.tgz dev"))
	want := []string{"pkg:generic/u?download_url=https%3A%2F%2Fx.test%2Fu.tgz", "pkg:npm/a@1.0.0"}
	if diff := cmp.Diff(want, res.Output.Unverified); diff != "" {
		t.Errorf("unverified (-want +got):\n%s", diff)
	}
	if n := len(res.Output.Checksums); n != 4 {
		t.Errorf("%d checksums, want 4: %v", n, res.Output.Checksums)
	}
}

// Variables of the build: paths travel with the bundle, so none is absolute.
func TestEnvironment(t *testing.T) {
	res := check(t, lock9("importers:\n  .: {}")+wants())
	got, err := json.Marshal(res.Output.EnvironmentVariables)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"CACHITO_PNPM_DEPS":{"value":"deps/pnpm","kind":"path"}`, `"NPM_CONFIG_USERCONFIG":{"value":"deps/pnpm/.npmrc","kind":"path"}`,
		`"PNPM_CONFIG_TRUST_LOCKFILE":{"value":"true","kind":"literal"}`,
	} {
		if !strings.Contains(string(got), want) {
			t.Errorf("the variables %s lack %s", got, want)
		}
	}
	const config = "registry=file://${CACHITO_PNPM_DEPS}/\n@jsr:registry=file://${CACHITO_PNPM_DEPS}/\nmanage-package-manager-versions=false\n"
	if got := string(res.Output.ConfigFiles[0].Content); res.Output.ConfigFiles[0].Path != "deps/pnpm/.npmrc" || got != config {
		t.Errorf("%s is %q, want %q", res.Output.ConfigFiles[0].Path, got, config)
	}
}
