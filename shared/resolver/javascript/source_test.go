package javascript

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/fault"
)

const someCommit = "97edff6f525f192a3f83cea1944765f769ae2678"

var public = Registry{Base: "https://registry.example/npm/", Hosts: []string{"registry.npmjs.org", "registry.yarnpkg.com"}}

// checkFault compares a fault with its type and message; an empty type: there must be none.
func checkFault(t *testing.T, err error, kind fault.Type, message string) {
	t.Helper()
	if kind == "" {
		if err != nil {
			t.Errorf("got %v", err)
		}
		return
	}
	if f := fault.From(err); f == nil || f.Type != kind || f.Message != message || f.Origin != fault.OriginClient {
		t.Errorf("got %v, want %s of the client: %s", err, kind, message)
	}
}

func TestClassify(t *testing.T) {
	for source, want := range map[string]Kind{
		"https://registry.npmjs.org/a/-/a-1.0.0.tgz":    FromRegistry,
		"http://REGISTRY.npmjs.org:8080/a":              FromRegistry,
		"https://registry.yarnpkg.com/a/-/a-1.tgz#0123": FromRegistry,
		"https://registry.npmjs.org.evil.example/a.tgz": FromURL,
		"https://x.test/?registry.npmjs.org":            FromURL,
		"https://registry.npmjs.org@x.test/a.tgz":       FromURL,
		"http://x.test/a.tgz":                           FromURL,
		"git://h/a.git#" + someCommit:                   FromGit,
		"git+http://h/a.git#" + someCommit:              FromGit,
		"git+https://h/a.git":                           FromGit,
		"git+ssh://git@h/a.git#" + someCommit:           FromGit,
		"github:ns/a#" + someCommit:                     FromGit,
		"gitlab:ns/a#" + someCommit:                     FromGit,
		"bitbucket:ns/a#" + someCommit:                  FromGit,
		"file:../a":                                     FromFile,
	} {
		if got, err := public.Classify("a", source); got != want || err != nil {
			t.Errorf("%s: got %d (%v), want %d", source, got, err, want)
		}
	}
	for _, source := range []string{"ssh://git@h/a.git#" + someCommit, "git@h:ns/a.git", "gist:1234", "a/b", "", "1.0.0", "git+file:///etc", "data:,x", "HTTPS://x.test/a", "GitHub:a/b"} {
		_, err := public.Classify("a", source)
		checkFault(t, err, fault.UnsupportedFeature, "The dependency a@"+source+" is hosted in an unsupported location")
	}
	_, err := public.Classify("a", "https://x.test/"+strings.Repeat("a", maxSourceBytes))
	checkFault(t, err, fault.InvalidFileFormat, "The source of the dependency a has 4111 bytes, the limit is 4096")
}

