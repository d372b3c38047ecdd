package packages_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/packages"
)

func dep(name, version string, dev bool) packages.Dependency {
	return packages.Dependency{Name: name, Type: "pip", Version: &version, Dev: &dev}
}

func pkg(name, version string, deps ...packages.Dependency) packages.Package {
	return packages.Package{Name: name, Type: "pip", Version: &version, Dependencies: deps}
}

// names tells dependencies apart in a diff.
func names(list []packages.Dependency) []string {
	var out []string
	for _, d := range list {
		text := d.Type + " " + d.Name + " "
		if d.Version == nil {
			text += "null"
		} else {
			text += *d.Version
		}
		if d.Dev != nil && *d.Dev {
			text += " dev"
		}
		out = append(out, text)
	}
	return out
}

func TestSort(t *testing.T) {
	t.Run("K01 packages and dependencies in order, repeats stay, merged once", func(t *testing.T) {
		d := packages.Data{Packages: []packages.Package{
			pkg("b", "1", dep("z", "1", true), dep("z", "1", false), dep("a", "2", false), dep("a", "2", false)),
			pkg("a", "1"),
		}}
		d.Sort()
		if err := d.Check(); err != nil {
			t.Fatal(err)
		}
		if got := d.Packages[0].Name + d.Packages[1].Name; got != "ab" {
			t.Errorf("packages are %q, want ab", got)
		}
		want := []string{"pip a 2", "pip a 2", "pip z 1", "pip z 1 dev"}
		if diff := cmp.Diff(want, names(d.Packages[1].Dependencies)); diff != "" {
			t.Errorf("dependencies of b (-want +got):\n%s", diff)
		}
		if p, n := packages.Counts(d); p != 2 || n != 3 {
			t.Errorf("counts are %d and %d, want 2 and 3", p, n)
		}
	})
	t.Run("type first, then name, null versions before others, by code point", func(t *testing.T) {
		one, two, none := "1", "2", packages.Package{Name: "n", Type: "gomod"}
		d := packages.Data{Packages: []packages.Package{
			{Name: "n", Type: "gomod", Version: &two},
			{Name: "é", Type: "gomod", Version: &one},
			{Name: "z", Type: "gomod", Version: &one},
			{Name: "Z", Type: "gomod", Version: &one},
			{Name: "n", Type: "gomod", Version: &one},
			{Name: "a", Type: "npm", Version: &one},
			none,
			{Name: "zz", Type: "go-package", Version: &one},
		}}
		d.Sort()
		var got []string
		for _, p := range d.Packages {
			got = append(got, p.String())
		}
		want := []string{"go-package zz 1", "gomod Z 1", "gomod n", "gomod n 1", "gomod n 2", "gomod z 1", "gomod é 1", "npm a 1"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("order (-want +got):\n%s", diff)
		}
	})
	t.Run("dev false or unknown before dev true, before names count", func(t *testing.T) {
		unknown := dep("m", "1", false)
		unknown.Dev = nil
		d := packages.Data{Packages: []packages.Package{pkg("p", "1", dep("a", "1", true), dep("z", "1", false), unknown)}}
		d.Sort()
		want := []string{"pip m 1", "pip z 1", "pip a 1 dev"}
		if diff := cmp.Diff(want, names(d.Packages[0].Dependencies)); diff != "" {
			t.Errorf("order (-want +got):\n%s", diff)
		}
	})
}

func TestCheck(t *testing.T) {
	at := func(p packages.Package, path string) packages.Package { p.Path = path; return p }
	null := packages.Package{Name: "it's", Type: "gomod"}
	for _, test := range []struct {
		name string
		list []packages.Package
		want string
	}{
		{
			"K02 the same package at two paths",
			[]packages.Package{at(pkg("a", "1"), "x"), pkg("b", "1"), at(pkg("a", "1"), "y")},
			"Duplicate package: {'name': 'a', 'version': '1', 'type': 'pip'}",
		},
		{
			"without a version, quoted as Python does",
			[]packages.Package{null, null},
			`Duplicate package: {'name': "it's", 'version': None, 'type': 'gomod'}`,
		},
		{"other version", []packages.Package{pkg("a", "1"), pkg("a", "2")}, ""},
		{"null is not empty", []packages.Package{{Name: "a", Type: "pip"}, pkg("a", "")}, ""},
		{"other type", []packages.Package{pkg("a", "1"), {Name: "a", Type: "npm", Version: pkg("a", "1").Version}}, ""},
		{"no packages", nil, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := packages.Data{Packages: test.list}
			d.Sort()
			err := d.Check()
			if test.want == "" {
				if err != nil {
					t.Errorf("got %v, want no error", err)
				}
				return
			}
			var f *fault.Error
			if !errors.As(err, &f) || f.Message != test.want || f.Type != fault.InvalidRequestData || f.Origin != fault.OriginClient {
				t.Errorf("got %#v, want a client's InvalidRequestData %q", err, test.want)
			}
		})
	}
}

