package gitrepotest

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func runGit(t *testing.T, dir string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0"}
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

func TestCommitsAreStableAndCloneable(t *testing.T) {
	srv := NewServer(t)
	repo := srv.Init("o/app")
	first := repo.Commit(map[string]string{"a.txt": "a\n", "sub/b.sh": "b\n", "sub.go": "c\n"}, Executable("sub/b.sh"), Symlink("l", "a.txt"))
	repo.Tag("v1.0.0", first)
	second := repo.Commit(map[string]string{"a.txt": "A\n"}, Delete("sub"))
	tag := repo.AnnotatedTag("v1.1.0", second)
	lost := repo.Commit(map[string]string{"x": "x"}, Detached())
	if want := "b04ae3a755"; !strings.HasPrefix(first, want) {
		t.Errorf("first commit is %s, want %s...: refs must be the same in every run", first, want)
	}

	dir := filepath.Join(t.TempDir(), "clone")
	if out, err := runGit(t, "/", "clone", "-q", srv.URL("o/app"), dir); err != nil {
		t.Fatalf("git clone: %v\n%s", err, out)
	}
	for args, want := range map[string]string{
		"rev-parse HEAD":                 second,
		"rev-parse HEAD~1":               first,
		"rev-parse v1.1.0":               tag,
		"ls-tree --name-only HEAD":       "a.txt\nl\nsub.go",
		"fsck --strict --no-dangling":    "",
		"log -1 --format=%ae@%ct v1.0.0": "test@example.com@1704164645",
		"fetch -q origin " + lost:        "",
	} {
		if got, err := runGit(t, dir, strings.Fields(args)...); err != nil || got != want {
			t.Errorf("git %s: got %q (%v), want %q", args, got, err, want)
		}
	}
	if len(srv.Requests()) == 0 || srv.BytesSent() == 0 {
		t.Error("requests were not counted")
	}
}

func TestServerRefuses(t *testing.T) {
	srv := NewServer(t)
	repo := srv.Init("o/app")
	repo.Commit(map[string]string{"a": "a"})
	lost := repo.Commit(map[string]string{"x": "x"}, Detached())
	dir := t.TempDir()
	if out, err := runGit(t, dir, "init", "-q"); err != nil {
		t.Fatal(out)
	}
	srv.RefuseHashes(true)
	if _, err := runGit(t, dir, "fetch", "-q", srv.URL("o/app"), lost); err == nil {
		t.Error("a hash was served although hashes are refused")
	}
	srv.RequireAuth("o/app", "u", "p")
	if _, err := runGit(t, dir, "fetch", "-q", srv.URL("o/app"), "main"); err == nil {
		t.Error("served without credentials")
	}
	if out, err := runGit(t, dir, "fetch", "-q", strings.Replace(srv.URL("o/app"), "//", "//u:p@", 1), "main"); err != nil {
		t.Errorf("not served with credentials: %s", out)
	}
	if _, err := runGit(t, dir, "ls-remote", srv.URL("o/none")); err == nil {
		t.Error("a repository that does not exist was served")
	}
	srv.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		http.Error(w, "down", http.StatusServiceUnavailable)
		return true
	})
	if out, err := runGit(t, dir, "ls-remote", srv.URL("o/app")); err == nil || !strings.Contains(out, "503") {
		t.Errorf("intercepted: got %q, %v", out, err)
	}
}
