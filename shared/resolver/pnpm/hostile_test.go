package pnpm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/resolver/javascript/javascripttest"
	"github.com/cachito-serverless/cachito/shared/resolver/resolvertest"
)

// one is a lockfile with one package.
func one(key, resolution string) string {
	return lock9("packages:\n\n  " + key + ":\n    resolution: " + resolution + "\n")
}

const good = "{integrity: sha512-HQOxgy0mk5Ei2OainjZgUm3qAq/HHKX6uv1TULR6QrDsuJto25zeaXQOG2nNkzhW7RSqXOVJOs+xS4iqwvrobg==}"

// Names and versions become paths of the bundle: what is no name of a package is refused.
func TestHostileNames(t *testing.T) {
	for name, key := range map[string]string{
		"parents":            `'../../x@1.0.0'`,
		"parents in a scope": `'@../x@1.0.0'`,
		"an escaped slash":   `'a%2fb@1.0.0'`,
		"an absolute name":   `'/etc/passwd@1.0.0'`,
		"a backslash":        `'a\b@1.0.0'`,
		"three parts":        `'@a/b/c@1.0.0'`,
		"a dot":              `'.@1.0.0'`,
		"the configuration":  `'.npmrc@1.0.0'`,
		"node_modules":       `'node_modules@1.0.0'`,
		"look-alikes":        `'ϲhai@1.0.0'`,
		"an invisible one":   `"chai\u200b@1.0.0"`,
		"a control one":      `"chai\n@1.0.0"`,
		"too long":           `'` + strings.Repeat("a", 215) + `@1.0.0'`,
		"parents as version": `'a@../../1.0.0'`,
		"a slash in it":      `'a@1/0'`,
		"no version":         `'a@'`,
	} {
		t.Run(name, func(t *testing.T) {
			s, err := resolvertest.Parse([]byte(one(key, good)), nil)
			if err != nil {
				t.Fatal(err)
			}
			res := resolve(t, s)
			f := fault.From(res.Err)
			if f == nil || f.Origin != fault.OriginClient || f.Type != fault.InvalidFileFormat || !strings.Contains(f.Message, "pnpm-lock.yaml, line 5") {
				t.Errorf("got %v, want InvalidFileFormat of the client's with the line", res.Err)
			}
		})
	}
}

