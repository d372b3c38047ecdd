package javascript

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/fault"
)

type member struct {
	header  tar.Header
	content string
}

func file(name, content string) member { return member{tar.Header{Name: name}, content} }

func special(name string, kind byte) member {
	return member{tar.Header{Name: name, Typeflag: kind, Linkname: "/etc/passwd"}, ""}
}

func tarOf(t testing.TB, members ...member) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, m := range members {
		m.header.Size = int64(len(m.content))
		if err := w.WriteHeader(&m.header); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, m.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func gzipOf(t testing.TB, content []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func read(content []byte) (PackageJSON, error) {
	return readArchive(context.Background(), bytes.NewReader(content), int64(len(content)), "a@1")
}

func TestReadArchive(t *testing.T) {
	const good = `{"name":"a","version":"1","scripts":{"prepare":"x"}}`
	want := PackageJSON{Name: "a", Version: "1", Scripts: map[string]string{"prepare": "x"}}
	for name, members := range map[string][]member{
		"below one folder":         {file("package/package.json", good)},
		"below another folder":     {file("a-1.0.0/package.json", good)},
		"at the root":              {file("package.json", good)},
		"with a dot":               {file("./package.json", good)},
		"with a dot and a folder":  {file("./package/package.json", good)},
		"an absolute name":         {file("/package/package.json", good)},
		"deeper ones do not count": {file("package/sub/package.json", "{"), file("package/package.json", good)},
		"the first counts":         {file("package/package.json", good), file("package/package.json", `{"name":"evil"}`), file("package.json", "{")},
		"links and devices before": {special("package/link", tar.TypeSymlink), special("../out", tar.TypeLink), special("dev", tar.TypeChar), special("fifo", tar.TypeFifo), file("package/package.json", good)},
		"names that lead out":      {file("../../etc/package.json2", "x"), file("package/package.json", good)},
		"a byte order mark":        {file("package/package.json", "\xef\xbb\xbf"+good)},
	} {
		t.Run(name, func(t *testing.T) {
			archive := tarOf(t, members...)
			for _, content := range [][]byte{archive, gzipOf(t, archive)} {
				got, err := read(content)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			}
		})
	}
}

func TestReadArchiveRefuses(t *testing.T) {
	const process = "Could not process dependency a@1: "
	whole := gzipOf(t, tarOf(t, file("package/a", strings.Repeat("content", 1000)), file("package/package.json", "{}")))
	for _, test := range []struct {
		name    string
		content []byte
		kind    fault.Type
		message string
	}{
		{"none", tarOf(t, file("package/a", "")), fault.InvalidRepoStructure, process + "no package.json file"},
		{"nothing at all", nil, fault.InvalidRepoStructure, process + "no package.json file"},
		{"a folder", tarOf(t, special("package/package.json/", tar.TypeDir)), fault.InvalidRepoStructure, process + "package.json is not a regular file"},
		{"a link", tarOf(t, special("package/package.json", tar.TypeSymlink)), fault.InvalidRepoStructure, process + "package.json is not a regular file"},
		{"a device", tarOf(t, special("package.json", tar.TypeBlock)), fault.InvalidRepoStructure, process + "package.json is not a regular file"},
		{"no JSON", tarOf(t, file("package.json", "{")), fault.InvalidFileFormat, process + "package.json is not valid JSON"},
		{"no object", tarOf(t, file("package.json", "[]")), fault.InvalidFileFormat, process + "package.json is not valid JSON"},
		{"null", tarOf(t, file("package.json", "null")), fault.InvalidFileFormat, process + "package.json is not valid JSON"},
		{"HTML", []byte("<!DOCTYPE html>" + strings.Repeat("x", 600)), fault.InvalidFileFormat, process + "the archive cannot be read: archive/tar: invalid tar header"},
		{"truncated", whole[:60], fault.InvalidFileFormat, process + "the archive cannot be read: unexpected EOF"},
		{"a package.json too large", tarOf(t, file("package.json", strings.Repeat(" ", MaxPackageJSONBytes+1))), fault.UnsupportedFeature, process + "package.json has more than 8388608 bytes"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := read(test.content)
			checkFault(t, err, test.kind, test.message)
		})
	}
}

// A megabyte that unpacks to a gigabyte of zeros costs neither memory nor time.
func TestReadArchiveBomb(t *testing.T) {
	// Many gzip members after each other are one gzip file.
	const size, piece = 1 << 30, 16 << 20
	b := bytes.NewBuffer(gzipOf(t, tarHeader(t, "package/zeros", size)))
	zeros := gzipOf(t, make([]byte, piece))
	for range size / piece {
		b.Write(zeros)
	}
	started := time.Now()
	_, err := read(b.Bytes())
	checkFault(t, err, fault.InvalidFileFormat, "Could not process dependency a@1: the archive cannot be read: it unpacks to more bytes than an archive of its size may")
	if took := time.Since(started); took > 20*time.Second {
		t.Errorf("refusing %d bytes took %v", b.Len(), took)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := readArchive(ctx, bytes.NewReader(b.Bytes()), int64(b.Len()), "a@1"); !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that is done: %v", err)
	}
}

// tarHeader is the header block of a file.
func tarHeader(t testing.TB, name string, size int64) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := tar.NewWriter(&b).WriteHeader(&tar.Header{Name: name, Size: size}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestParsePackageJSON(t *testing.T) {
	for text, want := range map[string]PackageJSON{
		`{}`:                                  {},
		`{"name":1,"version":{},"scripts":0}`: {},
		`{"name":"a","name":"b"}`:             {Name: "b"},
		`{"Name":"a","VERSION":"1"}`:          {},
		`{"scripts":{"a":"x","b":1}}`:         {Scripts: map[string]string{"a": "x"}},
	} {
		got, err := ParsePackageJSON([]byte(text))
		if err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
}

// Whatever an archive holds, reading ends with a package.json or a fault.
func FuzzReadArchive(f *testing.F) {
	for _, members := range [][]member{
		{file("package/package.json", `{"name":"a","version":"1"}`)},
		{file("package/x", "x"), special("package/package.json", tar.TypeSymlink)},
		{special("package/package.json/", tar.TypeDir), file("package.json", "{")},
	} {
		archive := tarOf(f, members...)
		f.Add(archive)
		f.Add(gzipOf(f, archive))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		p, err := read(content)
		if err == nil {
			return
		}
		if flt := fault.From(err); flt.Type == fault.UnknownError || flt.Origin != fault.OriginClient || p.Name != "" {
			t.Errorf("got %+v with %v", p, err)
		}
	})
}
