package purl_test

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/purl"
)

// spellings are purls with what they say. Printed is the specification's spelling, "" when it is the same.
var spellings = []struct {
	name, text string
	want       purl.PURL
	printed    string
}{
	{"least", "pkg:generic/n", purl.PURL{Type: "generic", Name: "n"}, ""},
	{"everything", "pkg:npm/%40s/n@1.0?a=b&c=d#e/f", purl.PURL{
		Type: "npm", Namespace: "@s", Name: "n", Version: "1.0", Subpath: "e/f",
		Qualifiers: map[string]string{"a": "b", "c": "d"},
	}, ""},
	{"Go module as Cachito writes it", "pkg:golang/golang.org%2Fx%2Ftext@v0.3.0", purl.PURL{Type: "golang", Name: "golang.org/x/text", Version: "v0.3.0"}, ""},
	{"Go module as the specification has it", "pkg:golang/golang.org/x/text@v0.3.0", purl.PURL{Type: "golang", Namespace: "golang.org/x", Name: "text", Version: "v0.3.0"}, ""},
	{"plus in a version", "pkg:golang/m@v2.0.0+incompatible", purl.PURL{Type: "golang", Name: "m", Version: "v2.0.0+incompatible"}, "pkg:golang/m@v2.0.0%2Bincompatible"},
	{"directory of a Go module", "pkg:golang/m@v1#staging/x", purl.PURL{Type: "golang", Name: "m", Version: "v1", Subpath: "staging/x"}, ""},
	{"the Go module itself", "pkg:golang/m@v1#.", purl.PURL{Type: "golang", Name: "m", Version: "v1"}, "pkg:golang/m@v1"},
	{"package in a repository", "pkg:github/org/repo@R#sub/dir", purl.PURL{Type: "github", Namespace: "org", Name: "repo", Version: "R", Subpath: "sub/dir"}, ""},
	{"deep namespace", "pkg:gitlab/deep/nested/repo/sm@abc", purl.PURL{Type: "gitlab", Namespace: "deep/nested/repo", Name: "sm", Version: "abc"}, ""},
	{"repository elsewhere", "pkg:generic/n?vcs_url=https%3A%2F%2Fh%2Fa.git%40R#sub", purl.PURL{
		Type: "generic", Name: "n", Subpath: "sub", Qualifiers: map[string]string{"vcs_url": "https://h/a.git@R"},
	}, "pkg:generic/n?vcs_url=https://h/a.git%40R#sub"},
	{"download with checksum", "pkg:generic/op?download_url=https%3A%2F%2Fh%2Fx%23egg%3Dop&checksum=sha256:ab", purl.PURL{
		Type: "generic", Name: "op", Qualifiers: map[string]string{"download_url": "https://h/x#egg=op", "checksum": "sha256:ab"},
	}, "pkg:generic/op?checksum=sha256:ab&download_url=https://h/x%23egg%3Dop"},
	{"letter case of type and keys", "pkg:NPM/N@V?K=V", purl.PURL{Type: "npm", Name: "N", Version: "V", Qualifiers: map[string]string{"k": "V"}}, "pkg:npm/N@V?k=V"},
	{"slashes that mean nothing", "pkg://npm//a//n/@1?#/x//./y/../", purl.PURL{Type: "npm", Namespace: "a", Name: "n", Version: "1", Subpath: "x/y"}, "pkg:npm/a/n@1#x/y"},
	{"empty qualifiers are none", "pkg:npm/n?a=&b&c=1", purl.PURL{Type: "npm", Name: "n", Qualifiers: map[string]string{"c": "1"}}, "pkg:npm/n?c=1"},
	{"an equals sign in a value", "pkg:npm/n?a=b=c", purl.PURL{Type: "npm", Name: "n", Qualifiers: map[string]string{"a": "b=c"}}, "pkg:npm/n?a=b%3Dc"},
	{"an escaped @ is of the name", "pkg:npm/a%40b", purl.PURL{Type: "npm", Name: "a@b"}, ""},
	{"not ASCII", "pkg:npm/%C3%A9@%E6%BC%A2", purl.PURL{Type: "npm", Name: "é", Version: "漢"}, ""},
}

