package stack_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestProgramsThatAreRun finds every package of the product that can start programs. Each must be a package
// manager whose descriptor names its programs, so that its function gets their layers.
func TestProgramsThatAreRun(t *testing.T) {
	var got []string
	for _, folder := range []string{"shared", "functions"} {
		err := filepath.WalkDir(filepath.Join(root, folder), func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			test := strings.HasSuffix(filepath.Base(filepath.Dir(path)), "test") || strings.HasSuffix(path, "_test.go")
			if d.IsDir() || test || !strings.HasSuffix(path, ".go") || strings.Contains(path, "testdata") {
				return nil
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
			if err != nil {
				return err
			}
			starts := func(i *ast.ImportSpec) bool { return i.Path.Value == `"os/exec"` }
			if slices.ContainsFunc(file.Imports, starts) {
				rel, err := filepath.Rel(root, filepath.Dir(path))
				if err != nil {
					return err
				}
				got = append(got, filepath.ToSlash(rel))
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(got)
	var want []string
	for _, d := range resolvable() {
		if len(d.Commands) > 0 {
			want = append(want, "shared/resolver/"+strings.ReplaceAll(d.Name, "-", ""))
		}
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, slices.Compact(got)); diff != "" {
		t.Errorf("packages that start programs; those of package managers name them in Commands (-want +got):\n%s", diff)
	}
}
