package cargo

import (
	"cmp"
	"errors"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/cachito-serverless/cachito/shared/fault"
)

// localPackage is a package of the repository.
type localPackage struct {
	name, version, dir string
	// member of the lockfile's workspace, the root package among them: the lockfile must have it.
	member   bool
	manifest manifest
}

// byDepth sorts folders: the nearest to the root first, then by name.
func byDepth(dirs []string) {
	slices.SortFunc(dirs, func(a, b string) int {
		return cmp.Or(strings.Count(a, "/")-strings.Count(b, "/"), cmp.Compare(len(a), len(b)), strings.Compare(a, b))
	})
}

// localPackages are the packages that a lockfile in dir is for: those of its workspace, and all that they name by
// path. They are sorted by folder.
func (t *tree) localPackages(dir string) ([]localPackage, error) {
	root, err := t.manifest(dir)
	if err != nil {
		return nil, err
	}
	work := &discovery{tree: t, dir: dir, workspace: table(root, "workspace"), seen: map[string]int{}, found: map[string]localPackage{}}
	if root.pkg() != nil {
		work.add(dir, true)
	}
	if work.workspace != nil {
		members, _ := work.workspace["members"].([]any)
		for _, item := range members {
			pattern, _ := item.(string)
			if err := work.addMembers(pattern); err != nil {
				return nil, err
			}
		}
	}
	if err := work.addPatches(root); err != nil {
		return nil, err
	}
	for len(work.queue) > 0 {
		next := work.queue[0]
		work.queue = work.queue[1:]
		if err := work.read(next); err != nil {
			return nil, err
		}
	}
	var list []localPackage
	for _, dir := range slices.Sorted(maps.Keys(work.found)) {
		list = append(list, work.found[dir])
	}
	return list, nil
}

// discovery goes from package to package.
type discovery struct {
	tree      *tree
	dir       string         // of the lockfile
	workspace map[string]any // nil when there is none
	seen      map[string]int // folders that were added: 1, or 2 as members
	queue     []string
	found     map[string]localPackage // by folder
}

// add puts a folder into the queue. A package that turns out to be a member is looked at again.
func (w *discovery) add(dir string, member bool) {
	rank := 1
	if member {
		rank = 2
	}
	if w.seen[dir] < rank {
		w.seen[dir] = rank
		w.queue = append(w.queue, dir)
	}
}

// addMembers adds the folders of a pattern of workspace.members.
func (w *discovery) addMembers(pattern string) error {
	at, ok := join(w.dir, pattern)
	if !ok {
		return leaves(w.dir, "a member of the workspace", pattern)
	}
	if !strings.ContainsAny(at, "*?[") {
		w.add(at, true)
		return nil
	}
	dirs, err := w.tree.glob(at)
	if err != nil {
		return err
	}
	for _, dir := range dirs {
		_, err := w.tree.manifest(dir)
		if errors.Is(err, fs.ErrNotExist) || isBelowAny(dir, w.dir, w.workspace["exclude"]) {
			continue
		}
		w.add(dir, true)
	}
	return nil
}

// addPatches adds what stands in for other packages by path.
func (w *discovery) addPatches(root manifest) error {
	tables := []map[string]any{table(root, "replace")}
	for name := range table(root, "patch") {
		tables = append(tables, table(table(root, "patch"), name))
	}
	for _, t := range tables {
		for name := range t {
			where := text(table(t, name), "path")
			if where == "" {
				continue
			}
			at, ok := join(w.dir, where)
			if !ok {
				return leaves(w.dir, "the patch "+name, where)
			}
			w.add(at, false)
		}
	}
	return nil
}

// read takes in one package, and queues those that it names by path: within a workspace's folder they are
// members as well.
func (w *discovery) read(dir string) error {
	m, err := w.tree.whole(dir)
	name := path.Join(dir, manifestName)
	if errors.Is(err, fs.ErrNotExist) {
		return fault.Client(fault.InvalidRepoStructure, "%s does not exist, although a %s of the repository names its folder. Is it part of a git submodule?", name, manifestName)
	}
	if err != nil {
		return err
	}
	if m.pkg() == nil {
		return nil // a workspace in the workspace's folder, not ours
	}
	p := localPackage{name: text(m.pkg(), "name"), version: m.version(), dir: dir, member: w.seen[dir] == 2, manifest: m}
	if p.name == "" {
		return fault.Client(fault.InvalidFileFormat, "%s is not a valid manifest: the package has no name", name)
	}
	w.found[dir] = p
	for _, r := range m.requirements() {
		if r.path == "" || r.dev && !p.member {
			continue // dependencies of others' tests are nobody's business
		}
		at, ok := join(dir, r.path)
		if !ok {
			return leaves(dir, "the dependency "+r.name, r.path)
		}
		below := w.dir == "." || at == w.dir || strings.HasPrefix(at, w.dir+"/")
		w.add(at, p.member && w.workspace != nil && below && !isBelowAny(at, w.dir, w.workspace["exclude"]))
	}
	return nil
}
