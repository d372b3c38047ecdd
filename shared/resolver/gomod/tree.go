package gomod

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/cachito-serverless/cachito/shared/resolver"
)

const (
	// maxInlineBytes is how large a changed file may be to stand in the result itself; larger ones,
	// and all after maxInlineTotalBytes, go into the cache.
	maxInlineBytes      = 16 << 10
	maxInlineTotalBytes = 16 << 20
	// maxChangedBytes bounds one file that go wrote into the work tree.
	maxChangedBytes = MaxModuleUnpackedBytes
)

// snapshot is the state of the files that go commands may change: go.mod, go.sum, go.work, go.work.sum
// and everything in vendor folders.
type snapshot struct {
	files map[string]fileState
	// vendored are the directories that have a vendor folder (even an empty one), modulesTxt the
	// content of each vendor/modules.txt.
	vendored   map[string]bool
	modulesTxt map[string]string
}

// fileState is what counts of a file. Links are never written by go, only removed.
type fileState struct {
	sum        [sha256.Size]byte
	executable bool
	link       string
}

func newSnapshot() *snapshot {
	return &snapshot{files: map[string]fileState{}, vendored: map[string]bool{}, modulesTxt: map[string]string{}}
}

// takeSnapshot looks at the directories and everything above them, where a workspace may be. What is
// in vendor folders is looked at only when vendoring: nothing else changes it.
func takeSnapshot(source *os.Root, dirs []string, vendoring bool) (*snapshot, error) {
	s := newSnapshot()
	for _, dir := range withParents(dirs) {
		for _, name := range []string{"go.mod", "go.sum", "go.work", "go.work.sum"} {
			if err := s.addFile(source, path.Join(dir, name)); err != nil {
				return nil, err
			}
		}
		if info, err := source.Lstat(path.Join(dir, "vendor")); err == nil && info.IsDir() {
			s.vendored[dir] = true
		}
		if !vendoring {
			continue
		}
		if err := s.addTree(source, path.Join(dir, "vendor")); err != nil {
			return nil, err
		}
		name := path.Join(dir, "vendor", "modules.txt")
		if s.files[name].sum != (fileState{}).sum {
			text, err := readFile(source, name, maxModulesTxtBytes)
			if err != nil {
				return nil, err
			}
			s.modulesTxt[name] = string(text)
		}
	}
	return s, nil
}

func withParents(dirs []string) []string {
	var out []string
	for _, dir := range dirs {
		for dir = path.Clean(dir); !slices.Contains(out, dir); dir = path.Dir(dir) {
			out = append(out, dir)
		}
	}
	return out
}

// addFile adds a file or link if it is there.
func (s *snapshot) addFile(source *os.Root, name string) error {
	info, err := source.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist), isNotDir(err):
		return nil
	case err != nil:
		return fmt.Errorf("looking at %s: %w", name, err)
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := source.Readlink(name)
		s.files[name] = fileState{link: target}
		return err
	case !info.Mode().IsRegular():
		return nil
	}
	file, err := source.Open(name)
	if err != nil {
		return fmt.Errorf("reading %s: %w", name, err)
	}
	defer file.Close()
	state := fileState{executable: info.Mode()&0o111 != 0}
	hash := sha256.New()
	if _, err := io.Copy(hash, file); err != nil {
		return fmt.Errorf("reading %s: %w", name, err)
	}
	hash.Sum(state.sum[:0])
	s.files[name] = state
	return nil
}

// addTree adds everything below a directory, without following links. Empty directories do not count,
// as in git.
func (s *snapshot) addTree(source *os.Root, dir string) error {
	info, err := source.Lstat(dir)
	if errors.Is(err, fs.ErrNotExist) || isNotDir(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("looking at %s: %w", dir, err)
	}
	if !info.IsDir() {
		return s.addFile(source, dir)
	}
	return fs.WalkDir(source.FS(), dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		return s.addFile(source, name)
	})
}

// change of a file: "added", "changed" or "removed".
type change struct{ path, kind string }

// changes lists what differs in after at or below dir ("." for everything), sorted by path.
func (s *snapshot) changes(after *snapshot, dir string) []change {
	var out []change
	for name, state := range after.files {
		before, known := s.files[name]
		switch {
		case !within(name, dir):
		case !known:
			out = append(out, change{name, "added"})
		case before != state:
			out = append(out, change{name, "changed"})
		}
	}
	for name := range s.files {
		if _, still := after.files[name]; !still && within(name, dir) {
			out = append(out, change{name, "removed"})
		}
	}
	slices.SortFunc(out, func(a, b change) int { return strings.Compare(a.path, b.path) })
	return out
}

// overlays are the files that go changed in the work tree.
func (r *run) overlays(ctx context.Context) ([]resolver.Entry, error) {
	var dirs []string
	for _, f := range r.found {
		dirs = append(dirs, f.dir)
	}
	after, err := takeSnapshot(r.in.Source, dirs, r.vendoring)
	if err != nil {
		return nil, err
	}
	var (
		out    []resolver.Entry
		inline int64
	)
	for _, c := range r.before.changes(after, ".") {
		e := resolver.Entry{Path: c.path}
		state := after.files[c.path]
		switch {
		case c.kind == "removed":
			e.Deleted = true
		case state.link != "":
			e.Link = state.link
		default:
			e.Executable = state.executable
			n, err := r.addContent(ctx, &e, inline)
			if err != nil {
				return nil, fmt.Errorf("storing %s: %w", c.path, err)
			}
			inline += n
		}
		out = append(out, e)
	}
	return out, nil
}

// addContent puts a changed file into the entry, or into the cache; it returns the bytes put into the
// entry.
func (r *run) addContent(ctx context.Context, e *resolver.Entry, inline int64) (int64, error) {
	file, err := r.in.Source.Open(e.Path)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return 0, err
	}
	if info.Size() > maxInlineBytes || inline+info.Size() > maxInlineTotalBytes {
		stored, err := r.in.Fetcher.Store(ctx, io.LimitReader(file, maxChangedBytes))
		e.File = &stored
		return 0, err
	}
	e.Inline, err = io.ReadAll(io.LimitReader(file, maxInlineBytes))
	if e.Inline == nil {
		e.Inline = []byte{}
	}
	return int64(len(e.Inline)), err
}
