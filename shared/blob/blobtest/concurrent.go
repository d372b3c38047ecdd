package blobtest

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/cachito-serverless/cachito/shared/blob"
)

const writers = 8

var concurrentCases = []testCase{
	{"one of many puts wins", func(w *world) {
		for round := range 10 {
			key := fmt.Sprintf("round/%d", round)
			var winner atomic.Int32
			var won atomic.Int32
			var wg sync.WaitGroup
			for i := range writers {
				wg.Go(func() {
					err := w.b.Put(w.Context(), key, bytes.Repeat([]byte{byte('a' + i)}, 100_000), false)
					switch {
					case err == nil:
						won.Add(1)
						winner.Store(int32(i))
					case !errors.Is(err, blob.ErrExists):
						w.Errorf("got %v, want ErrExists", err)
					}
				})
			}
			wg.Wait()
			w.equal("winners", won.Load(), int32(1))
			w.content(key, string(bytes.Repeat([]byte{byte('a' + winner.Load())}, 100_000)))
		}
	}},
	{"readers see whole objects while writers overwrite", func(w *world) {
		w.ok(w.b.Put(w.Context(), "k", bytes.Repeat([]byte{'z'}, 50_000), false))
		var wg sync.WaitGroup
		for i := range writers {
			wg.Go(func() {
				for range 10 {
					if err := w.b.Put(w.Context(), "k", bytes.Repeat([]byte{byte('a' + i)}, 50_000), true); err != nil {
						w.Error(err)
					}
				}
			})
			wg.Go(func() {
				for range 10 {
					got, err := w.b.Get(w.Context(), "k", limit)
					if err != nil || len(got) != 50_000 || bytes.Count(got, got[:1]) != len(got) {
						w.Errorf("got %d bytes, mixed or cut (%v)", len(got), err)
					}
				}
			})
		}
		wg.Wait()
	}},
}
