package cargo

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/cachito-serverless/cachito/shared/fault"
)

// tree reads the manifests of a source tree, each once. Not for concurrent use.
type tree struct {
	root *os.Root
	// manifests by folder, as they are written.
	manifests map[string]manifest
}

func newTree(root *os.Root) *tree { return &tree{root: root, manifests: map[string]manifest{}} }

// manifest of a folder; fs.ErrNotExist when it has none.
func (t *tree) manifest(dir string) (manifest, error) {
	if m, ok := t.manifests[dir]; ok {
		if m == nil {
			return nil, fs.ErrNotExist
		}
		return m, nil
	}
	if len(t.manifests) >= maxManifests {
		return nil, fault.Client(fault.UnsupportedFeature, "More than %d folders were searched for a %s", maxManifests, manifestName)
	}
	m, err := readManifest(t.root, dir)
	if errors.Is(err, fs.ErrNotExist) {
		t.manifests[dir] = nil
		return nil, fs.ErrNotExist
	}
	if err == nil {
		t.manifests[dir] = m
	}
	return m, err
}

// workspaceOf is the folder of a package's workspace, the package's own if it is one; "" when it has none.
func (t *tree) workspaceOf(dir string, m manifest) (string, error) {
	if table(m, "workspace") != nil {
		return dir, nil
	}
	if named := text(m.pkg(), "workspace"); named != "" {
		at, ok := join(dir, named)
		if !ok {
			return "", leaves(dir, "its workspace", named)
		}
		return at, nil
	}
	for up := dir; up != "."; {
		up = path.Dir(up)
		m, err := t.manifest(up)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return "", err
		}
		if w := table(m, "workspace"); w != nil && !isBelowAny(dir, up, w["exclude"]) {
			return up, nil
		}
	}
	return "", nil
}

// whole is a package's manifest with what it inherits.
func (t *tree) whole(dir string) (manifest, error) {
	m, err := t.manifest(dir)
	if err != nil || !m.inherits() {
		return m, err
	}
	at, err := t.workspaceOf(dir, m)
	if err != nil {
		return nil, err
	}
	name := path.Join(dir, manifestName)
	workspace := manifest{}
	if at != "" {
		if workspace, err = t.manifest(at); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	// What is inherited is put into a copy: a workspace's own package may inherit from it.
	own, err := readManifest(t.root, dir)
	if err != nil {
		return nil, err
	}
	if err := own.inherit(dir, workspace, at); err != nil {
		return nil, fault.Client(fault.InvalidFileFormat, "%s is not a valid manifest: %v", name, err)
	}
	return own, nil
}

// join is a path that a manifest in dir names; false when it leaves the tree.
func join(dir, name string) (string, bool) {
	at := path.Join(dir, filepath.ToSlash(name))
	return at, filepath.IsLocal(filepath.FromSlash(at)) && !path.IsAbs(name) && !strings.ContainsRune(name, 0)
}

func leaves(dir, what, where string) error {
	return fault.Client(fault.InvalidRepoStructure, "%s: the path of %s leads out of the repository: %.200s", path.Join(dir, manifestName), what, where)
}

// isBelowAny reports whether dir is one of the folders that a list in the manifest of base names, or below.
func isBelowAny(dir, base string, list any) bool {
	items, _ := list.([]any)
	for _, item := range items {
		if name, ok := item.(string); ok {
			if at := path.Join(base, name); dir == at || strings.HasPrefix(dir, at+"/") {
				return true
			}
		}
	}
	return false
}

// search finds packages by name and version in the folders, of which the first that has one counts. wanted and
// found are keyed by "name version".
func (t *tree) search(dirs []string, wanted map[string]bool) (found map[string]string, err error) {
	found = map[string]string{}
	names := map[string]bool{}
	for key := range wanted {
		name, _, _ := strings.Cut(key, " ")
		names[name] = true
	}
	for _, dir := range dirs {
		if len(found) == len(wanted) {
			break
		}
		m, err := t.manifest(dir)
		if err != nil {
			if fault.IsClient(err) || errors.Is(err, fs.ErrNotExist) {
				continue // manifests of tests may be broken on purpose
			}
			return nil, err
		}
		if !names[text(m.pkg(), "name")] {
			continue
		}
		if m, err = t.whole(dir); err != nil {
			if fault.IsClient(err) {
				continue
			}
			return nil, err
		}
		key := text(m.pkg(), "name") + " " + m.version()
		if _, ok := found[key]; wanted[key] && !ok {
			found[key] = dir
		}
	}
	return found, nil
}

// manifestDirs lists the folders with a manifest, the nearest to the root first; folders of build results and
// hidden ones come last.
func manifestDirs(names []string) []string {
	var dirs, odd []string
	for _, name := range names {
		if path.Base(name) != manifestName {
			continue
		}
		dir := path.Dir(name)
		if strings.HasPrefix(dir, ".") && dir != "." || strings.Contains(dir, "/.") || strings.Contains("/"+dir+"/", "/target/") {
			odd = append(odd, dir)
			continue
		}
		dirs = append(dirs, dir)
	}
	byDepth(dirs)
	byDepth(odd)
	return append(dirs, odd...)
}

// listManifests walks a tree for manifests.
func (t *tree) listManifests() ([]string, error) {
	var names []string
	err := fs.WalkDir(t.root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && d.Name() == manifestName {
			names = append(names, name)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("searching the repository for packages: %w", err)
	}
	return names, nil
}
