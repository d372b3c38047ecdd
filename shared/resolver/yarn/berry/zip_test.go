package berry

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/cachito-serverless/cachito/shared/resolver/yarn/berry/deflate/deflatetest"
)

// oddArchive has everything that an archive may have, and contents where compressors differ.
func oddArchive() []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	add := func(header tar.Header, content string) {
		header.Size = int64(len(content))
		if header.Mode == 0 {
			header.Mode = 0o644
		}
		if err := w.WriteHeader(&header); err != nil {
			panic(err)
		}
		if _, err := w.Write([]byte(content)); err != nil {
			panic(err)
		}
	}
	add(tar.Header{Name: "package/package.json", Typeflag: tar.TypeReg}, `{"name": "odd", "version": "1.0.0", "bin": "bin/odd.js"}`+"\n")
	add(tar.Header{Name: "package/bin/", Typeflag: tar.TypeDir, Mode: 0o700}, "")
	add(tar.Header{Name: "package/bin/odd.js", Typeflag: tar.TypeReg, Mode: 0o751}, "#!/usr/bin/env node\n")
	add(tar.Header{Name: "package/private", Typeflag: tar.TypeReg, Mode: 0o600}, "private\n")
	add(tar.Header{Name: "package/x/group", Typeflag: tar.TypeReg, Mode: 0o610}, "group\n")
	for _, in := range deflatetest.Inputs() {
		add(tar.Header{Name: "package/inputs/" + in.Name, Typeflag: tar.TypeReg}, string(in.Content))
	}
	add(tar.Header{Name: "package/é/ü.txt", Typeflag: tar.TypeReg}, "umlauts\n")
	add(tar.Header{Name: "package/" + strings.Repeat("long/", 40) + "name", Typeflag: tar.TypeReg}, "a long name\n")
	add(tar.Header{Name: "/absolute", Typeflag: tar.TypeReg}, "left out\n")
	add(tar.Header{Name: "package/../../up", Typeflag: tar.TypeReg}, "left out\n")
	add(tar.Header{Name: "alone", Typeflag: tar.TypeReg}, "left out\n")
	add(tar.Header{Name: "other/./dotted//file", Typeflag: tar.TypeReg}, "another first folder\n")
	add(tar.Header{Name: "package/hard", Typeflag: tar.TypeLink, Linkname: "package/private"}, "")
	add(tar.Header{Name: "package/soft", Typeflag: tar.TypeSymlink, Linkname: "private"}, "")
	add(tar.Header{Name: "package/private", Typeflag: tar.TypeReg, Mode: 0o644}, "the second of this name counts\n")
	if w.Close() != nil || z.Close() != nil {
		panic("an archive cannot be made")
	}
	return b.Bytes()
}

// The checksums are those that these releases of Yarn wrote into yarn.lock for "odd": "file:./odd.tgz".
func TestZipAsYarn(t *testing.T) {
	archive := oddArchive()
	z := newZipper(openScratch(t))
	for _, test := range []struct{ name, key, want string }{
		{"yarn 2.4.2", "7", "a55754469e942cb908ad0b795dabad73f5f820a4ba583a0a7abd186b9a45591f8b3dbcf5cbf23f14dd266b634654075ed02d555612978ed3e03f100a8d3808d7"},
		{"yarn 3.8.7", "8", "6a6a7843c55c8042168a7f9cc8ee611ebc91402c32013ad52210af7e18e153a5efeca9ab686d09a2cf6d512113d6b0a58002be0d2a90482bb3024c8e470f62a5"},
		{"yarn 3.8.7, compressionLevel 0", "8c0", "c3dbef7f759682c768cc01c8b763e0ba50bef1e23bb622a29fbf3d9ab27a0759d7d00227fa39a875e0b69a0d25adac4e454f1aaad77181d64c5a4977c9de018f"},
		{"yarn 3.8.7, compressionLevel 6", "8c6", "90e198ec348fa69af1373b3104c183818f52fe8f887e048ed7b1d30f66e3df0037ce9d9aed1b7fedef11479e5d394c62af38069ef18971133a866363a8e393bd"},
		{"yarn 3.8.7, compressionLevel 9", "8c9", "9174f9ff39bd5ea0f533a99c69b97e2794e10ab37eb443a7a6e00d4f985f9c3fe7cb09646e7b3846f31a7d28657bd62ca7061ae48b73ed8af9d39ddc9523eaf8"},
		{"yarn 4.0.2 and 4.17.1, mixed", "10", "a32af52d5cc63fdec8345d75089679fb94b3fc7f8cffac7464f3b6114d29bd64d00f257d0cd6e6a765a1db10d3b218b361371fa6b2ea3491eb67bc04f90e27c1"},
		{"yarn 4.17.1", "10c0", "c3dbef7f759682c768cc01c8b763e0ba50bef1e23bb622a29fbf3d9ab27a0759d7d00227fa39a875e0b69a0d25adac4e454f1aaad77181d64c5a4977c9de018f"},
		{"yarn 4.17.1, compressionLevel 9", "10c9", "3db038914d10e23896387aa60e4684c9e2721bb9acf3c922d6d8d2ca1a8a29444e237a127df5ba189fffeb5e8b02648e61fe29106442ef99d76f78feca3591f9"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, ok := parseChecksum(test.want, test.key)
			if !ok || !c.known {
				t.Fatalf("the form of the cache key %s is not known", test.key)
			}
			got, err := z.sum(t.Context(), bytes.NewReader(archive), int64(len(archive)), "odd", c.form)
			if err != nil || got != test.want {
				t.Errorf("got %s (%v), want %s", got, err, test.want)
			}
		})
	}
}

