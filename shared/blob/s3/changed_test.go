package s3

import (
	"context"
	"errors"
	"hash/crc32"
	"net/http"
	"sync"
	"testing"

	"github.com/cachito-serverless/cachito/shared/awsclient/awsclienttest"
	"github.com/cachito-serverless/cachito/shared/blob"
)

// TestCopyOfOtherBytes: what S3 copies itself never goes through our hands; its own checksum of the whole tells.
// (ministack has none.)
func TestCopyOfOtherBytes(t *testing.T) {
	b := versitygw.open(t, nil)
	large := content(PartBytes + 1)
	if err := b.Put(t.Context(), "a", large, false); err != nil {
		t.Fatal(err)
	}
	right, wrong := crc32.ChecksumIEEE(large), crc32.ChecksumIEEE(large[1:])
	for _, c := range []struct {
		name string
		crc  uint32
		want error
	}{{"right", right, nil}, {"wrong", wrong, blob.ErrChanged}} {
		w, err := b.CreateAt(t.Context(), c.name, blob.Part{Key: "a", Length: -1, CRC32: &c.crc})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Commit(t.Context(), c.name, true); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
		}
		if err := w.Abort(); err != nil {
			t.Error(err)
		}
		if _, err := b.Stat(t.Context(), c.name); (err == nil) != (c.want == nil) {
			t.Errorf("%s: the object: %v", c.name, err)
		}
	}
}

// between does something right before the first call of an operation is sent.
type between struct {
	operation string
	do        func()
	once      sync.Once
}

// RoundTrip implements http.RoundTripper.
func (b *between) RoundTrip(r *http.Request) (*http.Response, error) {
	if operation(r) == b.operation {
		b.once.Do(b.do)
	}
	return awsclienttest.Transport().RoundTrip(r)
}

// TestSourceChangesMeanwhile: a stream whose beginning is overwritten or deleted before it was copied fails, and leaves
// nothing.
func TestSourceChangesMeanwhile(t *testing.T) {
	for _, s := range servers {
		for _, c := range []struct {
			name, operation string
			size            int
			change          func(ctx context.Context, b *Blob) error
			want            error
		}{
			{"overwritten, copied", "UploadPartCopy", PartBytes, overwrite, blob.ErrChanged},
			{"overwritten, read", "GetObject", 1000, overwrite, blob.ErrChanged},
			{"deleted, copied", "UploadPartCopy", PartBytes, func(ctx context.Context, b *Blob) error { return b.Delete(ctx, "a") }, blob.ErrNotFound},
		} {
			t.Run(s.name+" "+c.name, func(t *testing.T) {
				network := &between{operation: c.operation}
				b := s.open(t, network)
				sure := New(s.config(t, nil), b.bucket)
				network.do = func() {
					if err := c.change(context.Background(), sure); err != nil {
						t.Error(err)
					}
				}
				if err := sure.Put(t.Context(), "a", content(c.size), false); err != nil {
					t.Fatal(err)
				}
				if err := compose(t.Context(), b, "k", []blob.Part{{Key: "a", Length: -1}, {Bytes: []byte("x")}}, true); !errors.Is(err, c.want) {
					t.Errorf("got %v, want %v", err, c.want)
				}
				if _, err := sure.Stat(t.Context(), "k"); !errors.Is(err, blob.ErrNotFound) {
					t.Errorf("the object: %v", err)
				}
				if left := sure.uploads(t); len(left) > 0 {
					t.Errorf("unfinished uploads: %v", left)
				}
			})
		}
	}
}

func overwrite(ctx context.Context, b *Blob) error { return b.Put(ctx, "a", content(PartBytes), true) }
