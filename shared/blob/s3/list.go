package s3

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/cachito-serverless/cachito/shared/blob"
)

// List implements blob.Blob: two lists side by side, of the objects and of their last uses, each a call for
// 1000 keys. The adapter's own keys are jumped over.
func (b *Blob) List(ctx context.Context, prefix string) iter.Seq2[blob.Info, error] {
	return b.ListAfter(ctx, prefix, "")
}

// ListAfter implements blob.Blob.
func (b *Blob) ListAfter(ctx context.Context, prefix, after string) iter.Seq2[blob.Info, error] {
	return func(yield func(blob.Info, error) bool) {
		uses := &uses{b: b, ctx: ctx, prefix: prefix, after: after}
		defer uses.stop()
		for info, err := range b.list(ctx, prefix, after) {
			if err == nil && strings.HasPrefix(info.Key, ownPrefix) {
				continue
			}
			if err == nil {
				var used time.Time
				if used, err = uses.of(info.Key); err == nil {
					info.LastUse = later(info.LastUse, used)
				}
			}
			if err != nil {
				yield(blob.Info{}, err)
				return
			}
			if !yield(info, nil) {
				return
			}
		}
	}
}

// list yields everything in the bucket whose key begins with prefix, in order; of the adapter's own keys
// some are left out when others are listed.
func (b *Blob) list(ctx context.Context, prefix, after string) iter.Seq2[blob.Info, error] {
	return func(yield func(blob.Info, error) bool) {
		in := &sdk.ListObjectsV2Input{Bucket: &b.bucket, Prefix: &prefix}
		if after != "" {
			in.StartAfter = &after
		}
		for {
			out, err := b.client.ListObjectsV2(ctx, in)
			if err != nil {
				yield(blob.Info{}, fmt.Errorf("listing objects %q: %w", prefix, err))
				return
			}
			for _, o := range out.Contents {
				info := blob.Info{Key: aws.ToString(o.Key), Size: aws.ToInt64(o.Size), LastUse: aws.ToTime(o.LastModified)}
				if strings.HasSuffix(info.Key, "/") {
					continue // some storages show folders
				}
				if !yield(info, nil) {
					return
				}
			}
			if !aws.ToBool(out.IsTruncated) {
				return
			}
			in.StartAfter, in.ContinuationToken = nil, out.NextContinuationToken
			last := ""
			if n := len(out.Contents); n > 0 {
				last = aws.ToString(out.Contents[n-1].Key)
			}
			if strings.HasPrefix(last, ownPrefix) && !strings.HasPrefix(prefix, ownPrefix) {
				in.StartAfter, in.ContinuationToken = aws.String(ownEnd), nil
			}
		}
	}
}

// uses walks the last uses in step with the objects.
type uses struct {
	b      *Blob
	ctx    context.Context
	prefix string
	after  string

	next  func() (blob.Info, error, bool)
	end   func()
	key   string // the object whose last use comes next
	at    time.Time
	ended bool
}

// of tells when an object was touched; keys come in order.
func (u *uses) of(key string) (time.Time, error) {
	if isLong(key) {
		return u.b.lastUse(u.ctx, key)
	}
	if u.next == nil {
		after := u.after
		if after != "" {
			after = usedPrefix + after
		}
		u.next, u.end = iter.Pull2(u.b.list(u.ctx, usedPrefix+u.prefix, after))
	}
	for !u.ended && u.key < key {
		info, err, ok := u.next()
		if err != nil {
			return time.Time{}, err
		}
		u.ended = !ok
		u.key, u.at = strings.TrimPrefix(info.Key, usedPrefix), info.LastUse
	}
	if !u.ended && u.key == key {
		return u.at, nil
	}
	return time.Time{}, nil
}

func (u *uses) stop() {
	if u.end != nil {
		u.end()
	}
}
