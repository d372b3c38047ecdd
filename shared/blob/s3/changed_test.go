package s3

import (
	"errors"
	"hash/crc32"
	"testing"

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
