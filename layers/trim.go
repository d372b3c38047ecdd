package main

import (
	"archive/zip"
	"fmt"
	"path"
	"slices"
	"strings"
)

// layerRoot is the layer's folder below /opt.
const layerRoot = "go/"

// file is one of the layer's.
type file struct {
	name       string // go/bin/go
	executable bool
	content    *zip.File // nil: empty
}

// trim chooses what the layer has of a toolchain's module: the go command, and the standard library's sources
// (go list reads them) without what only testing and the commands need. Compiler and linker are left out: no
// code of a request is ever built here.
func (t toolchain) trim(r *zip.Reader) ([]file, error) {
	prefix := t.module() + "/"
	var files []file
	for _, f := range r.File {
		name, ok := strings.CutPrefix(f.Name, prefix)
		if !ok {
			return nil, fmt.Errorf("the toolchain has a file %q outside %s", f.Name, prefix)
		}
		if kept(name) {
			files = append(files, file{layerRoot + name, name == "bin/go", f})
		}
	}
	// By this folder the go command knows that it is at home.
	files = append(files, file{name: layerRoot + "pkg/tool/.keep"})
	slices.SortFunc(files, func(a, b file) int { return strings.Compare(a.name, b.name) })
	for _, name := range []string{"VERSION", "LICENSE", "go.env", "bin/go", "src/fmt/print.go", "src/vendor/modules.txt"} {
		if !slices.ContainsFunc(files, func(f file) bool { return f.name == layerRoot+name }) {
			return nil, fmt.Errorf("the toolchain has no %s", name)
		}
	}
	return files, nil
}

// kept reports whether the layer has the toolchain's file, for which everything below src that go list may
// name counts: headers and assembly too.
func kept(name string) bool {
	switch name {
	case "VERSION", "LICENSE", "PATENTS", "go.env", "bin/go":
		return true
	}
	below, ok := strings.CutPrefix(name, "src/")
	switch {
	case !ok, strings.HasPrefix(below, "cmd/"):
		return false
	case slices.Contains(strings.Split(path.Dir(below), "/"), "testdata"):
		return false
	case strings.HasSuffix(name, ".syso"): // objects for the linker: a fifth of the whole
		return false
	case strings.HasSuffix(name, "_test.go"), strings.HasSuffix(name, ".bash"), strings.HasSuffix(name, ".bat"), strings.HasSuffix(name, ".rc"):
		return false
	}
	return true
}

// size is what the files have unpacked, in bytes.
func size(files []file) int64 {
	var total int64
	for _, f := range files {
		if f.content != nil {
			total += int64(f.content.UncompressedSize64)
		}
	}
	return total
}
