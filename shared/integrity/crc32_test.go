package integrity

import (
	"hash/crc32"
	"math/rand/v2"
	"testing"
)

func TestCombineCRC32(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	data := make([]byte, 1<<20)
	for i := range data {
		data[i] = byte(r.Uint32())
	}
	for _, cut := range []int{0, 1, 511, 65535, 1<<20 - 1, 1 << 20} {
		a, b := data[:cut], data[cut:]
		got := CombineCRC32(crc32.ChecksumIEEE(a), crc32.ChecksumIEEE(b), int64(len(b)))
		if want := crc32.ChecksumIEEE(data); got != want {
			t.Errorf("CombineCRC32 after %d bytes: got %08x, want %08x", cut, got, want)
		}
	}
}

func TestCombineCRC32OfLengthsBeyond32Bits(t *testing.T) {
	// The CRC of zeros alone, doubled in length again and again, once in one step and once in two.
	zero := crc32.ChecksumIEEE(make([]byte, 1<<10))
	whole, length := zero, int64(1<<10)
	for length < 1<<40 {
		whole, length = CombineCRC32(whole, whole, length), 2*length
	}
	rest := CombineCRC32(whole, zero, 1<<10)
	if got, want := CombineCRC32(zero, whole, length), rest; got != want {
		t.Errorf("1 KiB + 1 TiB of zeros: got %08x, want that of 1 TiB + 1 KiB: %08x", got, want)
	}
}
