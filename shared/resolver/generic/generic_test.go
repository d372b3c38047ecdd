package generic

import (
	"crypto/md5"
	"crypto/sha256"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/packages"
	"github.com/cachito-serverless/cachito/shared/resolver"
	"github.com/cachito-serverless/cachito/shared/resolver/resolvertest"
)

const (
	head1 = "metadata:\n  version: \"1.0\"\nartifacts:\n"
	head2 = "metadata:\n  version: '2.0'\nartifacts:\n"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// content of every URL of the tests: its own path.
func content(path string) string { return "content of " + path }

// sum is the checksum of what a URL's path has.
func sum(path string) string { return fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(content(path)))) }

// plain is an artifact of https://x.test.
func plain(path string, more ...string) string {
	p, _, _ := strings.Cut(path, "?")
	return strings.Join(append([]string{"  - download_url: https://x.test" + path, "    checksum: " + sum(p)}, more...), "\n") + "\n"
}

// maven is an artifact of https://x.test/m2, of which one attribute is changed.
func maven(change, to string) string {
	text := "  - type: maven\n    checksum: " + sum("/m2/org/apache/ant/ant/1.10.14/ant-1.10.14-sources.jar") + "\n    attributes:\n"
	for _, a := range [][2]string{{"repository_url", "https://x.test/m2/"}, {"group_id", "org.apache.ant"}, {"artifact_id", "ant"}, {"version", "1.10.14"}, {"classifier", "sources"}, {"type", "jar"}} {
		if a[0] == change {
			a[1] = to
		}
		text += fmt.Sprintf("      %s: %q\n", a[0], a[1])
	}
	return text
}

// asked are the requests that a test's server has seen, with their credentials.
type asked []string

func run(t testing.TB, files map[string]string, options string) (resolvertest.Result, *asked) {
	t.Helper()
	s, err := resolvertest.Parse(nil, nil)
	must(t, err)
	s.Request.URL = "https://github.com/Org/Repo.git"
	if options != "" {
		s.Request.Packages = []byte(options)
	}
	for name, text := range files {
		s.Repo[name] = []byte(text)
	}
	var log asked
	host := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/missing") {
			http.NotFound(w, r)
			return
		}
		if value := r.Header.Get("Authorization") + r.Header.Get("Private-Token"); value != "" {
			log = append(log, r.URL.Path+" "+value)
		}
		fmt.Fprint(w, content(r.URL.Path))
	})
	r, err := New(resolver.Settings{})
	must(t, err)
	return s.Run(t, r, resolvertest.NewFetcher(t, map[string]http.Handler{"x.test": host})), &log
}

