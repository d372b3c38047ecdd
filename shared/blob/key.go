package blob

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxKeyBytes is S3's limit for a key.
const MaxKeyBytes = 1024

// CheckKey tells what is wrong with a key, as an ErrInvalidKey; nil when nothing is.
func CheckKey(key string) error {
	reason := ""
	switch {
	case key == "":
		reason = "is empty"
	case len(key) > MaxKeyBytes:
		reason = fmt.Sprintf("is longer than %d bytes", MaxKeyBytes)
	case !utf8.ValidString(key):
		reason = "is not UTF-8"
	case strings.ContainsFunc(key, unicode.IsControl):
		reason = "has a control character"
	}
	for _, e := range strings.Split(key, "/") {
		if reason == "" && (e == "" || e == "." || e == "..") {
			reason = fmt.Sprintf("has the element %q", e)
		}
	}
	if reason != "" {
		return fmt.Errorf("%w: %.100q %s", ErrInvalidKey, key, reason)
	}
	return nil
}
