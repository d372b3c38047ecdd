package archive

import "fmt"

// Limits of what is read from an archive, unless told otherwise. They are far above what packages and
// repositories hold, and far below what hurts.
const (
	// MaxEntries: the largest repositories we know have some 400,000 files.
	MaxEntries = 500_000
	// MaxBytes is the size of all content together.
	MaxBytes = 8 << 30
	// MaxRatio is how many bytes may come out for each byte that went in; deflate reaches 1032, and
	// text rarely 50.
	MaxRatio = 200
	// MaxDepth is how many elements a name may have.
	MaxDepth = 128
	// ratioFreeBytes may come out of anything: small archives of empty files have odd ratios.
	ratioFreeBytes = 8 << 20
)

// Limits overrides the limits of reading; a zero field means the constant.
type Limits struct {
	MaxEntries int
	MaxBytes   int64
	MaxRatio   int64
	MaxDepth   int
	// Skip holds the clean paths of entries that are left out (see UnsafeLinks).
	Skip map[string]bool
}

func (l Limits) withDefaults() Limits {
	if l.MaxEntries == 0 {
		l.MaxEntries = MaxEntries
	}
	if l.MaxBytes == 0 {
		l.MaxBytes = MaxBytes
	}
	if l.MaxRatio == 0 {
		l.MaxRatio = MaxRatio
	}
	if l.MaxDepth == 0 {
		l.MaxDepth = MaxDepth
	}
	return l
}

// LimitError says which limit an archive exceeds.
type LimitError struct {
	What  string // "entries"
	Limit int64
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("it exceeds the limit of %d %s", e.Limit, e.What)
}

// UnsafeEntryError is an entry that is not extracted, and why.
type UnsafeEntryError struct {
	Name   string
	Reason string // "is a device"
}

func (e *UnsafeEntryError) Error() string {
	return fmt.Sprintf("the archive's entry %q %s", e.Name, e.Reason)
}

// meter counts what comes out of an archive.
type meter struct {
	limits  Limits
	in      func() int64 // bytes read from the source so far
	entries int
	bytes   int64
}

func (m *meter) addEntry() error {
	m.entries++
	if m.entries > m.limits.MaxEntries {
		return &LimitError{"entries", int64(m.limits.MaxEntries)}
	}
	return nil
}

// addBytes counts n bytes that came out: of the decompressor, or of an entry.
func (m *meter) addBytes(n int64) error {
	m.bytes += n
	if m.bytes > m.limits.MaxBytes {
		return &LimitError{"bytes", m.limits.MaxBytes}
	}
	if m.bytes > ratioFreeBytes && m.bytes/m.limits.MaxRatio > m.in() {
		return &LimitError{"times its compressed size", m.limits.MaxRatio}
	}
	return nil
}

// newTreeMeter counts source trees, whose ratio does not matter: they are compressed by ourselves.
func newTreeMeter(limits Limits) meter {
	limits = limits.withDefaults()
	return meter{limits: limits, in: func() int64 { return limits.MaxBytes }}
}
