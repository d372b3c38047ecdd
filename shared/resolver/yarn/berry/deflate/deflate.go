// Package deflate compresses exactly as zlib and zlib-ng do, byte for byte: raw deflate streams (RFC 1951) with the
// largest hash table (memLevel 9). Go's own packages compress as well, into other bytes, and Yarn's checksums are of
// bytes that these libraries made: zlib's in Yarn 2 and 3, zlib-ng's in Yarn 4.
//
// It is a port of the parts that are needed of zlib 1.3 (deflate.c and trees.c, by Jean-loup Gailly and Mark Adler) and
// of zlib-ng 2.1 (deflate_slow.c, match_tpl.h), both under the zlib license; their names for things are in the comments.
// Streams end with Z_FINISH, and nothing else flushes.
package deflate

import (
	"errors"
	"fmt"
	"io"
)

// Levels of zlib that are supported: those that look for a better match before they take one.
const (
	MinLevel = 4
	MaxLevel = 9
)

const (
	windowSize = 1 << 15
	windowMask = windowSize - 1
	hashSize   = 1 << 16 // memLevel 9: hash_bits is 16
	minMatch   = 3
	maxMatch   = 258
)

// flavour is where the two libraries differ.
type flavour struct {
	ng bool
	// hashShift and hashMask make a hash of three bytes (UPDATE_HASH).
	hashShift, hashMask int
	// insertMatch is how many bytes must be there for a string to be noted.
	insertMatch  int
	minLookahead int
	maxDistance  int
	// tooFar: matches of 3 bytes that are further away cost more than they bring.
	tooFar int
}

var (
	classic = flavour{false, 6, hashSize - 1, minMatch, maxMatch + 4, windowSize - maxMatch - 4, 4096}
	ng      = flavour{true, 5, 1<<15 - 1, minMatch + 1, maxMatch + 4, windowSize - maxMatch - 4, windowSize}
)

// tuning is one row of zlib's configuration_table.
type tuning struct{ good, lazy, nice, chain int }

var tunings = map[int]tuning{
	4: {4, 4, 16, 16},
	5: {8, 16, 32, 32},
	6: {8, 16, 128, 128},
	7: {8, 32, 128, 256},
	8: {32, 128, 258, 1024},
	9: {32, 258, 258, 4096},
}

// Writer compresses streams, one after the other. It has about 450 KB. Not safe for concurrent use.
type Writer struct {
	tuning
	flavour
	window      [2 * windowSize]byte
	prev        [windowSize]uint16
	head        [hashSize]uint16
	blockStart  int // may be negative, once the window has moved on
	start       int // strstart
	lookahead   int
	matchStart  int
	prevLength  int
	matchLength int
	in          io.Reader
	end         bool // of the input
	err         error
	blocks      blockWriter
}

// NewWriter makes a Writer that does as zlib does on a level from MinLevel to MaxLevel.
func NewWriter(level int) (*Writer, error) {
	t, ok := tunings[level]
	if !ok {
		return nil, fmt.Errorf("level %d is not one of %d to %d", level, MinLevel, MaxLevel)
	}
	w := &Writer{tuning: t, flavour: classic}
	w.blocks.init()
	return w, nil
}

// NewNG makes a Writer that does as zlib-ng does on MaxLevel.
func NewNG() *Writer {
	w := &Writer{tuning: tunings[MaxLevel], flavour: ng}
	w.blocks.init()
	return w
}

// Compress writes all of in to out, as one stream.
func (w *Writer) Compress(out io.Writer, in io.Reader) error {
	clear(w.head[:])
	if w.ng {
		// It looks at bytes behind the end of the input, which must be those that it would see.
		clear(w.window[:])
	}
	w.in, w.end, w.err = in, false, nil
	w.blockStart, w.start, w.lookahead, w.matchStart = 0, 0, 0, 0
	w.blocks.reset(out)
	w.lazy()
	if w.err == nil {
		w.err = w.blocks.err
	}
	w.in = nil
	return w.err
}

