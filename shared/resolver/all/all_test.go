package all_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/resolver"
	"github.com/cachito-serverless/cachito/shared/resolver/all"
)

// declaresDescriptor reports whether a folder's package has a func Descriptor().
func declaresDescriptor(t *testing.T, folder string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "Descriptor" {
				return true
			}
		}
	}
	return false
}

// A package manager is a folder and a line here: the folder that nobody listed would never run.
func TestEveryFolderIsListed(t *testing.T) {
	entries, err := os.ReadDir("..")
	if err != nil {
		t.Fatal(err)
	}
	var folders []string
	for _, e := range entries {
		if e.IsDir() && declaresDescriptor(t, filepath.Join("..", e.Name())) {
			folders = append(folders, e.Name())
		}
	}
	var listed []string
	for _, d := range all.List() {
		listed = append(listed, strings.NewReplacer("-", "", "_", "").Replace(d.Name))
	}
	slices.Sort(listed)
	if diff := cmp.Diff(folders, listed); diff != "" {
		t.Errorf("folders of shared/resolver with a Descriptor against resolver/all's list: add or remove its line (-folders +list):\n%s", diff)
	}
}

// The API shows the managers in this order, and runs them by rank.
func TestOrder(t *testing.T) {
	list := all.List()
	newer := slices.IndexFunc(list, func(d resolver.Descriptor) bool { return d.OptIn })
	if newer >= 0 {
		last := slices.MaxFunc(list[:newer], func(a, b resolver.Descriptor) int { return a.Rank - b.Rank })
		for _, d := range list[newer:] {
			if !d.OptIn || d.Rank <= last.Rank {
				t.Errorf("%s: managers that Cachito does not have come last, in list and rank: got OptIn %v, rank %d, want true, above %d", d.Name, d.OptIn, d.Rank, last.Rank)
			}
		}
		list = list[:newer]
	}
	var names []string
	for _, d := range list {
		names = append(names, d.Name)
	}
	if diff := cmp.Diff([]string{"gomod", "npm", "pip", "git-submodule", "yarn", "rubygems"}, names); diff != "" {
		t.Errorf("the API's order (-want +got):\n%s", diff)
	}
	slices.SortFunc(list, func(a, b resolver.Descriptor) int { return a.Rank - b.Rank })
	names = nil
	for _, d := range list {
		names = append(names, d.Name)
	}
	if diff := cmp.Diff([]string{"gomod", "npm", "pip", "rubygems", "git-submodule", "yarn"}, names); diff != "" {
		t.Errorf("by rank (-want +got):\n%s", diff)
	}
}

func TestDescriptors(t *testing.T) {
	name := regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`)
	seen := map[string]string{}
	once := func(t *testing.T, what, by string) {
		t.Helper()
		if other, ok := seen[what]; ok {
			t.Errorf("%s is taken by %s and %s", what, other, by)
		}
		seen[what] = by
	}
	for _, d := range all.List() {
		t.Run(d.Name, func(t *testing.T) {
			if !name.MatchString(d.Name) {
				t.Errorf("the name %q is not of the API's form", d.Name)
			}
			once(t, "name "+d.Name, d.Name)
			once(t, fmt.Sprint("rank ", d.Rank), d.Name)
			if d.Detect == nil || d.Detect(map[string]bool{}) {
				t.Error("Detect is missing, or finds work in an empty folder")
			}
			if (d.New == nil) != (d.Version == "") {
				t.Errorf("a resolver has a version, and nothing else has: New nil %v, Version %q", d.New == nil, d.Version)
			}
			if len(d.Types) == 0 {
				t.Error("reports no package type")
			}
			for _, o := range d.Options {
				once(t, "option "+o.Name+" of "+d.Name, d.Name)
			}
			for _, r := range d.Types {
				once(t, "type "+r.Type, d.Name)
				if r.PackagePURL == nil || r.DependencyPURL == nil {
					t.Errorf("type %q: PackagePURL or DependencyPURL is missing", r.Type)
				}
				if r.Contents != nil {
					once(t, fmt.Sprint("manifest rank ", r.ManifestRank), r.Type)
				}
			}
		})
	}
}
