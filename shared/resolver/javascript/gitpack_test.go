package javascript

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/resolver"
	"github.com/cachito-serverless/cachito/shared/resolver/resolvertest"
)

const commit = "58c88e4952e95935c0dd72d4a24b0c44f2249f5b"

// gitInput is an input whose repositories are git.
func gitInput(t *testing.T, git resolver.Repositories) resolver.Input {
	t.Helper()
	scratch, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { scratch.Close() })
	return resolver.Input{Scratch: scratch, Git: git, Log: slog.New(slog.DiscardHandler), Fetcher: resolvertest.NewFetcher(t, nil)}
}

func gitSource(t *testing.T, source string) GitSource {
	t.Helper()
	git, err := ParseGit("g", source)
	if err != nil {
		t.Fatal(err)
	}
	return git
}

// members prints a tar: mode, size, time and name, one a line.
func members(t *testing.T, in resolver.Input, file resolver.File, gzipped bool) string {
	t.Helper()
	f, err := in.Fetcher.Open(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var r io.Reader = f
	if gzipped {
		if r, err = gzip.NewReader(f); err != nil {
			t.Fatal(err)
		}
	}
	var out strings.Builder
	archive := tar.NewReader(r)
	for {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return out.String()
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&out, "%o %s %q %s\n", h.Mode, h.ModTime.UTC().Format("2006-01-02"), content, h.Name)
	}
}

func TestPackGit(t *testing.T) {
	git := resolvertest.Repositories{"https://h/o/g.git": {commit: {
		Files: map[string]string{
			"package.json": `{"name":"g","version":"3.1.0","bin":"cli.js","files":["lib"]}`, "lib/b.js": "b", "cli.js": "c", "run.sh": "r",
			"lib/run": "x", "other": "o", ".npmrc": "registry=x", "sub/README": "-",
		},
		Executables: []string{"lib/run"}, Links: map[string]string{"lib/link": "b.js"},
	}}}
	in := gitInput(t, git)
	packed, err := PackGit(t.Context(), in, gitSource(t, "git+https://h/o/g.git#"+commit), Gzipped, Bare)
	if err != nil {
		t.Fatal(err)
	}
	if packed.PackageJSON.Name != "g" || packed.PackageJSON.Version != "3.1.0" {
		t.Errorf("package.json is %+v", packed.PackageJSON)
	}
	want := `755 1985-10-26 "c" cli.js
644 1985-10-26 "b" lib/b.js
755 1985-10-26 "x" lib/run
644 1985-10-26 "{\"name\":\"g\",\"version\":\"3.1.0\",\"bin\":\"cli.js\",\"files\":[\"lib\"]}" package.json
`
	if diff := cmp.Diff(want, members(t, in, packed.Files[1], false)); diff != "" {
		t.Errorf("bare (-want +got):\n%s", diff)
	}
	var below strings.Builder
	for line := range strings.Lines(want) {
		at := strings.LastIndexByte(line, ' ') + 1
		below.WriteString(line[:at] + "package/" + line[at:])
	}
	if diff := cmp.Diff(below.String(), members(t, in, packed.Files[0], true)); diff != "" {
		t.Errorf("gzipped (-want +got):\n%s", diff)
	}
	again, err := PackGit(t.Context(), gitInput(t, git), gitSource(t, "git+https://h/o/g.git#"+commit), Gzipped, Bare)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(packed, again); diff != "" {
		t.Errorf("packed again (-first +second):\n%s", diff)
	}
	if left, err := os.ReadDir(in.Scratch.Name()); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v (%v)", left, err)
	}
}

// tree is a repository of one commit at https://h/o/g.git.
func tree(files map[string]string) resolvertest.Repositories {
	return resolvertest.Repositories{"https://h/o/g.git": {commit: {Files: files}}}
}

