package s3

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/awsclient/awsclienttest"
	"github.com/cachito-serverless/cachito/shared/blob"
)

// TestCost holds the table of docs/design.md: the calls that each use makes.
func TestCost(t *testing.T) {
	l := &awsclienttest.Losing{Base: awsclienttest.Transport(), Operation: operation}
	b := ministack.open(t, l)
	stream := func(key string, size int) error {
		w, err := b.Create(t.Context())
		if err != nil {
			return err
		}
		defer w.Abort()
		if _, err := w.Write(content(size)); err != nil {
			return err
		}
		return w.Commit(t.Context(), key, false)
	}
	all := []string{
		"PutObject", "GetObject", "HeadObject", "DeleteObject", "DeleteObjects", "ListObjectsV2", "CreateMultipartUpload",
		"UploadPart", "UploadPartCopy", "CompleteMultipartUpload", "AbortMultipartUpload", "ListMultipartUploads",
	}
	for _, c := range []struct {
		name string
		use  func() error
		want string
	}{
		{"Put", func() error { return b.Put(t.Context(), "k", nil, false) }, "PutObject"},
		{"Put of a taken key", func() error {
			if err := b.Put(t.Context(), "k", nil, false); err == nil {
				t.Error("no conflict")
			}
			return nil
		}, "PutObject HeadObject"},
		{"stream of 5 MiB", func() error { return stream("5", PartBytes) }, "PutObject"},
		{
			"stream of 22 MiB", func() error { return stream("22", 22<<20) },
			"HeadObject DeleteObject 2 CreateMultipartUpload 5 UploadPart UploadPartCopy 2 CompleteMultipartUpload",
		},
		{"Get", func() error { _, err := b.Get(t.Context(), "5", PartBytes); return err }, "GetObject"},
		{"Open, nothing read", func() error { _, err := b.Open(t.Context(), "22"); return err }, "GetObject"},
		{"Open and read 22 MiB", func() error { get(t, b, "22"); return nil }, "2 GetObject"},
		{"Stat", func() error { _, err := b.Stat(t.Context(), "k"); return err }, "2 HeadObject"},
		{"Touch", func() error { return b.Touch(t.Context(), "k") }, "PutObject HeadObject"},
		{"CreateAt of 22 MiB and a little", func() error {
			return compose(t.Context(), b, "c", []blob.Part{{Key: "22", Length: -1}, {Bytes: []byte("x")}}, false)
		}, "HeadObject CreateMultipartUpload UploadPart UploadPartCopy CompleteMultipartUpload"},
		{"CreateAt with a beginning of 22 MiB, and 6 MiB more", func() error {
			w, err := b.CreateAt(t.Context(), "a", blob.Part{Key: "22", Length: -1})
			if err != nil {
				return err
			}
			defer w.Abort()
			if _, err := w.Write(content(6 << 20)); err != nil {
				return err
			}
			return w.Commit(t.Context(), "a", false)
		}, "HeadObject CreateMultipartUpload 2 UploadPart UploadPartCopy CompleteMultipartUpload"},
		{"List", func() error {
			for _, err := range b.List(t.Context(), "") {
				if err != nil {
					return err
				}
			}
			return nil
		}, "2 ListObjectsV2"},
		{"Delete", func() error { return b.Delete(t.Context(), "k", "5", "22", "c", "a") }, "DeleteObjects"},
		{"PresignGet", func() error { _, err := b.PresignGet(t.Context(), "k", time.Minute, nil); return err }, ""},
	} {
		before := map[string]int{}
		for _, name := range all {
			before[name] = l.Calls(name)
		}
		total := l.Total()
		if err := c.use(); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		var calls []string
		for _, name := range all {
			n := l.Calls(name) - before[name]
			total += n
			switch {
			case n == 1:
				calls = append(calls, name)
			case n > 1:
				calls = append(calls, fmt.Sprintf("%d %s", n, name))
			}
		}
		if diff := cmp.Diff(c.want, strings.Join(calls, " ")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
		if total != l.Total() {
			t.Errorf("%s: %d calls of other operations", c.name, l.Total()-total)
		}
	}
}
