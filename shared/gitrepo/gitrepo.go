// Package gitrepo reads the tree of a git repository at one commit, with what a request needs to know
// besides: the commit's time, the version tags on it or above it, and its submodules.
//
// It speaks git's upload-pack protocol itself, over HTTP, ssh and git, always through package fetch's
// address guard, and starts no process: nothing that a repository brings (hook, filter, fsmonitor,
// alternate, ext:: transport) can run, and there is no work tree. A commit is fetched by its hash at
// depth 1; history is fetched only when tags need it, without its trees where the server can filter.
// Bare repositories are kept between requests in Settings.CacheDir, as an optimisation only.
//
// Start reading at Client.Fetch.
package gitrepo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"regexp"
	"time"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/fetch"
	"github.com/cachito-serverless/cachito/shared/resolver"
	"github.com/cachito-serverless/cachito/shared/telemetry"
)

// Limits. Those that an operator may need to raise are fields of Settings as well.
const (
	// DefaultMaxBytes bounds one transfer (a pack).
	DefaultMaxBytes = 4 << 30
	// DefaultMaxTreeBytes bounds all files of a tree together. A small pack can unfold to much more.
	DefaultMaxTreeBytes = 16 << 30
	// DefaultMaxEntries bounds files, links and folders of a tree.
	DefaultMaxEntries = 1_000_000
	// DefaultTimeout bounds everything that one Fetch does.
	DefaultTimeout = 30 * time.Minute
	// MaxRefsBytes bounds a server's list of refs.
	MaxRefsBytes = 64 << 20
	// MaxDepth of folders, MaxPathBytes of a path, MaxLinkBytes of a link's target.
	MaxDepth     = 512
	MaxPathBytes = 4096
	MaxLinkBytes = 4096
	// MaxSubmodules that one repository may have checked out.
	MaxSubmodules = 256
	// MaxURLBytes of a repository's URL.
	MaxURLBytes = 4096
	// MaxHistory is how many commits are looked at for tags.
	MaxHistory = 5_000_000
	// MaxListed bounds lists of files in Info.
	MaxListed = 1000
)

// Settings of a Client.
type Settings struct {
	Fetch *fetch.Client
	// CacheDir keeps bare repositories between requests; several processes may share it. Empty:
	// each Fetch uses a temporary folder.
	CacheDir string
	// CacheMaxBytes bounds CacheDir: the least recently used repositories go first. 0: no limit.
	CacheMaxBytes int64
	// SSHKeyFile is a private key without passphrase; KnownHostsFile the host keys that are
	// accepted. ssh URLs need both.
	SSHKeyFile     string
	KnownHostsFile string

	MaxBytes     int64
	MaxTreeBytes int64
	MaxEntries   int
	Timeout      time.Duration
}

// Client fetches trees. It is safe for concurrent use, by several processes as well.
type Client struct {
	settings Settings
}

// New makes a client.
func New(s Settings) (*Client, error) {
	if s.Fetch == nil {
		return nil, errors.New("gitrepo: no fetch client")
	}
	if s.MaxBytes <= 0 {
		s.MaxBytes = DefaultMaxBytes
	}
	if s.MaxTreeBytes <= 0 {
		s.MaxTreeBytes = DefaultMaxTreeBytes
	}
	if s.MaxEntries <= 0 {
		s.MaxEntries = DefaultMaxEntries
	}
	if s.Timeout <= 0 {
		s.Timeout = DefaultTimeout
	}
	return &Client{settings: s}, nil
}

// Request names a tree and what else is wanted of its repository.
type Request struct {
	// URL is http, https, ssh, git, or scp-like (git@host:path). It may hold user info, which no
	// error, log line or file ever shows.
	URL string
	// Ref is a commit: 40 lower-case hex digits.
	Ref string
	// Submodules fills in the submodules of the first level; otherwise their folders are empty.
	Submodules bool
	// Tags asks for Info.Tags, of the submodules too.
	Tags bool
	// GitDir adds a .git folder with the commit's whole history.
	GitDir bool

	// LocalPath is a repository on this machine (a work tree or a bare one) to read instead of
	// URL, which then only names it.
	LocalPath string
	// Dirty takes LocalPath's work tree as it is, instead of Ref's tree.
	Dirty bool
}

// TreeSink receives a tree. Paths are relative, slash-separated and clean, come in byte order of
// the whole path, each once, and no element is ".git" (but for Request.GitDir's). A sink's error ends
// the fetch and is returned as it is, wrapped.
type TreeSink interface {
	// Dir is an empty folder: a submodule that is not filled in, or an empty one of .git.
	Dir(path string) error
	// File has mode 0644 or 0755, and size bytes in content.
	File(path string, mode fs.FileMode, size int64, content io.Reader) error
	// Link is a symbolic link; its target is as the author wrote it.
	Link(path, target string) error
}

