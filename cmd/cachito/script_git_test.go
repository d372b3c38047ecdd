package main

import (
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/cachito-serverless/cachito/shared/gitrepo/gitrepotest"
)

// gitserver commits the files of a folder and serves them: REPO and REF name what a request needs, the
// tag v1.0.0 and the branch main lead there, and CACHITO_ALLOW_HOSTS lets it be reached.
func gitserver(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: gitserver FOLDER")
	}
	folder := ts.MkAbs(args[0])
	files := map[string]string{}
	ts.Check(filepath.WalkDir(folder, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(folder, name)
		files[filepath.ToSlash(relative)] = string(content)
		return err
	}))
	server, err := gitrepotest.Start(ts.MkAbs(".git-server"))
	ts.Check(err)
	ts.Defer(server.Close)
	repo := server.Init("app")
	ref := repo.Commit(files)
	repo.Tag("v1.0.0", ref)
	ts.Setenv("REPO", server.URL("app"))
	ts.Setenv("REF", ref)
	ts.Setenv("CACHITO_ALLOW_HOSTS", server.Host())
}

// connect waits until a service wrote its port file.
func connect(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: connect FILE")
	}
	file := ts.MkAbs(args[0])
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if port, err := os.ReadFile(file); err == nil {
			ts.Setenv("CACHITO_API", "http://"+net.JoinHostPort("127.0.0.1", strings.TrimSpace(string(port))))
			return
		}
	}
	ts.Fatalf("%s: no service wrote its port in time", args[0])
}
