package archive

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/fault"
)

// treeFile is an entry of a tree with its content.
type treeFile struct {
	TreeEntry
	Data string
}

func addTo(w *TreeWriter, f treeFile) error {
	switch f.Mode {
	case Dir:
		return w.Dir(f.Path)
	case Link:
		return w.Link(f.Path, f.Linkname)
	default:
		return w.File(f.Path, fs.FileMode(f.Mode.perm()), f.Size, strings.NewReader(f.Data))
	}
}

func writeTree(t testing.TB, files []treeFile) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := NewTreeWriter(&out)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if err := addTo(w, f); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func readTree(r io.Reader) ([]treeFile, error) {
	tree, err := NewTreeReader(r)
	if err != nil {
		return nil, err
	}
	defer tree.Close()
	var files []treeFile
	for {
		e, err := tree.Next()
		if err == io.EOF {
			return files, nil
		}
		if err != nil {
			return files, err
		}
		data, err := io.ReadAll(tree)
		if err != nil {
			return files, err
		}
		files = append(files, treeFile{e, string(data)})
	}
}

func plain(path, data string) treeFile {
	return treeFile{TreeEntry{Path: path, Size: int64(len(data))}, data}
}

func sampleTree() []treeFile {
	r := rand.New(rand.NewPCG(21, 22))
	files := []treeFile{
		plain(".gitignore", "*.o\n"),
		plain("a", ""),
		plain("a-b/x", "1"),
		plain("a.b", "2"),
		plain("big", string(noise(r, 400<<10))),
		plain("c/d", "4"),
		plain("c0", "5"),
		{TreeEntry: TreeEntry{Path: "empty", Mode: Dir}},
		{TreeEntry: TreeEntry{Path: "link", Mode: Link, Linkname: "c/d"}},
		plain("name-"+strings.Repeat("long-", 50)+"/file", "6"),
		{TreeEntry: TreeEntry{Path: "run.sh", Mode: Executable, Size: 3}, Data: "#!\n"},
		plain("ünï", "7"),
	}
	for i := range 200 {
		files = append(files, plain(fmt.Sprintf("z/%02d/%03d.go", i/10, i), string(text(r, r.IntN(3000)))))
	}
	slices.SortFunc(files, func(a, b treeFile) int { return strings.Compare(a.Path, b.Path) })
	return files
}

func TestTreeReadBack(t *testing.T) {
	want := sampleTree()
	got, err := readTree(bytes.NewReader(writeTree(t, want)))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("tree (-want +got):\n%s", diff)
	}
}

func TestTreeEmpty(t *testing.T) {
	got, err := readTree(bytes.NewReader(writeTree(t, nil)))
	if err != nil || len(got) != 0 {
		t.Errorf("an empty tree: got %v, %v", got, err)
	}
}

func TestTreeReaderSkipsUnreadContent(t *testing.T) {
	tree, err := NewTreeReader(bytes.NewReader(writeTree(t, sampleTree())))
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	var got, want []string
	for e, err := tree.Next(); err != io.EOF; e, err = tree.Next() {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, e.Path)
	}
	for _, f := range sampleTree() {
		want = append(want, f.Path)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("paths (-want +got):\n%s", diff)
	}
}

