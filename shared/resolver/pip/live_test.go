package pip

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cachito-serverless/cachito/shared/fetch"
	"github.com/cachito-serverless/cachito/shared/gitrepo"
	"github.com/cachito-serverless/cachito/shared/gitrepo/gitrepotest"
	"github.com/cachito-serverless/cachito/shared/resolver"
	"github.com/cachito-serverless/cachito/shared/resolver/resolvertest"
)

// Hosts of the public index.
const (
	liveIndex = "pypi.org"
	liveFiles = "files.pythonhosted.org"
)

// live passes requests on to the public index, and to more hosts.
func live(t *testing.T, more ...string) (*resolvertest.Fetcher, resolver.Resolver) {
	t.Helper()
	if os.Getenv("CACHITO_LIVE") != "1" {
		t.Skip("needs the Python package index: set CACHITO_LIVE=1 (make test-live)")
	}
	pass := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		req, err := http.NewRequestWithContext(r.Context(), http.MethodGet, r.URL.String(), nil)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		req.Header = r.Header.Clone()
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
	hosts := map[string]http.Handler{}
	for _, host := range append(more, liveIndex, liveFiles) {
		hosts[host] = pass
	}
	fetcher := resolvertest.NewFetcher(t, hosts)
	return fetcher, newResolver(t, map[string]string{"index_url": "https://" + liveIndex + "/simple/"})
}

// gitServer is the resolver's way to a loopback git server.
type gitServer struct{ client *gitrepo.Client }

// newGitServer reaches srv as https://git.example/.
func newGitServer(t *testing.T, srv *gitrepotest.Server) gitServer {
	t.Helper()
	f, err := fetch.New(fetch.Settings{
		Mirrors:    []fetch.Mirror{{Prefix: "https://git.example/", Target: "http://" + srv.Host() + "/"}},
		AllowHosts: []string{srv.Host()},
	})
	must(t, err)
	client, err := gitrepo.New(gitrepo.Settings{Fetch: f})
	must(t, err)
	return gitServer{client}
}

func (g gitServer) Resolve(ctx context.Context, url, name string) (string, error) {
	return g.client.ResolveRef(ctx, url, name)
}

func (g gitServer) CheckOut(ctx context.Context, url, commit string, into *os.Root, options ...resolver.CheckOutOption) (resolver.Checkout, error) {
	info, err := g.client.Fetch(ctx, gitrepo.Request{URL: url, Ref: commit, GitDir: len(options) > 0}, folder{into})
	return resolver.Checkout{CommitTime: info.CommitTime}, err
}

// folder is a gitrepo.TreeSink.
type folder struct{ *os.Root }

func (f folder) Dir(name string) error { return f.MkdirAll(name, 0o755) }

func (f folder) File(name string, mode fs.FileMode, _ int64, content io.Reader) error {
	data, err := io.ReadAll(content)
	if err != nil {
		return err
	}
	return errors.Join(f.MkdirAll(path.Dir(name), 0o755), f.WriteFile(name, data, mode))
}

func (f folder) Link(name, target string) error {
	return errors.Join(f.MkdirAll(path.Dir(name), 0o755), f.Symlink(target, name))
}

// venv makes a virtual environment; version is that of its pip, "" for the one that comes with Python.
func venv(t *testing.T, version string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "venv")
	run(t, "", nil, "python3", "-m", "venv", dir)
	if version != "" {
		run(t, "", nil, filepath.Join(dir, "bin", "pip"), "install", "-q", "--disable-pip-version-check", "pip=="+version)
	}
	return filepath.Join(dir, "bin")
}

// run runs a command and returns what it prints.
func run(t *testing.T, dir string, env []string, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = dir, env
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// offline runs a command without network and with nothing of pip's own configuration, in the bundle's app/.
func offline(t *testing.T, bundle string, res resolvertest.Result, name string, args ...string) string {
	t.Helper()
	env := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "PIP_CONFIG_FILE=/dev/null", "PIP_DISABLE_PIP_VERSION_CHECK=1", "PIP_NO_CACHE_DIR=1"}
	for key, v := range res.Output.EnvironmentVariables {
		if v.Kind == "path" {
			v.Value = filepath.Join(bundle, v.Value)
		}
		env = append(env, key+"="+v.Value)
	}
	return run(t, filepath.Join(bundle, "app"), env, "unshare", append([]string{"-rn", name}, args...)...)
}

