package archive

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"iter"
	"runtime"
	"strings"
)

const (
	// MaxBatchedBytes is up to which size content that is compressed on the way shares a segment
	// with its neighbours: the headers and content of small files compress far better together.
	MaxBatchedBytes = 64 << 10
	// batchBytes is the size at which such a shared segment ends.
	batchBytes = 256 << 10
	// MaxBufferedBytes bounds what a BundleWriter holds in memory: read, encoded or not, and not
	// yet written.
	MaxBufferedBytes = 32 << 20
	// jobBytes is the most that one job holds: a chunk, and its encoded form.
	jobBytes = chunkBytes + encodedChunkBytes
)

// Summary describes a finished bundle.
type Summary struct {
	SHA256 string // of the archive, lower-case hex
	Size   int64  // of the archive in bytes
	// ContentSize is the size of the tar inside, in bytes.
	ContentSize int64
	Entries     int
}

// BundleWriter writes a bundle. Entries come in the order of Add; they are encoded ahead by several
// goroutines, in at most MaxBufferedBytes of memory. It is used by one goroutine at a time. The first
// error stays: every later call returns it. Close or Abort must be called.
type BundleWriter struct {
	level int
	stage *stages
	batch *batch
	names nameSet
	// before is of WithNamesBefore.
	before iter.Seq2[string, Mode]
	// entries counts what was added.
	entries int
	err     error
	ended   bool
}

// BundleOption changes how a bundle is written.
type BundleOption func(*bundleSettings)

type bundleSettings struct {
	level, workers int
	before         iter.Seq2[string, Mode]
}

// WithLevel sets the compression of headers and of Bytes: 1 to MaxLevel. It changes the archive's bytes.
func WithLevel(level int) BundleOption {
	return func(s *bundleSettings) { s.level = level }
}

// WithWorkers sets how many entries are encoded at the same time; it does not change the archive.
func WithWorkers(n int) BundleOption {
	return func(s *bundleSettings) { s.workers = n }
}

// WithNamesBefore tells ResumeBundleWriter which names lie before the checkpoint, so that others can follow below the
// same first elements.
func WithNamesBefore(names iter.Seq2[string, Mode]) BundleOption {
	return func(s *bundleSettings) { s.before = names }
}

// NewBundleWriter begins a bundle on w, which is written to by another goroutine until Close or Abort.
func NewBundleWriter(w io.Writer, opts ...BundleOption) *BundleWriter {
	b := newBundleWriter(w, position{}, newSum(), opts)
	if b.err == nil {
		b.fail(b.stage.send(context.Background(), func(j *job, _ *encoder) error {
			j.out = append(j.out[:0], gzipHeader...)
			return nil
		}))
	}
	return b
}

func newBundleWriter(w io.Writer, at position, sum hash.Hash, opts []BundleOption) *BundleWriter {
	s := bundleSettings{level: DefaultLevel, workers: min(max(runtime.GOMAXPROCS(0), 2), 8)}
	for _, o := range opts {
		o(&s)
	}
	b := &BundleWriter{level: s.level, names: nameSet{modes: map[string]Mode{}}, before: s.before}
	if s.level <= Store || s.level > MaxLevel || s.workers < 1 {
		b.fail(fmt.Errorf("bundle writer: level %d (1 to %d) or %d workers make no sense", s.level, MaxLevel, s.workers))
		return b
	}
	b.stage = newStages(w, s.workers, at, sum)
	return b
}

// Add appends an entry. The content may be read after Add has returned, so an error may be that of an
// earlier entry: NameError and ContentChangedError say which.
func (b *BundleWriter) Add(ctx context.Context, h Header, c Content) error {
	return b.add(ctx, h, c, false)
}

// AddNow is Add for content that must be read before it returns, such as the current entry of a
// TreeReader.
func (b *BundleWriter) AddNow(ctx context.Context, h Header, c Content) error {
	return b.add(ctx, h, c, true)
}

func (b *BundleWriter) add(ctx context.Context, h Header, c Content, now bool) error {
	if err := b.usable(); err != nil {
		return err
	}
	if err := b.tryAdd(ctx, h, c, now); err != nil {
		b.fail(err)
	}
	return b.err
}

var errClosed = errors.New("bundle writer: used after Close or Abort")

func (b *BundleWriter) usable() error {
	if b.err == nil && b.ended {
		b.err = errClosed
	}
	if b.err == nil {
		b.err = b.stage.failure()
	}
	return b.err
}

func (b *BundleWriter) fail(err error) {
	if b.err == nil {
		b.err = err
	}
}

func (b *BundleWriter) tryAdd(ctx context.Context, h Header, c Content, now bool) error {
	if err := checkEntry(h.Name, h.Mode, h.Linkname, h.Size); err != nil {
		return err
	}
	if err := b.names.add(h.Name, h.Mode); err != nil {
		return err
	}
	if c.open == nil && int64(len(c.data)) != h.Size {
		return &ContentChangedError{Name: h.Name, Want: fmt.Sprintf("%d bytes", h.Size), Got: fmt.Sprintf("%d bytes", len(c.data))}
	}
	if c.segment != nil && c.segment.Size != h.Size {
		return &ContentChangedError{Name: h.Name, Want: fmt.Sprintf("%d bytes", h.Size), Got: fmt.Sprintf("a segment of %d bytes", c.segment.Size)}
	}
	if c.open == nil && (c.level == levelOfWriter || h.Size == 0) {
		c.level = b.level
		if c.own = IsCompressed(h.Name) && h.Size > 0; c.own {
			c.level = Store
		}
	}
	if c.level < Store || c.level > MaxLevel {
		return fmt.Errorf("bundle writer: %s: level %d is not between %d and %d", h.Name, c.level, Store, MaxLevel)
	}
	b.entries++
	return b.encode(ctx, h, c, now)
}

