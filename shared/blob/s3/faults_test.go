package s3

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/awsclient/awsclienttest"
	"github.com/cachito-serverless/cachito/shared/blob"
)

// content is so many bytes, different everywhere.
func content(size int) []byte {
	p := make([]byte, size)
	rand.Read(p)
	return p
}

func get(t *testing.T, b *Blob, key string) []byte {
	t.Helper()
	o, err := b.Open(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	got, err := io.ReadAll(o)
	if err != nil {
		t.Fatal(err)
	}
	if int64(len(got)) != o.Info().Size {
		t.Errorf("object %s: got %d bytes of %d", key, len(got), o.Info().Size)
	}
	return got
}

func same(t *testing.T, what string, got, want []byte) {
	t.Helper()
	if !bytes.Equal(got, want) {
		t.Errorf("%s: got %d bytes, want %d, or others", what, len(got), len(want))
	}
}

// losing is a network that loses the first answer of one operation.
func losing(name string) *awsclienttest.Losing {
	return &awsclienttest.Losing{
		Base: awsclienttest.Transport(), Operation: operation,
		Lose: func(op string, nth, _ int) bool { return op == name && nth == 1 },
	}
}

// TestLostAnswer: a write whose answer was lost and that is sent again is the same write.
func TestLostAnswer(t *testing.T) {
	const large = PartBytes + 1000
	for _, s := range servers {
		for _, c := range []struct {
			operation string
			size      int
		}{
			{"PutObject", 10},
			{"CreateMultipartUpload", large},
			{"UploadPart", large},
			{"CompleteMultipartUpload", large},
			{"UploadPartCopy", large},
			{"DeleteObject", large},
		} {
			t.Run(s.name+" "+c.operation, func(t *testing.T) {
				l := losing(c.operation)
				b := s.open(t, l)
				want := content(c.size)
				w, err := b.Create(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				defer w.Abort()
				if _, err := w.Write(want); err != nil {
					t.Fatal(err)
				}
				if err := w.Commit(t.Context(), "k", false); err != nil {
					t.Fatalf("Commit: %v", err)
				}
				if l.Lost(c.operation) != 1 {
					t.Fatalf("%d answers were lost, want 1", l.Lost(c.operation))
				}
				same(t, "object", get(t, b, "k"), want)
				if left := b.uploads(t); len(left) > 0 {
					t.Errorf("unfinished uploads: %v", left)
				}
				if err := b.Put(t.Context(), "k", want, false); !errors.Is(err, blob.ErrExists) {
					t.Errorf("the same content by another write: got %v, want ErrExists", err)
				}
			})
		}
	}
}

// failing is a network that refuses calls.
type failing struct{ refuse func(operation string) bool }

// RoundTrip implements http.RoundTripper.
func (f failing) RoundTrip(r *http.Request) (*http.Response, error) {
	if f.refuse(operation(r)) {
		return nil, errors.New("no network")
	}
	return awsclienttest.Transport().RoundTrip(r)
}

// TestNothingIsLeft: writes that fail or are given up leave neither object nor upload.
func TestNothingIsLeft(t *testing.T) {
	for _, s := range servers {
		t.Run(s.name, func(t *testing.T) {
			sure := s.open(t, nil)
			left := func(t *testing.T) {
				t.Helper()
				if uploads := sure.uploads(t); len(uploads) > 0 {
					t.Errorf("unfinished uploads: %v", uploads)
				}
				for info, err := range sure.list(t.Context(), "", "") {
					t.Errorf("object %s (%v)", info.Key, err)
				}
			}
			t.Run("Abort of a large object", func(t *testing.T) {
				w, err := sure.Create(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if _, err := w.Write(content(2*PartBytes + 1)); err != nil {
					t.Fatal(err)
				}
				if len(sure.uploads(t)) != 1 {
					t.Error("there is no upload to be given up: the test tests nothing")
				}
				if err := w.Abort(); err != nil {
					t.Error(err)
				}
				left(t)
			})
			t.Run("the caller goes away", func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				w, err := sure.Create(ctx)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := w.Write(content(PartBytes + 1)); err != nil {
					t.Fatal(err)
				}
				cancel()
				if err := w.Commit(ctx, "k", true); !errors.Is(err, context.Canceled) {
					t.Errorf("Commit: got %v, want context.Canceled", err)
				}
				if err := w.Abort(); err != nil {
					t.Error(err)
				}
				left(t)
			})
			for _, name := range []string{"UploadPart", "CompleteMultipartUpload", "UploadPartCopy"} {
				t.Run(name+" fails", func(t *testing.T) {
					b := New(s.config(t, failing{func(op string) bool { return op == name }}), sure.bucket)
					w, err := b.Create(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					_, err = w.Write(content(PartBytes + 1))
					if err == nil {
						err = w.Commit(t.Context(), "k", true)
					}
					if err == nil || !strings.Contains(err.Error(), "no network") {
						t.Errorf("got %v, want the network's error", err)
					}
					if err := w.Abort(); err != nil {
						t.Error(err)
					}
					left(t)
				})
			}
		})
	}
}

// TestCopies: small pieces are collected, large ones copied inside the storage; versitygw refuses parts that
// are too small.
func TestCopies(t *testing.T) {
	const mb = 1 << 20
	for _, s := range servers {
		l := &awsclienttest.Losing{Base: awsclienttest.Transport(), Operation: operation}
		t.Run(s.name, func(t *testing.T) {
			b := s.open(t, l)
			big, odd := content(12*mb), content(6*mb)
			for key, p := range map[string][]byte{"big": big, "o+d d/é": odd} {
				if err := b.Put(t.Context(), key, p, true); err != nil {
					t.Fatal(err)
				}
			}
			small := content(1000)
			for _, c := range []struct {
				name   string
				parts  []blob.Part
				want   []byte
				copies int
			}{
				{"whole", []blob.Part{{Key: "big", Length: -1}}, big, 1},
				{"a small tail", []blob.Part{{Key: "big", Length: -1}, {Bytes: small}}, slices.Concat(big, small), 1},
				{"a small head", []blob.Part{{Bytes: small}, {Key: "big", Length: -1}}, slices.Concat(small, big), 1},
				{
					"small between large",
					[]blob.Part{{Key: "big", Offset: 1, Length: 7 * mb}, {Bytes: small}, {Key: "o+d d/é", Length: -1}, {Bytes: small}},
					slices.Concat(big[1:7*mb+1], small, odd, small), 1,
				},
				{
					"many small",
					[]blob.Part{{Key: "big", Length: 3 * mb}, {Key: "o+d d/é", Offset: 5, Length: 3 * mb}, {Key: "big", Offset: 9 * mb, Length: -1}},
					slices.Concat(big[:3*mb], odd[5:3*mb+5], big[9*mb:]), 0,
				},
				{"two large", []blob.Part{{Key: "o+d d/é", Length: -1}, {Key: "big", Length: -1}}, slices.Concat(odd, big), 2},
			} {
				t.Run(c.name, func(t *testing.T) {
					before := l.Calls("UploadPartCopy")
					if err := compose(t.Context(), b, "out", c.parts, true); err != nil {
						t.Fatal(err)
					}
					same(t, "object", get(t, b, "out"), c.want)
					if got := l.Calls("UploadPartCopy") - before; got != c.copies {
						t.Errorf("%d parts were copied inside the storage, want %d", got, c.copies)
					}
				})
			}
			t.Run("a taken key", func(t *testing.T) {
				err := compose(t.Context(), b, "big", []blob.Part{{Key: "o+d d/é", Length: -1}}, false)
				if !errors.Is(err, blob.ErrExists) {
					t.Errorf("got %v, want ErrExists", err)
				}
				same(t, "object", get(t, b, "big"), big)
			})
			if left := b.uploads(t); len(left) > 0 {
				t.Errorf("unfinished uploads: %v", left)
			}
		})
	}
}

// TestStreamingKeepsMemoryFlat: what is written and not yet stored is bounded, whatever the object's size.
func TestStreamingKeepsMemoryFlat(t *testing.T) {
	b := versitygw.open(t, nil)
	const size = 160 << 20
	// The collector lets garbage grow to the size of what is alive; a stream held whole would be 160 MB.
	const bound = (partsAhead+2)*PartBytes + 64<<20
	runtime.GC() // what other tests left sets the collector's pace
	runtime.GC()
	var peak atomic.Uint64
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		var m runtime.MemStats
		for {
			runtime.ReadMemStats(&m)
			peak.Store(max(peak.Load(), m.HeapInuse))
			select {
			case <-stop:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	w, err := b.Create(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	piece := content(1 << 20)
	for range size / len(piece) {
		if _, err := w.Write(piece); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Commit(t.Context(), "k", false); err != nil {
		t.Fatal(err)
	}
	close(stop)
	<-stopped
	t.Logf("at most %d MiB of heap for %d MiB", peak.Load()>>20, size>>20)
	if peak.Load() > bound {
		t.Errorf("heap: at most %d MiB, want %d", peak.Load()>>20, bound>>20)
	}
	if info, err := b.Stat(t.Context(), "k"); err != nil || info.Size != size {
		t.Errorf("got %d bytes (%v), want %d", info.Size, err, size)
	}
}

// TestReserved: the adapter's own keys are nobody else's, and no list shows them.
func TestReserved(t *testing.T) {
	b := ministack.open(t, nil)
	for _, key := range []string{"_cachito/tmp/x", usedPrefix + "k"} {
		if err := b.Put(t.Context(), key, nil, true); !errors.Is(err, blob.ErrInvalidKey) {
			t.Errorf("Put(%s): got %v, want ErrInvalidKey", key, err)
		}
		part := []blob.Part{{Key: key, Length: -1}}
		if err := compose(t.Context(), b, "k", part, true); !errors.Is(err, blob.ErrInvalidKey) {
			t.Errorf("CreateAt of %s: got %v, want ErrInvalidKey", key, err)
		}
	}
	long := strings.Repeat("l", blob.MaxKeyBytes)
	keys := []string{"A", "_", "_cachito", "_cachitp", long}
	slices.Sort(keys)
	for _, key := range keys {
		if err := b.Put(t.Context(), key, nil, true); err != nil {
			t.Fatal(err)
		}
	}
	before := map[string]time.Time{}
	for info, err := range b.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		before[info.Key] = info.LastUse
	}
	time.Sleep(1100 * time.Millisecond)
	touched := []string{"A", "_cachito", long}
	for _, key := range touched {
		if err := b.Touch(t.Context(), key); err != nil {
			t.Fatal(err)
		}
	}
	var got, later []string
	for info, err := range b.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, info.Key)
		if info.LastUse.After(before[info.Key]) {
			later = append(later, info.Key)
		}
	}
	if diff := cmp.Diff(keys, got); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(touched, later); diff != "" {
		t.Errorf("touched (-want +got):\n%s", diff)
	}
	if err := b.Delete(t.Context(), keys...); err != nil {
		t.Fatal(err)
	}
	for info, err := range b.list(t.Context(), ownPrefix, "") {
		t.Errorf("a last use is left: %s (%v)", info.Key, err)
	}
}
