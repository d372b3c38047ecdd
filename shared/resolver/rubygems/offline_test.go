package rubygems

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cachito-serverless/cachito/shared/fetch"
	"github.com/cachito-serverless/cachito/shared/gitrepo"
	"github.com/cachito-serverless/cachito/shared/gitrepo/gitrepotest"
	"github.com/cachito-serverless/cachito/shared/resolver"
	"github.com/cachito-serverless/cachito/shared/resolver/resolvertest"
	"github.com/cachito-serverless/cachito/shared/resolver/rubygems/rubygemstest"
)

// requireTools is the environment variable with which a missing tool is a failure: CI sets it.
const requireTools = "CACHITO_REQUIRE_TOOLS"

// needTools skips where the tools of an offline build are not installed.
func needTools(t *testing.T) {
	t.Helper()
	for _, tool := range []string{"ruby", "bundle", "unshare", "make", "cc"} {
		if _, err := exec.LookPath(tool); err == nil {
			continue
		}
		if os.Getenv(requireTools) != "" {
			t.Fatalf("%s is not installed, and %s is set", tool, requireTools)
		}
		t.Skipf("%s is not installed", tool)
	}
	if out, err := exec.CommandContext(t.Context(), "unshare", "-rn", "true").CombinedOutput(); err != nil {
		if os.Getenv(requireTools) != "" {
			t.Fatalf("unshare -rn: %v: %s", err, out)
		}
		t.Skipf("the network cannot be cut off here: unshare -rn: %v: %s", err, out)
	}
}

// gitServer is the resolver's way to a loopback git server.
type gitServer struct{ client *gitrepo.Client }

// newGitServer reaches srv as https://git.example/.
func newGitServer(t *testing.T, srv *gitrepotest.Server) gitServer {
	t.Helper()
	f, err := fetch.New(fetch.Settings{
		Mirrors:    []fetch.Mirror{{Prefix: "https://git.example/", Target: "http://" + srv.Host() + "/"}},
		AllowHosts: []string{srv.Host()},
	})
	if err != nil {
		t.Fatal(err)
	}
	client, err := gitrepo.New(gitrepo.Settings{Fetch: f})
	if err != nil {
		t.Fatal(err)
	}
	return gitServer{client}
}

func (g gitServer) Resolve(ctx context.Context, url, name string) (string, error) {
	return g.client.ResolveRef(ctx, url, name)
}

func (g gitServer) CheckOut(ctx context.Context, url, commit string, into *os.Root, options ...resolver.CheckOutOption) (resolver.Checkout, error) {
	req := gitrepo.Request{URL: url, Ref: commit, Submodules: len(options) > 0}
	info, err := g.client.Fetch(ctx, req, folder{into})
	return resolver.Checkout{CommitTime: info.CommitTime}, err
}

// folder is a gitrepo.TreeSink.
type folder struct{ *os.Root }

func (f folder) Dir(name string) error { return f.MkdirAll(name, 0o755) }

func (f folder) File(name string, mode fs.FileMode, _ int64, content io.Reader) error {
	data, err := io.ReadAll(content)
	if err != nil {
		return err
	}
	return errors.Join(f.MkdirAll(path.Dir(name), 0o755), f.WriteFile(name, data, mode))
}

func (f folder) Link(name, target string) error {
	return errors.Join(f.MkdirAll(path.Dir(name), 0o755), f.Symlink(target, name))
}

