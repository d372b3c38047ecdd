package purl_test

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/cachito-serverless/cachito/shared/purl"
)

func TestEscape(t *testing.T) {
	for _, test := range []struct{ text, keep, want string }{
		{"", "", ""},
		{"AZaz09_.-~", "", "AZaz09_.-~"},
		{"a b+c", "", "a%20b%2Bc"},
		{"@scope/name", "/", "%40scope/name"},
		{"@scope/name", "", "%40scope%2Fname"},
		{"é%", "", "%C3%A9%25"},
		{"\x00\xff", "", "%00%FF"},
		{"!*'()$&,;=:#?[]", "", "%21%2A%27%28%29%24%26%2C%3B%3D%3A%23%3F%5B%5D"},
	} {
		if got := purl.Escape(test.text, test.keep); got != test.want {
			t.Errorf("Escape(%q, %q) = %s, want %s", test.text, test.keep, got, test.want)
		}
	}
}

func FuzzEscape(f *testing.F) {
	for _, seed := range []string{"", "a b", "@s/n", "é", "%41", "\x00\xff", "https://h/a?b=c#d"} {
		f.Add(seed, "")
		f.Add(seed, "/")
	}
	f.Fuzz(func(t *testing.T, text, keep string) {
		if keep != "" {
			keep = "/" // the only byte that purls keep
		}
		escaped := purl.Escape(text, keep)
		back, err := url.PathUnescape(escaped)
		if err != nil || back != text {
			t.Errorf("%q is escaped as %q and decoded as %q, %v", text, escaped, back, err)
		}
		for i := range len(escaped) {
			c := escaped[i]
			plain := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '.' || c == '-' || c == '~' || c == '%'
			if !plain && (keep == "" || c != '/') {
				t.Errorf("%q is escaped as %q, with a plain %q", text, escaped, c)
			}
		}
	})
}

func TestGolang(t *testing.T) {
	for _, test := range []struct{ name, version, want string }{
		{"github.com/Masterminds/semver", "v1.4.2", "pkg:golang/github.com%2FMasterminds%2Fsemver@v1.4.2"},
		{"github.com/Azure/x", "v1.0.0", "pkg:golang/github.com%2FAzure%2Fx@v1.0.0"}, // G74
		{"fmt", "", "pkg:golang/fmt"},
		{"a.org/x", "v1.0.0+incompatible", "pkg:golang/a.org%2Fx@v1.0.0+incompatible"},
	} {
		if got := purl.Golang(test.name, test.version); got != test.want {
			t.Errorf("Golang(%q, %q) = %s, want %s", test.name, test.version, got, test.want)
		}
	}
}

func TestVCS(t *testing.T) {
	for _, test := range []struct{ name, repo, want string }{
		{"GitHub in lower case", "https://github.com/Org/Repo.git", "pkg:github/org/repo@R"},
		{"without .git", "https://github.com/org/repo", "pkg:github/org/repo@R"},
		{"trailing slashes", "https://github.com/org/repo.git//", "pkg:github/org/repo@R"},
		{"user, port and case of the host vanish", "http://user:pass@GitHub.com:443/Org/Repo", "pkg:github/org/repo@R"},
		{"any scheme", "ssh://git@github.com/org/repo.git", "pkg:github/org/repo@R"},
		{"deeper paths are kept", "https://github.com/org/sub/Repo.git", "pkg:github/org/sub/repo@R"},
		{"only one .git is cut", "https://github.com/org/repo.git.git", "pkg:github/org/repo.git@R"},
		{"escapes are not touched", "https://github.com/org/a%20b", "pkg:github/org/a%20b@R"},
		{"Bitbucket", "https://bitbucket.org/A/b", "pkg:bitbucket/a/b@R"},
		{"GitLab", "https://gitlab.com/Q/A.git", "pkg:generic/the_Name?vcs_url=https%3A%2F%2Fgitlab.com%2FQ%2FA.git%40R"},
		{"trailing slash, other host", "https://h/a/", "pkg:generic/the_Name?vcs_url=https%3A%2F%2Fh%2Fa%40R"},
		{"user info on another host", "https://u:p@h/a", "pkg:generic/the_Name?vcs_url=https%3A%2F%2Fu%3Ap%40h%2Fa%40R"},
		{"host that only ends so", "https://notgithub.com/a/b", "pkg:generic/the_Name?vcs_url=https%3A%2F%2Fnotgithub.com%2Fa%2Fb%40R"},
		{"scp form", "git@github.com:a/b", "pkg:generic/the_Name?vcs_url=git%40github.com%3Aa%2Fb%40R"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got, err := purl.VCS("the_Name", test.repo, "R"); got != test.want || err != nil {
				t.Errorf("VCS(%q) = %s, %v, want %s", test.repo, got, err, test.want)
			}
		})
	}
}

