package archive

import (
	"archive/tar"
	"bytes"
	"io"
	"strings"
	"testing"
	"time"
)

func TestIsCompressed(t *testing.T) {
	tests := []struct {
		name string
		want bool
	}{
		{"deps/gomod/pkg/mod/cache/download/example.org/m/@v/v1.0.0.zip", true},
		{"a.tgz", true},
		{"a.tar.gz", true},
		{"A-1.0-py3-none-any.WHL", true},
		{"x.gem", true},
		{"x.crate", true},
		{"x.jar", true},
		{"a.tar", false},
		{"a.mod", false},
		{"zip", false},
		{".zip", false},
		{"a.zip/readme", false},
		{"gzip.go", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := IsCompressed(tt.name); got != tt.want {
				t.Errorf("IsCompressed: got %v, want %v", got, tt.want)
			}
		})
	}
}

// PAX headers are written only where ustar is too narrow, and the ustar fields hold what they can.
func TestHeaderUsesPAXOnlyWhereNeeded(t *testing.T) {
	element := strings.Repeat("e", 50)
	tests := []struct {
		name string
		h    Header
		pax  bool
	}{
		{"short", Header{Name: "a"}, false},
		{"100 bytes", Header{Name: strings.Repeat("a", 100)}, false},
		{"101 bytes without a slash", Header{Name: strings.Repeat("a", 101)}, true},
		{"prefix", Header{Name: element + "/" + element + "/" + element}, false},
		{"prefix of 155, base of 100", Header{Name: strings.Repeat("p", 155) + "/" + strings.Repeat("b", 100)}, false},
		{"prefix of 156", Header{Name: strings.Repeat("p", 156) + "/b"}, true},
		{"base of 101", Header{Name: "p/" + strings.Repeat("b", 101)}, true},
		{"directory, base of 99", Header{Name: "p/" + strings.Repeat("b", 99), Mode: Dir}, false},
		{"directory, base of 100", Header{Name: "p/" + strings.Repeat("b", 100), Mode: Dir}, true},
		{"UTF-8", Header{Name: "ä"}, true},
		{"not UTF-8", Header{Name: "\xff"}, true},
		{"link of 100", Header{Name: "l", Mode: Link, Linkname: strings.Repeat("t", 100)}, false},
		{"link of 101", Header{Name: "l", Mode: Link, Linkname: strings.Repeat("t", 101)}, true},
		{"8 GiB less one", Header{Name: "a", Size: 1<<33 - 1}, false},
		{"8 GiB", Header{Name: "a", Size: 1 << 33}, true},
		{"year 2242", Header{Name: "a", ModTime: time.Unix(1<<33, 0)}, true},
		{"before 1970", Header{Name: "a", ModTime: time.Unix(-1, 0)}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			raw := appendHeader(nil, tt.h)
			if got := raw[156] == 'x'; got != tt.pax {
				t.Errorf("has a PAX header: got %v, want %v", got, tt.pax)
			}
			h, err := tar.NewReader(io.MultiReader(bytes.NewReader(raw), zeroReader{})).Next()
			if err != nil {
				t.Fatal(err)
			}
			mtime := tt.h.ModTime.Unix()
			if tt.h.ModTime.IsZero() {
				mtime = 0
			}
			name := strings.TrimSuffix(h.Name, "/")
			if name != tt.h.Name || h.Linkname != tt.h.Linkname || h.Size != tt.h.Size || h.ModTime.Unix() != mtime {
				t.Errorf("read back: got %q -> %q, %d bytes, time %d; want %+v", name, h.Linkname, h.Size, h.ModTime.Unix(), tt.h)
			}
		})
	}
}

type zeroReader struct{}

func (zeroReader) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}
