package gitrepo

import (
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/klauspost/compress/zlib"

	"github.com/cachito-serverless/cachito/shared/fault"
)

// packed makes a pack of raw entries: header and stored bytes.
func packed(entries ...[]byte) []byte {
	var b bytes.Buffer
	b.WriteString("PACK")
	binary.Write(&b, binary.BigEndian, []uint32{2, uint32(len(entries))})
	for _, e := range entries {
		b.Write(e)
	}
	sum := sha1.Sum(b.Bytes())
	b.Write(sum[:])
	return b.Bytes()
}

func deflated(content []byte) []byte {
	var b bytes.Buffer
	z := zlib.NewWriter(&b)
	z.Write(content)
	z.Close()
	return b.Bytes()
}

func entry(kind plumbing.ObjectType, content string) []byte {
	return append(objectHeader(kind, uint64(len(content))), deflated([]byte(content))...)
}

func refDelta(base plumbing.Hash, delta []byte) []byte {
	b := objectHeader(plumbing.REFDeltaObject, uint64(len(delta)))
	b = append(b, base[:]...)
	return append(b, deflated(delta)...)
}

// appending is a difference that copies a base and adds to it.
func appending(base, more string) []byte {
	d := binary.AppendUvarint(nil, uint64(len(base)))
	d = binary.AppendUvarint(d, uint64(len(base)+len(more)))
	d = append(d, 0x80|0x10, byte(len(base)))
	d = append(d, byte(len(more)))
	return append(d, more...)
}

func blobHash(content string) plumbing.Hash {
	return plumbing.ComputeHash(plumbing.BlobObject, []byte(content))
}

func emptyRepo(t testing.TB) *repo {
	t.Helper()
	r, err := openRepo(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.close)
	return r
}

func wantBlob(t *testing.T, r *repo, want string) {
	t.Helper()
	got, err := readBlob(r.store, blobHash(want), 1<<20)
	if err != nil || got != want {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
}

func TestStorePack(t *testing.T) {
	base := "a base that both sides have\n"
	two, three := base+"two\n", base+"two\nthree\n"
	t.Run("differences in any order, also to later objects", func(t *testing.T) {
		r := emptyRepo(t)
		pack := packed(refDelta(blobHash(two), appending(two, "three\n")), refDelta(blobHash(base), appending(base, "two\n")), entry(plumbing.BlobObject, base))
		// Byte by byte, so that every boundary is hit.
		if err := storePack(r, iotest.OneByteReader(bytes.NewReader(pack)), 1<<20); err != nil {
			t.Fatal(err)
		}
		r.reopen()
		for _, want := range []string{base, two, three} {
			wantBlob(t, r, want)
		}
	})
	t.Run("thin", func(t *testing.T) {
		r := emptyRepo(t)
		if err := storePack(r, bytes.NewReader(packed(entry(plumbing.BlobObject, base))), 1<<20); err != nil {
			t.Fatal(err)
		}
		r.reopen()
		if err := storePack(r, bytes.NewReader(packed(refDelta(blobHash(base), appending(base, "two\n")), refDelta(blobHash(two), appending(two, "three\n")))), 1<<20); err != nil {
			t.Fatal(err)
		}
		r.reopen()
		wantBlob(t, r, three)
		if err := r.checkPacks(); err != nil {
			t.Error(err)
		}
		packs, _ := filepath.Glob(filepath.Join(r.dir, "objects/pack/*.pack"))
		for _, p := range packs {
			runGit(t, r.dir, "verify-pack", p)
		}
	})
	t.Run("no objects", func(t *testing.T) {
		r := emptyRepo(t)
		if err := storePack(r, bytes.NewReader(packed()), 1<<20); err != nil {
			t.Error(err)
		}
		if left, _ := os.ReadDir(filepath.Join(r.dir, "objects/pack")); len(left) != 0 {
			t.Errorf("files stay: %v", left)
		}
	})

	good := packed(entry(plumbing.BlobObject, base))
	flipped := bytes.Clone(good)
	flipped[len(flipped)-1] ^= 1
	wrongSize := append(objectHeader(plumbing.BlobObject, 3), deflated([]byte("longer"))...)
	badOffset := append(objectHeader(plumbing.OFSDeltaObject, 4), 0x7f)
	for _, tc := range []struct {
		name string
		pack []byte
		want any
	}{
		{"cut off", good[:len(good)-25], new(error)},
		{"trailer cut off", good[:len(good)-1], new(error)},
		{"wrong checksum", flipped, new(*errPack)},
		{"something follows", append(bytes.Clone(good), 0), new(*errPack)},
		{"no pack", []byte("hello, this is no pack at all"), new(*errPack)},
		{"longer than it says", packed(wrongSize), new(*errPack)},
		{"unknown kind", packed(entry(5, "x")), new(*errPack)},
		{"missing base", packed(refDelta(blobHash("nowhere"), appending("nowhere", "x"))), new(*errPack)},
		{"base in the middle of something", packed(entry(plumbing.BlobObject, base), append(badOffset, deflated([]byte("abcd"))...)), new(*errPack)},
		{"difference of another base", packed(entry(plumbing.BlobObject, base), refDelta(blobHash(base), appending("x", "y"))), new(*errPack)},
		{"differences in a circle", packed(refDelta(blobHash("a"), appending("b", "a")), refDelta(blobHash("b"), appending("a", "b"))), new(*errPack)},
		{"too many objects", append([]byte("PACK\x00\x00\x00\x02\xff\xff\xff\xff"), good[12:]...), new(*fault.Error)},
		{"a difference that unfolds to too much", packed(entry(plumbing.BlobObject, base),
			refDelta(blobHash(base), binary.AppendUvarint(binary.AppendUvarint(nil, uint64(len(base))), 1<<40))), new(*fault.Error)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := emptyRepo(t)
			err := storePack(r, bytes.NewReader(tc.pack), 1<<20)
			if err == nil || !errors.As(err, tc.want) {
				t.Errorf("got %T %v, want %T", err, err, tc.want)
			}
			if left, _ := os.ReadDir(filepath.Join(r.dir, "objects/pack")); len(left) != 0 {
				t.Errorf("files stay: %v", left)
			}
		})
	}
	t.Run("a bomb", func(t *testing.T) {
		bomb := packed(entry(plumbing.BlobObject, strings.Repeat("\x00", 10<<20)))
		if len(bomb) > 64<<10 {
			t.Fatalf("the bomb has %d bytes", len(bomb))
		}
		var f *fault.Error
		if err := storePack(emptyRepo(t), bytes.NewReader(bomb), 1<<20); !errors.As(err, &f) || f.Type != fault.UnsupportedFeature {
			t.Errorf("got %v", err)
		}
	})
}