func TestRefused(t *testing.T) {
	const link = `-- request.json --
{"links": {"packages/w": "../../outside", "out": "/etc"}}
`
	for _, test := range []struct{ name, text, kind, message string }{
		{"no lockfile", manifest, "InvalidRepoStructure", "File check failed for pnpm: the pnpm-lock.yaml file must be present"},
		{"no package.json", "-- repo/pnpm-lock.yaml --\n", "InvalidRepoStructure", "File check failed for pnpm: the package.json file must be present"},
		{"node_modules", lock9("") + "-- repo/node_modules/x --\n", "InvalidRepoStructure", "File check failed for pnpm: the node_modules directory must not be present"},
		{"package.json is no JSON", "-- repo/package.json --\n{\n-- repo/pnpm-lock.yaml --\nlockfileVersion: '9.0'\n", "InvalidFileFormat", "The file package.json is not valid JSON: unexpected end of JSON input"},
		{"an empty lockfile", lockOf(""), "InvalidFileFormat", "pnpm-lock.yaml: lockfileVersion is missing"},
		{"no version", lockOf("packages:\n  a@1.0.0:\n    resolution: " + good), "InvalidFileFormat", "pnpm-lock.yaml, line 2: lockfileVersion must come first"},
		{"a truncated lockfile", lock9("packages:\n  a@1.0.0:\n    resolution: {integrity: sha512-a"), "InvalidFileFormat", "pnpm-lock.yaml, line 5: did not find expected ',' or '}'"},
		{"a conflict of git", lock9("packages:\n<<<<<<< HEAD\n  a@1.0.0:\n    resolution: " + good), "InvalidFileFormat", `pnpm-lock.yaml, line 4: want a key at the left margin, as pnpm writes it, got "<<<<<<< HEAD"`},
		{"JSON", lockOf(`{"lockfileVersion": "9.0"}`), "InvalidFileFormat", `pnpm-lock.yaml, line 1: want a key at the left margin, as pnpm writes it, got "{\"lockfileVersion\": \"9.0\"}"`},
		{"HTML", lockOf(`<!DOCTYPE html>`), "InvalidFileFormat", `pnpm-lock.yaml, line 1: want a key at the left margin, as pnpm writes it, got "<!DOCTYPE html>"`},
		{"a tab", lock9("packages:\n\ta@1.0.0: {}"), "InvalidFileFormat", `pnpm-lock.yaml, line 4: want a key at the left margin, as pnpm writes it, got "\ta@1.0.0: {}"`},
		{"an end of line of its own kind", lock9("packages:\n  a@1.0.0:\r   resolution: " + good), "InvalidFileFormat", "pnpm-lock.yaml, line 4: an end of line that is neither LF nor CR LF"},
		{"bad indentation", lock9("packages:\n    a@1.0.0:\n      resolution: " + good + "\n  b@1.0.0:\n    resolution: " + good), "InvalidFileFormat", "pnpm-lock.yaml, line 6: the indentation fits nothing above it"},
		{"a section twice", lock9("packages: {}\npackages: {}"), "InvalidFileFormat", `pnpm-lock.yaml, line 4: "packages" is there twice`},
		{"a package twice", lock9("packages:\n  a@1.0.0:\n    resolution: " + good + "\n  'a@1.0.0':\n    resolution: " + good), "InvalidFileFormat", `pnpm-lock.yaml, line 6: "a@1.0.0" is there twice in packages`},
		{"a list", lock9("packages:\n  - a@1.0.0"), "InvalidFileFormat", "pnpm-lock.yaml, line 4: packages must be a mapping"},
		{"a text", lock9("packages:\n  a@1.0.0: x"), "InvalidFileFormat", `pnpm-lock.yaml, line 4: the package "a@1.0.0" must be a mapping`},
		{"no resolution", lock9("packages:\n  a@1.0.0:\n    engines: {}"), "InvalidFileFormat", `pnpm-lock.yaml, line 4: the package "a@1.0.0" has no resolution`},
		{"no name", lock9("packages:\n  file:x:\n    resolution: {directory: x, type: directory}"), "InvalidFileFormat", `pnpm-lock.yaml, line 4: the package "file:x" has no name`},
		{"a list as integrity", one("a@1.0.0", "{integrity: [x]}"), "InvalidFileFormat", "pnpm-lock.yaml, line 6: resolution.integrity must be a text"},
		{"an importer without version", lock9("importers:\n  .:\n    dependencies:\n      a: 1.0.0"), "InvalidFileFormat", `pnpm-lock.yaml, line 6: "a" in dependencies has no version`},
		{"aliases", lock9("packages:\n  a@1.0.0: &x\n    resolution: " + good + "\n  b@1.0.0: *x"), "InvalidFileFormat", "pnpm-lock.yaml, line 4: anchors and aliases (& and *) are not supported"},
		{"a bomb of aliases", lock9("overrides:\n  a: &a [x,x,x,x,x,x,x,x,x]\n  b: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\n  c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]"), "InvalidFileFormat", "pnpm-lock.yaml, line 4: anchors and aliases (& and *) are not supported"},
		{"a bomb in the workspace", lock9("") + "-- repo/pnpm-workspace.yaml --\na: &a [x]\nb: [*a,*a]\n", "InvalidFileFormat", "pnpm-workspace.yaml, line 1: anchors and aliases (& and *) are not supported"},
		{"a project above the lockfile", lock9("importers:\n  ../x: {}"), "InvalidFileFormat", `pnpm-lock.yaml, line 4: the project "../x" is not a path below the lockfile's folder`},
		{"a project behind a link", link + lock9("importers:\n  packages/w: {}"), "InvalidRepoStructure", "File check failed for pnpm: packages/w/.npmrc must be a file of the repository"},
		{"a folder outside", one("a@file:../../x", "{directory: ../../x, type: directory}"), "InvalidRepoStructure", "The path ../../x of the dependency a leads out of the repository"},
		{"an absolute folder", one("a@file:/etc", "{directory: /etc, type: directory}"), "InvalidRepoStructure", "The path /etc of the dependency a leads out of the repository"},
		{"a folder behind a link", link + one("a@file:out", "{directory: out, type: directory}"), "InvalidRepoStructure", "The path out of the dependency a leads out of the repository"},
		{"a tarball outside", one("a@file:../x.tgz", "{tarball: file:../x.tgz}"), "InvalidRepoStructure", "The path ../x.tgz of the dependency a leads out of the repository"},
		{"a runtime", one("node@runtime:24.0.0", "{type: variations, variants: []}"), "UnsupportedFeature", `pnpm-lock.yaml, line 5: "node@runtime:24.0.0" is of the type "variations", which is not supported: only registries, tarballs, git repositories and folders are`},
		{"a URL of another kind", one("a@ftp://h/a.tgz", "{tarball: 'ftp://h/a.tgz'}"), "UnsupportedFeature", "The dependency a@ftp://h/a.tgz is hosted in an unsupported location"},
		{"a tarball that is a repository", one("a@git://h/a", "{tarball: 'git://h/a'}"), "UnsupportedFeature", `pnpm-lock.yaml, line 5: the tarball of "a@git://h/a" is not at an http or https URL`},
		{"an option of ssh as repository", one("a@x", "{type: git, repo: '-oProxyCommand=x', commit: "+commit+"}"), "UnsupportedFeature", "The dependency a@-oProxyCommand=x#" + commit + " is hosted in an unsupported location"},
		{"a local repository", one("a@x", "{type: git, repo: 'file:///etc', commit: "+commit+"}"), "UnsupportedFeature", "The dependency a@git+file:///etc#" + commit + " is hosted in an unsupported location"},
		{"a branch as commit", one("a@x", "{type: git, repo: 'https://h/r.git', commit: main}"), "InvalidFileFormat", "The url for the dependency a@git+https://h/r.git#main was in an unexpected format (expected <git_url>#<commit_hash>)"},
		{"a path out of a repository", one("a@x", "{type: git, repo: 'https://h/r.git', commit: "+commit+", path: /../x}"), "InvalidFileFormat", `pnpm-lock.yaml, line 5: the path "../x" of "a@x" leads out of its repository`},
		{"a folder of any tarball", one("a@https://h/a.tgz", "{tarball: 'https://h/a.tgz', path: x}"), "UnsupportedFeature", `pnpm-lock.yaml, line 5: "a@https://h/a.tgz" is a folder in a tarball, which is only supported for commits of GitHub, GitLab and Bitbucket`},
		{"another package's URL", one("a@1.0.0", "{tarball: 'https://registry.npmjs.org/b/-/b-1.0.0.tgz'}"), "InvalidFileFormat", "The URL of the dependency a@https://registry.npmjs.org/b/-/b-1.0.0.tgz is that of another package, b"},
		{"an unknown digest", one("a@1.0.0", "{integrity: md6-abc}"), "InvalidChecksum", "Cannot perform checksum on the file a-1.0.0.tgz, Hash algorithm md6 is unknown."},
		{"a digest with credentials in the URL", one("a@https://u:secret@h/a.tgz", "{integrity: sha512-!, tarball: 'https://u:secret@h/a.tgz'}"), "InvalidChecksum", ""},
		{"a registry with credentials", lock9("") + "-- repo/.npmrc --\nregistry=https://u:secret@h/\n", "InvalidFileFormat", `.npmrc: the registry "https://h/" is not an http or https URL without user info`},
		{"a registry of files", lock9("") + "-- repo/.npmrc --\n@x:registry=file:///etc/\n", "InvalidFileFormat", `.npmrc: the registry "file:///etc/" is not an http or https URL without user info`},
		{"registries in brackets", lock9("") + "-- repo/pnpm-workspace.yaml --\n{registry: 'https://h/'}\n", "InvalidFileFormat", "pnpm-workspace.yaml, line 1: the registries cannot be taken out of a file that is written in brackets; write one key a line"},
		{"packageManager without version", "-- repo/package.json --\n{\"packageManager\": \"pnpm@latest\"}\n-- repo/pnpm-lock.yaml --\nlockfileVersion: '9.0'\n", "InvalidFileFormat", `package.json: packageManager is "pnpm@latest", want pnpm@<version>, which may have +<algorithm>.<hex> behind it`},
		{"packageManager with half a hash", "-- repo/package.json --\n{\"packageManager\": \"pnpm@10.0.0+sha512.ab\"}\n-- repo/pnpm-lock.yaml --\nlockfileVersion: '9.0'\n", "InvalidChecksum", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.message != "" {
				check(t, test.text+refused(test.kind, test.message))
				return
			}
			s, err := resolvertest.Parse([]byte(test.text), nil)
			if err != nil {
				t.Fatal(err)
			}
			f := fault.From(resolve(t, s).Err)
			if f == nil || string(f.Type) != test.kind || f.Origin != fault.OriginClient || strings.Contains(f.Message, "secret") {
				t.Errorf("got %v, want %s of the client's without a secret", f, test.kind)
			}
		})
	}
}

