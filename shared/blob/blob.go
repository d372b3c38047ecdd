// Package blob is the port to object storage: sources, dependencies, results, bundles and logs.
// Keys are slash-separated, lower-level parts free text without control characters, never with an
// empty, "." or ".." element; ErrInvalidKey otherwise.
//
// Every adapter passes blobtest.Run. An object is whole or not there: nothing half-written ever has
// its key. All methods may be called concurrently, by several processes.
package blob

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"iter"
	"time"
)

// Errors that callers test for with errors.Is.
var (
	// ErrNotFound answers errors.Is(err, fs.ErrNotExist) as well.
	ErrNotFound = notFound{}
	// ErrExists: another object has this key already (conditional writes only).
	ErrExists = errors.New("object exists")
	// ErrChanged: an object holds other bytes than the caller knows it to hold.
	ErrChanged = errors.New("object holds other bytes")
	// ErrInvalidKey: see the package comment.
	ErrInvalidKey = errors.New("invalid object key")
	// ErrBusy: the storage does not answer, or not now; the same call may succeed later.
	ErrBusy = errors.New("the storage is busy, please try again later")
	// ErrNoPresign: this adapter has no URLs of its own; stream the object instead.
	ErrNoPresign = errors.New("presigned URLs are not supported")
)

type notFound struct{}

func (notFound) Error() string        { return "object not found" }
func (notFound) Is(target error) bool { return target == fs.ErrNotExist }

// Info describes an object.
type Info struct {
	Key  string
	Size int64
	// LastUse is when the object was written or last touched.
	LastUse time.Time
}

// Object is an open object: readable in order and at any place.
type Object interface {
	io.Reader
	io.ReaderAt
	io.Closer
	Info() Info
}

// Writer streams a new object. Nothing is visible before Commit; Abort (harmless after Commit) gives
// everything back.
type Writer interface {
	io.Writer
	// Commit publishes what was written under key. With overwrite false and the key taken it
	// returns ErrExists, and the object that was there stays.
	Commit(ctx context.Context, key string, overwrite bool) error
	Abort() error
}

// Part is a piece of a new object: a range of an existing one, or bytes.
type Part struct {
	Key    string // when empty: Bytes
	Offset int64
	Length int64 // -1: to the object's end
	Bytes  []byte
	// CRC32 (IEEE) of the range, when it is known. The storage compares it where it can see the bytes, and
	// answers ErrChanged.
	CRC32 *uint32
}

// Blob is object storage.
type Blob interface {
	// Put stores small content whole. With overwrite false and the key taken: ErrExists.
	Put(ctx context.Context, key string, content []byte, overwrite bool) error

	// Create begins a new object whose key is given at Commit (content-addressed objects know
	// it only then).
	Create(ctx context.Context) (Writer, error)

	// CreateAt begins a new object under a key that is known already, with these parts (there may be none) as
	// its beginning; what is written follows them. The parts are copied inside the storage where it can.
	// Commit must name the same key. CreateAt, Write or Commit answers ErrNotFound when a part is missing,
	// and ErrChanged when one was overwritten meanwhile, or has a CRC32 and is shorter or holds other bytes.
	CreateAt(ctx context.Context, key string, parts ...Part) (Writer, error)

	// Get returns small content whole: at most limit bytes, else an error. ErrNotFound.
	Get(ctx context.Context, key string, limit int64) ([]byte, error)

	// Open opens an object for reading. ErrNotFound.
	Open(ctx context.Context, key string) (Object, error)

	// Stat describes an object. ErrNotFound.
	Stat(ctx context.Context, key string) (Info, error)

	// Touch renews an object's last use, so that pruning leaves it alone. ErrNotFound.
	Touch(ctx context.Context, key string) error

	// List yields every object whose key begins with prefix, in key order.
	List(ctx context.Context, prefix string) iter.Seq2[Info, error]

	// ListAfter is List from the first key behind after on (which need not be an object's): what a list that
	// ended early goes on with, at no higher price.
	ListAfter(ctx context.Context, prefix, after string) iter.Seq2[Info, error]

	// Delete removes objects; one that is not there is no error.
	Delete(ctx context.Context, keys ...string) error

	// PresignGet gives a URL that serves the object with these headers for ttl, or ErrNoPresign.
	PresignGet(ctx context.Context, key string, ttl time.Duration, headers map[string]string) (string, error)

	Close() error
}