func TestPackGitFaults(t *testing.T) {
	source := "git+https://h/o/g.git#" + commit
	scripts := func(s string) resolvertest.Repositories {
		return tree(map[string]string{"package.json": `{"name":"g","version":"1.0.0","scripts":{` + s + `}}`})
	}
	required := "The dependency " + source + " is not supported because Cachito cannot execute the following required scripts of Git dependencies: "
	for _, test := range []struct {
		name   string
		git    resolver.Repositories
		kind   fault.Type
		origin fault.Origin
		text   string
	}{
		{"N37 prepare", scripts(`"prepare":"x","test":"y"`), fault.UnsupportedFeature, fault.OriginClient, required + "prepare"},
		{"N38 prepare and prepack", scripts(`"prepare":"x","prepack":"y"`), fault.UnsupportedFeature, fault.OriginClient, required + "prepack, prepare"},
		{"no package.json", tree(map[string]string{"sub/package.json": "{}"}), fault.InvalidRepoStructure, fault.OriginClient, "Could not process dependency " + source + ": no package.json file"},
		{"package.json is a folder", tree(map[string]string{"package.json/x": "{}"}), fault.InvalidRepoStructure, fault.OriginClient, "Could not process dependency " + source + ": package.json is not a regular file"},
		{"package.json is a link", resolvertest.Repositories{"https://h/o/g.git": {commit: {Files: map[string]string{"p": "{}"}, Links: map[string]string{"package.json": "p"}}}}, fault.InvalidRepoStructure, fault.OriginClient, "Could not process dependency " + source + ": package.json is not a regular file"},
		{"package.json is no JSON", tree(map[string]string{"package.json": "<<<<<<< HEAD\n{}"}), fault.InvalidFileFormat, fault.OriginClient, "Could not process dependency " + source + ": package.json is not valid JSON"},
		{"package.json is too large", tree(map[string]string{"package.json": strings.Repeat(" ", MaxPackageJSONBytes) + "{}"}), fault.UnsupportedFeature, fault.OriginClient, fmt.Sprintf("Could not process dependency %s: package.json has more than %d bytes", source, MaxPackageJSONBytes)},
		{"no repository", resolvertest.Repositories{}, fault.RepositoryAccessError, fault.OriginClient, "Failed to clone " + source},
		{"no commit", resolvertest.Repositories{"https://h/o/g.git": {}}, fault.InvalidRequestData, fault.OriginClient, "The dependency " + source + " cannot be checked out: its repository has no such commit"},
		{"a submodule that is gone", failingHost{fault.Client(fault.SubprocessCallError, "Updating the Git submodule(s) failed: s")}, fault.SubprocessCallError, fault.OriginClient, "The dependency " + source + " cannot be checked out: Updating the Git submodule(s) failed: s"},
		{"a bug", failingHost{errors.New("oops")}, fault.UnknownError, fault.OriginServer, fault.UnknownMessage},
		{"server down", failingHost{fault.Server(fault.RepositoryAccessError, "Failed cloning the Git repository")}, fault.RepositoryAccessError, fault.OriginServer, "Failed to clone " + source},
		{"too many rules", tree(map[string]string{"package.json": "{}", ".npmignore": strings.Repeat("a\n", maxRules)}), fault.UnsupportedFeature, fault.OriginClient, fmt.Sprintf("The dependency %s cannot be packed: more than %d rules say what belongs to the package", source, maxRules)},
		{"too long a list of files", tree(map[string]string{"package.json": `{"files": [` + strings.Repeat(`"a",`, maxRules) + `"a"]}`}), fault.UnsupportedFeature, fault.OriginClient, fmt.Sprintf("The dependency %s cannot be packed: more than %d rules say what belongs to the package", source, maxRules)},
		{"ignore file too large", tree(map[string]string{"package.json": "{}", ".npmignore": strings.Repeat("#", maxIgnoreBytes+1)}), fault.UnsupportedFeature, fault.OriginClient, fmt.Sprintf("The dependency %s cannot be packed: .npmignore has more than %d bytes, the limit", source, maxIgnoreBytes)},
		{"name that is not UTF-8", tree(map[string]string{"package.json": "{}", "a\xff": ""}), fault.UnsupportedFeature, fault.OriginClient, "The dependency " + source + ` cannot be packed: the file name "a\xff" is not UTF-8`},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := PackGit(t.Context(), gitInput(t, test.git), gitSource(t, source), Gzipped)
			f := fault.From(err)
			if f == nil {
				t.Fatal("no error")
			}
			if f.Type != test.kind || f.Origin != test.origin || f.Message != test.text {
				t.Errorf("got %s %s %q (%v)", f.Origin, f.Type, f.Message, err)
			}
		})
	}
}

// failingHost is a git host that can check nothing out.
type failingHost struct{ err error }

func (failingHost) Resolve(context.Context, string, string) (string, error) { panic("not asked") }

func (h failingHost) CheckOut(context.Context, string, string, *os.Root, ...resolver.CheckOutOption) (resolver.Checkout, error) {
	return resolver.Checkout{}, h.err
}

