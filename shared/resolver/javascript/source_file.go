package javascript

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cachito-serverless/cachito/shared/fault"
)

// FileRule says which file: dependencies of a package are allowed.
type FileRule struct {
	// Workspaces are the patterns of package.json, relative to the package.
	Workspaces []string
	// Allowed names dependencies that an operator allows this package.
	Allowed []string
}

// ParseAllowlist reads the setting "file_deps_allowlist": a JSON object, package name to names of
// dependencies. Empty text is an empty list.
func ParseAllowlist(text string) (map[string][]string, error) {
	if text == "" {
		return nil, nil
	}
	var list map[string][]string
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		return nil, fmt.Errorf(`setting file_deps_allowlist: want a JSON object like {"package": ["dependency"]}: %w`, err)
	}
	return list, nil
}

// Check refuses a file: dependency that the rule does not allow, or whose path leads out of the
// repository, links followed. dir is the package's folder in the repository; source is "file:<path>",
// relative to it. The faults are the client's, InvalidRepoStructure.
func (r FileRule) Check(repository *os.Root, dir, name, source string) error {
	target := strings.TrimPrefix(source, "file:")
	if !r.allows(name, target) {
		return fault.Client(fault.InvalidRepoStructure, "%s@%s is a 'file:' dependency. File dependencies are allowed if: "+
			"a) the dependency is declared as a workspace in package.json or b) the dependency is present in the server-side allowlist.", name, source)
	}
	return CheckInside(repository, dir, name, target)
}

func (r FileRule) allows(name, target string) bool {
	return slices.Contains(r.Allowed, name) || MatchesWorkspace(r.Workspaces, target)
}

// CheckInside refuses a path that leads out of the repository. One that does not exist is no fault here.
func CheckInside(repository *os.Root, dir, name, target string) error {
	outside := fault.Client(fault.InvalidRepoStructure, "The path %s of the dependency %s leads out of the repository", target, name)
	full := path.Join(dir, target)
	if path.IsAbs(target) || !filepath.IsLocal(filepath.FromSlash(full)) {
		return outside
	}
	_, err := repository.Stat(full)
	var pathErr *fs.PathError
	if err == nil || errors.Is(err, fs.ErrNotExist) || !errors.As(err, &pathErr) {
		return nil
	}
	return outside.Because(err)
}

// MatchesWorkspace reports whether a path is one of the workspaces. The patterns are a shell's, except that
// * crosses slashes as well; one that begins with ! takes matching paths out again, the last match counts.
func MatchesWorkspace(patterns []string, target string) bool {
	target = path.Clean(target)
	matches := false
	for _, p := range patterns {
		p, not := strings.CutPrefix(p, "!")
		if matchGlob(path.Clean(p), target) {
			matches = !not
		}
	}
	return matches
}

// matchGlob is Python's fnmatch: *, ? and [set]; an unclosed bracket is itself. Linear in time but for the
// number of stars: only the last one is ever tried again.
func matchGlob(pattern, text string) bool {
	p, t := 0, 0
	star, again := -1, 0
	for t < len(text) {
		if p < len(pattern) && pattern[p] == '*' {
			star, again = p, t
			p++
			continue
		}
		if width := matchOne(pattern[p:], text[t]); width > 0 {
			p += width
			t++
			continue
		}
		if star < 0 {
			return false
		}
		again++
		p, t = star+1, again
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}

// matchOne matches one byte with the first element of a pattern, and gives the element's length; 0: no match.
func matchOne(pattern string, c byte) int {
	if pattern == "" {
		return 0
	}
	switch pattern[0] {
	case '?':
		return 1
	case '[':
		if end := closingBracket(pattern); end > 0 {
			if inSet(pattern[1:end], c) {
				return end + 1
			}
			return 0
		}
	}
	if pattern[0] == c {
		return 1
	}
	return 0
}

// closingBracket finds the end of "[set]"; a bracket right at the start is part of the set.
func closingBracket(pattern string) int {
	start := 1
	if start < len(pattern) && pattern[start] == '!' {
		start++
	}
	if start < len(pattern) && pattern[start] == ']' {
		start++
	}
	if start >= len(pattern) {
		return 0
	}
	end := strings.IndexByte(pattern[start:], ']')
	if end < 0 {
		return 0
	}
	return start + end
}

func inSet(set string, c byte) bool {
	set, not := strings.CutPrefix(set, "!")
	for i := 0; i < len(set); i++ {
		if i+2 < len(set) && set[i+1] == '-' {
			if set[i] <= c && c <= set[i+2] {
				return !not
			}
			i += 2
		} else if set[i] == c {
			return !not
		}
	}
	return not
}