// encode hands the entry to the workers: alone, in chunks, or in a batch with its neighbours.
func (b *BundleWriter) encode(ctx context.Context, h Header, c Content, now bool) error {
	batched := !c.own && h.Size <= MaxBatchedBytes
	if err := b.batchFor(ctx, batched, h, c.level); err != nil {
		return err
	}
	b.batch.addHeader(h)
	if batched {
		return b.addBatched(h, c, now)
	}
	if err := b.flush(ctx); err != nil {
		return err
	}
	switch {
	case c.segment != nil:
		return b.addSegment(ctx, h, c)
	case h.Size+padding(h.Size) <= chunkBytes && !now:
		return b.stage.send(ctx, wholeContent(h, c))
	default:
		return b.addChunks(ctx, h, c)
	}
}

// batchFor makes b.batch one that the entry can join. A batch ends when it is full, when the level
// changes, and when the name's first element changes: so what comes before app/ has the same bytes
// whatever app/ holds.
func (b *BundleWriter) batchFor(ctx context.Context, batched bool, h Header, level int) error {
	if !batched {
		level = b.level // only its header is compressed
	}
	root, _, _ := strings.Cut(h.Name, "/")
	if b.batch != nil && (b.batch.size >= batchBytes || b.batch.level != level || b.batch.root != root) {
		if err := b.flush(ctx); err != nil {
			return err
		}
	}
	if b.batch == nil {
		b.batch = &batch{level: level, root: root}
	}
	return nil
}

// flush ends the batch.
func (b *BundleWriter) flush(ctx context.Context) error {
	if b.batch == nil {
		return nil
	}
	full := b.batch
	b.batch = nil
	return b.stage.send(ctx, full.encode)
}

func (b *BundleWriter) addBatched(h Header, c Content, now bool) error {
	if now && c.open != nil {
		data, err := c.appendWhole(nil, h)
		if err != nil {
			return err
		}
		c.data, c.open = data, nil
	}
	b.batch.add(h, c)
	return nil
}

// addChunks reads content here and has its chunks encoded side by side.
func (b *BundleWriter) addChunks(ctx context.Context, h Header, c Content) error {
	r, err := c.openFor(h)
	if err != nil {
		return err
	}
	defer r.Close()
	chunks := newChunker(r, h.Name, h.Size)
	whole := &wholeCRC{}
	for {
		j, err := b.stage.take(ctx)
		if err != nil {
			return err
		}
		data, raw, err := chunks.next(j.rawBuffer())
		if err != nil {
			b.stage.giveBack(j)
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		j.work = encodeChunk(data, raw, c.level)
		if c.hasCRC {
			last := chunks.left+chunks.pad == 0
			j.inOrder = func(j *job) error { return whole.add(h.Name, c, j.dataCRC, int64(len(data)), last) }
		}
		b.stage.sendTaken(j)
	}
}

// addSegment copies an encoded segment.
func (b *BundleWriter) addSegment(ctx context.Context, h Header, c Content) error {
	r, err := c.openFor(h)
	if err != nil {
		return err
	}
	defer r.Close()
	info := *c.segment
	if err := c.check(h.Name, info.CRC32); err != nil {
		return err
	}
	chunks := newChunker(r, h.Name, info.EncodedSize)
	chunks.pad = 0
	encoded := &wholeCRC{}
	want := Content{crc: info.EncodedCRC32, hasCRC: true}
	for {
		j, err := b.stage.take(ctx)
		if err != nil {
			return err
		}
		data, _, err := chunks.next(j.rawBuffer())
		if err != nil {
			b.stage.giveBack(j)
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		last := chunks.left == 0
		j.work = copyChunk(data)
		j.inOrder = func(j *job) error {
			if last {
				pad := padding(info.Size)
				j.rawCRC = crcOf(info.CRC32, zeros[:pad])
				j.rawLen = info.Size + pad
			}
			return encoded.add(chunks.name, want, j.dataCRC, int64(len(data)), last)
		}
		b.stage.sendTaken(j)
	}
}

// Close writes the end of the archive. It does not close the writer below.
func (b *BundleWriter) Close() (Summary, error) {
	if b.ended {
		return Summary{}, errClosed
	}
	if b.usable() == nil {
		b.fail(b.end(context.Background()))
	}
	if b.err != nil {
		b.Abort()
		return Summary{}, b.err
	}
	b.ended = true
	if b.fail(b.stage.stop()); b.err != nil {
		return Summary{}, b.err
	}
	at := b.stage.at
	return Summary{
		SHA256: hex.EncodeToString(b.stage.sum.Sum(nil)), Size: at.size, ContentSize: at.rawSize, Entries: b.entries,
	}, nil
}

func (b *BundleWriter) end(ctx context.Context) error {
	if err := b.flush(ctx); err != nil {
		return err
	}
	end := &batch{level: b.level}
	end.pieces = append(end.pieces, piece{bytes: zeros[:trailerBytes]})
	if err := b.stage.send(ctx, end.encode); err != nil {
		return err
	}
	return b.stage.sendEnd(ctx)
}

// Abort stops the work and frees everything, after a write that is under way; nothing is written below
// afterwards. It is harmless after Close.
func (b *BundleWriter) Abort() {
	if b.ended {
		return
	}
	b.ended = true
	b.batch = nil
	if b.stage != nil {
		b.stage.abort()
	}
}
