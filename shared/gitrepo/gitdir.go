package gitrepo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/storer"

	"github.com/cachito-serverless/cachito/shared/fault"
)

// MaxGitDirObjects bounds the objects of a .git folder, whose names are held in memory.
const MaxGitDirObjects = 1_500_000

// gitDir is a .git folder that we wrote ourselves, so that the same commit gives the same bytes
// whatever git version the server runs: the commit, its history and tags in one pack without deltas, a
// detached HEAD, an index without times, no hooks, no reflog and no credentials.
type gitDir struct {
	dir   string // temporary folder with the pack and its index
	name  string // "pack-<checksum>"
	small map[string][]byte
}

// makeGitDir collects what the folder holds. Objects that the history names but the server could not
// give are left out with a warning; those of the commit's own tree are needed.
func (c *Client) makeGitDir(ctx context.Context, p *prepared, url string, info *Info) (*gitDir, error) {
	g := &gitDir{small: map[string][]byte{}}
	objects, err := collect(ctx, p)
	if err != nil {
		return nil, err
	}
	if objects.missing > 0 {
		info.Warnings = append(info.Warnings, fmt.Sprintf("The server lacks %d objects of the history: .git is not complete", objects.missing))
	}
	if g.dir, err = os.MkdirTemp(filepath.Dir(p.dir), "gitdir-"); err != nil {
		return nil, fmt.Errorf("making a temporary folder: %w", err)
	}
	if g.name, err = writePack(ctx, g.dir, p.store, objects.sorted()); err != nil {
		g.remove()
		return nil, err
	}
	index, err := makeIndex(p.store, p.commit.tree)
	if err != nil {
		g.remove()
		return nil, err
	}
	g.small["HEAD"] = []byte(p.commit.hash.String() + "\n")
	g.small["config"] = []byte("[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = false\n" +
		"[remote \"origin\"]\n\turl = " + quoteConfig(url) + "\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n")
	g.small["index"] = index
	g.small["packed-refs"] = packedRefs(p.refs)
	if len(objects.shallow) > 0 {
		slices.SortFunc(objects.shallow, compareHashes)
		var b bytes.Buffer
		for _, h := range objects.shallow {
			fmt.Fprintf(&b, "%s\n", h)
		}
		g.small["shallow"] = b.Bytes()
	}
	return g, nil
}

func (g *gitDir) remove() {
	if g.dir != "" {
		os.RemoveAll(g.dir)
	}
}

// emit sends the folder's entries in byte order.
func (g *gitDir) emit(sink TreeSink) error {
	const dir, pack, idx = "", "pack", "idx"
	entries := map[string]string{
		"objects/info": dir, "refs/heads": dir, "refs/tags": dir,
		"objects/pack/" + g.name + ".idx": idx, "objects/pack/" + g.name + ".pack": pack,
	}
	for name := range g.small {
		entries[name] = "small"
	}
	names := make([]string, 0, len(entries))
	for name := range entries {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		path := ".git/" + name
		var err error
		switch entries[name] {
		case dir:
			err = sink.Dir(path)
		case pack, idx:
			err = emitFile(sink, path, filepath.Join(g.dir, filepath.Base(name)))
		default:
			err = sink.File(path, 0o644, int64(len(g.small[name])), bytes.NewReader(g.small[name]))
		}
		if err != nil {
			return sinkError(path, err)
		}
	}
	return nil
}

func emitFile(sink TreeSink, path, from string) error {
	f, err := os.Open(from)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	return sink.File(path, 0o644, info.Size(), f)
}

// objectSet is what a pack will hold.
type objectSet struct {
	types   map[plumbing.Hash]plumbing.ObjectType
	shallow []plumbing.Hash // commits whose parents are not there
	missing int
	store   storer.EncodedObjectStorer
}

// collect finds everything that is reachable from the commit and its tags.
func collect(ctx context.Context, p *prepared) (*objectSet, error) {
	set := &objectSet{types: map[plumbing.Hash]plumbing.ObjectType{}, store: p.store}
	set.types[p.commit.hash] = plumbing.CommitObject
	if err := set.tree(ctx, p.commit.tree, 0, true); err != nil {
		return nil, err
	}
	if !p.full {
		if len(p.commit.parents) > 0 {
			set.shallow = append(set.shallow, p.commit.hash)
		}
		return set, nil
	}
	todo := []commit{p.commit}
	for len(todo) > 0 {
		c := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if err := set.tree(ctx, c.tree, 0, false); err != nil {
			return nil, err
		}
		cutOff := false
		for _, parent := range c.parents {
			if _, seen := set.types[parent]; seen {
				continue
			}
			next, err := readCommit(p.store, parent)
			if errors.Is(err, plumbing.ErrObjectNotFound) {
				cutOff = true
				continue
			}
			if err != nil {
				return nil, fmt.Errorf("%w: %v", errDamaged, err)
			}
			set.types[parent] = plumbing.CommitObject
			todo = append(todo, next)
		}
		if cutOff {
			set.shallow = append(set.shallow, c.hash)
		}
	}
	for _, t := range p.refs {
		for hash := t.hash; hash != t.target; { // a tag of a tag of a commit
			tag, err := object.GetTag(p.store, hash)
			if err != nil {
				set.missing++
				break
			}
			set.types[hash] = plumbing.TagObject
			hash = tag.Target
		}
	}
	return set, nil
}