// urlLog notes which URLs were tried, with which options.
type urlLog struct {
	resolver.Repositories
	urls []string
}

func (u *urlLog) CheckOut(ctx context.Context, url, commit string, into *os.Root, options ...resolver.CheckOutOption) (resolver.Checkout, error) {
	u.urls = append(u.urls, fmt.Sprint(url, options))
	return u.Repositories.CheckOut(ctx, url, commit, into, options...)
}

func TestPackGitTriesHTTPSFirst(t *testing.T) {
	files := map[string]string{"package.json": "{}"}
	for _, test := range []struct {
		name, source, host string
		want               []string
	}{
		{"N59 ssh", "git+ssh://git@h/o/g.git#" + commit, "ssh://git@h/o/g.git", []string{"https://git@h/o/g.git[1]", "ssh://git@h/o/g.git[1]"}},
		{"N59 https is enough", "git+ssh://git@h/o/g.git#" + commit, "https://git@h/o/g.git", []string{"https://git@h/o/g.git[1]"}},
		{"short form", "github:o/g#" + commit, "https://git@github.com/o/g.git", []string{"https://git@github.com/o/g.git[1]"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			git := &urlLog{Repositories: resolvertest.Repositories{test.host: {commit: {Files: files}}}}
			if _, err := PackGit(t.Context(), gitInput(t, git), gitSource(t, test.source), Gzipped); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, git.urls); diff != "" {
				t.Errorf("tried, [1] is with submodules (-want +got):\n%s", diff)
			}
		})
	}
}

// Whose trouble it is when neither URL can be cloned.
func TestPackGitBlame(t *testing.T) {
	client, server := fault.Client(fault.RepositoryAccessError, "no"), fault.Server(fault.RepositoryAccessError, "down")
	for _, test := range []struct {
		name       string
		https, ssh error
		want       fault.Origin
	}{
		{"both refuse", client, client, fault.OriginClient},
		{"https is down", server, client, fault.OriginServer},
		{"ssh is down", client, server, fault.OriginServer},
	} {
		git := hostByScheme{"https": failingHost{test.https}, "ssh": failingHost{test.ssh}}
		_, err := PackGit(t.Context(), gitInput(t, git), gitSource(t, "git+ssh://git@h/o/g.git#"+commit), Gzipped)
		if f := fault.From(err); f == nil || f.Type != fault.RepositoryAccessError || f.Origin != test.want {
			t.Errorf("%s: got %v, want the %s", test.name, err, test.want)
		}
	}
}

// hostByScheme is a git host that differs by the URL's scheme.
type hostByScheme map[string]resolver.Repositories

func (h hostByScheme) Resolve(context.Context, string, string) (string, error) { panic("not asked") }

func (h hostByScheme) CheckOut(ctx context.Context, url, commit string, into *os.Root, options ...resolver.CheckOutOption) (resolver.Checkout, error) {
	scheme, _, _ := strings.Cut(url, "://")
	return h[scheme].CheckOut(ctx, url, commit, into, options...)
}

// Secrets in a lockfile's URL are told to nobody.
func TestPackGitHidesSecrets(t *testing.T) {
	in := gitInput(t, resolvertest.Repositories{})
	var log bytes.Buffer
	in.Log = slog.New(slog.NewTextHandler(&log, nil))
	_, err := PackGit(t.Context(), in, gitSource(t, "git+https://u:hunter2@h/o/g.git#"+commit), Gzipped)
	if err == nil || strings.Contains(fault.From(err).Message, "hunter2") || strings.Contains(log.String(), "hunter2") {
		t.Errorf("got %q, log %s", fault.From(err).Message, &log)
	}
}

// The cost of deciding what belongs to a package is bounded, though both rules and files are the author's.
func TestPackListWorkIsBounded(t *testing.T) {
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for i := range 20 {
		name := strings.Repeat("d/", i) + "x"
		if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := root.WriteFile(path.Join(path.Dir(name), ".npmignore"), []byte(strings.Repeat("+(a|b)c*\n", maxRules/2)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	w := &packWalk{ctx: t.Context(), tree: root, found: map[string]bool{}, packed: map[string]bool{}, matches: maxRuleMatches - 100_000}
	var limit *packLimitError
	if err := w.packageAt("", parsePackManifest([]byte("{}")), true); !errors.As(err, &limit) {
		t.Errorf("got %v, want a limit", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := packList(ctx, root, []byte("{}")); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want that the context's end is seen", err)
	}
}
