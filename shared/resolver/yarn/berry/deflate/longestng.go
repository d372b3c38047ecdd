package deflate

// longestNG is longest_match_slow of zlib-ng: it follows the chains of the later bytes of the match so far as well,
// when they lead further away. It sets matchStart.
func (w *Writer) longestNG(at int) int {
	best := w.prevLength
	if best == 0 {
		best = minMatch - 1
	}
	chain := w.chain
	if best >= w.good {
		chain >>= 2
	}
	base := max(w.start-w.maxDistance, 0)
	limit, offset := base, 0
	scan := w.window[w.start:min(w.start+maxMatch, len(w.window))]
	if best >= minMatch {
		// A most distant chain of those that begin within the match.
		for i := 3; i <= best; i++ {
			if pos := int(w.head[w.hash(w.start+i-2)]); pos < at {
				offset, at = i-2, pos
			}
		}
		if limit = base + offset; at <= limit {
			return min(best, w.lookahead)
		}
	}
	for at < w.start {
		match := w.window[at-offset:]
		if match[best] == scan[best] && match[best-1] == scan[best-1] && match[0] == scan[0] && match[1] == scan[1] {
			length := 2
			for length < len(scan) && match[length] == scan[length] {
				length++
			}
			if length > best {
				w.matchStart = at - offset
				if length > w.lookahead {
					return w.lookahead
				}
				if best = length; best >= w.nice {
					return best
				}
				if length > minMatch && w.matchStart+length < w.start {
					var ok bool
					if at, offset, ok = w.distant(w.matchStart, length, base); !ok {
						return min(best, w.lookahead)
					}
					limit = base + offset
					continue
				}
			}
		}
		if chain--; chain == 0 {
			break
		}
		if at = int(w.prev[at&windowMask]); at <= limit {
			break
		}
	}
	return best
}

// distant looks for a chain that leads further away, of the bytes within a match or, one byte more, at its end. It is
// not ok when that leads too far.
func (w *Writer) distant(at, length, base int) (next, offset int, ok bool) {
	next = at
	for i := 0; i <= length-minMatch; i++ {
		if pos := int(w.prev[(at+i)&windowMask]); pos < next {
			if pos <= base+i {
				return 0, 0, false
			}
			next, offset = pos, i
		}
	}
	if pos := int(w.head[w.hash(w.start+length-(minMatch+1))]); pos < next {
		if offset = length - (minMatch + 1); pos <= base+offset {
			return 0, 0, false
		}
		next = pos
	}
	return next, offset, true
}
