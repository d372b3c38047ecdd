package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/cachito-serverless/cachito/shared/fetch"
	"github.com/cachito-serverless/cachito/shared/gitrepo"
)

// quiet is above every level that is logged.
const quiet = slog.LevelError + 1

// source is what fetch was pointed at: a URL, or a folder that stands for one.
type source struct {
	url    string
	ref    string // as given, until resolve made it a commit
	folder string // absolute; empty for URLs
	dirty  bool
}

// source looks at the arguments, without any network.
func (c fetchCmd) source() (*source, error) {
	info, err := os.Stat(c.Repo)
	isFolder := err == nil && info.IsDir()
	if !isFolder {
		switch {
		case !strings.Contains(c.Repo, ":"):
			return nil, usagef("%s: no such folder, and no URL either", c.Repo)
		case c.Dirty || c.RepoURL != "":
			return nil, usagef("--dirty and --repo-url are for folders; %s is none", fetch.Redact(c.Repo))
		}
		return &source{url: c.Repo, ref: c.Ref}, nil
	}
	folder, err := filepath.Abs(c.Repo)
	if err != nil {
		return nil, err
	}
	head, origin, changed, err := gitrepo.LocalInfo(folder)
	if err != nil {
		return nil, err
	}
	s := &source{url: origin, ref: head, folder: folder, dirty: c.Dirty}
	if c.RepoURL != "" {
		s.url = c.RepoURL
	}
	if c.Ref != "" {
		if s.ref, err = gitrepo.LocalRef(folder, c.Ref); err != nil {
			return nil, err
		}
	}
	switch {
	case s.url == "":
		return nil, usagef("%s has no remote origin: say with --repo-url under which URL to report it", c.Repo)
	case c.Dirty && s.ref != head:
		return nil, usagef("--dirty takes the work tree, which is on top of HEAD: it cannot be used with %s", c.Ref)
	case len(changed) > 0 && !c.Dirty && c.Ref == "":
		return nil, usagef("%s has uncommitted changes (%s): commit them, take them with --dirty, or leave them out by naming HEAD", c.Repo, firstOf(changed, 5))
	}
	return s, nil
}

func firstOf(names []string, n int) string {
	if len(names) <= n {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:n], ", "), len(names)-n)
}

// resolve makes the ref a commit.
func (s *source) resolve(ctx context.Context, git *gitrepo.Client) error {
	if s.folder != "" {
		return nil // done from the folder
	}
	ref, err := git.ResolveRef(ctx, s.url, s.ref)
	s.ref = ref
	return err
}

// detect finds the package managers that have work in the tree, by the names of its root. The pack it
// takes stays in the cache, where the request finds it.
func (s *source) detect(ctx context.Context, h *home) ([]string, error) {
	names := rootNames{}
	want := gitrepo.Request{URL: s.url, Ref: s.ref, LocalPath: s.folder, Dirty: s.dirty}
	if _, err := h.git.Fetch(ctx, want, names); err != nil {
		return nil, err
	}
	found := []string{}
	for _, d := range h.managers {
		if d.Detect != nil && d.Detect(names) {
			found = append(found, d.Name)
		}
	}
	return found, nil
}

// rootNames collects the names at a tree's root.
type rootNames map[string]bool

func (n rootNames) add(path string) error {
	root, _, _ := strings.Cut(path, "/")
	n[root] = true
	return nil
}

// Dir implements gitrepo.TreeSink.
func (n rootNames) Dir(path string) error { return n.add(path) }

// File implements gitrepo.TreeSink.
func (n rootNames) File(path string, _ fs.FileMode, _ int64, _ io.Reader) error { return n.add(path) }

// Link implements gitrepo.TreeSink.
func (n rootNames) Link(path, _ string) error { return n.add(path) }

// removeAll removes a folder although read-only folders may be in it, as in a module cache.
func removeAll(dir string) error {
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			return os.Chmod(path, 0o700)
		}
		return err
	})
	return errors.Join(err, os.RemoveAll(dir))
}
