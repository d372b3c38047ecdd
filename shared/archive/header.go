package archive

import (
	"fmt"
	"path"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Sizes of a tar archive.
const (
	blockBytes   = 512
	trailerBytes = 2 * blockBytes
)

// Widths of the fields of a ustar header that can be too narrow.
const (
	nameWidth   = 100
	prefixWidth = 155
	maxOctal11  = 1<<33 - 1 // 11 octal digits: 8 GiB, or the year 2242
)

// zeros serves padding and the end of an archive.
var zeros [trailerBytes]byte

// padding is how many zero bytes follow content of this size.
func padding(size int64) int64 { return -size & (blockBytes - 1) }

// appendHeader appends the tar header of a checked entry to b: one ustar block, and a PAX header before
// it only where a field is too narrow or a name is not ASCII (POSIX.1-2001, pax interchange format).
//
// The ustar fields hold the name's raw bytes besides the PAX record, as far as they fit: busybox tar
// ignores PAX records.
func appendHeader(b []byte, h Header) []byte {
	name, typeflag := h.Name, byte('0')
	switch h.Mode {
	case Dir:
		name, typeflag = name+"/", '5'
	case Link:
		typeflag = '2'
	}
	mtime := h.ModTime.Unix()
	if h.ModTime.IsZero() {
		mtime = 0
	}
	prefix, base, fits := splitName(name)

	var records []byte // keys in byte order
	if !utf8.ValidString(name) || !utf8.ValidString(h.Linkname) {
		records = appendRecord(records, "hdrcharset", "BINARY")
	}
	if len(h.Linkname) > nameWidth || !isASCII(h.Linkname) {
		records = appendRecord(records, "linkpath", h.Linkname)
	}
	if mtime < 0 || mtime > maxOctal11 {
		records = appendRecord(records, "mtime", strconv.FormatInt(mtime, 10))
		mtime = 0
	}
	if !fits || !isASCII(name) {
		records = appendRecord(records, "path", name)
	}
	size := h.Size
	if size > maxOctal11 {
		records = appendRecord(records, "size", strconv.FormatInt(size, 10))
		size = 0
	}
	if len(records) > 0 {
		// The name of a PAX header is for readers that do not know PAX and extract it as a file.
		paxBase := path.Base(h.Name)
		if room := nameWidth - len("PaxHeaders.0/"); len(paxBase) > room {
			paxBase = paxBase[:room]
		}
		b = appendBlock(b, ustar{base: "PaxHeaders.0/" + paxBase, mode: File.perm(), size: int64(len(records)), typeflag: 'x'})
		b = append(b, records...)
		b = append(b, zeros[:padding(int64(len(records)))]...)
	}
	return appendBlock(b, ustar{
		prefix: prefix, base: base, linkname: h.Linkname,
		mode: h.Mode.perm(), size: size, mtime: mtime, typeflag: typeflag,
	})
}

// ustar holds the fields of a ustar header that are not always the same.
type ustar struct {
	prefix, base, linkname string
	mode, size, mtime      int64
	typeflag               byte
}

// appendBlock appends a ustar header; text too long for its field is cut.
func appendBlock(b []byte, u ustar) []byte {
	start := len(b)
	b = append(b, zeros[:blockBytes]...)
	block := b[start:]
	copy(block[0:nameWidth], u.base)
	octal(block[100:108], u.mode)
	octal(block[108:116], 0) // uid
	octal(block[116:124], 0) // gid
	octal(block[124:136], u.size)
	octal(block[136:148], u.mtime)
	copy(block[148:156], "        ")
	block[156] = u.typeflag
	copy(block[157:157+nameWidth], u.linkname)
	copy(block[257:265], "ustar\x0000")
	octal(block[329:337], 0) // device major
	octal(block[337:345], 0) // device minor
	copy(block[345:345+prefixWidth], u.prefix)
	var sum int64
	for _, c := range block {
		sum += int64(c)
	}
	octal(block[148:155], sum) // ends in NUL, and the space that is there
	return b
}

// octal fills a field with digits and a NUL.
func octal(field []byte, n int64) {
	for i := len(field) - 2; i >= 0; i-- {
		field[i] = '0' + byte(n&7)
		n >>= 3
	}
	field[len(field)-1] = 0
}

// splitName cuts a name at a slash, so that both parts fit their ustar fields. When there is no such
// slash it reports false, and the parts hold what fits.
func splitName(name string) (prefix, base string, ok bool) {
	if len(name) <= nameWidth {
		return "", name, true
	}
	end := min(len(name)-1, prefixWidth+1) // a slash at a directory's end cannot be the cut
	cut := strings.LastIndexByte(name[:end], '/')
	if cut > 0 && len(name)-cut-1 <= nameWidth {
		return name[:cut], name[cut+1:], true
	}
	return "", name[:nameWidth], false
}

// appendRecord appends a PAX record, "30 path=some/name\n": the number counts itself.
func appendRecord(b []byte, key, value string) []byte {
	rest := len(key) + len(value) + len(" =\n")
	size := rest + len(strconv.Itoa(rest))
	size = rest + len(strconv.Itoa(size))
	return fmt.Appendf(b, "%d %s=%s\n", size, key, value)
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
