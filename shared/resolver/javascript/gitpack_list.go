package javascript

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
)

// Bounds of a package's list of files.
const (
	// MaxPackedFiles that one git dependency may have.
	MaxPackedFiles = 200_000
	// maxIgnoreBytes bounds a .npmignore or .gitignore, maxRules the rules of one.
	maxIgnoreBytes = 1 << 20
	maxRules       = 5000
	// maxRuleMatches bounds the work: a repository brings both the rules and the files.
	maxRuleMatches = 100_000_000
)

// What npm leaves out of every package unless its author says otherwise (npm-packlist 10.0.4, LICENSE.npm-packlist).
var defaultIgnores = []string{
	".npmignore", ".gitignore",
	"**/.git", "**/.svn", "**/.hg", "**/CVS", "**/.git/**", "**/.svn/**", "**/.hg/**", "**/CVS/**",
	"/.lock-wscript", "/.wafpickle-*", "/build/config.gypi", "npm-debug.log", "**/.npmrc", ".*.swp",
	".DS_Store", "**/.DS_Store/**", "._*", "**/._*/**", "*.orig", "/archived-packages/**",
}

// What nobody can change: taken in, or left out.
var strictRootRules = []string{
	"/.git", "!/package.json", "!/readme{,.*[^~$]}", "!/copying{,.*[^~$]}", "!/license{,.*[^~$]}", "!/licence{,.*[^~$]}",
	"/.git", "/node_modules", ".npmrc", "/package-lock.json", "/yarn.lock", "/pnpm-lock.yaml", "/bun.lockb",
}

// packManifest is what the list of a package's files depends on. A member of another type than expected
// counts as missing.
type packManifest struct {
	files, bins          []string
	main, browser        string
	bundled              []string
	dependencies         map[string]bool // with the optional ones
	hasWorkspaces, isSet bool            // isSet: files is there
}

func parsePackManifest(data []byte) packManifest {
	var members map[string]json.RawMessage
	_ = json.Unmarshal(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")), &members) // checked by the caller
	m := packManifest{dependencies: map[string]bool{}}
	as := func(name string, to any) bool {
		raw, ok := members[name]
		return ok && json.Unmarshal(raw, to) == nil && string(raw) != "null"
	}
	as("main", &m.main)
	as("browser", &m.browser)
	m.isSet = as("files", &m.files)
	for _, section := range []string{"dependencies", "optionalDependencies"} {
		var names map[string]json.RawMessage
		as(section, &names)
		for name := range names {
			m.dependencies[name] = true
		}
	}
	var bin string
	var bins map[string]string
	if as("bin", &bin) {
		m.bins = []string{cleanBin(bin)}
	} else if as("bin", &bins) {
		for _, b := range bins {
			m.bins = append(m.bins, cleanBin(b))
		}
		slices.Sort(m.bins)
	}
	var all bool
	for _, section := range []string{"bundleDependencies", "bundledDependencies"} {
		if as(section, &m.bundled) {
			break
		}
		if as(section, &all) && all {
			for name := range m.dependencies {
				m.bundled = append(m.bundled, name)
			}
			break
		}
	}
	slices.Sort(m.bundled)
	_, m.hasWorkspaces = members["workspaces"]
	return m
}

// cleanBin is the path of an executable, relative to the package.
func cleanBin(p string) string { return strings.TrimPrefix(path.Clean("/"+p), "/") }

// packList lists the files that npm would pack: `files` of package.json, else what .npmignore, else
// .gitignore, of each folder leave over; always package.json, the README, the license, `main` and `bin`;
// never .git, .npmrc, the root's lockfiles, and node_modules but for bundled dependencies. Only plain
// files are listed, in byte order of their paths.
func packList(ctx context.Context, tree *os.Root, manifest []byte) (packedFiles, error) {
	w := &packWalk{ctx: ctx, tree: tree, found: map[string]bool{}, packed: map[string]bool{}}
	if err := w.packageAt("", parsePackManifest(manifest), true); err != nil {
		return nil, err
	}
	out := make(packedFiles, 0, len(w.found))
	for name, executable := range w.found {
		out = append(out, packedFile{name, executable})
	}
	slices.SortFunc(out, func(a, b packedFile) int { return strings.Compare(a.path, b.path) })
	return out, nil
}

// packWalk collects files below a tree.
type packWalk struct {
	ctx     context.Context
	tree    *os.Root
	found   map[string]bool // path -> executable
	packed  map[string]bool // folders of packages that are done
	matches int
}

// packageAt lists the package in a folder ("" is the tree's root) and the packages that it bundles.
func (w *packWalk) packageAt(dir string, m packManifest, isRoot bool) error {
	if w.packed[dir] {
		return nil
	}
	w.packed[dir] = true
	level := &packLevel{walk: w, dir: dir, hasWorkspaces: m.hasWorkspaces}
	var strict []string
	if isRoot {
		level.addDefaults()
	}
	switch {
	case m.isSet:
		var rules []string
		rules, strict = level.fileRules(m.files)
		level.add(rules)
	case isRoot:
		level.addIgnoreFile()
	}
	strict = append(strict, strictRootRules...)
	for _, name := range append([]string{m.browser, m.main}, m.bins...) {
		if name != "" {
			strict = append(strict, "!/"+name)
		}
	}
	level.add(strict)
	if err := level.list(); err != nil {
		return err
	}
	for _, bin := range m.bins {
		if name := path.Join(dir, bin); hasKey(w.found, name) {
			w.found[name] = true
		}
	}
	bundled := m.bundled
	if !isRoot {
		bundled = slices.Sorted(maps.Keys(m.dependencies))
	}
	return w.bundle(dir, bundled, m)
}

func hasKey(m map[string]bool, key string) bool { _, ok := m[key]; return ok }

// bundle adds the packages of node_modules that go with one, found as Node finds them.
func (w *packWalk) bundle(dir string, names []string, m packManifest) error {
	for _, name := range names {
		if !m.dependencies[name] || !namePattern.MatchString(name) {
			continue
		}
		for from := dir; ; from = parentPackage(from) {
			folder := path.Join(from, "node_modules", name)
			info, err := w.tree.Lstat(folder)
			if err == nil && info.IsDir() {
				data, err := w.readBounded(path.Join(folder, "package.json"), MaxPackageJSONBytes)
				if err != nil {
					return err
				}
				if err := w.packageAt(folder, parsePackManifest(data), false); err != nil {
					return err
				}
				break
			}
			if from == "" {
				break
			}
		}
	}
	return nil
}

// parentPackage is the folder whose node_modules holds a package's folder.
func parentPackage(dir string) string {
	at := strings.LastIndex("/"+dir, "/node_modules/")
	if at <= 0 {
		return ""
	}
	return dir[:at-1]
}

// readBounded reads a plain file; nil when there is none.
func (w *packWalk) readBounded(name string, limit int64) ([]byte, error) {
	info, err := w.tree.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !info.Mode().IsRegular() {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("looking at %s: %w", name, err)
	}
	if info.Size() > limit {
		return nil, &packLimitError{fmt.Sprintf("%s has more than %d bytes, the limit", name, limit)}
	}
	return w.tree.ReadFile(name)
}

// entries of a folder, without a bound of their own: the checkout has one.
func (w *packWalk) entries(dir string) ([]fs.DirEntry, error) {
	if dir == "" {
		dir = "."
	}
	folder, err := w.tree.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", dir, err)
	}
	defer folder.Close()
	entries, err := folder.ReadDir(-1)
	if err != nil {
		return nil, fmt.Errorf("listing %s: %w", dir, err)
	}
	return entries, nil
}