func TestMergeDependencies(t *testing.T) {
	first := dep("a", "1", false)
	first.Replaces = &packages.Replaced{Name: "old", Type: "pip"}
	list := []packages.Package{
		pkg("p", "1", first, dep("c", "1", true)),
		pkg("q", "1", dep("a", "1", false), dep("c", "1", false), dep("b", "1", false), packages.Dependency{Name: "a", Type: "npm"}),
	}
	got := packages.MergeDependencies(list)
	want := []string{"npm a null", "pip a 1", "pip b 1", "pip c 1", "pip c 1 dev"}
	if diff := cmp.Diff(want, names(got)); diff != "" {
		t.Errorf("merged (-want +got):\n%s", diff)
	}
	if r := got[1].Replaces; r == nil || r.Name != "old" {
		t.Errorf("of equal dependencies the first is to be kept with its replaces, got %v", r)
	}
	if list[0].Dependencies[0].Name != "a" || list[1].Dependencies[1].Name != "c" {
		t.Error("merging changed the packages' own lists")
	}
	t.Run("more than are collected at a time", func(t *testing.T) {
		var list []packages.Package
		for p := range 30 {
			var deps []packages.Dependency
			for i := range 1000 {
				d := dep(fmt.Sprintf("%04d", (i*7+p)%1500), "1", false)
				d.Replaces = &packages.Replaced{Name: fmt.Sprint(p)}
				deps = append(deps, d)
			}
			list = append(list, pkg(fmt.Sprint(p), "1", deps...))
		}
		merged := packages.MergeDependencies(list)
		for i, d := range merged {
			first := slices.IndexFunc(list, func(p packages.Package) bool {
				return slices.ContainsFunc(p.Dependencies, func(o packages.Dependency) bool { return o.Name == d.Name })
			})
			if d.Name != fmt.Sprintf("%04d", i) || d.Replaces.Name != fmt.Sprint(first) {
				t.Fatalf("place %d: got %s of package %s, want the one of package %d", i, d.Name, d.Replaces.Name, first)
			}
		}
		if len(merged) != 1500 {
			t.Errorf("%d are left of 1500", len(merged))
		}
	})
	if got := packages.MergeDependencies(nil); len(got) != 0 {
		t.Errorf("no packages give %v", got)
	}
}

func TestContents(t *testing.T) {
	foreign := packages.Dependency{Name: "f", Type: "npm"}
	p := pkg("p", "1", dep("a", "1", true), dep("b", "1", false), packages.Dependency{Name: "c", Type: "pip"}, foreign)
	owned := func(list []packages.Owned) []string {
		var out []string
		for _, o := range list {
			if o.Owner.Name != "p" {
				t.Errorf("%s belongs to %q", o.Dependency.Name, o.Owner.Name)
			}
			out = append(out, o.Dependency.Name)
		}
		return out
	}
	for _, test := range []struct {
		name                  string
		contents              func(packages.Context, packages.Package) (d, s []packages.Owned)
		dependencies, sources []string
	}{
		{"all", packages.AllContents, []string{"a", "b", "c"}, []string{"a", "b", "c"}},
		{"development ones are sources only", packages.RuntimeContents, []string{"b", "c"}, []string{"a", "b", "c"}},
		{"none", packages.NoContents, nil, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			d, s := test.contents(packages.Context{}, p)
			if diff := cmp.Diff(test.dependencies, owned(d)); diff != "" {
				t.Errorf("dependencies (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.sources, owned(s)); diff != "" {
				t.Errorf("sources (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRulesOf(t *testing.T) {
	rules := packages.RulesOf([]packages.Rule{{Type: "a", ManifestRank: 1}, {Type: "b"}}, []packages.Rule{{Type: "c", ManifestRank: 3}})
	if len(rules) != 3 || rules["a"].ManifestRank != 1 || rules["c"].ManifestRank != 3 {
		t.Errorf("got %v", rules)
	}
}