func TestResolve(t *testing.T) {
	for _, tt := range []struct {
		name, lockfile string
		deps           []string
		purls          []string
	}{
		{
			"E01 without a filename", head1 + plain("/a/b.zip?raw=1"),
			[]string{"generic/b.zip"},
			[]string{"pkg:generic/b.zip?checksum=" + sum("/a/b.zip") + "&download_url=https://x.test/a/b.zip%3Fraw%3D1"},
		},
		{
			"E04 maven", head1 + maven("", ""),
			[]string{"generic/ant-1.10.14-sources.jar"},
			[]string{"pkg:maven/org.apache.ant/ant@1.10.14?checksum=" + sum("/m2/org/apache/ant/ant/1.10.14/ant-1.10.14-sources.jar") + "&classifier=sources&repository_url=https://x.test/m2&type=jar"},
		},
		{"a filename in a folder, with odd characters", head2 + plain("/a", "    filename: sub/dir/ant+x y.jar"), []string{"generic/sub/dir/ant+x y.jar"}, []string{"pkg:generic/ant%2Bx%20y.jar?checksum=" + sum("/a") + "&download_url=https://x.test/a"}},
		{"an escaped slash stays", head1 + plain("/a%2fb", "    filename: x") + "", []string{"generic/x"}, nil},
		{"sorted", head1 + plain("/z") + plain("/b") + plain("/a"), []string{"generic/a", "generic/b", "generic/z"}, nil},
		{"no artifacts", "metadata: {version: \"1.0\"}\nartifacts: []\n", []string{"generic/"}, nil},
		{"a version that is a number", "metadata: {version: 1.0}\n", []string{"generic/"}, nil},
		{"aliases", "metadata: &m\n  version: \"1.0\"\nartifacts:\n  - &a\n    download_url: https://x.test/a\n    checksum: " + sum("/a") + "\n", []string{"generic/a"}, nil},
		{"md5", head1 + fmt.Sprintf("  - download_url: https://x.test/a\n    checksum: MD5:%X\n", md5.Sum([]byte(content("/a")))), []string{"generic/a"}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.name == "an escaped slash stays" {
				tt.lockfile = strings.ReplaceAll(tt.lockfile, sum("/a%2fb"), sum("/a/b"))
			}
			res, _ := run(t, map[string]string{"artifacts.lock.yaml": tt.lockfile}, "")
			must(t, res.Err)
			if diff := cmp.Diff(strings.Join(tt.deps, "\n")+"\n", resolvertest.Entries(res.Output.Deps)); diff != "" {
				t.Errorf("deps (-want +got):\n%s", diff)
			}
			if tt.purls == nil {
				return
			}
			var got []string
			for _, d := range res.Output.Packages[0].Dependencies {
				id, err := dependencyPURL(packages.Context{}, packages.Package{}, d)
				must(t, err)
				if len(res.Output.Checksums[id]) != 1 {
					t.Errorf("%s has the checksums %v", id, res.Output.Checksums[id])
				}
				got = append(got, id)
			}
			if diff := cmp.Diff(tt.purls, got); diff != "" {
				t.Errorf("purls (-want +got):\n%s", diff)
			}
			dir := t.TempDir()
			res.Unpack(t, dir)
			data, err := os.ReadFile(filepath.Join(dir, "deps", filepath.FromSlash(tt.deps[0])))
			if err != nil || !strings.HasPrefix(string(data), "content of /") {
				t.Errorf("the file is %q (%v)", data, err)
			}
		})
	}
}

