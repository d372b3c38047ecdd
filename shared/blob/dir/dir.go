// Package dir is the embedded object storage: a folder. Objects are files below objects/, written under
// a temporary name in tmp/ of the same file system, synced, and then linked or renamed into place, so
// that a reader or a crash never sees half of one. Several processes may share the folder.
//
// A key's elements become path elements, escaped where a file system would not keep them apart (see
// encode). The time of a file is its object's last use.
package dir

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/cachito-serverless/cachito/shared/blob"
)

// StaleAfter is the age at which a temporary file counts as left behind by a crash.
const StaleAfter = 24 * time.Hour

// Blob is object storage in a folder. Make it with Open.
type Blob struct {
	objects string
	tmp     string
	hook    func(op, key string) error
	clock   func() time.Time
}

var _ blob.Blob = (*Blob)(nil)

// Option changes how a folder is opened.
type Option func(*Blob)

// WithEffectHook calls hook before and after every change of the folder that others can see ("before
// publish", "after publish", "before remove", ...). Its error stops the operation there: crash tests
// end a process with it.
func WithEffectHook(hook func(op, key string) error) Option {
	return func(b *Blob) { b.hook = hook }
}

// WithClock sets the time that Touch and new objects get; the default is time.Now.
func WithClock(clock func() time.Time) Option {
	return func(b *Blob) { b.clock = clock }
}

// Open opens the folder, makes it when it is not there, and removes what crashes left behind.
func Open(path string, opts ...Option) (*Blob, error) {
	b := &Blob{
		objects: filepath.Join(path, "objects"), tmp: filepath.Join(path, "tmp"), clock: time.Now,
		hook: func(string, string) error { return nil },
	}
	for _, opt := range opts {
		opt(b)
	}
	for _, dir := range []string{b.objects, b.tmp} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("opening the object folder: %w", err)
		}
	}
	left, err := os.ReadDir(b.tmp)
	if err != nil {
		return nil, fmt.Errorf("opening the object folder: %w", err)
	}
	for _, e := range left {
		if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > StaleAfter {
			os.Remove(filepath.Join(b.tmp, e.Name()))
		}
	}
	return b, nil
}

// Close implements blob.Blob.
func (b *Blob) Close() error { return nil }

// effect runs do with the hook before and after it.
func (b *Blob) effect(op, key string, do func() error) error {
	if err := b.hook("before "+op, key); err != nil {
		return err
	}
	if err := do(); err != nil {
		return err
	}
	return b.hook("after "+op, key)
}

// notFound makes the port's error of the file system's.
func notFound(key string, err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errNotDir) {
		return fmt.Errorf("object %s: %w", key, blob.ErrNotFound)
	}
	return fmt.Errorf("object %s: %w", key, stripPath(err))
}

// stripPath removes the folder's path from an error, which may reach people.
func stripPath(err error) error {
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		return fmt.Errorf("%s: %w", pathErr.Op, pathErr.Err)
	}
	var linkErr *os.LinkError
	if errors.As(err, &linkErr) {
		return fmt.Errorf("%s: %w", linkErr.Op, linkErr.Err)
	}
	return err
}

// Put implements blob.Blob.
func (b *Blob) Put(ctx context.Context, key string, content []byte, overwrite bool) error {
	w, err := b.Create(ctx)
	if err != nil {
		return err
	}
	defer w.Abort()
	if _, err := w.Write(content); err != nil {
		return err
	}
	return w.Commit(ctx, key, overwrite)
}

// Get implements blob.Blob.
func (b *Blob) Get(ctx context.Context, key string, limit int64) ([]byte, error) {
	o, err := b.Open(ctx, key)
	if err != nil {
		return nil, err
	}
	defer o.Close()
	if size := o.Info().Size; size > limit {
		return nil, fmt.Errorf("object %s has %d bytes, more than the %d that are read at once", key, size, limit)
	}
	content, err := io.ReadAll(io.LimitReader(o, limit))
	if err != nil {
		return nil, notFound(key, err)
	}
	return content, nil
}

