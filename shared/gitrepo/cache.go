package gitrepo

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/storage/filesystem"
)

// A cached repository is a folder named by a hash of its URL:
//
//	<hash>/            a bare repository whose packs hold single commits (or whole histories)
//	<hash>/commits     lines "<commit> shallow" or "<commit> full": what is complete in it
//	<hash>/history/    the same for commits without trees, made when tags need it
//	<hash>.lock        exclusive to fill it, shared to read it; its time is the last use
//
// No file of it holds the URL, or user info.

const (
	// lockPoll is the pause between two tries to get a lock.
	lockPoll = 20 * time.Millisecond
	// maxCommitsBytes bounds the file "commits"; beyond, the repository is made anew.
	maxCommitsBytes = 4 << 20
	// maxHaves is how many of our newest commits the server is told.
	maxHaves = 64
	// objectCacheBytes is for recently read objects of one repository.
	objectCacheBytes = 8 * cache.MiByte
	// streamedFrom is the size from which a blob is streamed out of its pack instead of read whole.
	streamedFrom = 1 << 20
)

// errDamaged is a cached repository that cannot be used; errCacheChanged one that is not as it was
// when it was filled. Both are cured by filling it again.
var (
	errDamaged      = errors.New("the cached repository is damaged")
	errCacheChanged = errors.New("the cached repository was replaced meanwhile")
)

// cacheKey names a repository's folder. The credential is part of it: what one credential could read
// is not shown to another.
func (c *Client) cacheKey(u remoteURL) string {
	id := u.Scheme + "\n" + strings.ToLower(u.Host) + "\n" + strings.TrimSuffix(strings.TrimRight(u.Path, "/"), ".git") + "\n" + u.RawQuery
	if u.Scheme == "http" || u.Scheme == "https" {
		id += "\n" + c.settings.Fetch.CredentialName(u.URL.String())
	}
	sum := sha256.Sum256([]byte(id))
	return hex.EncodeToString(sum[:16])
}

// folder gives the place of a repository; remove is for temporary ones.
func (c *Client) folder(u remoteURL) (dir string, remove func(), err error) {
	if c.settings.CacheDir == "" {
		parent, err := os.MkdirTemp("", "cachito-git-")
		if err != nil {
			return "", nil, fmt.Errorf("making a temporary folder: %w", err)
		}
		return filepath.Join(parent, "repo"), func() { os.RemoveAll(parent) }, nil
	}
	if err := os.MkdirAll(c.settings.CacheDir, 0o700); err != nil {
		return "", nil, fmt.Errorf("making the cache of repositories: %w", err)
	}
	return filepath.Join(c.settings.CacheDir, c.cacheKey(u)), func() {}, nil
}

// lockFile locks dir's lock file, waiting for others.
func lockFile(ctx context.Context, dir string, exclusive bool) (unlock func(), err error) {
	how := syscall.LOCK_SH
	if exclusive {
		how = syscall.LOCK_EX
	}
	for {
		f, err := os.OpenFile(dir+".lock", os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return nil, fmt.Errorf("locking a cached repository: %w", err)
		}
		err = syscall.Flock(int(f.Fd()), how|syscall.LOCK_NB)
		if err == nil && sameFile(f, dir+".lock") {
			now := time.Now()
			os.Chtimes(dir+".lock", now, now) // last use; a failure only makes it look older
			return func() { f.Close() }, nil
		}
		f.Close()
		if err != nil && !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			return nil, fmt.Errorf("locking a cached repository: %w", err)
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(lockPoll):
		}
	}
}

// sameFile is false when the lock file was pruned after it was opened: its lock means nothing then.
func sameFile(f *os.File, name string) bool {
	a, err := f.Stat()
	if err != nil {
		return false
	}
	b, err := os.Stat(name)
	return err == nil && os.SameFile(a, b)
}

// repo is an open repository folder, whose lock the caller holds.
type repo struct {
	dir     string
	store   *filesystem.Storage
	commits []known // oldest first
}

// known is a commit whose tree is complete; full: with all its history.
type known struct {
	hash plumbing.Hash
	full bool
}

// openRepo opens or makes the bare repository in dir. errDamaged when it cannot be used.
func openRepo(dir string) (*repo, error) {
	if err := os.MkdirAll(filepath.Join(dir, "objects", "pack"), 0o700); err != nil {
		return nil, fmt.Errorf("making a cached repository: %w", err)
	}
	r := &repo{dir: dir}
	if err := r.readCommits(); err != nil {
		return nil, err
	}
	r.reopen()
	return r, nil
}

// reopen forgets what was read of the packs' list, after a new pack was written.
func (r *repo) reopen() {
	r.close()
	r.store = newStorage(r.dir)
}

func newStorage(dir string) *filesystem.Storage {
	return filesystem.NewStorageWithOptions(osfs.New(dir, osfs.WithBoundOS()), cache.NewObjectLRU(objectCacheBytes),
		filesystem.Options{KeepDescriptors: true, LargeObjectThreshold: streamedFrom})
}

