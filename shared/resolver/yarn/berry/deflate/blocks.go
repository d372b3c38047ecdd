package deflate

import "io"

// symbolsPerBlock is lit_bufsize - 1 at memLevel 9.
const symbolsPerBlock = 1<<15 - 1

// symbol is a literal (distance 0) or a match.
type symbol struct {
	distance uint16
	value    uint8 // the byte, or the match's length - 3
}

// blockWriter gathers the symbols of a block and writes it in the shortest of three forms (trees.c).
type blockWriter struct {
	*fixed
	builder
	literalKind, distanceKind, bitLenKind treeKind
	literalTree                           [heapSize]code
	distanceTree                          [2*distanceCodes + 1]code
	bitLenTree                            [2*bitLenCodes + 1]code
	symbols                               []symbol

	out     io.Writer
	err     error
	pending []byte
	bits    uint64
	count   uint // of bits
}

func (b *blockWriter) init() {
	b.fixed = makeFixed()
	b.literalKind = treeKind{b.fixed.literal[:], extraLengthBits[:], literals + 1, literalCodes, maxBits}
	b.distanceKind = treeKind{b.fixed.distance[:], extraDistanceBits[:], 0, distanceCodes, maxBits}
	b.bitLenKind = treeKind{nil, extraBitLenBits[:], 0, bitLenCodes, maxBitLenBits}
	b.symbols = make([]symbol, 0, symbolsPerBlock)
}

func (b *blockWriter) reset(out io.Writer) {
	b.out, b.err, b.pending, b.bits, b.count = out, nil, b.pending[:0], 0, 0
	b.beginBlock()
}

// beginBlock is init_block.
func (b *blockWriter) beginBlock() {
	for n := range literalCodes {
		b.literalTree[n].freq = 0
	}
	for n := range distanceCodes {
		b.distanceTree[n].freq = 0
	}
	for n := range bitLenCodes {
		b.bitLenTree[n].freq = 0
	}
	b.literalTree[endBlock].freq = 1
	b.optimal, b.fixedLen = 0, 0
	b.symbols = b.symbols[:0]
}

// literal is _tr_tally_lit: true when the block is full.
func (b *blockWriter) literal(c byte) bool {
	b.symbols = append(b.symbols, symbol{0, c})
	b.literalTree[c].freq++
	return len(b.symbols) == symbolsPerBlock
}

// match is _tr_tally_dist; length is the match's less minMatch.
func (b *blockWriter) match(distance, length int) bool {
	b.symbols = append(b.symbols, symbol{uint16(distance), uint8(length)})
	b.literalTree[int(b.lengthCode[length])+literals+1].freq++
	b.distanceTree[b.distanceOf(distance-1)].freq++
	return len(b.symbols) == symbolsPerBlock
}

func (b *blockWriter) send(value uint32, n uint) {
	b.bits |= uint64(value) << b.count
	b.count += n
	for b.count >= 8 {
		b.pending = append(b.pending, byte(b.bits))
		b.bits >>= 8
		b.count -= 8
	}
	if len(b.pending) >= 1<<14 {
		b.drain()
	}
}

func (b *blockWriter) sendCode(c code) { b.send(c.freq, uint(c.len)) }

// align is bi_windup.
func (b *blockWriter) align() {
	if b.count > 0 {
		b.pending = append(b.pending, byte(b.bits))
		b.bits, b.count = 0, 0
	}
}

func (b *blockWriter) drain() {
	if b.err == nil && len(b.pending) > 0 {
		_, b.err = b.out.Write(b.pending)
	}
	b.pending = b.pending[:0]
}

