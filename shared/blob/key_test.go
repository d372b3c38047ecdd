package blob

import (
	"errors"
	"strings"
	"testing"
)

func TestCheckKey(t *testing.T) {
	for _, c := range []struct{ key, want string }{
		{"", "is empty"},
		{"a//b", `has the element ""`},
		{"/a", `has the element ""`},
		{"a/../b", `has the element ".."`},
		{"a/.", `has the element "."`},
		{"a\nb", "control character"},
		{"a\xff", "is not UTF-8"},
		{strings.Repeat("a", MaxKeyBytes+1), "is longer than 1024 bytes"},
	} {
		err := CheckKey(c.key)
		if !errors.Is(err, ErrInvalidKey) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("CheckKey(%.20q): got %v, want %q", c.key, err, c.want)
		}
	}
	for _, key := range []string{"a", "...", "..a/b..", "é/日本", "a b", strings.Repeat("a", MaxKeyBytes)} {
		if err := CheckKey(key); err != nil {
			t.Errorf("CheckKey(%.20q): %v", key, err)
		}
	}
}
