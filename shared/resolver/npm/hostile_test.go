package npm

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/resolver/resolvertest"
)

// Names that would become paths, or look like others.
func TestHostileNames(t *testing.T) {
	for _, name := range []string{
		"..", "../x", "a/../../x", "/etc/passwd", "a%2f..%2fx", "%2e%2e", "a b", ".hidden", "chаi", "ｃhai", "a\\\\b", "a\\u202eb", "@../a", "@a/..", "@a/b/c", "node_modules", "a\\u0000b", "a\\nb",
		strings.Repeat("a", 300),
	} {
		for form, text := range map[string]string{
			"v1":      v1(`"` + name + `":{"version":"1.0.0","resolved":"R/x/-/x-1.0.0.tgz"}`),
			"v3":      v3(`"node_modules/x":{"name":"` + name + `","version":"1.0.0","resolved":"R/x/-/x-1.0.0.tgz"}`),
			"bundled": v3(`"node_modules/x":{"name":"` + name + `","version":"1.0.0","inBundle":true}`),
			"git":     v1(`"` + name + `":{"version":"git+https://github.com/o/w.git#COMMIT"}`),
			"alias":   v1(`"x":{"version":"npm:` + name + `@1.0.0"}`),
		} {
			w := newWorld()
			res := w.run(t, text)
			if f := fault.From(res.Err); f == nil || f.Origin != fault.OriginClient || f.Type != fault.InvalidFileFormat {
				t.Errorf("%s, %q: got %v, want InvalidFileFormat of the client", form, name, res.Err)
			}
			if len(w.clones) > 0 {
				t.Errorf("%s, %q: asked for %v", form, name, w.clones)
			}
		}
	}
}

func TestHostileVersions(t *testing.T) {
	for _, version := range []string{"../1", "1.0.0 ", "-1", "1%2f", "１.0.0", strings.Repeat("1", 300)} {
		res := newWorld().run(t, v3(`"node_modules/x":{"version":"`+version+`","resolved":"R/x/-/x-1.0.0.tgz"}`))
		if f := fault.From(res.Err); f == nil || f.Origin != fault.OriginClient || f.Type != fault.InvalidFileFormat {
			t.Errorf("%q: got %v, want InvalidFileFormat of the client", version, res.Err)
		}
	}
	// What an archive says of itself is no better.
	w := newWorld()
	w.trees["github.com/o/w.git"] = tree("w", "../../x", "")
	w.run(t, v1(`"w":{"version":"git+https://github.com/o/w.git#COMMIT"}`)+refused(fault.InvalidFileFormat,
		`The package.json of the dependency w: "../../x" is not a version of w`)).Check(t)
	w.trees["github.com/o/w.git"] = map[string]string{"package.json": `{"name":"w"}`}
	w.run(t, v1(`"w":{"version":"git+https://github.com/o/w.git#COMMIT"}`)+
		want("deps", "npm/external-w/w-0.0.0-external-gitcommit-COMMIT.tgz")).Check(t)
}

