package gomod

import (
	"path"
	"regexp"
	"strings"
	"time"

	"golang.org/x/mod/module"
	"golang.org/x/mod/semver"

	"github.com/cachito-serverless/cachito/shared/resolver"
)

// commitHashLength is how much of a commit a pseudo-version shows.
const commitHashLength = 12

var majorDirectory = regexp.MustCompile(`^v[2-9]$|^v[1-9][0-9]+$`)

// mainVersion works out the version of a module of the repository itself, which no registry knows:
// the highest tag of the wanted major version on the commit, else a pseudo-version on the highest one
// of an ancestor, else on nothing. dir is the module's directory in the repository.
//
// Rules: https://go.dev/ref/mod#vcs-version, and upstream's where they go further.
func mainVersion(modulePath, dir string, repo resolver.Repo) string {
	majors := []string{"v1", "v0"}
	base := "" // major version of a pseudo-version without a tag below
	if _, pathMajor, ok := module.SplitPathVersion(modulePath); ok && pathMajor != "" {
		base = module.PathMajorPrefix(pathMajor)
		majors = []string{base}
	}
	prefixes := tagPrefixes(modulePath, dir)

	for _, onRef := range []bool{true, false} {
		for _, prefix := range prefixes {
			for _, major := range majors {
				tag := highestTag(repo.Tags, prefix, major, onRef)
				switch {
				case tag == "":
				case onRef:
					return tag
				default:
					return pseudoVersion(base, tag, repo.CommitTime, repo.Ref)
				}
			}
		}
	}
	return pseudoVersion(base, "", repo.CommitTime, repo.Ref)
}

// tagPrefixes is what the tags of a module in dir begin with. A major version directory is not part of
// the prefix by Go's rule (sub/v2 is released as sub/v2.0.0); upstream takes it for one, so that comes
// second.
func tagPrefixes(modulePath, dir string) []string {
	dir = subpath(dir)
	if dir == "" {
		return []string{""}
	}
	own := dir + "/"
	last := path.Base(dir)
	if majorDirectory.MatchString(last) && strings.HasSuffix(modulePath, "/"+last) {
		if parent := subpath(path.Dir(dir)); parent != "" {
			return []string{parent + "/", own}
		}
		return []string{"", own}
	}
	return []string{own}
}

// highestTag returns the version of the highest matching tag, or "". Only full semantic versions
// without build metadata count.
func highestTag(tags []resolver.Tag, prefix, major string, onRef bool) string {
	best := ""
	for _, t := range tags {
		v, ok := strings.CutPrefix(t.Name, prefix)
		if !ok || t.OnRef != onRef || semver.Canonical(v) != v || semver.Major(v) != major {
			continue
		}
		if best == "" || semver.Compare(v, best) > 0 {
			best = v
		}
	}
	return best
}

func pseudoVersion(major, older string, commit time.Time, ref string) string {
	return module.PseudoVersion(major, older, commit, ref[:min(len(ref), commitHashLength)])
}

// versionOf is mainVersion for a directory of the tree, which may lie in a submodule: then that
// repository's commit and tags count.
func versionOf(modulePath, dir string, repo resolver.Repo) string {
	dir = path.Clean(dir)
	inside := resolver.Submodule{}
	for _, sub := range repo.Submodules {
		if within(dir, path.Clean(sub.Path)) && len(sub.Path) > len(inside.Path) {
			inside = sub
		}
	}
	if inside.Path == "" {
		return mainVersion(modulePath, dir, repo)
	}
	rest := strings.TrimPrefix(strings.TrimPrefix(dir, path.Clean(inside.Path)), "/")
	return mainVersion(modulePath, rest, inside.Repo)
}

// within reports whether the clean, slash-separated, relative path is dir or below it.
func within(name, dir string) bool {
	if dir == "." {
		return name != ".." && !strings.HasPrefix(name, "../")
	}
	return name == dir || strings.HasPrefix(name, dir+"/")
}
