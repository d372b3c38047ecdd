package archive

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// requireTools is set where the machine is meant to have every tool: then a missing one fails.
const requireTools = "CACHITO_REQUIRE_TOOLS"

// toolTimeout ends a tool that hangs, as Python's stream mode does on several gzip members.
const toolTimeout = time.Minute

// run runs a tool and returns what it printed.
func run(t *testing.T, dir string, stdin []byte, name string, args ...string) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), toolTimeout)
	defer cancel()
	c := exec.CommandContext(ctx, name, args...)
	c.Dir, c.Stdin = dir, bytes.NewReader(stdin)
	// Names are bytes to tar, but not to Python and libarchive.
	c.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "TZ=UTC")
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	if err := c.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, stderr.Bytes())
	}
	if stderr.Len() > 0 {
		t.Errorf("%s %s warns:\n%s", name, strings.Join(args, " "), stderr.Bytes())
	}
	return stdout.Bytes()
}

const pythonList = `
import hashlib, json, sys, tarfile
out = []
with tarfile.open(fileobj=sys.stdin.buffer if sys.argv[1] == "r|gz" else open(sys.argv[2], "rb"), mode=sys.argv[1]) as tar:
    for m in tar:
        assert (m.uid, m.gid, m.uname, m.gname) == (0, 0, "", ""), m.name
        data = tar.extractfile(m).read() if m.isreg() else None
        out.append({"Name": m.name, "Linkname": m.linkname, "Mode": m.mode, "Type": m.type.decode(), "Time": int(m.mtime),
            "SHA256": hashlib.sha256(data).hexdigest() if data is not None else ""})
json.dump(out, sys.stdout)
`

