// Package gitrepotest builds small git repositories for tests and demonstrations, and serves them
// over smart HTTP on loopback. Authors and times are fixed, so the same calls give the same commits.
//
// It is for fixtures: what cannot be built panics with the reason. Building needs no git command;
// serving runs `git http-backend`.
//
//	srv := gitrepotest.NewServer(t)
//	repo := srv.Init("owner/name")
//	first := repo.Commit(map[string]string{"go.mod": "module example.org/m\n"})
//	repo.Tag("v1.0.0", first)
//	url := srv.URL("owner/name")
package gitrepotest

import (
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	git "github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/config"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// Author of every commit and tag.
const (
	AuthorName  = "Test Author"
	AuthorEmail = "test@example.com"
)

// Epoch is the time of a repository's first commit; every further one is a minute later.
var Epoch = time.Date(2024, time.January, 2, 3, 4, 5, 0, time.UTC)

// Repo is a bare repository that grows by Commit. It is not safe for concurrent use.
type Repo struct {
	Dir     string
	repo    *git.Repository
	entries map[string]object.TreeEntry // by path
	head    plumbing.Hash
	branch  string
	commits int
}

// Init makes an empty bare repository in dir, whose HEAD is the branch "main".
func Init(dir string) *Repo {
	repo, err := git.PlainInitWithOptions(dir, &git.PlainInitOptions{
		Bare:        true,
		InitOptions: git.InitOptions{DefaultBranch: "refs/heads/main"},
	})
	must(err)
	// `git upload-pack` asks for an author's identity nowhere, but reads the file.
	cfg, err := repo.Config()
	must(err)
	cfg.Core.IsBare = true
	must(repo.Storer.SetConfig(cfg))
	return &Repo{Dir: dir, repo: repo, entries: map[string]object.TreeEntry{}, branch: "main"}
}

// Option changes what Commit records.
type Option func(*change)

type change struct {
	links      map[string]string
	gitlinks   map[string]string
	executable map[string]bool
	deleted    []string
	parents    []string
	message    string
	at         time.Time
	detached   bool
}

// Symlink adds a symbolic link.
func Symlink(path, target string) Option {
	return func(c *change) { c.links[path] = target }
}

// Gitlink adds a submodule's commit at path; write .gitmodules yourself.
func Gitlink(path, commit string) Option {
	return func(c *change) { c.gitlinks[path] = commit }
}

// Executable gives files of this commit mode 0755.
func Executable(paths ...string) Option {
	return func(c *change) {
		for _, p := range paths {
			c.executable[p] = true
		}
	}
}

// Delete removes files, or whole folders.
func Delete(paths ...string) Option {
	return func(c *change) { c.deleted = append(c.deleted, paths...) }
}

// Parents replaces the parent (the commit before): several make a merge, none a new root.
func Parents(commits ...string) Option {
	return func(c *change) { c.parents = append([]string{}, commits...) }
}

// Message of the commit; "Commit N" otherwise.
func Message(m string) Option {
	return func(c *change) { c.message = m }
}

// At sets author and committer time.
func At(t time.Time) Option {
	return func(c *change) { c.at = t }
}

// Detached makes a commit that no branch leads to, and on which the next one does not build.
func Detached() Option {
	return func(c *change) { c.detached = true }
}

// Commit adds or replaces files (path -> content) on top of the tree of the commit before, moves the
// branch there and returns the commit's hash.
func (r *Repo) Commit(files map[string]string, opts ...Option) string {
	c := change{
		links: map[string]string{}, gitlinks: map[string]string{}, executable: map[string]bool{},
		message: fmt.Sprintf("Commit %d\n", r.commits+1),
		at:      Epoch.Add(time.Duration(r.commits) * time.Minute),
	}
	for _, o := range opts {
		o(&c)
	}
	r.commits++

	entries := maps.Clone(r.entries)
	for _, p := range c.deleted {
		maps.DeleteFunc(entries, func(name string, _ object.TreeEntry) bool {
			return name == p || strings.HasPrefix(name, p+"/")
		})
	}
	for p, content := range files {
		mode := filemode.Regular
		if c.executable[p] {
			mode = filemode.Executable
		}
		entries[p] = object.TreeEntry{Mode: mode, Hash: r.blob(content)}
	}
	for p, target := range c.links {
		entries[p] = object.TreeEntry{Mode: filemode.Symlink, Hash: r.blob(target)}
	}
	for p, commit := range c.gitlinks {
		entries[p] = object.TreeEntry{Mode: filemode.Submodule, Hash: plumbing.NewHash(commit)}
	}

	commit := &object.Commit{
		Author: signature(c.at), Committer: signature(c.at), Message: c.message,
		TreeHash: r.tree(entries, ""),
	}
	switch {
	case c.parents != nil:
		for _, p := range c.parents {
			commit.ParentHashes = append(commit.ParentHashes, plumbing.NewHash(p))
		}
	case !r.head.IsZero():
		commit.ParentHashes = []plumbing.Hash{r.head}
	}
	hash := r.store(commit)
	if !c.detached {
		r.entries, r.head = entries, hash
		r.setRef("refs/heads/"+r.branch, hash)
	}
	return hash.String()
}

// Branch makes further commits go to another branch, starting at commit.
func (r *Repo) Branch(name, commit string) {
	r.branch, r.head = name, plumbing.NewHash(commit)
	r.setRef("refs/heads/"+name, r.head)
	r.entries = map[string]object.TreeEntry{}
	c, err := r.repo.CommitObject(r.head)
	must(err)
	tree, err := c.Tree()
	must(err)
	walker := object.NewTreeWalker(tree, true, nil)
	defer walker.Close()
	for {
		name, entry, err := walker.Next()
		if err == io.EOF {
			return
		}
		must(err)
		if entry.Mode != filemode.Dir {
			r.entries[name] = object.TreeEntry{Mode: entry.Mode, Hash: entry.Hash}
		}
	}
}

// Tag makes (or moves) a lightweight tag.
func (r *Repo) Tag(name, commit string) { r.setRef("refs/tags/"+name, plumbing.NewHash(commit)) }

// AnnotatedTag makes a tag object for a commit (or another tag object) and returns its hash.
func (r *Repo) AnnotatedTag(name, target string) string {
	targetHash := plumbing.NewHash(target)
	obj, err := r.repo.Storer.EncodedObject(plumbing.AnyObject, targetHash)
	must(err)
	hash := r.store(&object.Tag{
		Name: name, Tagger: signature(Epoch), Message: name + "\n",
		TargetType: obj.Type(), Target: targetHash,
	})
	r.setRef("refs/tags/"+name, hash)
	return hash.String()
}

// RemoveRef removes a ref such as "refs/heads/side"; its commits stay.
func (r *Repo) RemoveRef(name string) {
	must(r.repo.Storer.RemoveReference(plumbing.ReferenceName(name)))
}

// Config sets a value of the repository's own configuration, e.g. ("uploadpack", "allowFilter", "false").
func (r *Repo) Config(section, key, value string) {
	cfg, err := r.repo.Config()
	must(err)
	cfg.Raw.SetOption(section, "", key, value)
	must(r.repo.Storer.SetConfig(cfg))
}

func (r *Repo) setRef(name string, hash plumbing.Hash) {
	must(r.repo.Storer.SetReference(plumbing.NewHashReference(plumbing.ReferenceName(name), hash)))
}

func (r *Repo) blob(content string) plumbing.Hash {
	o := r.repo.Storer.NewEncodedObject()
	o.SetType(plumbing.BlobObject)
	w, err := o.Writer()
	must(err)
	_, err = io.WriteString(w, content)
	must(err)
	must(w.Close())
	if r.repo.Storer.HasEncodedObject(o.Hash()) == nil {
		return o.Hash() // thousands of equal files are one object, written once
	}
	hash, err := r.repo.Storer.SetEncodedObject(o)
	must(err)
	return hash
}

// tree stores the tree of everything below dir and returns its hash.
func (r *Repo) tree(entries map[string]object.TreeEntry, dir string) plumbing.Hash {
	children := map[string]object.TreeEntry{}
	for p, e := range entries {
		if clean := path.Clean("/" + p)[1:]; clean != p || p == "" {
			panic(fmt.Sprintf("gitrepotest: path %q is not clean and relative", p))
		}
		rest, below := strings.CutPrefix(p, dir)
		if !below {
			continue
		}
		name, _, nested := strings.Cut(rest, "/")
		if !nested {
			e.Name = name
			children[name] = e
		} else if _, done := children[name]; !done {
			children[name] = object.TreeEntry{Name: name, Mode: filemode.Dir, Hash: r.tree(entries, dir+name+"/")}
		}
	}
	t := &object.Tree{Entries: slices.Collect(maps.Values(children))}
	slices.SortFunc(t.Entries, func(a, b object.TreeEntry) int { return strings.Compare(sortName(a), sortName(b)) })
	return r.store(t)
}

// sortName is what git orders the entries of a tree by: folders as if their name ended in a slash.
func sortName(e object.TreeEntry) string {
	if e.Mode == filemode.Dir {
		return e.Name + "/"
	}
	return e.Name
}

func (r *Repo) store(o interface {
	Encode(plumbing.EncodedObject) error
},
) plumbing.Hash {
	enc := r.repo.Storer.NewEncodedObject()
	must(o.Encode(enc))
	hash, err := r.repo.Storer.SetEncodedObject(enc)
	must(err)
	return hash
}

// SetOrigin records a remote "origin", as a clone has it.
func (r *Repo) SetOrigin(url string) {
	_, err := r.repo.CreateRemote(&config.RemoteConfig{Name: "origin", URLs: []string{url}})
	must(err)
}

func signature(at time.Time) object.Signature {
	return object.Signature{Name: AuthorName, Email: AuthorEmail, When: at}
}

func must(err error) {
	if err != nil {
		panic("gitrepotest: " + err.Error())
	}
}
