package cargo

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/cachito-serverless/cachito/shared/fetch"
	"github.com/cachito-serverless/cachito/shared/gitrepo"
	"github.com/cachito-serverless/cachito/shared/gitrepo/gitrepotest"
	"github.com/cachito-serverless/cachito/shared/resolver"
	"github.com/cachito-serverless/cachito/shared/resolver/resolvertest"
)

// filesHost has the crates of crates.io.
const filesHost = "static.crates.io"

// live is crates.io, with two more registries and a git server on loopback.
type live struct {
	bin      string // of the toolchain
	git      *gitrepotest.Server
	registry *httptest.Server
	fetcher  *resolvertest.Fetcher
	home     string // with a configuration of git that knows the server
}

func newLive(t *testing.T) *live {
	t.Helper()
	if os.Getenv("CACHITO_LIVE") != "1" {
		t.Skip("needs crates.io: set CACHITO_LIVE=1 (make test-live)")
	}
	out, err := exec.CommandContext(t.Context(), "rustc", "--print", "sysroot").Output()
	if err != nil {
		t.Fatalf("Rust is needed for this test (apt-get install cargo-web on Debian 12, cargo on newer ones, or rustup): %v", err)
	}
	l := &live{bin: filepath.Join(strings.TrimSpace(string(out)), "bin"), git: gitrepotest.NewServer(t), home: t.TempDir()}
	config := "[url \"http://" + l.git.Host() + "/\"]\n\tinsteadOf = https://git.example/\n"
	must(t, os.WriteFile(filepath.Join(l.home, ".gitconfig"), []byte(config), 0o600))

	mux := http.NewServeMux()
	l.registry = httptest.NewServer(mux)
	t.Cleanup(l.registry.Close)
	pass := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		req, err := http.NewRequestWithContext(r.Context(), http.MethodGet, r.URL.String(), nil)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer resp.Body.Close()
		maps.Copy(w.Header(), resp.Header)
		w.WriteHeader(resp.StatusCode)
		io.Copy(w, resp.Body)
	})
	l.fetcher = resolvertest.NewFetcher(t, map[string]http.Handler{filesHost: pass, strings.TrimPrefix(l.registry.URL, "http://"): mux})
	l.publish(t, mux)
	return l
}

// line of an index.
func line(t *testing.T, name string, content []byte, deps string) string {
	t.Helper()
	return fmt.Sprintf(`{"name":%q,"vers":"1.0.0","deps":[%s],"cksum":"%x","features":{},"yanked":false}`+"\n", name, deps, sha(content))
}

// publish fills both registries: one over HTTP with the crate itoa, which depends on crates.io's and on
// the other registry's, and one whose index is a git repository.
func (l *live) publish(t *testing.T, mux *http.ServeMux) {
	t.Helper()
	index := "https://git.example/o/index.git"
	deep := pack(t, map[string]string{
		"deep-1.0.0/Cargo.toml": "[package]\nname = \"deep\"\nversion = \"1.0.0\"\nedition = \"2021\"\n",
		"deep-1.0.0/src/lib.rs": "pub const S: &str = \"deep\";\n",
	})
	itoa := pack(t, map[string]string{
		"itoa-1.0.0/Cargo.toml": "[package]\nname = \"itoa\"\nversion = \"1.0.0\"\nedition = \"2021\"\n[dependencies.real]\npackage = \"itoa\"\nversion = \"1.0.9\"\n" +
			"[dependencies.deep]\nversion = \"1\"\nregistry-index = \"" + index + "\"\n",
		"itoa-1.0.0/src/lib.rs": "pub fn f() -> String { format!(\"{} {}\", deep::S, real::Buffer::new().format(7)) }\n",
	})
	dependency := `{"name":%q,"req":"%s","features":[],"optional":false,"default_features":true,"target":null,"kind":"normal","registry":%q,"package":%s}`
	itoaLine := line(t, "itoa", itoa, fmt.Sprintf(dependency, "real", "^1.0.9", "https://github.com/rust-lang/crates.io-index", `"itoa"`)+","+
		fmt.Sprintf(dependency, "deep", "^1", index, "null"))
	for at, content := range map[string][]byte{
		"/index/config.json":         []byte(`{"dl": "` + l.registry.URL + `/dl/{crate}/{crate}-{version}.crate"}`),
		"/index/it/oa/itoa":          []byte(itoaLine),
		"/dl/itoa/itoa-1.0.0.crate":  itoa,
		"/files/deep/1.0.0/download": deep,
	} {
		mux.HandleFunc(at, func(w http.ResponseWriter, _ *http.Request) { w.Write(content) })
	}
	l.git.Init("o/index").Commit(map[string]string{
		"config.json": `{"dl": "` + l.registry.URL + `/files"}`, "de/ep/deep": line(t, "deep", deep, ""),
	})
}

