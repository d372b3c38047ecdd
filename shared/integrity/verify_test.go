package integrity_test

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/cachito-serverless/cachito/shared/integrity"
)

func TestVerify(t *testing.T) {
	other512 := integrity.Digest{Algorithm: "sha512", Sum: strings.Repeat("x", 64)}
	other256 := integrity.Digest{Algorithm: "sha256", Sum: strings.Repeat("x", 32)}
	unknown := integrity.Digest{Algorithm: "blake3", Sum: "x"}
	for _, d := range all {
		t.Run(d.Algorithm, func(t *testing.T) {
			if err := integrity.Verify(strings.NewReader("abc"), []integrity.Digest{d}); err != nil {
				t.Errorf("abc: %v", err)
			}
			var m *integrity.MismatchError
			if err := integrity.Verify(strings.NewReader("abd"), []integrity.Digest{d}); !errors.As(err, &m) || m.Want[0] != d || m.Got.Algorithm != d.Algorithm || m.Got == d {
				t.Errorf("abd: got %v, want a mismatch", err)
			}
		})
	}
	for _, test := range []struct {
		name string
		want []integrity.Digest
		err  string
	}{
		{"any of the strongest", []integrity.Digest{other512, d512}, ""},
		{"weaker ones that do not fit do not count", []integrity.Digest{other256, d512}, ""},
		{"weaker ones that fit do not count", []integrity.Digest{d256, other512}, "expected " + other512.String() + ", got " + d512.String()},
		{"unknown ones do not count", []integrity.Digest{unknown, dMD5}, ""},
		{"none of several", []integrity.Digest{other256, {Algorithm: "sha256", Sum: strings.Repeat("y", 32)}}, "expected one of 2 digests, the first " + other256.String() + ", got " + d256.String()},
		{"only unknown ones", []integrity.Digest{unknown}, "none of 1 digests is of a supported algorithm"},
		{"none at all", nil, "none of 0 digests is of a supported algorithm"},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := integrity.Verify(strings.NewReader("abc"), test.want)
			if test.err == "" {
				if err != nil {
					t.Errorf("got %v", err)
				}
				return
			}
			if err == nil || err.Error() != test.err {
				t.Errorf("got %v, want %s", err, test.err)
			}
		})
	}
	t.Run("a reader that breaks off", func(t *testing.T) {
		err := integrity.Verify(io.MultiReader(strings.NewReader("abc"), iotest.ErrReader(io.ErrUnexpectedEOF)), []integrity.Digest{d256})
		var m *integrity.MismatchError
		if !errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &m) {
			t.Errorf("got %v, want the reader's error and no mismatch", err)
		}
	})
}