func TestParseChecksum(t *testing.T) {
	digits := strings.Repeat("0a", 64)
	for _, test := range []struct {
		text, cacheKey, wantKey string
		ok, known               bool
	}{
		{digits, "8", "", true, true},
		{"10c0/" + strings.ToUpper(digits), "8", "10c0", true, true},
		{"10/" + digits, "10c0", "10", true, true},
		{digits, "8c4", "", true, true},
		{digits, "8c3", "", true, false},
		{digits, "10c6", "", true, false},
		{digits, "9", "", true, false},
		{digits, "", "", true, false},
		{"11c0/" + digits, "10c0", "11c0", true, false},
		{digits[1:], "8", "", false, false},
		{"deadbeef", "8", "", false, false},
		{"", "8", "", false, false},
		{"10c0/", "8", "10c0", false, false},
	} {
		c, ok := parseChecksum(test.text, test.cacheKey)
		if ok != test.ok || c.known != test.known || c.key != test.wantKey || ok && c.want != digits {
			t.Errorf("%.20s by %q: got %v %v %q %.10s, want %v %v %q", test.text, test.cacheKey, ok, c.known, c.key, c.want, test.ok, test.known, test.wantKey)
		}
	}
}

func TestZipErrors(t *testing.T) {
	z := newZipper(openScratch(t))
	form := zipForm{}
	for name, content := range map[string][]byte{
		"a login page": []byte("<html>sign in</html>"),
		"cut off":      oddArchive()[:20_000],
		"a bomb":       bomb(),
	} {
		if got, err := z.sum(t.Context(), bytes.NewReader(content), int64(len(content)), "odd", form); err == nil {
			t.Errorf("%s: got %s, want an error", name, got)
		}
	}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	if _, err := z.sum(stopped, bytes.NewReader(oddArchive()), 1, "odd", form); !errors.Is(err, context.Canceled) {
		t.Errorf("stopped: got %v", err)
	}
	left, err := fs.Glob(z.content.scratch.FS(), "*")
	if err != nil || len(left) > 0 {
		t.Errorf("left in the scratch folder: %v (%v)", left, err)
	}
}

// What was made once is not made again; another name or form is another zip, and failures are not remembered.
func TestSums(t *testing.T) {
	var sums Sums
	made := 0
	get := func(content, name string, form zipForm, fails error) string {
		sum, err := sums.get(strings.NewReader(content), name, form, func() (string, error) {
			made++
			return fmt.Sprint(made), fails
		})
		if !errors.Is(err, fails) {
			t.Errorf("got %v, want %v", err, fails)
		}
		return sum
	}
	broken := errors.New("broken")
	get("a", "x", zipForm{}, broken)
	got := []string{get("a", "x", zipForm{}, nil), get("a", "x", zipForm{}, nil), get("b", "x", zipForm{}, nil), get("a", "y", zipForm{}, nil), get("a", "x", zipForm{level: 9}, nil), get("b", "x", zipForm{}, nil)}
	if want := "2 2 3 4 5 3"; strings.Join(got, " ") != want {
		t.Errorf("got %v, want %s", got, want)
	}
	for i := range maxSums + 10 {
		get(fmt.Sprint("many ", i), "x", zipForm{}, nil)
	}
	if len(sums.known) > maxSums {
		t.Errorf("%d are remembered", len(sums.known))
	}
}

// bomb unpacks to far more than an archive of its size may.
func bomb() []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	const size = 24 << 20
	if err := w.WriteHeader(&tar.Header{Name: "package/zeros", Typeflag: tar.TypeReg, Mode: 0o644, Size: size}); err != nil {
		panic(err)
	}
	zeros := make([]byte, 1<<20)
	for range size >> 20 {
		if _, err := w.Write(zeros); err != nil {
			panic(err)
		}
	}
	if w.Close() != nil || z.Close() != nil {
		panic("an archive cannot be made")
	}
	return b.Bytes()
}

func openScratch(t *testing.T) *os.Root {
	t.Helper()
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root
}