func TestBundleIsReadByPython(t *testing.T) {
	entries := variety()
	bundle, _ := write(t, entries)
	file := filepath.Join(t.TempDir(), "bundle.tar.gz")
	if err := os.WriteFile(file, bundle, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, mode := range []string{"r:gz", "r|gz"} {
		t.Run(mode, func(t *testing.T) {
			var got []member
			if err := json.Unmarshal(run(t, ".", bundle, "python3", "-c", pythonList, mode, file), &got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(wanted(entries), got); diff != "" {
				t.Errorf("bundle in Python (-want +got):\n%s", diff)
			}
		})
	}
}

// extracted is what a tar program must make of the entries.
func extracted(entries []entry) map[string]string {
	want := map[string]string{}
	for _, e := range entries {
		for dir := parent(e.Name); dir != ""; dir = parent(dir) {
			want[dir] = "dir"
		}
		switch e.Mode {
		case Dir:
			want[e.Name] = "dir"
		case Link:
			want[e.Name] = "-> " + e.Linkname
		case Executable:
			want[e.Name] = "+x " + string(e.data)
		default:
			want[e.Name] = string(e.data)
		}
	}
	return want
}

// inUstar are the entries that need no PAX record.
func inUstar(entries []entry) []entry {
	var plain []entry
	for _, e := range entries {
		if header := appendHeader(nil, e.Header); header[156] != 'x' || (!isASCII(e.Name) && len(e.Name) <= nameWidth) {
			plain = append(plain, e)
		}
	}
	return plain
}

// extractWith extracts a bundle and compares what is there.
func extractWith(t *testing.T, entries []entry, tool string, args ...string) {
	t.Helper()
	bundle, _ := write(t, entries)
	root, _ := newRoot(t)
	run(t, root.Name(), bundle, tool, args...)
	if diff := cmp.Diff(extracted(entries), onDisk(t, root)); diff != "" {
		t.Errorf("extracted by %s (-want +got):\n%s", tool, diff)
	}
}

func TestBundleIsReadByTarPrograms(t *testing.T) {
	// GNU tar warns of times before 1970, and here warnings are failures.
	all := slices.DeleteFunc(variety(), func(e entry) bool { return e.ModTime.Unix() < 0 && !e.ModTime.IsZero() })
	t.Run("GNU tar", func(t *testing.T) {
		tool := "tar"
		if path, err := exec.LookPath("gtar"); err == nil { // macOS, BSD
			tool = path
		}
		if version := run(t, ".", nil, tool, "--version"); !bytes.Contains(version, []byte("GNU tar")) {
			t.Fatalf("%s is not GNU tar, which bundles must be read by: install it as gtar\n%s", tool, version)
		}
		extractWith(t, all, tool, "-xzf", "-")
	})
	found := 0
	for _, tool := range []struct {
		name    string
		entries []entry
		args    []string
	}{
		// busybox ignores PAX records, so it gets what does without them.
		{"busybox", inUstar(all), []string{"tar", "-xzf", "-"}},
		{"bsdtar", all, []string{"-xzf", "-"}},
	} {
		if _, err := exec.LookPath(tool.name); err != nil {
			t.Logf("%s is not installed: not compared", tool.name)
			continue
		}
		found++
		t.Run(tool.name, func(t *testing.T) { extractWith(t, tool.entries, tool.name, tool.args...) })
	}
	if found == 0 && os.Getenv(requireTools) == "1" {
		t.Errorf("%s=1, but neither busybox nor bsdtar is installed (Debian: busybox, libarchive-tools)", requireTools)
	}
}

// Names that are not UTF-8 keep their bytes where a reader deals in bytes.
func TestBundleNamesThatAreNotUTF8(t *testing.T) {
	entries := []entry{
		{Header: Header{Name: "app/latin-\xe4\xf6"}, data: []byte("1")},
		{Header: Header{Name: "app/" + strings.Repeat("\xe4", 130)}, data: []byte("2")},
	}
	bundle, _ := write(t, entries)
	if diff := cmp.Diff(wanted(entries), readBack(t, bundle)); diff != "" {
		t.Errorf("bundle (-want +got):\n%s", diff)
	}
	const names = "import os, sys, tarfile\nfor m in tarfile.open(fileobj=sys.stdin.buffer, mode='r|gz'): sys.stdout.buffer.write(m.name.encode('utf-8', 'surrogateescape') + b'\\n')"
	want := entries[0].Name + "\n" + entries[1].Name + "\n"
	if got := string(run(t, ".", bundle, "python3", "-c", names)); got != want {
		t.Errorf("names in Python: got %q, want %q", got, want)
	}
}

// Random trees come out of Extract as they went in.
func TestBundleOfRandomTrees(t *testing.T) {
	for seed := range uint64(15) {
		r := rand.New(rand.NewPCG(seed, 99))
		entries := randomEntries(r)
		one, sum := write(t, entries, WithWorkers(1))
		many, again := write(t, entries, WithWorkers(2+r.IntN(6)))
		if !bytes.Equal(one, many) || sum != again {
			t.Fatalf("seed %d: the bytes depend on the number of workers", seed)
		}
		root, _ := newRoot(t)
		if err := Extract(t.Context(), bytes.NewReader(one), root, Limits{}); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if diff := cmp.Diff(extracted(entries), onDisk(t, root)); diff != "" {
			t.Fatalf("seed %d: extracted (-want +got):\n%s", seed, diff)
		}
	}
}

func randomEntries(r *rand.Rand) []entry {
	contents := []func([]byte) Content{nil, stored, deflated, cachedSegment(Store), cachedSegment(2)}
	dirs := []string{"", "a/", "a/b/", "c-é/", strings.Repeat("long-name/", 25)}
	var entries []entry
	for i := range r.IntN(40) {
		e := entry{Header: Header{Name: fmt.Sprintf("%s%03d", dirs[r.IntN(len(dirs))], i)}}
		switch r.IntN(10) {
		case 0:
			e.Mode = Dir
		case 1:
			e.Mode, e.Linkname = Link, fmt.Sprintf("%03d", r.IntN(40))
		default:
			if r.IntN(5) == 0 {
				e.Mode = Executable
			}
			e.content = contents[r.IntN(len(contents))]
			e.now = r.IntN(4) == 0
			// Sizes around the places where something changes; mostly small ones.
			around := []int{0, 512, 5000, MaxBatchedBytes, chunkBytes, 2 * chunkBytes}[r.IntN(1+r.IntN(6))]
			size := max(0, around+r.IntN(5)-2)
			if e.data = text(r, size); r.IntN(2) == 0 {
				e.data = noise(r, size)
			}
		}
		entries = append(entries, e)
	}
	return entries
}
