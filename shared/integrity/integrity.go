// Package integrity parses, prints and checks the ways in which lockfiles say what a file must hash
// to: SRI ("sha512-<base64>"), checksums ("sha256:<hex>") and raw digests.
package integrity

// Digest is a hash algorithm ("sha256") and the raw bytes it gave.
type Digest struct {
	Algorithm string
	Sum       string // raw bytes, kept as a string so that digests compare with ==
}
