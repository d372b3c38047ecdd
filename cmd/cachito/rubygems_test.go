package main

import (
	"bytes"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cachito-serverless/cachito/shared/gitrepo/gitrepotest"
	"github.com/cachito-serverless/cachito/shared/resolver/rubygems/rubygemstest"
)

// TestRubygems fetches applications with a gem of each kind, and has Bundler install and run them from the unpacked
// bundle without network, in two places. Gems of the registry are made here. The second application is upstream's own
// case, whose repositories come from MIRROR_DIR.
func TestRubygems(t *testing.T) {
	for _, tool := range [][]string{{"bundle", "--version"}, {"unshare", "-rn", "true"}} {
		if err := exec.Command(tool[0], tool[1:]...).Run(); err == nil {
			continue
		} else if os.Getenv("CACHITO_REQUIRE_TOOLS") != "" {
			t.Fatalf("%s: %v, and CACHITO_REQUIRE_TOOLS is set", strings.Join(tool, " "), err)
		} else {
			t.Skipf("%s: %v", strings.Join(tool, " "), err)
		}
	}
	gems := httptest.NewServer(rubygemstest.NewRegistry(
		rubygemstest.Gem{Name: "zeitwerk", Version: "2.6.0", Files: map[string]string{"lib/zeitwerk.rb": "puts 'zeitwerk'\n"}},
	))
	t.Cleanup(gems.Close)
	git := gitrepotest.NewServer(t)
	tests := []struct{ name, repo, ref, script, want string }{
		{"synthetic", "o/app", rubyApplication(git), "bundle exec ruby app.rb", "zeitwerk\nfrom git\nlocal\n"},
	}
	if mirrors := os.Getenv("MIRROR_DIR"); mirrors != "" {
		for _, name := range []string{"cachito-testing/cachito-rubygems-with-dependencies", "RadPad/swagger-ui_rails"} {
			to := filepath.Join(git.Dir, name+".git")
			if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(filepath.Join(mirrors, strings.Replace(name, "/", "+", 1), "repo"), to); err != nil {
				t.Fatal(err)
			}
		}
		tests = append(tests, struct{ name, repo, ref, script, want string }{
			"upstream's case", "cachito-testing/cachito-rubygems-with-dependencies", "ef6b2d7f9e4719be204531639a3ab90cfd731f26",
			`bundle exec ruby -e 'require "zeitwerk"; puts Gem.loaded_specs.values_at("pathgem", "swagger-ui_rails").map(&:full_name)'`,
			"zeitwerk\npathgem-1.0.0\nswagger-ui_rails-0.1.7\n",
		})
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			b := unpacked{bundle: filepath.Join(dir, "un packed"), dir: dir}
			cmd := exec.Command("cachito", "fetch", "https://github.com/"+tt.repo, tt.ref, "--pm", "rubygems", "-o", b.bundle+"/", "--json")
			cmd.Env = append(os.Environ(), "CACHITO_ALLOW_HOSTS=127.0.0.1", "CACHITO_MIRRORS=https://github.com/=http://"+git.Host()+"/",
				"CACHITO_RUBYGEMS_URL="+gems.URL, "XDG_CACHE_HOME="+filepath.Join(dir, "cache"))
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			if err := cmd.Run(); err != nil {
				t.Fatalf("cachito fetch: %v\n%s", err, stderr.String())
			}
			for _, place := range []string{"here", "over there"} {
				moved := filepath.Join(dir, place)
				if err := os.Rename(b.bundle, moved); err != nil {
					t.Fatal(err)
				}
				b.bundle = moved
				if got := b.offline(t, "/usr/bin", "rm -rf vendor/bundle; bundle install >&2; "+tt.script); got != tt.want {
					t.Errorf("%s: got %q, want %q", place, got, tt.want)
				}
			}
		})
	}
}

// rubyApplication makes the repositories o/app and o/gem, and returns the application's commit.
func rubyApplication(git *gitrepotest.Server) string {
	spec := func(name string) string {
		return "Gem::Specification.new { |s| s.name = '" + name + "'; s.version = '1.0'; s.summary = 'x'; s.authors = ['a'] }\n"
	}
	gem := git.Init("o/gem").Commit(map[string]string{"from_git.gemspec": spec("from_git"), "lib/from_git.rb": "puts 'from git'\n"})
	return git.Init("o/app").Commit(map[string]string{
		"Gemfile": "source 'https://rubygems.org'\ngem 'zeitwerk'\ngem 'from_git', git: 'https://github.com/o/gem'\ngem 'local', path: 'vendor/local'\n",
		"Gemfile.lock": "GIT\n  remote: https://github.com/o/gem\n  revision: " + gem + "\n  specs:\n    from_git (1.0)\n\n" +
			"PATH\n  remote: vendor/local\n  specs:\n    local (1.0)\n\n" +
			"GEM\n  remote: https://rubygems.org/\n  specs:\n    zeitwerk (2.6.0)\n\nPLATFORMS\n  ruby\n\n" +
			"DEPENDENCIES\n  from_git!\n  local!\n  zeitwerk\n\nBUNDLED WITH\n   2.3.15\n",
		"app.rb":                     "require 'zeitwerk'\nrequire 'from_git'\nrequire 'local'\n",
		"vendor/local/local.gemspec": spec("local"), "vendor/local/lib/local.rb": "puts 'local'\n",
	})
}
