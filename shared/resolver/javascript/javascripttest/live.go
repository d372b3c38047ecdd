package javascripttest

import (
	"context"
	"encoding/json"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"testing"

	"github.com/cachito-serverless/cachito/shared/gitrepo"
	"github.com/cachito-serverless/cachito/shared/resolver"
	"github.com/cachito-serverless/cachito/shared/resolver/resolvertest"
)

// SkipUnlessLive skips a test that needs the npm registry when it was not asked for.
func SkipUnlessLive(t *testing.T) {
	t.Helper()
	if os.Getenv("CACHITO_LIVE") != "1" {
		t.Skip("needs the npm registry: set CACHITO_LIVE=1 (make test-live)")
	}
}

// Install installs a package of the registry with npm, without its scripts, below a folder, and gives its node_modules.
func Install(t *testing.T, dir, spec string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "npm", "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", dir, spec).CombinedOutput()
	if err != nil {
		t.Fatalf("installing %s: %v\n%s", spec, err, out)
	}
	return filepath.Join(dir, "node_modules")
}

// Pass hands a request on to the real host.
func Pass(w http.ResponseWriter, r *http.Request) {
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
	w.WriteHeader(resp.StatusCode)
	io.Copy(w, resp.Body)
}

// Repositories is a resolver.Repositories over the product's own git client.
type Repositories struct{ Client *gitrepo.Client }

// Resolve implements resolver.Repositories.
func (r Repositories) Resolve(ctx context.Context, url, name string) (string, error) {
	return r.Client.ResolveRef(ctx, url, name)
}

// CheckOut implements resolver.Repositories.
func (r Repositories) CheckOut(ctx context.Context, url, commit string, into *os.Root, options ...resolver.CheckOutOption) (resolver.Checkout, error) {
	_, err := r.Client.Fetch(ctx, gitrepo.Request{URL: url, Ref: commit, Submodules: len(options) > 0}, sink{into})
	return resolver.Checkout{}, err
}

// sink writes a tree to disk.
type sink struct{ *os.Root }

func (s sink) Dir(name string) error          { return s.MkdirAll(name, 0o755) }
func (s sink) Link(name, target string) error { return s.Symlink(target, name) }

func (s sink) File(name string, mode fs.FileMode, _ int64, content io.Reader) error {
	if err := s.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	f, err := s.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(f, content)
	return err
}

// WriteFiles writes files below a folder.
func WriteFiles(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// Resolve resolves an application whose files lie in a folder of the request's repository.
func Resolve[Content string | []byte](t *testing.T, r resolver.Resolver, files map[string]Content, dir string,
	git resolver.Repositories, fetcher *resolvertest.Fetcher,
) resolvertest.Result {
	t.Helper()
	s, err := resolvertest.Parse(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if s.Request.Packages, err = json.Marshal([]map[string]string{{"path": dir}}); err != nil {
		t.Fatal(err)
	}
	s.Git = git
	for name, content := range files {
		s.Repo[path.Join(dir, name)] = []byte(content)
	}
	res := s.Run(t, r, fetcher)
	if res.Err != nil {
		t.Fatal(res.Err)
	}
	return res
}

// Offline is a command without network: in a namespace of its own where that is allowed, else with proxies, and what else
// the variables name, at a closed port.
func Offline(t *testing.T, argv, env []string, variables ...string) *exec.Cmd {
	t.Helper()
	if exec.CommandContext(t.Context(), "unshare", "-rn", "true").Run() == nil {
		argv = append([]string{"unshare", "-rn"}, argv...)
	} else {
		for _, name := range append([]string{"HTTP_PROXY", "HTTPS_PROXY"}, variables...) {
			env = append(env, name+"=http://127.0.0.1:9/")
		}
	}
	cmd := exec.CommandContext(t.Context(), argv[0], argv[1:]...)
	cmd.Env = env
	return cmd
}
