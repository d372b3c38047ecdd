package pyrepr_test

import (
	"bytes"
	"encoding/json"
	"math"
	"math/rand/v2"
	"os/exec"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/cachito-serverless/cachito/shared/pyrepr"
)

// python reads {"strings": [...], "floats": [...]} and answers with their reprs. A string with a character
// that this Python does not know yet gets null: Unicode grows in both languages, at different times.
const python = `
import json, sys, unicodedata
given = json.load(sys.stdin)
known = lambda s: all(unicodedata.category(c) != "Cn" for c in s)
json.dump({"strings": [repr(s) if known(s) else None for s in given["strings"]], "floats": [repr(float(f)) for f in given["floats"]]}, sys.stdout)
`

// TestAgainstPython compares with what a real Python prints, over random texts and numbers.
func TestAgainstPython(t *testing.T) {
	interpreter, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("python3 is not installed; the tables of this package hold what it printed elsewhere")
	}
	random := rand.New(rand.NewPCG(1, 2))
	var given struct {
		Strings []string  `json:"strings"`
		Floats  []float64 `json:"floats"`
	}
	alphabets := [][2]rune{{0, 0x7f}, {' ', '~'}, {'"', '\''}, {0x80, 0x24f}, {0x2000, 0x20ff}, {0, 0xffff}, {0, utf8.MaxRune}}
	for i := range 800 {
		from := alphabets[i%len(alphabets)]
		var b strings.Builder
		for range random.IntN(6) {
			b.WriteRune(from[0] + random.Int32N(from[1]-from[0]+1)) // surrogates become U+FFFD
		}
		given.Strings = append(given.Strings, b.String())
	}
	for len(given.Floats) < 800 {
		f := math.Float64frombits(random.Uint64())
		if len(given.Floats)%2 == 0 {
			f = math.Round(random.NormFloat64()*1000) * math.Pow(10, float64(random.IntN(40)-20))
		}
		if !math.IsNaN(f) && !math.IsInf(f, 0) {
			given.Floats = append(given.Floats, f)
		}
	}
	in, err := json.Marshal(given)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), interpreter, "-c", python)
	cmd.Stdin = bytes.NewReader(in)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("python3: %v", err)
	}
	var want struct {
		Strings []*string `json:"strings"`
		Floats  []string  `json:"floats"`
	}
	if err := json.Unmarshal(out, &want); err != nil {
		t.Fatalf("python3 answered %.200q: %v", out, err)
	}
	if len(want.Strings) != len(given.Strings) || len(want.Floats) != len(given.Floats) {
		t.Fatalf("python3 answered %d strings and %d floats", len(want.Strings), len(want.Floats))
	}
	compared := 0
	for i, s := range given.Strings {
		if want.Strings[i] == nil {
			continue
		}
		compared++
		if got := pyrepr.String(s); got != *want.Strings[i] {
			t.Errorf("String(%+q) = %s, Python prints %s", s, got, *want.Strings[i])
		}
	}
	if compared < 500 {
		t.Errorf("only %d of %d strings were compared", compared, len(given.Strings))
	}
	for i, f := range given.Floats {
		if got := pyrepr.Float(f); got != want.Floats[i] {
			t.Errorf("Float(%g) = %s, Python prints %s", f, got, want.Floats[i])
		}
	}
}
