package blobtest

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/cachito-serverless/cachito/shared/blob"
)

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

var keyCases = []testCase{
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
	{"after a key", func(w *world) {
		keys := []string{"a", "a-b", "a/b", "a/b/c", "a/bc", "ab/c", "b", "b/d/e", "b/d/f", "c!"}
		w.put(keys...)
		w.ok(w.b.Touch(w.Context(), "b/d/e"))
		for _, prefix := range []string{"", "a", "a/", "b/"} {
			for _, after := range append(slices.Clone(keys), "", "A", "a/", "a/b/", "a/b/d", "b/d", "b/d/", "b/e", "zz") {
				var got []string
				for info, err := range w.b.ListAfter(w.Context(), prefix, after) {
					w.ok(err)
					got = append(got, info.Key)
				}
				var want []string
				for _, key := range withPrefix(keys, prefix) {
					if key > after {
						want = append(want, key)
					}
				}
				w.equal(fmt.Sprintf("prefix %q after %q", prefix, after), got, want)
			}
		}
	}},
	{"after one of the long keys", func(w *world) {
		keys := slices.Compact(slices.Sorted(slices.Values(longKeys())))
		w.put(keys...)
		for i := 0; i < len(keys); i += 7 {
			var got []string
			for info, err := range w.b.ListAfter(w.Context(), "", keys[i]) {
				w.ok(err)
				got = append(got, info.Key)
				if len(got) == 3 {
					break
				}
			}
			w.equal(fmt.Sprintf("after %.300q", keys[i]), got, slices.Clone(keys[i+1:min(i+4, len(keys))]))
		}
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
	{"delete", func(w *world) {
		w.put("a", "a/b", "a/c", "d")
		w.ok(w.b.Delete(w.Context(), "a", "none", "d"))
		w.equal("keys", w.keys(""), []string{"a/b", "a/c"})
		w.ok(w.b.Delete(w.Context(), "a", "a/b/c", "a/b"))
		w.ok(w.b.Delete(w.Context()))
		w.equal("keys", w.keys(""), []string{"a/c"})
		w.missing("a/b")
		w.put("a/b")
		w.content("a/b", "content of a/b")
	}},
	{"puts and deletes below the same prefix", func(w *world) {
		var wg sync.WaitGroup
		for i := range writers {
			wg.Go(func() {
				key := fmt.Sprintf("p/q/%d", i)
				for range 25 {
					if err := w.b.Put(w.Context(), key, []byte("x"), false); err != nil {
						w.Error(err)
					}
					if err := w.b.Delete(w.Context(), key); err != nil {
						w.Error(err)
					}
				}
			})
		}
		wg.Wait()
		w.equal("keys", w.keys(""), []string(nil))
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
