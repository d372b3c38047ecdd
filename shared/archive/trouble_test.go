package archive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// fullDisk takes so many bytes and then fails.
type fullDisk struct{ left int }

var errDiskFull = errors.New("no space left on device")

func (d *fullDisk) Write(b []byte) (int, error) {
	if d.left -= len(b); d.left < 0 {
		return 0, errDiskFull
	}
	return len(b), nil
}

func TestBundleWriterFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBundleWriter(&fullDisk{left: 5 << 20})
		var err error
		for i := 0; i < 1000 && err == nil; i++ {
			err = b.Add(t.Context(), Header{Name: fmt.Sprintf("f%d", i), Size: 1 << 20}, StoredUnchecked(zeroes(1<<20)))
		}
		if !errors.Is(err, errDiskFull) {
			t.Errorf("Add: got %v, want %v", err, errDiskFull)
		}
		if _, err := b.Close(); !errors.Is(err, errDiskFull) {
			t.Errorf("Close: got %v, want %v", err, errDiskFull)
		}
		// synctest fails when a goroutine is left.
	})
}

func TestBundleWriterFailsAtTheEnd(t *testing.T) {
	var whole bytes.Buffer
	entries := []entry{{Header: Header{Name: "a"}}}
	bundle, _ := write(t, entries)
	// The disk has room for all but the last byte.
	b := NewBundleWriter(io.MultiWriter(&fullDisk{left: len(bundle) - 1}, &whole))
	if err := entries[0].addTo(b); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Close(); !errors.Is(err, errDiskFull) || !bytes.HasPrefix(bundle, whole.Bytes()) {
		t.Errorf("Close: got %v, want %v", err, errDiskFull)
	}
}

func zeroes(size int64) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return io.NopCloser(io.LimitReader(zeroReader{}, size)), nil }
}

func TestBundleOpenFails(t *testing.T) {
	gone := errors.New("object not found")
	open := func() (io.ReadCloser, error) { return nil, gone }
	for name, size := range map[string]int64{"batched": 10, "alone": 500 << 10, "in chunks": 10 << 20} {
		t.Run(name, func(t *testing.T) {
			b := NewBundleWriter(io.Discard)
			err := b.Add(t.Context(), Header{Name: "deps/gone", Size: size}, Deflated(open, 1))
			if err == nil {
				_, err = b.Close()
			} else {
				b.Abort()
			}
			if !errors.Is(err, gone) || !strings.Contains(err.Error(), "deps/gone") {
				t.Errorf("got %v, want %v of deps/gone", err, gone)
			}
		})
	}
}

// A broken connection says EOF too; it must not pass for the end.
func TestBrokenReadersAreNotTheEnd(t *testing.T) {
	broken := fmt.Errorf("Get %q: %w", "https://example.org/x", io.EOF)
	const size = 3 * chunkBytes
	cut := func(size int64) io.Reader {
		return io.MultiReader(io.LimitReader(zeroReader{}, size), failingReader{broken})
	}
	check := func(t *testing.T, err error) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), "https://example.org/x") || errors.Is(err, io.EOF) || errors.Is(err, ErrDamaged) || errors.Is(err, ErrBadArchive) {
			t.Errorf("got %v, want that the connection broke", err)
		}
	}
	for name, left := range map[string]int64{"at once": size, "after a chunk": size - chunkBytes, "at the end": 0} {
		t.Run("bundle, in chunks, "+name, func(t *testing.T) {
			b := NewBundleWriter(io.Discard)
			defer b.Abort()
			open := func() (io.ReadCloser, error) { return io.NopCloser(cut(size - left)), nil }
			check(t, b.Add(t.Context(), Header{Name: "x", Size: size}, StoredUnchecked(open)))
		})
	}
	for name, size := range map[string]int64{"batched": 100, "alone": 500 << 10, "empty": 0} {
		t.Run("bundle, "+name, func(t *testing.T) {
			b := NewBundleWriter(io.Discard)
			open := func() (io.ReadCloser, error) { return io.NopCloser(cut(size / 2)), nil }
			if err := b.Add(t.Context(), Header{Name: "x", Size: size}, Deflated(open, 1)); err != nil {
				t.Fatal(err)
			}
			_, err := b.Close()
			check(t, err)
		})
	}
	t.Run("bundle, cut connection", func(t *testing.T) {
		b := NewBundleWriter(io.Discard)
		defer b.Abort()
		open := func() (io.ReadCloser, error) {
			return io.NopCloser(io.MultiReader(io.LimitReader(zeroReader{}, size-1), failingReader{io.ErrUnexpectedEOF})), nil
		}
		err := b.Add(t.Context(), Header{Name: "x", Size: size}, StoredUnchecked(open))
		if !errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, ErrContentChanged) {
			t.Errorf("got %v, want %v, which is no changed content", err, io.ErrUnexpectedEOF)
		}
	})
	t.Run("segment", func(t *testing.T) {
		_, err := MakeSegment(io.Discard, cut(chunkBytes), size, Store)
		check(t, err)
	})
	t.Run("tree writer", func(t *testing.T) {
		w, err := NewTreeWriter(io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		check(t, w.File("x", 0o644, size, cut(chunkBytes)))
	})
	tree := writeTree(t, sampleTree())
	t.Run("tree reader", func(t *testing.T) {
		for keep := 0; keep < len(tree); keep += len(tree)/10 + 1 {
			_, err := readTree(io.MultiReader(bytes.NewReader(tree[:keep]), failingReader{broken}))
			check(t, err)
		}
	})
	t.Run("extract tree", func(t *testing.T) {
		root, _ := newRoot(t)
		check(t, ExtractTree(t.Context(), io.MultiReader(bytes.NewReader(tree[:len(tree)/2]), failingReader{broken}), root, Limits{}))
	})
	t.Run("extract", func(t *testing.T) {
		data := tarOf(t, tarFile("a", strings.Repeat("x", 5000)), tarFile("b", ""))
		for _, keep := range []int{0, 512, 2000, 5632, 6144} {
			for _, archive := range [][]byte{data[:keep], gzipped(t, data[:keep])} {
				root, _ := newRoot(t)
				check(t, Extract(t.Context(), io.MultiReader(bytes.NewReader(archive[:max(0, len(archive)-9)]), failingReader{broken}), root, Limits{}))
			}
		}
	})
}

