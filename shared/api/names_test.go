package api

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/cachito-serverless/cachito/shared/resolver/all"
)

// TestNoPackageManagerIsNamed: what differs between package managers comes from their descriptors.
func TestNoPackageManagerIsNamed(t *testing.T) {
	names := map[string]bool{}
	for _, d := range all.List() {
		names[d.Name] = true
		for _, r := range d.Types {
			names[r.Type] = true
		}
	}
	literals := 0
	for _, folder := range []string{".", "../request"} {
		files, err := filepath.Glob(filepath.Join(folder, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			set := token.NewFileSet()
			parsed, err := parser.ParseFile(set, file, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(parsed, func(n ast.Node) bool {
				lit, ok := n.(*ast.BasicLit)
				if !ok || lit.Kind != token.STRING {
					return true
				}
				literals++
				if text, err := strconv.Unquote(lit.Value); err == nil && names[text] {
					t.Errorf("%s names %q", set.Position(lit.Pos()), text)
				}
				return true
			})
		}
	}
	if literals < 300 {
		t.Errorf("only %d texts were looked at: the search is broken", literals)
	}
}
