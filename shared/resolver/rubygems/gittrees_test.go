package rubygems

import (
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/gitrepo/gitrepotest"
	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/resolver"
)

// TestGitFolder asks the real git what it sees in an unpacked tree: what it sees in a clone.
func TestGitFolder(t *testing.T) {
	srv := gitrepotest.NewServer(t)
	files := map[string]string{"a.gemspec": "x\n", "lib/a.rb": "", "lib-b": "not below lib/", "bin/run": "#!/bin/sh\n", "z": strings.Repeat("text\n", 1000)}
	for i := range 200 {
		files[fmt.Sprintf("many/%d/f", i)] = fmt.Sprint(i) // so that the index is a file of the cache
	}
	repo := srv.Init("team/r")
	ref := repo.Commit(files, gitrepotest.Executable("bin/run"), gitrepotest.Symlink("link", "lib/a.rb"))
	res := runWith(t, lockfileOf(gitSection("https://git.example/team/r.git", ref, "r (1.0)")), http.NotFoundHandler(), newGitServer(t, srv))
	if res.Err != nil {
		t.Fatal(res.Err)
	}
	dir := t.TempDir()
	res.Unpack(t, dir)
	tree := filepath.Join(dir, "deps/rubygems/cache/r-"+ref[:12])
	git := func(dir string, args ...string) string {
		cmd := exec.CommandContext(t.Context(), "git", args...)
		cmd.Dir, cmd.Env = dir, []string{"HOME=" + t.TempDir(), "GIT_CONFIG_NOSYSTEM=1"}
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	if got := git(tree, "rev-parse", "HEAD"); got != ref+"\n" {
		t.Errorf("HEAD is %s, want %s", got, ref)
	}
	listed := git(tree, "ls-files", "-s")
	clone := filepath.Join(t.TempDir(), "clone")
	git(dir, "clone", "-q", srv.URL("team/r"), clone)
	if diff := cmp.Diff(git(clone, "ls-files", "-s"), listed); diff != "" {
		t.Errorf("git ls-files -s (-clone +ours):\n%s", diff)
	}
}

// A tree is one file of the cache, whatever it holds.
func TestTreeIsOneFile(t *testing.T) {
	host := gitHost{"https://git.example/r.git@" + commit: {"a": "first", "b/c": "second", "b/empty": "", "d": "#!run"}}
	res := runWith(t, lockfileOf(gitSection("https://git.example/r.git", commit, "r (1.0)")), http.NotFoundHandler(), host)
	if res.Err != nil {
		t.Fatal(res.Err)
	}
	const folder = "rubygems/git.example/r/r-external-gitcommit-" + commit + "/app/"
	var got []resolver.Part
	of := map[resolver.File]bool{}
	for _, e := range res.Output.Deps {
		if e.Part != nil {
			of[e.Part.Of] = true
			got = append(got, resolver.Part{Offset: e.Part.Offset, Size: e.Part.Size})
		}
		if e.File != nil {
			t.Errorf("%s is a file of its own", e.Path)
		}
	}
	want := []resolver.Part{{Offset: 0, Size: 5}, {Offset: 5, Size: 6}, {Offset: 11}, {Offset: 11, Size: 5}}
	if diff := cmp.Diff(want, got); diff != "" || len(of) != 1 {
		t.Errorf("%d files; parts (-want +got):\n%s", len(of), diff)
	}
	if diff := cmp.Diff([]request.Progress{{Done: 1, Total: 1, Bytes: 16}}, res.Progress); diff != "" {
		t.Errorf("progress (-want +got):\n%s", diff)
	}
	dir := t.TempDir()
	res.Unpack(t, dir)
	if got := read(t, filepath.Join(dir, "deps", folder, "b/c")); got != "second" {
		t.Errorf("got %q", got)
	}
}

func TestGitLimits(t *testing.T) {
	t.Run("too many repositories", func(t *testing.T) {
		var sections []string
		for i := range MaxGitTrees + 1 {
			sections = append(sections, gitSection(fmt.Sprintf("https://git.example/r%d", i), commit, fmt.Sprintf("g%d (1.0)", i)))
		}
		got := mustFail(t, runWith(t, lockfileOf(sections...), http.NotFoundHandler(), gitHost{}), fault.UnsupportedFeature)
		if want := "The GIT dependencies of Gemfile.lock come from more than 1000 repositories"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
	t.Run("too many files in all repositories together", func(t *testing.T) {
		p := treeProgress{files: 3}
		if err := p.add(make([]resolver.Entry, 2)); err != nil {
			t.Fatal(err)
		}
		if err := p.add(make([]resolver.Entry, 2)); !fault.IsClient(err) || err.Error() != "The GIT dependencies of Gemfile.lock have more than 50000 files" {
			t.Errorf("got %v", err)
		}
	})
}
