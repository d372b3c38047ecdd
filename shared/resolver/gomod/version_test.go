package gomod

import (
	"strings"
	"testing"
	"time"

	"github.com/cachito-serverless/cachito/shared/resolver"
)

const testRef = "58c88e4952e95935c0dd72d4a24b0c44f2249f5b"

// history is a list of commits, oldest first, each with its tags; the last one is the ref.
func history(commits ...string) []resolver.Tag {
	var tags []resolver.Tag
	for i, names := range commits {
		for name := range strings.FieldsSeq(names) {
			tags = append(tags, resolver.Tag{Name: name, OnRef: i == len(commits)-1})
		}
	}
	return tags
}

func TestMainVersion(t *testing.T) {
	at := time.Date(2020, 9, 25, 11, 58, 55, 0, time.UTC)
	const stamp = "20200925115855-58c88e4952e9"
	tests := []struct {
		name   string
		tags   []resolver.Tag
		module string
		dir    string
		at     time.Time
		want   string
	}{
		{name: "G01 no tag", tags: history(""), module: "ex.org/m", dir: ".", want: "v0.0.0-" + stamp},
		{name: "G02 tag on the commit", tags: history("v1.2.3"), module: "ex.org/m", dir: ".", want: "v1.2.3"},
		{name: "G03 tag on an ancestor", tags: history("v1.2.3", ""), module: "ex.org/m", dir: ".", want: "v1.2.4-0." + stamp},
		{name: "G04 major 0", tags: history("v0.4.0", ""), module: "ex.org/m", dir: ".", want: "v0.4.1-0." + stamp},
		{name: "G05 majors 0 and 1", tags: history("v0.9.0 v1.0.0"), module: "ex.org/m", dir: ".", want: "v1.0.0"},
		{name: "G06 pre-release", tags: history("v1.0.0-rc.1", ""), module: "ex.org/m", dir: ".", want: "v1.0.0-rc.1.0." + stamp},
		{name: "G07 no full versions", tags: history("v1 v1.2 release-1"), module: "ex.org/m", dir: ".", want: "v0.0.0-" + stamp},
		{name: "G08 another major", tags: history("v2.0.0"), module: "ex.org/m", dir: ".", want: "v0.0.0-" + stamp},
		{name: "G09 major in the path, no tag", tags: history("v1.0.0", ""), module: "ex.org/m/v2", dir: ".", want: "v2.0.0-" + stamp},
		{name: "G10 highest of several", tags: history("v2.2.3 v2.2.5 v2.2.4"), module: "ex.org/m/v2", dir: ".", want: "v2.2.5"},
		{name: "G11 directory with its own tag", tags: history("v1.0.0 sub/v1.5.0"), module: "ex.org/m/sub", dir: "sub", want: "v1.5.0"},
		{name: "G12 directory without", tags: history("v1.0.0"), module: "ex.org/m/sub", dir: "sub", want: "v0.0.0-" + stamp},
		{name: "G13 directory, ancestor", tags: history("sub/v1.5.0", ""), module: "ex.org/m/sub", dir: "sub", want: "v1.5.1-0." + stamp},
		// The tag of a later commit is no tag of the ref's history, so the source step leaves it out.
		{name: "G14 tag on a descendant", tags: history(""), module: "ex.org/m", dir: ".", want: "v0.0.0-" + stamp},
		{
			name: "G15 other time zone", tags: history("v0.4.0", ""), module: "ex.org/m", dir: ".",
			at:   time.Date(2024, 1, 2, 3, 4, 1, 0, time.FixedZone("", 2*3600)),
			want: "v0.4.1-0.20240102010401-58c88e4952e9",
		},
		{name: "G16 major directory, Go's tags", tags: history("sub/v2.0.0"), module: "ex.org/m/sub/v2", dir: "sub/v2", want: "v2.0.0"},
		{name: "G16 major directory, upstream's tags", tags: history("sub/v2/v2.0.1"), module: "ex.org/m/sub/v2", dir: "sub/v2", want: "v2.0.1"},
		{name: "G16 major directory at the root", tags: history("v2.0.0"), module: "ex.org/m/v2", dir: "v2", want: "v2.0.0"},
		{name: "G16 a tag on the commit wins whoever's form it has", tags: history("sub/v2.9.0", "sub/v2/v2.0.1"), module: "ex.org/m/sub/v2", dir: "sub/v2", want: "v2.0.1"},
		{name: "G16 a directory of that name alone does not count", tags: history("sub/v2.0.0"), module: "ex.org/m/sub/v2x/v3", dir: "sub/v2", want: "v3.0.0-" + stamp},
		{name: "G17 gopkg.in", tags: history("v2.1.0"), module: "gopkg.in/m.v2", dir: ".", want: "v2.1.0"},
		{name: "G17 gopkg.in without tags", tags: history(""), module: "gopkg.in/m.v2", dir: ".", want: "v2.0.0-" + stamp},
		{name: "build metadata does not count", tags: history("v1.0.0+build v1.0.1+incompatible"), module: "ex.org/m", dir: ".", want: "v0.0.0-" + stamp},
		{name: "on the commit wins over a higher ancestor", tags: history("v1.9.0", "v1.2.0"), module: "ex.org/m", dir: ".", want: "v1.2.0"},
		{name: "four numbers and leading zeros do not count", tags: history("v1.2.3.4 v01.2.3 v1.02.3"), module: "ex.org/m", dir: ".", want: "v0.0.0-" + stamp},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.at.IsZero() {
				tt.at = at
			}
			got := mainVersion(tt.module, tt.dir, resolver.Repo{Ref: testRef, CommitTime: tt.at, Tags: tt.tags})
			if got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestVersionOfUpstreamsOwnCase(t *testing.T) {
	repo := resolver.Repo{Ref: "a888f7261b9a9683972fbd77da2d12fe86faef5e", CommitTime: time.Date(2020, 9, 25, 11, 58, 55, 0, time.UTC)}
	if got, want := versionOf("github.com/x/y", ".", repo), "v0.0.0-20200925115855-a888f7261b9a"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// A module in a submodule has the version of that repository: of the innermost one around it.
func TestVersionOfInSubmodules(t *testing.T) {
	repo := resolver.Repo{
		Ref: testRef, CommitTime: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), Tags: history("v1.0.0 lib/v1.1.0 library/v1.2.0"),
		Submodules: []resolver.Submodule{
			{Path: "lib", Repo: resolver.Repo{Ref: strings.Repeat("a", 40), Tags: history("v2.0.0 v1.7.0")}},
			{Path: "lib/deep", Repo: resolver.Repo{Ref: strings.Repeat("b", 40), Tags: history("sub/v0.3.0")}},
		},
	}
	tests := []struct{ dir, want string }{
		{".", "v1.0.0"},
		{"lib", "v1.7.0"},
		{"lib/deep/sub", "v0.3.0"},
		{"library", "v1.2.0"},
	}
	for _, tt := range tests {
		t.Run(tt.dir, func(t *testing.T) {
			if got := versionOf("ex.org/m", tt.dir, repo); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}
