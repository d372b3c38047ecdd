package dir

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/cachito-serverless/cachito/shared/blob"
)

// errNotDir: a key's beginning is an object itself.
const errNotDir = syscall.ENOTDIR

// maxNameBytes is what a file name may have on common file systems.
const maxNameBytes = 255

// path is where an object's file is.
func (b *Blob) path(ctx context.Context, key string) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	if err := blob.CheckKey(key); err != nil {
		return "", err
	}
	elements := encodeAll(key)
	elements[len(elements)-1] += fileSuffix
	return filepath.Join(b.objects, filepath.Join(split(elements)...)), nil
}

// encodeAll gives the file name of each element of a key, as a folder's.
func encodeAll(key string) []string {
	elements := strings.Split(key, "/")
	for i, e := range elements {
		elements[i] = encode(e)
	}
	return elements
}

// fileSuffix keeps objects and folders apart, so that "a" and "a/b" can both be keys. It sorts before
// every byte of an encoded name.
const fileSuffix = "!"

// longSuffix ends a path element that goes on in the next one.
const longSuffix = "~"

const hexDigits = "0123456789abcdef"

// encode makes a file name of a key's element: bytes that mean something to a file system or to us are
// %xx, capitals too, because not every file system tells them from small letters.
func encode(e string) string {
	var b strings.Builder
	for i := 0; i < len(e); i++ {
		c := e[i]
		switch {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '_', c == '+', c == '@', c == ',', c == '=', c == '.' && i > 0:
			b.WriteByte(c)
		default:
			b.WriteByte('%')
			b.WriteByte(hexDigits[c>>4])
			b.WriteByte(hexDigits[c&15])
		}
	}
	return b.String()
}

// split cuts names that are too long for a file system into several folders.
func split(elements []string) []string {
	var out []string
	for _, e := range elements {
		for len(e) > maxNameBytes {
			cut := maxNameBytes - 1
			if at := strings.LastIndexByte(e[:cut], '%'); at > cut-3 {
				cut = at // never inside of an escape
			}
			out = append(out, e[:cut]+longSuffix)
			e = e[cut:]
		}
		out = append(out, e)
	}
	return out
}

// decode is the key of a file below objects/.
func decode(rel string) (string, error) {
	var b strings.Builder
	name, ok := strings.CutSuffix(filepath.ToSlash(rel), fileSuffix)
	if !ok {
		return "", fmt.Errorf("%s is no object", rel)
	}
	name = strings.ReplaceAll(name, longSuffix+"/", "")
	for i := 0; i < len(name); i++ {
		if name[i] != '%' {
			b.WriteByte(name[i])
			continue
		}
		if i+2 >= len(name) {
			return "", fmt.Errorf("%s is no object", rel)
		}
		hi, lo := strings.IndexByte(hexDigits, name[i+1]), strings.IndexByte(hexDigits, name[i+2])
		if hi < 0 || lo < 0 {
			return "", fmt.Errorf("%s is no object", rel)
		}
		b.WriteByte(byte(hi<<4 | lo))
		i += 2
	}
	return b.String(), nil
}
