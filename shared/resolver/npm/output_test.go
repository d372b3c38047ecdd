package npm

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/packages"
	"github.com/cachito-serverless/cachito/shared/resolver"
	"github.com/cachito-serverless/cachito/shared/resolver/javascript"
)

func TestPURLs(t *testing.T) {
	rule := Rules()[0]
	repo := packages.Context{Repo: "https://github.com/Org/Repo.git", Ref: commit}
	for _, test := range []struct{ id, name, version, want string }{
		{"N20", "chai", "4.2.0", "pkg:npm/chai@4.2.0"},
		{"N21", "@types/ms", "0.7.34", "pkg:npm/%40types/ms@0.7.34"},
		{"N26", "is-positive", "github:kevva/is-positive#" + commit, "pkg:github/kevva/is-positive@" + commit},
		{"N27", "w", "git+https://github.com/o/w.git#" + commit, "pkg:generic/w?vcs_url=git%2Bhttps%3A%2F%2Fgithub.com%2Fo%2Fw.git%23" + commit},
		{"N28", "fecha", "https://x.test/f.tgz", "pkg:generic/fecha?download_url=https%3A%2F%2Fx.test%2Ff.tgz"},
		{"N33", "l", "file:l", "pkg:generic/l?file=l"},
	} {
		t.Run(test.id, func(t *testing.T) {
			got, err := rule.DependencyPURL(repo, packages.Package{}, packages.Dependency{Name: test.name, Version: &test.version})
			if got != test.want || err != nil {
				t.Errorf("got %s (%v), want %s", got, err, test.want)
			}
		})
	}
	version := "1.0.0"
	for path, want := range map[string]string{"": "pkg:github/org/repo@" + commit, "web/app": "pkg:github/org/repo@" + commit + "#web/app"} {
		got, err := rule.PackagePURL(repo, packages.Package{Name: "a", Type: Name, Version: &version, Path: path})
		if got != want || err != nil {
			t.Errorf("%q: got %s (%v), want %s", path, got, err, want)
		}
	}
}

// What is rewritten is handed out as configuration files too, with the same content.
func TestConfigFilesAndVariables(t *testing.T) {
	res := newWorld().run(t, `
-- request.json --
{"packages": [{"path": "web"}]}
-- repo/web/package.json --
{"name": "a", "dependencies": {"p": "o/p"}}
-- repo/web/npm-shrinkwrap.json --
{"name":"a","version":"1.0.0","lockfileVersion":1,"dependencies":{"p":{"version":"git+ssh://git@github.com/o/p.git#COMMIT"}}}
-- repo/web/package-lock.json --
{"name":"a","version":"1.0.0","lockfileVersion":1,"dependencies":{"b":{"version":"1.0.0","resolved":"R/b/-/b-1.0.0.tgz"}}}
`)
	if res.Err != nil {
		t.Fatal(res.Err)
	}
	var want []resolver.ConfigFile
	for _, e := range res.Output.Overlays {
		want = append(want, resolver.ConfigFile{Path: "app/" + e.Path, Content: e.Inline})
	}
	if diff := cmp.Diff(want, res.Output.ConfigFiles); diff != "" {
		t.Errorf("configuration files (-overlays +got):\n%s", diff)
	}
	if len(want) != 2 || want[0].Path != "app/web/npm-shrinkwrap.json" || want[1].Path != "app/web/package.json" {
		t.Errorf("N01: got %v", want)
	}
	if diff := cmp.Diff(javascript.Environment(), res.Output.EnvironmentVariables); diff != "" {
		t.Errorf("variables (-want +got):\n%s", diff)
	}
	if len(res.Output.Root) != 0 {
		t.Errorf("files at the root: %v", res.Output.Root)
	}
	for _, d := range res.Output.Packages[0].Dependencies {
		if d.Dev == nil || d.Bundled != nil || !d.HasReplaces || d.Replaces != nil || d.Type != Name {
			t.Errorf("got %+v, want dev, and replaces without a value", d)
		}
	}
}
