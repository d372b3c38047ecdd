package deflate

import (
	"bytes"
	"compress/flate"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"github.com/cachito-serverless/cachito/shared/resolver/yarn/berry/deflate/deflatetest"
)

// golden are SHA-256 of what zlib 1.2.13 makes on level 9, memLevel 9 (Python's
// zlib.compressobj(9, zlib.DEFLATED, -15, 9)), and of what the zlib-ng in Yarn 4.17.1 makes with
// compressionLevel 9, by input.
var golden = map[string]struct{ zlib, ng string }{
	"empty":         {"9b4fb24edd6d1d8830e272398263cdbf026b97392cc35387b991dc0248a628f9", "9b4fb24edd6d1d8830e272398263cdbf026b97392cc35387b991dc0248a628f9"},
	"one":           {"f5b976feaac71fd875e2850ce8a0f229ad2fe83beab9d1284fe2a75f1e172a56", "f5b976feaac71fd875e2850ce8a0f229ad2fe83beab9d1284fe2a75f1e172a56"},
	"short":         {"6d091e9d90f663961c3bba2219ab1b5c2442f54fa4b376138c7d9e1831b13790", "6d091e9d90f663961c3bba2219ab1b5c2442f54fa4b376138c7d9e1831b13790"},
	"run":           {"00cd171cb444a240b289c02fa4db5446e792e58a0f346ab8b6e825a018e72c29", "00cd171cb444a240b289c02fa4db5446e792e58a0f346ab8b6e825a018e72c29"},
	"noise-small":   {"66c52025d0988beb2ce8d7fb774be16029143ca0d47a8dd497d30506f671ce28", "66c52025d0988beb2ce8d7fb774be16029143ca0d47a8dd497d30506f671ce28"},
	"noise-8190":    {"9b29408d65ef4f4ad74bed44042c8897f8a4f902acf5a5bde458e50979b27e0a", "9b29408d65ef4f4ad74bed44042c8897f8a4f902acf5a5bde458e50979b27e0a"},
	"noise-8192":    {"3a14762e5a006027bd05936b273e9f34720a1a28c0dc552ad43c7a104156f515", "3a14762e5a006027bd05936b273e9f34720a1a28c0dc552ad43c7a104156f515"},
	"noise-8193":    {"06815b496bd008caca44ae7147f6a27262229a4784a2e64bcc79622bac6ecd0a", "06815b496bd008caca44ae7147f6a27262229a4784a2e64bcc79622bac6ecd0a"},
	"noise":         {"f3da0a2ba434c27054c801762b6b41528fb421af43ab45f7543f6dbfd8263fbe", "63fa930f731cfe68c54f3a4dc8a526d31e5d55b3fa9e4a464808240744a23354"},
	"few":           {"be8efbba5be509e017eada11838320eb3341c83bb4e6388a43b136b03e4abcac", "be8efbba5be509e017eada11838320eb3341c83bb4e6388a43b136b03e4abcac"},
	"words-small":   {"b45ffc34235edc32ab3715e530a1a15d3aeccbe0aba4fe6be82d0f69b87d8300", "b45ffc34235edc32ab3715e530a1a15d3aeccbe0aba4fe6be82d0f69b87d8300"},
	"words":         {"609f333559c903d0c9511382c2f4ac1a5b22057b50c98fe1f1242460c8138ba8", "532a08fc5156e32e6af8dfbfec63c1d1742c6f5f1a50e7f5b54b644d7ef5733b"},
	"far":           {"967f8419185d1b0d445aaaacdc461d1a580ad67bc6ee9f5b3ec927ba72615a2c", "967f8419185d1b0d445aaaacdc461d1a580ad67bc6ee9f5b3ec927ba72615a2c"},
	"farthest":      {"5061e01711b275871fdae0d0a598de83f7136cce2287f0b318cfb3e1a235f35a", "b02a6825c7e6b5e6fb5217247cff0285209808176402d5ba5a873b4126092cd4"},
	"too-far":       {"8cff4f9e00dbe2f5ac8092ed9a96ec9692902de1af6b5610cae8747afbcb347a", "2d04a3ab2d6b100b049cd70ed8d96277ae64bbfcddd8042ddf9e50284796985a"},
	"window":        {"7029e603e57ed858b006c93fb33e49b9826bde66b7f1b7a1c482e23f66473b4d", "a1d53b700c94c845d78bf6209d71b9792399b45a96910954a71b3dca7ce109f4"},
	"ends-in-match": {"b870067176b8ae57592ea22ecb7e4c0c538540961c5f82f53da34587ecd6fede", "9b1c88bcceeb9c68e5a9776899f2b990dcb23a1f5b0dba7a2234f47581f5f6c6"},
	"ends":          {"b3ed47bdf83cd4ab4da7935785e3a34e40ed0dd3882f3afa05d3fc161e2d8d74", "b3ed47bdf83cd4ab4da7935785e3a34e40ed0dd3882f3afa05d3fc161e2d8d74"},
}