// Registries that answer something else.
func TestHostileRegistry(t *testing.T) {
	for _, test := range []struct{ name, text, kind, message string }{
		{
			"a page instead of a package", one("a@1.0.0", "{}") + "-- registry/registry.example/a/-/a-1.0.0.tgz --\n= <!DOCTYPE html>\n",
			"InvalidFileFormat", "Could not process dependency a@https://registry.example/a/-/a-1.0.0.tgz: the archive cannot be read: unexpected EOF",
		},
		{
			"another package, with a digest", one("a@1.0.0", "{integrity: sha512-AAAA}") + served("a 1.0.0"),
			"InvalidChecksum", "",
		},
		{"nothing", one("a@1.0.0", good), "NetworkError", "Could not download a-1.0.0.tgz from https://registry.example/a/-/a-1.0.0.tgz. exception_name: HTTPError, details: Could not download https://registry.example/a/-/a-1.0.0.tgz: 404 Not Found"},
		{
			"a page instead of a tarball", one("a@https://x.test/a.tgz", "{tarball: 'https://x.test/a.tgz'}") + "-- registry/x.test/a.tgz --\n= <!DOCTYPE html>\n",
			"InvalidFileFormat", "Could not process dependency a@https://x.test/a.tgz: the archive cannot be read: unexpected EOF",
		},
		{
			"two files for one version", lock9("packages:\n  a@1.0.0:\n    resolution: {integrity: SRI(a-1.0.0.tgz)}\n---\nlockfileVersion: '9.0'\npackages:\n  a@1.0.0:\n    resolution: {tarball: 'https://x.test/other.tgz'}\n") +
				served("a 1.0.0") + "-- registry/x.test/other.tgz --\nother 1.0.0\n",
			"InvalidChecksum", "",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.message != "" {
				check(t, test.text+refused(test.kind, test.message))
				return
			}
			s, err := resolvertest.Parse([]byte(test.text), nil)
			if err != nil {
				t.Fatal(err)
			}
			if f := fault.From(resolve(t, s).Err); f == nil || string(f.Type) != test.kind || f.Origin != fault.OriginClient {
				t.Errorf("got %v, want %s of the client's", f, test.kind)
			}
		})
	}
}

