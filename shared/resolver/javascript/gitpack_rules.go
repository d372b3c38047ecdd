package javascript

import (
	"fmt"
	"path"
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
	base   string // the folder's own name
	rules  []*glob
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
		asFile := l.includes(name, false, "")
		asFolder := l.includes(name, true, "")
		full := path.Join(l.dir, name)
		switch {
		case e.IsDir() && (asFile || asFolder):
			if !asFolder {
				continue
			}
			if err := l.child(name, asFile || l.includes(name+"/", false, "")).list(); err != nil {
				return err
			}
		case e.Type().IsRegular() && asFile:
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
	c := &packLevel{walk: l.walk, parent: l, dir: path.Join(l.dir, name), base: name, exact: exact, hasWorkspaces: l.hasWorkspaces}
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

// includes reports whether an entry is taken in: a path relative to the folder. With partial it is looked at as
// a folder that may hold something. base is the entry's own name when it lies in a subfolder.
func (l *packLevel) includes(entry string, partial bool, base string) bool {
	included := true
	if l.parent != nil {
		own := base
		if own == "" {
			own = entry
		}
		included = l.parent.includes(l.base+"/"+entry, partial, own)
		if !included && !l.exact {
			return false
		}
	}
	l.walk.matches += len(l.rules)
	if l.walk.matches > maxRuleMatches {
		l.fail(&packLimitError{"its rules on what belongs to the package are too many for its files"})
		return false
	}
	forms, baseForms := newEntryForms(entry), newEntryForms(base)
	for _, rule := range l.rules {
		if rule.negate != included && rule.applies(forms, baseForms, base != "", partial) {
			included = rule.negate
		}
	}
	return included
}

// entryForms are the ways in which a path is compared: with and without a slash at either end.
type entryForms struct {
	rooted, plain, rootedDir, plainDir []string
}

func newEntryForms(entry string) entryForms {
	elements := append(append([]string{""}, splitSlashes(strings.ToLower(entry))...), "")
	n := len(elements)
	return entryForms{elements[:n-1], elements[1 : n-1], elements, elements[1:]}
}

func (g *glob) applies(forms, baseForms entryForms, hasBase, partial bool) bool {
	if g.matchElements(forms.rooted, false, true) || g.matchElements(forms.plain, false, true) {
		return true
	}
	if !partial {
		return false
	}
	folder := func(f entryForms) bool {
		return g.matchElements(f.rootedDir, false, true) || g.matchElements(f.plainDir, false, true) ||
			g.negate && (g.matchElements(f.rooted, true, true) || g.matchElements(f.plain, true, true))
	}
	return folder(forms) || hasBase && g.relative() && folder(baseForms)
}