func TestParseGit(t *testing.T) {
	for _, test := range []struct {
		source string
		want   GitSource
	}{
		{"git+https://h/ns/r.git#" + someCommit, GitSource{URLs: []string{"https://h/ns/r.git"}}},
		{"git+https://user@h:8443/ns/r#" + someCommit, GitSource{URLs: []string{"https://user@h:8443/ns/r"}}},
		{"git+http://h/r#" + someCommit, GitSource{URLs: []string{"http://h/r"}}},
		{"git://h/r.git#" + someCommit, GitSource{URLs: []string{"git://h/r.git"}}},
		{"git+https://h/r#with#hash#" + someCommit, GitSource{URLs: []string{"https://h/r"}}},
		{"git+ssh://git@h/ns/r.git#" + someCommit, GitSource{URLs: []string{"https://git@h/ns/r.git", "ssh://git@h/ns/r.git"}}},
		{"git+ssh://git@h:2222/ns/r.git#" + someCommit, GitSource{URLs: []string{"https://git@h/ns/r.git", "ssh://git@h:2222/ns/r.git"}}},
		{"git+ssh://git@[::1]:2222/r#" + someCommit, GitSource{URLs: []string{"https://git@[::1]/r", "ssh://git@[::1]:2222/r"}}},
		{"git+ssh://git@h:ns/r.git#" + someCommit, GitSource{URLs: []string{"https://git@h/ns/r.git", "ssh://git@h/ns/r.git"}}},
		{"github:ns/r#" + someCommit, GitSource{URLs: []string{"https://git@github.com/ns/r.git", "ssh://git@github.com/ns/r.git"}, Forge: "github/ns/r"}},
		{"gitlab:ns/sub/r#" + someCommit, GitSource{URLs: []string{"https://git@gitlab.com/ns/sub/r.git", "ssh://git@gitlab.com/ns/sub/r.git"}, Forge: "gitlab/ns/sub/r"}},
		{"bitbucket:ns/r.git#" + someCommit, GitSource{URLs: []string{"https://git@bitbucket.org/ns/r.git", "ssh://git@bitbucket.org/ns/r.git"}, Forge: "bitbucket/ns/r.git"}},
		{"git+https://h/r#" + strings.ToUpper(someCommit), GitSource{URLs: []string{"https://h/r"}}},
	} {
		test.want.Text, test.want.Commit = test.source, someCommit
		got, err := ParseGit("a", test.source)
		if err != nil {
			t.Errorf("%s: %v", test.source, err)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.source, diff)
		}
	}
	for _, source := range []string{
		"git+https://h/r", "git+https://h/r#main", "git+https://h/r#" + someCommit[:39], "git+https://h/r#" + someCommit + "0", "git+https://h/r#semver:^1",
		"github:r#" + someCommit, "github:../r#" + someCommit, "github:ns/..#" + someCommit, "github:ns/r/../../x#" + someCommit, "github:user:secret@ns/r#" + someCommit,
		"github:ns/%2e%2e#" + someCommit, "github:ns//r#" + someCommit, "github:nѕ/r#" + someCommit, "git+https://#" + someCommit, "git+ssh://:?/x#" + someCommit, "git+ssh://git@:22/x#" + someCommit, "git+https://h\x7f/r#" + someCommit,
	} {
		_, err := ParseGit("w", source)
		checkFault(t, err, fault.InvalidFileFormat, "The url for the dependency w@"+strings.ReplaceAll(source, "user:secret", "xxxxx")+" was in an unexpected format (expected <git_url>#<commit_hash>)")
	}
}

// What is parsed can be used as it is: URLs without fragment, a someCommit, a folder that stays below its own.
func FuzzParseGit(f *testing.F) {
	for _, source := range []string{"git+https://h/r#", "git+ssh://git@h:ns/r.git#", "github:ns/r#", "gitlab:a/b/c#", "git://h:1/r?q#", "git+ssh://h:22:33/x#", "git+ssh://:?/x#", "git+ssh://[::1]:22/x#", "github:ns/r#x#"} {
		f.Add(source + someCommit)
	}
	f.Fuzz(func(t *testing.T, source string) {
		kind, err := public.Classify("a", source)
		if err != nil || kind != FromGit {
			return
		}
		git, err := ParseGit("a", source)
		if err != nil {
			if f := fault.From(err); f.Type != fault.InvalidFileFormat {
				t.Errorf("%q: %v", source, err)
			}
			return
		}
		if git.Text != source || len(git.URLs) == 0 || len(git.URLs) > 2 || !commitPattern.MatchString(git.Commit) || git.Commit != strings.ToLower(git.Commit) {
			t.Errorf("%q: got %+v", source, git)
		}
		for _, u := range git.URLs {
			if strings.Contains(u, "#") || !strings.Contains(u, "://") {
				t.Errorf("%q: the URL is %q", source, u)
			}
		}
		for segment := range strings.SplitSeq(git.Forge, "/") {
			if git.Forge != "" && (segment == "" || segment == "." || segment == "..") {
				t.Errorf("%q: the folder is %q", source, git.Forge)
			}
		}
	})
}
