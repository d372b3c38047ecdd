package main

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// npmregistry serves the subfolders of a folder as npm packages, each named <name>@<version>, and makes it
// the npm registry. Packages named evil redirect to a private address.
func npmregistry(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: npmregistry FOLDER")
	}
	folder := ts.MkAbs(args[0])
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, file, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/-/")
		version := strings.TrimSuffix(strings.TrimPrefix(file, path.Base(name)+"-"), ".tgz")
		if name == "evil" {
			http.Redirect(w, r, "http://10.0.0.1/evil.tgz", http.StatusFound)
			return
		}
		root, err := os.OpenRoot(folder)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		defer root.Close()
		files, err := root.OpenRoot(name + "@" + version)
		if err != nil {
			http.NotFound(w, r)
			return
		}
		defer files.Close()
		z := gzip.NewWriter(w)
		t := tar.NewWriter(z)
		if err := errors.Join(t.AddFS(files.FS()), t.Close(), z.Close()); err != nil {
			panic(http.ErrAbortHandler) // the transfer breaks off
		}
	}))
	ts.Defer(server.Close)
	ts.Setenv("CACHITO_NPM_REGISTRY", server.URL+"/")
	ts.Setenv("CACHITO_ALLOW_HOSTS", strings.TrimPrefix(server.URL, "http://"))
}
