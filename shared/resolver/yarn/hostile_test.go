package yarn

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/resolver/javascript"
	"github.com/cachito-serverless/cachito/shared/resolver/javascript/javascripttest"
	"github.com/cachito-serverless/cachito/shared/resolver/resolvertest"
)

// What Yarn 1.22 itself derives, printed by its own code.
func TestMirrorName(t *testing.T) {
	for _, test := range []struct {
		kind         javascript.Kind
		source, want string // "": refused
	}{
		{javascript.FromRegistry, "https://h/chai/-/chai-4.2.0.tgz#x", "chai-4.2.0.tgz"},
		{javascript.FromRegistry, "https://h/@types/ms/-/ms-0.7.34.tgz#x", "@types-ms-0.7.34.tgz"},
		{javascript.FromRegistry, "https://h/@types%2fms/-/ms-0.7.34.tgz", "@types-ms-0.7.34.tgz"},
		{javascript.FromRegistry, "https://h/@types%2Fms/-/ms-0.7.34.tgz", "ms-0.7.34.tgz"},
		{javascript.FromURL, "https://h/api/npm/virtual/@types/ms/-/@types/ms-0.7.34.tgz", "@types-ms-0.7.34.tgz"},
		{javascript.FromURL, "https://h/x/_attachments/x-1.tgz", "x-1.tgz"},
		{javascript.FromURL, "https://codeload.github.com/o/r/tar.gz/" + commit, commit},
		{javascript.FromURL, "https://gitlab.com/o/r/repository/archive.tar.gz?ref=abc", "archive.tar.gz"},
		{javascript.FromURL, "https://h/a.tgz?x=/b.tgz#/c", "a.tgz"},
		{javascript.FromURL, "https://h/a b.tgz", "a%20b.tgz"},
		{javascript.FromURL, "https://h/{x}'|.tgz", "%7Bx%7D%27%7C.tgz"},
		{javascript.FromURL, `https://h/a\b.tgz`, "b.tgz"},
		{javascript.FromURL, "https://h/dir/", "dir"},
		{javascript.FromURL, "https://u:p@h:8/a.tgz", "a.tgz"},
		{javascript.FromURL, "https://h/ä.tgz", "ä.tgz"},
		{javascript.FromURL, "https://h/x/%2e%2e", "%2e%2e"},
		{javascript.FromURL, "https://h/@a-b/c/-/c-1.tgz/u.tgz", "u.tgz"},
		{javascript.FromURL, "https://h/", ""},
		{javascript.FromURL, "https://h", ""},
		{javascript.FromURL, "https://h/..", ""},
		{javascript.FromURL, "https://h/a\x00.tgz", ""},
		{javascript.FromURL, "https://h/a\u009b.tgz", ""},
		{javascript.FromURL, "https://h/" + strings.Repeat("a", 256), ""},
		{javascript.FromGit, "git+https://h/o/g.git#abc", "g.git-abc"},
		{javascript.FromGit, "git+ssh://git@github.com:o/g.git#abc", "g.git-abc"},
		{javascript.FromGit, "git+ssh://git@github.com:g.git#abc", "g.git-abc"},
		{javascript.FromGit, "git://h/o/g#abc", "g-abc"},
		{javascript.FromGit, "git+https://h/o/g.git/#abc", "g.git-abc"},
		{javascript.FromGit, "git+https://h/o/g.git?x=y#abc", "g.git-abc"},
	} {
		got, err := mirrorName(test.kind, test.source)
		if test.want == "" {
			if !fault.IsClient(err) {
				t.Errorf("%q: got %q, %v, want a fault of the client's", test.source, got, err)
			}
		} else if err != nil || got != test.want {
			t.Errorf("%q: got %q (%v), want %q", test.source, got, err, test.want)
		}
	}
}

