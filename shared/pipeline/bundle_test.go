package pipeline

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cachito-serverless/cachito/shared/gitrepo/gitrepotest"
	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/resolver/gitsubmodule"
)

func gitNames(files map[string]string) []string {
	var names []string
	for name := range files {
		if hasGit(name) {
			names = append(names, name)
		}
	}
	return names
}

func TestGitDir(t *testing.T) {
	w := newWorld(t)
	repo := w.git.Init("o/plain")
	repo.Commit(map[string]string{"x.go": "package x\n"})
	ref := repo.Commit(map[string]string{"x.go": "package x // 2\n", ".gitignore": "*.o\n", "sub/.gitkeep": "", "run.sh": "#!/bin/sh\n"},
		gitrepotest.Executable("run.sh"), gitrepotest.Symlink("link", "x.go"))
	repo.Tag("v1.0.0", ref)
	url := w.git.URL("o/plain")
	pr := w.start(-1)
	defer pr.close()

	t.Run("S13 without the flag no .git at any depth", func(t *testing.T) {
		files, _ := pr.unpacked(t, pr.finish(t, url, ref, nil, gitsubmodule.Name))
		if got := gitNames(files); len(got) > 0 {
			t.Errorf("got %v", got)
		}
		if files["app/.gitignore"] != "*.o\n" || files["app/x.go"] == "" {
			t.Errorf("files that only begin like .git are missing: %v", files)
		}
	})
	t.Run("S14 S18 with the flag a repository whose status is clean", func(t *testing.T) {
		req := pr.finish(t, url, ref, []string{"include-git-dir"}, gitsubmodule.Name)
		dir := t.TempDir()
		o, err := pr.blobs.Open(context.Background(), req.Bundle.Key)
		if err != nil {
			t.Fatal(err)
		}
		defer o.Close()
		tar := exec.Command("tar", "xz", "-C", dir)
		tar.Stdin = o
		if out, err := tar.CombinedOutput(); err != nil {
			t.Fatalf("tar: %v %s", err, out)
		}
		for _, tt := range []struct{ args, want string }{
			{"status --porcelain", ""}, {"rev-parse HEAD", ref}, {"tag", "v1.0.0"}, {"fsck --strict", ""}, {"log --format=%s -n1 v1.0.0^", ""},
		} {
			cmd := exec.Command("git", strings.Fields(tt.args)...)
			cmd.Dir = filepath.Join(dir, "app")
			cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1")
			out, err := cmd.Output()
			if got := strings.TrimSpace(string(out)); err != nil || tt.want != "" && got != tt.want || strings.HasPrefix(tt.args, "status") && got != "" {
				t.Errorf("git %s: got %q (%v), want %q", tt.args, got, err, tt.want)
			}
		}
	})
}

func TestSubmodulesInTheBundle(t *testing.T) {
	w := newWorld(t)
	url, ref := w.repository()
	pr := w.start(-1)
	defer pr.close()
	req := pr.finish(t, url, ref, nil, gitsubmodule.Name)
	files, _ := pr.unpacked(t, req)
	if files["app/third/lib/lib.txt"] != "library\n" || len(gitNames(files)) > 0 {
		t.Errorf("M10: got %v", files)
	}
	if *req.PackagesCount != 1 || *req.DependenciesCount != 0 {
		t.Errorf("M01: got %d packages and %d dependencies", *req.PackagesCount, *req.DependenciesCount)
	}
}

// A package manager that finds nothing to do adds nothing, and the others' packages are all there is.
func TestManagerWithoutWork(t *testing.T) {
	w := newWorld(t)
	repo := w.git.Init("o/nosubmodules")
	ref := repo.Commit(map[string]string{"needs.txt": "lib-1.0.zip\n"})
	pr := w.start(-1)
	defer pr.close()
	req := pr.finish(t, w.git.URL("o/nosubmodules"), ref, nil, "synthetic", gitsubmodule.Name)
	if req.State != request.StateComplete || *req.PackagesCount != 1 {
		t.Errorf("K04 M04: got %s (%s) with %v packages, want one", req.State, req.StateReason, req.PackagesCount)
	}
}

func TestSecretsStayOut(t *testing.T) {
	w := newWorld(t)
	repo := w.git.Init("o/private")
	ref := repo.Commit(map[string]string{"needs.txt": ""})
	w.git.RequireAuth("o/private", "user", "s3cr3t")
	pr := w.start(-1)
	defer pr.close()
	url := strings.Replace(w.git.URL("o/private"), "http://", "http://user:s3cr3t@", 1)
	req := pr.finish(t, url, ref, []string{"include-git-dir"}, "synthetic")
	if req.State != request.StateComplete {
		t.Fatalf("S19: request is %s: %s", req.State, req.StateReason)
	}
	files, _ := pr.unpacked(t, req)
	for name, content := range files {
		if strings.Contains(name+content, "s3cr3t") {
			t.Errorf("S19: the password is in the bundle's %s", name)
		}
	}
	err := filepath.WalkDir(w.data, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || strings.HasPrefix(d.Name(), "cachito.db") { // the order itself holds its URL
			return err
		}
		raw, err := os.ReadFile(path)
		if err == nil && (strings.Contains(string(raw), "s3cr3t") || strings.Contains(path, "s3cr3t")) {
			t.Errorf("S19: the password is in %s", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	wrong := pr.finish(t, w.git.URL("o/private"), ref, nil, "synthetic")
	if wrong.State != request.StateFailed || wrong.ErrorOrigin != "client" || wrong.ErrorType != "RepositoryAccessError" {
		t.Errorf("without credentials: got %s %s %s %q, want a failure of the client", wrong.State, wrong.ErrorOrigin, wrong.ErrorType, wrong.StateReason)
	}
}
