package archive

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// testTime is a committer time, with a fraction that a bundle does not hold.
var testTime = time.Unix(1700000000, 123).UTC()

// entry is one entry of a bundle in a test.
type entry struct {
	Header
	data    []byte
	content func(data []byte) Content // nil: Bytes
	now     bool
}

func opener(data []byte) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil }
}

func stored(data []byte) Content { return Stored(opener(data), crc32.ChecksumIEEE(data)) }
func deflated(data []byte) Content {
	return Deflated(opener(data), 3).WithCRC(crc32.ChecksumIEEE(data))
}

func cachedSegment(level int) func(data []byte) Content {
	return func(data []byte) Content {
		var out bytes.Buffer
		info, err := MakeSegment(&out, bytes.NewReader(data), int64(len(data)), level)
		if err != nil {
			panic(err)
		}
		return Segment(opener(out.Bytes()), info)
	}
}

func (e entry) addTo(b *BundleWriter) error {
	h := e.Header
	if h.Size == 0 {
		h.Size = int64(len(e.data))
	}
	if h.ModTime.IsZero() {
		h.ModTime = testTime
	}
	c := Bytes(e.data)
	if e.content != nil {
		c = e.content(e.data)
	}
	if e.now {
		return b.AddNow(context.Background(), h, c)
	}
	return b.Add(context.Background(), h, c)
}

// write makes a bundle of the entries.
func write(t testing.TB, entries []entry, opts ...BundleOption) ([]byte, Summary) {
	t.Helper()
	var out bytes.Buffer
	b := NewBundleWriter(&out, opts...)
	defer b.Abort()
	for _, e := range entries {
		if err := e.addTo(b); err != nil {
			t.Fatal(err)
		}
	}
	sum, err := b.Close()
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes(), sum
}

// text is a piece of something that compresses as source code does.
func text(r *rand.Rand, size int) []byte {
	if size == 0 {
		return nil
	}
	start := r.IntN(64 << 10)
	return manyLines()[start : start+size : start+size]
}

// manyLines is what text is cut from.
var manyLines = sync.OnceValue(func() []byte {
	var b bytes.Buffer
	r := rand.New(rand.NewPCG(1, 2))
	for b.Len() < 8<<20 {
		fmt.Fprintf(&b, "line %d of the file, %x\n", r.IntN(1000), r.Uint32()&0xff)
	}
	return b.Bytes()
})

// noise does not compress.
func noise(r *rand.Rand, size int) []byte {
	b := make([]byte, size)
	var seed [32]byte
	binary.LittleEndian.PutUint64(seed[:], r.Uint64())
	rand.NewChaCha8(seed).Read(b)
	return b
}

// variety has every kind of entry, content and odd name, in the order of a bundle.
func variety() []entry {
	r := rand.New(rand.NewPCG(3, 4))
	long := strings.Repeat("deep-directory/", 12)
	entries := []entry{
		{Header: Header{Name: "deps", Mode: Dir, ModTime: time.Unix(0, 0)}},
		{Header: Header{Name: "deps/a.zip"}, data: noise(r, 3<<20+17), content: stored},
		{Header: Header{Name: "deps/b.zip"}, data: noise(r, 300), content: stored},
		{Header: Header{Name: "deps/c.crate"}, data: noise(r, chunkBytes-100), content: stored},
		{Header: Header{Name: "deps/chunk.crate"}, data: noise(r, chunkBytes), content: stored},
		{Header: Header{Name: "deps/d.mod"}, data: text(r, 300), content: deflated},
		{Header: Header{Name: "deps/e.json"}, data: text(r, chunkBytes+5), content: deflated},
		{Header: Header{Name: "deps/empty.zip"}, content: stored},
		{Header: Header{Name: "deps/f.json"}, data: text(r, 100<<10), content: deflated},
		{Header: Header{Name: "deps/s1"}, data: text(r, chunkBytes+1), content: cachedSegment(3)},
		{Header: Header{Name: "deps/s2"}, data: noise(r, 200<<10), content: cachedSegment(Store)},
		{Header: Header{Name: "app/bytes.png"}, data: noise(r, 5000)},
		{Header: Header{Name: "app/dir.egg", Mode: Dir}},
		{Header: Header{Name: "app/empty"}},
		{Header: Header{Name: "app/exact"}, data: text(r, 512)},
		{Header: Header{Name: "app/large"}, data: text(r, 2<<20), content: deflated, now: true},
		{Header: Header{Name: "app/link", Mode: Link, Linkname: "../deps/d.mod"}},
		{Header: Header{Name: "app/link-long", Mode: Link, Linkname: strings.Repeat("x/", 80) + "y"}},
		{Header: Header{Name: "app/now"}, data: text(r, 4000), content: deflated, now: true},
		{Header: Header{Name: "app/run.sh", Mode: Executable}, data: []byte("#!/bin/sh\n")},
		{Header: Header{Name: "app/" + long + "file-in-prefix.txt"}, data: []byte("p")},
		{Header: Header{Name: "app/" + strings.Repeat("n", 120)}, data: []byte("long base")},
		{Header: Header{Name: "app/" + strings.Repeat(long, 2) + "far"}, data: []byte("too long for ustar")},
		{Header: Header{Name: "app/" + strings.Repeat(long, 2) + "dir", Mode: Dir}},
		{Header: Header{Name: "app/übung-日本.txt"}, data: []byte("utf-8")},
		{Header: Header{Name: "app/zlink", Mode: Link, Linkname: "übung-日本.txt"}},
		{Header: Header{Name: "app/ spaces and 'quotes' \\ "}, data: []byte("q")},
		{Header: Header{Name: "app/1969", ModTime: time.Unix(-5, 0)}, data: []byte("before the epoch")},
	}
	for i := range 150 {
		entries = append(entries, entry{Header: Header{Name: fmt.Sprintf("app/src/%04d.go", i)}, data: text(r, r.IntN(9000))})
	}
	return append(entries, entry{Header: Header{Name: "cachito.env"}, data: []byte("# env\n")})
}