func TestParse(t *testing.T) {
	for _, test := range spellings {
		t.Run(test.name, func(t *testing.T) {
			got, err := purl.Parse(test.text)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			want := test.printed
			if want == "" {
				want = test.text
			}
			if got.String() != want {
				t.Errorf("printed as %s, want %s", got, want)
			}
		})
	}
}

func TestParseErrors(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"empty", "", `purl "" does not begin with pkg:`},
		{"other scheme", "http://h/n", `purl "http://h/n" does not begin with pkg:`},
		{"nothing behind the scheme", "pkg:", `purl "pkg:": type "" is not letters, digits, "." and "-"`},
		{"type with other characters", "pkg:a_b/n", `purl "pkg:a_b/n": type "a_b" is not letters, digits, "." and "-"`},
		{"type begins with a digit", "pkg:3d/n", `type "3d" is not letters`},
		{"no name", "pkg:npm", `purl "pkg:npm" has no name`},
		{"no name before the version", "pkg:npm/@1", `purl "pkg:npm/@1" has no name`},
		{"scope not escaped", "pkg:npm/@s/n", `purl "pkg:npm/@s/n" has no name`},
		{"broken escape in the name", "pkg:npm/%4", `purl "pkg:npm/%4": name: invalid URL escape "%4"`},
		{"broken escape in the namespace", "pkg:npm/%zz/n", `namespace: invalid URL escape "%zz"`},
		{"broken escape in the version", "pkg:npm/n@%", `version: invalid URL escape "%"`},
		{"broken escape in a qualifier", "pkg:npm/n?a=%", `qualifier a: invalid URL escape "%"`},
		{"broken escape in the subpath", "pkg:npm/n#%", `subpath: invalid URL escape "%"`},
		{"slash in a segment of the namespace", "pkg:npm/a%2Fb/n", `namespace: the segment "a%2Fb" holds a "/"`},
		{"slash in a segment of the subpath", "pkg:npm/n#a%2Fb", `subpath: the segment "a%2Fb" holds a "/"`},
		{"key with other characters", "pkg:npm/n?a%20=b", `the qualifier "a%20" is not letters`},
		{"no key", "pkg:npm/n?=b", `the qualifier "" is not letters`},
		{"a key twice", "pkg:npm/n?a=1&A=2", `purl "pkg:npm/n?a=1&A=2": the qualifier a is there twice`},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := purl.Parse(test.text)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want an error with %q", err, test.want)
			}
			if diff := cmp.Diff(purl.PURL{}, got); diff != "" {
				t.Errorf("with an error (-want +got):\n%s", diff)
			}
		})
	}
}

// FuzzParse holds that what is read, printed and read again is the same, and says nothing that the
// text does not hold.
func FuzzParse(f *testing.F) {
	for _, s := range spellings {
		f.Add(s.text)
	}
	for _, seed := range []string{"", "pkg:", "pkg:npm/@s/n", "pkg:npm/n?a=%", "pkg:npm/n#../..", "pkg:a/%2F", "pkg:a/b@@c", "pkg:a/b?c=d?e=f#g#h", "pkg:a/./..@1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := purl.Parse(text)
		if err != nil {
			if diff := cmp.Diff(purl.PURL{}, p); diff != "" {
				t.Errorf("%q: with an error (-want +got):\n%s", text, diff)
			}
			return
		}
		printed := p.String()
		back, err := purl.Parse(printed)
		if err != nil {
			t.Fatalf("%q is printed as %q, which does not parse: %v", text, printed, err)
		}
		if diff := cmp.Diff(p, back); diff != "" {
			t.Errorf("%q is printed as %q, which reads otherwise (-want +got):\n%s", text, printed, diff)
		}
		if again := back.String(); again != printed {
			t.Errorf("%q is printed as %q and then as %q", text, printed, again)
		}
		size := len(p.Type) + len(p.Namespace) + len(p.Name) + len(p.Version) + len(p.Subpath)
		for key, value := range p.Qualifiers {
			size += len(key) + len(value)
			if value == "" {
				t.Errorf("%q: the qualifier %s is empty", text, key)
			}
		}
		if size > len(text) {
			t.Errorf("%q: %d bytes are read out of %d", text, size, len(text))
		}
		for _, segment := range strings.Split(p.Subpath, "/") {
			if segment == "." || segment == ".." || segment == "" && p.Subpath != "" {
				t.Errorf("%q: subpath %q has the segment %q", text, p.Subpath, segment)
			}
		}
		if p.Type == "" || p.Name == "" || strings.ToLower(p.Type) != p.Type {
			t.Errorf("%q: type %q, name %q", text, p.Type, p.Name)
		}
	})
}