// A registry that answers something else than what was asked for.
func TestHostileRegistry(t *testing.T) {
	const x = askedHost + "/x/-/x-1.0.0.tgz"
	const url = "https://" + x
	unchecked := v1(`"x":{"version":"1.0.0","resolved":"R/x/-/x-1.0.0.tgz"}`)
	checked := v1(`"x":{"version":"1.0.0","resolved":"R/x/-/x-1.0.0.tgz","integrity":"SRI(x-1.0.0.tgz)"}`)
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
	}
	content := func(b []byte) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.Write(b) }
	}
	html := content([]byte("<!DOCTYPE html><html>" + strings.Repeat("<p>sign in</p>", 100)))
	real := newWorld().tarballs[x]
	could := "Could not download x-1.0.0.tgz from " + url + ". exception_name: HTTPError, details: Could not download " + url + ": "
	for _, test := range []struct {
		name   string
		answer http.HandlerFunc
		text   string
	}{
		{"another package", content(tarball("evil", "1.0.0")), unchecked + refused(fault.InvalidChecksum,
			`The file x-1.0.0.tgz holds "evil" "1.0.0" instead of x 1.0.0, and the lockfile has no integrity value for it`)},
		{"another version", content(tarball("x", "1.0.1")), unchecked + refused(fault.InvalidChecksum,
			`The file x-1.0.0.tgz holds "x" "1.0.1" instead of x 1.0.0, and the lockfile has no integrity value for it`)},
		{"the version as it was written", content(tarball("x", " =v1.0.0+build")), unchecked + want("deps", "npm/x/x-1.0.0.tgz")},
		{"HTML", html, unchecked + refused(fault.InvalidFileFormat, "Could not process dependency R/x/-/x-1.0.0.tgz: the archive cannot be read: archive/tar: invalid tar header")},
		{"HTML, with integrity", html, strings.Replace(checked, "SRI(x-1.0.0.tgz)", "SRI(x-1.0.0.tgz) sha1-AAAAAAAAAAAAAAAAAAAAAAAAAAA=", 1) + refused(fault.InvalidChecksum,
			"The file x-1.0.0.tgz has an unexpected checksum value, expected HEX(x-1.0.0.tgz) but computed 3a8c62f0e5e2c2dfb8eb41b0e9a56b4d6de1a07a")},
		{"truncated", content(real[:len(real)/2]), unchecked + refused(fault.InvalidFileFormat, "Could not process dependency R/x/-/x-1.0.0.tgz: the archive cannot be read: unexpected EOF")},
		{"not found", status(404), checked + refused(fault.NetworkError, could+"404 Not Found")},
		{"forbidden", status(403), checked + refused(fault.NetworkError, could+"403 Forbidden")},
		{"down", status(503), checked + want("error", "server NetworkError\n"+could+"503 Service Unavailable")},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld()
			w.answers[x] = test.answer
			res := w.run(t, test.text)
			if test.name == "HTML, with integrity" {
				f := fault.From(res.Err)
				if f == nil || f.Type != fault.InvalidChecksum || !strings.HasPrefix(f.Message, "The file x-1.0.0.tgz has an unexpected checksum value, expected ") {
					t.Errorf("got %v", res.Err)
				}
				return
			}
			res.Check(t)
		})
	}
}

// What a registry answers by mistake is not remembered as the package.
func TestRegistryIsWellAgain(t *testing.T) {
	const x = askedHost + "/x/-/x-1.0.0.tgz"
	w := newWorld()
	s := w.scenario(t, v1(`"x":{"version":"1.0.0","resolved":"R/x/-/x-1.0.0.tgz"}`))
	well := false
	w.answers[x] = func(rw http.ResponseWriter, _ *http.Request) {
		if well {
			rw.Write(tarball("x", "1.0.0"))
			return
		}
		io.WriteString(rw, "<html>sign in</html>")
	}
	fetcher := w.fetcher(t)
	if f := fault.From(s.Run(t, newResolver(t, nil), fetcher).Err); f == nil || f.Type != fault.InvalidFileFormat {
		t.Fatalf("while it is ill: got %v, want InvalidFileFormat", f)
	}
	well = true
	if err := s.Run(t, newResolver(t, nil), fetcher).Err; err != nil {
		t.Errorf("once it is well again: %v", err)
	}
}

// Nothing but the configured registry is asked for registry packages, and ssh repositories by https first.
func TestWhatIsAsked(t *testing.T) {
	w := newWorld()
	s := w.scenario(t, v3(`"node_modules/x":{"version":"1.0.0","resolved":"Y/x/-/x-1.0.0.tgz#0123"},
		"node_modules/@types/ms":{"version":"0.7.34"},
		"node_modules/b":{"version":"1.0.0","resolved":"R/b/-/b-1.0.0.tgz","integrity":"SRI(b-1.0.0.tgz)"},
		"node_modules/c/node_modules/b":{"version":"1.0.0","resolved":"Y/b/-/b-1.0.0.tgz","integrity":"SRI(b-1.0.0.tgz)"},
		"node_modules/p":{"version":"1.0.0","resolved":"git+ssh://git@github.com/o/p.git#COMMIT"},
		"node_modules/fecha":{"version":"4.2.0","resolved":"https://x.test/f.tgz#fragment","integrity":"SRI(f.tgz)"}`))
	fetcher := w.fetcher(t)
	res := s.Run(t, newResolver(t, nil), fetcher)
	if res.Err != nil {
		t.Fatal(res.Err)
	}
	asked := fetcher.Requests()
	slices.Sort(asked)
	want := []string{
		"https://registry.example/@types/ms/-/ms-0.7.34.tgz", "https://registry.example/b/-/b-1.0.0.tgz", "https://registry.example/b/-/b-1.0.0.tgz",
		"https://registry.example/x/-/x-1.0.0.tgz", "https://x.test/f.tgz",
	}
	if diff := cmp.Diff(want, asked); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"https://git@github.com/o/p.git"}, w.clones); diff != "" {
		t.Errorf("N59 repositories (-want +got):\n%s", diff)
	}
	unverified := []string{"pkg:npm/%40types/ms@0.7.34", "pkg:npm/x@1.0.0"}
	if diff := cmp.Diff(unverified, res.Output.Unverified); diff != "" {
		t.Errorf("unverified (-want +got):\n%s", diff)
	}
	ids := []string{
		"pkg:generic/fecha?download_url=https%3A%2F%2Fx.test%2Ff.tgz%23fragment",
		"pkg:generic/p?vcs_url=git%2Bssh%3A%2F%2Fgit%40github.com%2Fo%2Fp.git%23" + commit,
		"pkg:npm/%40types/ms@0.7.34", "pkg:npm/b@1.0.0", "pkg:npm/x@1.0.0",
	}
	var got []string
	for id, sums := range res.Output.Checksums {
		got = append(got, id)
		if len(sums) != 1 || len(sums[0]) != 64 {
			t.Errorf("%s has the checksums %v", id, sums)
		}
	}
	slices.Sort(got)
	if diff := cmp.Diff(ids, got); diff != "" {
		t.Errorf("checksums (-want +got):\n%s", diff)
	}
}

