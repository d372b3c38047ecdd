package gomod

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/packages"
)

// TestLocalPURLs: what a directory of the repository stands for.
func TestLocalPURLs(t *testing.T) {
	rule := map[string]packages.Rule{}
	for _, r := range Rules() {
		rule[r.Type] = r
	}
	for _, test := range []struct {
		name    string
		modules []string // of the request, all at v1
		kind    string
		owner   string
		dep     string
		version string
		want    string // purl
		shown   string // version in the SBOM
	}{
		{"G56 module in a folder of the main one", []string{"m.org/m"}, "gomod", "m.org/m", "a.org/x", "./staging/x", "pkg:golang/m.org%2Fm@v1#staging/x", "./staging/x"},
		{
			"staging",
			[]string{"k8s.io/kubernetes"},
			"gomod", "k8s.io/kubernetes", "k8s.io/kubectl", "./staging/src/k8s.io/kubectl",
			"pkg:golang/k8s.io%2Fkubernetes@v1#staging/src/k8s.io/kubectl", "./staging/src/k8s.io/kubectl",
		},
		{"G70 the parent module, in the request", []string{"ex.org/p", "ex.org/p/foo"}, "gomod", "ex.org/p/foo", "ex.org/p", "../", "pkg:golang/ex.org%2Fp@v1", "../"},
		{"the name's parent before the way's", []string{"m.org/m", "a.org"}, "gomod", "m.org/m", "a.org/x", "./x", "pkg:golang/a.org@v1#x", "./x"},
		{"the longest parent", []string{"m.org/m", "m.org/m/sub"}, "gomod", "m.org/m", "a.org/x", "./sub/x", "pkg:golang/m.org%2Fm%2Fsub@v1#x", "./sub/x"},

		{"package of a module of the request", []string{"m.org/m", "m.org/m/sub"}, "go-package", "m.org/m/p", "m.org/m/sub/q", "./sub/q", "pkg:golang/m.org%2Fm%2Fsub%2Fq@v1", "v1"},
		{"package of no module of the request", []string{"m.org/m"}, "go-package", "m.org/m/p", "a.org/x/q", "./staging/x/q", "pkg:golang/m.org%2Fm@v1#staging/x/q", "./staging/x/q"},
		{"nothing left of the way", []string{"m.org/m", "m.org/m/x"}, "go-package", "m.org/m/p", "a.org/x", "./x", "pkg:golang/m.org%2Fm%2Fx@v1#.", "./x"},
		{"G74 not local at all", []string{"m.org/m"}, "go-package", "m.org/m/p", "github.com/Azure/x", "v1.2.3", "pkg:golang/github.com%2FAzure%2Fx@v1.2.3", "v1.2.3"},
	} {
		t.Run(test.kind+" "+test.name, func(t *testing.T) {
			v1 := "v1"
			var c packages.Context
			for _, m := range test.modules {
				c.Packages = append(c.Packages, packages.Package{Name: m, Type: "gomod", Version: &v1})
			}
			owner := packages.Package{Name: test.owner, Type: test.kind, Version: &v1}
			d := packages.Dependency{Name: test.dep, Type: test.kind, Version: &test.version}
			got, err := rule[test.kind].DependencyPURL(c, owner, d)
			if got != test.want || err != nil {
				t.Errorf("got %s, %v\nwant %s", got, err, test.want)
			}
			shown := d.Version
			if f := rule[test.kind].DependencyVersion; f != nil {
				shown = f(c, owner, d)
			}
			if packages.Deref(shown) != test.shown {
				t.Errorf("shown with version %q, want %q", packages.Deref(shown), test.shown)
			}
		})
	}
}

func TestModuleOf(t *testing.T) {
	for _, test := range []struct {
		id, name string
		modules  []string
		want     string
	}{
		{"G59 foo covers foo/bar", "github.com/foo/bar", []string{"github.com/foo"}, "github.com/foo"},
		{"G59 foo does not cover foobar", "github.com/foobar", []string{"github.com/foo"}, ""},
		{"G59 foo/bar does not cover foo", "github.com/foo", []string{"github.com/foo/bar"}, ""},
		{"G60 the longer one, last", "github.com/foo/bar/baz", []string{"github.com/foo/bar", "github.com/foo/bar/baz"}, "github.com/foo/bar/baz"},
		{"G60 the longer one, first", "github.com/foo/bar/baz/x", []string{"github.com/foo/bar/baz", "github.com/foo/bar"}, "github.com/foo/bar/baz"},
		{"G60 among none", "github.com/foo/bar/baz", nil, ""},
		{"its own", "a.org/x", []string{"a.org/x"}, "a.org/x"},
	} {
		t.Run(test.id, func(t *testing.T) {
			c := packages.Context{Packages: []packages.Package{{Name: test.name, Type: "go-package"}, {Name: test.name, Type: "pip"}}}
			for _, m := range test.modules {
				c.Packages = append(c.Packages, packages.Package{Name: m, Type: "gomod"})
			}
			got, ok := moduleOf(c, test.name)
			if ok != (test.want != "") || ok && (got.Name != test.want || got.Type != "gomod") {
				t.Errorf("moduleOf(%q) among %q is %v, %v, want %q", test.name, test.modules, got, ok, test.want)
			}
		})
	}
}

func TestPackageContents(t *testing.T) {
	one := func(kind, name string, deps ...string) packages.Package {
		p := packages.Package{Name: name, Type: kind}
		for _, d := range deps {
			p.Dependencies = append(p.Dependencies, packages.Dependency{Name: d, Type: kind})
		}
		return p
	}
	c := packages.Context{Packages: []packages.Package{
		one("gomod", "a.org/m", "x", "y"), one("gomod", "a.org/m/sub", "z"),
	}}
	for _, test := range []struct {
		name, pkg string
		sources   []string
	}{
		{"its own name", "a.org/m", []string{"x", "y"}},
		{"below a module", "a.org/m/cmd", []string{"x", "y"}},
		{"the longest module", "a.org/m/sub/p", []string{"z"}},
		{"of no module", "a.org/mm", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			dependencies, sources := packageContents(c, one("go-package", test.pkg, "d"))
			var got []string
			for _, o := range sources {
				got = append(got, o.Dependency.Name)
			}
			if diff := cmp.Diff(test.sources, got); diff != "" {
				t.Errorf("sources (-want +got):\n%s", diff)
			}
			if len(dependencies) != 1 || dependencies[0].Dependency.Name != "d" {
				t.Errorf("dependencies are %v, want its own", dependencies)
			}
		})
	}
}