// member is what a reader sees of an entry.
type member struct {
	Name, Linkname string
	Mode           int64
	Type           string
	Time           int64
	SHA256         string
}

func wanted(entries []entry) []member {
	var want []member
	for _, e := range entries {
		m := member{Name: e.Name, Linkname: e.Linkname, Mode: e.Mode.perm(), Type: "0", Time: testTime.Unix()}
		switch e.Mode {
		case Dir:
			m.Type = "5"
		case Link:
			m.Type = "2"
		}
		if !e.ModTime.IsZero() {
			m.Time = e.ModTime.Unix()
		}
		if e.Mode.isFile() {
			sum := sha256.Sum256(e.data)
			m.SHA256 = hex.EncodeToString(sum[:])
		}
		want = append(want, m)
	}
	return want
}

// readBack lists a bundle with the standard library, which checks CRC and length.
func readBack(t testing.TB, bundle []byte) []member {
	t.Helper()
	in := bytes.NewReader(bundle)
	z, err := gzip.NewReader(in)
	if err != nil {
		t.Fatal(err)
	}
	z.Multistream(false)
	var got []member
	tr := tar.NewReader(z)
	for {
		h, err := tr.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Uid != 0 || h.Gid != 0 || h.Uname != "" || h.Gname != "" {
			t.Errorf("%s: owner %d:%d %q:%q", h.Name, h.Uid, h.Gid, h.Uname, h.Gname)
		}
		m := member{
			Name: strings.TrimSuffix(h.Name, "/"), Linkname: h.Linkname, Mode: h.Mode,
			Type: string(h.Typeflag), Time: h.ModTime.Unix(),
		}
		if h.Typeflag == tar.TypeReg {
			sum := sha256.New()
			if _, err := io.Copy(sum, tr); err != nil {
				t.Fatal(err)
			}
			m.SHA256 = hex.EncodeToString(sum.Sum(nil))
		}
		got = append(got, m)
	}
	if _, err := io.Copy(io.Discard, z); err != nil {
		t.Fatal(err)
	}
	if in.Len() != 0 {
		t.Errorf("%d bytes follow the gzip member: it must be the only one", in.Len())
	}
	return got
}

func TestBundleReadBack(t *testing.T) {
	entries := variety()
	bundle, sum := write(t, entries)
	if diff := cmp.Diff(wanted(entries), readBack(t, bundle)); diff != "" {
		t.Errorf("bundle (-want +got):\n%s", diff)
	}
	hashed := sha256.Sum256(bundle)
	z, err := gzip.NewReader(bytes.NewReader(bundle))
	if err != nil {
		t.Fatal(err)
	}
	content, err := io.Copy(io.Discard, z)
	if err != nil {
		t.Fatal(err)
	}
	want := Summary{SHA256: hex.EncodeToString(hashed[:]), Size: int64(len(bundle)), ContentSize: content, Entries: len(entries)}
	if diff := cmp.Diff(want, sum); diff != "" {
		t.Errorf("summary (-want +got):\n%s", diff)
	}
}

func TestBundleGzipHeader(t *testing.T) {
	bundle, _ := write(t, nil)
	if want := []byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255}; !bytes.HasPrefix(bundle, want) {
		t.Errorf("gzip header: got % x, want % x", bundle[:10], want)
	}
}

