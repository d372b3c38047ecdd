package awstest_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/cachito-serverless/cachito/shared/gitrepo/gitrepotest"
	"github.com/cachito-serverless/cachito/shared/resolver/gomod/gomodtest"
)

// world is where requests come from and what they need: a git host, a module proxy and an npm registry, on
// loopback.
type world struct {
	git   *gitrepotest.Server
	repo  *gitrepotest.Repo
	files map[string]string // the application
}

// newWorld serves testdata/app.txtar until the test ends: below app/ the application, below proxy/ what its
// lockfiles name. The stack was told where the registries are before they were there.
func newWorld(t *testing.T) *world {
	t.Helper()
	archive, err := txtar.ParseFile("testdata/app.txtar")
	if err != nil {
		t.Fatal(err)
	}
	modules := map[string][]byte{}
	tarball := map[string]string{}
	w := &world{files: map[string]string{}}
	for _, f := range archive.Files {
		kind, name, _ := strings.Cut(f.Name, "/")
		switch kind {
		case "app":
			w.files[name] = string(f.Data)
		case "module":
			modules[name] = f.Data
		case "package":
			tarball[name] = string(f.Data)
		default:
			t.Fatalf("testdata/app.txtar: %s is below none of app, module and package", f.Name)
		}
	}
	proxy, err := gomodtest.NewProxy(modules)
	if err != nil {
		t.Fatal(err)
	}
	sum, err := proxy.GoSum()
	if err != nil {
		t.Fatal(err)
	}
	packed := packTarball(t, tarball)
	digest := sha512.Sum512(packed)
	w.files["go.sum"] = sum
	w.files["go.mod"] = strings.ReplaceAll(w.files["go.mod"], "{{TOOLCHAIN}}", layerRelease(t))
	w.files["package-lock.json"] = strings.ReplaceAll(w.files["package-lock.json"], "{{INTEGRITY}}", "sha512-"+base64.StdEncoding.EncodeToString(digest[:]))

	mux := http.NewServeMux()
	mux.Handle("/go/", http.StripPrefix("/go", proxy))
	mux.HandleFunc("/npm/greeting/-/greeting-1.2.3.tgz", func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", "application/octet-stream")
		_, _ = rw.Write(packed)
	})
	listener, err := net.Listen("tcp", os.Getenv("CACHITO_TEST_REGISTRY"))
	if err != nil {
		t.Fatalf("CACHITO_TEST_REGISTRY, where the stack expects its registries: %v", err)
	}
	server := &http.Server{Handler: mux}
	go server.Serve(listener)
	t.Cleanup(func() { server.Close() })

	w.git = gitrepotest.NewServer(t)
	w.repo = w.git.Init("app")
	return w
}

// layerRelease is the Go release that the stack's layer has.
func layerRelease(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile("../layers/toolchains.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		if f := strings.Fields(line); len(f) == 4 && f[0] != "#" {
			return f[0]
		}
	}
	t.Fatal("layers/toolchains.txt names no release")
	return ""
}

// packTarball makes an npm package.
func packTarball(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for name, content := range files {
		h := &tar.Header{Name: "package/" + name, Mode: int64(fs.FileMode(0o644)), Size: int64(len(content))}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// commit adds a commit of the application in which a file says which one it is.
func (w *world) commit(n int) string {
	files := map[string]string{"NUMBER": fmt.Sprintln(n)}
	for name, content := range w.files {
		files[name] = content
	}
	return w.repo.Commit(files)
}