// An archive that a forge makes is what pnpm would build first.
func TestForgedNeedsScripts(t *testing.T) {
	key := "https://codeload.github.com/o/f/tar.gz/" + commit
	s, err := resolvertest.Parse([]byte(one("f@"+key, "{tarball: '"+key+"'}")), nil)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, s)
	w.Files["codeload.github.com/o/f/tar.gz/"+commit] = javascripttest.Archive("f/package.json", `{"name": "f", "version": "1.0.0", "scripts": {"prepare": "tsc"}}`)
	res := s.Run(t, newResolver(t, nil), w.Fetcher(t))
	const want = "is not supported because Cachito cannot execute the following required scripts of Git dependencies: prepare"
	if f := fault.From(res.Err); f == nil || f.Type != fault.UnsupportedFeature || !strings.Contains(f.Message, want) {
		t.Errorf("got %v, want a fault with %q", res.Err, want)
	}
}

// generated is a lockfile of n packages, each with ten dependencies, made while it is read.
type generated struct {
	n, at    int
	snapshot bool
	rest     []byte
}

func (g *generated) Read(p []byte) (int, error) {
	for len(g.rest) == 0 {
		switch {
		case g.at == 0 && !g.snapshot:
			g.rest = []byte("lockfileVersion: '9.0'\n\nimporters:\n\n  .:\n    dependencies:\n      p0:\n        specifier: ^1.0.0\n        version: 1.0.0\n\npackages:\n")
		case g.at == g.n && !g.snapshot:
			g.at, g.snapshot = 0, true
			g.rest = []byte("\nsnapshots:\n")
			continue
		case g.at == g.n:
			return 0, io.EOF
		}
		if g.snapshot {
			g.rest = fmt.Appendf(g.rest, "\n  p%d@1.0.0:\n    dependencies:\n", g.at)
			for i := range 10 {
				g.rest = fmt.Appendf(g.rest, "      p%d: 1.0.0\n", (g.at*10+i)%g.n)
			}
		} else {
			g.rest = fmt.Appendf(g.rest, "\n  p%d@1.0.0:\n    resolution: %s\n    engines: {node: '>=18'}\n", g.at, good)
		}
		g.at++
	}
	n := copy(p, g.rest)
	g.rest = g.rest[n:]
	return n, nil
}

