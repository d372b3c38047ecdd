// Package deflatetest holds contents that show where compressors differ: the same ones everywhere, so that what other
// programs make of them can be written down.
package deflatetest

import (
	"bytes"
	"math/rand/v2"
	"strings"
)

// Input is a content with a name.
type Input struct {
	Name    string
	Content []byte
}

// Inputs are all of them.
func Inputs() []Input {
	random := rand.New(rand.NewPCG(3, 4))
	noise := make([]byte, 70_000)
	for i := range noise {
		noise[i] = byte(random.Uint32())
	}
	few := make([]byte, 150_000)
	for i := range few {
		few[i] = "abcd"[random.Uint32()%4]
	}
	return []Input{
		{"empty", nil},
		{"one", []byte("x")},
		{"short", []byte("module.exports = require('./short')\n")},
		{"run", bytes.Repeat([]byte("a"), 100_000)},
		{"noise-small", noise[:600]},
		{"noise-8190", noise[:8190]},
		{"noise-8192", noise[:8192]},
		{"noise-8193", noise[:8193]},
		{"noise", noise},
		{"few", few},
		{"words-small", Words(3_000)},
		{"words", Words(200_000)},
		// A match of three bytes further away than 4096; one at the largest distance; one a byte further.
		{"far", bytes.Join([][]byte{[]byte("XYZ"), noise[:5000], []byte("XYZ!")}, nil)},
		{"farthest", bytes.Join([][]byte{[]byte("0123456789"), noise[:32506-10], []byte("0123456789"), noise[40_000:41_000]}, nil)},
		{"too-far", bytes.Join([][]byte{[]byte("0123456789"), noise[:32507-10], []byte("0123456789"), noise[40_000:41_000]}, nil)},
		// The window moves on with a match that began before.
		{"window", bytes.Repeat(noise[:32_700], 6)},
		{"ends-in-match", append(Words(70_000), Words(300)...)},
		{"ends", []byte("});\n});\n});\n")},
	}
}

// Words is text of n bytes.
func Words(n int) []byte {
	random := rand.New(rand.NewPCG(1, 2))
	list := strings.Fields("const function return require module exports if else for of let => ( ) { } [ ] ; , . this that name value index")
	var b bytes.Buffer
	for b.Len() < n {
		b.WriteString(list[random.IntN(len(list))])
		if random.IntN(7) == 0 {
			b.WriteString(strings.ToUpper(list[random.IntN(len(list))]))
		}
		b.WriteByte(" \n"[random.IntN(8)/7])
	}
	return b.Bytes()[:n]
}
