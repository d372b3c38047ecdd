package gitrepo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	git "github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/format/gitignore"
	"github.com/go-git/go-git/v5/storage/filesystem"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/resolver"
)

// Repositories on this machine, for the one-shot fetch of a folder. They are the user's own: they
// are read, never changed, and no program is started for them.

// openLocal opens a work tree (also a linked one, whose .git is a file) or a bare repository.
func openLocal(dir string) (*git.Repository, error) {
	r, err := git.PlainOpenWithOptions(dir, &git.PlainOpenOptions{EnableDotGitCommonDir: true})
	if errors.Is(err, git.ErrRepositoryNotExists) {
		return nil, fault.Client(fault.RepositoryAccessError, "%s is no git repository", dir).Because(err)
	}
	if err != nil {
		return nil, fault.Client(fault.RepositoryAccessError, "The git repository %s cannot be opened: %v", dir, err).Because(err)
	}
	return r, nil
}

// LocalInfo tells of the repository in a folder: the commit that is checked out, the URL of its remote
// "origin" (without user info; empty when there is none), and the paths that differ from the commit:
// changed, deleted, or untracked and not ignored; sorted, at most MaxListed.
func LocalInfo(dir string) (head, originURL string, dirty []string, err error) {
	r, err := openLocal(dir)
	if err != nil {
		return "", "", nil, err
	}
	ref, err := r.Head()
	if err != nil {
		return "", "", nil, fault.Client(fault.RepositoryAccessError, "The git repository %s has no commit yet", dir).Because(err)
	}
	head = ref.Hash().String()
	if origin, err := r.Remote("origin"); err == nil && len(origin.Config().URLs) > 0 {
		originURL = withoutPassword(origin.Config().URLs[0])
	}
	tree, err := r.Worktree()
	if errors.Is(err, git.ErrIsBareRepository) {
		return head, originURL, nil, nil
	}
	if err != nil {
		return "", "", nil, fmt.Errorf("reading the work tree %s: %w", dir, err)
	}
	status, err := tree.Status()
	if err != nil {
		return "", "", nil, fmt.Errorf("comparing the work tree %s with its commit: %w", dir, err)
	}
	for name, s := range status {
		if s.Staging != git.Unmodified || s.Worktree != git.Unmodified {
			dirty = append(dirty, name)
		}
	}
	slices.Sort(dirty)
	return head, originURL, dirty[:min(len(dirty), MaxListed)], nil
}

// withoutPassword takes the user info off http URLs; an ssh user is no secret.
func withoutPassword(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.User == nil {
		return raw
	}
	if u.Scheme == "ssh" {
		u.User = url.User(u.User.Username())
	} else {
		u.User = nil
	}
	return u.String()
}

func (c *Client) fetchLocal(ctx context.Context, req Request, sink TreeSink) (Info, error) {
	r, err := openLocal(req.LocalPath)
	if err != nil {
		return Info{}, err
	}
	store, ok := r.Storer.(*filesystem.Storage)
	if !ok {
		return Info{}, fmt.Errorf("opening %s: unexpected storage %T", req.LocalPath, r.Storer)
	}
	defer store.Close()
	ref := plumbing.NewHash(req.Ref)
	o, err := store.EncodedObject(plumbing.AnyObject, ref)
	if err != nil || o.Type() != plumbing.CommitObject {
		return Info{}, missingRef(req.Ref).Because(err)
	}
	shallow, err := store.Shallow()
	if err != nil {
		return Info{}, fmt.Errorf("reading the list of shallow commits: %w", err)
	}
	p := &prepared{store: store, full: len(shallow) == 0}
	if p.commit, err = readCommit(store, ref); err != nil {
		return Info{}, err
	}
	if req.Tags || req.GitDir {
		if err := p.localTags(ctx, r, req.GitDir); err != nil {
			return Info{}, err
		}
	}
	info := Info{CommitTime: p.commit.time, Tags: p.tags, Warnings: p.warnings}
	if !req.Tags {
		info.Tags = nil
	}
	subs, closeSubs, err := c.localSubmodules(ctx, req, p, &info)
	if err != nil {
		return Info{}, err
	}
	defer closeSubs()

	w := newWalker(c.settings, sink, &info)
	if req.GitDir {
		tmp, err := os.MkdirTemp("", "cachito-git-")
		if err != nil {
			return Info{}, fmt.Errorf("making a temporary folder: %w", err)
		}
		defer os.RemoveAll(tmp)
		p.dir = filepath.Join(tmp, "repo")
		if w.gitDir, err = c.makeGitDir(ctx, p, withoutPassword(req.URL), &info); err != nil {
			return Info{}, err
		}
	}
	if req.Dirty {
		info.CommitTime = time.Unix(0, 0).UTC()
		return info, w.workTree(ctx, r, req.LocalPath)
	}
	w.subs = subs
	return info, w.run(ctx, checkout{objects: store, tree: p.commit.tree})
}