// git's own packs, with chains of differences by offset, give the same objects as git finds.
func TestStorePackOfGit(t *testing.T) {
	dir := t.TempDir()
	runGit(t, dir, "init", "-q")
	text := ""
	for i := range 25 {
		for j := range 40 {
			text += fmt.Sprintf("line %d of version %d\n", j*7919%1000, i)
		}
		write(t, dir, map[string]string{"a.txt": text, "b/c.txt": text[len(text)/2:]})
		runGit(t, dir, "add", ".")
		runGit(t, dir, "commit", "-qm", fmt.Sprint("version ", i))
	}
	runGit(t, dir, "repack", "-adfq", "--depth=50", "--window=50")
	packs, _ := filepath.Glob(filepath.Join(dir, ".git/objects/pack/*.pack"))
	pack, err := os.Open(packs[0])
	if err != nil {
		t.Fatal(err)
	}
	defer pack.Close()
	r := emptyRepo(t)
	if err := storePack(r, pack, 1<<30); err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(strings.TrimSuffix(packs[0], ".pack") + ".idx")
	if err != nil {
		t.Fatal(err)
	}
	ours, _ := filepath.Glob(filepath.Join(r.dir, "objects/pack/*.idx"))
	got, err := os.ReadFile(ours[0])
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("our index (%d bytes) is not git's (%d bytes): %v", len(got), len(want), err)
	}
}

func FuzzStorePack(f *testing.F) {
	base := "a base that both sides have\n"
	f.Add(packed(entry(plumbing.BlobObject, base), refDelta(blobHash(base), appending(base, "two\n"))))
	f.Add(packed(append(append(objectHeader(plumbing.OFSDeltaObject, 4), 0x05), deflated([]byte("abcd"))...)))
	f.Add(packed(entry(plumbing.CommitObject, "tree x\n"), entry(plumbing.TreeObject, ""), entry(plumbing.TagObject, "")))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if len(raw) > 20 { // let the fuzzer get past the checksum
			sum := sha1.Sum(raw[:len(raw)-20])
			copy(raw[len(raw)-20:], sum[:])
		}
		r := emptyRepo(t)
		if storePack(r, bytes.NewReader(raw), 1<<20) != nil {
			return
		}
		// What was accepted is what git accepts: every object has the hash that the index says.
		r.reopen()
		if err := r.checkPacks(); err != nil {
			t.Error(err)
		}
		packs, err := r.store.ObjectPacks()
		if err != nil || len(packs) > 1 {
			t.Fatalf("%d packs, %v", len(packs), err)
		}
		iter, err := r.store.IterEncodedObjects(plumbing.AnyObject)
		if err != nil {
			t.Fatal(err)
		}
		if err := iter.ForEach(func(o plumbing.EncodedObject) error {
			rd, err := o.Reader()
			if err != nil {
				return err
			}
			defer rd.Close()
			content, err := io.ReadAll(rd)
			if err == nil && plumbing.ComputeHash(o.Type(), content) != o.Hash() {
				err = fmt.Errorf("%s has another content", o.Hash())
			}
			return err
		}); err != nil {
			t.Error(err)
		}
	})
}

func TestWritePackStopsWithItsContext(t *testing.T) {
	r := emptyRepo(t)
	if err := storePack(r, bytes.NewReader(packed(entry(plumbing.BlobObject, "x"))), 1<<20); err != nil {
		t.Fatal(err)
	}
	r.reopen()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := writePack(ctx, t.TempDir(), r.store, []packObject{{hash: blobHash("x"), kind: plumbing.BlobObject}}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// gitPath is the git command that the ssh server of the tests runs.
func gitPath(t testing.TB) string {
	t.Helper()
	p, err := exec.LookPath("git")
	if err != nil {
		t.Fatal(err)
	}
	return p
}
