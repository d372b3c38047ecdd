package archive

import (
	"context"
	"encoding"
	"fmt"
	"hash"
	"io"
	"maps"
	"slices"
	"strings"
)

// Checkpoint is a place in a bundle from which another writer can go on: the bytes before it are known by
// their length and hashes, and need not be read again. It is JSON in storage.
type Checkpoint struct {
	// Size is how many bytes of the archive are before it, SizeCRC32 their CRC-32 (IEEE).
	Size      int64  `json:"size"`
	SizeCRC32 uint32 `json:"size_crc32"`
	// ContentSize and CRC32 are those of the tar before it.
	ContentSize int64  `json:"content_size"`
	CRC32       uint32 `json:"crc32"`
	// SHA256State is the state of crypto/sha256 after Size bytes, as its MarshalBinary gives it.
	SHA256State []byte `json:"sha256_state"`
	Entries     int    `json:"entries"`
	// Roots are the first elements of the names before it; a writer that goes on takes no more
	// names below them unless it is told which are there (WithNamesBefore).
	Roots []string `json:"roots"`
}

// AtSegmentEnd reports whether nothing that was added waits to be compressed with what comes: a Mark here leaves no
// trace in the bytes. It is so after every file that is stored, or larger than MaxBatchedBytes.
func (b *BundleWriter) AtSegmentEnd() bool { return b.batch == nil }

// Mark makes a checkpoint behind what was added so far, without waiting for it: visit gets it in another goroutine, when
// everything before is written, and before Close returns. It is not called when writing fails before. Between
// entries whose names begin with different elements ("deps" and "app"), and AtSegmentEnd, a mark leaves no trace in
// the bytes; elsewhere it may end a segment earlier.
func (b *BundleWriter) Mark(ctx context.Context, visit func(Checkpoint)) error {
	if err := b.usable(); err != nil {
		return err
	}
	b.fail(b.mark(ctx, visit))
	return b.err
}

func (b *BundleWriter) mark(ctx context.Context, visit func(Checkpoint)) error {
	if err := b.flush(ctx); err != nil {
		return err
	}
	roots := maps.Clone(b.names.closed)
	if roots == nil {
		roots = map[string]bool{}
	}
	for name := range b.names.modes {
		root, _, _ := strings.Cut(name, "/")
		roots[root] = true
	}
	c := Checkpoint{Entries: b.entries, Roots: slices.Sorted(maps.Keys(roots))}
	return b.stage.sendMark(ctx, func(at position, sum hash.Hash) error {
		state, err := sum.(encoding.BinaryMarshaler).MarshalBinary()
		if err != nil {
			return fmt.Errorf("checkpoint of the bundle: %w", err)
		}
		c.Size, c.SizeCRC32, c.ContentSize, c.CRC32, c.SHA256State = at.size, at.sizeCRC, at.rawSize, at.crc, state
		visit(c)
		return nil
	})
}

// ResumeBundleWriter goes on from a checkpoint, on a w that gets only what comes after it. The options
// must be those of the writer that made it. Close's Summary is that of the whole archive.
func ResumeBundleWriter(w io.Writer, c Checkpoint, opts ...BundleOption) (*BundleWriter, error) {
	sum := newSum()
	if err := sum.(encoding.BinaryUnmarshaler).UnmarshalBinary(c.SHA256State); err != nil {
		return nil, fmt.Errorf("resuming a bundle: SHA-256 state of the checkpoint: %w", err)
	}
	at := position{size: c.Size, sizeCRC: c.SizeCRC32, rawSize: c.ContentSize, crc: c.CRC32}
	b := newBundleWriter(w, at, sum, opts)
	if b.err != nil {
		return nil, b.err
	}
	b.entries = c.Entries
	if b.before == nil {
		b.names.closed = map[string]bool{}
		for _, root := range c.Roots {
			b.names.closed[root] = true
		}
		return b, nil
	}
	for name, mode := range b.before {
		if err := b.names.add(name, mode); err != nil {
			b.Abort()
			return nil, fmt.Errorf("resuming a bundle: %w", err)
		}
	}
	return b, nil
}