func TestRefused(t *testing.T) {
	const file = "lockfile 'artifacts.lock.yaml' format is not valid: "
	bomb := "a: &a [x, x, x, x, x, x, x, x, x]\n"
	for i := 'b'; i <= 'k'; i++ {
		bomb += fmt.Sprintf("%c: &%c [%s*%c]\n", i, i, strings.Repeat(fmt.Sprintf("*%c, ", i-1), 9), i-1)
	}
	for _, tt := range []struct {
		name, lockfile string
		kind           fault.Type
		want           string
	}{
		{"no lockfile", "", fault.InvalidRepoStructure, "Required files not found: artifacts.lock.yaml"},
		{"empty", "\n", fault.InvalidFileFormat, file + "Lockfile is empty"},
		{"no metadata", "artifacts: []\n", fault.InvalidFileFormat, file + "Missing required 'metadata.version' field"},
		{"no version", "metadata: {}\n", fault.InvalidFileFormat, file + "Missing required 'metadata.version' field"},
		{"version 3", "metadata: {version: '3.0'}\n", fault.InvalidFileFormat, file + `the version "3.0" is not one of the expected: '1.0', '2.0'`},
		{"conflict marks", "<<<<<<< HEAD\n", fault.InvalidFileFormat, file},
		{"an unknown key", head1 + plain("/a", "    target: b"), fault.InvalidFileFormat, file + "line 6: field target not found in type entry"},
		{"a list for a text", head1 + "  - download_url: [a]\n", fault.InvalidFileFormat, file + "line 4: cannot unmarshal !!seq into string"},
		{"two documents", head1 + plain("/a") + "---\nx: 1\n", fault.InvalidFileFormat, file + "there is more than one document"},
		{"a bomb of aliases", bomb, fault.InvalidFileFormat, file},
		{"a bomb of lists", head1 + "  - " + strings.Repeat("[", 1<<20), fault.InvalidFileFormat, file},
		{"too large", head1 + strings.Repeat("#", MaxLockfileBytes), fault.InvalidFileFormat, "artifacts.lock.yaml has "},
		{"too many", head1 + strings.Repeat("  - {}\n", MaxArtifacts+1), fault.UnsupportedFeature, "artifacts.lock.yaml has more than 10000 artifacts"},

		{"no URL", head1 + "  - checksum: " + sum("") + "\n", fault.InvalidFileFormat, file + "artifact 1: 'download_url' is required"},
		{"no checksum", head1 + plain("/a") + "  - download_url: https://x.test/b\n", fault.InvalidFileFormat, file + "artifact 2: 'checksum' is required"},
		{"a checksum without an algorithm", head1 + "  - download_url: https://x.test/b\n    checksum: abc\n", fault.InvalidFileFormat, file + "artifact 1: Checksum must be in the format 'algorithm:hash' (got 'abc')"},
		{"an unknown algorithm", head1 + "  - download_url: https://x.test/b\n    checksum: crc:00\n", fault.InvalidFileFormat, file + `artifact 1: 'checksum': hash algorithm "crc" is not supported`},
		{"half a checksum", head1 + "  - download_url: https://x.test/b\n    checksum: sha256:00\n", fault.InvalidFileFormat, file + "artifact 1: 'checksum': sha256 digest has 1 bytes instead of 32"},
		{"another file", head1 + strings.Replace(plain("/a"), sum("/a"), sum("/b"), 1), fault.InvalidChecksum, "a (artifacts.lock.yaml): checksum mismatch, expected " + sum("/b")},
		{"a file that is not there", head1 + plain("/missing"), fault.NetworkError, "Could not download https://x.test/missing: 404 Not Found"},
		{"another scheme", head1 + strings.Replace(plain("/a"), "https:", "file:", 1), fault.InvalidFileFormat, file + "artifact 1: the URL must be http or https, with a host"},
		{"no host", head1 + strings.Replace(plain("/a"), "x.test", "", 1), fault.InvalidFileFormat, file + "artifact 1: the URL must be http or https, with a host"},
		{"user info", head1 + strings.Replace(plain("/a"), "x.test", "u:p@x.test", 1), fault.InvalidFileFormat, file + "artifact 1: the URL holds user info, "},

		{"E02 two of one filename", head1 + plain("/a", "    filename: x") + plain("/b", "    filename: x"), fault.InvalidFileFormat, file + "Duplicate filenames: ['x']"},
		{"two of one URL", head1 + plain("/a", "    filename: x") + plain("/a", "    filename: y"), fault.InvalidFileFormat, file + "Duplicate download_urls: ['https://x.test/a']"},
		{"E03 a filename that leaves", head1 + plain("/a", "    filename: ../../x"), fault.InvalidFileFormat, file + `artifact 1: 'filename' must be a relative path without '.' and '..': "../../x"`},
		{"an absolute filename", head1 + plain("/a", "    filename: /x"), fault.InvalidFileFormat, file + "artifact 1: 'filename' must be a relative path "},
		{"a filename with ..", head1 + plain("/a", "    filename: a/../x"), fault.InvalidFileFormat, file + "artifact 1: 'filename' must be a relative path "},
		{"the folder itself", head1 + plain("/a", "    filename: ."), fault.InvalidFileFormat, file + "artifact 1: 'filename' must be a relative path "},
		{"an empty filename", head1 + plain("/a", "    filename: ''"), fault.InvalidFileFormat, file + "artifact 1: 'filename' must be a relative path "},
		{"a backslash", head1 + plain("/a", `    filename: ..\x`), fault.InvalidFileFormat, file + "artifact 1: 'filename' has characters that cannot be seen, or a backslash: "},
		{"a control character", head1 + plain("/a", `    filename: "a\nb"`), fault.InvalidFileFormat, file + "artifact 1: 'filename' has characters "},
		{"a direction override", head1 + plain("/a", `    filename: "a\u202eb"`), fault.InvalidFileFormat, file + "artifact 1: 'filename' has characters "},
		{"a long filename", head1 + plain("/a", "    filename: a/"+strings.Repeat("b", 256)), fault.InvalidFileFormat, file + "artifact 1: 'filename' has an element of more than 255 bytes: "},
		{"a URL without a filename", head1 + plain("/a/"), fault.InvalidFileFormat, file + "artifact 1: 'filename' is required: the URL does not end in one"},
		{"a URL of a host alone", head1 + plain(""), fault.InvalidFileFormat, file + "artifact 1: 'filename' is required: the URL does not end in one"},
		{"a URL that ends in ..", head1 + plain("/a/.."), fault.InvalidFileFormat, file + "artifact 1: 'filename' must be a relative path "},
		{"a file where a folder is", head1 + plain("/a", "    filename: x/y/z") + plain("/b", "    filename: x"), fault.InvalidFileFormat, "deps/generic/x of artifacts.lock.yaml would be a file, and the folder of x/y/z of artifacts.lock.yaml"},

		{"attributes without a type", head1 + plain("/a", "    attributes: {version: '1'}"), fault.InvalidFileFormat, file + "artifact 1: 'attributes' need 'type: maven'"},
		{"an unknown type", head1 + "  - {type: npm, checksum: '" + sum("") + "'}\n", fault.InvalidFileFormat, file + "artifact 1: 'type' is \"npm\", known is 'maven'"},
		{"maven with a URL", head1 + plain("/a", "    type: maven"), fault.InvalidFileFormat, file + "artifact 1: a maven artifact has no 'download_url'"},
		{"maven without attributes", head1 + "  - {type: maven, checksum: '" + sum("") + "'}\n", fault.InvalidFileFormat, file + "artifact 1: a maven artifact needs 'attributes'"},
		{"maven without a group", head1 + maven("group_id", ""), fault.InvalidFileFormat, file + "artifact 1: 'attributes.group_id' is missing or has characters that Maven does not allow: \"\""},
		{"maven with a version that leaves", head1 + maven("version", "../1"), fault.InvalidFileFormat, file + "artifact 1: 'attributes.version' is missing or has characters "},
		{"maven with a group that leaves", head1 + maven("group_id", "..a"), fault.InvalidFileFormat, file + "artifact 1: 'attributes.group_id' is missing or has characters "},
		{"maven with a classifier that leaves", head1 + maven("classifier", "/"), fault.InvalidFileFormat, file + "artifact 1: 'attributes.classifier' is missing or has characters "},
		{"maven from a folder", head1 + maven("repository_url", "file:///m2"), fault.InvalidFileFormat, file + "artifact 1: 'attributes.repository_url' must be an http or https URL "},

		{"auth in version 1.0", head1 + plain("/a", "    auth: {basic: {username: u, password: p}}"), fault.InvalidFileFormat, file + "artifact 1: 'auth' needs version 2.0"},
		{"empty auth", head2 + plain("/a", "    auth: {}"), fault.InvalidFileFormat, file + "artifact 1: 'auth' must have either 'basic' or 'bearer'"},
		{"both kinds of auth", head2 + plain("/a", "    auth: {basic: {username: u, password: p}, bearer: {value: v}}"), fault.InvalidFileFormat, file + "artifact 1: 'auth' must have either 'basic' or 'bearer'"},
		{"a header that is none for credentials", head2 + plain("/a", "    auth: {bearer: {header: Host, value: v}}"), fault.InvalidFileFormat, file + `artifact 1: 'auth.bearer.header' is no header for credentials: "Host"`},
		{"a header in two lines", head2 + plain("/a", `    auth: {bearer: {value: "a\nHost: b"}}`), fault.InvalidFileFormat, file + "artifact 1: 'auth.bearer.value' is missing or has characters "},
		{"a user with a colon", head2 + plain("/a", "    auth: {basic: {username: 'u:v', password: p}}"), fault.InvalidFileFormat, file + "artifact 1: 'auth.basic.username' has a colon"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			files := map[string]string{"artifacts.lock.yaml": tt.lockfile}
			if tt.lockfile == "" {
				files = nil
			}
			res, _ := run(t, files, "")
			f := fault.From(res.Err)
			if res.Err == nil || f.Origin != fault.OriginClient || f.Type != tt.kind || !strings.HasPrefix(f.Message, tt.want) {
				t.Errorf("got %v (%s %s), want the client's %s\n%s", res.Err, f.Origin, f.Type, tt.kind, tt.want)
			}
		})
	}
}

