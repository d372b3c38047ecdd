package archive

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"sync"
	"sync/atomic"
)

const (
	// smallFileBytes is up to which size a file is read into memory and written by another
	// goroutine: making a file takes longer than reading it.
	smallFileBytes = 256 << 10
	// fileWriterCount goroutines write small files, from as many buffers as pendingFiles.
	fileWriterCount = 4
	pendingFiles    = 32
)

// errWriterFailed stands for the first error of the writing goroutines, which close returns.
var errWriterFailed = errors.New("a file could not be written")

// fileWriters writes files below root. One goroutine calls its methods.
type fileWriters struct {
	root    *os.Root
	queue   chan pendingFile
	buffers chan []byte
	dir     *openDir       // of the last file
	pending sync.WaitGroup // files
	running sync.WaitGroup // goroutines

	mu  sync.Mutex
	err error
}

type pendingFile struct {
	dir   *openDir
	entry Entry
	data  []byte
}

// openDir is a directory below root that files are made in. A rooted path is walked element by element,
// which doubles the cost of a small file; archives name the files of a directory one after the other,
// so it is walked once.
type openDir struct {
	name string
	root *os.Root
	uses atomic.Int32
}

// done ends one use; the last one closes the directory.
func (d *openDir) done() {
	if d.uses.Add(-1) == 0 {
		d.root.Close()
	}
}

func newFileWriters(root *os.Root) *fileWriters {
	w := &fileWriters{root: root, queue: make(chan pendingFile, pendingFiles), buffers: make(chan []byte, pendingFiles)}
	for range pendingFiles {
		w.buffers <- nil // made when it is needed
	}
	for range fileWriterCount {
		w.running.Go(w.run)
	}
	return w
}

func (w *fileWriters) run() {
	for f := range w.queue {
		if w.failure() == nil {
			if err := f.dir.create(f.entry, func(file *os.File) error {
				_, err := file.Write(f.data)
				return err
			}); err != nil {
				w.fail(err)
			}
		}
		f.dir.done()
		w.buffers <- f.data
		w.pending.Done()
	}
}

// write writes a file of exactly e.Size bytes, now or soon.
func (w *fileWriters) write(e Entry, content io.Reader) error {
	if w.failure() != nil {
		return errWriterFailed
	}
	dir, err := w.open(path.Dir(e.Name))
	if err != nil {
		return fmt.Errorf("making %s: %w", e.Name, err)
	}
	if e.Size > smallFileBytes {
		return dir.create(e, func(file *os.File) error {
			n, err := io.Copy(file, content)
			if err == nil && n != e.Size {
				err = io.ErrUnexpectedEOF
			}
			return err
		})
	}
	data := <-w.buffers
	if int64(cap(data)) < e.Size {
		data = make([]byte, e.Size, max(e.Size, 16<<10))
	}
	data = data[:e.Size]
	if _, err := io.ReadFull(content, data); err != nil {
		w.buffers <- data
		return fmt.Errorf("reading %s: %w", e.Name, err)
	}
	w.pending.Add(1)
	dir.uses.Add(1)
	w.queue <- pendingFile{dir, e, data}
	return nil
}

// open gives the directory, which must exist.
func (w *fileWriters) open(name string) (*openDir, error) {
	if w.dir != nil && w.dir.name == name {
		return w.dir, nil
	}
	root, err := w.root.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	if w.dir != nil {
		w.dir.done()
	}
	w.dir = &openDir{name: name, root: root}
	w.dir.uses.Store(1)
	return w.dir, nil
}

// create makes one file. It must be new: nothing is ever written through what is there.
func (d *openDir) create(e Entry, fill func(*os.File) error) error {
	file, err := d.root.OpenFile(path.Base(e.Name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, os.FileMode(e.Mode.perm()))
	if err != nil {
		return fmt.Errorf("making %s: %w", e.Name, err)
	}
	if err := errors.Join(fill(file), file.Close()); err != nil {
		return fmt.Errorf("writing %s: %w", e.Name, err)
	}
	return nil
}

// wait returns when all files are written.
func (w *fileWriters) wait() error {
	w.pending.Wait()
	return w.failure()
}

// close waits for all files and ends the goroutines.
func (w *fileWriters) close() error {
	close(w.queue)
	w.running.Wait()
	if w.dir != nil {
		w.dir.done()
	}
	return w.failure()
}

func (w *fileWriters) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		w.err = err
	}
}

func (w *fileWriters) failure() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}