// localSubmodules fetches the submodules that a commit names; with Request.Dirty they are only
// described, and the work tree has their files.
func (c *Client) localSubmodules(ctx context.Context, req Request, p *prepared, info *Info) (map[string]checkout, func(), error) {
	nothing := func() {}
	if !req.Submodules {
		return nil, nothing, nil
	}
	if err := p.scan(p.store, c.settings.MaxEntries); err != nil || len(p.links) == 0 {
		return nil, nothing, err
	}
	u, err := parseURL(req.URL)
	if err != nil {
		return nil, nothing, fmt.Errorf("resolving the submodules of %s: %w", req.LocalPath, err)
	}
	mods, warnings, err := p.submodules(u)
	if err != nil {
		return nil, nothing, err
	}
	info.Warnings = append(info.Warnings, warnings...)
	var all []*prepared
	discard := func() {
		for _, s := range all {
			s.discard()
		}
	}
	for _, m := range mods {
		sub, err := c.prepareSubmodule(ctx, m, req.Tags)
		if err != nil {
			discard()
			return nil, nothing, err
		}
		all = append(all, sub)
		info.Submodules = append(info.Submodules, sub.describe(m))
	}
	closeAll, err := c.openAll(ctx, all)
	if err != nil {
		discard()
		return nil, nothing, err
	}
	subs := map[string]checkout{}
	for i, s := range all {
		subs[mods[i].path] = checkout{objects: s.store, tree: s.commit.tree}
	}
	return subs, func() { closeAll(); discard() }, nil
}

// localTags finds the tags on or above the commit in the repository's own refs.
func (p *prepared) localTags(ctx context.Context, r *git.Repository, all bool) error {
	refs, err := r.Tags()
	if err != nil {
		return fmt.Errorf("listing the tags: %w", err)
	}
	var tags []tagRef
	err = refs.ForEach(func(ref *plumbing.Reference) error {
		t := tagRef{name: strings.TrimPrefix(ref.Name().String(), "refs/tags/"), hash: ref.Hash(), target: ref.Hash()}
		if !validRef(t.name) || !all && !versionTag.MatchString(path.Base(t.name)) {
			return nil
		}
		for {
			tag, err := r.TagObject(t.target)
			if err != nil {
				break
			}
			t.target = tag.Target
		}
		tags = append(tags, t)
		return nil
	})
	if err != nil {
		return fmt.Errorf("listing the tags: %w", err)
	}
	slices.SortFunc(tags, func(a, b tagRef) int { return strings.Compare(a.name, b.name) })
	above := map[plumbing.Hash]bool{}
	for _, t := range tags {
		if t.target != p.commit.hash {
			above[t.target] = false
		}
	}
	if err := walkHistory(ctx, p.store, p.commit, above, !p.full); err != nil {
		return err
	}
	if !p.full && len(above) > 0 {
		p.warnings = append(p.warnings, "The clone is shallow: tags on commits that it lacks are not seen, and versions may come out differently. git fetch --unshallow brings them")
	}
	for _, t := range tags {
		onRef := t.target == p.commit.hash
		if !onRef && !above[t.target] {
			continue
		}
		if versionTag.MatchString(path.Base(t.name)) {
			p.tags = append(p.tags, resolver.Tag{Name: t.name, OnRef: onRef})
		}
		p.refs = append(p.refs, t)
	}
	return nil
}