func TestBundleBytesDoNotDependOnParallelism(t *testing.T) {
	entries := variety()
	first, _ := write(t, entries, WithWorkers(1))
	for _, workers := range []int{1, 2, 7} {
		again, _ := write(t, entries, WithWorkers(workers))
		if !bytes.Equal(first, again) {
			t.Errorf("%d workers: other bytes than with one", workers)
		}
	}
}

// The same content must give the same bytes, whether its segment was cached or not, and whether it was
// read at once or later.
func TestBundleBytesDoNotDependOnTheWayIn(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for _, size := range []int{MaxBatchedBytes + 1, chunkBytes - 300, chunkBytes, chunkBytes + 1, 2 * chunkBytes} {
		for _, level := range []int{Store, 1, DefaultLevel} {
			data := text(r, size)
			ways := map[string]entry{
				"open":    {content: func(d []byte) Content { return Content{open: opener(d), level: level, own: level == Store} }},
				"now":     {content: func(d []byte) Content { return Content{open: opener(d), level: level, own: level == Store} }, now: true},
				"segment": {content: cachedSegment(level)},
			}
			var first []byte
			for way, e := range ways {
				e.Header, e.data = Header{Name: "deps/x"}, data
				bundle, _ := write(t, []entry{e})
				if first == nil {
					first = bundle
				} else if !bytes.Equal(first, bundle) {
					t.Errorf("%d bytes at level %d: other bytes by way of %q", size, level, way)
				}
			}
		}
	}
}

func TestBundleOfNothingIsTheSameEitherWay(t *testing.T) {
	for _, h := range []Header{{Name: "d", Mode: Dir}, {Name: "l", Mode: Link, Linkname: "x"}, {Name: "e.zip"}} {
		bytesNil, _ := write(t, []entry{{Header: h}})
		zero, _ := write(t, []entry{{Header: h, content: func([]byte) Content { return Content{} }}})
		if !bytes.Equal(bytesNil, zero) {
			t.Errorf("%s: the zero Content gives other bytes than Bytes(nil)", h.Name)
		}
	}
}

func TestBundleRefusesNames(t *testing.T) {
	tests := []struct {
		name    string
		before  []Header
		h       Header
		reason  string
		blaming string // "": the name itself
	}{
		{name: "empty", h: Header{Name: ""}, reason: "is empty"},
		{name: "absolute", h: Header{Name: "/etc/passwd"}, reason: "is absolute"},
		{name: "dot dot", h: Header{Name: "a/../b"}, reason: `".."`},
		{name: "dot dot at the end", h: Header{Name: "a/.."}, reason: `".."`},
		{name: "dot", h: Header{Name: "."}, reason: "not clean"},
		{name: "dot inside", h: Header{Name: "a/./b"}, reason: "not clean"},
		{name: "double slash", h: Header{Name: "a//b"}, reason: "not clean"},
		{name: "slash at the end", h: Header{Name: "a/", Mode: Dir}, reason: "not clean"},
		{name: "NUL", h: Header{Name: "a\x00b"}, reason: "control character"},
		{name: "newline", h: Header{Name: "a\nb"}, reason: "control character"},
		{name: "C1 control", h: Header{Name: "a\u0085b"}, reason: "control character"},
		{name: "too long", h: Header{Name: strings.Repeat("a", MaxNameBytes+1)}, reason: "longer than 4096 bytes", blaming: "aaa"},
		{name: "too deep", h: Header{Name: strings.Repeat("a/", MaxNameDepth) + "a"}, reason: "more than 256 elements"},
		{name: "S16 twice", before: []Header{{Name: "a"}}, h: Header{Name: "a"}, reason: "already"},
		{name: "twice, as directory", before: []Header{{Name: "a", Mode: Dir}}, h: Header{Name: "a"}, reason: "already"},
		{name: "below a file", before: []Header{{Name: "a"}}, h: Header{Name: "a/b/c"}, reason: "lies below a, which is a file"},
		{name: "below a link", before: []Header{{Name: "a/l", Mode: Link, Linkname: "x"}}, h: Header{Name: "a/l/c"}, reason: "lies below a/l, which is a link"},
		{name: "file over files", before: []Header{{Name: "a/b/c"}}, h: Header{Name: "a/b"}, reason: "has files below it"},
		{name: "link without target", h: Header{Name: "a", Mode: Link}, reason: "without a target"},
		{name: "link target with control", h: Header{Name: "a", Mode: Link, Linkname: "x\ny"}, reason: "control character"},
		{name: "file with target", h: Header{Name: "a", Linkname: "x"}, reason: "link target"},
		{name: "directory with content", h: Header{Name: "a", Mode: Dir, Size: 1}, reason: "size 1"},
		{name: "unknown mode", h: Header{Name: "a", Mode: 9}, reason: "unknown"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := NewBundleWriter(io.Discard)
			defer b.Abort()
			for _, h := range tt.before {
				if err := b.Add(t.Context(), h, Bytes(nil)); err != nil {
					t.Fatal(err)
				}
			}
			err := b.Add(t.Context(), tt.h, Bytes(nil))
			var named *NameError
			if !errors.As(err, &named) {
				t.Fatalf("got error %v, want a NameError", err)
			}
			if tt.blaming == "" {
				tt.blaming = tt.h.Name
			}
			if !strings.Contains(named.Reason, tt.reason) || !strings.HasPrefix(named.Name, tt.blaming) {
				t.Errorf("got %v, want %q because it %q", err, tt.blaming, tt.reason)
			}
			if _, closeErr := b.Close(); !errors.Is(closeErr, err) {
				t.Errorf("Close after a failed Add: got %v, want the same error", closeErr)
			}
		})
	}
}

