package archive

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// Files of the benchmark: as much as a large Go project needs.
const (
	benchArchives     = 100
	benchArchiveBytes = 4 << 20
	benchTexts        = 3000
	benchTextBytes    = 10 << 10
)

type benchFile struct {
	name, path string
	size       int64
	crc        uint32
}

// benchFiles makes the files once for a run of benchmarks.
func benchFiles(b *testing.B) []benchFile {
	b.Helper()
	dir := b.TempDir()
	var files []benchFile
	add := func(name string, data []byte) {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			b.Fatal(err)
		}
		files = append(files, benchFile{name, path, int64(len(data)), crc32.ChecksumIEEE(data)})
	}
	r := rand.New(rand.NewPCG(41, 42))
	for i := range benchArchives {
		add(fmt.Sprintf("deps/%03d.zip", i), noise(r, benchArchiveBytes))
	}
	for i := range benchTexts {
		add(fmt.Sprintf("app/%02d/%04d.go", i/100, i), text(r, benchTextBytes))
	}
	return files
}

func writeBench(w io.Writer, files []benchFile, opts ...BundleOption) (Summary, error) {
	b := NewBundleWriter(w, opts...)
	defer b.Abort()
	for _, f := range files {
		open := func() (io.ReadCloser, error) { return os.Open(f.path) }
		c := Deflated(open, DefaultLevel)
		if IsCompressed(f.name) {
			c = Stored(open, f.crc)
		}
		if err := b.Add(context.Background(), Header{Name: f.name, Size: f.size}, c); err != nil {
			return Summary{}, err
		}
	}
	return b.Close()
}

// BenchmarkBundle writes a bundle to a file and compares with hashing the same file: what nobody can do
// without. x/sha256 is the bundle's speed as a share of that; rss is the process's peak so far, in MB.
func BenchmarkBundle(b *testing.B) {
	files := benchFiles(b)
	out := filepath.Join(b.TempDir(), "bundle.tar.gz")
	var bundling, hashing time.Duration
	var size int64
	for b.Loop() {
		start := time.Now()
		f, err := os.Create(out)
		if err != nil {
			b.Fatal(err)
		}
		sum, err := writeBench(f, files)
		if err != nil {
			b.Fatal(err)
		}
		if err := f.Close(); err != nil {
			b.Fatal(err)
		}
		bundling += time.Since(start)
		size += sum.ContentSize

		b.StopTimer()
		start = time.Now()
		if got := hashFile(b, out); got != sum.SHA256 {
			b.Fatalf("the file's SHA-256 is %s, the summary says %s", got, sum.SHA256)
		}
		hashing += time.Since(start)
		b.StartTimer()
	}
	b.SetBytes(size / int64(b.N))
	b.ReportMetric(hashing.Seconds()/bundling.Seconds(), "x/sha256")
	b.ReportMetric(float64(peakRSS())/1e6, "MB-rss")
}

func hashFile(b *testing.B, path string) string {
	f, err := os.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.CopyBuffer(struct{ io.Writer }{sum}, f, make([]byte, 1<<20)); err != nil {
		b.Fatal(err)
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// BenchmarkPythonTarfile writes the same files as upstream Cachito does: tarfile, mode w:gz.
func BenchmarkPythonTarfile(b *testing.B) {
	if _, err := exec.LookPath("python3"); err != nil {
		b.Skip("python3 is not installed")
	}
	files := benchFiles(b)
	root := filepath.Dir(filepath.Dir(files[0].path))
	out := filepath.Join(b.TempDir(), "bundle.tar.gz")
	var size int64
	for _, f := range files {
		size += f.size
	}
	b.SetBytes(size)
	for b.Loop() {
		c := exec.Command("python3", "-c", "import sys, tarfile\nwith tarfile.open(sys.argv[1], 'w:gz') as t:\n  t.add('deps'); t.add('app')", out)
		c.Dir = root
		if text, err := c.CombinedOutput(); err != nil {
			b.Fatalf("%v\n%s", err, text)
		}
	}
}

// BenchmarkSha256sum hashes the bundle with the command.
func BenchmarkSha256sum(b *testing.B) {
	if _, err := exec.LookPath("sha256sum"); err != nil {
		b.Skip("sha256sum is not installed")
	}
	files := benchFiles(b)
	out := filepath.Join(b.TempDir(), "bundle.tar.gz")
	f, err := os.Create(out)
	if err != nil {
		b.Fatal(err)
	}
	sum, err := writeBench(f, files)
	if err != nil {
		b.Fatal(err)
	}
	if err := f.Close(); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(sum.ContentSize)
	for b.Loop() {
		if text, err := exec.Command("sha256sum", out).CombinedOutput(); err != nil {
			b.Fatalf("%v\n%s", err, text)
		}
	}
}

// BenchmarkExtractTree extracts a tree of 100,000 small files.
func BenchmarkExtractTree(b *testing.B) {
	const count = 100_000
	r := rand.New(rand.NewPCG(51, 52))
	var files []treeFile
	for i := range count {
		files = append(files, plain(fmt.Sprintf("pkg/group%02d/module%04d/src/file%06d.go", i/5000, i/50, i), string(text(r, 500+r.IntN(3000)))))
	}
	tree := writeTree(b, files)
	b.ReportMetric(float64(len(tree))/1e6, "MB-tree")
	for b.Loop() {
		b.StopTimer()
		dir := b.TempDir()
		root, err := os.OpenRoot(dir)
		if err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		if err := ExtractTree(b.Context(), bytes.NewReader(tree), root, Limits{}); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		root.Close()
		os.RemoveAll(dir)
		b.StartTimer()
	}
	b.ReportMetric(count*float64(b.N)/b.Elapsed().Seconds(), "files/s")
}

// peakRSS is the most memory that the process has held, in bytes; 0 where the system does not say.
func peakRSS() int64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	var kb int64
	for line := range bytes.Lines(status) {
		if _, err := fmt.Sscanf(string(line), "VmHWM: %d kB", &kb); err == nil {
			return kb << 10
		}
	}
	return 0
}
