package deflate

// Alphabets of RFC 1951.
const (
	lengthCodes   = 29
	literals      = 256
	literalCodes  = literals + 1 + lengthCodes
	distanceCodes = 30
	bitLenCodes   = 19
	heapSize      = 2*literalCodes + 1
	maxBits       = 15
	maxBitLenBits = 7
	endBlock      = 256
	// Codes of the bit length alphabet for repetitions.
	repeat3To6   = 16
	zeros3To10   = 17
	zeros11To138 = 18
)

var (
	extraLengthBits   = [lengthCodes]uint8{0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0}
	extraDistanceBits = [distanceCodes]uint8{0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13}
	extraBitLenBits   = [bitLenCodes]uint8{16: 2, 17: 3, 18: 7}
	bitLenOrder       = [bitLenCodes]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}
)

// code is ct_data: first a frequency and a parent, then a code and its length.
type code struct {
	freq uint32 // or the code's bits
	len  uint16 // or the parent (dad)
}

// fixed are the static trees and the tables from lengths and distances to codes (tr_static_init).
type fixed struct {
	literal      [literalCodes + 2]code
	distance     [distanceCodes]code
	lengthCode   [maxMatch - minMatch + 1]uint8
	baseLength   [lengthCodes]int
	distanceCode [512]uint8
	baseDistance [distanceCodes]int
}

func makeFixed() *fixed {
	f := &fixed{}
	length := 0
	for c := range lengthCodes - 1 {
		f.baseLength[c] = length
		for range 1 << extraLengthBits[c] {
			f.lengthCode[length] = uint8(c)
			length++
		}
	}
	f.lengthCode[length-1] = lengthCodes - 1
	dist := 0
	for c := range 16 {
		f.baseDistance[c] = dist
		for range 1 << extraDistanceBits[c] {
			f.distanceCode[dist] = uint8(c)
			dist++
		}
	}
	dist >>= 7
	for c := 16; c < distanceCodes; c++ {
		f.baseDistance[c] = dist << 7
		for range 1 << (extraDistanceBits[c] - 7) {
			f.distanceCode[256+dist] = uint8(c)
			dist++
		}
	}
	var counts [maxBits + 1]uint16
	for n := range f.literal {
		bits := uint16(8)
		switch {
		case n >= 144 && n < 256:
			bits = 9
		case n >= 256 && n < 280:
			bits = 7
		}
		f.literal[n].len = bits
		counts[bits]++
	}
	setCodes(f.literal[:], literalCodes+1, &counts)
	for n := range f.distance {
		f.distance[n] = code{reverse(uint32(n), 5), 5}
	}
	return f
}

// distanceOf is d_code.
func (f *fixed) distanceOf(dist int) int {
	if dist < 256 {
		return int(f.distanceCode[dist])
	}
	return int(f.distanceCode[256+dist>>7])
}

func reverse(bits uint32, n uint16) uint32 {
	var out uint32
	for range n {
		out = out<<1 | bits&1
		bits >>= 1
	}
	return out
}

// setCodes is gen_codes.
func setCodes(tree []code, maxCode int, counts *[maxBits + 1]uint16) {
	var next [maxBits + 1]uint32
	var c uint32
	for bits := 1; bits <= maxBits; bits++ {
		c = (c + uint32(counts[bits-1])) << 1
		next[bits] = c
	}
	for n := range maxCode + 1 {
		if bits := tree[n].len; bits != 0 {
			tree[n].freq = reverse(next[bits], bits)
			next[bits]++
		}
	}
}

// treeKind is static_tree_desc.
type treeKind struct {
	static    []code
	extra     []uint8
	extraBase int
	elements  int
	maxLength int
}

// builder builds the trees of a block (build_tree), and counts what their codes will cost.
type builder struct {
	heap     [heapSize]int
	heapLen  int
	heapMax  int
	depth    [heapSize]uint8
	optimal  int // opt_len, in bits
	fixedLen int // static_len
}

