package javascript

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"
)

// packLevel is a folder on the way of a packWalk, with the rules that hold below it. A rule is a glob of things
// to leave out, or with "!" to take in; the last that matches counts, outer folders' come first. This is
// npm-packlist 10.0.4 over ignore-walk 8 (both ISC), whose ways packages rely on.
type packLevel struct {
	walk   *packWalk
	parent *packLevel
	dir    string // relative to the tree's root
	depth  int    // how many folders below the package's
	// elements of the path from the package on, in lower case.
	elements []string
	rules    []*glob
	// exact: the folder itself is taken in, so rules inside may take in what outer ones leave out.
	exact bool
	// required are files right below the folder that the package names one by one.
	required []string
	// hasWorkspaces: the package has workspaces, whose package.json npm reads as if it were ignore rules.
	hasWorkspaces bool
	err           error // the first one; reported by list
}

func (l *packLevel) fail(err error) {
	if l.err == nil {
		l.err = err
	}
}

func (l *packLevel) add(rules []string) {
	for _, text := range rules {
		text = strings.TrimSpace(text)
		if text == "" || text[0] == '#' {
			continue
		}
		if len(l.rules) >= maxRules {
			l.fail(tooManyRules())
			return
		}
		g, err := parseGlob(text, true)
		if err != nil {
			l.fail(&packLimitError{err.Error()})
			return
		}
		l.rules = append(l.rules, g)
	}
}

func tooManyRules() error {
	return &packLimitError{fmt.Sprintf("more than %d rules say what belongs to the package", maxRules)}
}

// addDefaults adds what every folder has.
func (l *packLevel) addDefaults() { l.rules = append(l.rules, defaultGlobs()...) }

var defaultGlobs = sync.OnceValue(func() []*glob {
	var out []*glob
	for _, text := range defaultIgnores {
		g, err := parseGlob(text, true)
		if err != nil {
			panic(err) // they are constants
		}
		out = append(out, g)
	}
	return out
})

// addIgnoreFile adds .npmignore or, without one, .gitignore.
func (l *packLevel) addIgnoreFile() {
	for _, name := range []string{".npmignore", ".gitignore"} {
		if l.addRulesFile(name) {
			return
		}
	}
}

// addRulesFile reports whether there is such a file.
func (l *packLevel) addRulesFile(name string) bool {
	data, err := l.walk.readBounded(path.Join(l.dir, name), maxIgnoreBytes)
	if err != nil {
		l.fail(err)
	}
	if data == nil {
		return false
	}
	l.add(strings.Split(string(data), "\n"))
	return true
}

// fileRules turns the list `files` of package.json into rules. A file that is there is required: its rule goes
// to the strict ones.
func (l *packLevel) fileRules(files []string) (rules, strict []string) {
	if len(files) > maxRules {
		l.fail(tooManyRules())
		return nil, nil
	}
	rules = []string{"*"}
	for _, file := range files {
		if strings.HasPrefix(file, "./") {
			file = file[1:]
		}
		if strings.HasSuffix(file, "/*") {
			file += "*"
		}
		rule := "!" + file
		name := strings.TrimPrefix(path.Clean("/"+strings.TrimLeft(file, "!")), "/")
		info, err := l.walk.tree.Lstat(path.Join(l.dir, name))
		switch {
		case err != nil || name == "":
			rules = append(rules, rule) // a pattern
		case info.IsDir():
			rules = append(rules, rule, rule+"/**")
		case info.Mode().IsRegular():
			strict = append([]string{rule}, strict...)
			l.required = append(l.required, strings.TrimPrefix(file, "/"))
		}
	}
	return rules, strict
}

