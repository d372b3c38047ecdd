package archive

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// fuzzLimits keep one input cheap.
var fuzzLimits = Limits{MaxEntries: 200, MaxBytes: 1 << 20, MaxDepth: 10}

// FuzzExtract: whatever the bytes are, nothing outside of the root changes, no link leads there, and no
// more comes out than the limits say.
func FuzzExtract(f *testing.F) {
	for _, headers := range [][]tar.Header{
		{tarFile("p/a", "1"), tarDir("p"), tarLink("p/l", "../p"), tarHardlink("h", "p/a"), tarFile("p/a", "2")},
		{tarLink("l", ".."), tarFile("l/x", "1")},
		{tarFile("../x", "1")},
		{tarLink("p/q/x", "../../z"), tarLink("p/q/l", "x/../.."), tarFile("z", "")},
		{tarFile(strings.Repeat("long/", 60)+"x", "1"), tarLink("l", strings.Repeat("x/", 100))},
		{{Name: "d", Typeflag: tar.TypeChar}, {Name: "p", Typeflag: tar.TypeFifo}},
		{{Typeflag: tar.TypeXGlobalHeader, PAXRecords: map[string]string{"comment": "c"}}, tarFile("a", "1")},
	} {
		data := tarOf(f, headers...)
		f.Add(data)
		f.Add(gzipped(f, data))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		root, outside := newRoot(t)
		err := Extract(t.Context(), bytes.NewReader(data), root, fuzzLimits)
		entries, readErr := os.ReadDir(outside)
		if readErr != nil || len(entries) != 1 {
			t.Fatalf("outside of the root: %v (%v)", entries, readErr)
		}
		var unsafe *UnsafeEntryError
		var limit *LimitError
		if err != nil && !errors.Is(err, ErrBadArchive) && !errors.As(err, &unsafe) && !errors.As(err, &limit) &&
			!strings.Contains(err.Error(), "file name too long") { // elements of more than 255 bytes
			t.Fatalf("an error of no kind: %v", err)
		}
		count, size := 0, int64(0)
		err = filepath.WalkDir(root.Name(), func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			count++
			info, err := d.Info()
			if err != nil {
				return err
			}
			switch {
			case d.Type()&fs.ModeSymlink != 0:
				real, err := filepath.EvalSymlinks(path)
				if err == nil && real != root.Name() && !strings.HasPrefix(real, root.Name()+"/") {
					t.Errorf("%s leads to %s", path, real)
				}
			case d.Type().IsRegular():
				size += info.Size()
			case !d.IsDir():
				t.Errorf("%s is a %v", path, d.Type())
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		// Hard links name the same bytes again, and every entry may need parents.
		if size > int64(fuzzLimits.MaxEntries)*fuzzLimits.MaxBytes || count > 1+fuzzLimits.MaxEntries*fuzzLimits.MaxDepth {
			t.Errorf("%d entries with %d bytes came out", count, size)
		}
	})
}

// FuzzTreeReader: a damaged tree is damage, nothing worse; and what is read can be written again.
func FuzzTreeReader(f *testing.F) {
	f.Add(writeTree(f, nil))
	f.Add(writeTree(f, []treeFile{plain("a", "1"), plain("a-b", ""), {TreeEntry: TreeEntry{Path: "l", Mode: Link, Linkname: "a"}}, {TreeEntry: TreeEntry{Path: "m", Mode: Dir}}}))
	f.Fuzz(func(t *testing.T, data []byte) {
		in := io.LimitReader(bytes.NewReader(data), 1<<16)
		tree, err := NewTreeReader(in)
		if err != nil {
			if !errors.Is(err, ErrDamaged) {
				t.Fatalf("got %v, want ErrDamaged", err)
			}
			return
		}
		defer tree.Close()
		w, err := NewTreeWriter(io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		for range 1000 {
			e, err := tree.Next()
			if err == io.EOF {
				return
			}
			if err != nil {
				if !errors.Is(err, ErrDamaged) {
					t.Fatalf("got %v, want ErrDamaged", err)
				}
				return
			}
			if e.Size > 1<<20 {
				return
			}
			data, err := io.ReadAll(tree)
			if err != nil {
				if !errors.Is(err, ErrDamaged) {
					t.Fatalf("got %v, want ErrDamaged", err)
				}
				return
			}
			if err := addTo(w, treeFile{e, string(data)}); err != nil {
				t.Fatalf("an entry that was read cannot be written: %v", err)
			}
		}
	})
}
