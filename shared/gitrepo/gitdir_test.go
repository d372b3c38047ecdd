package gitrepo

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/gitrepo/gitrepotest"
)

// folder is a sink that writes to disk, and hashes everything.
type folder struct {
	dir string
	sum []string
}

func (f *folder) Dir(path string) error { return os.MkdirAll(filepath.Join(f.dir, path), 0o755) }

func (f *folder) File(path string, mode fs.FileMode, size int64, r io.Reader) error {
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(b)
	f.sum = append(f.sum, path+" "+hex.EncodeToString(sum[:]))
	name := filepath.Join(f.dir, path)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return os.WriteFile(name, b, mode)
}

func (f *folder) Link(path, target string) error {
	return os.Symlink(target, filepath.Join(f.dir, path))
}

// runGit runs the git command in dir, without anyone's configuration.
func runGit(t testing.TB, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@x", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@x",
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

func TestGitDir(t *testing.T) {
	srv := gitrepotest.NewServer(t)
	lib := srv.Init("o/lib").Commit(map[string]string{"lib.go": "package lib\n"})
	repo := srv.Init("o/app")
	first := repo.Commit(map[string]string{"a": "1", "sub/x": "x", "run.sh": "#!/bin/sh\n"}, gitrepotest.Executable("run.sh"), gitrepotest.Symlink("l", "a"))
	repo.AnnotatedTag("v1.0.0", first)
	repo.Tag("other", first)
	ref := repo.Commit(map[string]string{"a": strings.Repeat("2", 5000), ".gitmodules": "[submodule \"lib\"]\npath=lib\nurl=../lib\n", ".a": "before", "é": "x"}, gitrepotest.Gitlink("lib", lib))
	repo.AnnotatedTag("v2", repo.AnnotatedTag("inner", ref))
	later := repo.Commit(map[string]string{"a": "3"})
	repo.Tag("v3", later)
	url := strings.Replace(srv.URL("o/app"), "//", "//u:secret@", 1)

	var sums []string
	for _, tc := range []struct {
		name       string
		refuse     bool
		submodules bool
		before     bool // something is in the cache
	}{{name: "fresh"}, {name: "fresh again"}, {name: "server refuses hashes", refuse: true}, {name: "submodules", submodules: true}, {name: "cached", before: true}} {
		t.Run(tc.name, func(t *testing.T) {
			srv.RefuseHashes(tc.refuse)
			c := newClient(t, srv)
			if tc.before {
				mustFetch(t, c, Request{URL: url, Ref: ref, Tags: true})
				mustFetch(t, c, Request{URL: url, Ref: later, Tags: true})
			}
			out := &folder{dir: t.TempDir()}
			info, err := c.Fetch(t.Context(), Request{URL: url, Ref: ref, GitDir: true, Tags: true, Submodules: tc.submodules}, out)
			if err != nil {
				t.Fatal(err)
			}
			if len(info.Warnings) != 0 || len(info.Tags) != 2 {
				t.Errorf("got warnings %v, tags %v", info.Warnings, info.Tags)
			}
			for args, want := range map[string]string{
				"status --porcelain":        "",
				"fsck --full --strict":      "",
				"rev-parse HEAD":            ref,
				"log --format=%H":           ref + "\n" + first,
				"tag":                       "inner\nother\nv1.0.0\nv2",
				"rev-parse v1.0.0^{commit}": first,
				"describe --exact-match v2": "inner",
				"ls-files --stage run.sh":   "100755 " + runGit(t, out.dir, "rev-parse", "HEAD:run.sh") + " 0\trun.sh",
				"config remote.origin.url":  srv.URL("o/app"),
				"show " + first + ":a":      "1",
				"count-objects":             "0 objects, 0 kilobytes",
				"diff --stat HEAD":          "",
				"verify-pack .git/objects/pack/" + packName(t, out.dir): "",
			} {
				if got := runGit(t, out.dir, strings.Fields(args)...); got != want {
					t.Errorf("git %s: got %q, want %q", args, got, want)
				}
			}
			runGit(t, out.dir, "checkout", "-q", first)
			noSecretIn(t, out.dir, "secret")
			noSecretIn(t, c.settings.CacheDir, "secret")
			if left, _ := filepath.Glob(filepath.Join(c.settings.CacheDir, "gitdir-*")); len(left) > 0 {
				t.Errorf("temporary folders stay: %v", left)
			}
			if tc.submodules {
				return
			}
			if sums == nil {
				sums = out.sum
			}
			if diff := cmp.Diff(sums, out.sum); diff != "" {
				t.Errorf("not the same bytes (-first +now):\n%s", diff)
			}
		})
	}
}

func packName(t *testing.T, dir string) string {
	t.Helper()
	packs, err := filepath.Glob(filepath.Join(dir, ".git/objects/pack/*.pack"))
	if err != nil || len(packs) != 1 {
		t.Fatalf("got packs %v, %v", packs, err)
	}
	return filepath.Base(packs[0])
}

// A server that lacks an object of the history (but none of the commit's tree) still gives the commit.
func TestGitDirOfPartialServer(t *testing.T) {
	srv := gitrepotest.NewServer(t)
	repo := srv.Init("o/app")
	repo.Commit(map[string]string{"a": "1", "lost": "this blob is lost"})
	ref := repo.Commit(map[string]string{"a": "2"}, gitrepotest.Delete("lost"))
	blob := runGit(t, repo.Dir, "rev-parse", ref+"~:lost")
	if err := os.Remove(filepath.Join(repo.Dir, "objects", blob[:2], blob[2:])); err != nil {
		t.Fatal(err)
	}
	out := &folder{dir: t.TempDir()}
	info, err := newClient(t, srv).Fetch(t.Context(), Request{URL: srv.URL("o/app"), Ref: ref, GitDir: true}, out)
	if err != nil {
		t.Fatal(err)
	}
	if len(info.Warnings) != 1 {
		t.Errorf("got warnings %v, want one", info.Warnings)
	}
	for args, want := range map[string]string{"status --porcelain": "", "log --format=%H": ref, "show HEAD:a": "2", "fsck": ""} {
		if got := runGit(t, out.dir, strings.Fields(args)...); got != want {
			t.Errorf("git %s: got %q, want %q", args, got, want)
		}
	}
}

// runGitIn is runGit with standard input.
func runGitIn(t testing.TB, dir, input string, args ...string) {
	t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir, cmd.Stdin = dir, strings.NewReader(input)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// counting is a sink that only counts.
type counting struct{ files int }

func (c *counting) Dir(string) error          { return nil }
func (c *counting) Link(string, string) error { return nil }
func (c *counting) File(_ string, _ fs.FileMode, _ int64, r io.Reader) error {
	c.files++
	_, err := io.Copy(io.Discard, r)
	return err
}