// FuzzMake holds that whatever a lockfile says, there is a purl of its name or an *purl.Error, and that
// well-formed names come back out of it.
func FuzzMake(f *testing.F) {
	for _, version := range []string{
		"1.0", "", ":", "://", "#", "@", "file:./a b", "file:///abs/f?x#y", "github:a/b#c", "github:a/b", "workspace:*", "git://h/a#c", "git+ssh://u@h/a@c#d",
		"https://x/y.tgz?z=1#h", "unknown://x", "git+https://github.com/quay/appr@abc#egg=a", "git+https://github.com/a@b", "git+https://u@h", "git+x",
		"https://h/x.zip#egg=x&cachito_hash=sha256:ab", "https://github.com/Org/Tour.git#abc", "https://[::1]:8/a/b#c", "https://github.com:x/a/b.git//#c",
	} {
		f.Add("name", version)
		f.Add("@s/n", version)
	}
	f.Fuzz(func(t *testing.T, name, version string) {
		made := map[string]string{}
		record := func(kind, text string, err error) {
			if err == nil {
				made[kind] = text
				return
			}
			if text != "" {
				t.Errorf("%s: %q with the error %v", kind, text, err)
			}
			var e *purl.Error
			if !errors.As(err, &e) || !strings.Contains(e.Message, version) {
				t.Errorf("%s: the error %#v does not name the version %q", kind, err, version)
			}
		}
		text, err := purl.NPM("npm", name, &version)
		record("NPM", text, err)
		text, err = purl.PyPI(name, &version)
		record("PyPI", text, err)
		text, err = purl.Gem(name, &version)
		record("Gem", text, err)
		text, err = purl.Submodule(name, &version)
		record("Submodule", text, err)
		text, err = purl.VCS(name, version, "R")
		record("VCS", text, err)
		record("Golang", purl.Golang(name, version), nil)
		for _, kind := range slices.Sorted(maps.Keys(made)) {
			if !strings.HasPrefix(made[kind], "pkg:") {
				t.Errorf("%s of %q %q is %q", kind, name, version, made[kind])
			}
		}
		if name == "" || version == "" || plain(name) != name || plain(version) != version {
			return
		}
		// A version of a registry is what stands behind the name.
		for kind, want := range map[string]purl.PURL{
			"NPM": {Type: "npm", Name: name, Version: version}, "Golang": {Type: "golang", Name: name, Version: version},
			"PyPI": {Type: "pypi", Name: purl.NormalizePyPI(name), Version: version},
		} {
			got, err := purl.Parse(made[kind])
			if err != nil {
				t.Errorf("%s of %q %q is %q: %v", kind, name, version, made[kind], err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s of %q %q is %q (-want +got):\n%s", kind, name, version, made[kind], diff)
			}
		}
	})
}

// plain is text without what has a meaning in purls and versions.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_", r) {
			return r
		}
		return -1
	}, text)
}
