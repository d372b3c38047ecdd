package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/cachito-serverless/cachito/shared/blob"
)

const (
	// beginning is how much Open reads at once: most objects whole, in one call.
	beginning = 256 << 10
	// Windows of ReadAt: they double while it goes on where it was, so that an archive's directory costs
	// little, and reading through an archive few calls.
	firstWindow, lastWindow = 64 << 10, 2 << 20
	// readTries is how often a read that broke off is taken up again without a byte in between.
	readTries = 4
)

// Get implements blob.Blob.
func (b *Blob) Get(ctx context.Context, key string, limit int64) ([]byte, error) {
	if err := checkKey(key); err != nil {
		return nil, err
	}
	for try := 1; ; try++ {
		content, err := b.get(ctx, key, limit)
		if errors.Is(err, errBroken) && try < readTries && ctx.Err() == nil {
			continue
		}
		return content, err
	}
}

// errBroken: an answer ended early.
var errBroken = errors.New("reading broke off")

func (b *Blob) get(ctx context.Context, key string, limit int64) ([]byte, error) {
	out, err := b.client.GetObject(ctx, &sdk.GetObjectInput{Bucket: &b.bucket, Key: &key})
	if err != nil {
		return nil, objectError(key, err)
	}
	defer out.Body.Close()
	size := aws.ToInt64(out.ContentLength)
	if size > limit {
		return nil, fmt.Errorf("object %s has %d bytes, more than the %d that are read at once", key, size, limit)
	}
	content := make([]byte, size)
	if _, err := io.ReadFull(out.Body, content); err != nil {
		return nil, fmt.Errorf("object %s: %w: %w", key, errBroken, err)
	}
	// The end of the body is where the SDK checks the checksum.
	if _, err := io.Copy(io.Discard, out.Body); err != nil {
		return nil, fmt.Errorf("object %s: %w: %w", key, errBroken, err)
	}
	return content, nil
}

// Open implements blob.Blob. It reads the beginning at once: an object of up to 256 KiB is one call, whatever
// is read of it. Later reads insist on the same version; one that was overwritten meanwhile is an error,
// unless it was read whole already. LastUse is when the object was written: Stat asks for its last use.
func (b *Blob) Open(ctx context.Context, key string) (blob.Object, error) {
	if err := checkKey(key); err != nil {
		return nil, err
	}
	o := &object{b: b, ctx: ctx, info: blob.Info{Key: key}}
	for try := 1; ; try++ {
		err := o.begin()
		if errors.Is(err, errBroken) && try < readTries && ctx.Err() == nil {
			continue
		}
		if err != nil {
			return nil, err
		}
		return o, nil
	}
}

type object struct {
	b     *Blob
	ctx   context.Context
	info  blob.Info
	etag  string
	first []byte

	pos  int64 // of Read
	body io.ReadCloser

	mu       sync.Mutex
	window   []byte
	windowAt int64
}

func (o *object) Info() blob.Info { return o.info }

func (o *object) begin() error {
	key := o.info.Key
	out, err := o.b.client.GetObject(o.ctx, &sdk.GetObjectInput{
		Bucket: &o.b.bucket, Key: &key, Range: aws.String(fmt.Sprintf("bytes=0-%d", beginning-1)),
	})
	if code(err) == "InvalidRange" || status(err) == http.StatusRequestedRangeNotSatisfiable { // it is empty
		head, err := o.b.head(o.ctx, key)
		if err != nil {
			return err
		}
		if size := aws.ToInt64(head.ContentLength); size != 0 {
			return fmt.Errorf("object %s: %w: written anew, with %d bytes", key, errBroken, size)
		}
		o.info.LastUse, o.etag = aws.ToTime(head.LastModified), aws.ToString(head.ETag)
		return nil
	}
	if err != nil {
		return objectError(key, err)
	}
	defer out.Body.Close()
	o.info.Size = aws.ToInt64(out.ContentLength)
	if out.ContentRange != nil {
		_, total, _ := strings.Cut(*out.ContentRange, "/")
		if o.info.Size, err = strconv.ParseInt(total, 10, 64); err != nil {
			return fmt.Errorf("object %s: size in %q: %w", key, *out.ContentRange, err)
		}
	}
	o.info.LastUse, o.etag = aws.ToTime(out.LastModified), aws.ToString(out.ETag)
	o.first = make([]byte, min(o.info.Size, beginning))
	if _, err := io.ReadFull(out.Body, o.first); err != nil {
		return fmt.Errorf("object %s: %w: %w", key, errBroken, err)
	}
	return nil
}

