package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// pypi serves the subfolders of a folder as source distributions, each named <name>-<version>, and makes it
// the Python index. Files of the project evil redirect to a private address, of half the second half is
// missing.
func pypi(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: pypi FOLDER")
	}
	folder := ts.MkAbs(args[0])
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if project, ok := strings.CutPrefix(r.URL.Path, "/simple/"); ok {
			entries, err := os.ReadDir(folder)
			if err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			w.Header().Set("Content-Type", "text/html")
			for _, e := range entries {
				if strings.HasPrefix(e.Name(), strings.TrimSuffix(project, "/")+"-") {
					fmt.Fprintf(w, `<a href="../../files/%s.tar.gz">%s.tar.gz</a>`, e.Name(), e.Name())
				}
			}
			return
		}
		name := strings.TrimSuffix(path.Base(r.URL.Path), ".tar.gz")
		if strings.HasPrefix(name, "evil-") {
			http.Redirect(w, r, "http://10.0.0.1/evil.tar.gz", http.StatusFound)
			return
		}
		root, err := os.OpenRoot(folder)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		defer root.Close()
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		t := tar.NewWriter(z)
		files, err := root.OpenRoot(name)
		if err != nil {
			http.NotFound(w, r)
			return
		}
		defer files.Close()
		if err := errors.Join(t.AddFS(files.FS()), t.Close(), z.Close()); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		content := b.Bytes()
		if strings.HasPrefix(name, "half-") {
			content = content[:len(content)/2]
		}
		w.Write(content)
	}))
	ts.Defer(server.Close)
	ts.Setenv("CACHITO_PIP_INDEX_URL", server.URL+"/simple/")
	ts.Setenv("CACHITO_ALLOW_HOSTS", strings.TrimPrefix(server.URL, "http://"))
}
