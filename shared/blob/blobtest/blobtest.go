// Package blobtest is the contract of blob.Blob as tests. Every adapter runs it.
package blobtest

import (
	"errors"
	"io"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/blob"
)

// Open makes an empty object storage and ends it with the test.
type Open func(t *testing.T) blob.Blob

type group struct {
	name  string
	cases []testCase
}

var plainKeys = []group{
	{"Write", writeCases}, {"Read", readCases}, {"List", listCases}, {"Concurrent", concurrentCases},
}

// Run runs the whole contract. Each subtest opens a storage of its own.
func Run(t *testing.T, open func(t *testing.T) blob.Blob) {
	run(t, open, append(slices.Clone(plainKeys), group{"Keys", keyCases}))
}

// RunPlainKeys leaves out what a server that keeps keys as paths cannot do: a key that is the beginning of
// another one, elements longer than file names, folders that come and go. It is for second opinions; adapters
// run Run.
func RunPlainKeys(t *testing.T, open func(t *testing.T) blob.Blob) { run(t, open, plainKeys) }

func run(t *testing.T, open func(t *testing.T) blob.Blob, groups []group) {
	for _, g := range groups {
		t.Run(g.name, func(t *testing.T) {
			for _, c := range g.cases {
				t.Run(c.name, func(t *testing.T) { c.run(&world{T: t, b: open(t)}) })
			}
		})
	}
}

type testCase struct {
	name string
	run  func(w *world)
}

type world struct {
	*testing.T
	b blob.Blob
}

const limit = 1 << 20

func (w *world) ok(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) equal(what string, got, want any) {
	w.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		w.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func (w *world) is(what string, err, want error) {
	w.Helper()
	if !errors.Is(err, want) {
		w.Errorf("%s: got %v, want %v", what, err, want)
	}
}

func (w *world) put(keys ...string) {
	w.Helper()
	for _, key := range keys {
		w.ok(w.b.Put(w.Context(), key, []byte("content of "+key), false))
	}
}

func (w *world) content(key, want string) {
	w.Helper()
	got, err := w.b.Get(w.Context(), key, limit)
	if err != nil {
		w.Errorf("Get(%.60q): %v", key, err)
		return
	}
	w.equal(key, string(got), want)
}

func (w *world) missing(key string) {
	w.Helper()
	_, err := w.b.Stat(w.Context(), key)
	w.is("Stat", err, blob.ErrNotFound)
	w.is("Stat", err, fs.ErrNotExist)
}

// keys lists a prefix.
func (w *world) keys(prefix string) []string {
	w.Helper()
	var keys []string
	for info, err := range w.b.List(w.Context(), prefix) {
		w.ok(err)
		keys = append(keys, info.Key)
	}
	return keys
}

func (w *world) create(content string) blob.Writer {
	w.Helper()
	wr, err := w.b.Create(w.Context())
	w.ok(err)
	w.Cleanup(func() { wr.Abort() })
	_, err = io.WriteString(wr, content)
	w.ok(err)
	return wr
}

// compose makes an object of parts alone.
func (w *world) compose(key string, parts []blob.Part, overwrite bool) error {
	w.Helper()
	wr, err := w.b.CreateAt(w.Context(), key, parts...)
	if err != nil {
		return err
	}
	return errors.Join(wr.Commit(w.Context(), key, overwrite), wr.Abort())
}

// badKeys break the rules of the package comment of blob, one each.
var badKeys = []string{
	"", "/", "/a", "a/", "a//b", ".", "..", "a/./b", "a/../b", "../a", "a/..",
	"a\x00b", "a\nb", "a\x7fb", "a\u0085b", "a\xffb", strings.Repeat("x", blob.MaxKeyBytes+1),
}