// One version with two contents: the lockfile has two digests, and both files exist.
func TestTwoFilesForOnePlace(t *testing.T) {
	w := newWorld()
	other := tarball("x", "1.0.0")
	other = append(other, make([]byte, 512)...)
	w.tarballs[askedHost+"/x/-/other.tgz"] = other
	res := w.run(t, v3(`"node_modules/x":{"version":"1.0.0","resolved":"R/x/-/x-1.0.0.tgz","integrity":"SRI(x-1.0.0.tgz)"},
		"node_modules/a/node_modules/x":{"version":"1.0.0","resolved":"R/x/-/other.tgz","integrity":"SRI(other.tgz)"}`))
	if f := fault.From(res.Err); f == nil || f.Type != fault.InvalidChecksum || !strings.HasPrefix(f.Message, "The lockfiles name two different files for x 1.0.0: sha256:") {
		t.Errorf("got %v", res.Err)
	}
}

func TestHostileLockfiles(t *testing.T) {
	lock := func(content string) string { return plainPackage + "-- repo/package-lock.json --\n" + content + "\n" }
	const notJSON = "The lock file package-lock.json is not valid JSON: line 1: "
	many := `{"name":"a","version":"1","lockfileVersion":3,"packages":{` + strings.Repeat(`"x":{},`, MaxEntries) + `"y":{}}}`
	for _, test := range []scenarioCase{
		{"empty", lock("") + refused(fault.InvalidFileFormat, "The lock file package-lock.json is not valid JSON: line 2: the file ends too early")},
		{"cut off", lock(`{"name":"a`) + refused(fault.InvalidFileFormat, notJSON+"a control character within a text")},
		{"two documents", lock(`{"lockfileVersion":1}{}`) + refused(fault.InvalidFileFormat, notJSON+"unexpected '{'")},
		{"a comment", lock(`{/* */}`) + refused(fault.InvalidFileFormat, notJSON+"unexpected '/'")},
		{"a comma too many", lock(`{"a":1,}`) + refused(fault.InvalidFileFormat, notJSON+"unexpected '}'")},
		{"single quotes", lock(`{'a':1}`) + refused(fault.InvalidFileFormat, notJSON+`unexpected '\''`)},
		{"a bad escape", lock(`{"\x":1}`) + refused(fault.InvalidFileFormat, notJSON+`"\x" is no JSON text`)},
		{"a bad number", lock(`{"a":01}`) + refused(fault.InvalidFileFormat, notJSON+"unexpected 01")},
		{"deep", lock(`{"a":`+strings.Repeat("[", maxJSONDepth)+strings.Repeat("]", maxJSONDepth)+"}") +
			refused(fault.InvalidFileFormat, notJSON+"nested more than 1000 levels deep")},
		{"a long text", lock(`{"a":"`+strings.Repeat("x", maxJSONTextBytes)+`"}`) + refused(fault.InvalidFileFormat, notJSON+"a text of more than 1048576 bytes")},
		{"a long entry", lock(`{"lockfileVersion":1,"dependencies":{"a":{"version":"`+strings.Repeat("x", 1<<15)+`"}}}`) +
			refused(fault.ValidationError, "The lock file package-lock.json has an unexpected format (an entry with more than 16 KiB of text)")},
		{"many entries", lock(many) + refused(fault.UnsupportedFeature, "The lock file package-lock.json has too many entries: the limit for a request is 60000")},
		{"many workspaces", lock(`{"lockfileVersion":3,"packages":{"":{"workspaces":[`+strings.Repeat(`"a",`, MaxEntries)+`"b"]}}}`) +
			refused(fault.UnsupportedFeature, "The lock file package-lock.json has too many entries: the limit for a request is 60000")},
		{"more workspaces than is sensible", lock(`{"lockfileVersion":3,"packages":{"":{"workspaces":[`+strings.Repeat(`"a",`, 1000)+`"b"]}}}`) +
			refused(fault.UnsupportedFeature, "The lock file package-lock.json has 1001 workspaces, the limit is 1000")},
		{"a control character in a URL", v1(`"x":{"version":"1.0.0","resolved":"R/x/-/x\u0007.tgz"}`) +
			refused(fault.InvalidFileFormat, `The lock file package-lock.json has a control character in the entry "x"`)},
		{"a path out of the registry", v1(`"x":{"version":"1.0.0","resolved":"R/x/-/../../../admin/x.tgz"}`) +
			refused(fault.InvalidFileFormat, "The URL of the dependency x@R/x/-/../../../admin/x.tgz has a path that no registry has")},
		{"a workspace that is a link to itself", `
-- request.json --
{"links": {"packages/loop": "loop"}}
` + plainPackage + `-- repo/package-lock.json --
{"lockfileVersion":3,"packages":{"":{"workspaces":["packages/*"]},"packages/loop":{}}}
` + refused(fault.InvalidRepoStructure, "The path packages/loop of the dependency loop leads out of the repository")},
		{"a workspace outside", `
-- request.json --
{"links": {"packages/out": "/etc"}}
` + plainPackage + `-- repo/package-lock.json --
{"lockfileVersion":3,"packages":{"":{"workspaces":["packages/*"]},"packages/out":{}}}
` + refused(fault.InvalidRepoStructure, "The path packages/out of the dependency out leads out of the repository")},
		{"workspaces within each other", `
-- request.json --
{"links": {"packages/a/up": "../..", "packages/b": "a"}}
` + plainPackage + `-- repo/packages/a/package.json --
{"name": "a", "dependencies": {"q": "o/q"}}
-- repo/package-lock.json --
{"name":"r","version":"1","lockfileVersion":3,"packages":{"":{"workspaces":["packages/*"]},"packages/a":{},"packages/b":{},"packages/a/up":{},"packages/a/up/packages/a":{}}}
` + want("overlays", "packages/a/package.json", "packages", `npm r 1
  npm a file:packages/a
  npm a file:packages/a/up/packages/a
  npm b file:packages/b
  npm up file:packages/a/up`)},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			newWorld().run(t, test.text).Check(t)
		})
	}
}