// fill is fill_window: it reads, and moves the window on when it is used up.
func (w *Writer) fill() {
	for {
		more := len(w.window) - w.lookahead - w.start
		if w.start >= windowSize+w.maxDistance {
			copy(w.window[:windowSize], w.window[windowSize:])
			w.matchStart -= windowSize
			if w.ng && w.matchStart < 0 {
				w.matchStart, w.matchLength = 0, 0
			}
			w.start -= windowSize
			w.blockStart -= windowSize
			slide(w.head[:])
			slide(w.prev[:])
			more += windowSize
		}
		if w.end {
			return
		}
		at := w.start + w.lookahead
		n, err := io.ReadFull(w.in, w.window[at:at+more])
		w.lookahead += n
		if err != nil {
			w.end = true
			if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
				w.err = err
			}
		}
		if w.lookahead >= w.minLookahead {
			return
		}
	}
}

func slide(table []uint16) {
	for i, at := range table {
		if at >= windowSize {
			table[i] = at - windowSize
		} else {
			table[i] = 0
		}
	}
}

// hash of the three bytes at a place.
func (w *Writer) hash(at int) int {
	return (int(w.window[at])<<(2*w.hashShift) ^ int(w.window[at+1])<<w.hashShift ^ int(w.window[at+2])) & w.hashMask
}

// insert is INSERT_STRING: it notes where three bytes are, and returns where they were before; 0 is nowhere.
func (w *Writer) insert(at int) int {
	h := w.hash(at)
	before := w.head[h]
	w.prev[at&windowMask] = before
	w.head[h] = uint16(at)
	return int(before)
}

// lazy is deflate_slow: a match is taken only when the next byte has no better one.
func (w *Writer) lazy() {
	w.matchLength = minMatch - 1
	available := false
	for {
		if w.lookahead < w.minLookahead {
			w.fill()
			if w.lookahead == 0 || w.err != nil {
				break
			}
		}
		head := 0
		if w.lookahead >= w.insertMatch {
			head = w.insert(w.start)
		}
		w.prevLength = w.matchLength
		prevMatch := w.matchStart
		w.matchLength = minMatch - 1
		if head != 0 && w.prevLength < w.tuning.lazy && w.start-head <= w.maxDistance {
			if w.ng {
				w.matchLength = w.longestNG(head)
			} else if w.matchLength = w.longest(head); w.matchLength == minMatch && w.start-w.matchStart > w.tooFar {
				w.matchLength = minMatch - 1
			}
		}
		switch {
		case w.prevLength >= minMatch && w.matchLength <= w.prevLength:
			last := w.start + w.lookahead - minMatch
			full := w.blocks.match(w.start-1-prevMatch, w.prevLength-minMatch)
			w.lookahead -= w.prevLength - 1
			for range w.prevLength - 2 {
				if w.start++; w.start <= last {
					w.insert(w.start)
				}
			}
			w.matchLength, available = minMatch-1, false
			w.start++
			if full {
				w.flush(false)
			}
		case available:
			if w.blocks.literal(w.window[w.start-1]) {
				w.flush(false)
			}
			w.start++
			w.lookahead--
		default:
			available = true
			w.start++
			w.lookahead--
		}
	}
	if available {
		w.blocks.literal(w.window[w.start-1])
	}
	w.flush(true)
}

// longest is longest_match: the best of the places where the bytes at start were before. It sets matchStart.
func (w *Writer) longest(at int) int {
	chain, best, nice := w.chain, w.prevLength, min(w.nice, w.lookahead)
	if w.prevLength >= w.good {
		chain >>= 2
	}
	limit := max(w.start-w.maxDistance, 0)
	scan := w.window[w.start:min(w.start+maxMatch, len(w.window))]
	end1, end := w.window[w.start+best-1], w.window[w.start+best]
	for {
		if w.window[at+best] == end && w.window[at+best-1] == end1 && w.window[at] == scan[0] && w.window[at+1] == scan[1] {
			match := w.window[at : at+len(scan)]
			length := 2
			for length < len(scan) && match[length] == scan[length] {
				length++
			}
			if length > best {
				w.matchStart, best = at, length
				if length >= nice {
					break
				}
				end1, end = w.window[w.start+best-1], w.window[w.start+best]
			}
		}
		at = int(w.prev[at&windowMask])
		if at <= limit {
			break
		}
		if chain--; chain == 0 {
			break
		}
	}
	return min(best, w.lookahead)
}

// flush ends a block.
func (w *Writer) flush(last bool) {
	length := w.start - w.blockStart
	var stored []byte
	if w.blockStart >= 0 {
		stored = w.window[w.blockStart:w.start]
	}
	w.blocks.flush(stored, w.blockStart >= 0, length, last)
	w.blockStart = w.start
}
