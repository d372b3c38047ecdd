package pnpm

import "testing"

func TestKeys(t *testing.T) {
	for _, test := range []struct{ key, bare, name, version string }{
		{"a@1.0.0", "a@1.0.0", "a", "1.0.0"},
		{"@s/a@1.0.0", "@s/a@1.0.0", "@s/a", "1.0.0"},
		{"a@1.0.0(b@2.0.0)", "a@1.0.0", "a", "1.0.0"},
		{"a@1.0.0(b@2.0.0(c@3.0.0))(patch_hash=x)", "a@1.0.0", "a", "1.0.0"},
		{"a@https://h/a.tgz(b@1.0.0)", "a@https://h/a.tgz", "a", "https://h/a.tgz"},
		{"a@file:x(1)/y", "a@file:x(1)/y", "a", "file:x(1)/y"},
		{"a@git+ssh://git@h/r.git#c", "a@git+ssh://git@h/r.git#c", "a", "git+ssh://git@h/r.git#c"},
		{"/a@1.0.0", "/a@1.0.0", "a", "1.0.0"},
		{"/@s/a@1.0.0(b@1.0.0)", "/@s/a@1.0.0", "@s/a", "1.0.0"},
		{"file:x", "file:x", "", "file:x"},
		{"file:x@1/y", "file:x@1/y", "", "file:x@1/y"},
		{"@x.test/u.tgz", "@x.test/u.tgz", "", "@x.test/u.tgz"},
		{"github.com/o/r@x/y", "github.com/o/r@x/y", "", "github.com/o/r@x/y"},
		{"(b)", "(b)", "", "(b)"},
		{"a)", "a)", "", "a)"},
		{"@", "@", "", "@"},
		{"", "", "", ""},
	} {
		bare := withoutPeers(test.key)
		name, version := splitKey(bare)
		if bare != test.bare || name != test.name || version != test.version {
			t.Errorf("%q: got %q, %q, %q, want %q, %q, %q", test.key, bare, name, version, test.bare, test.name, test.version)
		}
	}
	for _, test := range []struct {
		name, ref string
		old       bool
		want      string
	}{
		{"a", "1.0.0", false, "a@1.0.0"},
		{"a", "1.0.0(b@2.0.0)", false, "a@1.0.0"},
		{"a", "b@1.0.0(a@2.0.0)", false, "b@1.0.0"},
		{"a", "@s/b@1.0.0", false, "@s/b@1.0.0"},
		{"a", "link:../b", false, ""},
		{"a", "file:b", false, "a@file:b"},
		{"a", "https://u@h/a.tgz", false, "a@https://u@h/a.tgz"},
		{"a", "git+ssh://git@h/r.git#c", false, "a@git+ssh://git@h/r.git#c"},
		{"a", "1.0.0", true, "/a@1.0.0"},
		{"a", "1.0.0(@s/b@2.0.0)", true, "/a@1.0.0"},
		{"a", "/b@1.0.0", true, "/b@1.0.0"},
		{"a", "file:b", true, "file:b"},
		{"a", "link:b", true, ""},
		{"a", "@x.test/u.tgz", true, "@x.test/u.tgz"},
	} {
		if got := refKey(test.name, test.ref, test.old); got != test.want {
			t.Errorf("%s: %s (old %v): got %q, want %q", test.name, test.ref, test.old, got, test.want)
		}
	}
}

func TestForgeCommit(t *testing.T) {
	for source, want := range map[string]string{
		"https://codeload.github.com/o/r/tar.gz/" + commit:                                 "https://github.com/o/r.git",
		"https://codeload.github.com/o/r/tar.gz/v1.0.0":                                    "",
		"http://codeload.github.com/o/r/tar.gz/" + commit:                                  "",
		"https://bitbucket.org/o/r/get/" + commit + ".tar.gz":                              "https://bitbucket.org/o/r.git",
		"https://gitlab.com/g/s/r/-/archive/" + commit + "/r-" + commit + ".tar.gz":        "https://gitlab.com/g/s/r.git",
		"https://gitlab.com/api/v4/projects/g%2Fr/repository/archive.tar.gz?ref=" + commit: "https://gitlab.com/g/r.git",
		"https://evil.example/o/r/tar.gz/" + commit:                                        "",
		"https://codeload.github.com.evil.example/o/r/tar.gz/" + commit:                    "",
	} {
		if repo, got := forgeCommit(source); repo != want || (got != "") != (want != "") {
			t.Errorf("%s: got %q, %q, want %q", source, repo, got, want)
		}
	}
}

func TestGitURL(t *testing.T) {
	for repo, want := range map[string]string{
		"https://h/r.git": "git+https://h/r.git", "git+https://h/r.git": "git+https://h/r.git", "git://h/r": "git://h/r",
		"ssh://git@h/r": "git+ssh://git@h/r", "git@h:o/r.git": "git+ssh://git@h/o/r.git", "h:o/r.git": "git+ssh://h/o/r.git", "r": "r",
	} {
		if got := gitURL(repo); got != want {
			t.Errorf("%s: got %s, want %s", repo, got, want)
		}
	}
}
