package pip

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/gitrepo/gitrepotest"
	"github.com/cachito-serverless/cachito/shared/resolver"
	"github.com/cachito-serverless/cachito/shared/resolver/resolvertest"
)

// gitBundle resolves a repository with one git requirement and returns its archive.
func gitBundle(t *testing.T, git resolver.Repositories, commit string) (resolvertest.Result, *resolvertest.Fetcher, resolver.File) {
	t.Helper()
	s, err := resolvertest.Parse([]byte("-- repo/requirements.txt --\nx @ git+https://git.example/team/x.git@"+commit+"\n"), nil)
	must(t, err)
	s.Git = git
	f := resolvertest.NewFetcher(t, nil)
	res := s.Run(t, newResolver(t, nil), f)
	must(t, res.Err)
	for _, e := range res.Output.Deps {
		if e.Path == "pip/git.example/team/x/x-external-gitcommit-"+commit+".tar.gz" {
			return res, f, *e.File
		}
	}
	t.Fatalf("the archive is not there: %s", resolvertest.Entries(res.Output.Deps))
	return res, f, resolver.File{}
}

// TestGitArchive: P71. The tree lies below app/, with its history, and the bytes depend on the commit alone.
func TestGitArchive(t *testing.T) {
	srv := gitrepotest.NewServer(t)
	repo := srv.Init("team/x")
	first := repo.Commit(map[string]string{"setup.py": "setup()", "a/run.sh": "#!/bin/sh\n", "z.tar.gz": "packed"},
		gitrepotest.Executable("a/run.sh"), gitrepotest.Symlink("link", "a/run.sh"))
	repo.Tag("v1.2", first)
	_, f, file := gitBundle(t, newGitServer(t, srv), first)
	_, _, again := gitBundle(t, newGitServer(t, srv), first)
	if file != again {
		t.Errorf("two runs: %+v, %+v", file, again)
	}
	dir := t.TempDir()
	names := unpackArchive(t, f, file, dir)
	var tree []string
	for _, n := range names {
		if !strings.HasPrefix(n, "app/.git/") {
			tree = append(tree, n)
		}
	}
	want := []string{
		"app/ 0755", "app/a/ 0755", "app/a/run.sh 0755", "app/link -> a/run.sh", "app/setup.py 0644", "app/z.tar.gz 0644",
	}
	if diff := cmp.Diff(want, tree); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	out, err := exec.CommandContext(t.Context(), "git", "-C", filepath.Join(dir, "app"), "describe", "--tags", "--dirty").CombinedOutput()
	if err != nil || strings.TrimSpace(string(out)) != "v1.2" {
		t.Errorf("git describe: got %s (%v), want v1.2", out, err)
	}
}

// unpackArchive extracts an archive as tar does, and lists it.
func unpackArchive(t *testing.T, f *resolvertest.Fetcher, file resolver.File, dir string) []string {
	t.Helper()
	r, err := f.Open(t.Context(), file)
	must(t, err)
	defer r.Close()
	z, err := gzip.NewReader(r)
	must(t, err)
	var names []string
	for in := tar.NewReader(z); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		must(t, err)
		if want := gitrepotest.Epoch; !h.ModTime.Equal(want) || h.Uid != 0 || h.Uname != "" {
			t.Errorf("%s: time %v of %q, want %v of nobody", h.Name, h.ModTime, h.Uname, want)
		}
		text := fmt.Sprintf("%s %04o", h.Name, h.Mode)
		path := filepath.Join(dir, filepath.FromSlash(h.Name))
		switch h.Typeflag {
		case tar.TypeDir:
			must(t, os.MkdirAll(path, 0o755))
		case tar.TypeSymlink:
			text = h.Name + " -> " + h.Linkname
			must(t, os.Symlink(h.Linkname, path))
		default:
			out, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, os.FileMode(h.Mode))
			must(t, err)
			_, err = io.Copy(out, in)
			must(t, errors.Join(err, out.Close()))
		}
		names = append(names, text)
	}
	slices.Sort(names)
	return names
}

// largeHistory is a host whose histories are too large.
type largeHistory struct{ resolvertest.Repositories }

func (h largeHistory) CheckOut(ctx context.Context, url, commit string, into *os.Root, options ...resolver.CheckOutOption) (resolver.Checkout, error) {
	if slices.Contains(options, resolver.WithHistory) {
		if err := into.WriteFile("half", nil, 0o644); err != nil {
			return resolver.Checkout{}, err
		}
		return resolver.Checkout{}, fault.Client(fault.UnsupportedFeature, "the repository is larger than 1 byte")
	}
	out, err := h.Repositories.CheckOut(ctx, url, commit, into)
	out.Removed = []string{"out"}
	return out, err
}

// TestGitArchiveWithoutHistory: a history that is too large is left out, and the log says so.
func TestGitArchiveWithoutHistory(t *testing.T) {
	host := largeHistory{resolvertest.Repositories{"https://git.example/team/x.git": {aCommit: {Files: map[string]string{"setup.py": "x"}}}}}
	res, f, file := gitBundle(t, host, aCommit)
	for _, want := range []string{"the repository is larger than 1 byte", "leads out of its repository"} {
		if !strings.Contains(res.Log, want) {
			t.Errorf("the log lacks %q:\n%s", want, res.Log)
		}
	}
	r, err := f.Open(t.Context(), file)
	must(t, err)
	defer r.Close()
	z, err := gzip.NewReader(r)
	must(t, err)
	in := tar.NewReader(z)
	var names []string
	for h, err := in.Next(); err == nil; h, err = in.Next() {
		names = append(names, h.Name)
		if want := resolvertest.CommitTime.Truncate(time.Second); !h.ModTime.Equal(want) {
			t.Errorf("%s: time %v, want %v", h.Name, h.ModTime, want)
		}
	}
	if diff := cmp.Diff([]string{"app/", "app/setup.py"}, names); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