// Info is what Fetch learns besides the tree.
type Info struct {
	// CommitTime is the committer time of the ref, UTC.
	CommitTime time.Time
	// Tags on the ref or an ancestor whose last path element begins like a version (v1, sub/v1.2.3),
	// sorted by name; nil unless asked for.
	Tags []resolver.Tag
	// Submodules that were filled in, by path.
	Submodules []resolver.Submodule
	// LFSPointers are files whose content lies in Git LFS, which is not fetched; at most MaxListed.
	LFSPointers []string
	// Warnings are for the request's log.
	Warnings []string
}

var commitPattern = regexp.MustCompile(`^[0-9a-f]{40}$`)

// missingRef is upstream's sentence for a ref that is not there, word for word.
func missingRef(ref string) *fault.Error {
	return fault.Client(fault.InvalidRequestData,
		`Failed on checking out the Git repository. Please verify the supplied reference of "%s" is valid.`, ref)
}

// Fetch sends the tree of a commit to sink.
//
// Faults: InvalidRequestData for a ref that is not there (or no commit), RepositoryAccessError for a
// repository that cannot be read (the client's when it does not exist, is not readable or its URL is
// not allowed; else the server's), SubprocessCallError (upstream's type) for submodules,
// UnsupportedFeature beyond a limit.
func (c *Client) Fetch(ctx context.Context, req Request, sink TreeSink) (Info, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, c.settings.Timeout,
		fault.Server(fault.NetworkError, "The connection timed out while downloading the source"))
	defer cancel()
	ctx, span := telemetry.Start(ctx, "git fetch", telemetry.Internal)
	defer span.End()
	if span.On() {
		span.Text("vcs.repository.url.full", fetch.Redact(req.URL))
		span.Text("vcs.ref.head.revision", req.Ref)
	}
	info, err := c.run(ctx, req, sink)
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil && span.On() {
		span.Fail(fault.From(err).Message)
	}
	return info, err
}

func (c *Client) run(ctx context.Context, req Request, sink TreeSink) (Info, error) {
	if !commitPattern.MatchString(req.Ref) {
		return Info{}, missingRef(req.Ref)
	}
	if req.LocalPath != "" {
		return c.fetchLocal(ctx, req, sink)
	}
	u, err := parseURL(req.URL)
	if err != nil {
		return Info{}, err
	}
	const tries = 3 // a cached repository can be replaced between being filled and being read
	for try := 1; ; try++ {
		info, err := c.fetchRemote(ctx, req, u, sink)
		if try < tries && errors.Is(err, errCacheChanged) {
			continue
		}
		return info, err
	}
}

// fetchRemote fills the caches of the repository and its submodules, one after the other and each
// under its own exclusive lock, then reads them all under shared locks: no one waits for a lock while
// holding an exclusive one, so repositories may well contain each other.
func (c *Client) fetchRemote(ctx context.Context, req Request, u remoteURL, sink TreeSink) (Info, error) {
	ref := plumbing.NewHash(req.Ref)
	top, err := c.prepare(ctx, u, ref, want{tags: req.Tags, submodules: req.Submodules, full: req.GitDir})
	if err != nil {
		return Info{}, err
	}
	defer top.discard()
	info := Info{CommitTime: top.commit.time, Tags: top.tags, Warnings: top.warnings}
	subs := map[string]*prepared{}
	if req.Submodules {
		mods, warnings, err := top.submodules(u)
		if err != nil {
			return Info{}, err
		}
		info.Warnings = append(info.Warnings, warnings...)
		for _, m := range mods {
			sub, err := c.prepareSubmodule(ctx, m, req.Tags)
			if err != nil {
				return Info{}, err
			}
			defer sub.discard()
			subs[m.path] = sub
			info.Submodules = append(info.Submodules, sub.describe(m))
			info.Warnings = append(info.Warnings, sub.warnings...)
		}
	}
	all := []*prepared{top}
	for _, s := range subs {
		all = append(all, s)
	}
	closeAll, err := c.openAll(ctx, all)
	if err != nil {
		return Info{}, err
	}
	err = c.send(ctx, req, u, top, subs, sink, &info)
	closeAll()
	if err != nil && ctx.Err() == nil && brokenCache(err) {
		c.forget(ctx, all)
		err = fault.Server(fault.RepositoryAccessError, "%s", textFetch).Because(fmt.Errorf("the tree is not complete: %w", err))
	}
	if err != nil {
		return Info{}, err
	}
	c.prune()
	return info, nil
}

// send walks the open repositories.
func (c *Client) send(ctx context.Context, req Request, u remoteURL, top *prepared, subs map[string]*prepared, sink TreeSink, info *Info) error {
	w := newWalker(c.settings, sink, info)
	for path, s := range subs {
		w.subs[path] = checkout{objects: s.store, tree: s.commit.tree}
	}
	if req.GitDir {
		dir, err := c.makeGitDir(ctx, top, u.public(), info)
		if err != nil {
			return err
		}
		defer dir.remove()
		w.gitDir = dir
	}
	return w.run(ctx, checkout{objects: top.store, tree: top.commit.tree})
}

// brokenCache: reading failed for a reason that is neither the repository's content nor the sink's.
func brokenCache(err error) bool {
	var f *fault.Error
	var sink *sinkFailure
	return !errors.As(err, &f) && !errors.As(err, &sink)
}