// What was rewritten must say the same wherever and whenever it is made.
func TestOutputIsDeterministic(t *testing.T) {
	text := v3(`"node_modules/x":{"version":"1.0.0","resolved":"R/x/-/x-1.0.0.tgz"},"node_modules/b":{"version":"1.0.0","resolved":"R/b/-/b-1.0.0.tgz"},
		"node_modules/w":{"version":"1.0.0","resolved":"git+https://github.com/o/w.git#COMMIT"},"node_modules/p":{"version":"1.0.0","resolved":"git+ssh://git@github.com/o/p.git#COMMIT"}`)
	first := newWorld().run(t, text)
	if first.Err != nil {
		t.Fatal(first.Err)
	}
	for range 3 {
		if diff := cmp.Diff(first.Output, newWorld().run(t, text).Output); diff != "" {
			t.Fatalf("(-first +second):\n%s", diff)
		}
	}
}

// Two paths share a package.json: what both change is in it.
func TestPathWithinWorkspace(t *testing.T) {
	newWorld().run(t, `
-- request.json --
{"packages": [{"path": "."}, {"path": "packages/ws1"}]}
-- repo/package.json --
{"name": "root"}
-- repo/package-lock.json --
{"name":"root","version":"1.0.0","lockfileVersion":3,"packages":{"":{"workspaces":["packages/*"]},"packages/ws1":{"name":"ws1"}}}
-- repo/packages/ws1/package.json --
{"name": "ws1", "dependencies": {"p": "o/p"}, "overrides": {"p": "o/p"}}
-- repo/packages/ws1/package-lock.json --
{"name":"ws1","version":"1.0.0","lockfileVersion":3,"packages":{"node_modules/p":{"version":"1.0.0","resolved":"git+ssh://git@github.com/o/p.git#COMMIT"}}}
`+want("overlays", "packages/ws1/package-lock.json\npackages/ws1/package.json", "reasons",
		"Fetching the npm dependencies at the \".\" directory\"\nFetching the npm dependencies at the \"packages/ws1\" directory\"", "app/packages/ws1/package.json", `{
  "name": "ws1",
  "dependencies": {
    "p": ""
  },
  "overrides": {
    "p": "file:../../../deps/npm/external-p/p-2.3.4-external-gitcommit-COMMIT.tgz"
  }
}`)).Check(t)
}

