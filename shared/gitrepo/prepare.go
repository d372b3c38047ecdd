package gitrepo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/plumbing/storer"
	"github.com/go-git/go-git/v5/storage/filesystem"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/resolver"
)

// historyFactor is how many times larger than one tree all versions of all files may be.
const historyFactor = 32

// maxCommitBytes bounds a commit object that we read.
const maxCommitBytes = 64 << 20

// want is what a repository must hold besides the commit's tree.
type want struct {
	tags       bool
	submodules bool
	full       bool // all history and all tags
}

// prepared is a repository whose cache folder holds what was wanted.
type prepared struct {
	dir     string
	discard func() // removes a temporary folder
	commit  commit
	full    bool
	reused  bool // the folder held something before
	tags    []resolver.Tag
	// refs are the tags on or above the commit; only for full.
	refs     []tagRef
	links    []gitlink
	modules  string // text of .gitmodules
	warnings []string

	store *filesystem.Storage // while it is open for reading
}

// commit is what we need of a commit object.
type commit struct {
	hash, tree plumbing.Hash
	parents    []plumbing.Hash
	time       time.Time
}

// prepare fills the cache folder of a repository, under its exclusive lock. A damaged folder is made
// anew.
func (c *Client) prepare(ctx context.Context, u remoteURL, ref plumbing.Hash, w want) (*prepared, error) {
	dir, discard, err := c.folder(u)
	if err != nil {
		return nil, err
	}
	unlock, err := lockFile(ctx, dir, true)
	if err != nil {
		discard()
		return nil, err
	}
	defer unlock()
	for try := 1; ; try++ {
		p, err := c.fill(ctx, dir, u, ref, w)
		if err == nil {
			p.discard = discard
			return p, nil
		}
		if ctx.Err() == nil && errors.Is(err, errDamaged) && try == 1 {
			if err = os.RemoveAll(dir); err == nil {
				continue
			}
		}
		discard()
		return nil, err
	}
}

