package blobtest

import (
	"errors"
	"io"
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

var listCases = []testCase{
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
