package cargo

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/packages"
	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/resolver"
	"github.com/cachito-serverless/cachito/shared/resolver/resolvertest"
)

const (
	commitA = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	commitB = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
	someSum = "0000000000000000000000000000000000000000000000000000000000000001"
	appToml = "-- repo/Cargo.toml --\n[package]\nname = \"app\"\nversion = \"0.1.0\"\n"
	appLock = "-- repo/Cargo.lock --\nversion = 4\n[[package]]\nname = \"app\"\nversion = \"0.1.0\"\n"
	crateA  = "-- registry/crates.example/a-1.0.0/Cargo.toml --\n[package]\nname = \"a\"\nversion = \"1.0.0\"\n"
)

// locked is an entry of a lockfile.
func locked(name, version, source, checksum string) string {
	text := fmt.Sprintf("[[package]]\nname = %q\nversion = %q\nsource = %q\n", name, version, source)
	if checksum != "" {
		text += fmt.Sprintf("checksum = %q\n", checksum)
	}
	return text
}

const cratesIO = "registry+https://github.com/rust-lang/crates.io-index"

func TestRefused(t *testing.T) {
	const stale = ". contains a Cargo.lock that does not match the corresponding Cargo.toml: "
	gitA := "git+https://h.example/a#" + commitA
	treeA := func(files ...string) string {
		text := ""
		for i := 0; i < len(files); i += 2 {
			text += "-- registry/git/h.example/a@" + commitA + "/" + files[i] + " --\n" + files[i+1] + "\n"
		}
		return text
	}
	for _, tt := range []struct {
		name, text string
		kind       fault.Type
		want       string
	}{
		{"no lockfile", appToml, fault.InvalidRepoStructure, `Required files not found: Cargo.lock. Run "cargo generate-lockfile" and commit the file`},
		{"no manifest", appLock, fault.InvalidRepoStructure, "Required files not found: Cargo.toml"},
		{
			"a member's own path", "-- request.json --\n{\"packages\": [{\"path\": \"m\"}]}\n-- repo/Cargo.toml --\n[workspace]\nmembers = [\"m\"]\n-- repo/Cargo.lock --\n-- repo/m/Cargo.toml --\n[package]\nname = \"m\"\n",
			fault.InvalidRepoStructure, `Required files not found: m/Cargo.lock. The package belongs to the workspace at ".", which has one: request that path`,
		},
		{"a lockfile that is a folder", appToml + "-- repo/Cargo.lock/x --\n", fault.InvalidFileFormat, "Cargo.lock must be a file"},
		{"a malformed lockfile", appToml + "-- repo/Cargo.lock --\n<<<<<<< HEAD\n", fault.InvalidFileFormat, "Cargo.lock is not a valid lockfile: …"},
		{"a malformed manifest", "-- repo/Cargo.toml --\n<\n" + appLock, fault.InvalidFileFormat, "Cargo.toml is not a valid manifest: …"},
		{"a large lockfile", appToml + "-- repo/Cargo.lock --\n" + strings.Repeat("#", MaxLockfileBytes), fault.InvalidFileFormat, "Cargo.lock has 8388609 bytes; at most 8388608 are read"},
		{"a large manifest", "-- repo/Cargo.toml --\n" + strings.Repeat("#", maxManifestBytes) + "\n", fault.InvalidFileFormat, "Cargo.toml has 1048577 bytes; at most 1048576 are read"},
		{"lockfile version 5", appToml + "-- repo/Cargo.lock --\nversion = 5\n", fault.UnsupportedFeature, "Cargo.lock has the version 5; versions 1 to 4 are supported"},
		{"a lockfile that leads out", "-- request.json --\n{\"links\": {\"Cargo.lock\": \"../../x\"}}\n" + appToml, fault.InvalidFileFormat, "Cargo.lock cannot be read"},

		{"stale: the package is not locked", appToml + "-- repo/Cargo.lock --\nversion = 4\n", fault.InvalidRepoStructure, stale + `the package app 0.1.0 at "." is not in it. Run "cargo update --workspace" and commit the Cargo.lock`},
		{"stale: another version", strings.Replace(appToml, "0.1.0", "0.2.0", 1) + appLock, fault.InvalidRepoStructure, stale + "Cargo.lock has the package app 0.1.0, which the repository does not have.…"},
		{"stale: a new dependency", appToml + "[target.x.build-dependencies.b]\npackage = \"a\"\nversion = \"1\"\n" + appLock, fault.InvalidRepoStructure, stale + `the package app at "." depends on a, which it does not say.…`},
		{"stale: a new member", appToml + "[workspace]\nmembers = [\"m\"]\n" + appLock + "-- repo/m/Cargo.toml --\n[package]\nname = \"m\"\n", fault.InvalidRepoStructure, stale + `the package m 0.0.0 at "m" is not in it.…`},
		{"a member without a manifest", appToml + "[workspace]\nmembers = [\"m\"]\n" + appLock, fault.InvalidRepoStructure, "m/Cargo.toml does not exist, …"},
		{"a package without a name", "-- repo/Cargo.toml --\n[package]\nversion = \"1.0.0\"\n" + appLock, fault.InvalidFileFormat, "Cargo.toml is not a valid manifest: the package has no name"},
		{"version.workspace without a workspace", "-- repo/Cargo.toml --\n[package]\nname = \"app\"\nversion.workspace = true\n" + appLock, fault.InvalidFileFormat, "Cargo.toml is not a valid manifest: package.version is not in the workspace"},
		{"a dependency that the workspace lacks", appToml + "[dependencies]\nx.workspace = true\n[workspace]\n" + appLock, fault.InvalidFileFormat, "Cargo.toml is not a valid manifest: the dependency x is not in the workspace"},
		{"lints that the workspace lacks", appToml + "[lints]\nworkspace = true\n[workspace]\n" + appLock, fault.InvalidFileFormat, "Cargo.toml is not a valid manifest: lints are not in the workspace"},

		{"a dependency outside", appToml + "[dependencies]\nx = {path = \"../x\"}\n" + appLock, fault.InvalidRepoStructure, "Cargo.toml: the path of the dependency x leads out of the repository: ../x"},
		{"an absolute dependency", appToml + "[dependencies]\nx = {path = \"/etc\"}\n" + appLock, fault.InvalidRepoStructure, "Cargo.toml: the path of the dependency x leads out of the repository: /etc"},
		{"a member outside", appToml + "[workspace]\nmembers = [\"../*\"]\n" + appLock, fault.InvalidRepoStructure, "Cargo.toml: the path of a member of the workspace leads out of the repository: ../*"},
		{"a patch outside", appToml + "[patch.crates-io]\nx = {path = \"../x\"}\n" + appLock, fault.InvalidRepoStructure, "Cargo.toml: the path of the patch x leads out of the repository: ../x"},
		{"a workspace outside", appToml + "workspace = \"..\"\nedition.workspace = true\n" + appLock, fault.InvalidRepoStructure, "Cargo.toml: the path of its workspace leads out of the repository: .."},
		{"a malformed pattern", appToml + "[workspace]\nmembers = [\"[a\"]\n" + appLock, fault.InvalidFileFormat, `The pattern "[a" of workspace members is malformed`},

		{"a source of another kind", appToml + appLock + locked("a", "1.0.0", "dir+https://h/a", ""), fault.InvalidFileFormat, `Cargo.lock: the package a 1.0.0 has the source "dir+https://h/a", which cargo does not write`},
		{"a source without host", appToml + appLock + locked("a", "1.0.0", "git+file:///etc#"+commitA, ""), fault.InvalidFileFormat, `Cargo.lock: the package a 1.0.0 has the source …`},
		{"a registry of another scheme", appToml + appLock + locked("a", "1.0.0", "sparse+ssh://h/a", someSum), fault.UnsupportedFeature, `Cargo.lock: the package a 1.0.0 is hosted in an unsupported location: sparse+ssh://h/a`},
		{"a password", appToml + appLock + locked("a", "1.0.0", "git+https://u:secret@h/a#"+commitA, ""), fault.UnsupportedFeature, "Cargo.lock: the source of a 1.0.0 holds user info, which does not belong into a repository; credentials are configured on the server: https://u:xxxxx@h/a#" + commitA},
		{"a password for ssh", appToml + appLock + locked("a", "1.0.0", "git+ssh://u:secret@h/a#"+commitA, ""), fault.UnsupportedFeature, "Cargo.lock: the source of a 1.0.0 holds a password, which does not belong into a repository: ssh://u:xxxxx@h/a#" + commitA},
		{"git without a commit", appToml + appLock + locked("a", "1.0.0", "git+https://h/a?branch=x", ""), fault.InvalidFileFormat, "Cargo.lock: the source of a 1.0.0 has no commit (expected git+<url>#<commit>): git+https://h/a?branch=x"},
		{"a branch with a control character", appToml + appLock + locked("a", "1.0.0", "git+https://h/a?branch=x%0Ay#"+commitA, ""), fault.InvalidFileFormat, "Cargo.lock: the source of a 1.0.0 names no branch, tag or commit: …"},
		{"no checksum", appToml + appLock + locked("a", "1.0.0", cratesIO, ""), fault.InvalidFileFormat, `Cargo.lock: the crate "a" "1.0.0" has no usable name, version and checksum`},
		{"an MD5", appToml + appLock + locked("a", "1.0.0", cratesIO, someSum[:32]), fault.InvalidFileFormat, `Cargo.lock: the crate "a" "1.0.0" has no usable name, version and checksum`},
		{"a name with ..", appToml + appLock + locked("../a", "1.0.0", cratesIO, someSum), fault.InvalidFileFormat, `Cargo.lock: the crate "../a" "1.0.0" has no usable name and version`},
		{"a name with %2f", appToml + appLock + locked("..%2fa", "1.0.0", cratesIO, someSum), fault.InvalidFileFormat, `Cargo.lock: the crate "..%2fa" "1.0.0" has no usable name and version`},
		{"a look-alike", appToml + appLock + locked("ѕerde", "1.0.0", cratesIO, someSum), fault.InvalidFileFormat, `Cargo.lock: the crate "ѕerde" "1.0.0" has no usable name and version`},
		{"a version with /", appToml + appLock + locked("a", "1.0.0-/../x", gitA, ""), fault.InvalidFileFormat, `Cargo.lock: the crate "a" "1.0.0-/../x" has no usable name and version`},
		{"a package without a name in the lockfile", appToml + appLock + "[[package]]\nversion = \"1.0.0\"\n", fault.InvalidFileFormat, "Cargo.lock is not a valid lockfile: its package 2 has no name and version"},
		{"two checksums", appToml + appLock + locked("a", "1.0.0", cratesIO, someSum) + locked("a", "1.0.0", cratesIO, strings.Replace(someSum, "1", "2", 1)), fault.InvalidChecksum, "The crate a 1.0.0 has two checksums in the lockfiles: …"},
		{"another file than the locked one", appToml + appLock + locked("a", "1.0.0", cratesIO, someSum) + crateA, fault.InvalidChecksum, "a-1.0.0.crate: checksum mismatch, expected sha256:…"},
		{"a crate that is not there", appToml + appLock + locked("b", "1.0.0", cratesIO, someSum) + crateA, fault.NetworkError, "Could not download https://crates.example/b/b-1.0.0.crate: 404 Not Found"},

		{"a repository that is not there", appToml + appLock + locked("a", "1.0.0", "git+https://nowhere.example/a#"+commitA, ""), fault.RepositoryAccessError, "Failed cloning the Git repository (the git dependency https://nowhere.example/a at " + commitA + " of Cargo.lock)"},
		{"a commit that is not there", appToml + appLock + locked("a", "1.0.0", "git+https://h.example/a#"+commitB, "") + treeA("Cargo.toml", ""), fault.InvalidRequestData, "https://h.example/a has no commit " + commitB + " (the git dependency https://h.example/a at " + commitB + " of Cargo.lock)"},
		{"a package that its repository lacks", appToml + appLock + locked("a", "2.0.0", gitA, "") + treeA("Cargo.toml", "[package]\nname = \"a\"\nversion = \"1.0.0\""), fault.InvalidFileFormat, "Cargo.lock wants the package a 2.0.0 of https://h.example/a at " + commitA + ", which has no such package"},
		{"a package whose manifest is malformed", appToml + appLock + locked("a", "1.0.0", gitA, "") + treeA("Cargo.toml", "[package]\nname = \"a\"\nversion = \"1.0.0\"\n<"), fault.InvalidFileFormat, "Cargo.lock wants the package a 1.0.0 of https://h.example/a at " + commitA + ", …"},
		{
			"a manifest that is a bomb", appToml + appLock + locked("a", "1.0.0", gitA, "") + treeA("Cargo.toml", "[workspace]\nmembers = [\"a\"]\n[workspace.package]\nversion = \"1.0.0\"", "a/Cargo.toml", "[package]\nname = \"a\"\nversion.workspace = true\n[package.metadata]\n"+strings.Repeat("a.", 1<<12)+"a = 1"),
			fault.InvalidFileFormat, "a/Cargo.toml of https://h.example/a at " + commitA + " cannot be taken out of its workspace: tables are nested more than 32 deep",
		},

		{"a registry that answers HTML", appToml + appLock + locked("a", "1.0.0", "sparse+https://one.example/index/", someSum) + "-- registry/one.example/index/config.json --\n<html>\n", fault.InvalidFileFormat, `The config.json of the registry sparse+https://one.example/index/ does not say where its crates are ("dl"): is it a registry of crates?`},
		{"a registry that sends us to files", appToml + appLock + locked("a", "1.0.0", "sparse+https://one.example/index/", someSum) + "-- registry/one.example/index/config.json --\n{\"dl\": \"file:///etc\"}\n", fault.InvalidFileFormat, `The config.json of the registry sparse+https://one.example/index/ does not say where its crates are…`},
		{"a registry that is not there", appToml + appLock + locked("a", "1.0.0", "sparse+https://one.example/index/", someSum) + "-- registry/one.example/index/x --\n", fault.NetworkError, "The registry sparse+https://one.example/index/ cannot be used: its config.json answers 404 Not Found"},
		{"a registry without end", appToml + appLock + locked("a", "1.0.0", "sparse+https://one.example/index/", someSum) + "-- registry/one.example/index/config.json --\n" + strings.Repeat(" ", maxIndexConfigBytes), fault.UnsupportedFeature, "https://one.example/index/config.json is larger than …"},
		{"a git index that is none", appToml + appLock + locked("a", "1.0.0", "registry+https://h.example/a", someSum) + treeA("README.md", ""), fault.InvalidFileFormat, "registry+https://h.example/a has no config.json that can be read: is it a registry of crates?"},

		{"a configuration that is no TOML", appToml + appLock + "-- repo/.cargo/config.toml --\n<\n", fault.InvalidFileFormat, "Cargo config file contains invalid data and cannot be parsed: .cargo/config.toml: …"},
		{"a path outside", "-- request.json --\n{\"packages\": [{\"path\": \"../x\"}]}\n", fault.ValidationError, `The "path" values in the "packages.cargo" value must be to a relative path in the source repository`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			wantFault(t, run1(t, scenario(t, tt.text)).Err, tt.kind, tt.want)
		})
	}
}