// A large lockfile is read as a stream: what is kept of it fits MaxEntries packages into 60 MB.
func TestHugeLockfile(t *testing.T) {
	const n = 6000
	left := MaxEntries
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	lock, err := parseLockfile(&generated{n: n}, lockfileName, &left)
	if err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if got := len(lock.entries); got != n {
		t.Errorf("%d packages, want %d", got, n)
	}
	if got := len(lock.runtimeKeys()); got != n {
		t.Errorf("%d packages for more than development, want %d", got, n)
	}
	if kept := int64(after.HeapAlloc) - int64(before.HeapAlloc); kept > 1000*n {
		t.Errorf("%d packages are kept in %d bytes, want at most 1000 for each", n, kept)
	}
	runtime.KeepAlive(lock)

	left = 10
	if _, err := parseLockfile(&generated{n: 11}, lockfileName, &left); fault.From(err).Type != fault.UnsupportedFeature {
		t.Errorf("one package more: got %v, want UnsupportedFeature", err)
	}
}

// repeated is a text again and again.
type repeated string

func (r repeated) Read(p []byte) (int, error) {
	n := 0
	for len(p)-n >= len(r) {
		n += copy(p[n:], r)
	}
	if n == 0 {
		n = copy(p, r)
	}
	return n, nil
}

// Files that cost as much as possible: each ends soon, with a fault.
func TestLimits(t *testing.T) {
	head := "lockfileVersion: '9.0'\n"
	for name, r := range map[string]io.Reader{
		"blank lines without end": repeated(strings.Repeat(" ", 1000) + "\n"),
		"short lines without end": repeated("\n"),
		"a line without end":      repeated("x"),
		"an entry without end":    io.MultiReader(strings.NewReader(head+"packages:\n  a@1.0.0:\n"), repeated("    a: b\n")),
		"sections without end":    io.MultiReader(strings.NewReader(head), &numbered{format: "s%d: x\n"}),
		"projects without end":    io.MultiReader(strings.NewReader(head+"importers:\n"), &numbered{format: "  p%d: {}\n"}),
		"packages without end":    io.MultiReader(strings.NewReader(head+"packages:\n"), &numbered{format: "  p%d@1.0.0:\n    resolution: {}\n"}),
		"brackets without end":    io.MultiReader(strings.NewReader(head+"overrides: "), repeated("[")),
		"deep brackets":           strings.NewReader(head + "overrides: " + strings.Repeat("[", 1_000_000)),
		"deep mappings":           strings.NewReader(head + "overrides:\n  a: " + strings.Repeat("{a: ", 100_000)),
	} {
		t.Run(name, func(t *testing.T) {
			left := MaxEntries
			start := time.Now()
			_, err := parseLockfile(r, lockfileName, &left)
			if f := fault.From(err); f == nil || f.Origin != fault.OriginClient || f.Type == fault.UnknownError {
				t.Errorf("got %v, want a fault of the client's", err)
			}
			if took := time.Since(start); took > 30*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
}

type numbered struct {
	format string
	n      int
	rest   string
}

func (n *numbered) Read(p []byte) (int, error) {
	if n.rest == "" {
		n.n++
		n.rest = fmt.Sprintf(n.format, n.n)
	}
	done := copy(p, n.rest)
	n.rest = n.rest[done:]
	return done, nil
}

func TestCancelled(t *testing.T) {
	s, err := resolvertest.Parse([]byte(one("a@1.0.0", good)+served("a 1.0.0")), nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	res := s.RunContext(ctx, t, newResolver(t, nil), newWorld(t, s).Fetcher(t))
	if !errors.Is(res.Err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", res.Err)
	}
}