func TestNormalizePyPI(t *testing.T) {
	for _, test := range []struct{ name, want string }{
		{"A__b..C", "a-b..c"}, {"requests_FOO bar", "requests-foo-bar"}, {"Aio_WSGI.x", "aio-wsgi.x"}, {"a-_-b", "a-b"}, {"_a_", "-a-"}, {"é1", "-1"}, {"", ""},
	} {
		if got := purl.NormalizePyPI(test.name); got != test.want {
			t.Errorf("NormalizePyPI(%q) = %q, want %q", test.name, got, test.want)
		}
	}
}

func TestErrors(t *testing.T) {
	version := "x://y"
	_, err := purl.NPM("yarn", "a", &version)
	var e *purl.Error
	if !errors.As(err, &e) || e.Message != "Unknown protocol in yarn package version: x://y" {
		t.Errorf("got %#v", err)
	}
	for name, make := range map[string]func(string, *string) (string, error){"PyPI": purl.PyPI, "Gem": purl.Gem, "Submodule": purl.Submodule} {
		version := "git+https://github.com/a/b" // no ref
		text, err := make("n", &version)
		if !errors.As(err, &e) || e.Message != "Could not convert version "+version+" to purl" || text != "" {
			t.Errorf("%s gives %q, %v", name, text, err)
		}
		if _, err := make("n", nil); !errors.As(err, &e) || e.Message != "Could not convert version None to purl" {
			t.Errorf("%s without a version gives %v", name, err)
		}
	}
	// A host with a purl type of its own needs a namespace.
	for _, repo := range []string{"https://github.com", "https://github.com/a", "https://bitbucket.org/a.git/"} {
		if text, err := purl.VCS("n", repo, "R"); !errors.As(err, &e) || e.Message != "Could not convert version "+repo+"@R to purl" || text != "" {
			t.Errorf("VCS(%q) = %q, %v", repo, text, err)
		}
	}
}

// The ref is behind the last @ that does not belong to the user's name.
func TestGitRequirement(t *testing.T) {
	for _, test := range []struct{ version, want string }{
		{"git+https://u:p@github.com:8/A/b.git@R#egg=x@y", "pkg:github/a/b@R"},
		{"git+https://h/a@b@R", "pkg:generic/n?vcs_url=https%3A%2F%2Fh%2Fa%40b%40R"},
		{"git+https://h/a?x=1@R", "pkg:generic/n?vcs_url=https%3A%2F%2Fh%2Fa%3Fx%3D1%40R"},
		{"git+https://h/a@R?x=1", "pkg:generic/n?vcs_url=https%3A%2F%2Fh%2Fa%40R%3Fx%3D1"},
		{"git+file:///a/b@R", "pkg:generic/n?vcs_url=file%3A%2F%2F%2Fa%2Fb%40R"},
		{"git+https://u@h/a", ""},
		{"git+https://u@h", ""},
		{"git+https://u@h?x=1", ""},
		{"git+https://h/a@", ""},
		{"git+https://github.com/a@R", ""},
		{"git+git@h:a/b@R", ""},
		{"git+", ""},
	} {
		for kind, make := range map[string]func(string, *string) (string, error){"PyPI": purl.PyPI, "Gem": purl.Gem} {
			if kind == "PyPI" && !strings.Contains(test.version, "://") {
				continue // no URL to pip, so a version of the index
			}
			got, err := make("n", &test.version)
			var e *purl.Error
			if got != test.want || (err == nil) != (test.want != "") || err != nil && !errors.As(err, &e) {
				t.Errorf("%s(%q) = %q, %v, want %q", kind, test.version, got, err, test.want)
			}
		}
	}
}