// Open implements blob.Blob.
func (b *Blob) Open(ctx context.Context, key string) (blob.Object, error) {
	path, err := b.path(ctx, key)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, notFound(key, err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fs.ErrNotExist // a key that is the beginning of others
	}
	if err != nil {
		f.Close()
		return nil, notFound(key, err)
	}
	return &object{File: f, info: blob.Info{Key: key, Size: info.Size(), LastUse: info.ModTime()}}, nil
}

type object struct {
	*os.File
	info blob.Info
}

func (o *object) Info() blob.Info { return o.info }

// Stat implements blob.Blob.
func (b *Blob) Stat(ctx context.Context, key string) (blob.Info, error) {
	path, err := b.path(ctx, key)
	if err != nil {
		return blob.Info{}, err
	}
	info, err := os.Lstat(path)
	if err == nil && !info.Mode().IsRegular() {
		err = fs.ErrNotExist
	}
	if err != nil {
		return blob.Info{}, notFound(key, err)
	}
	return blob.Info{Key: key, Size: info.Size(), LastUse: info.ModTime()}, nil
}

// Touch implements blob.Blob.
func (b *Blob) Touch(ctx context.Context, key string) error {
	if _, err := b.Stat(ctx, key); err != nil {
		return err
	}
	path, err := b.path(ctx, key)
	if err != nil {
		return err
	}
	now := b.clock()
	if err := os.Chtimes(path, now, now); err != nil {
		return notFound(key, err)
	}
	return nil
}

// Delete implements blob.Blob. Folders that become empty go as well.
func (b *Blob) Delete(ctx context.Context, keys ...string) error {
	for _, key := range keys {
		path, err := b.path(ctx, key)
		if err != nil {
			return err
		}
		err = b.effect("remove", key, func() error {
			if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, errNotDir) {
				return fmt.Errorf("deleting object %s: %w", key, stripPath(err))
			}
			return nil
		})
		if err != nil {
			return err
		}
		for dir := filepath.Dir(path); dir != b.objects && os.Remove(dir) == nil; dir = filepath.Dir(dir) {
		}
	}
	return nil
}

// PresignGet implements blob.Blob: a folder has no URLs.
func (b *Blob) PresignGet(context.Context, string, time.Duration, map[string]string) (string, error) {
	return "", blob.ErrNoPresign
}

// copyPart copies a range, and compares its CRC on the way.
func (b *Blob) copyPart(ctx context.Context, w io.Writer, part blob.Part) error {
	if part.Key == "" {
		_, err := w.Write(part.Bytes)
		return err
	}
	o, err := b.Open(ctx, part.Key)
	if err != nil {
		return err
	}
	defer o.Close()
	length := part.Length
	if length < 0 {
		length = o.Info().Size - part.Offset
	}
	if part.Offset < 0 || length < 0 || length > o.Info().Size-part.Offset { // no sum: it may overflow
		err := fmt.Errorf("range %d+%d is outside of object %s with %d bytes", part.Offset, length, part.Key, o.Info().Size)
		if part.CRC32 != nil { // it was there once
			err = fmt.Errorf("%w: %w", blob.ErrChanged, err)
		}
		return err
	}
	crc := crc32.NewIEEE()
	if part.CRC32 != nil {
		w = io.MultiWriter(w, crc)
	}
	n, err := io.Copy(w, contextReader{ctx, io.NewSectionReader(o, part.Offset, length)})
	if err != nil {
		return err
	}
	if n != length || part.CRC32 != nil && crc.Sum32() != *part.CRC32 {
		return fmt.Errorf("range %d+%d of object %s: %w", part.Offset, length, part.Key, blob.ErrChanged)
	}
	return nil
}

// contextReader ends with its context.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (r contextReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}
