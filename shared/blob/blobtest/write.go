package blobtest

import (
	"bytes"
	"context"
	"hash/crc32"
	"io"
	"strings"
	"time"

	"github.com/cachito-serverless/cachito/shared/blob"
)

func crcOf(text string) *uint32 {
	crc := crc32.ChecksumIEEE([]byte(text))
	return &crc
}

var writeCases = []testCase{
	{"put only when absent", func(w *world) {
		w.ok(w.b.Put(w.Context(), "k", []byte("first"), false))
		w.is("again", w.b.Put(w.Context(), "k", []byte("second"), false), blob.ErrExists)
		w.is("the same content again", w.b.Put(w.Context(), "k", []byte("first"), false), blob.ErrExists)
		w.content("k", "first")
	}},
	{"overwrite", func(w *world) {
		w.ok(w.b.Put(w.Context(), "k", []byte("first"), true))
		w.ok(w.b.Put(w.Context(), "k", []byte("2nd"), true))
		w.content("k", "2nd")
		w.equal("keys", w.keys(""), []string{"k"})
	}},
	{"empty object", func(w *world) {
		w.ok(w.b.Put(w.Context(), "k", nil, false))
		w.content("k", "")
		info, err := w.b.Stat(w.Context(), "k")
		w.ok(err)
		w.equal("size", info.Size, int64(0))
	}},
	{"a reader keeps what it opened", func(w *world) {
		w.put("k")
		o, err := w.b.Open(w.Context(), "k")
		w.ok(err)
		defer o.Close()
		w.ok(w.b.Put(w.Context(), "k", []byte("new"), true))
		got, err := io.ReadAll(o)
		w.ok(err)
		w.equal("open object", string(got), "content of k")
	}},
	{"nothing is visible before Commit", func(w *world) {
		wr := w.create("one, ")
		_, err := io.WriteString(wr, "two")
		w.ok(err)
		w.equal("keys", w.keys(""), []string(nil))
		w.missing("k")
		w.ok(wr.Commit(w.Context(), "k", false))
		w.content("k", "one, two")
		w.ok(wr.Abort())
		w.content("k", "one, two")
	}},
	{"nothing written", func(w *world) {
		w.ok(w.create("").Commit(w.Context(), "k", false))
		w.content("k", "")
	}},
	{"Abort gives up", func(w *world) {
		wr := w.create("x")
		w.ok(wr.Abort())
		w.ok(wr.Abort())
		if err := wr.Commit(w.Context(), "k", true); err == nil {
			w.Error("Commit after Abort succeeded")
		}
		if _, err := wr.Write([]byte("x")); err == nil {
			w.Error("Write after Abort succeeded")
		}
		w.equal("keys", w.keys(""), []string(nil))
	}},
	{"Commit of a taken key", func(w *world) {
		w.put("k")
		wr := w.create("new")
		w.is("absent only", wr.Commit(w.Context(), "k", false), blob.ErrExists)
		w.content("k", "content of k")
		w.ok(wr.Abort())
		w.ok(w.create("new").Commit(w.Context(), "k", true))
		w.content("k", "new")
	}},
	{"several megabytes", func(w *world) {
		content := bytes.Repeat([]byte("0123456789abcde\n"), 12<<16) // more than S3's smallest part
		wr := w.create("")
		_, err := io.Copy(wr, bytes.NewReader(content))
		w.ok(err)
		w.ok(wr.Commit(w.Context(), "k", false))
		got, err := w.b.Get(w.Context(), "k", int64(len(content)))
		w.ok(err)
		if !bytes.Equal(got, content) {
			w.Errorf("got %d bytes, want %d, or others", len(got), len(content))
		}
	}},
	{"compose", func(w *world) {
		w.ok(w.b.Put(w.Context(), "a", []byte("0123456789"), false))
		w.ok(w.b.Put(w.Context(), "b", []byte("abcdef"), false))
		for _, c := range []struct {
			name  string
			parts []blob.Part
			want  string
		}{
			{"nothing", nil, ""},
			{"bytes", []blob.Part{{Bytes: []byte("x")}, {}, {Bytes: []byte("y")}}, "xy"},
			{"whole", []blob.Part{{Key: "a", Length: -1}, {Key: "b", Length: -1}}, "0123456789abcdef"},
			{"ranges", []blob.Part{{Key: "a", Offset: 3, Length: 2}, {Bytes: []byte("|")}, {Key: "b", Offset: 4, Length: -1}, {Key: "a", Length: 1}}, "34|ef0"},
			{"nothing of an object", []blob.Part{{Key: "a", Offset: 10, Length: -1}, {Key: "a", Offset: 4}, {Key: "b", Length: 1}}, "a"},
			{"the same twice", []blob.Part{{Key: "b", Length: -1}, {Key: "b", Length: -1}}, "abcdefabcdef"},
		} {
			key := "out/" + c.name
			w.ok(w.compose(key, c.parts, false))
			w.content(key, c.want)
		}
	}},
	{"compose refuses", func(w *world) {
		w.put("a", "taken")
		size := int64(len("content of a"))
		const huge = 1<<63 - 1
		for name, part := range map[string]blob.Part{
			"past the end":        {Key: "a", Offset: 1, Length: size},
			"begins past the end": {Key: "a", Offset: size + 1, Length: -1},
			"negative offset":     {Key: "a", Offset: -1, Length: 1},
			"overflow":            {Key: "a", Offset: huge, Length: huge},
			"long":                {Key: "a", Offset: 1, Length: huge},
		} {
			if err := w.compose("out", []blob.Part{{Bytes: []byte("x")}, part}, true); err == nil {
				w.Errorf("%s: it was composed", name)
			}
		}
		w.is("a missing part", w.compose("out", []blob.Part{{Key: "a", Length: -1}, {Key: "none", Length: -1}}, true), blob.ErrNotFound)
		w.missing("out")
		w.is("a taken key", w.compose("taken", []blob.Part{{Key: "a", Length: -1}}, false), blob.ErrExists)
		w.content("taken", "content of taken")
		w.ok(w.compose("taken", []blob.Part{{Bytes: []byte("<")}, {Key: "taken", Length: 7}, {Bytes: []byte(">")}}, true))
		w.content("taken", "<content>")
	}},
	{"a stream under a known key", func(w *world) {
		w.ok(w.b.Put(w.Context(), "a", []byte("0123456789"), false))
		for _, c := range []struct {
			name  string
			parts []blob.Part
			want  string
		}{
			{"no parts", nil, "rest"},
			{"one", []blob.Part{{Key: "a", Offset: 2, Length: 3}}, "234rest"},
			{"several", []blob.Part{{Key: "a", Length: -1, CRC32: crcOf("0123456789")}, {Bytes: []byte("|")}, {Key: "a", Length: 1}}, "0123456789|0rest"},
		} {
			key := "out/" + c.name
			wr, err := w.b.CreateAt(w.Context(), key, c.parts...)
			w.ok(err)
			_, err = io.WriteString(wr, "rest")
			w.ok(err)
			w.missing(key)
			w.ok(wr.Commit(w.Context(), key, false))
			w.content(key, c.want)
			w.ok(wr.Abort())
			w.content(key, c.want)
		}
		wr, err := w.b.CreateAt(w.Context(), "out/one", blob.Part{Key: "a", Length: 1})
		w.ok(err)
		w.is("a taken key", wr.Commit(w.Context(), "out/one", false), blob.ErrExists)
		w.ok(wr.Abort())
		w.content("out/one", "234rest")
		wr, err = w.b.CreateAt(w.Context(), "a", blob.Part{Key: "a", Offset: 5, Length: 5})
		w.ok(err)
		w.ok(wr.Commit(w.Context(), "a", true)) // of itself
		w.content("a", "56789")
	}},
	{"a stream with a large beginning", func(w *world) {
		large := bytes.Repeat([]byte("0123456789abcde\n"), 12<<16)
		begin := func(key string, parts ...blob.Part) (blob.Writer, error) {
			wr, err := w.b.CreateAt(w.Context(), key, parts...)
			if err == nil {
				w.Cleanup(func() { wr.Abort() })
				_, err = io.WriteString(wr, "and more")
			}
			return wr, err
		}
		wr, err := begin("a")
		w.ok(err)
		_, err = wr.Write(large)
		w.ok(err)
		w.missing("a")
		w.ok(wr.Commit(w.Context(), "a", false))
		large = append([]byte("and more"), large...)
		whole := string(large)
		wr, err = begin("b", blob.Part{Key: "a", Length: -1, CRC32: crcOf(whole)}, blob.Part{Bytes: []byte("|")}, blob.Part{Key: "a", Offset: 16, CRC32: crcOf(whole[16 : 7<<20]), Length: 7<<20 - 16})
		w.ok(err)
		w.ok(wr.Commit(w.Context(), "b", false))
		got, err := w.b.Get(w.Context(), "b", 64<<20)
		w.ok(err)
		if want := whole + "|" + whole[16:7<<20] + "and more"; string(got) != want {
			w.Errorf("got %d bytes, want %d, or others", len(got), len(want))
		}
		wr, err = begin("c", blob.Part{Key: "a", Length: -1})
		w.ok(err)
		w.ok(wr.Abort())
		w.missing("c")
	}},
	{"a stream under a known key refuses", func(w *world) {
		w.put("a")
		wr, err := w.b.CreateAt(w.Context(), "k")
		w.ok(err)
		if err := wr.Commit(w.Context(), "other", true); err == nil {
			w.Error("it was committed under another key")
		}
		w.ok(wr.Abort())
		for _, c := range []struct {
			name string
			part blob.Part
			want error
		}{
			{"missing", blob.Part{Key: "none", Length: -1}, blob.ErrNotFound},
			{"other bytes", blob.Part{Key: "a", Length: -1, CRC32: crcOf("content of b")}, blob.ErrChanged},
			{"past the end", blob.Part{Key: "a", Length: 100}, nil},
			{"shorter than it was", blob.Part{Key: "a", Length: 100, CRC32: crcOf("content of a, which was longer")}, blob.ErrChanged},
		} {
			wr, err := w.b.CreateAt(w.Context(), "k", c.part)
			if err == nil {
				err = wr.Commit(w.Context(), "k", true)
				w.ok(wr.Abort())
			}
			if err == nil {
				w.Errorf("%s: it was written", c.name)
			} else if c.want != nil {
				w.is(c.name, err, c.want)
			}
		}
		w.equal("keys", w.keys(""), []string{"a"})
	}},
	{"touch", func(w *world) {
		w.put("a", "b")
		before, err := w.b.Stat(w.Context(), "a")
		w.ok(err)
		time.Sleep(1100 * time.Millisecond) // storages may keep whole seconds
		w.ok(w.b.Touch(w.Context(), "a"))
		after, err := w.b.Stat(w.Context(), "a")
		w.ok(err)
		if !after.LastUse.After(before.LastUse) {
			w.Errorf("last use: got %s after %s", after.LastUse, before.LastUse)
		}
		w.content("a", "content of a")
		w.is("missing", w.b.Touch(w.Context(), "c"), blob.ErrNotFound)
		w.missing("c")
	}},
	{"bad keys", func(w *world) {
		for _, key := range badKeys {
			_, getErr := w.b.Get(w.Context(), key, 1)
			_, openErr := w.b.Open(w.Context(), key)
			_, statErr := w.b.Stat(w.Context(), key)
			_, atErr := w.b.CreateAt(w.Context(), key)
			part := []blob.Part{{Bytes: []byte("x")}}
			for name, err := range map[string]error{
				"Put":                  w.b.Put(w.Context(), key, []byte("x"), true),
				"Commit":               w.create("x").Commit(w.Context(), key, true),
				"CreateAt with a part": w.compose(key, part, true),
				"CreateAt":             atErr, "Get": getErr, "Open": openErr, "Stat": statErr,
				"Touch":  w.b.Touch(w.Context(), key),
				"Delete": w.b.Delete(w.Context(), key),
			} {
				if err == nil {
					w.Errorf("%s(%.20q) succeeded", name, key)
					continue
				}
				w.is(name, err, blob.ErrInvalidKey)
			}
		}
		w.equal("keys", w.keys(""), []string(nil))
	}},
	{"an ended context changes nothing", func(w *world) {
		ctx, cancel := context.WithCancel(w.Context())
		cancel()
		w.is("Put", w.b.Put(ctx, "k", []byte(strings.Repeat("x", 100)), true), context.Canceled)
		w.is("Commit", w.create("x").Commit(ctx, "k", true), context.Canceled)
		w.equal("keys", w.keys(""), []string(nil))
	}},
}
