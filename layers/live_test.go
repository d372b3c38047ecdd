package main

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestLayersLive makes the layers of both processors from the real toolchains, twice.
func TestLayersLive(t *testing.T) {
	needRegistry(t)
	for _, arch := range []string{"arm64", "x86_64"} {
		t.Run(arch, func(t *testing.T) {
			var sums [2][sha256.Size]byte
			for i := range sums {
				name := filepath.Join(t.TempDir(), "layer.zip")
				if err := run(t.Context(), []string{"-arch", arch, "-zip", name}); err != nil {
					t.Fatal(err)
				}
				data, err := os.ReadFile(name)
				if err != nil {
					t.Fatal(err)
				}
				sums[i] = sha256.Sum256(data)
				z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
				if err != nil {
					t.Fatal(err)
				}
				var total uint64
				for _, f := range z.File {
					total += f.UncompressedSize64
				}
				if total > MaxLayerBytes || total < MaxLayerBytes/2 {
					t.Errorf("unpacked: got %d bytes, want at most %d and not much less", total, MaxLayerBytes)
				}
			}
			if sums[0] != sums[1] {
				t.Errorf("made twice: got %x and %x, want the same bytes", sums[0], sums[1])
			}
		})
	}
}

// TestLayerDoesWhatTheWholeDoesLive: the layer's go command downloads, tidies, vendors and lists a module as the
// whole toolchain does.
func TestLayerDoesWhatTheWholeDoesLive(t *testing.T) {
	needRegistry(t)
	arch := map[string]string{"amd64": "x86_64", "arm64": "arm64"}[runtime.GOARCH]
	if runtime.GOOS != "linux" || arch == "" {
		t.Skipf("not tested: there is no layer that runs on %s/%s", runtime.GOOS, runtime.GOARCH)
	}
	layer := t.TempDir()
	if err := run(t.Context(), []string{"-arch", arch, "-dir", layer}); err != nil {
		t.Fatal(err)
	}
	tc, err := toolchainFor(arch)
	if err != nil {
		t.Fatal(err)
	}
	trimmed := filepath.Join(layer, "go", "bin", "go")
	cache := t.TempDir()
	var results [2]string
	for i, command := range []string{"go", trimmed} {
		dir := t.TempDir()
		for name, content := range map[string]string{
			"go.mod":  "module example.com/m\n\ngo 1.24\n",
			"main.go": "package main\n\nimport (\n\t\"net/http\"\n\n\t\"golang.org/x/mod/sumdb/note\"\n)\n\nfunc main() { http.ListenAndServe(\"\", nil); note.Open(nil, nil) }\n",
		} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		do := func(args ...string) string {
			t.Helper()
			c := exec.Command(command, args...)
			c.Dir = dir
			c.Env = append(os.Environ(), "GOTOOLCHAIN=go"+tc.version, "GOMODCACHE="+cache, "GOFLAGS=-mod=mod -modcacherw", "CGO_ENABLED=0", "GOWORK=off", "GOROOT=")
			if command == trimmed {
				c.Env = append(c.Env, "GOTOOLCHAIN=local", "PATH="+filepath.Dir(trimmed))
			}
			var stderr bytes.Buffer
			c.Stderr = &stderr
			out, err := c.Output()
			if err != nil {
				t.Fatalf("%s %s: %v\n%s", command, strings.Join(args, " "), err, stderr.String())
			}
			return string(out)
		}
		var b strings.Builder
		b.WriteString(do("version"))
		do("get", "golang.org/x/mod@v0.20.0")
		do("mod", "tidy")
		do("mod", "download", "-json")
		do("mod", "vendor")
		for _, name := range []string{"go.mod", "go.sum", "vendor/modules.txt"} {
			data, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			b.Write(data)
		}
		b.WriteString(do("list", "-deps", "-json=ImportPath,Name,Standard,DepOnly,GoFiles,SFiles,HFiles,EmbedFiles,Imports,ImportMap,Deps,Incomplete", "./..."))
		// Folders of the standard library that only hold tests are not in the layer.
		b.WriteString(do("list", "-f", "{{if .GoFiles}}{{.ImportPath}} {{.GoFiles}} {{.EmbedFiles}} {{.Imports}}{{end}}", "std"))
		var modules struct{ Path, Version string }
		if err := json.Unmarshal([]byte(do("list", "-m", "-json", "golang.org/x/mod")), &modules); err != nil {
			t.Fatal(err)
		}
		b.WriteString(modules.Path + modules.Version)
		results[i] = b.String()
	}
	if !strings.Contains(results[0], `"ImportPath": "net/http"`) {
		t.Fatalf("the list is not what was asked for:\n%.2000s", results[0])
	}
	if diff := cmp.Diff(strings.Split(results[0], "\n"), strings.Split(results[1], "\n")); diff != "" {
		t.Errorf("the layer's go command does otherwise (-whole +layer):\n%.4000s", diff)
	}
}

func needRegistry(t *testing.T) {
	t.Helper()
	if os.Getenv("CACHITO_LIVE") == "" {
		t.Skip("needs the module proxy: set CACHITO_LIVE=1")
	}
}
