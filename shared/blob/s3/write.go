package s3

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/cachito-serverless/cachito/shared/blob"
)

// Create implements blob.Blob. Up to 5 MiB are kept in memory until Commit writes them in one call. What is
// larger is uploaded to a temporary key, in parts of that size, and copied from there inside S3, because the
// final key is known only then. Writes end with ctx.
func (b *Blob) Create(ctx context.Context) (blob.Writer, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return &writer{b: b, ctx: ctx, up: b.newUpload(TemporaryPrefix + rand.Text())}, nil
}

// CreateAt implements blob.Blob. What is larger than 5 MiB is uploaded under its key at once, which nobody sees before
// Commit; what is smaller is one write then. Ranges of 5 MiB and more are copied inside S3, side by side; smaller
// ones, and bytes, are collected into parts of that size. Copies run in the background: their errors come with a
// later Write, or with Commit.
func (b *Blob) CreateAt(ctx context.Context, key string, parts ...blob.Part) (blob.Writer, error) {
	if err := checkKey(key); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	up := b.newUpload(key)
	if err := b.fill(ctx, up, parts); err != nil {
		return nil, errors.Join(changedError(err), up.abort(ctx))
	}
	return &writer{b: b, ctx: ctx, up: up, key: key}, nil
}

// changedError makes the port's error of a source that was overwritten.
func changedError(err error) error {
	if errors.Is(err, errOverwritten) {
		return fmt.Errorf("%w: %w", blob.ErrChanged, err)
	}
	return err
}

type writer struct {
	b    *Blob
	ctx  context.Context
	up   *upload
	key  string // of CreateAt
	err  error
	done bool
	// stored: all of it lies under the temporary key.
	stored bool
}

// Write implements io.Writer.
func (w *writer) Write(p []byte) (int, error) {
	if w.done {
		return 0, os.ErrClosed
	}
	if w.err == nil {
		if err := w.up.write(w.ctx, p); err != nil {
			w.err = fmt.Errorf("writing an object: %w", changedError(err))
		}
	}
	if w.err != nil {
		return 0, w.err
	}
	return len(p), nil
}

// Commit implements blob.Writer.
func (w *writer) Commit(ctx context.Context, key string, overwrite bool) error {
	if w.done {
		return os.ErrClosed
	}
	if w.err != nil {
		return w.err
	}
	if err := checkKey(key); err != nil {
		return err
	}
	if w.key != "" {
		return w.commitAt(ctx, key, overwrite)
	}
	if w.up.id == "" && !w.stored { // small
		if err := w.up.putWhole(ctx, key, overwrite); err != nil {
			return err
		}
		return w.Abort()
	}
	if !w.stored {
		if err := w.up.finish(ctx, true); err != nil {
			w.err = err
			return err
		}
		w.stored = true
	}
	if err := w.publish(ctx, key, overwrite); err != nil {
		return err
	}
	// What is left now is only a temporary object, which a rule of the bucket deletes as well: the object
	// is published.
	_ = w.Abort()
	return nil
}

// commitAt ends an upload that has its key already.
func (w *writer) commitAt(ctx context.Context, key string, overwrite bool) error {
	if key != w.key {
		return fmt.Errorf("writing object %s: it was begun as %s", key, w.key)
	}
	if err := w.up.finish(ctx, overwrite); err != nil {
		w.err = changedError(err)
		return w.err
	}
	return w.Abort()
}

// publish copies the temporary object.
func (w *writer) publish(ctx context.Context, key string, overwrite bool) error {
	head, err := w.b.head(ctx, w.up.key)
	if err != nil {
		return err
	}
	size := aws.ToInt64(head.ContentLength)
	if size != w.up.size {
		return fmt.Errorf("writing object %s: the temporary object has %d bytes, not %d", key, size, w.up.size)
	}
	return again(ctx, func() error {
		up := w.b.newUpload(key)
		err := up.copy(ctx, source{key: w.up.key, etag: aws.ToString(head.ETag), length: size, crc: &w.up.crc})
		if err == nil {
			err = up.finish(ctx, overwrite)
		}
		return errors.Join(err, up.abort(ctx))
	})
}

// Abort implements blob.Writer.
func (w *writer) Abort() error {
	if w.done {
		return nil
	}
	w.done = true
	err := w.up.abort(w.ctx)
	if !w.stored {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(w.ctx), cleanUpTime)
	defer cancel()
	if _, deleting := w.b.client.DeleteObject(ctx, &sdk.DeleteObjectInput{Bucket: &w.b.bucket, Key: &w.up.key}); deleting != nil {
		err = errors.Join(err, fmt.Errorf("deleting a temporary object: %w", deleting))
	}
	return err
}

// fill puts the parts into an upload.
func (b *Blob) fill(ctx context.Context, up *upload, parts []blob.Part) error {
	heads := map[string]*sdk.HeadObjectOutput{}
	for i, part := range parts {
		if part.Key == "" {
			if err := up.write(ctx, part.Bytes); err != nil {
				return fmt.Errorf("beginning object %s, part %d: %w", up.key, i+1, err)
			}
			continue
		}
		err := checkKey(part.Key)
		if err == nil && heads[part.Key] == nil {
			heads[part.Key], err = b.head(ctx, part.Key)
		}
		if err == nil {
			err = up.copyFrom(ctx, part, heads[part.Key])
		}
		if err != nil {
			return fmt.Errorf("beginning object %s, part %d: %w", up.key, i+1, err)
		}
	}
	return nil
}

func (u *upload) copyFrom(ctx context.Context, part blob.Part, head *sdk.HeadObjectOutput) error {
	size, length := aws.ToInt64(head.ContentLength), part.Length
	if length < 0 {
		length = size - part.Offset
	}
	if part.Offset < 0 || length < 0 || length > size-part.Offset { // no sum: it may overflow
		err := fmt.Errorf("range %d+%d is outside of object %s with %d bytes", part.Offset, length, part.Key, size)
		if part.CRC32 != nil { // it was there once
			err = fmt.Errorf("%w: %w", blob.ErrChanged, err)
		}
		return err
	}
	return u.copy(ctx, source{key: part.Key, etag: aws.ToString(head.ETag), offset: part.Offset, length: length, crc: part.CRC32})
}