// small is an application whose requirements are of every kind, all built from source.
func small(t *testing.T) (resolvertest.Scenario, string) {
	t.Helper()
	srv := gitrepotest.NewServer(t)
	repo := srv.Init("team/tagged")
	first := repo.Commit(map[string]string{
		"pyproject.toml":     "[build-system]\nrequires = [\"setuptools>=61\", \"setuptools-scm>=8\"]\nbuild-backend = \"setuptools.build_meta\"\n[project]\nname = \"tagged\"\ndynamic = [\"version\"]\n[tool.setuptools_scm]\n",
		"tagged/__init__.py": "",
	})
	repo.Tag("v1.4", first)
	second := repo.Commit(map[string]string{"tagged/__init__.py": "from importlib.metadata import version\nVERSION = version('tagged')\n"})
	s, err := resolvertest.Parse([]byte(`
-- request.json --
{"packages": [{"requirements_files": ["requirements.txt", "direct.txt"]}]}
-- repo/pyproject.toml --
[project]
name = "small"
version = "1.0"
-- repo/requirements.txt --
--require-hashes
six==1.16.0 --hash=sha256:1e61c37477a1626458e36f7b1d82aa5c9b094fa4802892072e49de9c60c4c926
idna==3.4 \
    --hash=sha256:814f528e8dead7d329833b91c5faa87d60bf71824cd12a7530b5526063d02cb4 \
    --hash=sha256:90b77e79eaa3eba6de819a0c442c0b4ceefc341a7a2ab77d7562bf49f425c5c2
text-unidecode @ https://files.pythonhosted.org/packages/ab/e2/e9a00f0ccb71718418230718b3d900e71a5d16e701a3dae079a21e9cd8f8/text-unidecode-1.3.tar.gz#cachito_hash=sha256:bad6603bb14d279193107714b288be206cac565dfa49aa5b105294dd5c4aab93
-- repo/direct.txt --
--index-url https://pypi.org/simple
-r included.txt
tagged @ git+https://git.example/team/tagged.git@COMMIT
-- repo/included.txt --
iniconfig==1.1.1
-- repo/requirements-build.txt --
setuptools==69.5.1
wheel==0.43.0
flit_core==3.9.0
setuptools-scm==8.1.0
packaging==23.2
typing_extensions==4.12.2
tomli==2.0.1
-- repo/main.py --
import idna, iniconfig, six, tagged, text_unidecode
print(six.__version__, idna.encode("ä.example").decode(), text_unidecode.unidecode("ß"), tagged.VERSION)
`), map[string]string{"COMMIT": second})
	must(t, err)
	s.Git = newGitServer(t, srv)
	return s, second
}

// TestLiveOffline: P84, P85. Bundles of the real index install with the network cut off, in folders of
// different names, with old and new pip, and so that the application runs. The installed pip builds
// everything in environments of its own, from the bundle's build requirements; that takes minutes, so the
// others find the build tools installed.
func TestLiveOffline(t *testing.T) {
	fetcher, r := live(t)
	s, commit := small(t)
	res := s.Run(t, r, fetcher)
	must(t, res.Err)
	oldest := "21.3.1"
	if run(t, "", nil, "python3", "-c", "import sys; print(sys.version_info >= (3, 12))") == "True\n" {
		oldest = "24.0" // older ones do not run on such a Python
	}
	for _, tt := range []struct{ pip, folder string }{{"", "one"}, {oldest, "another"}, {"25.3", "third"}} {
		t.Run("pip "+tt.pip, func(t *testing.T) {
			t.Parallel()
			bin := venv(t, tt.pip)
			pip := filepath.Join(bin, "pip")
			bundle := filepath.Join(t.TempDir(), tt.folder)
			res.Unpack(t, bundle)
			install := []string{"install", "-q"}
			if tt.pip != "" {
				run(t, "", nil, pip, "install", "-q", "--disable-pip-version-check", "setuptools==69.5.1", "wheel", "flit_core", "setuptools-scm==8.1.0")
				install = append(install, "--no-build-isolation")
			}
			for _, file := range []string{"requirements.txt", "direct.txt"} {
				offline(t, bundle, res, pip, append(install, "-r", file)...)
			}
			// setuptools-scm shows seven to nine digits of the commit.
			want := "1.16.0 xn--4ca.example ss 1.5.dev1+g" + commit[:7]
			if got := offline(t, bundle, res, filepath.Join(bin, "python"), "main.py"); !strings.HasPrefix(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

// TestLiveWheels: the bundle holds what installs on this platform without a compiler.
func TestLiveWheels(t *testing.T) {
	fetcher, r := live(t)
	about := run(t, "", nil, "python3", "-c", "import platform, sys; print('%d%d' % sys.version_info[:2], platform.machine())")
	python, arch, _ := strings.Cut(strings.TrimSpace(about), " ")
	s, err := resolvertest.Parse([]byte(`
-- request.json --
{"packages": [{"binary": {"packages": "markupsafe, six", "py_version": "PYTHON", "arch": "ARCH"}}]}
-- repo/requirements.txt --
MarkupSafe==3.0.3
six==1.16.0
pywin32==306; sys_platform == "win32"
`), map[string]string{"PYTHON": python, "ARCH": arch})
	must(t, err)
	s.Request.Packages = []byte(strings.Replace(string(s.Request.Packages), "markupsafe, six", "markupsafe, six, pywin32", 1))
	res := s.Run(t, r, fetcher)
	must(t, res.Err)
	bin := venv(t, "")
	bundle := filepath.Join(t.TempDir(), "bundle")
	res.Unpack(t, bundle)
	offline(t, bundle, res, filepath.Join(bin, "pip"), "install", "-q", "--only-binary", ":all:", "-r", "requirements.txt")
	if got := offline(t, bundle, res, filepath.Join(bin, "python"), "-c", "import six, markupsafe, markupsafe._speedups; print(markupsafe.escape('<'))"); got != "&lt;\n" {
		t.Errorf("got %q", got)
	}
}