// Resolve implements resolver.Repositories.
func (l *live) Resolve(ctx context.Context, url, name string) (string, error) {
	c, err := l.client()
	if err != nil {
		return "", err
	}
	return c.ResolveRef(ctx, url, name)
}

// CheckOut implements resolver.Repositories.
func (l *live) CheckOut(ctx context.Context, url, commit string, into *os.Root, _ ...resolver.CheckOutOption) (resolver.Checkout, error) {
	for _, args := range [][]string{{"clone", "--quiet", "--no-checkout", url, "."}, {"checkout", "--quiet", commit}} {
		cmd := exec.CommandContext(ctx, "git", args...)
		cmd.Dir, cmd.Env = into.Name(), append(os.Environ(), "HOME="+l.home)
		if out, err := cmd.CombinedOutput(); err != nil {
			return resolver.Checkout{}, fmt.Errorf("git %s: %w\n%s", args[0], err, out)
		}
	}
	return resolver.Checkout{}, into.RemoveAll(".git")
}

func (l *live) client() (*gitrepo.Client, error) {
	f, err := fetch.New(fetch.Settings{
		Mirrors:    []fetch.Mirror{{Prefix: "https://git.example/", Target: "http://" + l.git.Host() + "/"}},
		AllowHosts: []string{l.git.Host()},
	})
	if err != nil {
		return nil, err
	}
	return gitrepo.New(gitrepo.Settings{Fetch: f})
}

