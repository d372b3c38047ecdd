package main

import (
	"archive/zip"
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var little = toolchain{version: "1.26.8", goarch: "arm64"}

// module makes a toolchain's zip file of names below its prefix; each file holds its name.
func module(t *testing.T, names ...string) *zip.Reader {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, name := range names {
		if !strings.HasPrefix(name, "../") {
			name = little.module() + "/" + name
		}
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := zip.NewReader(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

var needed = []string{"VERSION", "go.env", "LICENSE", "src/vendor/modules.txt", "src/fmt/print.go", "bin/go"}

func TestTrim(t *testing.T) {
	files, err := little.trim(module(t, append([]string{
		"bin/gofmt", "pkg/tool/linux_arm64/compile", "pkg/include/textflag.h", "lib/time/zoneinfo.zip", "README.md", "test/x.go",
		"src/cmd/go/main.go", "src/make.bash", "src/fmt/print_test.go", "src/go/build/testdata/a/a.go", "src/runtime/race/race_linux_arm64.syso",
		"src/runtime/asm_arm64.s", "src/runtime/cgo/libcgo.h", "src/internal/trace/traceviewer/static/x.html", "src/testdatabase/a.go",
	}, needed...)...))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range files {
		name := f.name
		if f.executable {
			name += "*"
		}
		got = append(got, name)
	}
	want := []string{
		"go/LICENSE", "go/VERSION", "go/bin/go*", "go/go.env", "go/pkg/tool/.keep", "go/src/fmt/print.go",
		"go/src/internal/trace/traceviewer/static/x.html", "go/src/runtime/asm_arm64.s", "go/src/runtime/cgo/libcgo.h",
		"go/src/testdatabase/a.go", "go/src/vendor/modules.txt",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the layer's files (-want +got):\n%s", diff)
	}
}

func TestTrimRefuses(t *testing.T) {
	for _, missing := range needed {
		t.Run("without "+missing, func(t *testing.T) {
			names := slices.DeleteFunc(slices.Clone(needed), func(n string) bool { return n == missing })
			_, err := little.trim(module(t, names...))
			if want := "the toolchain has no " + missing; err == nil || err.Error() != want {
				t.Errorf("got %v, want %q", err, want)
			}
		})
	}
	_, err := little.trim(module(t, append(needed, "../elsewhere")...))
	if err == nil || !strings.Contains(err.Error(), `"../elsewhere"`) {
		t.Errorf("a file outside the module: got %v", err)
	}
}

func TestZipAndFolderHoldTheSame(t *testing.T) {
	files, err := little.trim(module(t, needed...))
	if err != nil {
		t.Fatal(err)
	}
	name, dir := filepath.Join(t.TempDir(), "layer.zip"), t.TempDir()
	packed, err := writeZip(name, files)
	if err != nil {
		t.Fatal(err)
	}
	if err := writeDir(dir, files); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(name); err != nil || info.Size() != packed {
		t.Errorf("the zip file: got %v and %v, want %d bytes", info, err, packed)
	}
	r, err := zip.OpenReader(name)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	type entry struct {
		Mode    fs.FileMode
		Content string
		Time    string
	}
	read := func(fsys fs.FS) map[string]entry {
		all := map[string]entry{}
		err := fs.WalkDir(fsys, ".", func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			data, err := fs.ReadFile(fsys, path)
			if err != nil {
				return err
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			all[path] = entry{info.Mode(), string(data), info.ModTime().UTC().String()}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	want := read(os.DirFS(dir))
	if got := want["go/bin/go"]; got.Mode != 0o755 || got.Content != little.module()+"/bin/go" {
		t.Errorf("the go command: got %+v", got)
	}
	if diff := cmp.Diff(want, read(r)); diff != "" {
		t.Errorf("zip file and folder differ (-folder +zip):\n%s", diff)
	}
	if err := writeDir(dir, files); err == nil {
		t.Error("a folder that has the files already: want an error")
	}
}

func TestArguments(t *testing.T) {
	for name, args := range map[string][]string{
		"no place":          {"-arch", "arm64"},
		"two places":        {"-zip", "x", "-dir", "y"},
		"unknown processor": {"-arch", "riscv", "-zip", "x"},
		"too many words":    {"-zip", "x", "y"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := run(t.Context(), args); err == nil {
				t.Error("want an error")
			}
		})
	}
}
