package rubygems

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/packages"
	"github.com/cachito-serverless/cachito/shared/resolver"
	"github.com/cachito-serverless/cachito/shared/resolver/resolvertest"
	"github.com/cachito-serverless/cachito/shared/resolver/rubygems/rubygemstest"
)

// lockfileOf is a scenario with one lockfile of these sections, PLATFORMS added.
func lockfileOf(sections ...string) resolvertest.Scenario {
	return resolvertest.Scenario{
		Request:  resolvertest.Request{URL: "https://github.com/Org/Repo.git", Ref: resolvertest.Ref, CommitTime: resolvertest.CommitTime},
		Repo:     map[string][]byte{lockfileName: []byte(strings.Join(append(sections, "PLATFORMS\n  ruby\n"), "\n"))},
		Registry: map[string][]byte{},
	}
}

func registrySection(gems ...string) string {
	return "GEM\n  remote: https://rubygems.org/\n  specs:\n    " + strings.Join(gems, "\n    ") + "\n"
}

func gitSection(remote, revision string, gems ...string) string {
	return "GIT\n  remote: " + remote + "\n  revision: " + revision + "\n  specs:\n    " + strings.Join(gems, "\n    ") + "\n"
}

const commit = "7234e21e621b628d6b43194f9ba5cce5ca587f16"

// mustFail wants a fault of the client, and gives its text.
func mustFail(t *testing.T, res resolvertest.Result, kind fault.Type) string {
	t.Helper()
	f := fault.From(res.Err)
	if f == nil || f.Origin != fault.OriginClient || f.Type != kind {
		t.Fatalf("got %v, want %s of the client", res.Err, kind)
	}
	return f.Message
}

func TestPURLs(t *testing.T) {
	const self = "pkg:github/org/repo@" + resolvertest.Ref
	tests := []struct{ name, path, version, want string }{
		{"G01 gem", "", "2.6.0", "pkg:gem/x@2.6.0"},
		{"G05 git gem", "", "git+https://github.com/RadPad/swagger-ui_rails.git@" + commit, "pkg:github/radpad/swagger-ui_rails@" + commit},
		{"git gem of another host", "", "git+https://git.example:8443/o/R.git@" + commit, "pkg:generic/x?vcs_url=https%3A%2F%2Fgit.example%3A8443%2Fo%2FR.git%40" + commit},
		{"G08 gem in the repository", "first_pkg", "./vendor/pathgem", self + "#first_pkg/vendor/pathgem"},
		{"gem in the repository, package at the root", "", "./vendor/pathgem", self + "#vendor/pathgem"},
		{"G09 gem beside the package", "package", "../local/z", self + "#local/z"},
		{"gem above the package", "package", "..", self},
		{"gem that is the package", "package", "./", self + "#package"},
		{"gem that is the repository", "", "./", self},
		{"hidden folder", "", "./.hidden", self + "#.hidden"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			owner := packages.Package{Name: "Repo", Type: Name, Path: tt.path}
			got, err := Rules()[0].DependencyPURL(packages.Context{Repo: "https://github.com/Org/Repo.git", Ref: resolvertest.Ref}, owner,
				packages.Dependency{Name: "x", Type: Name, Version: &tt.version})
			if err != nil || got != tt.want {
				t.Errorf("got %s (%v), want %s", got, err, tt.want)
			}
		})
	}
}