// Members that need each other, links in circles and packages that are their own workspace end.
func TestCircles(t *testing.T) {
	res := run1(t, scenario(t, `-- request.json --
{"links": {"a/loop": "..", "b/up": "../a"}}
-- repo/Cargo.toml --
[workspace]
members = ["**"]
-- repo/a/Cargo.toml --
[package]
name = "a"
workspace = "."
[dependencies]
b = {path = "../b"}
-- repo/b/Cargo.toml --
[package]
name = "b"
[build-dependencies]
a = {path = "../a"}
-- repo/Cargo.lock --
version = 4
[[package]]
name = "a"
version = "0.0.0"
dependencies = ["b"]
[[package]]
name = "b"
version = "0.0.0"
dependencies = ["a"]
`))
	must(t, res.Err)
	if diff := cmp.Diff("cargo repo -\n  cargo a path+a#0.0.0\n  cargo b path+b#0.0.0\n", resolvertest.Packages(res.Output)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A repository over ssh is tried over https first.
func TestSSH(t *testing.T) {
	text := appToml + appLock + locked("a", "1.0.0", "git+ssh://git@h.example:2222/a.git#"+commitA, "")
	tree := map[string]resolvertest.Tree{commitA: {Files: map[string]string{"Cargo.toml": "[package]\nname = \"a\"\nversion = \"1.0.0\"\n"}}}
	for _, url := range []string{"https://h.example/a.git", "ssh://git@h.example:2222/a.git"} {
		t.Run(url, func(t *testing.T) {
			s := scenario(t, text)
			s.Git = resolvertest.Repositories{url: tree}
			res := run1(t, s)
			must(t, res.Err)
			if got := strings.Contains(res.Log, "ssh is tried"); got != strings.HasPrefix(url, "ssh") {
				t.Errorf("ssh was tried: %v; the log is\n%s", got, res.Log)
			}
			if want := "ssh://git@h.example:2222/a.git"; !strings.Contains(string(res.Output.ConfigFiles[0].Content), `git = "`+want+`"`) {
				t.Errorf("the configuration lacks %s:\n%s", want, res.Output.ConfigFiles[0].Content)
			}
		})
	}
}

// The same input gives the same output, whatever the order in which maps are walked and files come.
func TestDeterministic(t *testing.T) {
	text := appToml + appLock + crateA + "-- registry/crates.example/b-1.0.0/Cargo.toml --\n[package]\nname = \"b\"\nversion = \"1.0.0\"\n"
	lock := locked("a", "1.0.0", cratesIO, "SUM:crates.example/a-1.0.0") + locked("b", "1.0.0", cratesIO, "SUM:crates.example/b-1.0.0")
	git := map[string]resolvertest.Tree{commitA: {Files: map[string]string{}}}
	for i := range 20 {
		name := fmt.Sprintf("g%d", i)
		git[commitA].Files[name+"/Cargo.toml"] = "[package]\nname = \"" + name + "\"\nversion.workspace = true\n[dependencies]\na = \"1\"\nb = \"1\"\nc = \"1\"\n"
		lock += locked(name, "1.0.0", "git+https://h.example/ws#"+commitA, "")
	}
	git[commitA].Files["Cargo.toml"] = "[workspace.package]\nversion = \"1.0.0\"\n"
	var first resolver.Output
	for i := range 5 {
		s := scenario(t, strings.Replace(text, appLock, appLock+lock, 1))
		s.Git = resolvertest.Repositories{"https://h.example/ws": git}
		res := run1(t, s)
		must(t, res.Err)
		if i == 0 {
			first = res.Output
		} else if diff := cmp.Diff(first, res.Output); diff != "" {
			t.Fatalf("run %d differs (-first +now):\n%s", i, diff)
		}
	}
	if paths := slices.IsSortedFunc(first.Deps, func(a, b resolver.Entry) int { return strings.Compare(a.Path, b.Path) }); !paths {
		t.Error("deps are not sorted")
	}
}

func TestProgressAndChecksums(t *testing.T) {
	s := scenario(t, appToml+appLock+locked("a", "1.0.0", cratesIO, "SUM:crates.example/a-1.0.0")+locked("g", "1.0.0", "git+https://h.example/g#"+commitA, "")+crateA)
	s.Git = resolvertest.Repositories{"https://h.example/g": {commitA: {Files: map[string]string{"Cargo.toml": "[package]\nname = \"g\"\nversion = \"1.0.0\"\n"}}}}
	res := run1(t, s)
	must(t, res.Err)
	last := res.Progress[len(res.Progress)-1]
	if want := (request.Progress{Done: 2, Total: 2, Bytes: last.Bytes}); last != want {
		t.Errorf("the last progress is %+v, want %+v", last, want)
	}
	if got := slices.Collect(maps.Keys(res.Output.Checksums)); !slices.Equal(got, []string{"pkg:cargo/a@1.0.0"}) {
		t.Errorf("checksums are known of %v", got)
	}
}

// A request that is stopped stops.
func TestServerTrouble(t *testing.T) {
	s := scenario(t, appToml+appLock+locked("a", "1.0.0", cratesIO, someSum))
	s.Git = resolvertest.Repositories{}
	res := s.Run(t, newResolver(t), resolvertest.NewFetcher(t, map[string]http.Handler{cratesHost: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadGateway)
	})}))
	if f := fault.From(res.Err); f.Origin != fault.OriginServer || f.Type != fault.NetworkError {
		t.Errorf("got %v", res.Err)
	}
}

