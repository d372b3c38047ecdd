package rubygems

import (
	"bytes"
	"context"
	"slices"
	"strings"

	"github.com/cachito-serverless/cachito/shared/gitrepo"
	"github.com/cachito-serverless/cachito/shared/resolver"
)

// maxInlineIndexBytes is the size of an index that is kept in the result; larger ones are files of the cache.
const maxInlineIndexBytes = 8 << 10

// addGitFolder adds a .git folder to a tree that has an index and a HEAD, but no objects: enough for `git ls-files`, with
// which most gemspecs list their files and executables, and for `git rev-parse HEAD`. blobs are the object names of files
// and links, by path.
func (r *run) addGitFolder(ctx context.Context, t gitTree, entries []resolver.Entry, blobs map[string][20]byte) ([]resolver.Entry, error) {
	var index gitrepo.Index
	for _, e := range entries {
		switch {
		case e.Link != "":
			index.Add(e.Path, gitrepo.IndexLink, blobs[e.Path], int64(len(e.Link)))
		case e.Part != nil && e.Executable:
			index.Add(e.Path, gitrepo.IndexExecutable, blobs[e.Path], e.Part.Size)
		case e.Part != nil:
			index.Add(e.Path, gitrepo.IndexFile, blobs[e.Path], e.Part.Size)
		}
	}
	entry := resolver.Entry{Path: ".git/index", Inline: index.Bytes()}
	if len(entry.Inline) > maxInlineIndexBytes {
		f, err := r.in.Fetcher.Store(ctx, bytes.NewReader(entry.Inline))
		if err != nil {
			return nil, err
		}
		entry.Inline, entry.File = nil, &f
	}
	const config = "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = false\n"
	entries = append(entries, entry,
		resolver.Entry{Path: ".git/HEAD", Inline: []byte(t.commit + "\n")},
		resolver.Entry{Path: ".git/config", Inline: []byte(config)},
		resolver.Entry{Path: ".git/objects", Dir: true},
		resolver.Entry{Path: ".git/refs", Dir: true},
	)
	slices.SortFunc(entries, func(a, b resolver.Entry) int { return strings.Compare(a.Path, b.Path) })
	return entries, nil
}
