package archive

import (
	"archive/tar"
	"bytes"
	"cmp"
	"compress/flate"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/integrity"
)

// tarOf makes a tar as somebody else would; content is a file's data.
func tarOf(t testing.TB, headers ...tar.Header) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, h := range headers {
		data := h.PAXRecords["TEST.data"]
		if h.Typeflag != tar.TypeXGlobalHeader {
			h.PAXRecords, h.Size = nil, int64(len(data))
			h.Typeflag = cmp.Or(h.Typeflag, tar.TypeReg)
			h.Mode = cmp.Or(h.Mode, 0o644)
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func tarFile(name, data string) tar.Header {
	return tar.Header{Name: name, PAXRecords: map[string]string{"TEST.data": data}}
}

func tarDir(name string) tar.Header { return tar.Header{Name: name, Typeflag: tar.TypeDir} }

func tarLink(name, target string) tar.Header {
	return tar.Header{Name: name, Typeflag: tar.TypeSymlink, Linkname: target}
}

func tarHardlink(name, target string) tar.Header {
	return tar.Header{Name: name, Typeflag: tar.TypeLink, Linkname: target}
}

func gzipped(t testing.TB, data []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	if _, err := z.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// newRoot opens a new folder inside another that must stay as it is.
func newRoot(t testing.TB) (root *os.Root, outside string) {
	t.Helper()
	outside = t.TempDir()
	if err := os.Mkdir(filepath.Join(outside, "root"), 0o755); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(filepath.Join(outside, "root"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root, outside
}

// onDisk lists what lies below root: "name mode content", or the target of a link.
func onDisk(t testing.TB, root *os.Root) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == "." {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		switch {
		case d.IsDir():
			found[name] = "dir"
		case info.Mode()&fs.ModeSymlink != 0:
			target, err := root.Readlink(name)
			if err != nil {
				return err
			}
			found[name] = "-> " + target
		default:
			data, err := root.ReadFile(name)
			if err != nil {
				return err
			}
			found[name] = string(data)
			if info.Mode()&0o100 != 0 {
				found[name] = "+x " + found[name]
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestExtract(t *testing.T) {
	big := string(noise(rand.New(rand.NewPCG(1, 1)), 1<<20))
	tests := []struct {
		name    string
		headers []tar.Header
		want    map[string]string
	}{
		{
			"files, modes and implied directories",
			[]tar.Header{tarFile("p/a", "1"), {Name: "p/run", Mode: 0o700}, tarDir("p/empty/"), tarFile("big", big)},
			map[string]string{"p": "dir", "p/a": "1", "p/run": "+x ", "p/empty": "dir", "big": big},
		},
		{
			"names that need cleaning",
			[]tar.Header{tarDir("./"), tarDir("./p/"), tarFile("./p//a", "1"), tarFile("p/./b", "2")},
			map[string]string{"p": "dir", "p/a": "1", "p/b": "2"},
		},
		{
			"links that stay",
			[]tar.Header{tarLink("l", "p/a"), tarLink("p/up", ".."), tarLink("gone", "no/where"), tarFile("p/a", "1")},
			map[string]string{"l": "-> p/a", "p": "dir", "p/up": "-> ..", "p/a": "1", "gone": "-> no/where"},
		},
		{
			"hard links",
			[]tar.Header{tarFile("a", "1"), tarHardlink("p/b", "./a"), tarHardlink("a", "a")},
			map[string]string{"a": "1", "p": "dir", "p/b": "1"},
		},
		{
			"the same again",
			[]tar.Header{tarDir("p"), tarFile("p/a", "1"), tarDir("p"), tarFile("p/a", "2"), tarLink("l", "x"), tarLink("l", "p")},
			map[string]string{"p": "dir", "p/a": "2", "l": "-> p"},
		},
		{
			"a file again keeps the other name of the first",
			[]tar.Header{tarFile("a", "1"), tarHardlink("b", "a"), tarFile("a", "2")},
			map[string]string{"a": "2", "b": "1"},
		},
		{
			"git archive's global header",
			[]tar.Header{{Typeflag: tar.TypeXGlobalHeader, PAXRecords: map[string]string{"comment": "the commit"}}, tarFile("a", "1")},
			map[string]string{"a": "1"},
		},
	}
	for _, tt := range tests {
		for _, compress := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, gzip %v", tt.name, compress), func(t *testing.T) {
				data := tarOf(t, tt.headers...)
				if compress {
					data = gzipped(t, data)
				}
				root, _ := newRoot(t)
				if err := Extract(t.Context(), bytes.NewReader(data), root, Limits{}); err != nil {
					t.Fatal(err)
				}
				if diff := gocmp.Diff(tt.want, onDisk(t, root)); diff != "" {
					t.Errorf("extracted (-want +got):\n%s", diff)
				}
			})
		}
	}
}

func TestExtractRefuses(t *testing.T) {
	tests := []struct {
		name    string
		headers []tar.Header
		entry   string
		reason  string
	}{
		{"absolute", []tar.Header{tarFile("/etc/x", "1")}, "/etc/x", "is absolute"},
		{"dot dot", []tar.Header{tarFile("../x", "1")}, "../x", `".."`},
		{"dot dot inside", []tar.Header{tarFile("a/../x", "1")}, "a/../x", `".."`},
		{"no name", []tar.Header{tarFile("", "1")}, "", "has no name"},
		{"link without a target", []tar.Header{tarLink("l", "")}, "l", "without a target"},
		{"control character", []tar.Header{tarFile("a\nb", "1")}, "a\nb", "control character"},
		{"root as a file", []tar.Header{tarFile(".", "1")}, ".", "no directory"},
		{"character device", []tar.Header{{Name: "d", Typeflag: tar.TypeChar}}, "d", "is a device"},
		{"block device", []tar.Header{{Name: "d", Typeflag: tar.TypeBlock}}, "d", "is a device"},
		{"named pipe", []tar.Header{{Name: "p", Typeflag: tar.TypeFifo}}, "p", "is a named pipe"},
		{"absolute link", []tar.Header{tarLink("l", "/etc")}, "l", "outside"},
		{"link above", []tar.Header{tarLink("p/l", "../..")}, "p/l", "outside"},
		{"chain of links that leaves", []tar.Header{tarLink("p/q/x", "../../z"), tarLink("p/q/l", "x/../.."), tarFile("z", "")}, "p/q/l", "outside"},
		{"through a link", []tar.Header{tarLink("l", "p"), tarDir("p"), tarFile("l/x", "1")}, "l/x", `lies below "l", which is a link`},
		{"through a link that leaves", []tar.Header{tarLink("l", ".."), tarFile("l/x", "1")}, "l/x", `lies below "l"`},
		{"below a file", []tar.Header{tarFile("f", "1"), tarFile("f/x", "1")}, "f/x", `lies below "f", which is a file`},
		{"link becomes a directory", []tar.Header{tarLink("l", ".."), tarDir("l")}, "l", "is a directory, but was a link before"},
		{"link becomes a file", []tar.Header{tarLink("l", "x"), tarFile("l", "1")}, "l", "is a file, but was a link before"},
		{"directory becomes a link", []tar.Header{tarFile("d/x", "1"), tarLink("d", "..")}, "d", "is a link, but was a directory before"},
		{"file becomes a link", []tar.Header{tarFile("f", "1"), tarLink("f", "..")}, "f", "is a link, but was a file before"},
		{"hard link outside", []tar.Header{tarHardlink("h", "../x")}, "../x", `".."`},
		{"hard link to nothing", []tar.Header{tarHardlink("h", "x")}, "h", "no file of the archive"},
		{"hard link to a link", []tar.Header{tarLink("l", "/etc/passwd"), tarHardlink("h", "l")}, "h", "no file of the archive"},
		{"hard link to a directory", []tar.Header{tarDir("d"), tarHardlink("h", "d")}, "h", "no file of the archive"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			root, outside := newRoot(t)
			err := Extract(t.Context(), bytes.NewReader(tarOf(t, tt.headers...)), root, Limits{})
			var unsafe *UnsafeEntryError
			if !errors.As(err, &unsafe) {
				t.Fatalf("got error %v, want an UnsafeEntryError", err)
			}
			if unsafe.Name != tt.entry || !strings.Contains(unsafe.Reason, tt.reason) {
				t.Errorf("got %q %s, want %q with %q", unsafe.Name, unsafe.Reason, tt.entry, tt.reason)
			}
			entries, err := os.ReadDir(outside)
			if err != nil || len(entries) != 1 {
				t.Errorf("outside of the root: got %v (%v), want the root alone", entries, err)
			}
		})
	}
}

func TestExtractIntoWhatIsThere(t *testing.T) {
	// Links that are on the disk already are not followed either.
	root, outside := newRoot(t)
	if err := os.Mkdir(filepath.Join(outside, "victim"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := root.Symlink("../victim", "l"); err != nil {
		t.Fatal(err)
	}
	for _, h := range []tar.Header{tarFile("l/x", "1"), tarDir("l"), tarFile("l", "1")} {
		if err := Extract(t.Context(), bytes.NewReader(tarOf(t, h)), root, Limits{}); err == nil {
			t.Errorf("%s (type %c): extracted over a link", h.Name, h.Typeflag)
		}
	}
	entries, err := os.ReadDir(filepath.Join(outside, "victim"))
	if err != nil || len(entries) != 0 {
		t.Errorf("behind the link: got %v (%v), want nothing", entries, err)
	}
}

func TestExtractLimits(t *testing.T) {
	var many []tar.Header
	for i := range 20 {
		many = append(many, tarFile(fmt.Sprintf("f%d", i), strings.Repeat("x", 1000)))
	}
	tests := []struct {
		name    string
		headers []tar.Header
		limits  Limits
		what    string
	}{
		{"entries", many, Limits{MaxEntries: 19}, "entries"},
		{"bytes", many, Limits{MaxBytes: 20000}, "bytes"},
		{"depth", []tar.Header{tarFile("a/b/c", "")}, Limits{MaxDepth: 2}, "elements of a name"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			root, _ := newRoot(t)
			err := Extract(t.Context(), bytes.NewReader(tarOf(t, tt.headers...)), root, tt.limits)
			var limit *LimitError
			if !errors.As(err, &limit) || limit.What != tt.what {
				t.Errorf("got %v, want a LimitError of %s", err, tt.what)
			}
		})
	}
	t.Run("just within", func(t *testing.T) {
		root, _ := newRoot(t)
		// 20 entries of two blocks of content and one of header, and the end.
		limits := Limits{MaxEntries: 20, MaxBytes: 20*3*512 + 1024, MaxDepth: 1}
		if err := Extract(t.Context(), bytes.NewReader(tarOf(t, many...)), root, limits); err != nil {
			t.Error(err)
		}
	})
}

// bomb is a gzip of a tar with one file of so many MiB of zeros, compressed as far as deflate can.
func bomb(t testing.TB, mib int) []byte {
	t.Helper()
	header := appendHeader(nil, Header{Name: "zeros", Size: int64(mib) << 20})
	out := append(bytes.Clone(gzipHeader), appendStoredHeader(nil, len(header), false)...)
	out = append(out, header...)
	var segment bytes.Buffer
	z, err := flate.NewWriter(&segment, flate.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	zero := make([]byte, 1<<20)
	if _, err := z.Write(zero); err != nil {
		t.Fatal(err)
	}
	if err := z.Flush(); err != nil {
		t.Fatal(err)
	}
	crc, length := crcOf(0, header), int64(len(header))
	for range mib {
		out = append(out, segment.Bytes()...)
		crc, length = integrity.CombineCRC32(crc, crcOf(0, zero), 1<<20), length+(1<<20)
	}
	return appendGzipTrailer(out, crc, length)
}

func TestExtractStopsBombsEarly(t *testing.T) {
	data := bomb(t, 1<<10)
	if len(data) > 1100<<10 {
		t.Fatalf("the bomb has %d bytes", len(data))
	}
	root, _ := newRoot(t)
	err := Extract(t.Context(), bytes.NewReader(data), root, Limits{})
	var limit *LimitError
	if !errors.As(err, &limit) || limit.Limit != MaxRatio || !strings.Contains(err.Error(), "exceeds the limit of 200 times its compressed size") {
		t.Fatalf("got %v, want a LimitError of the ratio", err)
	}
	info, err := root.Stat("zeros")
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() > 2*ratioFreeBytes+64<<10*MaxRatio {
		t.Errorf("%d bytes were written before it stopped", info.Size())
	}
}

func TestExtractStopsSparseBombs(t *testing.T) {
	// A PAX 1.0 sparse file: a map of no data and 1 TiB of hole. It costs two blocks.
	sparseMap := "1\n1099511627776\n0\n"
	var out bytes.Buffer
	var records []byte
	records = appendRecord(records, "GNU.sparse.major", "1")
	records = appendRecord(records, "GNU.sparse.minor", "0")
	records = appendRecord(records, "GNU.sparse.name", "s")
	records = appendRecord(records, "GNU.sparse.realsize", "1099511627776")
	b := appendBlock(nil, ustar{base: "PaxHeaders.0/s", mode: 0o644, typeflag: 'x', size: int64(len(records))})
	b = append(append(b, records...), zeros[:padding(int64(len(records)))]...)
	b = appendBlock(b, ustar{base: "s", mode: 0o644, typeflag: '0', size: 512})
	b = append(append(b, sparseMap...), zeros[:padding(int64(len(sparseMap)))]...)
	out.Write(append(b, zeros[:]...))

	err := Walk(t.Context(), bytes.NewReader(out.Bytes()), Limits{MaxBytes: 2 << 40}, func(e Entry, content io.Reader) error {
		n, err := io.Copy(io.Discard, content)
		if n > 1<<30 {
			t.Errorf("%d bytes came out of %d", n, out.Len())
		}
		return err
	})
	var limit *LimitError
	if !errors.As(err, &limit) {
		t.Errorf("got %v, want a LimitError", err)
	}
}

func TestExtractBadArchives(t *testing.T) {
	whole := gzipped(t, tarOf(t, tarFile("a", string(noise(rand.New(rand.NewPCG(2, 2)), 100000)))))
	bent := bytes.Clone(whole)
	bent[len(bent)-6] ^= 1 // the CRC
	tests := []struct {
		name string
		data []byte
	}{
		{"empty", nil},
		{"text", []byte(strings.Repeat("not an archive\n", 100))},
		{"cut gzip", whole[:len(whole)-20]},
		{"cut tar", tarOf(t, tarFile("a", strings.Repeat("x", 2000)))[:1500]},
		{"wrong CRC", bent},
		{"gzip of text", gzipped(t, []byte(strings.Repeat("not an archive\n", 100)))},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			root, _ := newRoot(t)
			if err := Extract(t.Context(), bytes.NewReader(tt.data), root, Limits{}); !errors.Is(err, ErrBadArchive) {
				t.Errorf("got %v, want ErrBadArchive", err)
			}
		})
	}
	t.Run("zeros after gzip are fine", func(t *testing.T) {
		root, _ := newRoot(t)
		if err := Extract(t.Context(), bytes.NewReader(append(bytes.Clone(whole), make([]byte, 100)...)), root, Limits{}); err != nil {
			t.Error(err)
		}
	})
	t.Run("trouble below is not the archive's", func(t *testing.T) {
		root, _ := newRoot(t)
		trouble := errors.New("connection reset")
		in := io.MultiReader(bytes.NewReader(whole[:5000]), failingReader{trouble})
		if err := Extract(t.Context(), in, root, Limits{}); !errors.Is(err, trouble) || errors.Is(err, ErrBadArchive) {
			t.Errorf("got %v, want %v", err, trouble)
		}
	})
}

func TestExtractEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	before := runtime.NumGoroutine()
	cancel()
	root, _ := newRoot(t)
	if err := Extract(ctx, bytes.NewReader(tarOf(t, tarFile("a", "1"))), root, Limits{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Extract: got %v, want %v", err, context.Canceled)
	}
	if err := ExtractTree(ctx, bytes.NewReader(writeTree(t, sampleTree())), root, Limits{}); !errors.Is(err, context.Canceled) {
		t.Errorf("ExtractTree: got %v, want %v", err, context.Canceled)
	}
	if after := runtime.NumGoroutine(); after > before+4 { // zstd may keep a few for a moment
		t.Errorf("goroutines: %d before, %d after", before, after)
	}
}

func TestExtractTree(t *testing.T) {
	want := map[string]string{}
	for _, f := range sampleTree() {
		for dir := parent(f.Path); dir != ""; dir = parent(dir) {
			want[dir] = "dir"
		}
		switch f.Mode {
		case Dir:
			want[f.Path] = "dir"
		case Link:
			want[f.Path] = "-> " + f.Linkname
		case Executable:
			want[f.Path] = "+x " + f.Data
		default:
			want[f.Path] = f.Data
		}
	}
	tree := writeTree(t, sampleTree())
	root, _ := newRoot(t)
	if err := ExtractTree(t.Context(), bytes.NewReader(tree), root, Limits{}); err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(want, onDisk(t, root)); diff != "" {
		t.Errorf("extracted (-want +got):\n%s", diff)
	}

	t.Run("S11 without the links that leave", func(t *testing.T) {
		root, _ := newRoot(t)
		if err := ExtractTree(t.Context(), bytes.NewReader(tree), root, Limits{Skip: map[string]bool{"link": true}}); err != nil {
			t.Fatal(err)
		}
		without := onDisk(t, root)
		if _, ok := without["link"]; ok || len(without) != len(want)-1 {
			t.Errorf("got %d entries (link: %v), want %d without the link", len(without), ok, len(want)-1)
		}
	})
	t.Run("limits", func(t *testing.T) {
		for _, limits := range []Limits{{MaxEntries: 10}, {MaxBytes: 300 << 10}} {
			root, _ := newRoot(t)
			var limit *LimitError
			if err := ExtractTree(t.Context(), bytes.NewReader(tree), root, limits); !errors.As(err, &limit) {
				t.Errorf("%+v: got %v, want a LimitError", limits, err)
			}
		}
	})
	t.Run("damaged", func(t *testing.T) {
		root, _ := newRoot(t)
		if err := ExtractTree(t.Context(), bytes.NewReader(tree[:len(tree)/2]), root, Limits{}); !errors.Is(err, ErrDamaged) {
			t.Errorf("got %v, want ErrDamaged", err)
		}
	})
}

func TestExtractReportsWhatCannotBeWritten(t *testing.T) {
	root, _ := newRoot(t)
	if err := root.Mkdir("z", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := root.WriteFile("z/in-the-way", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	files := []treeFile{plain("z/in-the-way", "1")}
	for i := range 100 {
		files = append(files, plain(fmt.Sprintf("z/%03d", i), "x"))
	}
	slices.SortFunc(files, func(a, b treeFile) int { return strings.Compare(a.Path, b.Path) })
	err := ExtractTree(t.Context(), bytes.NewReader(writeTree(t, files)), root, Limits{})
	if !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), "z/in-the-way") {
		t.Errorf("got %v, want that z/in-the-way exists", err)
	}
}