func TestAuth(t *testing.T) {
	for _, tt := range []struct{ name, auth, want string }{
		{"basic", "{basic: {username: u, password: 'p:$'}}", "/a Basic dTpwOiQ="},
		{"bearer", "{bearer: {value: Bearer abc}}", "/a Bearer abc"},
		{"another header", "{bearer: {header: PRIVATE-TOKEN, value: abc}}", "/a abc"},
		// Nothing of the server's environment is read; what the server has for the host is the Fetcher's business.
		{"a variable", "{bearer: {value: Bearer $HOME}}", ""},
		{"variables", "{basic: {username: '$USER', password: '${PASSWORD}'}}", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			res, log := run(t, map[string]string{"artifacts.lock.yaml": head2 + plain("/a", "    auth: "+tt.auth)}, "")
			must(t, res.Err)
			if got := strings.Join(*log, ", "); got != tt.want {
				t.Errorf("sent is %q, want %q", got, tt.want)
			}
			if logged := strings.Contains(res.Log, "environment variables"); logged != (tt.want == "") {
				t.Errorf("the log is\n%s", res.Log)
			}
			if text := fmt.Sprintf("%+v %s", res.Output, res.Log); strings.Contains(text, "abc") || strings.Contains(text, "dTpwOiQ") {
				t.Errorf("credentials are in %s", text)
			}
		})
	}
}

