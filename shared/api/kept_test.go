package api

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

func TestKept(t *testing.T) {
	broken := errors.New("broken")
	tests := []struct {
		name  string
		text  string
		final bool
		err   error
		calls int // of two
	}{
		{"what never changes is made once", "[1]", true, nil, 1},
		{"what may change is made every time", "[]", false, nil, 2},
		{"an error is not kept", "[", true, broken, 2},
		{"what is too large is made every time", strings.Repeat("x", maxKeptText+1), true, nil, 2},
		{"the largest", strings.Repeat("x", maxKeptText), true, nil, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, calls := &server{}, 0
			for range 2 {
				var got bytes.Buffer
				err := s.kept("key", func(w io.Writer) (bool, error) {
					calls++
					for part := range strings.SplitAfterSeq(tt.text, ",") {
						if _, err := io.WriteString(w, part); err != nil {
							return true, err
						}
					}
					return tt.final, tt.err
				})(&got)
				if !errors.Is(err, tt.err) || got.String() != tt.text {
					t.Errorf("got %.40q, %v; want %.40q, %v", &got, err, tt.text, tt.err)
				}
			}
			if calls != tt.calls {
				t.Errorf("made %d times, want %d", calls, tt.calls)
			}
		})
	}
}

// TestKeptIsBounded: a hundred times the bound goes through, the bound stays, and so does what is asked for.
func TestKeptIsBounded(t *testing.T) {
	var kept texts
	text := make([]byte, maxKeptText)
	kept.keep("asked for", text)
	for i := range 200 * maxKeptTexts / maxKeptText {
		kept.keep(fmt.Sprint(i), text)
		if _, ok := kept.find("asked for"); !ok {
			t.Fatalf("forgotten after %d others", i+1)
		}
		held := 0
		for _, generation := range []map[string][]byte{kept.newer, kept.older} {
			for _, text := range generation {
				held += len(text)
			}
		}
		if held > 2*maxKeptTexts {
			t.Fatalf("%d bytes are held, want at most %d", held, 2*maxKeptTexts)
		}
	}
	if _, ok := kept.find("0"); ok {
		t.Error("what nobody asks for is still there")
	}
}
