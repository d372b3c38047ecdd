package rubygems

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/resolver/resolvertest"
)

// These tests ask the real Bundler and RubyGems what they make of the formats that are read and written here.

// askRuby runs a script that reads JSON from its standard input and prints JSON.
func askRuby(t *testing.T, script string, in, out any) {
	t.Helper()
	needTools(t)
	input, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "ruby", "-rjson", "-rbundler", "-rbundler/lockfile_parser", "-rbundler/yaml_serializer", "-e", script)
	var stderr strings.Builder
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "Gemfile"), nil, 0o644); err != nil { // Bundler wants to know where it is
		t.Fatal(err)
	}
	cmd.Dir, cmd.Stdin, cmd.Stderr = dir, bytes.NewReader(input), &stderr
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "LANG=C.UTF-8"}
	answer, err := cmd.Output()
	if err != nil {
		t.Fatalf("ruby: %v\n%s", err, stderr.String())
	}
	if err := json.Unmarshal(answer, out); err != nil {
		t.Fatalf("ruby printed %q: %v", answer, err)
	}
}

// TestLockfileAgainstBundler: what is accepted here means to Bundler what it means to us.
func TestLockfileAgainstBundler(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	texts, ours := map[string]string{}, map[string][]string{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		s, err := resolvertest.Parse(data, nil)
		if err != nil {
			t.Fatal(err)
		}
		for name, content := range s.Repo {
			lock, err := parseLockfile(bytes.NewReader(content))
			if !strings.HasSuffix(name, lockfileName) || err != nil {
				continue
			}
			if _, err := lock.check("https://rubygems.org/"); err != nil {
				continue
			}
			if list, ok := described(lock); ok {
				key := filepath.Base(file) + " " + name
				texts[key], ours[key] = string(content), list
			}
		}
	}
	if len(texts) < 20 {
		t.Fatalf("only %d lockfiles", len(texts))
	}
	var theirs map[string][]string
	askRuby(t, `
		answers = JSON.parse($stdin.read).transform_values do |text|
			parser = Bundler::LockfileParser.new(text)
			parser.specs.select { |s| s.platform == "ruby" }.map do |s|
				source = s.source
				from = case source
				when Bundler::Source::Git
					[source.uri, source.options["revision"], source.submodules ? "with submodules" : "plain", source.send(:app_cache_dirname)].join(" ")
				when Bundler::Source::Path then source.path.to_s
				when Bundler::Source::Rubygems then source.remotes.reverse.join(" ")
				end
				[s.name, s.version, from].join(" ")
			end.sort
		end
		puts JSON.generate(answers)`, texts, &theirs)
	if diff := cmp.Diff(ours, theirs); diff != "" {
		t.Errorf("(-ours +Bundler's):\n%s", diff)
	}
}

// described lists the gems of a lockfile that run anywhere; false for one with sections or lines that Bundler takes
// otherwise.
func described(l lockfile) ([]string, bool) {
	list := []string{}
	for _, src := range l.sources {
		from := strings.Join(src.remotes, " ")
		switch src.kind {
		case sectionGem, sectionPath:
		case sectionGit:
			revision, kind := src.options["revision"], "plain"
			if src.options["submodules"] == "true" {
				kind = "with submodules"
			}
			from += " " + revision + " " + kind + " " + cacheName(from, revision)
		default:
			return nil, false
		}
		for _, g := range src.specs {
			if g.version == "" {
				return nil, false
			}
			if g.platform == "" {
				list = append(list, g.name+" "+g.version+" "+from)
			}
		}
	}
	slices.Sort(list)
	return slices.Compact(list), true
}

// Names of the folders in Bundler's cache, for all kinds of URLs that are accepted.
func TestCacheNamesAgainstBundler(t *testing.T) {
	ours := map[string]string{}
	for _, remote := range []string{
		"https://github.com/RadPad/swagger-ui_rails.git", "https://github.com/o/r", "https://github.com/o/r/", "https://git.example:8443/o/r.git",
		"https://git.example:8443/o/", "https://h/r.git/", "https://h//o//r.rb.git", "https://me:secret@git.example/o/r.git", "https://me@git.example/o/r",
		"https://h/a-b/c.d/e~f+g@h", "https://git.example:8443/r", "https://h/o/.github.git", "https://h/o/r.git.git", "https://localhost/o/r",
	} {
		if _, err := shownRemote(remote); err != nil {
			t.Errorf("%s is not accepted: %v", remote, err)
		}
		ours[remote] = cacheName(remote, commit)
	}
	var theirs map[string]string
	askRuby(t, `puts JSON.generate(JSON.parse($stdin.read).to_h { |url, _| [url, Bundler::Source::Git.new("uri" => url, "revision" => "`+commit+`").send(:app_cache_dirname)] })`,
		ours, &theirs)
	if diff := cmp.Diff(theirs, ours); diff != "" {
		t.Errorf("(-Bundler's +ours):\n%s", diff)
	}
}