func TestOptions(t *testing.T) {
	files := map[string]string{
		"artifacts.lock.yaml": head1 + plain("/a"), "sub/artifacts.lock.yaml": head1 + plain("/b") + plain("/a"), "sub/x/other.yaml": head1 + plain("/c", "    filename: a"),
	}
	for _, tt := range []struct{ name, options, want, wantErr string }{
		{"none", "", "generic Repo REF\n  generic a URL/a\n", ""},
		{"empty", "[]", "generic Repo REF\n  generic a URL/a\n", ""},
		{"a path", `[{"path": "sub/"}]`, "generic Repo/sub REF (sub)\n  generic a URL/a\n  generic b URL/b\n", ""},
		{"a lockfile", `[{"path": "sub", "lockfile": "x/other.yaml"}]`, "generic Repo/sub REF (sub)\n  generic a URL/c\n", ""},
		{"two that share a file", `[{"path": "."}, {"path": "sub"}]`, "generic Repo REF\n  generic a URL/a\ngeneric Repo/sub REF (sub)\n  generic a URL/a\n  generic b URL/b\n", ""},
		{"two that want one place", `[{"path": "."}, {"path": "sub", "lockfile": "x/other.yaml"}]`, "", "artifacts.lock.yaml and sub/x/other.yaml want different files at deps/generic/a"},
		{"a lockfile outside", `[{"path": "sub", "lockfile": "../x"}]`, "", "Supplied generic lockfile path '../x' must be inside the package path 'sub'."},
		{"an absolute lockfile", `[{"lockfile": "/etc/passwd"}]`, "", "Supplied generic lockfile path '/etc/passwd' must be inside the package path '.'."},
		{"a path outside", `[{"path": "../x"}]`, "", `The "path" values in the "packages.generic" value must be to a relative path in the source repository`},
		{"no options", `{}`, "", `The value of "packages.generic" must be an array of objects with the following keys: path, lockfile`},
		{"a folder", `[{"lockfile": "sub"}]`, "", "sub must be a file"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			res, _ := run(t, files, tt.options)
			if f := fault.From(res.Err); tt.wantErr != "" {
				if res.Err == nil || f.Origin != fault.OriginClient || f.Message != tt.wantErr {
					t.Errorf("got %v, want %s", res.Err, tt.wantErr)
				}
				return
			}
			must(t, res.Err)
			got := strings.ReplaceAll(strings.ReplaceAll(resolvertest.Packages(res.Output), resolvertest.Ref, "REF"), "https://x.test", "URL")
			var lines []string
			for line := range strings.Lines(got) {
				line, _, _ = strings.Cut(strings.TrimSuffix(line, "\n"), "#")
				lines = append(lines, line)
			}
			if diff := cmp.Diff(tt.want, strings.Join(lines, "\n")+"\n"); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// Components are called as Hermeto calls them.
func TestRules(t *testing.T) {
	rule := Rules()[0]
	c := packages.Context{Repo: "https://github.com/Org/Repo.git", Ref: "R"}
	if got, err := rule.PackagePURL(c, packages.Package{Name: "Repo/sub", Path: "sub"}); err != nil || got != "pkg:github/org/repo@R#sub" {
		t.Errorf("got %s (%v)", got, err)
	}
	for _, tt := range []struct{ text, name, version string }{{plain("/a/b.zip"), "b.zip", "<nil>"}, {maven("type", "test-jar"), "ant", "1.10.14"}, {maven("classifier", ""), "ant", "1.10.14"}} {
		list, err := parseLockfile([]byte(head1+tt.text), "L")
		must(t, err)
		d := list[0].dependency()
		version := "<nil>"
		if v := rule.DependencyVersion(c, packages.Package{}, d); v != nil {
			version = *v
		}
		if d.Name != tt.name || version != tt.version {
			t.Errorf("got %s %s, want %s %s", d.Name, version, tt.name, tt.version)
		}
	}
	if d := Descriptor(); !d.OptIn || !d.Detect(map[string]bool{"artifacts.lock.yaml": true}) {
		t.Errorf("%+v", d)
	}
}

func TestMavenPath(t *testing.T) {
	for kind, want := range map[string]string{"jar": "jar", "war": "war", "pom": "pom", "ejb": "jar", "maven-plugin": "jar", "test-jar": "jar", "tar.gz": "tar.gz"} {
		c := coordinates{group: "g.h", artifact: "a", version: "1", kind: kind}
		if got := c.path(); got != "g/h/a/1/a-1."+want {
			t.Errorf("%s: got %s", kind, got)
		}
	}
}

// FuzzLockfile: whatever a lockfile says, files stay in their folder, headers in their line, and purls say where they are from.
func FuzzLockfile(f *testing.F) {
	for _, text := range []string{
		head1 + plain("/a/b.zip?raw=1") + plain("/x", "    filename: s/y"), head1 + maven("", ""),
		head2 + plain("/a", "    auth: {basic: {username: u, password: p}}"), head2 + plain("/a", "    auth: {bearer: {header: X-Auth, value: p}}"),
		"metadata: &a {version: '1.0', <<: *a}\n",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		list, err := parseLockfile([]byte(text), "L")
		if err != nil {
			if !fault.IsClient(err) {
				t.Errorf("%v is no client's fault", err)
			}
			return
		}
		for _, a := range list {
			if !filepath.IsLocal(a.filename) || strings.ContainsAny(a.filename, "\x00\n\\") {
				t.Errorf("filename %q", a.filename)
			}
			for name, values := range a.header {
				if strings.ContainsAny(name+strings.Join(values, ""), "\r\n\x00") {
					t.Errorf("header %q: %q", name, values)
				}
			}
			url, checksum, c := splitVersion(a.reportedVersion())
			if url != a.url || checksum != a.digest.String() || (c == nil) != (a.maven == nil) {
				t.Errorf("%+v is reported as %s", a, a.reportedVersion())
			}
			if diff := cmp.Diff(a.maven, c, cmp.AllowUnexported(coordinates{})); diff != "" {
				t.Errorf("(-read +reported):\n%s", diff)
			}
		}
		var again document
		if err := yaml.Unmarshal([]byte(text), &again); err != nil || len(again.Artifacts) != len(list) {
			t.Errorf("%d artifacts of %d (%v)", len(list), len(again.Artifacts), err)
		}
	})
}

// The same input gives the same output.
func TestDeterministic(t *testing.T) {
	files := map[string]string{"artifacts.lock.yaml": head1}
	for i := range 50 {
		files["artifacts.lock.yaml"] += plain(fmt.Sprintf("/%d", i*37%50))
	}
	first, _ := run(t, files, "")
	must(t, first.Err)
	second, _ := run(t, files, "")
	must(t, second.Err)
	if diff := cmp.Diff(first.Output, second.Output); diff != "" {
		t.Errorf("(-first +second):\n%s", diff)
	}
	if !slices.IsSortedFunc(first.Output.Deps, func(a, b resolver.Entry) int { return strings.Compare(a.Path, b.Path) }) {
		t.Error("deps are not sorted")
	}
}
