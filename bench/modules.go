package main

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/mod/module"
	"golang.org/x/mod/sumdb/dirhash"
	"golang.org/x/mod/zip"
)

// The generated dependencies: incompressible content, as zips of real modules nearly are.
const (
	moduleCount   = 40
	moduleBytes   = 10 << 20
	moduleVersion = "v1.0.0"
)

// modules is a Go module proxy with generated modules.
type modules struct {
	http      *http.Server
	url       string
	goVersion string
	names     []string
	goSum     string // of all of them
}

// application gives the files of a program that needs all modules but one (-1: all).
func (m *modules) application(without int) map[string]string {
	var requires, imports strings.Builder
	for i, name := range m.names {
		if i == without {
			continue
		}
		fmt.Fprintf(&requires, "\t%s %s\n", name, moduleVersion)
		fmt.Fprintf(&imports, "\t_ %q\n", name)
	}
	return map[string]string{
		"go.mod":  fmt.Sprintf("module example.org/application\n\ngo %s\n\nrequire (\n%s)\n", m.goVersion, requires.String()),
		"go.sum":  m.goSum,
		"main.go": "// Command application needs everything.\npackage main\n\nimport (\n" + imports.String() + ")\n\nfunc main() {}\n",
	}
}

// newModules generates the modules below dir and serves them on loopback.
func newModules(dir, goVersion string) (*modules, error) {
	m := &modules{goVersion: goVersion}
	var sums strings.Builder
	for i := range moduleCount {
		name := fmt.Sprintf("example.org/dependency%02d", i)
		goMod := fmt.Sprintf("module %s\n\ngo 1.21\n", name)
		files := []zip.File{
			memFile{"go.mod", []byte(goMod)},
			memFile{"dependency.go", fmt.Appendf(nil, "// Package dependency%02d is generated.\npackage dependency%02d\n\n// N is its number.\nconst N = %d\n", i, i, i)},
			memFile{"data.bin", noise(uint64(i), moduleBytes)},
		}
		folder := filepath.Join(dir, filepath.FromSlash(name), "@v")
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return nil, err
		}
		var archive bytes.Buffer
		if err := zip.Create(&archive, module.Version{Path: name, Version: moduleVersion}, files); err != nil {
			return nil, err
		}
		base := filepath.Join(folder, moduleVersion)
		for suffix, content := range map[string][]byte{
			".zip":  archive.Bytes(),
			".mod":  []byte(goMod),
			".info": []byte(`{"Version":"` + moduleVersion + `","Time":"2026-01-01T00:00:00Z"}`),
		} {
			if err := os.WriteFile(base+suffix, content, 0o644); err != nil {
				return nil, err
			}
		}
		if err := os.WriteFile(filepath.Join(folder, "list"), []byte(moduleVersion+"\n"), 0o644); err != nil {
			return nil, err
		}
		zipSum, err := dirhash.HashZip(base+".zip", dirhash.Hash1)
		if err != nil {
			return nil, err
		}
		modSum, err := dirhash.Hash1([]string{"go.mod"}, func(string) (io.ReadCloser, error) {
			return io.NopCloser(strings.NewReader(goMod)), nil
		})
		if err != nil {
			return nil, err
		}
		m.names = append(m.names, name)
		fmt.Fprintf(&sums, "%s %s %s\n%s %s/go.mod %s\n", name, moduleVersion, zipSum, name, moduleVersion, modSum)
	}
	m.goSum = sums.String()

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	m.url = "http://" + listener.Addr().String()
	m.http = &http.Server{Handler: http.FileServer(http.Dir(dir)), ReadHeaderTimeout: 10 * time.Second}
	go m.http.Serve(listener)
	return m, nil
}

func (m *modules) host() string { return strings.TrimPrefix(m.url, "http://") }

func (m *modules) close() error { return m.http.Close() }

// noise is incompressible and the same every time.
func noise(seed uint64, n int) []byte {
	var key [32]byte
	key[0], key[1] = byte(seed), byte(seed>>8)
	b := make([]byte, n)
	// Never fails.
	_, _ = rand.NewChaCha8(key).Read(b)
	return b
}

// memFile is a zip.File in memory.
type memFile struct {
	path    string
	content []byte
}

func (f memFile) Path() string                 { return f.path }
func (f memFile) Lstat() (os.FileInfo, error)  { return memInfo{f}, nil }
func (f memFile) Open() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(f.content)), nil }

type memInfo struct{ memFile }

func (i memInfo) Name() string       { return filepath.Base(i.path) }
func (i memInfo) Size() int64        { return int64(len(i.content)) }
func (i memInfo) Mode() os.FileMode  { return 0o644 }
func (i memInfo) ModTime() time.Time { return time.Time{} }
func (i memInfo) IsDir() bool        { return false }
func (i memInfo) Sys() any           { return nil }