// lower are those of zlib on the other levels, of the input "words".
var lower = map[int]string{
	4: "806c47fa3e0a913cd5b4e5d84c175feb79e40f3cbfbe2e0c967762d1c59cba80",
	5: "7fa5c4e4b1d5afc42c26bc5bedcdf7eaea67c15ce4df2ce4458352a84a90085d",
	6: "ab1330062cd51f4976acc57f5fc9bc56f0701bd0891b57e2a70853683224f33b",
	7: "2900bf3f1ea896d1a367993ec97df149dad5038b07741497fc2bf9d52e7ce0ef",
	8: "609f333559c903d0c9511382c2f4ac1a5b22057b50c98fe1f1242460c8138ba8",
}

func TestCompressAsZlib(t *testing.T) {
	classic, err := NewWriter(MaxLevel)
	if err != nil {
		t.Fatal(err)
	}
	zlibNG := NewNG()
	for _, in := range deflatetest.Inputs() {
		want, ok := golden[in.Name]
		if !ok {
			t.Errorf("%s is in no table", in.Name)
		}
		t.Run(in.Name, func(t *testing.T) {
			if got := compressed(t, classic, in.Content); got != want.zlib {
				t.Errorf("zlib: got %s, want %s", got, want.zlib)
			}
			if got := compressed(t, zlibNG, in.Content); got != want.ng {
				t.Errorf("zlib-ng: got %s, want %s", got, want.ng)
			}
		})
	}
}

func TestLevels(t *testing.T) {
	words := deflatetest.Words(200_000)
	for level, want := range lower {
		w, err := NewWriter(level)
		if err != nil {
			t.Fatal(err)
		}
		if got := compressed(t, w, words); got != want {
			t.Errorf("level %d: got %s, want %s", level, got, want)
		}
	}
	for _, level := range []int{-1, 0, 3, 10} {
		if _, err := NewWriter(level); err == nil {
			t.Errorf("level %d is no error", level)
		}
	}
}

// compressed is the SHA-256 of the stream, which must hold the content.
func compressed(t *testing.T, w *Writer, content []byte) string {
	t.Helper()
	var out bytes.Buffer
	if err := w.Compress(&out, iotest.HalfReader(bytes.NewReader(content))); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(out.Bytes())
	back, err := io.ReadAll(flate.NewReader(&out))
	if err != nil || !bytes.Equal(back, content) {
		t.Errorf("the stream holds %d bytes, want %d (%v)", len(back), len(content), err)
	}
	return hex.EncodeToString(sum[:])
}

func TestErrors(t *testing.T) {
	broken := errors.New("broken")
	w := NewNG()
	if err := w.Compress(io.Discard, iotest.ErrReader(broken)); !errors.Is(err, broken) {
		t.Errorf("reading: got %v", err)
	}
	if err := w.Compress(brokenWriter{broken}, bytes.NewReader(deflatetest.Words(100_000))); !errors.Is(err, broken) {
		t.Errorf("writing: got %v", err)
	}
	var out bytes.Buffer
	if err := w.Compress(&out, bytes.NewReader([]byte("and then again"))); err != nil || out.Len() == 0 {
		t.Errorf("after an error: %d bytes, %v", out.Len(), err)
	}
}

type brokenWriter struct{ err error }

func (w brokenWriter) Write([]byte) (int, error) { return 0, w.err }

// Whatever goes in comes out again, also of a Writer that was used before.
func FuzzCompress(f *testing.F) {
	for _, in := range deflatetest.Inputs() {
		if len(in.Content) < 10_000 {
			f.Add(in.Content, uint16(1))
		}
	}
	classic, err := NewWriter(MaxLevel)
	if err != nil {
		f.Fatal(err)
	}
	zlibNG := NewNG()
	f.Fuzz(func(t *testing.T, piece []byte, times uint16) {
		content := bytes.Repeat(piece, int(times%512)+1)
		if len(content) > 1<<20 {
			return
		}
		compressed(t, classic, content)
		compressed(t, zlibNG, content)
	})
}

func BenchmarkCompress(b *testing.B) {
	words := deflatetest.Words(1 << 20)
	b.SetBytes(int64(len(words)))
	w := NewNG()
	for b.Loop() {
		if err := w.Compress(io.Discard, bytes.NewReader(words)); err != nil {
			b.Fatal(err)
		}
	}
}