func TestTreeWriterRefuses(t *testing.T) {
	tests := []struct {
		name   string
		before []treeFile
		f      treeFile
		want   string
		client bool
	}{
		{"unsorted", []treeFile{plain("b", "")}, plain("a", ""), `entry "a" after "b"`, false},
		{"twice", []treeFile{plain("a", "")}, plain("a", ""), `entry "a" after "a"`, false},
		{"below a file", []treeFile{plain("a", ""), plain("a-b", ""), plain("a-b-c", "")}, plain("a/x", ""), `lies below "a"`, false},
		{"below a link", []treeFile{{TreeEntry: TreeEntry{Path: "a", Mode: Link, Linkname: "b"}}}, plain("a/x", ""), `lies below "a"`, false},
		{"dot dot", nil, plain("a/../../x", ""), `".."`, true},
		{"control character", nil, plain("a\nb", ""), `"a\nb" has a control character`, true},
		{"link without target", nil, treeFile{TreeEntry: TreeEntry{Path: "l", Mode: Link}}, "without a target", true},
		{"too short", nil, treeFile{TreeEntry{Path: "a", Size: 5}, "four"}, "expected 5 bytes, got 4 bytes", false},
		{"too long", nil, treeFile{TreeEntry{Path: "a", Size: 3}, "four"}, "expected 3 bytes, got more", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w, err := NewTreeWriter(io.Discard)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range tt.before {
				if err := addTo(w, f); err != nil {
					t.Fatal(err)
				}
			}
			err = addTo(w, tt.f)
			if err == nil || !strings.Contains(err.Error(), tt.want) || fault.IsClient(err) != tt.client {
				t.Errorf("got %v (client's fault: %v), want %q (%v)", err, fault.IsClient(err), tt.want, tt.client)
			}
		})
	}
}

func TestTreeWriterLimits(t *testing.T) {
	for _, limits := range []Limits{{MaxEntries: 2}, {MaxBytes: 2}} {
		w, err := NewTreeWriter(io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		w.size = newTreeMeter(limits)
		for _, name := range []string{"a", "b"} {
			if err := addTo(w, plain(name, "x")); err != nil {
				t.Fatal(err)
			}
		}
		err = addTo(w, plain("c", "x"))
		if !fault.IsClient(err) || !strings.Contains(err.Error(), `too large, at "c": it exceeds the limit of 2 `) {
			t.Errorf("%+v: got %v, want the client's fault of c", limits, err)
		}
	}
}

func TestTreeWriterUnsafeLinks(t *testing.T) {
	w, err := NewTreeWriter(io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range []TreeEntry{link("a", "b"), link("b", "../x"), link("c", "d/.."), link("e", "/etc")} {
		if err := w.Link(l.Path, l.Linkname); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]string{"a", "b", "e"}, w.UnsafeLinks()); diff != "" {
		t.Errorf("unsafe links (-want +got):\n%s", diff)
	}
}

func TestTreeReaderFindsDamage(t *testing.T) {
	whole := writeTree(t, sampleTree())
	for _, keep := range []int{0, 1, 10, len(whole) / 2, len(whole) - 5, len(whole) - 1} {
		if _, err := readTree(bytes.NewReader(whole[:keep])); !errors.Is(err, ErrDamaged) {
			t.Errorf("%d of %d bytes: got %v, want ErrDamaged", keep, len(whole), err)
		}
	}
	r := rand.New(rand.NewPCG(31, 32))
	for range 30 {
		bent := bytes.Clone(whole)
		at := r.IntN(len(bent))
		bent[at] ^= 1 << r.IntN(8)
		if _, err := readTree(bytes.NewReader(bent)); !errors.Is(err, ErrDamaged) {
			t.Errorf("byte %d of %d changed: got %v, want ErrDamaged", at, len(whole), err)
		}
	}
	if _, err := readTree(strings.NewReader("not a tree at all, but some text")); !errors.Is(err, ErrDamaged) {
		t.Errorf("text: got %v, want ErrDamaged", err)
	}
}

func TestTreeReaderTellsTroubleBelowFromDamage(t *testing.T) {
	whole := writeTree(t, sampleTree())
	trouble := errors.New("connection reset")
	for _, keep := range []int{0, len(whole) / 2} {
		_, err := readTree(io.MultiReader(bytes.NewReader(whole[:keep]), failingReader{trouble}))
		if !errors.Is(err, trouble) || errors.Is(err, ErrDamaged) {
			t.Errorf("reader fails after %d bytes: got %v, want %v and no ErrDamaged", keep, err, trouble)
		}
	}
}

type failingReader struct{ err error }

func (f failingReader) Read([]byte) (int, error) { return 0, f.err }
