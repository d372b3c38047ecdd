package berry

import (
	"encoding/hex"
	"regexp"
	"strings"

	"github.com/cachito-serverless/cachito/shared/resolver/yarn/berry/deflate"
)

// zipForm is how Yarn makes a zip of an archive. It depends on Yarn's version and on compressionLevel, both of which
// the cache key names:
//
//	7      Yarn 2
//	8      Yarn 3
//	10c0   Yarn 4; "c" and the level, unless that is "mixed"
type zipForm struct {
	time, date uint16 // in the form of DOS
	level      int    // 0: stored; 9 when it is mixed
	ng         bool   // compressed by zlib-ng
	// mixed: a small file is stored when it does not get smaller.
	mixed bool
}

var (
	cacheKeyPattern = regexp.MustCompile(`^([0-9]+)(?:c([0-9]))?$`)
	checksumPattern = regexp.MustCompile(`^[0-9a-fA-F]{128}$`)
)

// parseForm reads a cache key. It is not ok for a form that nobody here can make.
func parseForm(key string) (zipForm, bool) {
	m := cacheKeyPattern.FindStringSubmatch(key)
	if m == nil {
		return zipForm{}, false
	}
	f := zipForm{time: 0xae40, date: 0x08d6, level: 9, mixed: true} // 1984-06-22 21:50:00
	switch m[1] {
	case "7":
		f.time, f.date = 0, 0x0021 // 1980-01-01 00:00:00
	case "8":
	case "10":
		f.ng = true
	default:
		return f, false
	}
	if m[2] != "" {
		f.mixed, f.level = false, int(m[2][0]-'0')
	}
	// The fast levels are other algorithms, and so are all but one of zlib-ng's.
	return f, f.level == 0 || f.level == deflate.MaxLevel || f.level >= deflate.MinLevel && !f.ng
}

// zipChecksum is a checksum of the lockfile: SHA-512 of a zip of that form.
type zipChecksum struct {
	form zipForm
	want string // hexadecimal digits, lower case
	// key is the cache key as it stands before the digits; "" when it does not.
	key string
	// known: the form is one that can be made here.
	known bool
}

// parseChecksum reads "10c0/<128 digits>", or the digits alone, whose form is the lockfile's cache key. It is not ok
// for what is no checksum; an empty text is none.
func parseChecksum(text, cacheKey string) (c zipChecksum, ok bool) {
	digits := text
	if key, rest, keyed := strings.Cut(text, "/"); keyed {
		c.key, cacheKey, digits = key, key, rest
	}
	if !checksumPattern.MatchString(digits) {
		return c, false
	}
	if _, err := hex.DecodeString(digits); err != nil {
		return c, false
	}
	c.want = strings.ToLower(digits)
	c.form, c.known = parseForm(cacheKey)
	return c, true
}