func TestBundleContentChanged(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	large := noise(r, 3<<20)
	otherCRC := func(data []byte) Content { return Stored(opener(data), 1) }
	otherCRCDeflated := func(data []byte) Content { return Deflated(opener(data), 1).WithCRC(1) }
	damaged := func(data []byte) Content {
		c := cachedSegment(Store)(data)
		open := c.open
		c.open = func() (io.ReadCloser, error) {
			in, _ := open()
			b, _ := io.ReadAll(in)
			b[len(b)/2] ^= 1
			return io.NopCloser(bytes.NewReader(b)), nil
		}
		return c
	}
	tests := []struct {
		name string
		e    entry
		want string
	}{
		{"CRC of small stored", entry{data: large[:900], content: otherCRC}, "expected CRC 00000001"},
		{"CRC of large stored", entry{data: large, content: otherCRC}, "expected CRC 00000001"},
		{"CRC of small deflated", entry{data: large[:900], content: otherCRCDeflated}, "expected CRC 00000001"},
		{"CRC of large deflated", entry{data: large, content: otherCRCDeflated}, "expected CRC 00000001"},
		{"CRC, read now", entry{data: large[:900], content: otherCRCDeflated, now: true}, "expected CRC 00000001"},
		{"small too short", entry{Header: Header{Size: 901}, data: large[:900], content: deflated}, "expected 901 bytes, got 900 bytes"},
		{"small too long", entry{Header: Header{Size: 899}, data: large[:900], content: deflated}, "expected 899 bytes, got more"},
		{"large too short", entry{Header: Header{Size: 3<<20 + 1}, data: large, content: stored}, "expected 3145729 bytes, got 3145728 bytes"},
		{"large too long", entry{Header: Header{Size: 3<<20 - 1}, data: large, content: stored}, "expected 3145727 bytes, got more"},
		{"bytes too short", entry{Header: Header{Size: 5}, data: []byte("four")}, "expected 5 bytes, got 4 bytes"},
		{"segment of another size", entry{Header: Header{Size: 5}, data: large[:900], content: cachedSegment(1)}, "expected 5 bytes, got a segment of 900 bytes"},
		{"segment damaged", entry{data: large, content: damaged}, "expected CRC"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := NewBundleWriter(io.Discard)
			tt.e.Name = "deps/changed"
			err := tt.e.addTo(b)
			if err == nil {
				_, err = b.Close()
			} else {
				b.Abort()
			}
			var changed *ContentChangedError
			if !errors.As(err, &changed) || !errors.Is(err, ErrContentChanged) {
				t.Fatalf("got error %v, want a ContentChangedError", err)
			}
			if !strings.Contains(err.Error(), tt.want) || changed.Name != "deps/changed" {
				t.Errorf("got %v, want %q of deps/changed", err, tt.want)
			}
		})
	}
}

// goldenBundle is the SHA-256 of the bundle of variety().
const goldenBundle = "8c00c4c357e9a9389d56cffc5b6f52369d7bc6f5dd040c050939b7ae96181d1d"

// Bundles are compared by their hash, by people and by caches, across machines and releases.
func TestBundleBytesStayTheSame(t *testing.T) {
	_, sum := write(t, variety())
	if sum.SHA256 != goldenBundle {
		t.Errorf("SHA-256 of the sample bundle: got %s, want %s\nThe same request gives another archive than before. If that is meant (a new compressor), say so in CHANGELOG.md and change the constant.", sum.SHA256, goldenBundle)
	}
}
