package blobtest

import (
	"errors"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/cachito-serverless/cachito/shared/blob"
)

var readCases = []testCase{
	{"nothing there", func(w *world) {
		w.put("a/b")
		for _, key := range []string{"k", "a", "a/b/c", "A/b", "a/B"} {
			_, err := w.b.Get(w.Context(), key, limit)
			w.is("Get", err, blob.ErrNotFound)
			_, err = w.b.Open(w.Context(), key)
			w.is("Open", err, blob.ErrNotFound)
			w.missing(key)
		}
	}},
	{"at most the limit", func(w *world) {
		w.ok(w.b.Put(w.Context(), "k", []byte("12345"), false))
		got, err := w.b.Get(w.Context(), "k", 5)
		w.ok(err)
		w.equal("exactly", string(got), "12345")
		if got, err := w.b.Get(w.Context(), "k", 4); err == nil || errors.Is(err, blob.ErrNotFound) {
			w.Errorf("one more: got %q, %v, want an error of its own", got, err)
		}
	}},
	{"in order and anywhere", func(w *world) {
		w.ok(w.b.Put(w.Context(), "k", []byte("0123456789"), false))
		o, err := w.b.Open(w.Context(), "k")
		w.ok(err)
		defer o.Close()
		w.equal("key", o.Info().Key, "k")
		w.equal("size", o.Info().Size, int64(10))
		buf := make([]byte, 3)
		_, err = io.ReadFull(o, buf)
		w.ok(err)
		w.equal("first", string(buf), "012")
		_, err = o.ReadAt(buf, 6)
		w.ok(err)
		w.equal("at 6", string(buf), "678")
		n, err := o.ReadAt(buf, 8)
		w.is("at 8", err, io.EOF)
		w.equal("at 8", string(buf[:n]), "89")
		if n, err := o.ReadAt(buf, 10); n != 0 || err != io.EOF {
			w.Errorf("at the end: got %d, %v", n, err)
		}
		rest, err := io.ReadAll(o) // ReadAt does not move it
		w.ok(err)
		w.equal("rest", string(rest), "3456789")
	}},
	{"stat", func(w *world) {
		before := time.Now().Add(-2 * time.Second)
		w.put("a/b")
		info, err := w.b.Stat(w.Context(), "a/b")
		w.ok(err)
		w.equal("key", info.Key, "a/b")
		w.equal("size", info.Size, int64(len("content of a/b")))
		if info.LastUse.Before(before) || info.LastUse.After(time.Now().Add(2*time.Second)) {
			w.Errorf("last use: got %s, want about now", info.LastUse)
		}
		o, err := w.b.Open(w.Context(), "a/b")
		w.ok(err)
		defer o.Close()
		w.equal("of the open object", o.Info().Size, info.Size)
	}},
	{"presigned URL or none", func(w *world) {
		w.put("k")
		url, err := w.b.PresignGet(w.Context(), "k", time.Minute, map[string]string{"Content-Type": "text/plain"})
		if (url == "") != errors.Is(err, blob.ErrNoPresign) {
			w.Errorf("got %q, %v", url, err)
		}
	}},
}

// oddKeys are keys that file systems, URLs or XML might change or mix up.
var oddKeys = []string{
	"A", "a", "a-b", "a.b", "a/b", "a/b/c", "a0", "ab", "a b", "a+b", "a%b", "a%25b", "a!", "a~", "a~/b", "a!/b", "~", "!",
	"...", "..a", ".a/b", "a.", "con", "nul.txt", `back\slash`, "quo\"te'<&>*?|:;#", "ümlaut/é/日本語/🙂", "e\u0301", "\u00e9", "Z/z", "z/Z",
	"deps/gomod/pkg/mod/cache/download/github.com/!burnt!sushi/toml/@v/v1.zip", "a=b,c@d", "-", "_", "-a/-b",
	strings.Repeat("x", blob.MaxKeyBytes), strings.Repeat("é", blob.MaxKeyBytes/2), strings.Repeat("a/", blob.MaxKeyBytes/2-1) + "a",
}

// longKeys share beginnings as long as file names may be, and go on in every way.
func longKeys() []string {
	var keys []string
	for n := 250; n <= 257; n++ {
		for _, end := range []string{"", "-", "/x", "0", "b", "é", "\U0001F642x", "-/x", "b/x", strings.Repeat("b", 260)} {
			keys = append(keys, strings.Repeat("a", n)+end)
		}
	}
	return keys
}

var listCases = []testCase{
	{"odd keys stay apart and in order", func(w *world) {
		for i, key := range oddKeys {
			w.ok(w.b.Put(w.Context(), key, []byte{byte(i)}, false))
		}
		for i, key := range oddKeys {
			w.content(key, string([]byte{byte(i)}))
		}
		w.equal("keys", w.keys(""), slices.Sorted(slices.Values(oddKeys)))
		w.ok(w.b.Delete(w.Context(), oddKeys...))
		w.equal("after deleting", w.keys(""), []string(nil))
	}},
	{"long keys are in order", func(w *world) {
		want := slices.Compact(slices.Sorted(slices.Values(longKeys())))
		w.put(want...)
		w.equal("keys", w.keys(""), want)
		for _, n := range []int{249, 252, 254, 255, 256, 300} {
			prefix := strings.Repeat("a", n)
			w.equal("prefix", w.keys(prefix), withPrefix(want, prefix))
			w.equal("prefix", w.keys(prefix+"b"), withPrefix(want, prefix+"b"))
		}
	}},
	{"prefix", func(w *world) {
		keys := []string{"a", "a-b", "a/b", "a/b/c", "a/bc", "ab/c", "b"}
		w.put(keys...)
		for _, prefix := range []string{"", "a", "a/", "a/b", "a/b/", "a/b/c", "a/b/c/", "ab", "A", "c", "b", "/", "a-"} {
			w.equal("prefix "+prefix, w.keys(prefix), withPrefix(keys, prefix))
		}
	}},
	{"sizes, and an early end", func(w *world) {
		w.put("a", "b", "c")
		var got []string
		for info, err := range w.b.List(w.Context(), "") {
			w.ok(err)
			w.equal("size", info.Size, int64(len("content of a")))
			if info.LastUse.IsZero() {
				w.Error("no last use")
			}
			if got = append(got, info.Key); len(got) == 2 {
				break
			}
		}
		w.equal("keys", got, []string{"a", "b"})
	}},
	{"deleting what is listed", func(w *world) {
		keys := []string{"a", "a/b", "c/d/e", "c/d/f", "g"}
		w.put(keys...)
		var got []string
		for info, err := range w.b.List(w.Context(), "") {
			w.ok(err)
			got = append(got, info.Key)
			w.ok(w.b.Delete(w.Context(), info.Key))
		}
		w.equal("listed", got, keys)
		w.equal("left", w.keys(""), []string(nil))
	}},
	{"more than a page of S3", func(w *world) {
		var want []string
		for i := range 1100 {
			want = append(want, "n/"+string(rune('a'+i/100))+"/"+string(rune('a'+i/10%10))+string(rune('0'+i%10)))
		}
		w.put(want...)
		w.equal("keys", w.keys("n/"), want)
		w.ok(w.b.Delete(w.Context(), want...)) // more than S3 deletes at once
		w.equal("left", w.keys(""), []string(nil))
	}},
}

func withPrefix(sorted []string, prefix string) []string {
	var list []string
	for _, key := range sorted {
		if strings.HasPrefix(key, prefix) {
			list = append(list, key)
		}
	}
	return list
}
