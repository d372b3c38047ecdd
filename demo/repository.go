package main

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/cachito-serverless/cachito/shared/gitrepo/gitrepotest"
	"github.com/rogpeppe/go-internal/txtar"
)

//go:embed testdata/hello.txtar
var hello []byte

// repository is the application's, served on loopback.
type repository struct {
	server *gitrepotest.Server
	url    string
	ref    string
}

// build makes the cachito binary and learns what go this is.
func (s *story) build(ctx context.Context) error {
	s.out.chapter("Building cachito")
	started := time.Now()
	s.goCmd = "go"
	out, err := command(ctx, "", s.goCmd, "env", "GOVERSION")
	if err != nil {
		return err
	}
	// "go1.26.8 X:experiment" and "devel go1.27-abc" exist.
	for word := range strings.FieldsSeq(out) {
		if version, ok := strings.CutPrefix(word, "go"); ok {
			s.version, _, _ = strings.Cut(version, "-")
			break
		}
	}
	if strings.Count(s.version, ".") == 1 {
		s.version += ".0"
	}
	s.binary = filepath.Join(s.dir, "cachito")
	if _, err := command(ctx, "", s.goCmd, "build", "-o", s.binary, "./cmd/cachito"); err != nil {
		return err
	}
	info, err := os.Stat(s.binary)
	if err != nil {
		return err
	}
	s.out.fact("one binary", "%s, built in %.1f s with go %s", megabytes(info.Size()), time.Since(started).Seconds(), s.version)
	return nil
}

// makeRepository commits the application and serves it.
func (s *story) makeRepository(context.Context) error {
	s.out.chapter("A git repository: a Go program with real dependencies")
	archive := txtar.Parse(hello)
	files := map[string]string{}
	var needs []string
	for _, f := range archive.Files {
		files[f.Name] = strings.ReplaceAll(string(f.Data), "{{GO}}", s.version)
		if f.Name != "go.mod" {
			continue
		}
		for line := range strings.SplitSeq(string(f.Data), "\n") {
			if fields := strings.Fields(line); len(fields) == 2 && strings.HasPrefix(fields[1], "v") {
				needs = append(needs, fields[0]+" "+fields[1])
			}
		}
	}
	server, err := gitrepotest.Start(filepath.Join(s.dir, "git"))
	if err != nil {
		return err
	}
	repo := server.Init("hello")
	s.repo = repository{server: server, url: server.URL("hello")}
	s.repo.ref = repo.Commit(files)
	repo.Tag("v1.2.0", s.repo.ref)
	s.out.fact("repository", "%s", s.repo.url)
	s.out.fact("commit", "%s, tag v1.2.0", s.repo.ref)
	s.out.fact("go.mod needs", "%s", strings.Join(needs, ", "))
	return nil
}

// command runs a program and returns its output; a failure holds what it printed.
func command(ctx context.Context, dir, name string, args ...string) (string, error) {
	c := exec.CommandContext(ctx, name, args...)
	c.Dir = dir
	return output(c)
}

func output(c *exec.Cmd) (string, error) {
	var stderr strings.Builder
	c.Stderr = &stderr
	out, err := c.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w\n%s%s", strings.Join(c.Args, " "), err, out, stderr.String())
	}
	return string(out), nil
}

func megabytes(n int64) string {
	if n < 100_000 {
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	}
	return fmt.Sprintf("%.1f MB", float64(n)/1e6)
}
