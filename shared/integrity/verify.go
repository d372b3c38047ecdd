package integrity

import (
	"fmt"
	"io"
	"slices"
)

// MismatchError says that content has none of the digests it should have.
type MismatchError struct {
	Want []Digest // of one algorithm
	Got  Digest   // of the same
}

func (e *MismatchError) Error() string {
	if len(e.Want) == 1 {
		return fmt.Sprintf("expected %s, got %s", e.Want[0], e.Got)
	}
	return fmt.Sprintf("expected one of %d digests, the first %s, got %s", len(e.Want), e.Want[0], e.Got)
}

// Verify reads content to its end, holding none of it, and compares it with the digests of the strongest
// algorithm in want; one of them must fit, weaker ones do not count. *MismatchError when none fits; another
// error when want holds no algorithm that is known, or when reading fails.
func Verify(content io.Reader, want []Digest) error {
	best := Strongest(want)
	if len(best) == 0 {
		return fmt.Errorf("none of %d digests is of a supported algorithm", len(want))
	}
	h := New(best[0].Algorithm)
	if _, err := io.Copy(h, content); err != nil {
		return fmt.Errorf("reading what is to have %s: %w", best[0], err)
	}
	got := Digest{Algorithm: best[0].Algorithm, Sum: string(h.Sum(nil))}
	if !slices.Contains(best, got) {
		return &MismatchError{Want: best, Got: got}
	}
	return nil
}
