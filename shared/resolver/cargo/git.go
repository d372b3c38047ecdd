package cargo

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/resolver"
	"github.com/cachito-serverless/cachito/shared/resolver/gittree"
)

const (
	// MaxGitTrees bounds the repositories of a request's git dependencies.
	MaxGitTrees = 1000
	// MaxGitFiles bounds the files of all git dependencies of a request together. Each is an entry of the result,
	// which is held in memory.
	MaxGitFiles = 50_000
	// treesAtATime bounds the repositories that are checked out side by side.
	treesAtATime = 4
)

// cargoChecksum makes a folder a crate of a directory source
// (https://doc.rust-lang.org/cargo/reference/source-replacement.html#directory-sources). Cargo compares only the
// files that it lists; the commit vouches for these.
const (
	cargoChecksumName = ".cargo-checksum.json"
	cargoChecksum     = `{"files":{},"package":null}` + "\n"
)

// gitTree is a commit of a repository with the packages that are wanted of it.
type gitTree struct {
	source source // any of those that lead here
	shown  string // the lockfile
	// wanted packages, as "name version".
	wanted map[string]bool
	// folders of the wanted packages, and the files of the whole tree.
	folders map[string]string
	entries []resolver.Entry
}

// name of the tree's folder: r-0123456789ab-<hash of the URL and commit>.
func (g *gitTree) name() string { return folderName(g.source.base(), g.source.url+"#"+g.source.commit) }

// folderName is a name that tells people what it is, and is as unique as what.
func folderName(base, what string) string {
	base = strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' {
			return c
		}
		return '-'
	}, base)
	sum := sha256.Sum256([]byte(what))
	return base[:min(len(base), 60)] + "-" + hex.EncodeToString(sum[:6])
}

// gitSet are the git dependencies of a request.
type gitSet struct {
	trees map[string]*gitTree // by URL and commit
	uses  map[string]*gitUse  // by source and commit
	// commits of each source.
	commits map[string]map[string]bool
}

// gitUse is a source of git as lockfiles have it.
type gitUse struct {
	source source
	wanted map[string]bool // "name version"
	dirs   map[string]bool // folders of the lockfiles
}

func newGitSet() *gitSet {
	return &gitSet{trees: map[string]*gitTree{}, uses: map[string]*gitUse{}, commits: map[string]map[string]bool{}}
}

// add notes a package of a project.
func (s *gitSet) add(l lockedPackage, p *project) {
	key, at, want := l.source.key(), l.source.url+"#"+l.source.commit, l.Name+" "+l.Version
	if s.commits[key] == nil {
		s.commits[key] = map[string]bool{}
	}
	s.commits[key][l.source.commit] = true
	if s.trees[at] == nil {
		s.trees[at] = &gitTree{source: l.source, shown: p.lockfile, wanted: map[string]bool{}}
	}
	s.trees[at].wanted[want] = true
	id := key + "#" + l.source.commit
	if s.uses[id] == nil {
		s.uses[id] = &gitUse{source: l.source, wanted: map[string]bool{}, dirs: map[string]bool{}}
	}
	s.uses[id].wanted[want], s.uses[id].dirs[p.dir] = true, true
}

// fetchTrees checks out all repositories. Progress goes on behind that of the crates.
func (r *run) fetchTrees(ctx context.Context, set *gitSet) error {
	if len(set.trees) > MaxGitTrees {
		return fault.Client(fault.UnsupportedFeature, "The git dependencies of the lockfiles come from more than %d repositories", MaxGitTrees)
	}
	var trees []*gitTree
	for _, at := range slices.Sorted(maps.Keys(set.trees)) {
		trees = append(trees, set.trees[at])
	}
	r.report(func(p *request.Progress) { p.Total += int64(len(trees)) })
	return resolver.SideBySide(ctx, treesAtATime, len(trees), func(ctx context.Context, i int) error {
		if err := r.fetchTree(ctx, trees[i], fmt.Sprintf("git-%d", i)); err != nil {
			return fmt.Errorf("fetching the git dependency %s: %w", trees[i].source.url, err)
		}
		var bytes int64
		for _, e := range trees[i].entries {
			if e.Part != nil {
				bytes += e.Part.Size
			}
		}
		r.report(func(p *request.Progress) { p.Done, p.Bytes = p.Done+1, p.Bytes+bytes })
		if r.files.Add(int64(len(trees[i].entries))) > MaxGitFiles {
			return tooManyFiles()
		}
		return nil
	})
}