// Names and versions become paths of the bundle: what is no name of a package is refused.
func TestHostileNames(t *testing.T) {
	for _, test := range []struct{ name, entry string }{
		{"parents", `"../../x@1"`},
		{"parents in a scope", `"@../x@1"`},
		{"parents behind an alias", `"x@npm:../../y@1"`},
		{"an escaped slash", `"a%2fb@1"`},
		{"an absolute name", `"/etc/passwd@1"`},
		{"a backslash", `"a\\b@1"`},
		{"three parts", `"@a/b/c@1"`},
		{"a dot", `".@1"`},
		{"node_modules", `"node_modules@1"`},
		{"look-alikes", `"ϲhai@1"`},
		{"an invisible letter", `"chai\u200b@1"`},
		{"too long", `"` + strings.Repeat("a", 215) + `@1"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			wantFault(t, test.entry+":\n  version \"1.0.0\"\n  resolved \"https://x.test/f.tgz#SHA1(f.tgz)\""+fecha, fault.InvalidFileFormat, "yarn.lock: ")
		})
	}
	for _, version := range []string{"../1", "1/2", "1%2f2", "", "-1", ".", "1\u202e", strings.Repeat("1", 257)} {
		wantFault(t, "s@1:\n  version \""+version+"\"\n  resolved \"Y/s/-/s-1.0.0.tgz\"", fault.InvalidFileFormat, "yarn.lock:")
	}
	t.Run("upper case is another name", func(t *testing.T) {
		check(t, lockOf(`S@1:
  version "1.0.0"
  resolved "Y/S/-/S-1.0.0.tgz"
-- registry/registry.example/S/-/S-1.0.0.tgz --
S 1.0.0
-- want/deps --
yarn/S/S-1.0.0.tgz
yarn/mirror/S-1.0.0.tgz -> ../S/S-1.0.0.tgz`))
	})
	t.Run("the package mirror", func(t *testing.T) {
		check(t, lockOf(`a@1:
  version "1.0.0"
  resolved "https://x.test/mirror-1.0.0.tgz#SHA1(x.test/mirror-1.0.0.tgz)"
mirror@1:
  version "1.0.0"
  resolved "Y/mirror/-/mirror-1.0.0.tgz"
-- registry/registry.example/mirror/-/mirror-1.0.0.tgz --
mirror 1.0.0
-- registry/x.test/mirror-1.0.0.tgz --
a 1.0.0
-- want/deps --
yarn/external-a/a-1.0.0-external-sha1-SHA1(x.test/mirror-1.0.0.tgz).tgz
yarn/mirror/SHORT(x.test/mirror-1.0.0.tgz)-a.tgz -> ../external-a/a-1.0.0-external-sha1-SHA1(x.test/mirror-1.0.0.tgz).tgz
yarn/mirror/mirror-1.0.0.tgz
-- want/overlays --
yarn.lock`))
	})
}

// wantFault resolves an application with these entries, and some of the world behind them.
func wantFault(t *testing.T, entries string, kind fault.Type, prefix string) {
	t.Helper()
	s, err := resolvertest.Parse([]byte(lockOf(entries)), nil)
	if err != nil {
		t.Fatal(err)
	}
	f := fault.From(resolve(t, s).Err)
	if f == nil || f.Type != kind || f.Origin != fault.OriginClient || !strings.HasPrefix(f.Message, prefix) {
		t.Errorf("got %v, want %s %q", f, kind, prefix)
	}
}

// URLs that do not mean what they seem to.
func TestHostileURLs(t *testing.T) {
	for _, test := range []struct {
		name, resolved string
		kind           fault.Type
		prefix         string
	}{
		{"another package's", "Y/evil/-/evil-1.0.0.tgz", fault.InvalidFileFormat, "The URL of the dependency s@https://registry.yarnpkg.com/evil/-/evil-1.0.0.tgz is that of another package, evil"},
		{"out of the registry's path", "Y/../admin", fault.InvalidFileFormat, "The URL of the dependency s@https://registry.yarnpkg.com/../admin has a path that no registry has"},
		{"out of it, escaped", "Y/%2e%2e/admin", fault.InvalidFileFormat, "The URL of the dependency s@https://registry.yarnpkg.com/%2e%2e/admin has a path that no registry has"},
		{"a local file", "file:///etc/passwd", fault.InvalidRepoStructure, "s@file:///etc/passwd is a 'file:' dependency."},
		{"data", "data:text/plain,x", fault.UnsupportedFeature, "The dependency s@data:text/plain,x is hosted in an unsupported location"},
		{"ext", "ext::sh -c id", fault.UnsupportedFeature, "The dependency s@ext::sh -c id is hosted in an unsupported location"},
		{"no file name", "https://x.test/#97edff6f525f192a3f83cea1944765f769ae2678", fault.InvalidFileFormat, "The URL https://x.test/#97edff6f525f192a3f83cea1944765f769ae2678 names no file that Yarn's offline mirror could hold"},
	} {
		t.Run(test.name, func(t *testing.T) {
			wantFault(t, "s@1:\n  version \"1.0.0\"\n  resolved \""+test.resolved+"\""+fecha, test.kind, test.prefix)
		})
	}
}

// Registries that answer something else. Without a digest in the lockfile, the archive must at least be the one
// that was asked for; with one, it must match.
func TestHostileRegistry(t *testing.T) {
	good := javascripttest.Tarball("s", "1.0.0")
	zeros := func() []byte {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		w := tar.NewWriter(z)
		const size = 32 << 20 // a thousand times what it is packed
		if w.WriteHeader(&tar.Header{Name: "package/zeros", Typeflag: tar.TypeReg, Size: size}) != nil {
			t.Fatal("no header")
		}
		if _, err := io.CopyN(w, zeroReader{}, size); err != nil {
			t.Fatal(err)
		}
		if w.Close() != nil || z.Close() != nil {
			t.Fatal("no archive")
		}
		return b.Bytes()
	}
	for _, test := range []struct {
		name    string
		content []byte
		kind    fault.Type
		prefix  string
	}{
		{"HTML", []byte("<html>maintenance</html>"), fault.InvalidFileFormat, "Could not process dependency https://registry.yarnpkg.com/s/-/s-1.0.0.tgz: the archive cannot be read: "},
		{"nothing", nil, fault.InvalidRepoStructure, "Could not process dependency https://registry.yarnpkg.com/s/-/s-1.0.0.tgz: no package.json file"},
		{"half of it", good[:len(good)/2], fault.InvalidFileFormat, "Could not process dependency https://registry.yarnpkg.com/s/-/s-1.0.0.tgz: the archive cannot be read: "},
		{"another package", javascripttest.Tarball("evil", "1.0.0"), fault.InvalidChecksum, `The file s-1.0.0.tgz holds "evil" "1.0.0" instead of s 1.0.0, and the lockfile has no integrity value for it`},
		{"another version", javascripttest.Tarball("s", "6.6.6"), fault.InvalidChecksum, `The file s-1.0.0.tgz holds "s" "6.6.6" instead of s 1.0.0, and the lockfile has no integrity value for it`},
		{"zeros, a thousand times its size", zeros(), fault.InvalidFileFormat, "Could not process dependency https://registry.yarnpkg.com/s/-/s-1.0.0.tgz: the archive cannot be read: it unpacks to more bytes"},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, digest := range []string{"", "#97edff6f525f192a3f83cea1944765f769ae2678"} {
				s, err := resolvertest.Parse([]byte(lockOf("s@^1:\n  version \"1.0.0\"\n  resolved \"https://"+yarnHost+"/s/-/s-1.0.0.tgz"+digest+"\"")), nil)
				if err != nil {
					t.Fatal(err)
				}
				now := test.content
				answer := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write(now) })
				fetcher := resolvertest.NewFetcher(t, map[string]http.Handler{askedHost: answer})
				res := s.Run(t, newResolver(t, nil), fetcher)
				kind, prefix := test.kind, test.prefix
				if digest != "" {
					kind, prefix = fault.InvalidChecksum, "The file s-1.0.0.tgz has an unexpected checksum value, expected "+digest[1:]+" but computed "
				}
				if f := fault.From(res.Err); f == nil || f.Type != kind || f.Origin != fault.OriginClient || !strings.HasPrefix(f.Message, prefix) {
					t.Errorf("digest %q: got %v, want %s %q", digest, f, kind, prefix)
				}
				// What it answered then is not remembered as the package.
				if now = good; digest == "" {
					if err := s.Run(t, newResolver(t, nil), fetcher).Err; err != nil {
						t.Errorf("once the registry is well again: %v", err)
					}
				}
			}
		})
	}
}

type zeroReader struct{}

func (zeroReader) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// One version, two digests: nobody can say which file is meant.
func TestTwoFilesForOneVersion(t *testing.T) {
	wantFault(t, `"a@https://x.test/1/a.tgz":
  version "1.0.0"
  resolved "https://codeload.github.com/o/a/tar.gz/COMMIT"
"a@https://x.test/2/a.tgz":
  version "1.0.0"
  resolved "https://codeload.github.com/o/b/tar.gz/COMMIT"
-- registry/codeload.github.com/o/a/tar.gz/`+commit+` --
a 1.0.0
-- registry/codeload.github.com/o/b/tar.gz/`+commit+` --
b 1.0.0
`, fault.InvalidChecksum, "The lockfiles name two different files for a 1.0.0: sha256:")
}

// Too large files are refused before they are read.
func TestLimits(t *testing.T) {
	for name, text := range map[string]string{
		"package.json": "-- repo/package.json --\n" + strings.Repeat(" ", javascript.MaxPackageJSONBytes) + "{}\n-- repo/yarn.lock --\n" +
			refused("UnsupportedFeature", fmt.Sprintf("The file package.json has %d bytes, the limit is %d", javascript.MaxPackageJSONBytes+3, javascript.MaxPackageJSONBytes)),
		".yarnrc": lockOf(chai) + "-- repo/.yarnrc --\n" + strings.Repeat("#", maxRCBytes) + "\n" +
			refused("UnsupportedFeature", fmt.Sprintf("The file .yarnrc has %d bytes, the limit is %d", maxRCBytes+1, maxRCBytes)),
	} {
		t.Run(name, func(t *testing.T) { check(t, text) })
	}
}

// Whoever knows a file's digest can name another file as ours would be named.
func TestMirrorNameTakenOnPurpose(t *testing.T) {
	const content = "0123456789abcdef0123456789abcdef"
	m := mirror{"a.tgz": {content: "1"}, content[:16] + "-s.tgz": {content: "2"}}
	d := &dependency{name: "s", kind: javascript.FromURL, entry: &entry{resolved: "https://x.test/a.tgz"}, mirror: mirrorFile{content: content}}
	if f := fault.From(m.add(d)); f == nil || f.Type != fault.UnsupportedFeature || f.Origin != fault.OriginClient {
		t.Errorf("got %v, want UnsupportedFeature", f)
	}
}
