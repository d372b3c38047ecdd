package javascript

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/integrity"
)

func TestPaths(t *testing.T) {
	digest := integrity.Digest{Algorithm: "sha512", Sum: "\x01\xab"}
	tarball := func(name, version string) string {
		t.Helper()
		p, err := TarballPath("yarn", name, version, digest)
		if err != nil {
			t.Error(err)
		}
		return p
	}
	git := func(name, version, source string) string {
		t.Helper()
		parsed, err := ParseGit(name, source+"#"+someCommit)
		if err != nil {
			t.Fatal(err)
		}
		p, err := GitPath("npm", name, version, parsed)
		if err != nil {
			t.Error(err)
		}
		return p
	}
	for got, want := range map[string]string{
		RegistryPath("npm", "chai", "4.2.0"):                     "npm/chai/chai-4.2.0.tgz",
		RegistryPath("npm", "@types/ms", "0.7.34"):               "npm/@types/ms/types-ms-0.7.34.tgz",
		RegistryPath("npm", "@a/b-c", "1.0.0"):                   "npm/@a/b-c/a-b-c-1.0.0.tgz",
		RegistryPath("npm", "@a-b/c", "1.0.0"):                   "npm/@a-b/c/a-b-c-1.0.0.tgz",
		tarball("fecha", "4.2.0"):                                "yarn/external-fecha/fecha-4.2.0-external-sha512-01ab.tgz",
		tarball("@a/b", "1.0.0"):                                 "yarn/external-@a/b/a-b-1.0.0-external-sha512-01ab.tgz",
		git("is-positive", "3.1.0", "github:kevva/is-positive"):  "npm/github/kevva/is-positive/is-positive-3.1.0-external-gitcommit-" + someCommit + ".tgz",
		git("r", "1.0.0", "git+https://h/ns/r.git"):              "npm/external-r/r-1.0.0-external-gitcommit-" + someCommit + ".tgz",
		git("@s/r", "1.0.0", "git+ssh://git@h/ns/r.git"):         "npm/external-@s/r/s-r-1.0.0-external-gitcommit-" + someCommit + ".tgz",
		git("with-port", "1.0.0", "git+https://h:8443/ns/r.git"): "npm/external-with-port/with-port-1.0.0-external-gitcommit-" + someCommit + ".tgz",
		git("scp", "1.0.0", "git+ssh://git@h:ns/r.git"):          "npm/external-scp/scp-1.0.0-external-gitcommit-" + someCommit + ".tgz",
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	_, err := TarballPath("npm", strings.Repeat("a", 200), "1.0.0", integrity.Digest{Algorithm: "sha512", Sum: strings.Repeat("x", 64)})
	checkFault(t, err, fault.UnsupportedFeature, "The file name "+strings.Repeat("a", 60)+"... of the dependency "+strings.Repeat("a", 200)+" has 355 characters, the limit is 255")
}

func TestNames(t *testing.T) {
	for _, name := range []string{"a", "JSONStream", "@types/ms", "lodash.merge", "a_b-c~d", "_private", "3d", "@s/_x", "it's!"} {
		if err := CheckName("f", name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{
		"", ".", "..", ".hidden", "a/b", "@a", "@a/", "@/a", "@a/b/c", "@../a", "@a/..", "../a", "/a", "a%2fb", "%2e%2e", "a b", "a\x00", "a\nb", "a\\b", "C:a",
		"chаi", "ａ", "a\u202eb", "a\u200b", "node_modules", "@a/node_modules", "a#b", "a?b", "a:b", "a@1",
	} {
		if err := CheckName("package-lock.json", name); err == nil {
			t.Errorf("%q is taken for a name", name)
		} else if f := fault.From(err); f.Type != fault.InvalidFileFormat || f.Origin != fault.OriginClient || !strings.HasPrefix(f.Message, "package-lock.json: ") {
			t.Errorf("%q: %v", name, err)
		}
	}
	if err := CheckName("f", strings.Repeat("a", 215)); err == nil {
		t.Error("a name of 215 characters is taken")
	}
}

func TestVersions(t *testing.T) {
	for _, v := range []string{"1.0.0", "v1.0.0", "1.0.0-rc.1+build.5", "1"} {
		if err := CheckVersion("f", "a", v); err != nil {
			t.Errorf("%s: %v", v, err)
		}
	}
	for _, v := range []string{"", "..", "../1", "1/2", "1 2", "1\n", "-1", "1.0.0%2f", "１", strings.Repeat("1", 257)} {
		if err := CheckVersion("f", "a", v); fault.From(err) == nil || fault.From(err).Type != fault.InvalidFileFormat {
			t.Errorf("%q: got %v", v, err)
		}
	}
}

func TestEnvironment(t *testing.T) {
	got := map[string]string{}
	for name, v := range Environment() {
		got[name] = v.Kind + " " + v.Value
	}
	want := map[string]string{
		"CHROMEDRIVER_SKIP_DOWNLOAD": "literal true", "CYPRESS_INSTALL_BINARY": "literal 0",
		"GECKODRIVER_SKIP_DOWNLOAD": "literal true", "SKIP_SASS_BINARY_DOWNLOAD_FOR_CI": "literal true",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
