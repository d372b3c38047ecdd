package gitsubmodule_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/packages"
	"github.com/cachito-serverless/cachito/shared/resolver"
	"github.com/cachito-serverless/cachito/shared/resolver/gitsubmodule"
)

const ref = "58c88e4952e95935c0dd72d4a24b0c44f2249f5b"

func TestResolve(t *testing.T) {
	one := func(name, path, url string, inner ...resolver.Submodule) resolver.Submodule {
		return resolver.Submodule{Name: name, Path: path, URL: url, Repo: resolver.Repo{URL: url, Ref: ref, Submodules: inner}}
	}
	for _, test := range []struct {
		name    string
		repo    resolver.Repo
		want    []string // package and purl
		logHas  string
		logOnce string
	}{
		{
			"M01 a submodule is a package with its path",
			resolver.Repo{URL: "https://h/o/app.git", Submodules: []resolver.Submodule{one("lib", "third/lib", "https://github.com/o/lib.git")}},
			[]string{"lib https://github.com/o/lib.git#" + ref + " third/lib pkg:github/o/lib@" + ref},
			"submodule found", "name=lib path=third/lib",
		},
		{
			"M03 a submodule of a submodule is not reported",
			resolver.Repo{URL: "https://h/o/app.git", Submodules: []resolver.Submodule{
				one("outer", "outer", "https://github.com/o/outer.git", one("inner", "inner", "https://github.com/o/inner.git")),
			}},
			[]string{"outer https://github.com/o/outer.git#" + ref + " outer pkg:github/o/outer@" + ref},
			"submodule found", "name=outer",
		},
		{"M04 no submodules, no packages", resolver.Repo{URL: "https://h/o/app.git"}, nil, "the repository has no submodules", ""},
		{
			"M09 a relative URL is absolute by now",
			resolver.Repo{URL: "https://h/o/app.git", Submodules: []resolver.Submodule{one("lib", "lib", "https://h/o/lib.git")}},
			[]string{"lib https://h/o/lib.git#" + ref + " lib pkg:generic/lib?vcs_url=https%3A%2F%2Fh%2Fo%2Flib.git%40" + ref},
			"submodule found", "name=lib",
		},
		{
			"several, in the order given",
			resolver.Repo{URL: "https://h/o/app.git", Submodules: []resolver.Submodule{one("z", "z", "https://h/z"), one("a", "a", "https://h/a")}},
			[]string{"z https://h/z#" + ref + " z pkg:generic/z?vcs_url=https%3A%2F%2Fh%2Fz%40" + ref, "a https://h/a#" + ref + " a pkg:generic/a?vcs_url=https%3A%2F%2Fh%2Fa%40" + ref},
			"submodule found", "name=a",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			r, err := gitsubmodule.Descriptor().New(resolver.Settings{})
			if err != nil {
				t.Fatal(err)
			}
			var log bytes.Buffer
			in := resolver.Input{Repo: test.repo, Log: slog.New(slog.NewTextHandler(&log, nil))}
			out, err := r.Resolve(t.Context(), in)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, p := range out.Packages {
				if p.Type != "git-submodule" || len(p.Dependencies) != 0 {
					t.Errorf("%s has type %q and %d dependencies", p.Name, p.Type, len(p.Dependencies))
				}
				purl, err := gitsubmodule.Rules()[0].PackagePURL(packages.Context{Repo: test.repo.URL}, p)
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, strings.Join([]string{p.Name, *p.Version, p.Path, purl}, " "))
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("packages (-want +got):\n%s", diff)
			}
			if out.Deps != nil || out.Overlays != nil || out.EnvironmentVariables != nil || out.ConfigFiles != nil {
				t.Errorf("submodules add to the bundle: %+v", out)
			}
			if !strings.Contains(log.String(), test.logHas) || test.logOnce != "" && strings.Count(log.String(), test.logOnce) != 1 {
				t.Errorf("the log is to tell %q of %q:\n%s", test.logHas, test.logOnce, &log)
			}
		})
	}
}

func TestDescriptor(t *testing.T) {
	d := gitsubmodule.Descriptor()
	if !d.NeedsSubmodules || d.Options != nil || d.RefusesReplacements != "" {
		t.Errorf("L19: takes no options, needs submodules, ignores replacements: %+v", d)
	}
	if !d.Detect(map[string]bool{".gitmodules": true}) || d.Detect(map[string]bool{"go.mod": true}) {
		t.Error("work is where .gitmodules is")
	}
}
