package dir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/cachito-serverless/cachito/shared/blob"
)

// Create implements blob.Blob.
func (b *Blob) Create(ctx context.Context) (blob.Writer, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(b.tmp, "object-*")
	if err != nil {
		return nil, fmt.Errorf("making a temporary file: %w", stripPath(err))
	}
	return &writer{b: b, f: f}, nil
}

// CreateAt implements blob.Blob: the parts are copied at once.
func (b *Blob) CreateAt(ctx context.Context, key string, parts ...blob.Part) (blob.Writer, error) {
	if err := blob.CheckKey(key); err != nil {
		return nil, err
	}
	out, err := b.Create(ctx)
	if err != nil {
		return nil, err
	}
	w := out.(*writer)
	w.key = key
	for i, part := range parts {
		if err := b.copyPart(ctx, w, part); err != nil {
			return nil, errors.Join(fmt.Errorf("beginning object %s, part %d: %w", key, i+1, err), w.Abort())
		}
	}
	return w, nil
}

type writer struct {
	b    *Blob
	f    *os.File
	key  string // when not empty, the one that Commit must name
	err  error
	done bool
}

func (w *writer) Write(p []byte) (int, error) {
	if w.done {
		return 0, os.ErrClosed
	}
	n, err := w.f.Write(p)
	if err != nil {
		w.err = fmt.Errorf("writing an object: %w", stripPath(err)) // errors.Is ENOSPC holds
		return n, w.err
	}
	return n, nil
}

// Commit implements blob.Writer: sync, publish under the final name, sync the folder.
func (w *writer) Commit(ctx context.Context, key string, overwrite bool) error {
	if w.done {
		return os.ErrClosed
	}
	if w.err != nil {
		return w.err // a write failed: nothing of it may be published
	}
	if w.key != "" && w.key != key {
		return fmt.Errorf("writing object %s: it was begun as %s", key, w.key)
	}
	path, err := w.b.path(ctx, key)
	if err != nil {
		return err
	}
	if err := w.f.Sync(); err != nil {
		return fmt.Errorf("writing object %s: %w", key, stripPath(err))
	}
	now := w.b.clock()
	if err := os.Chtimes(w.f.Name(), now, now); err != nil {
		return fmt.Errorf("writing object %s: %w", key, stripPath(err))
	}
	err = w.b.effect("publish", key, func() error { return w.publish(key, path, overwrite) })
	if err != nil {
		return err
	}
	return w.Abort()
}

// publishTries bounds how often a folder may vanish under a new object.
const publishTries = 100

// publish gives the file its name. Delete removes empty folders, so the folder may vanish between its
// making and the link: then both are tried again.
func (w *writer) publish(key, path string, overwrite bool) error {
	dir := filepath.Dir(path)
	for try := 0; ; try++ {
		if err := makeFolders(dir); err != nil {
			if errors.Is(err, fs.ErrNotExist) && try < publishTries {
				continue
			}
			return fmt.Errorf("writing object %s: %w", key, stripPath(err))
		}
		var err error
		if overwrite {
			err = os.Rename(w.f.Name(), path)
		} else {
			err = os.Link(w.f.Name(), path)
		}
		switch {
		case err == nil:
			return syncDir(dir)
		case errors.Is(err, fs.ErrExist) && !overwrite:
			return fmt.Errorf("object %s: %w", key, blob.ErrExists)
		case errors.Is(err, fs.ErrNotExist) && try < publishTries:
			continue
		}
		return fmt.Errorf("writing object %s: %w", key, stripPath(err))
	}
}

// makeFolders makes a folder and those above it, each one durable before something is put into it.
func makeFolders(dir string) error {
	err := os.Mkdir(dir, 0o700)
	if errors.Is(err, fs.ErrNotExist) {
		if err := makeFolders(filepath.Dir(dir)); err != nil {
			return err
		}
		err = os.Mkdir(dir, 0o700)
	}
	switch {
	case err == nil:
		return syncDir(filepath.Dir(dir))
	case errors.Is(err, fs.ErrExist):
		return nil // the link tells when it is no folder
	}
	return err
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // deleted again already
	}
	if err != nil {
		return stripPath(err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return stripPath(err)
	}
	return nil
}

// Abort implements blob.Writer.
func (w *writer) Abort() error {
	if w.done {
		return nil
	}
	w.done = true
	closeErr := w.f.Close()
	if err := os.Remove(w.f.Name()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return stripPath(err)
	}
	return closeErr
}