func TestNew(t *testing.T) {
	if _, err := New(resolver.Settings{}); err == nil {
		t.Error("no crates_url is no error")
	}
	d := Descriptor()
	if !d.OptIn || d.RefusesReplacements != "cargo" || !d.Detect(map[string]bool{"Cargo.lock": true}) {
		t.Errorf("%+v", d)
	}
}

func TestPURLs(t *testing.T) {
	c := packages.Context{Repo: "https://github.com/hermetoproject/hermeto.git", Ref: "R"}
	rule := Rules()[0]
	for _, tt := range []struct{ name, version, want, wantVersion string }{
		{"R01 itoa", "1.0.19", "pkg:cargo/itoa@1.0.19", "1.0.19"},
		{"wasi", "0.9.0+wasi-snapshot-preview1", "pkg:cargo/wasi@0.9.0%2Bwasi-snapshot-preview1", "0.9.0+wasi-snapshot-preview1"},
		{"rand", "git+https://github.com/rust-random/rand@8792268d#0.8.4", "pkg:cargo/rand@0.8.4?vcs_url=git%2Bhttps://github.com/rust-random/rand%408792268d", "0.8.4"},
		{"R04 utils", "path+packages/utils#0.1.0", "pkg:cargo/utils@0.1.0?vcs_url=git%2Bhttps://github.com/hermetoproject/hermeto.git%40R#packages/utils", "0.1.0"},
		{"root", "path+.#0.1.0", "pkg:cargo/root@0.1.0?vcs_url=git%2Bhttps://github.com/hermetoproject/hermeto.git%40R", "0.1.0"},
		{"a folder with #", "path+a#b#0.1.0", "pkg:cargo/a%20folder%20with%20%23@0.1.0?vcs_url=git%2Bhttps://github.com/hermetoproject/hermeto.git%40R#a%23b", "0.1.0"},
		{"r", "sparse+https://h/index/#1.0.0", "pkg:cargo/r@1.0.0?repository_url=https://h/index/", "1.0.0"},
		{"r", "registry+https://h/index.git#1.0.0", "pkg:cargo/r@1.0.0?repository_url=https://h/index.git", "1.0.0"},
	} {
		t.Run(tt.name+" "+tt.version, func(t *testing.T) {
			name := strings.TrimPrefix(strings.TrimPrefix(tt.name, "R01 "), "R04 ")
			d := packages.Dependency{Name: name, Type: Name, Version: &tt.version}
			got, err := rule.DependencyPURL(c, packages.Package{}, d)
			if version := rule.DependencyVersion(c, packages.Package{}, d); err != nil || got != tt.want || *version != tt.wantVersion {
				t.Errorf("got %s, version %s (%v)\nwant %s, version %s", got, *version, err, tt.want, tt.wantVersion)
			}
		})
	}
	for _, tt := range []struct {
		p    packages.Package
		want string
	}{
		{packages.Package{Name: "rustic", Version: new("0.1.0")}, "pkg:cargo/rustic@0.1.0?vcs_url=git%2Bhttps://github.com/hermetoproject/hermeto.git%40R"},
		{packages.Package{Name: "ws", Path: "a/b"}, "pkg:cargo/ws?vcs_url=git%2Bhttps://github.com/hermetoproject/hermeto.git%40R#a/b"},
	} {
		if got, err := rule.PackagePURL(c, tt.p); got != tt.want || err != nil {
			t.Errorf("got %s (%v), want %s", got, err, tt.want)
		}
	}
}

// What is stopped in the middle says so, and is no fault of the request.
func TestDeadRepository(t *testing.T) {
	s := scenario(t, appToml+appLock+locked("a", "1.0.0", "git+https://h.example/a#"+commitA, ""))
	s.Git = dead{}
	if err := run1(t, s).Err; !errors.Is(err, errDead) || fault.IsClient(err) {
		t.Errorf("got %v, want %v", err, errDead)
	}
}