// list takes in what the rules leave of a folder and its subfolders.
func (l *packLevel) list() error {
	if l.err != nil {
		return l.err
	}
	if err := l.walk.ctx.Err(); err != nil {
		return err
	}
	entries, err := l.walk.entries(l.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := e.Name()
		if strings.Contains(name, "*") {
			continue // npm leaves it out: Windows cannot have it
		}
		full := path.Join(l.dir, name)
		elements := append(slices.Clip(l.elements), strings.ToLower(name), "")
		switch {
		case e.IsDir() && l.includes(elements, asFolder, false):
			whole := l.includes(elements, asFile, false) || l.includes(elements, asWhole, false)
			if err := l.child(name, whole).list(); err != nil {
				return err
			}
		case e.Type().IsRegular() && l.includes(elements, asFile, false):
			info, err := e.Info()
			if err != nil {
				return fmt.Errorf("looking at %s: %w", full, err)
			}
			if len(l.walk.found) >= MaxPackedFiles {
				return &packLimitError{fmt.Sprintf("it has more than %d files", MaxPackedFiles)}
			}
			l.walk.found[full] = info.Mode()&0o111 != 0
		}
		if l.err != nil {
			return l.err
		}
	}
	return l.err
}

func (l *packLevel) child(name string, exact bool) *packLevel {
	c := &packLevel{
		walk: l.walk, parent: l, dir: path.Join(l.dir, name), depth: l.depth + 1, exact: exact, hasWorkspaces: l.hasWorkspaces,
		elements: append(slices.Clip(l.elements), strings.ToLower(name)),
	}
	for _, file := range l.required {
		if folder, below, ok := strings.Cut(path.Clean(file), "/"); ok && folder == name && !strings.Contains(below, "/") {
			c.required = append(c.required, below)
		}
	}
	c.addDefaults()
	if !c.hasWorkspaces || !c.addRulesFile("package.json") {
		c.addIgnoreFile()
	}
	strict := []string{"/.git"}
	for _, file := range c.required {
		strict = append(strict, "!"+file)
	}
	c.add(strict)
	return c
}

// look is how an entry is looked at, before it is known what it is.
type look int

const (
	asFile look = iota
	// asFolder: something below it may be taken in.
	asFolder
	// asWhole: the folder itself is taken in.
	asWhole
)

// includes reports whether an entry is taken in. elements are those of its path from the package on, in lower
// case, with an empty one at the end. inside: the entry lies in a subfolder of this one.
func (l *packLevel) includes(elements []string, as look, inside bool) bool {
	included := true
	if l.parent != nil {
		included = l.parent.includes(elements, as, true)
		if !included && !l.exact {
			return false
		}
	}
	l.walk.matches += len(l.rules)
	if l.walk.matches > maxRuleMatches {
		l.fail(&packLimitError{"its rules on what belongs to the package are too many for its files"})
		return false
	}
	for _, rule := range l.rules {
		if rule.negate != included && rule.applies(elements[l.depth:], as, inside) {
			included = rule.negate
		}
	}
	return included
}

// applies reports whether a rule concerns an entry, whose elements are those below the rule's folder, with an
// empty one at the end. ignore-walk compares each entry with and without a slash at its beginning; that is
// to say that one at the beginning of the rule makes no difference.
func (g *glob) applies(elements []string, as look, inside bool) bool {
	n := len(elements) - 1
	if as == asWhole {
		return g.matchRule(elements, false)
	}
	if g.matchRule(elements[:n], false) {
		return true
	}
	if as == asFile {
		return false
	}
	folder := func(elements []string) bool {
		return g.matchRule(elements, false) || g.negate && g.matchRule(elements[:len(elements)-1], true)
	}
	return folder(elements) || inside && g.relative() && folder(elements[n-1:])
}

// matchRule is match for a path that is split, in lower case, without a slash at its beginning.
func (g *glob) matchRule(elements []string, partial bool) bool {
	for _, pattern := range g.alternatives {
		path := elements
		if len(pattern) == 1 {
			path = lastElement(elements)
		} else if !pattern[0].magic && pattern[0].literal == "" {
			pattern = pattern[1:]
		}
		if matchSegments(pattern, path, partial) {
			return true
		}
	}
	return false
}