// Bundler reads the merged configuration as it is meant.
func TestConfigAgainstBundler(t *testing.T) {
	existing := map[string]string{
		"none":           "",
		"header alone":   "---\n",
		"kept":           "---\nBUNDLE_WITHOUT: \"test\"\nBUNDLE_PATH: \"vendor/gems\"\n",
		"replaced":       "---\nBUNDLE_FROZEN: \"false\"\nBUNDLE_WITHOUT: \"test\"\nBUNDLE_CACHE_PATH: \"x\"",
		"list replaced":  "---\nBUNDLE_FROZEN:\n- \"a\"\n- \"b\"\nBUNDLE_WITHOUT: \"test\"\n",
		"list kept":      "---\nBUNDLE_WITHOUT:\n- \"a\"\n- \"b\"\n",
		"Windows":        "---\r\nBUNDLE_WITHOUT: \"test\"\r\nBUNDLE_FROZEN: \"false\"\r\n",
		"single quotes":  "---\nBUNDLE_WITHOUT: 'test'\nBUNDLE_DEPLOYMENT: 'false'\n",
		"local override": "---\nBUNDLE_LOCAL__R: \"/home/me/r\"\nBUNDLE_WITHOUT: \"test\"\n",
	}
	ours, merged := map[string]map[string]any{}, map[string]string{}
	for name, text := range existing {
		content, _ := mergeConfig([]byte(text), settingsFor("a/b"), map[string]bool{localOverride("r"): true})
		merged[name] = string(content)
		want := map[string]any{
			"BUNDLE_ALLOW_OFFLINE_INSTALL": "true", "BUNDLE_CACHE_PATH": "../../../deps/rubygems/cache", "BUNDLE_DEPLOYMENT": "true",
			"BUNDLE_DISABLE_VERSION_CHECK": "true", "BUNDLE_FORCE_RUBY_PLATFORM": "true", "BUNDLE_FROZEN": "true", "BUNDLE_NO_PRUNE": "true", "BUNDLE_VERSION": "system",
		}
		switch name {
		case "none", "header alone":
		case "list kept":
			want["BUNDLE_WITHOUT"] = []any{"a", "b"}
		default:
			want["BUNDLE_WITHOUT"] = "test"
		}
		if name == "kept" {
			want["BUNDLE_PATH"] = "vendor/gems"
		}
		ours[name] = want
	}
	var theirs map[string]map[string]any
	askRuby(t, `puts JSON.generate(JSON.parse($stdin.read).transform_values { |text| Bundler::YAMLSerializer.load(text) })`, merged, &theirs)
	if diff := cmp.Diff(ours, theirs); diff != "" {
		t.Errorf("(-meant +read by Bundler):\n%s", diff)
	}
}

// Gems that RubyGems itself builds.
func TestMetadataOfGemBuild(t *testing.T) {
	needTools(t)
	dir := t.TempDir()
	for name, lines := range map[string]string{
		"plain":    "s.version = '1.0.0.pre.beta'\n",
		"native":   "s.version = '2.1'\ns.platform = Gem::Platform.new('x86_64-linux')\n",
		"thorough": "s.version = '3'\ns.description = \"first line\\nname: other\\nversion: none\\n\" * 300\ns.metadata = { 'name' => 'other' }\ns.add_dependency 'plain', '>= 1'\ns.required_ruby_version = '>= 2'\n",
	} {
		text := "Gem::Specification.new do |s|\ns.name = '" + name + "'\ns.summary = 'For tests'\ns.authors = ['A']\ns.files = []\n" + lines + "end\n"
		if err := os.WriteFile(filepath.Join(dir, name+".gemspec"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), "gem", "build", "--force", name+".gemspec")
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "HOME="+t.TempDir(), "LANG=C.UTF-8")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("gem build: %v\n%s", err, out)
		}
	}
	for file, want := range map[string]gemMetadata{
		"plain-1.0.0.pre.beta.gem":    {"plain", "1.0.0.pre.beta", "ruby"},
		"native-2.1-x86_64-linux.gem": {"native", "2.1", "x86_64-linux"},
		"thorough-3.gem":              {"thorough", "3", "ruby"},
	} {
		f, err := os.Open(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		got, err := readMetadata(f)
		if err != nil || got != want {
			t.Errorf("%s: got %+v (%v), want %+v", file, got, err, want)
		}
		f.Close()
	}
}
