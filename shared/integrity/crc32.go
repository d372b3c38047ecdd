package integrity

import "hash/crc32"

// crcPoly is the CRC-32 polynomial of gzip, bits reflected, as hash/crc32 has it.
const crcPoly = crc32.IEEE

// crcPowers holds x^(2^n) modulo the polynomial; the exponents repeat after 32.
var crcPowers = func() (p [32]uint32) {
	p[0] = 1 << 30 // x
	for n := 1; n < len(p); n++ {
		p[n] = crcMultiply(p[n-1], p[n-1])
	}
	return p
}()

// crcMultiply gives a*b modulo the polynomial. a must not be 0.
func crcMultiply(a, b uint32) uint32 {
	var product uint32
	for m := uint32(1) << 31; ; m >>= 1 {
		if a&m != 0 {
			product ^= b
			if a&(m-1) == 0 {
				return product
			}
		}
		if b&1 != 0 {
			b = b>>1 ^ crcPoly
		} else {
			b >>= 1
		}
	}
}

// CombineCRC32 gives the CRC-32 (IEEE) of A followed by B from the CRC of each and B's length in bytes: the CRC of A
// times x^(8*length), plus the CRC of B. The way is zlib's crc32_combine (crc32.c, 1.2.12 and later).
func CombineCRC32(a, b uint32, length int64) uint32 {
	if length == 0 {
		return a
	}
	shift := uint32(1) << 31 // x^0
	for n := 3; length > 0; n, length = n+1, length>>1 {
		if length&1 != 0 {
			shift = crcMultiply(crcPowers[n&31], shift)
		}
	}
	return crcMultiply(shift, a) ^ b
}