func (c *Client) fill(ctx context.Context, dir string, u remoteURL, ref plumbing.Hash, w want) (*prepared, error) {
	r, err := openRepo(dir)
	if err != nil {
		return nil, err
	}
	defer r.close()
	if err := r.checkPacks(); err != nil {
		return nil, err
	}
	p := &prepared{dir: dir, full: w.full, reused: len(r.commits) > 0}
	remote := &remote{c: c, u: u, reused: p.reused}
	defer remote.close()
	if !r.has(ref, w.full) {
		if err := remote.fetchCommit(ctx, r, ref, p); err != nil {
			return nil, err
		}
	}
	if p.commit, err = readCommit(r.store, ref); err != nil {
		return nil, fmt.Errorf("%w: %v", errDamaged, err)
	}
	if w.tags || w.full {
		if err := remote.findTags(ctx, r, p, w); err != nil {
			return nil, err
		}
	}
	if w.submodules {
		if err := p.scan(r.store, c.settings.MaxEntries); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// remote is the server's side of a repository, connected when it is first needed.
type remote struct {
	c       *Client
	u       remoteURL
	reused  bool
	session session
}

func (m *remote) connect(ctx context.Context) (session, error) {
	if m.session != nil {
		return m.session, nil
	}
	var s session
	var err error
	switch m.u.Scheme {
	case "ssh":
		s, err = m.c.openSSH(ctx, m.u)
	case "git":
		s, err = m.c.openGit(ctx, m.u)
	default:
		s, err = m.c.openHTTP(ctx, m.u)
	}
	if err != nil {
		return nil, accessFault(err, m.u, m.reused)
	}
	m.session = s
	return s, nil
}

func (m *remote) close() {
	if m.session != nil {
		m.session.close()
	}
}

// fetchCommit brings a commit by its hash; when the server gives only what its refs point at, all of
// them.
func (m *remote) fetchCommit(ctx context.Context, r *repo, ref plumbing.Hash, p *prepared) error {
	s, err := m.connect(ctx)
	if err != nil {
		return err
	}
	ask := packRequest{wants: []plumbing.Hash{ref}, depth: 1}
	if p.full {
		ask.depth, ask.tags = 0, true
	}
	ask.haves, ask.shallows = r.haves(p.full)
	err = m.transfer(ctx, r, ask)
	if p.full && incomplete(err) {
		// The server lacks a part of the history: the commit alone must do.
		p.full = false
		p.warnings = append(p.warnings, "The server cannot send the whole history: .git holds the commit alone")
		if r.has(ref, false) {
			return nil
		}
		ask.depth, ask.tags = 1, false
		ask.haves, ask.shallows = r.haves(false)
		err = m.transfer(ctx, r, ask)
	}
	if notOurRef(err) {
		caps := s.refs().Capabilities
		if caps.Supports(capability.AllowReachableSHA1InWant) || caps.Supports("allow-any-sha1-in-want") {
			return missingRef(ref.String()).Because(err)
		}
		return m.fetchRefs(ctx, r, ref)
	}
	if err != nil {
		return accessFault(err, m.u, m.reused)
	}
	return m.accept(r, ref, p.full)
}

// incomplete reports a server that gave up in the middle of a transfer.
func incomplete(err error) bool {
	var remote *remoteError
	return errors.As(err, &remote) && !notOurRef(err)
}

// fetchRefs brings the history of all branches and tags, and looks for the commit in it.
func (m *remote) fetchRefs(ctx context.Context, r *repo, ref plumbing.Hash) error {
	s := m.session
	haves, _ := r.haves(true)
	here := map[plumbing.Hash]bool{}
	for _, k := range r.commits {
		here[k.hash] = here[k.hash] || k.full
	}
	var wants, heads []plumbing.Hash
	seen := map[plumbing.Hash]bool{}
	for name, hash := range s.refs().References {
		head := strings.HasPrefix(name, "refs/heads/")
		if !head && !strings.HasPrefix(name, "refs/tags/") || seen[hash] || here[hash] {
			continue
		}
		seen[hash] = true
		wants = append(wants, hash)
		if head {
			heads = append(heads, hash)
		}
	}
	if len(wants) > 0 {
		slices.SortFunc(wants, compareHashes)
		if err := m.transfer(ctx, r, packRequest{wants: wants, haves: haves}); err != nil {
			return accessFault(err, m.u, m.reused)
		}
	}
	slices.SortFunc(heads, compareHashes)
	for _, h := range heads {
		if err := r.add(h, true); err != nil {
			return err
		}
	}
	return m.accept(r, ref, true)
}

// accept records a commit that was fetched, if it is one: a tag's hash is not a ref.
func (m *remote) accept(r *repo, ref plumbing.Hash, full bool) error {
	o, err := r.store.EncodedObject(plumbing.AnyObject, ref)
	if errors.Is(err, plumbing.ErrObjectNotFound) {
		return missingRef(ref.String()).Because(err)
	}
	if err != nil {
		return fmt.Errorf("%w: %v", errDamaged, err)
	}
	if o.Type() != plumbing.CommitObject {
		return missingRef(ref.String()).Because(fmt.Errorf("it is a %s", o.Type()))
	}
	return r.add(ref, full)
}

// transfer stores a pack.
func (m *remote) transfer(ctx context.Context, r *repo, ask packRequest) error {
	s, err := m.connect(ctx)
	if err != nil {
		return err
	}
	pack, err := s.fetch(ctx, ask)
	if err != nil {
		return err
	}
	defer pack.Close()
	limited := &limitReader{r: pack, left: m.c.settings.MaxBytes}
	inflated := m.c.settings.MaxTreeBytes
	if ask.depth == 0 {
		inflated *= historyFactor
	}
	err = storePack(r, limited, inflated)
	if limited.left < 0 {
		return fault.Client(fault.UnsupportedFeature, "The repository %s is larger than %d bytes, the limit for one transfer", m.u.public(), m.c.settings.MaxBytes)
	}
	r.reopen()
	return err
}

// limitReader fails when more than left bytes come.
type limitReader struct {
	r    io.Reader
	left int64
}

var errLimit = errors.New("over the limit")

func (l *limitReader) Read(p []byte) (int, error) {
	n, err := l.r.Read(p)
	l.left -= int64(n)
	if l.left < 0 {
		return 0, errLimit
	}
	return n, err
}

func compareHashes(a, b plumbing.Hash) int { return bytes.Compare(a[:], b[:]) }

// readCommit reads a commit object. The time is the committer's.
func readCommit(s storer.EncodedObjectStorer, hash plumbing.Hash) (commit, error) {
	o, err := s.EncodedObject(plumbing.CommitObject, hash)
	if err != nil {
		return commit{}, fmt.Errorf("reading commit %s: %w", hash, err)
	}
	if o.Size() > maxCommitBytes {
		return commit{}, fmt.Errorf("reading commit %s: larger than %d bytes", hash, maxCommitBytes)
	}
	rd, err := o.Reader()
	if err != nil {
		return commit{}, fmt.Errorf("reading commit %s: %w", hash, err)
	}
	defer rd.Close()
	text, err := io.ReadAll(io.LimitReader(rd, maxCommitBytes))
	if err != nil {
		return commit{}, fmt.Errorf("reading commit %s: %w", hash, err)
	}
	c := commit{hash: hash}
	header, _, _ := strings.Cut(string(text), "\n\n")
	for line := range strings.Lines(header) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		switch key {
		case "tree":
			c.tree = plumbing.NewHash(value)
		case "parent":
			c.parents = append(c.parents, plumbing.NewHash(value))
		case "committer": // Name <mail> 1700000000 +0100
			fields := strings.Fields(value[strings.LastIndexByte(value, '>')+1:])
			if len(fields) > 0 {
				if n, err := strconv.ParseInt(fields[0], 10, 64); err == nil {
					c.time = time.Unix(n, 0).UTC()
				}
			}
		}
	}
	if c.tree.IsZero() {
		return commit{}, fmt.Errorf("reading commit %s: it names no tree", hash)
	}
	if c.time.IsZero() {
		c.time = time.Unix(0, 0).UTC() // git shows such a commit as of 1970, too
	}
	return c, nil
}

// openAll opens the folders for reading, each once and in one order, under shared locks.
func (c *Client) openAll(ctx context.Context, all []*prepared) (_ func(), err error) {
	var undo []func()
	closeAll := func() { // not the result, which is nil after an error
		for _, f := range slices.Backward(undo) {
			f()
		}
	}
	defer func() {
		if err != nil {
			closeAll()
		}
	}()
	open := map[string]*repo{}
	sorted := slices.SortedFunc(slices.Values(all), func(a, b *prepared) int { return strings.Compare(a.dir, b.dir) })
	for _, p := range sorted {
		r := open[p.dir]
		if r == nil {
			unlock, err := lockFile(ctx, p.dir, false)
			if err != nil {
				return nil, err
			}
			undo = append(undo, unlock)
			if r, err = openRepo(p.dir); err != nil {
				return nil, errCacheChanged
			}
			undo = append(undo, r.close)
			open[p.dir] = r
		}
		if !r.has(p.commit.hash, p.full) {
			return nil, errCacheChanged
		}
		p.store = r.store
	}
	return closeAll, nil
}

// forget removes folders that turned out to be damaged, as far as no one else uses them.
func (c *Client) forget(ctx context.Context, all []*prepared) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	for _, p := range all {
		if unlock, err := lockFile(ctx, p.dir, true); err == nil {
			os.RemoveAll(p.dir)
			unlock()
		}
	}
}

// readBlob reads a small blob whole.
func readBlob(s storer.EncodedObjectStorer, hash plumbing.Hash, max int64) (string, error) {
	b, err := object.GetBlob(s, hash)
	if err != nil {
		return "", err
	}
	if b.Size > max {
		return "", fmt.Errorf("larger than %d bytes", max)
	}
	rd, err := b.Reader()
	if err != nil {
		return "", err
	}
	defer rd.Close()
	text, err := io.ReadAll(io.LimitReader(rd, max+1))
	return string(text), err
}

func historyDir(r *repo) string { return filepath.Join(r.dir, "history") }
