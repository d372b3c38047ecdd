// Package purl makes package URLs (https://github.com/package-url/purl-spec) in Cachito's spelling, which
// clients compare byte for byte: what is percent-encoded and what is not is part of the contract. It knows
// the purl types, not the package managers; those combine its functions in their descriptors.
//
// Parse reads any package URL, and PURL prints it in the specification's own spelling.
package purl

import (
	"fmt"
	"strings"
)

// Error says that no purl can be made; its text is shown to the client.
type Error struct{ Message string }

func (e *Error) Error() string { return e.Message }

func errorf(format string, args ...any) error { return &Error{fmt.Sprintf(format, args...)} }

// notConvertible is the error for a version that says too little.
func notConvertible(version string) error {
	return errorf("Could not convert version %s to purl", version)
}

// given is a version that a purl needs. Null is written as Cachito, a Python program, writes it.
func given(version *string) (string, error) {
	if version == nil {
		return "", notConvertible("None")
	}
	if *version == "" {
		return "", notConvertible("")
	}
	return *version, nil
}

const hexDigits = "0123456789ABCDEF"

// Escape percent-encodes every byte but A-Z a-z 0-9 _ . - ~ and those in keep; hex digits are capitals.
func Escape(text, keep string) string {
	var b strings.Builder
	b.Grow(len(text))
	escape(&b, text, keep)
	return b.String()
}

func escape(b *strings.Builder, text, keep string) {
	for i := 0; i < len(text); i++ {
		c := text[i]
		if isWord(c) || strings.IndexByte(".-~", c) >= 0 || strings.IndexByte(keep, c) >= 0 {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(hexDigits[c>>4])
		b.WriteByte(hexDigits[c&15])
	}
}

// isWord reports whether c is one of A-Z a-z 0-9 _.
func isWord(c byte) bool { return isLetter(c) || '0' <= c && c <= '9' || c == '_' }

func isLetter(c byte) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }

// Golang is the purl of a Go module or package; version may be empty (the standard library).
//
//	pkg:golang/golang.org%2Fx%2Ftext@v0.3.0
func Golang(name, version string) string {
	var b strings.Builder // in one piece: large Go repositories have millions of these
	b.Grow(len("pkg:golang/@") + len(name) + 2*strings.Count(name, "/") + len(version))
	b.WriteString("pkg:golang/")
	escape(&b, name, "")
	if version != "" {
		b.WriteByte('@')
		b.WriteString(version)
	}
	return b.String()
}

// Gem is the purl of a Ruby gem from a registry or a git repository ("git+<scheme>://host/path@REF").
//
//	pkg:gem/zeitwerk@2.4.2
func Gem(name string, version *string) (string, error) {
	v, err := given(version)
	if err != nil {
		return "", err
	}
	if strings.HasPrefix(v, "git+") {
		return gitRequirement(name, v)
	}
	return "pkg:gem/" + name + "@" + v, nil
}