// cargo runs cargo in a folder, with an empty home; without network when it is offline.
func (l *live) cargo(t *testing.T, dir string, offline bool, args ...string) (string, error) {
	t.Helper()
	argv := append([]string{filepath.Join(l.bin, "cargo")}, args...)
	env := []string{
		"PATH=" + l.bin + ":" + os.Getenv("PATH"), "HOME=" + l.home, "CARGO_HOME=" + t.TempDir(), "CARGO_NET_GIT_FETCH_WITH_CLI=true",
		"CARGO_TARGET_DIR=" + filepath.Join(t.TempDir(), "target"),
	}
	const closed = "http://127.0.0.1:9"
	if !offline {
		for _, name := range []string{"HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy", "SSL_CERT_FILE", "CARGO_HTTP_CAINFO"} {
			if value := os.Getenv(name); value != "" {
				env = append(env, name+"="+value)
			}
		}
	} else if exec.CommandContext(t.Context(), "unshare", "-rn", "true").Run() == nil {
		argv = append([]string{"unshare", "-rn"}, argv...)
	} else {
		env = append(env, "HTTP_PROXY="+closed, "HTTPS_PROXY="+closed)
	}
	cmd := exec.CommandContext(t.Context(), argv[0], argv[1:]...)
	cmd.Dir, cmd.Env = dir, env
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("cargo %s: %w\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return stdout.String(), nil
}

// repository of an application that has everything: a workspace, a registry's crate beside one of the same name
// and version from elsewhere, crates of a workspace in git, patches.
func (l *live) repository(t *testing.T) map[string]string {
	t.Helper()
	parts := l.git.Init("o/parts")
	commit := parts.Commit(map[string]string{
		"Cargo.toml":               "[workspace]\nmembers = [\"crates/*\"]\n[workspace.package]\nversion = \"0.3.0\"\nedition = \"2021\"\n[workspace.dependencies]\nitoa = \"1\"\nsecond = {path = \"crates/second\"}\n[workspace.lints.rust]\nunsafe_code = \"forbid\"\n",
		"README.md":                "read me",
		"crates/first/Cargo.toml":  "[package]\nname = \"first\"\nversion.workspace = true\nedition.workspace = true\n[lints]\nworkspace = true\n[dependencies]\nitoa = {workspace = true, features = []}\nsecond.workspace = true\n",
		"crates/first/src/lib.rs":  "pub fn f() -> String { format!(\"{} {} {}\", include_str!(\"../../../README.md\"), second::S, itoa::Buffer::new().format(3)) }\n",
		"crates/second/Cargo.toml": "[package]\nname = \"second\"\nversion.workspace = true\n",
		"crates/second/src/lib.rs": "pub const S: &str = \"second\";\n",
		"crates/third/Cargo.toml":  "[package]\nname = \"third\"\nversion = \"0.1.0\"\n",
		"crates/third/src/lib.rs":  "",
	})
	fork := l.git.Init("o/cfg-if")
	fork.Commit(map[string]string{"Cargo.toml": "[package]\nname = \"cfg-if\"\nversion = \"1.0.0\"\n", "src/lib.rs": "pub const S: &str = \"forked\";\n"})
	return map[string]string{
		"Cargo.toml": `[workspace]
members = ["lib/*"]
[workspace.package]
version = "0.5.0"
[package]
name = "app"
version.workspace = true
edition = "2021"
[dependencies]
core-part = {path = "lib/core"}
first = {git = "https://git.example/o/parts", rev = "` + commit + `"}
second = {git = "https://git.example/o/parts", branch = "main"}
cfg-if = "=1.0.0"
forked = {package = "cfg-if", git = "https://git.example/o/cfg-if"}
itoa = "1.0.9"
mine = {package = "itoa", version = "1", registry = "mine"}
[target.'cfg(windows)'.dependencies]
windows-link = "0.1"
[patch.crates-io]
third = {git = "https://git.example/o/parts", rev = "` + commit + `"}
`,
		"src/main.rs":         "fn main() { println!(\"{} | {} | {} | {} | {}\", first::f(), second::S, forked::S, mine::f(), core_part::f()); }\n",
		"lib/core/Cargo.toml": "[package]\nname = \"core-part\"\nversion.workspace = true\n[dependencies]\nitoa = \"1\"\n",
		"lib/core/src/lib.rs": "pub fn f() -> String { itoa::Buffer::new().format(5).to_string() }\n",
		".cargo/config.toml":  "[registries.mine]\nindex = \"sparse+" + l.registry.URL + "/index/\"\n[source.crates-io]\n",
	}
}

const prints = "read me second 3 | second | forked | deep 7 | 5\n"

// plain makes of it what is easily written as a lockfile of version 1: crates of crates.io.
func plain(files map[string]string) map[string]string {
	files = maps.Clone(files)
	var manifest []string
	for line := range strings.Lines(files["Cargo.toml"]) {
		if !strings.Contains(line, "git =") && !strings.HasPrefix(line, "mine") {
			manifest = append(manifest, line)
		}
	}
	files["Cargo.toml"], _, _ = strings.Cut(strings.Join(manifest, ""), "[patch")
	files["src/main.rs"] = strings.NewReplacer("first::f()", `"read me second 3"`, "second::S", `"second"`, "forked::S", `"forked"`, "mine::f()", `"deep 7"`).Replace(files["src/main.rs"])
	return files
}

// lock makes a lockfile with the real cargo.
func (l *live) lock(t *testing.T, files map[string]string) {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		must(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
	}
	_, err := l.cargo(t, dir, false, "generate-lockfile")
	must(t, err)
	content, err := os.ReadFile(filepath.Join(dir, "Cargo.lock"))
	must(t, err)
	files["Cargo.lock"] = string(content)
}

// resolve resolves a repository: its files are below a folder, and there may be more packages.
func (l *live) resolve(t *testing.T, files map[string]string, dir string, more ...string) resolvertest.Result {
	t.Helper()
	s := scenario(t, "")
	paths := []map[string]string{{"path": dir}}
	for _, other := range more {
		paths = append(paths, map[string]string{"path": other})
	}
	options, err := json.Marshal(paths)
	must(t, err)
	s.Request.Packages, s.Git = options, l
	for name, content := range files {
		s.Repo[filepath.ToSlash(filepath.Join(dir, name))] = []byte(content)
	}
	r, err := New(resolver.Settings{Values: map[string]string{"crates_url": "https://" + filesHost + "/crates/"}})
	must(t, err)
	res := s.Run(t, r, l.fetcher)
	must(t, res.Err)
	return res
}

// build unpacks the bundle into a folder, builds below it with the network off and runs the application.
func (l *live) build(t *testing.T, res resolvertest.Result, where, dir, below string) {
	t.Helper()
	bundle := filepath.Join(t.TempDir(), where)
	res.Unpack(t, bundle)
	lock := filepath.Join(bundle, "app", dir, "Cargo.lock")
	before, err := os.ReadFile(lock)
	must(t, err)
	got, err := l.cargo(t, filepath.Join(bundle, "app", dir, below), true, "run", "--quiet", "--locked", "--offline")
	must(t, err)
	if got != prints {
		t.Errorf("the application prints %q, want %q", got, prints)
	}
	if after, err := os.ReadFile(lock); err != nil || !bytes.Equal(before, after) {
		t.Errorf("cargo has changed the lockfile (%v)", err)
	}
}

var (
	lockEntry    = regexp.MustCompile(`name = "(.*)"\nversion = "(.*)"\n(?:source = "(.*)"\n)?(?:checksum = "(.*)"\n)?`)
	checksumLine = regexp.MustCompile(`(?m)^checksum = ".*"\n`)
	dependency   = regexp.MustCompile(`(?m)^ "(\S+)",$`)
)

// version1 is a lockfile as cargo wrote it before 1.41: dependencies are named in full, checksums are at the end.
func version1(text string) string {
	full := map[string]string{}
	metadata := "\n[metadata]\n"
	for _, m := range lockEntry.FindAllStringSubmatch(text, -1) {
		name := m[1] + " " + m[2]
		if m[3] != "" {
			name += " (" + m[3] + ")"
		}
		full[m[1]] = name
		if m[4] != "" {
			metadata += fmt.Sprintf("\"checksum %s %s (%s)\" = %q\n", m[1], m[2], m[3], m[4])
		}
	}
	text = dependency.ReplaceAllStringFunc(text, func(line string) string {
		return fmt.Sprintf(" %q,", full[dependency.FindStringSubmatch(line)[1]])
	})
	return strings.Replace(checksumLine.ReplaceAllString(text, ""), "version = 4\n\n", "", 1) + metadata
}

func TestLiveOffline(t *testing.T) {
	l := newLive(t)
	files := l.repository(t)
	l.lock(t, files)
	if !strings.Contains(files["Cargo.lock"], "version = 4\n") {
		t.Fatalf("cargo writes another version of the lockfile:\n%s", files["Cargo.lock"])
	}
	res := l.resolve(t, files, ".")
	t.Run("O05 from two folders", func(t *testing.T) {
		l.build(t, res, "one folder", ".", ".")
		l.build(t, res, "deep/down/another", ".", "src")
	})
	t.Run("O05 a workspace in a folder of the repository", func(t *testing.T) {
		l.build(t, l.resolve(t, files, "rust/app"), "one folder", "rust/app", "src")
	})
	for _, version := range []string{"1", "2", "3"} {
		t.Run("lockfile version "+version, func(t *testing.T) {
			old := maps.Clone(files)
			switch version {
			case "1":
				old = plain(files)
				l.lock(t, old)
				old["Cargo.lock"] = version1(old["Cargo.lock"])
			case "2":
				old["Cargo.lock"] = strings.Replace(files["Cargo.lock"], "version = 4\n\n", "", 1)
			default:
				old["Cargo.lock"] = strings.Replace(files["Cargo.lock"], "version = 4\n", "version = 3\n", 1)
			}
			l.build(t, l.resolve(t, old, "."), "one folder", ".", ".")
		})
	}
	t.Run("two lockfiles that have a branch at two commits", func(t *testing.T) {
		repo := l.git.Init("o/moving")
		both := map[string]string{}
		for _, dir := range []string{".", "sub/deep"} {
			repo.Commit(map[string]string{"Cargo.toml": "[package]\nname = \"moving\"\nversion = \"1.0.0\"\n", "src/lib.rs": "pub const S: &str = \"" + dir + "\";\n"})
			app := map[string]string{
				"Cargo.toml":  "[package]\nname = \"app\"\nversion = \"0.1.0\"\n[workspace]\n[dependencies]\nmoving = {git = \"https://git.example/o/moving\"}\n",
				"src/main.rs": "fn main() { println!(\"{}\", moving::S); }\n",
			}
			l.lock(t, app)
			for name, content := range app {
				both[filepath.ToSlash(filepath.Join(dir, name))] = content
			}
		}
		bundle := t.TempDir()
		l.resolve(t, both, ".", "sub/deep").Unpack(t, bundle)
		for _, dir := range []string{".", "sub/deep"} {
			got, err := l.cargo(t, filepath.Join(bundle, "app", dir, "src"), true, "run", "--quiet", "--locked", "--offline")
			must(t, err)
			if got != dir+"\n" {
				t.Errorf("%s is built with the commit of %s", dir, got)
			}
		}
	})
	t.Run("O07 a damaged crate", func(t *testing.T) {
		bundle := t.TempDir()
		res.Unpack(t, bundle)
		damaged, err := filepath.Glob(filepath.Join(bundle, "deps", "cargo", "itoa-*.crate"))
		must(t, err)
		must(t, os.WriteFile(damaged[0], pack(t, map[string]string{"x": ""}), 0o600))
		if out, err := l.cargo(t, filepath.Join(bundle, "app"), true, "build", "--locked", "--offline"); err == nil || !strings.Contains(err.Error(), "checksum") {
			t.Errorf("got %v, want a failure with the checksum:\n%s", err, out)
		}
	})
}
