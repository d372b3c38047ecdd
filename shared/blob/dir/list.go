package dir

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cachito-serverless/cachito/shared/blob"
)

// List implements blob.Blob. It reads one folder at a time.
func (b *Blob) List(ctx context.Context, prefix string) iter.Seq2[blob.Info, error] {
	return func(yield func(blob.Info, error) bool) {
		b.walk(ctx, "", "", prefix, yield)
	}
}

type child struct {
	name string // file name
	key  string // the key up to here, with a slash behind a folder's
	dir  bool
}

// walk yields what is below the folder rel, whose key is key; false means stop.
func (b *Blob) walk(ctx context.Context, rel, key, prefix string, yield func(blob.Info, error) bool) bool {
	if err := ctx.Err(); err != nil {
		yield(blob.Info{}, err)
		return false
	}
	entries, err := os.ReadDir(filepath.Join(b.objects, rel))
	if errors.Is(err, fs.ErrNotExist) {
		return true // deleted meanwhile
	}
	if err != nil {
		yield(blob.Info{}, fmt.Errorf("listing objects: %w", stripPath(err)))
		return false
	}
	var children []child
	for _, e := range entries {
		c, ok := childOf(e, key)
		if ok && (strings.HasPrefix(c.key, prefix) || c.dir && strings.HasPrefix(prefix, c.key)) {
			children = append(children, c)
		}
	}
	slices.SortFunc(children, func(x, y child) int { return cmp.Compare(x.key, y.key) })
	for _, c := range children {
		path := filepath.Join(rel, c.name)
		if c.dir {
			if !b.walk(ctx, path, c.key, prefix, yield) {
				return false
			}
			continue
		}
		info, err := os.Lstat(filepath.Join(b.objects, path))
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

// childOf says what a directory entry is; false for what is none of ours.
func childOf(e fs.DirEntry, key string) (child, bool) {
	name := e.Name()
	c := child{name: name, dir: e.IsDir()}
	if !c.dir {
		rest, err := decode(name)
		c.key = key + rest
		return c, err == nil
	}
	if long, ok := strings.CutSuffix(name, longSuffix); ok {
		rest, err := decode(long + fileSuffix)
		c.key = key + rest
		return c, err == nil
	}
	rest, err := decode(name + fileSuffix)
	c.key = key + rest + "/"
	return c, err == nil
}

// pruneBatch is how many candidates a prune looks at in one go.
const pruneBatch = 100_000

// Prune removes the least recently used objects until at most maxBytes are left, but only those that
// mayGo allows. It returns how many bytes it freed.
func (b *Blob) Prune(ctx context.Context, maxBytes int64, mayGo func(blob.Info) bool) (freed int64, err error) {
	var total int64
	var old []blob.Info
	for info, err := range b.List(ctx, "") {
		if err != nil {
			return 0, err
		}
		total += info.Size
		old = append(old, info)
		if len(old) >= 2*pruneBatch {
			old = oldest(old)
		}
	}
	if total <= maxBytes {
		return 0, nil
	}
	for _, info := range oldest(old) {
		if total-freed <= maxBytes {
			break
		}
		if !mayGo(info) {
			continue
		}
		// Somebody may have touched it since it was listed.
		if now, err := b.Stat(ctx, info.Key); err != nil || now.LastUse.After(info.LastUse) {
			continue
		}
		if err := b.Delete(ctx, info.Key); err != nil {
			return freed, err
		}
		freed += info.Size
	}
	return freed, nil
}

func oldest(list []blob.Info) []blob.Info {
	slices.SortFunc(list, func(x, y blob.Info) int {
		return cmp.Or(x.LastUse.Compare(y.LastUse), strings.Compare(x.Key, y.Key))
	})
	return list[:min(len(list), pruneBatch)]
}

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