// openRange asks for length bytes of one version of an object; -1: all that follow.
func (b *Blob) openRange(ctx context.Context, key, etag string, offset, length int64) (io.ReadCloser, error) {
	span := fmt.Sprintf("bytes=%d-", offset)
	if length >= 0 {
		span += strconv.FormatInt(offset+length-1, 10)
	}
	out, err := b.client.GetObject(ctx, &sdk.GetObjectInput{Bucket: &b.bucket, Key: &key, Range: &span, IfMatch: &etag})
	if status(err) == http.StatusPreconditionFailed {
		return nil, fmt.Errorf("object %s: %w", key, errOverwritten)
	}
	if err != nil {
		return nil, objectError(key, err)
	}
	return out.Body, nil
}

// errOverwritten: the version that was opened is gone.
var errOverwritten = errors.New("it was overwritten while it was read")

// readRange fills p from one version of an object, of which so much must be there.
func (b *Blob) readRange(ctx context.Context, key, etag string, p []byte, offset int64) error {
	failures := 0
	for len(p) > 0 {
		body, err := b.openRange(ctx, key, etag, offset, int64(len(p)))
		if err != nil {
			return err
		}
		n, err := io.ReadFull(body, p)
		body.Close()
		p, offset = p[n:], offset+int64(n)
		if err == nil {
			continue
		}
		if n > 0 {
			failures = 0
		}
		if failures++; failures == readTries || ctx.Err() != nil {
			return fmt.Errorf("object %s at byte %d: %w: %w", key, offset, errBroken, err)
		}
	}
	return nil
}

// Read implements io.Reader.
func (o *object) Read(p []byte) (int, error) {
	if o.pos >= o.info.Size {
		return 0, io.EOF
	}
	if o.pos < int64(len(o.first)) {
		n := copy(p, o.first[o.pos:])
		o.pos += int64(n)
		return n, nil
	}
	if len(p) == 0 {
		return 0, nil
	}
	var err error
	for range readTries {
		if o.body == nil {
			if o.body, err = o.b.openRange(o.ctx, o.info.Key, o.etag, o.pos, -1); err != nil {
				return 0, err
			}
		}
		var n int
		n, err = o.body.Read(p[:min(int64(len(p)), o.info.Size-o.pos)])
		o.pos += int64(n)
		if err != nil && o.pos < o.info.Size { // taken up where it broke off
			o.body.Close()
			o.body = nil
		}
		if n > 0 {
			return n, nil
		}
		if o.ctx.Err() != nil {
			return 0, o.ctx.Err()
		}
	}
	return 0, fmt.Errorf("object %s at byte %d: %w", o.info.Key, o.pos, errors.Join(errBroken, err))
}

// ReadAt implements io.ReaderAt.
func (o *object) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("object %s: negative offset %d", o.info.Key, off)
	}
	if off >= o.info.Size {
		return 0, io.EOF
	}
	want, end := p, error(nil)
	if left := o.info.Size - off; int64(len(p)) > left {
		want, end = p[:left], io.EOF
	}
	done := 0
	if off < int64(len(o.first)) {
		done = copy(want, o.first[off:])
	}
	n, err := o.fromWindow(want[done:], off+int64(done))
	if err != nil {
		return done + n, err
	}
	return len(want), end
}

// fromWindow fills p, which is inside of the object.
func (o *object) fromWindow(p []byte, off int64) (int, error) {
	if len(p) >= lastWindow {
		if err := o.b.readRange(o.ctx, o.info.Key, o.etag, p, off); err != nil {
			return 0, err
		}
		return len(p), nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	done := 0
	for done < len(p) {
		at := off + int64(done)
		if in := at - o.windowAt; in >= 0 && in < int64(len(o.window)) {
			done += copy(p[done:], o.window[in:])
			continue
		}
		if err := o.moveWindow(at); err != nil {
			return done, err
		}
	}
	return done, nil
}

func (o *object) moveWindow(at int64) error {
	size := firstWindow
	if at == o.windowAt+int64(len(o.window)) && len(o.window) > 0 || at == int64(len(o.first)) {
		size = min(max(2*len(o.window), firstWindow), lastWindow)
	}
	size = int(min(int64(size), o.info.Size-at))
	window := o.window[:0]
	if cap(window) < size {
		window = make([]byte, 0, size)
	}
	o.window = nil // not of use when reading fails
	window = window[:size]
	if err := o.b.readRange(o.ctx, o.info.Key, o.etag, window, at); err != nil {
		return err
	}
	o.window, o.windowAt = window, at
	return nil
}

// Close implements io.Closer.
func (o *object) Close() error {
	if o.body == nil {
		return nil
	}
	body := o.body
	o.body = nil
	return body.Close()
}