// flush is _tr_flush_block. stored is what the block holds, when the window still has it.
func (b *blockWriter) flush(stored []byte, have bool, length int, last bool) {
	literalMax := b.build(b.literalTree[:], &b.literalKind)
	distanceMax := b.build(b.distanceTree[:], &b.distanceKind)
	bitLenMax := b.buildBitLengths(literalMax, distanceMax)
	optimal, fixedLen := (b.optimal+3+7)>>3, (b.fixedLen+3+7)>>3
	final := uint32(0)
	if last {
		final = 1
	}
	switch optimal = min(optimal, fixedLen); {
	case length+4 <= optimal && have:
		b.send(final, 3)
		b.align()
		b.pending = append(b.pending, byte(length), byte(length>>8), ^byte(length), ^byte(length>>8))
		b.pending = append(b.pending, stored...)
	case fixedLen == optimal:
		b.send(1<<1|final, 3)
		b.sendSymbols(b.fixed.literal[:], b.fixed.distance[:])
	default:
		b.send(2<<1|final, 3)
		b.sendTrees(literalMax, distanceMax, bitLenMax)
		b.sendSymbols(b.literalTree[:], b.distanceTree[:])
	}
	b.beginBlock()
	if last {
		b.align()
	}
	b.drain()
}

// buildBitLengths is build_bl_tree.
func (b *blockWriter) buildBitLengths(literalMax, distanceMax int) int {
	b.eachLength(b.literalTree[:], literalMax, func(c int, _ uint32) { b.bitLenTree[c].freq++ })
	b.eachLength(b.distanceTree[:], distanceMax, func(c int, _ uint32) { b.bitLenTree[c].freq++ })
	b.build(b.bitLenTree[:], &b.bitLenKind)
	largest := bitLenCodes - 1
	for ; largest >= 3; largest-- {
		if b.bitLenTree[bitLenOrder[largest]].len != 0 {
			break
		}
	}
	b.optimal += 3*(largest+1) + 5 + 5 + 4
	return largest
}

// eachLength is scan_tree and send_tree: the lengths of a tree's codes, runs put together.
func (b *blockWriter) eachLength(tree []code, maxCode int, emit func(c int, extra uint32)) {
	prev, next := -1, int(tree[0].len)
	count, most, least := 0, 7, 4
	if next == 0 {
		most, least = 138, 3
	}
	for n := 0; n <= maxCode; n++ {
		current := next
		next = -2 // the guard: no length
		if n < maxCode {
			next = int(tree[n+1].len)
		}
		count++
		if count < most && current == next {
			continue
		}
		switch {
		case count < least:
			for range count {
				emit(current, 0)
			}
		case current != 0:
			if current != prev {
				emit(current, 0)
				count--
			}
			emit(repeat3To6, uint32(count-3))
		case count <= 10:
			emit(zeros3To10, uint32(count-3))
		default:
			emit(zeros11To138, uint32(count-11))
		}
		count, prev = 0, current
		switch {
		case next == 0:
			most, least = 138, 3
		case current == next:
			most, least = 6, 3
		default:
			most, least = 7, 4
		}
	}
}

// sendTrees is send_all_trees.
func (b *blockWriter) sendTrees(literalMax, distanceMax, bitLenMax int) {
	b.send(uint32(literalMax+1-257), 5)
	b.send(uint32(distanceMax), 5)
	b.send(uint32(bitLenMax+1-4), 4)
	for rank := range bitLenMax + 1 {
		b.send(uint32(b.bitLenTree[bitLenOrder[rank]].len), 3)
	}
	emit := func(c int, extra uint32) {
		b.sendCode(b.bitLenTree[c])
		if n := extraBitLenBits[c]; n > 0 {
			b.send(extra, uint(n))
		}
	}
	b.eachLength(b.literalTree[:], literalMax, emit)
	b.eachLength(b.distanceTree[:], distanceMax, emit)
}

// sendSymbols is compress_block.
func (b *blockWriter) sendSymbols(literal, distance []code) {
	for _, s := range b.symbols {
		if s.distance == 0 {
			b.sendCode(literal[s.value])
			continue
		}
		length := int(s.value)
		c := int(b.lengthCode[length])
		b.sendCode(literal[c+literals+1])
		if n := extraLengthBits[c]; n > 0 {
			b.send(uint32(length-b.baseLength[c]), uint(n))
		}
		dist := int(s.distance) - 1
		c = b.distanceOf(dist)
		b.sendCode(distance[c])
		if n := extraDistanceBits[c]; n > 0 {
			b.send(uint32(dist-b.baseDistance[c]), uint(n))
		}
	}
	b.sendCode(literal[endBlock])
}