// offlineScenario is an application with gems of every kind: from the registry (one needs another, one is compiled), two of one
// git repository, one of a repository with a submodule, one in the repository itself and one beside the package. Each
// prints its name.
func offlineScenario(t *testing.T) (resolvertest.Scenario, *rubygemstest.Registry, gitServer) {
	t.Helper()
	registry := rubygemstest.NewRegistry(
		rubygemstest.Gem{Name: "toplevel", Version: "1.2.3", Needs: []string{"needed-one"}, Files: map[string]string{
			"lib/toplevel.rb": "require 'needed/one'\nputs 'toplevel'\n",
		}},
		rubygemstest.Gem{Name: "native", Version: "2.0", Extensions: []string{"ext/native/extconf.rb"}, Files: map[string]string{
			"ext/native/extconf.rb": "require 'mkmf'\ncreate_makefile('native/native')\n",
			"ext/native/native.c":   "#include <ruby.h>\nvoid Init_native(void) { rb_define_global_const(\"COMPILED\", rb_str_new_cstr(\"native\")); }\n",
			"lib/native.rb":         "require 'native/native'\nputs COMPILED\n",
		}},
		rubygemstest.Gem{Name: "needed-one", Version: "0.1.0.pre.2", Files: map[string]string{"lib/needed/one.rb": "puts 'needed-one'\n"}},
	)
	srv := gitrepotest.NewServer(t)
	shared := srv.Init("team/shared.rb")
	sharedCommit := shared.Commit(map[string]string{
		"first.gemspec":    gemspec("git_first"),
		"second.gemspec":   gemspec("git-second"),
		"lib/git_first.rb": "puts 'git_first ' + IO.popen([File.expand_path('../bin/tool', __dir__)], &:read)\n", "lib/git_second.rb": "puts 'git-second'\n",
		"bin/tool": "#!/bin/sh\nprintf 'by its tool'\n", "exe/git_first-run": "#!/usr/bin/env ruby\nputs 'the executable of git_first'\n",
	}, gitrepotest.Executable("bin/tool", "exe/git_first-run"), gitrepotest.Symlink("lib/git-second.rb", "git_second.rb"))
	inner := srv.Init("team/inner")
	innerCommit := inner.Commit(map[string]string{"inner.rb": "puts 'of the submodule'\n"})
	outer := srv.Init("team/outer")
	outerCommit := outer.Commit(map[string]string{
		"outer.gemspec": gemspec("outer"), "lib/outer.rb": "require_relative '../vendor/inner/inner'\nputs 'outer'\n",
		".gitmodules": "[submodule \"vendor/inner\"]\n\tpath = vendor/inner\n\turl = https://git.example/team/inner.git\n",
	}, gitrepotest.Gitlink("vendor/inner", innerCommit))
	s, err := resolvertest.Parse([]byte(`
-- request.json --
{"packages": [{"path": "."}, {"path": "sub/package"}]}
-- repo/Gemfile --
source "https://rubygems.org"
gem "native"
gem "toplevel"
gem "git_first", git: "https://git.example/team/shared.rb.git", branch: "main"
gem "git-second", git: "https://git.example/team/shared.rb.git", branch: "main"
gem "outer", git: "https://git.example/team/outer", submodules: true
gem "local", path: "vendor/local"
group(:test) { gem "unwanted" }
-- repo/Gemfile.lock --
GIT
  remote: https://git.example/team/outer
  revision: OUTER
  submodules: true
  specs:
    outer (1.0)

GIT
  remote: https://git.example/team/shared.rb.git
  revision: SHARED
  branch: main
  specs:
    git-second (1.0)
    git_first (1.0)

PATH
  remote: vendor/local
  specs:
    local (1.0)

GEM
  remote: https://rubygems.org/
  specs:
    native (2.0)
    needed-one (0.1.0.pre.2)
    toplevel (1.2.3)
      needed-one
    unwanted (1.0)

PLATFORMS
  ruby

DEPENDENCIES
  git-second!
  git_first!
  local!
  native
  outer!
  toplevel
  unwanted

BUNDLED WITH
   2.3.15
-- repo/.bundle/config --
---
BUNDLE_WITHOUT: "test"
BUNDLE_LOCAL__OUTER: "/home/me/outer"
BUNDLE_FROZEN: "false"
-- repo/app.rb --
require "toplevel"
require "git_first"
require "git-second"
require "outer"
require "local"
require "native"
abort "BUNDLE_WITHOUT is not kept" if Gem.loaded_specs["unwanted"]
-- repo/vendor/local/local.gemspec --
LOCALSPEC
-- repo/vendor/local/lib/local.rb --
puts "local"
-- repo/beside/beside.gemspec --
BESIDESPEC
-- repo/beside/lib/beside.rb --
puts "beside"
-- repo/sub/package/Gemfile --
source "https://rubygems.org"
gem "needed-one", "0.1.0.pre.2"
gem "beside", path: "../../beside"
-- repo/sub/package/Gemfile.lock --
PATH
  remote: ../../beside
  specs:
    beside (1.0)

GEM
  remote: https://rubygems.org/
  specs:
    needed-one (0.1.0.pre.2)

PLATFORMS
  ruby

DEPENDENCIES
  beside!
  needed-one (= 0.1.0.pre.2)

BUNDLED WITH
   2.3.15
-- repo/sub/package/app.rb --
require "needed/one"
require "beside"
`), map[string]string{"OUTER": outerCommit, "SHARED": strings.ToUpper(sharedCommit), "LOCALSPEC": gemspec("local"), "BESIDESPEC": gemspec("beside")})
	if err != nil {
		t.Fatal(err)
	}
	registry.Set("unwanted-1.0.gem", rubygemstest.Gem{Name: "unwanted", Version: "1.0"}.Build())
	return s, registry, newGitServer(t, srv)
}

// gemspec of a gem in a git repository. As most of them, it asks git for its files and executables.
func gemspec(name string) string {
	return fmt.Sprintf("Gem::Specification.new do |s|\n  s.name = %q\n  s.version = '1.0'\n  s.summary = 'For tests'\n  s.authors = ['A']\n"+
		"  s.files = Dir.chdir(__dir__) { `git ls-files -z` }.split(\"\\0\")\n  s.bindir = 'exe'\n"+
		"  s.executables = s.files.grep(%%r{\\Aexe/%s}) { |f| File.basename(f) }\nend\n", name, name)
}

// TestBundleInstallOffline: O06. The bundle, unpacked in two places, installs and runs without network.
func TestBundleInstallOffline(t *testing.T) {
	needTools(t)
	s, registry, git := offlineScenario(t)
	res := runWith(t, s, registry, git)
	if res.Err != nil {
		t.Fatal(res.Err)
	}
	for _, place := range []string{"one", "another place #2"} {
		t.Run(place, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), place, "bundle")
			res.Unpack(t, dir)
			for pkg, want := range map[string]string{
				".":           "needed-one\ntoplevel\ngit_first by its tool\ngit-second\nof the submodule\nouter\nlocal\nnative\n",
				"sub/package": "needed-one\nbeside\n",
			} {
				app := filepath.Join(dir, "app", pkg)
				offline(t, app, "bundle", "install")
				if got := offline(t, app, "bundle", "exec", "ruby", "app.rb"); got != want {
					t.Errorf("%s: got %q, want %q", pkg, got, want)
				}
			}
			if strings.Contains(place, " ") {
				return // RubyGems' own wrappers of executables do not work below such a folder
			}
			if got, want := offline(t, filepath.Join(dir, "app"), "bundle", "exec", "git_first-run"), "the executable of git_first\n"; got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

// offline runs a command without network, and with nothing of the user's.
func offline(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "unshare", append([]string{"-rn", name}, args...)...)
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "LANG=C.UTF-8", "BUNDLE_RETRY=0"}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, out, stderr.String())
	}
	return string(out)
}