func tooManyFiles() error {
	return fault.Client(fault.UnsupportedFeature, "The git dependencies of the lockfiles have more than %d files", MaxGitFiles)
}

func (r *run) fetchTree(ctx context.Context, g *gitTree, scratch string) error {
	root, done, err := r.checkOut(ctx, g, scratch)
	if err != nil {
		return err
	}
	defer done()
	if g.entries, err = gittree.List(root, MaxGitFiles); errors.Is(err, gittree.ErrTooManyFiles) {
		return tooManyFiles()
	}
	if err != nil {
		return err
	}
	if err := g.prepare(root); err != nil {
		return err
	}
	_, err = gittree.Store(ctx, r.in.Fetcher, root, g.entries)
	return err
}

// checkOut tries the URLs of a repository in their order; what the last says counts.
func (r *run) checkOut(ctx context.Context, g *gitTree, scratch string) (*os.Root, func(), error) {
	urls := g.source.urls()
	what := fmt.Sprintf("the git dependency %s at %s of %s", g.source.url, g.source.commit, g.shown)
	for i, url := range urls {
		root, removed, done, err := gittree.CheckOut(ctx, r.in, url, g.source.commit, scratch, what, resolver.WithSubmodules)
		if err == nil {
			for _, link := range removed {
				r.in.Log.WarnContext(ctx, "A link that leads out of a git dependency is left out", "url", g.source.url, "link", link)
			}
			return root, done, nil
		}
		if i == len(urls)-1 || ctx.Err() != nil {
			return nil, nil, err
		}
		r.in.Log.InfoContext(ctx, "A git dependency cannot be cloned over https: ssh is tried", "url", g.source.url, "reason", fault.From(err).Message)
	}
	return nil, nil, errors.New("a git dependency has no URL")
}

// prepare finds the wanted packages in the tree, and makes each a crate of its own: what its manifest takes over from a
// workspace is written into it.
func (g *gitTree) prepare(root *os.Root) error {
	var names []string
	for _, e := range g.entries {
		if e.Part != nil {
			names = append(names, e.Path)
		}
	}
	t := newTree(root)
	var err error
	if g.folders, err = t.search(manifestDirs(names), g.wanted); err != nil {
		return err
	}
	changed := map[string][]byte{}
	for _, key := range slices.Sorted(maps.Keys(g.wanted)) {
		dir, ok := g.folders[key]
		if !ok {
			return fault.Client(fault.InvalidFileFormat, "%s wants the package %s of %s at %s, which has no such package", g.shown, key, g.source.url, g.source.commit)
		}
		changed[path.Join(dir, cargoChecksumName)] = []byte(cargoChecksum)
		m, err := t.manifest(dir)
		if err != nil {
			return err
		}
		if !m.inherits() {
			continue
		}
		if m, err = t.whole(dir); err != nil {
			return err
		}
		name := path.Join(dir, manifestName)
		if changed[name], err = m.print(); err != nil {
			return fault.Client(fault.InvalidFileFormat, "%s of %s at %s cannot be taken out of its workspace: %v", name, g.source.url, g.source.commit, err)
		}
	}
	g.entries = slices.DeleteFunc(g.entries, func(e resolver.Entry) bool { return changed[e.Path] != nil })
	for name, content := range changed {
		g.entries = append(g.entries, resolver.Entry{Path: name, Inline: content})
	}
	slices.SortFunc(g.entries, func(a, b resolver.Entry) int { return strings.Compare(a.Path, b.Path) })
	return nil
}
