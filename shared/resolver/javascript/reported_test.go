package javascript

import (
	"strings"
	"testing"
)

func TestReportedSource(t *testing.T) {
	for source, want := range map[string]string{
		"https://u:p@h/a.tgz#x":     "https://h/a.tgz#x",
		"git+https://u:p@h/r.git#c": "git+https://h/r.git#c",
		"git+ssh://git@h/r.git#c":   "git+ssh://git@h/r.git#c",
		"github:o/r#c":              "github:o/r#c",
		"https://h/a b.tgz":         "https://h/a b.tgz",
		"https://h/%zz":             "https://h/%zz",
		"file:x":                    "file:x",
	} {
		if got := ReportedSource(source); got != want {
			t.Errorf("%s: got %s, want %s", source, got, want)
		}
	}
}

// No fault shows a password of a lockfile.
func TestFaultsShowNoPassword(t *testing.T) {
	r := Registry{Base: "https://registry.example/", Hosts: []string{"registry.npmjs.org"}}
	_, unsupported := r.Classify("a", "ssh://u:secret@h/a.git#x")
	_, noCommit := ParseGit("a", "git+https://u:secret@h/a.git")
	_, odd := r.Mapped("a", "https://u:secret@registry.npmjs.org/../a.tgz")
	_, other := r.Mapped("a", "https://u:secret@registry.npmjs.org/b/-/b-1.tgz")
	for _, err := range []error{unsupported, noCommit, odd, other, MissingIntegrity("a", "https://u:secret@h/a.tgz")} {
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("got %v", err)
		}
	}
}
