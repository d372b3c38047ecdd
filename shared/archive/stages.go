package archive

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"sync"

	"github.com/cachito-serverless/cachito/shared/integrity"
)

// stages is the machinery under a BundleWriter: the caller hands in jobs in order, workers run them side
// by side, one goroutine writes the results in order, and one hashes what was written.
//
// A job holds one of a fixed number of slots, which bounds memory. Slots are taken in the order of the
// archive, so the job that all others wait for always has one: no deadlock.
type stages struct {
	w       io.Writer
	workers int
	slots   chan *job // free ones
	work    chan *job
	order   chan *job
	hash    chan *job

	running sync.WaitGroup

	failed  chan struct{} // closed by the first failure
	failing sync.Once
	err     error // set before failed is closed

	at  position  // of the writing goroutine
	sum hash.Hash // of the hashing goroutine
}

// position is how far the archive is written.
type position struct {
	size    int64  // bytes of the archive
	rawSize int64  // bytes of the tar inside
	crc     uint32 // of the tar so far
	sizeCRC uint32 // of the archive so far
}

// job is a piece of the archive on its way. The struct and its buffers are used again.
type job struct {
	// work fills out, rawLen, rawCRC and dataCRC; it runs in a worker.
	work func(j *job, e *encoder) error
	// inOrder (may be nil) runs in the writing goroutine, in the order of the archive, before out is
	// written.
	inOrder func(j *job) error
	// hashed (may be nil) runs when everything up to and with this job was written and hashed.
	hashed func(at position, sum hash.Hash) error

	out     []byte // bytes of the archive
	rawLen  int64  // length and CRC of the tar bytes in it
	rawCRC  uint32
	dataCRC uint32 // of the entry's content in it, without padding
	at      position

	raw  []byte // room for a chunk
	done chan error
}

// rawBuffer is room for one chunk.
func (j *job) rawBuffer() []byte {
	if cap(j.raw) < chunkBytes {
		j.raw = make([]byte, 0, chunkBytes)
	}
	return j.raw[:0]
}

// newStages starts the machinery, from a position and its hash.
func newStages(w io.Writer, workers int, at position, sum hash.Hash) *stages {
	n := MaxBufferedBytes / jobBytes
	s := &stages{
		w: w, workers: workers, slots: make(chan *job, n), work: make(chan *job, n), order: make(chan *job, n),
		hash: make(chan *job, n), failed: make(chan struct{}), at: at, sum: sum,
	}
	for range n {
		s.slots <- &job{done: make(chan error, 1)}
	}
	for range workers {
		s.running.Go(s.runWorker)
	}
	s.running.Go(s.runWriter)
	s.running.Go(s.runHasher)
	return s
}

// take gets a free job; it waits while memory is full.
func (s *stages) take(ctx context.Context) (*job, error) {
	select {
	case j := <-s.slots:
		if err := s.failure(); err != nil {
			s.giveBack(j)
			return nil, err
		}
		return j, nil
	case <-s.failed:
		return nil, s.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// giveBack frees a job.
func (s *stages) giveBack(j *job) {
	j.work, j.inOrder, j.hashed = nil, nil, nil
	j.out, j.rawLen, j.rawCRC, j.dataCRC = j.out[:0], 0, 0, 0
	s.slots <- j
}

// sendTaken hands a taken job in.
func (s *stages) sendTaken(j *job) {
	s.order <- j // never blocks: there is room for every job there is
	s.work <- j
}

// send takes a job and hands it in.
func (s *stages) send(ctx context.Context, work func(j *job, e *encoder) error) error {
	j, err := s.take(ctx)
	if err != nil {
		return err
	}
	j.work = work
	s.sendTaken(j)
	return nil
}

// sendEnd hands in the end of the gzip member.
func (s *stages) sendEnd(ctx context.Context) error {
	j, err := s.take(ctx)
	if err != nil {
		return err
	}
	j.work = func(*job, *encoder) error { return nil }
	j.inOrder = func(j *job) error {
		j.out = appendGzipTrailer(j.out, s.at.crc, s.at.rawSize)
		return nil
	}
	s.sendTaken(j)
	return nil
}

// sendMark has visit called when everything handed in so far is written and hashed, unless something fails before. An
// error of it is a failure.
func (s *stages) sendMark(ctx context.Context, visit func(at position, sum hash.Hash) error) error {
	j, err := s.take(ctx)
	if err != nil {
		return err
	}
	j.work = func(*job, *encoder) error { return nil }
	j.hashed = visit
	s.sendTaken(j)
	return nil
}

func (s *stages) runWorker() {
	var e encoder
	for j := range s.work {
		err := s.failure()
		if err == nil {
			err = j.work(j, &e)
		}
		j.done <- err
	}
}

func (s *stages) runWriter() {
	defer close(s.hash)
	for j := range s.order {
		err := <-j.done
		if err == nil {
			err = s.failure()
		}
		if err == nil && j.inOrder != nil {
			err = j.inOrder(j)
		}
		if err == nil && len(j.out) > 0 {
			if _, werr := s.w.Write(j.out); werr != nil {
				err = fmt.Errorf("writing the bundle: %w", werr)
			}
		}
		if err != nil {
			s.fail(err)
		}
		s.at.size += int64(len(j.out))
		s.at.sizeCRC = crcOf(s.at.sizeCRC, j.out)
		s.at.rawSize += j.rawLen
		s.at.crc = integrity.CombineCRC32(s.at.crc, j.rawCRC, j.rawLen)
		j.at = s.at
		s.hash <- j
	}
}

func (s *stages) runHasher() {
	for j := range s.hash {
		if s.failure() == nil {
			s.sum.Write(j.out)
			if j.hashed != nil {
				if err := j.hashed(j.at, s.sum); err != nil {
					s.fail(err)
				}
			}
		}
		s.giveBack(j)
	}
}

// stop waits for everything handed in and ends the goroutines. Afterwards at and sum are the caller's.
func (s *stages) stop() error {
	close(s.order)
	close(s.work)
	s.running.Wait()
	return s.failure()
}

var errAborted = errors.New("bundle writer: aborted")

// abort ends the goroutines without writing more.
func (s *stages) abort() {
	s.fail(errAborted)
	close(s.order)
	close(s.work)
	s.running.Wait()
}

func (s *stages) fail(err error) {
	s.failing.Do(func() {
		s.err = err
		close(s.failed)
	})
}

func (s *stages) failure() error {
	select {
	case <-s.failed:
		return s.err
	default:
		return nil
	}
}

func newSum() hash.Hash { return sha256.New() }
