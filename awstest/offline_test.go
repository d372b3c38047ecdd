package awstest_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// script is what a person types after unpacking.
const script = `. ./cachito.env
cd app
go build -o ../program .
../program
npm ci --no-audit --no-fund --loglevel=error >&2
node index.js`

// buildOffline unpacks a bundle under another name and builds its programs there: no network, a home folder
// and caches that are empty.
func buildOffline(t *testing.T, bundle string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "another place")
	home := filepath.Join(t.TempDir(), "home")
	for _, d := range []string{dir, home} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.CommandContext(t.Context(), "tar", "-xzf", bundle, "-C", dir).CombinedOutput(); err != nil {
		t.Fatalf("tar: %v\n%s", err, out)
	}
	t.Cleanup(func() { // what go unpacks is read-only, and it may be below either
		if out, err := exec.Command("chmod", "-R", "u+w", dir, home).CombinedOutput(); err != nil {
			t.Errorf("chmod: %v\n%s", err, out)
		}
	})
	argv := []string{"sh", "-euc", script}
	env := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "GOTOOLCHAIN=local", "LANG=en"}
	if exec.CommandContext(t.Context(), "unshare", "-rn", "true").Run() == nil {
		argv = append([]string{"unshare", "-rn"}, argv...)
	} else {
		t.Log("unshare is not allowed here: every proxy variable leads to a closed port")
		for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"} {
			env = append(env, name+"=http://127.0.0.1:9")
		}
	}
	c := exec.CommandContext(t.Context(), argv[0], argv[1:]...)
	c.Dir, c.Env = dir, env
	out, err := c.Output()
	if err != nil {
		t.Fatalf("building offline: %v\n%s", failure(err), out)
	}
	if got, want := string(out), "Hello from Go\nHello from JavaScript\n"; got != want {
		t.Errorf("the programs say %q, want %q", got, want)
	}
}
