package gomod

import (
	"go/version"
	"regexp"
	"strings"
)

// assumedGo is the language version of a go.mod without a readable go line.
const assumedGo = "1.20"

// The go and toolchain lines are read as lines, not by parsing go.mod: which toolchain may parse the
// file depends on them. A comment may follow, and rc and beta releases count.
var (
	goLine        = regexp.MustCompile(`(?m)^[ \t]*go[ \t]+([0-9]+\.[0-9]+(?:\.[0-9]+)?(?:rc[0-9]+|beta[0-9]+)?)[ \t]*(?://.*)?\r?$`)
	toolchainLine = regexp.MustCompile(`(?m)^[ \t]*toolchain[ \t]+go([0-9]+\.[0-9]+(?:\.[0-9]+)?(?:rc[0-9]+|beta[0-9]+)?)[ \t]*(?://.*)?\r?$`)
)

// goVersions returns the first go and toolchain versions of a go.mod or go.work file, without "go";
// empty where there is none.
func goVersions(file []byte) (language, toolchain string) {
	if m := goLine.FindSubmatch(file); m != nil {
		language = string(m[1])
	}
	if m := toolchainLine.FindSubmatch(file); m != nil {
		toolchain = string(m[1])
	}
	return language, toolchain
}

// wantedVersion is the greatest of the versions; assumedGo if there is none.
func wantedVersion(versions ...string) string {
	best := ""
	for _, v := range versions {
		if v != "" && (best == "" || version.Compare("go"+v, "go"+best) > 0) {
			best = v
		}
	}
	if best == "" {
		return assumedGo
	}
	return best
}

// toolchainFor names the release that works for a wanted version. Everything before 1.21 is done by
// 1.20: a newer go would rewrite the go line. From 1.21 on the first release of a language version has
// a patch number. The result depends on nothing else, so that the list of standard packages, which
// differs from release to release, is the same tomorrow.
func toolchainFor(wanted string) string {
	name := "go" + wanted
	switch {
	case version.Compare(name, "go1.21") < 0:
		return "go1.20"
	case version.Lang(name) == name && strings.Count(wanted, ".") == 1:
		return name + ".0"
	}
	return name
}