// workTree sends the files of a work tree as they are: all that are tracked or not ignored.
func (w *walker) workTree(ctx context.Context, r *git.Repository, dir string) error {
	wt, err := r.Worktree()
	if err != nil {
		return fault.Client(fault.RepositoryAccessError, "%s has no work tree", dir).Because(err)
	}
	index, err := r.Storer.Index()
	if err != nil {
		return fmt.Errorf("reading the index of %s: %w", dir, err)
	}
	tracked := map[string]bool{} // files, and all folders above them
	links := map[string]bool{}
	for _, e := range index.Entries {
		links[e.Name] = e.Mode == filemode.Submodule
		for p := e.Name; p != "." && !tracked[p]; p = path.Dir(p) {
			tracked[p] = true
		}
	}
	patterns, err := gitignore.ReadPatterns(wt.Filesystem, nil)
	if err != nil {
		return fmt.Errorf("reading the .gitignore files of %s: %w", dir, err)
	}
	ignored := gitignore.NewMatcher(patterns)

	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("opening %s: %w", dir, err)
	}
	defer root.Close()
	var names []string
	inSubmodule := func(p string) bool {
		for ; p != "."; p = path.Dir(p) {
			if links[p] {
				return true
			}
		}
		return false
	}
	err = fs.WalkDir(root.FS(), ".", func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case p == ".":
			return nil
		case d.Name() == ".git":
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		case !tracked[p] && !inSubmodule(p) && ignored.Match(strings.Split(p, "/"), d.IsDir()):
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		case d.IsDir() && !links[p]:
			return nil
		}
		if len(names) >= w.settings.MaxEntries {
			return tooMany(w.settings.MaxEntries)
		}
		names = append(names, p)
		return ctx.Err()
	})
	if err != nil {
		return fmt.Errorf("reading the work tree %s: %w", dir, err)
	}
	slices.Sort(names)
	gitDirDue := w.gitDir != nil
	for i, name := range names {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if gitDirDue && name > ".git/" {
			gitDirDue = false
			if err := w.gitDir.emit(w.sink); err != nil {
				return err
			}
		}
		if links[name] {
			below, _ := slices.BinarySearch(names, name+"/")
			if below < len(names) && strings.HasPrefix(names[below], name+"/") && below >= i {
				continue // a submodule with files of its own
			}
		}
		if err := w.workFile(root, name); err != nil {
			return err
		}
	}
	if gitDirDue {
		return w.gitDir.emit(w.sink)
	}
	return nil
}

func (w *walker) workFile(root *os.Root, name string) error {
	info, err := root.Lstat(name)
	if err != nil {
		return fmt.Errorf("reading the work tree: %w", err)
	}
	switch {
	case info.IsDir():
		return sinkError(name, w.sink.Dir(name))
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := root.Readlink(name)
		if err != nil {
			return fmt.Errorf("reading the work tree: %w", err)
		}
		return sinkError(name, w.sink.Link(name, target))
	case !info.Mode().IsRegular():
		w.info.Warnings = append(w.info.Warnings, fmt.Sprintf("%s is no file, folder or link and is left out", name))
		return nil
	}
	f, err := root.Open(name)
	if err != nil {
		return fmt.Errorf("reading the work tree: %w", err)
	}
	defer f.Close()
	if info, err = f.Stat(); err != nil {
		return fmt.Errorf("reading the work tree: %w", err)
	}
	if w.bytes += info.Size(); w.bytes > w.settings.MaxTreeBytes {
		return fault.Client(fault.UnsupportedFeature, "The files of the work tree have more than %d bytes together, the limit", w.settings.MaxTreeBytes)
	}
	mode := fs.FileMode(0o644)
	if info.Mode()&0o100 != 0 {
		mode = 0o755
	}
	return w.emit(name, mode, info.Size(), io.Reader(f))
}