func (b *builder) smaller(tree []code, n, m int) bool {
	return tree[n].freq < tree[m].freq || tree[n].freq == tree[m].freq && b.depth[n] <= b.depth[m]
}

// sink is pqdownheap.
func (b *builder) sink(tree []code, k int) {
	v := b.heap[k]
	for j := k << 1; j <= b.heapLen; j <<= 1 {
		if j < b.heapLen && b.smaller(tree, b.heap[j+1], b.heap[j]) {
			j++
		}
		if b.smaller(tree, v, b.heap[j]) {
			break
		}
		b.heap[k] = b.heap[j]
		k = j
	}
	b.heap[k] = v
}

// build makes the tree of the frequencies, and returns its largest code.
func (b *builder) build(tree []code, kind *treeKind) int {
	maxCode := -1
	b.heapLen, b.heapMax = 0, heapSize
	for n := range kind.elements {
		if tree[n].freq != 0 {
			b.heapLen++
			b.heap[b.heapLen] = n
			maxCode = n
			b.depth[n] = 0
		} else {
			tree[n].len = 0
		}
	}
	for b.heapLen < 2 { // at least two codes, as pkzip wants it
		node := 0
		if maxCode < 2 {
			maxCode++
			node = maxCode
		}
		b.heapLen++
		b.heap[b.heapLen] = node
		tree[node].freq = 1
		b.depth[node] = 0
		b.optimal--
		if kind.static != nil {
			b.fixedLen -= int(kind.static[node].len)
		}
	}
	for n := b.heapLen / 2; n >= 1; n-- {
		b.sink(tree, n)
	}
	node := kind.elements
	for {
		n := b.heap[1]
		b.heap[1] = b.heap[b.heapLen]
		b.heapLen--
		b.sink(tree, 1)
		m := b.heap[1]
		b.heapMax--
		b.heap[b.heapMax] = n
		b.heapMax--
		b.heap[b.heapMax] = m
		tree[node].freq = tree[n].freq + tree[m].freq
		b.depth[node] = max(b.depth[n], b.depth[m]) + 1
		tree[n].len, tree[m].len = uint16(node), uint16(node)
		b.heap[1] = node
		node++
		b.sink(tree, 1)
		if b.heapLen < 2 {
			break
		}
	}
	b.heapMax--
	b.heap[b.heapMax] = b.heap[1]
	var counts [maxBits + 1]uint16
	b.setLengths(tree, maxCode, kind, &counts)
	setCodes(tree, maxCode, &counts)
	return maxCode
}

// setLengths is gen_bitlen.
func (b *builder) setLengths(tree []code, maxCode int, kind *treeKind, counts *[maxBits + 1]uint16) {
	tree[b.heap[b.heapMax]].len = 0
	overflow := 0
	h := b.heapMax + 1
	for ; h < heapSize; h++ {
		n := b.heap[h]
		bits := int(tree[tree[n].len].len) + 1
		if bits > kind.maxLength {
			bits = kind.maxLength
			overflow++
		}
		tree[n].len = uint16(bits)
		if n > maxCode {
			continue // no leaf
		}
		counts[bits]++
		extra := 0
		if n >= kind.extraBase {
			extra = int(kind.extra[n-kind.extraBase])
		}
		b.optimal += int(tree[n].freq) * (bits + extra)
		if kind.static != nil {
			b.fixedLen += int(tree[n].freq) * (int(kind.static[n].len) + extra)
		}
	}
	if overflow == 0 {
		return
	}
	for ; overflow > 0; overflow -= 2 {
		bits := kind.maxLength - 1
		for counts[bits] == 0 {
			bits--
		}
		counts[bits]--
		counts[bits+1] += 2
		counts[kind.maxLength]--
	}
	h = heapSize
	for bits := kind.maxLength; bits != 0; bits-- {
		for n := counts[bits]; n != 0; {
			h--
			m := b.heap[h]
			if m > maxCode {
				continue
			}
			if int(tree[m].len) != bits {
				b.optimal += (bits - int(tree[m].len)) * int(tree[m].freq)
				tree[m].len = uint16(bits)
			}
			n--
		}
	}
}
