// Package integrity parses, prints and checks the ways in which lockfiles say what a file must hash
// to: SRI ("sha512-<base64>"), checksums ("sha256:<hex>") and raw digests.
package integrity

import (
	"crypto/md5" // lockfiles hold such digests; Strongest prefers others
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"slices"
	"strings"
)

// Digest is a hash algorithm ("sha256") and the raw bytes it gave.
type Digest struct {
	Algorithm string
	Sum       string // raw bytes, kept as a string so that digests compare with ==
}

// algorithms, the strongest first.
var algorithms = []struct {
	name string
	size int
	make func() hash.Hash
}{
	{"sha512", sha512.Size, sha512.New},
	{"sha384", sha512.Size384, sha512.New384},
	{"sha256", sha256.Size, sha256.New},
	{"sha224", sha256.Size224, sha256.New224},
	{"sha1", sha1.Size, sha1.New},
	{"md5", md5.Size, md5.New},
}

func rank(algorithm string) int {
	for i, a := range algorithms {
		if a.name == algorithm {
			return i
		}
	}
	return -1
}

// New makes the hash of an algorithm; nil when it is not known.
func New(algorithm string) hash.Hash {
	if i := rank(algorithm); i >= 0 {
		return algorithms[i].make()
	}
	return nil
}

// Strength orders algorithms: 0 for one that is not known, else the higher the stronger.
func Strength(algorithm string) int {
	if i := rank(algorithm); i >= 0 {
		return len(algorithms) - i
	}
	return 0
}

// Strongest keeps the digests of the strongest algorithm that is known; nil when none is.
func Strongest(list []Digest) []Digest {
	best := 0
	for _, d := range list {
		best = max(best, Strength(d.Algorithm))
	}
	var out []Digest
	for _, d := range list {
		if best > 0 && Strength(d.Algorithm) == best && !slices.Contains(out, d) {
			out = append(out, d)
		}
	}
	return out
}

// Hex is the digest in lower-case hex.
func (d Digest) Hex() string { return hex.EncodeToString([]byte(d.Sum)) }

// String is the checksum form: "sha256:<hex>".
func (d Digest) String() string { return d.Algorithm + ":" + d.Hex() }

// SRI is the Subresource Integrity form: "sha512-<base64>".
func (d Digest) SRI() string {
	return d.Algorithm + "-" + base64.StdEncoding.EncodeToString([]byte(d.Sum))
}

// ParseChecksum reads "sha256:<hex>"; hex in either case. The algorithm must be known and the digest
// have its length.
func ParseChecksum(text string) (Digest, error) {
	algorithm, digits, ok := strings.Cut(text, ":")
	if !ok {
		return Digest{}, fmt.Errorf("checksum %q is not of the form algorithm:digest", text)
	}
	return FromHex(strings.ToLower(algorithm), digits)
}

// FromHex makes a digest of an algorithm's name and hex digits in either case.
func FromHex(algorithm, digits string) (Digest, error) {
	sum, err := hex.DecodeString(digits)
	if err != nil {
		return Digest{}, fmt.Errorf("digest %q is not hexadecimal", digits)
	}
	return check(Digest{algorithm, string(sum)})
}

func check(d Digest) (Digest, error) {
	i := rank(d.Algorithm)
	if i < 0 {
		return Digest{}, fmt.Errorf("hash algorithm %q is not supported", d.Algorithm)
	}
	if len(d.Sum) != algorithms[i].size {
		return Digest{}, fmt.Errorf("%s digest has %d bytes instead of %d", d.Algorithm, len(d.Sum), algorithms[i].size)
	}
	return d, nil
}

// ParseSRI reads Subresource Integrity metadata (https://www.w3.org/TR/SRI/): hashes separated by white
// space, each with options after "?" that mean nothing here. Algorithms that are not known are skipped, as
// the specification says; it is an error when nothing is left, or when a known one has a bad digest.
func ParseSRI(text string) ([]Digest, error) {
	var list []Digest
	for _, item := range strings.Fields(text) {
		item, _, _ = strings.Cut(item, "?")
		algorithm, encoded, ok := strings.Cut(item, "-")
		if !ok {
			return nil, fmt.Errorf("integrity %q is not of the form algorithm-base64", item)
		}
		if Strength(algorithm) == 0 {
			continue
		}
		sum, err := base64.StdEncoding.Strict().DecodeString(encoded)
		if err != nil {
			return nil, fmt.Errorf("integrity %q is not base64", item)
		}
		d, err := check(Digest{algorithm, string(sum)})
		if err != nil {
			return nil, fmt.Errorf("integrity %q: %w", item, err)
		}
		list = append(list, d)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("integrity %q holds no hash of a supported algorithm", text)
	}
	return list, nil
}
