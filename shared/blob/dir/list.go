package dir

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cachito-serverless/cachito/shared/blob"
)

// List implements blob.Blob. It reads one folder at a time, beginning with the one that the prefix names,
// so that a request's log is listed without reading everybody's.
func (b *Blob) List(ctx context.Context, prefix string) iter.Seq2[blob.Info, error] {
	return b.ListAfter(ctx, prefix, "")
}

// ListAfter implements blob.Blob. Folders that end before the key are not read.
func (b *Blob) ListAfter(ctx context.Context, prefix, after string) iter.Seq2[blob.Info, error] {
	return func(yield func(blob.Info, error) bool) {
		folder := prefix[:strings.LastIndexByte(prefix, '/')+1]
		rel := ""
		if folder != "" {
			key := strings.TrimSuffix(folder, "/")
			if blob.CheckKey(key) != nil {
				return // no object can have such a key
			}
			rel = filepath.Join(split(encodeAll(key))...)
		}
		b.walk(ctx, rel, folder, span{prefix, after}, yield)
	}
}

type child struct {
	path string // below objects/
	key  string // the key up to here, with a slash behind a folder's
	dir  bool
}

// span is the keys that are listed: those that begin with prefix and come behind after.
type span struct{ prefix, after string }

// ended reports whether c, and with a folder all that is below it, does not come behind after.
func (s span) ended(c child) bool {
	return s.after != "" && c.key <= s.after && (!c.dir || !strings.HasPrefix(s.after, c.key))
}

// walk yields what is below the folder rel, whose key is key; false means stop.
func (b *Blob) walk(ctx context.Context, rel, key string, s span, yield func(blob.Info, error) bool) bool {
	if err := ctx.Err(); err != nil {
		yield(blob.Info{}, err)
		return false
	}
	children, err := b.children(nil, rel, key, s.prefix)
	if err != nil {
		yield(blob.Info{}, fmt.Errorf("listing objects: %w", stripPath(err)))
		return false
	}
	slices.SortFunc(children, func(x, y child) int { return cmp.Compare(x.key, y.key) })
	for _, c := range children {
		if s.ended(c) {
			continue
		}
		if c.dir {
			if !b.walk(ctx, c.path, c.key, s, yield) {
				return false
			}
			continue
		}
		info, err := os.Lstat(filepath.Join(b.objects, c.path))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			yield(blob.Info{}, notFound(c.key, err))
			return false
		}
		if !yield(blob.Info{Key: c.key, Size: info.Size(), LastUse: info.ModTime()}, nil) {
			return false
		}
	}
	return true
}

// children adds what the folder holds to list, as far as it fits the prefix. Folders that only carry the
// rest of a long name are read along: what is in them stands among the others in the order of keys.
func (b *Blob) children(list []child, rel, key, prefix string) ([]child, error) {
	d, err := os.Open(filepath.Join(b.objects, rel))
	if errors.Is(err, fs.ErrNotExist) {
		return list, nil // deleted meanwhile, or never there
	}
	if err != nil {
		return list, err
	}
	defer d.Close()
	for {
		// Unsorted and in pieces: a folder of a million names is not held for the few that fit.
		entries, err := d.ReadDir(dirBatch)
		for _, e := range entries {
			name, long := strings.CutSuffix(e.Name(), longSuffix)
			if e.IsDir() {
				name += fileSuffix
			}
			rest, err := decode(name)
			if err != nil {
				continue // none of ours
			}
			c := child{path: filepath.Join(rel, e.Name()), key: key + rest, dir: e.IsDir()}
			if c.dir && !long {
				c.key += "/"
			}
			switch {
			case !c.leadsTo(prefix):
			case c.dir && long:
				if list, err = b.children(list, c.path, c.key, prefix); err != nil {
					return list, err
				}
			default:
				list = append(list, c)
			}
		}
		if errors.Is(err, io.EOF) || errors.Is(err, fs.ErrNotExist) {
			return list, nil
		}
		if err != nil {
			return list, err
		}
	}
}

// dirBatch is how many directory entries are read at once.
const dirBatch = 1024

// RemoveAbandoned removes temporary files of processes that ended without giving them back, however
// young; only for a caller that knows to be alone (Lock).
func (b *Blob) RemoveAbandoned() error {
	left, err := os.ReadDir(b.tmp)
	if err != nil {
		return stripPath(err)
	}
	for _, e := range left {
		if err := os.Remove(filepath.Join(b.tmp, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return stripPath(err)
		}
	}
	return nil
}

// leadsTo reports whether the prefix's keys may lie at or below c.
func (c child) leadsTo(prefix string) bool {
	return strings.HasPrefix(c.key, prefix) || c.dir && strings.HasPrefix(prefix, c.key)
}