func (r *repo) close() {
	if r.store != nil {
		r.store.Close()
		r.store = nil
	}
}

func (r *repo) readCommits() error {
	f, err := os.Open(filepath.Join(r.dir, "commits"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%w: %v", errDamaged, err)
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || info.Size() > maxCommitsBytes {
		return fmt.Errorf("%w: its list of commits is too long", errDamaged)
	}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		hash, kind, _ := strings.Cut(lines.Text(), " ")
		if !commitPattern.MatchString(hash) || kind != "full" && kind != "shallow" {
			return fmt.Errorf("%w: its list of commits is not readable", errDamaged)
		}
		r.commits = append(r.commits, known{plumbing.NewHash(hash), kind == "full"})
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("%w: %v", errDamaged, err)
	}
	return nil
}

// add records a complete commit.
func (r *repo) add(hash plumbing.Hash, full bool) error {
	if r.has(hash, full) {
		return nil
	}
	f, err := os.OpenFile(filepath.Join(r.dir, "commits"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("recording a fetched commit: %w", err)
	}
	kind := "shallow"
	if full {
		kind = "full"
	}
	_, err = fmt.Fprintf(f, "%s %s\n", hash, kind)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("recording a fetched commit: %w", err)
	}
	r.commits = append(r.commits, known{hash, full})
	return nil
}

func (r *repo) has(hash plumbing.Hash, full bool) bool {
	return slices.ContainsFunc(r.commits, func(k known) bool { return k.hash == hash && (k.full || !full) })
}

// haves are the newest commits, for a fetch that needs only complete histories (full) or not.
func (r *repo) haves(full bool) (haves, shallows []plumbing.Hash) {
	fulls := map[plumbing.Hash]bool{}
	for _, k := range r.commits {
		fulls[k.hash] = fulls[k.hash] || k.full
	}
	seen := map[plumbing.Hash]bool{}
	for _, k := range slices.Backward(r.commits) {
		if len(haves) == maxHaves {
			break
		}
		if seen[k.hash] || full && !fulls[k.hash] {
			continue
		}
		seen[k.hash] = true
		haves = append(haves, k.hash)
		if !fulls[k.hash] {
			shallows = append(shallows, k.hash)
		}
	}
	return haves, shallows
}

// checkPacks compares each pack with the checksum at its end, and removes what a crash left behind.
func (r *repo) checkPacks() error {
	names, err := os.ReadDir(filepath.Join(r.dir, "objects", "pack"))
	if err != nil {
		return fmt.Errorf("%w: %v", errDamaged, err)
	}
	packs, indexes := 0, 0
	for _, n := range names {
		file := filepath.Join(r.dir, "objects", "pack", n.Name())
		switch {
		case strings.HasPrefix(n.Name(), "tmp_"):
			if err := os.Remove(file); err != nil {
				return fmt.Errorf("clearing a cached repository: %w", err)
			}
		case strings.HasSuffix(n.Name(), ".pack"), strings.HasSuffix(n.Name(), ".idx"):
			if strings.HasSuffix(n.Name(), ".idx") {
				indexes++
			} else {
				packs++
			}
			if err := checkTrailer(file); err != nil {
				return fmt.Errorf("%w: %s: %v", errDamaged, n.Name(), err)
			}
		}
	}
	if packs != indexes || packs == 0 && len(r.commits) > 0 {
		return fmt.Errorf("%w: %d packs and %d indexes", errDamaged, packs, indexes)
	}
	return nil
}

// prune removes the least recently used repositories beyond the limit; one that is in use stays.
func (c *Client) prune() {
	if c.settings.CacheDir == "" || c.settings.CacheMaxBytes <= 0 {
		return
	}
	type entry struct {
		dir  string
		used time.Time
		size int64
	}
	var all []entry
	var total int64
	locks, err := filepath.Glob(filepath.Join(c.settings.CacheDir, "*.lock"))
	if err != nil {
		return
	}
	for _, lock := range locks {
		info, err := os.Stat(lock)
		if err != nil {
			continue
		}
		e := entry{dir: strings.TrimSuffix(lock, ".lock"), used: info.ModTime()}
		filepath.WalkDir(e.dir, func(_ string, d fs.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() {
				if info, err := d.Info(); err == nil {
					e.size += info.Size()
				}
			}
			return nil
		})
		total += e.size
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b entry) int { return a.used.Compare(b.used) })
	for _, e := range all {
		if total <= c.settings.CacheMaxBytes {
			return
		}
		f, err := os.OpenFile(e.dir+".lock", os.O_RDWR, 0)
		if err != nil {
			continue
		}
		if syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil && os.RemoveAll(e.dir) == nil {
			os.Remove(e.dir + ".lock") // while it is locked: see sameFile
			total -= e.size
		}
		f.Close()
	}
}