// tree adds a tree and what is below it.
func (s *objectSet) tree(ctx context.Context, hash plumbing.Hash, depth int, needed bool) error {
	if _, seen := s.types[hash]; seen {
		return nil
	}
	if len(s.types) > MaxGitDirObjects {
		return fault.Client(fault.UnsupportedFeature, "The repository's history has more than %d objects, the limit with the flag include-git-dir", MaxGitDirObjects)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	entries, err := readTree(s.store, hash, "", depth)
	if err != nil {
		if needed {
			return err
		}
		s.missing++ // or no tree that git would check out: history is not ours to judge
		return nil
	}
	s.types[hash] = plumbing.TreeObject
	for _, e := range entries {
		switch e.mode {
		case filemode.Submodule:
		case filemode.Dir:
			if err := s.tree(ctx, e.hash, depth+1, needed); err != nil {
				return err
			}
		default:
			if _, seen := s.types[e.hash]; seen {
				continue
			}
			if !needed && s.store.HasEncodedObject(e.hash) != nil {
				s.missing++
				continue
			}
			s.types[e.hash] = plumbing.BlobObject
		}
	}
	return nil
}

// packOrder is the order of the kinds in git's own packs.
var packOrder = map[plumbing.ObjectType]int{
	plumbing.CommitObject: 0, plumbing.TagObject: 1, plumbing.TreeObject: 2, plumbing.BlobObject: 3,
}

// sorted gives the objects in the pack's order: by kind, then by hash.
func (s *objectSet) sorted() []packObject {
	out := make([]packObject, 0, len(s.types))
	for h, t := range s.types {
		out = append(out, packObject{hash: h, kind: t})
	}
	slices.SortFunc(out, func(a, b packObject) int {
		if d := packOrder[a.kind] - packOrder[b.kind]; d != 0 {
			return d
		}
		return compareHashes(a.hash, b.hash)
	})
	return out
}

// packedRefs writes the file of that name (gitrepository-layout(5)).
func packedRefs(refs []tagRef) []byte {
	var b bytes.Buffer
	b.WriteString("# pack-refs with: peeled fully-peeled sorted \n")
	for _, t := range refs { // sorted by name
		fmt.Fprintf(&b, "%s refs/tags/%s\n", t.hash, t.name)
		if t.hash != t.target {
			fmt.Fprintf(&b, "^%s\n", t.target)
		}
	}
	return b.Bytes()
}

// validRef holds the rules of git-check-ref-format(1) that matter for a file of lines.
func validRef(name string) bool {
	if name == "" || strings.HasPrefix(name, "/") || strings.HasSuffix(name, "/") || strings.HasSuffix(name, ".") || !printable(name) {
		return false
	}
	for _, bad := range []string{"..", "//", "@{", " ", "~", "^", ":", "?", "*", "[", "\\"} {
		if strings.Contains(name, bad) {
			return false
		}
	}
	for _, element := range strings.Split(name, "/") {
		if strings.HasPrefix(element, ".") || strings.HasSuffix(element, ".lock") {
			return false
		}
	}
	return true
}

func quoteConfig(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// makeIndex is the index of a tree.
func makeIndex(s storer.EncodedObjectStorer, tree plumbing.Hash) ([]byte, error) {
	var index Index
	var visit func(tree plumbing.Hash, prefix string, depth int) error
	visit = func(tree plumbing.Hash, prefix string, depth int) error {
		entries, err := readTree(s, tree, prefix, depth)
		if err != nil {
			return err
		}
		slices.SortFunc(entries, func(a, b treeEntry) int {
			return strings.Compare(a.key(a.mode == filemode.Dir), b.key(b.mode == filemode.Dir))
		})
		for _, e := range entries {
			path := prefix + e.name
			switch e.mode {
			case filemode.Dir:
				if err := visit(e.hash, path+"/", depth+1); err != nil {
					return err
				}
			case filemode.Submodule:
				index.Add(path, uint32(e.mode), e.hash, 0)
			default:
				size, err := s.EncodedObjectSize(e.hash)
				if err != nil {
					return fmt.Errorf("reading %q: %w", path, err)
				}
				index.Add(path, uint32(e.mode), e.hash, size)
			}
		}
		return nil
	}
	if err := visit(tree, "", 0); err != nil {
		return nil, err
	}
	return index.Bytes(), nil
}