// The purls that upstream's own cases expect, of what the scenarios of their names lead to.
func TestUpstreamsPURLs(t *testing.T) {
	const multiple, withDeps = "pkg:github/cachito-testing/cachito-rubygems-multiple@", "pkg:github/cachito-testing/cachito-rubygems-with-dependencies@"
	for name, want := range map[string][]string{
		"rubygems_multiple": {
			multiple + resolvertest.Ref + "#first_pkg", multiple + resolvertest.Ref + "#first_pkg/vendor/pathgem",
			multiple + resolvertest.Ref + "#second_pkg", "pkg:gem/tilt@2.0.11",
		},
		"rubygems_with_deps": {
			withDeps + resolvertest.Ref, "pkg:gem/zeitwerk@2.6.0", "pkg:github/radpad/swagger-ui_rails@" + commit, withDeps + resolvertest.Ref + "#vendor/pathgem",
		},
	} {
		t.Run(name, func(t *testing.T) {
			data, err := os.ReadFile(filepath.Join("testdata", name+".txtar"))
			if err != nil {
				t.Fatal(err)
			}
			s, err := resolvertest.Parse(data, nil)
			if err != nil {
				t.Fatal(err)
			}
			out := runScenario(t, s).Output
			c := packages.Context{Repo: s.Request.URL, Ref: s.Request.Ref, Packages: out.Packages}
			var got []string
			for _, p := range out.Packages {
				text, err := Rules()[0].PackagePURL(c, p)
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, text)
				for _, d := range p.Dependencies {
					if text, err = Rules()[0].DependencyPURL(c, p, d); err != nil {
						t.Fatal(err)
					}
					got = append(got, text)
				}
			}
			slices.Sort(got)
			slices.Sort(want)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// Two lockfiles lock one gem, one with its checksum: it is fetched once and verified.
func TestGemOfTwoPackages(t *testing.T) {
	gem := rubygemstest.Gem{Name: "a", Version: "1.0"}
	registry := rubygemstest.NewRegistry(gem, rubygemstest.Gem{Name: "b", Version: "2"})
	first, second := lockfileOf(registrySection("a (1.0)", "b (2)")), lockfileOf(registrySection("a (1.0)"), "CHECKSUMS\n  a (1.0) sha256=DIGITS\n")
	run := func(sum string) resolvertest.Result {
		s := first
		s.Request.Packages = json.RawMessage(`[{"path": "one"}, {"path": "two"}]`)
		s.Repo = map[string][]byte{
			"one/Gemfile.lock": first.Repo[lockfileName],
			"two/Gemfile.lock": []byte(strings.ReplaceAll(string(second.Repo[lockfileName]), "DIGITS", sum)),
		}
		return runWith(t, s, registry, nil)
	}
	if got, want := mustFail(t, run(strings.Repeat("ab", 32)), fault.InvalidChecksum), "gem a 1.0 (one/Gemfile.lock)"; !strings.HasPrefix(got, want) {
		t.Errorf("got %q, want %q...", got, want)
	}
	asked := len(registry.Asked())
	res := run(sum256(gem.Build()))
	if res.Err != nil {
		t.Fatal(res.Err)
	}
	if got := registry.Asked()[asked:]; len(got) != 2 {
		t.Errorf("asked for %v, want each gem once", got)
	}
	if diff := cmp.Diff([]string{"pkg:gem/b@2"}, res.Output.Unverified); diff != "" {
		t.Errorf("unverified (-want +got):\n%s", diff)
	}
	want := map[string][]string{"pkg:gem/a@1.0": {sum256(gem.Build())}, "pkg:gem/b@2": {sum256(rubygemstest.Gem{Name: "b", Version: "2"}.Build())}}
	if diff := cmp.Diff(want, res.Output.Checksums); diff != "" {
		t.Errorf("checksums (-want +got):\n%s", diff)
	}
	if n := len(res.Progress); n != 3 || res.Progress[0].Total != 2 || res.Progress[n-1].Done != 2 || res.Progress[n-1].Total != 2 {
		t.Errorf("progress: %+v, want two of two", res.Progress)
	}
}

// credentialed is a git host that wants to see the user info.
type credentialed struct{ gitHost }

func (h credentialed) CheckOut(ctx context.Context, url, commit string, into *os.Root, options ...resolver.CheckOutOption) (resolver.Checkout, error) {
	if url != "https://me:secret@git.example/r.git" {
		return resolver.Checkout{}, fmt.Errorf("asked for %s", url)
	}
	out, err := h.gitHost.CheckOut(ctx, "https://git.example/r.git", commit, into, options...)
	out.Removed = []string{"lib/outside"}
	return out, err
}

func TestUserInfoIsShownNowhere(t *testing.T) {
	host := credentialed{gitHost{"https://git.example/r.git@" + commit: {"f": "text"}}}
	res := runWith(t, lockfileOf(gitSection("https://me:secret@git.example/r.git", commit, "r (1.0)")), http.NotFoundHandler(), host)
	if res.Err != nil {
		t.Fatal(res.Err)
	}
	all, err := json.Marshal(res.Output)
	if err != nil {
		t.Fatal(err)
	}
	if text := string(all) + res.Log; strings.Contains(text, "secret") || !strings.Contains(text, "git+https://git.example/r.git@"+commit) {
		t.Errorf("the secret is in %s", text)
	}
	if !strings.Contains(res.Log, "Links that lead out of a git gem's repository are left out") || !strings.Contains(res.Log, "lib/outside") {
		t.Errorf("the log says nothing of the links left out:\n%s", res.Log)
	}
	failing := runWith(t, lockfileOf(gitSection("https://me:secret@git.example/r.git", strings.Repeat("0", 40), "r (1.0)")), http.NotFoundHandler(), host)
	if failing.Err == nil || strings.Contains(failing.Err.Error(), "secret") {
		t.Errorf("got %v, want an error without the secret", failing.Err)
	}
}

// The same input gives the same output.
func TestOutputIsDeterministic(t *testing.T) {
	s := lockfileOf(registrySection("b (1.0)", "a (1.0)"), gitSection("https://git.example/r.git", commit, "r (1.0)", "q (1.0)"))
	git := gitHost{"https://git.example/r.git@" + commit: {}}
	for i := range 50 {
		git["https://git.example/r.git@"+commit][fmt.Sprintf("f%d/%d", i%7, i)] = strings.Repeat("x", i)
	}
	var outputs []string
	for range 2 {
		res := runWith(t, s, rubygemstest.NewRegistry(rubygemstest.Gem{Name: "a", Version: "1.0"}, rubygemstest.Gem{Name: "b", Version: "1.0"}), git)
		if res.Err != nil {
			t.Fatal(res.Err)
		}
		text, err := json.Marshal(res.Output)
		if err != nil {
			t.Fatal(err)
		}
		outputs = append(outputs, string(text))
	}
	if outputs[0] != outputs[1] {
		t.Errorf("(-first +second):\n%s", cmp.Diff(outputs[0], outputs[1]))
	}
}

func TestCancelledRunEndsAtOnce(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	blocked := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	})
	s := lockfileOf(registrySection("a (1.0)"))
	res := s.RunContext(ctx, t, newResolver(t), resolvertest.NewFetcher(t, map[string]http.Handler{gemHost: blocked}))
	if !errors.Is(res.Err, context.Canceled) {
		t.Errorf("got %v, want the context's error", res.Err)
	}
}

func TestLockfileLimits(t *testing.T) {
	t.Run("a lockfile of 100 MB", func(t *testing.T) {
		s := lockfileOf()
		s.Repo[lockfileName] = append(s.Repo[lockfileName], make([]byte, 100<<20)...)
		want := fmt.Sprintf("Gemfile.lock has %d bytes; the limit is 16777216", len(s.Repo[lockfileName]))
		if got := mustFail(t, runWith(t, s, nil, nil), fault.UnsupportedFeature); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
	t.Run("a line of 1 MB", func(t *testing.T) {
		got := mustFail(t, runWith(t, lockfileOf(registrySection("a ("+strings.Repeat("1", 1<<20)+")")), nil, nil), fault.InvalidFileFormat)
		if want := "The lock file Gemfile.lock has an unexpected format (line 4: it is longer than 65536 bytes)"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
	t.Run("too many gems", func(t *testing.T) {
		gems := make([]string, MaxGems+1)
		for i := range gems {
			gems[i] = fmt.Sprintf("g%d (1.0)", i)
		}
		got := mustFail(t, runWith(t, lockfileOf(registrySection(gems...)), nil, nil), fault.InvalidFileFormat)
		if want := "The lock file Gemfile.lock has an unexpected format (line 20004: more than 20000 gems)"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
	t.Run("the largest lockfile takes little memory", func(t *testing.T) {
		text := registrySection("a (1.0)") + strings.Repeat("      need (>= 1.0)\n", MaxLockfileBytes/20)
		runtime.GC()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		lock, err := parseLockfile(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		if held := int64(after.HeapAlloc) - int64(before.HeapAlloc); held > 4<<20 {
			t.Errorf("a lockfile of %d bytes with one gem holds %d bytes", len(text), held)
		}
		runtime.KeepAlive(lock)
	})
}

func TestSettings(t *testing.T) {
	for name, values := range map[string]map[string]string{
		"none":           nil,
		"no slash":       {"url": "https://gems.example", "remote": "https://rubygems.org/"},
		"no URL":         {"url": "gems/", "remote": "https://rubygems.org/"},
		"no remote":      {"url": "https://gems.example/"},
		"not parseable":  {"url": "https://gems.example/", "remote": "https://a b/"},
		"remote: no URL": {"url": "https://gems.example/", "remote": "/"},
	} {
		if r, err := New(resolver.Settings{Values: values}); err == nil {
			t.Errorf("%s: got %v, want an error", name, r)
		}
	}
}

func TestOptions(t *testing.T) {
	tests := []struct {
		name, options string
		want          []string
	}{
		{"none", ``, []string{"."}},
		{"an empty list", `[]`, []string{"."}},
		{"an empty path", `[{"path": ""}]`, []string{"."}},
		{"paths", `[{"path": "a/./b"}, {"path": "."}, {"path": "c/"}]`, []string{"a/b", ".", "c"}},
	}
	for _, tt := range tests {
		if got, err := resolver.OptionPaths(Name, json.RawMessage(tt.options), "."); err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %v (%v), want %v", tt.name, got, err, tt.want)
		}
	}
	for _, bad := range []string{`{}`, `[{"path": 1}]`, `[{"path": "../a"}]`, `[{"path": "/a"}]`} {
		if got, err := resolver.OptionPaths(Name, json.RawMessage(bad), "."); !fault.IsClient(err) {
			t.Errorf("%s: got %v (%v), want a fault of the client", bad, got, err)
		}
	}
}

func TestRepositoryName(t *testing.T) {
	for repo, want := range map[string]string{
		"https://github.com/Org/Repo.git": "Repo", "https://github.com/Org/Repo": "Repo", "https://h/a/b.git/": "b", "git@host:o/r.git": "r", "git@host:r.git": "r",
	} {
		if got := repositoryName(repo); got != want {
			t.Errorf("%s: got %s, want %s", repo, got, want)
		}
	}
}

func TestLocalOverride(t *testing.T) {
	for gem, want := range map[string]string{"json-schema.rb": "BUNDLE_LOCAL__JSON___SCHEMA__RB", "rack": "BUNDLE_LOCAL__RACK", "a_b": "BUNDLE_LOCAL__A_B"} {
		t.Run("G15 "+gem, func(t *testing.T) {
			if got := localOverride(gem); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}

func TestSomeOf(t *testing.T) {
	list := strings.Split(strings.Repeat("x", 25), "")
	if got := someOf(list); len(got) != 21 || got[20] != "and 5 more" || len(someOf(list[:20])) != 20 {
		t.Errorf("got %v", got)
	}
}

func TestDescriptor(t *testing.T) {
	d := Descriptor()
	if d.Name != "rubygems" || d.Rank != 40 || d.Version == "" || d.New == nil || d.RefusesReplacements != "RubyGems" {
		t.Errorf("got %+v", d)
	}
	if !d.Detect(map[string]bool{"Gemfile.lock": true}) || d.Detect(map[string]bool{"Gemfile": true}) {
		t.Error("a Gemfile.lock is what makes it work")
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