func TestLeadsToNetwork(t *testing.T) {
	for _, spec := range []string{
		"https://h/a.tgz", "http://h/a", "git://h/a", "git+ssh://git@h/a.git#v1", "git+file:///a", "github:a/b", "gist:1234", "a/b", "a/b#v1", "a/b#x/y", "a/b#semver:^1",
		"git@h.org:a/b.git", "user@host:path", "HTTPS://h/a", " o/p ", "ssh://h/a", "workspace:*", "bitbucket:a/b",
	} {
		if !leadsToNetwork(spec) {
			t.Errorf("%q is said to stay here", spec)
		}
	}
	for _, spec := range []string{
		"", "*", "^1.2.3", ">=1 <2 || 3", "1.x - 2", "latest", "next-11", "npm:real@1", "NPM:real@^1", "npm:@s/real@1", "file:../a", "FILE:a", "./a", "../a/b", "~/a", "/a", "~1.2", "a.tgz", "v1.0.0", "a/b/c", "C:\\a", "1.0.0+build",
	} {
		if leadsToNetwork(spec) {
			t.Errorf("%q is said to lead to the network", spec)
		}
	}
}

func TestDescriptor(t *testing.T) {
	d := Descriptor()
	if !d.Detect(map[string]bool{"package-lock.json": true}) || !d.Detect(map[string]bool{"npm-shrinkwrap.json": true}) || d.Detect(map[string]bool{"package.json": true, "yarn.lock": true}) {
		t.Error("Detect does not go by the lockfile")
	}
	for _, values := range []map[string]string{{}, {"registry": "https://r.example/", "file_deps_allowlist": "[]"}} {
		if _, err := New(settingsOf(values)); err == nil {
			t.Errorf("the settings %v are taken for good", values)
		}
	}
}

// A lockfile of 100 MB is read and rewritten in little memory, and is not a configuration file.
func TestLargeLockfile(t *testing.T) {
	const size = 100 << 20
	var b bytes.Buffer
	b.WriteString(`{"name":"a","version":"1.0.0","lockfileVersion":3,"packages":{"":{"name":"a","version":"1.0.0"}`)
	pad := strings.Repeat("x", 4000)
	for n := 0; b.Len() < size; n++ {
		fmt.Fprintf(&b, `,"node_modules/p%d/node_modules/x":{"version":"1.0.0","resolved":"https://%s/x/-/x-1.0.0.tgz","deprecated":%q}`, n, npmHost, pad)
	}
	b.WriteString("}}")
	w := newWorld()
	s := w.scenario(t, plainPackage)
	s.Repo["package-lock.json"] = b.Bytes()
	peak := peakHeap(t)
	res := s.Run(t, newResolver(t, nil), w.fetcher(t))
	if res.Err != nil {
		t.Fatal(res.Err)
	}
	if grown := peak(); grown > 64<<20 {
		t.Errorf("the heap has grown by %d MB", grown>>20)
	}
	if got := resolvertest.Packages(res.Output); got != "npm a 1.0.0\n  npm x 1.0.0\n" {
		t.Errorf("got %s", got)
	}
	if len(res.Output.Overlays) != 1 || res.Output.Overlays[0].File == nil || len(res.Output.ConfigFiles) != 0 {
		t.Errorf("got overlays %v and %d configuration files", resolvertest.Entries(res.Output.Overlays), len(res.Output.ConfigFiles))
	}
	if !strings.Contains(res.Log, "too large to be a configuration file") {
		t.Errorf("the log says nothing of it:\n%s", res.Log)
	}
	s.Repo["package-lock.json"] = append(b.Bytes(), bytes.Repeat([]byte(" "), 30<<20)...)
	res = s.Run(t, newResolver(t, nil), w.fetcher(t))
	if f := fault.From(res.Err); f == nil || f.Type != fault.UnsupportedFeature || !strings.HasSuffix(f.Message, "bytes, the limit is 134217728") {
		t.Errorf("got %v, want a refusal", res.Err)
	}
}