// stuck never returns from Write until it is released.
type stuck struct{ release chan struct{} }

func (s stuck) Write(b []byte) (int, error) {
	<-s.release
	return len(b), nil
}

func TestBundleAddEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		b := NewBundleWriter(stuck{release})
		ctx, cancel := context.WithCancel(t.Context())
		var reads atomic.Int64
		open := func() (io.ReadCloser, error) {
			reads.Add(1)
			return io.NopCloser(io.LimitReader(zeroReader{}, 500<<10)), nil
		}
		failed := make(chan error)
		go func() {
			var err error
			for i := 0; err == nil; i++ {
				err = b.Add(ctx, Header{Name: fmt.Sprintf("f%d", i), Size: 500 << 10}, StoredUnchecked(open))
			}
			failed <- err
		}()
		synctest.Wait() // Add waits for room
		if got, most := reads.Load(), int64(MaxBufferedBytes/jobBytes); got == 0 || got > most {
			t.Errorf("%d entries were read ahead of a stuck writer, want 1 to %d", got, most)
		}
		cancel()
		if err := <-failed; !errors.Is(err, context.Canceled) {
			t.Errorf("Add: got %v, want %v", err, context.Canceled)
		}
		close(release)
		b.Abort()
	})
}

func TestBundleWriterAfterItsEnd(t *testing.T) {
	for name, end := range map[string]func(b *BundleWriter){
		"Close": func(b *BundleWriter) { b.Close() },
		"Abort": func(b *BundleWriter) { b.Abort() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := NewBundleWriter(io.Discard)
				end(b)
				if err := b.Add(t.Context(), Header{Name: "a"}, Bytes(nil)); err == nil {
					t.Error("Add was taken")
				}
				if _, err := checkpoint(t, b); err == nil {
					t.Error("Checkpoint was taken")
				}
				if _, err := b.Close(); err == nil {
					t.Error("Close was taken")
				}
				b.Abort()
			})
		})
	}
}

func TestBundleWriterOptions(t *testing.T) {
	for name, o := range map[string]BundleOption{"level 0": WithLevel(0), "level 9": WithLevel(9), "no workers": WithWorkers(0)} {
		t.Run(name, func(t *testing.T) {
			b := NewBundleWriter(io.Discard, o)
			if _, err := b.Close(); err == nil {
				t.Error("Close: got no error")
			}
			if _, err := ResumeBundleWriter(io.Discard, Checkpoint{}, o); err == nil {
				t.Error("Resume: got no error")
			}
		})
	}
}

// memoryChild is set in the process that TestBundleMemory measures.
const memoryChild = "CACHITO_TEST_BUNDLE_MEMORY"

// A process that writes a bundle of 600 MB stays small. It is a process of its own, because memory that
// other tests used would hide the growth.
func TestBundleMemory(t *testing.T) {
	const most = MaxBufferedBytes + 40<<20
	if os.Getenv(memoryChild) == "" {
		c := exec.Command(os.Args[0], "-test.run=^TestBundleMemory$", "-test.v")
		c.Env = append(os.Environ(), memoryChild+"=1")
		out, err := c.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		_, rest, _ := strings.Cut(string(out), "heap=")
		digits, _, _ := strings.Cut(rest, "\n")
		heap, err := strconv.ParseInt(digits, 10, 64)
		if err != nil || heap < 1<<20 {
			t.Fatalf("the child did not say its memory: %v\n%s", err, out)
		}
		if heap > most {
			t.Errorf("writing a bundle took a heap of %d MB, want at most %d MB", heap>>20, most>>20)
		}
		return
	}
	b := NewBundleWriter(io.Discard)
	for i := range 60 {
		for kind, size := range map[string]int64{"l": 8 << 20, "m": 1 << 20, "s": 100 << 10, "t": 5 << 10} {
			c := StoredUnchecked(zeroes(size))
			if i%4 == 0 || kind == "t" {
				c = Deflated(zeroes(size), 1)
			}
			if err := b.Add(t.Context(), Header{Name: fmt.Sprintf("deps/%s%d", kind, i), Size: size}, c); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := b.Close(); err != nil {
		t.Fatal(err)
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	fmt.Printf("heap=%d\n", m.HeapSys)
}
