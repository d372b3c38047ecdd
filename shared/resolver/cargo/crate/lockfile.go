package crate

import (
	"fmt"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/integrity"
)

// CratesIOIndex is the URL that stands for crates.io in manifests and lockfiles, whatever serves it.
const CratesIOIndex = "https://github.com/rust-lang/crates.io-index"

// cratesIO are the sources that lockfiles have for it.
var cratesIO = map[string]bool{
	"registry+" + CratesIOIndex:          true,
	"sparse+https://index.crates.io/":    true,
	"registry+https://index.crates.io/":  true,
	"registry+" + CratesIOIndex + ".git": true,
}

// IsCratesIO reports whether a lockfile's source is crates.io.
func IsCratesIO(source string) bool { return cratesIO[source] }

// Locked is a package of a Cargo.lock.
//
//	[[package]]
//	name = "libc"
//	version = "0.2.150"
//	source = "registry+https://github.com/rust-lang/crates.io-index"
//	checksum = ".."
//	dependencies = ["cfg-if", "other 1.0.0", "other 2.0.0 (registry+..)"]
type Locked struct {
	Name    string `toml:"name"`
	Version string `toml:"version"`
	// Source is empty for packages of the repository itself.
	Source       string   `toml:"source"`
	Checksum     string   `toml:"checksum"`
	Dependencies []string `toml:"dependencies"`
}

// ParseLockfile reads a Cargo.lock of version 1 to 4. Unused are patches that nothing needs, which cargo wants
// to see all the same. shown names it in the fault: InvalidFileFormat, client. The size is for the caller to bound.
func ParseLockfile(text []byte, shown string) (packages, unused []Locked, err error) {
	var doc struct {
		Version  any      `toml:"version"`
		Packages []Locked `toml:"package"`
		Root     *Locked  `toml:"root"` // before cargo 1.17: the package itself
		Patch    struct {
			Unused []Locked `toml:"unused"`
		} `toml:"patch"`
		Metadata map[string]any `toml:"metadata"` // of version 1: checksums
	}
	if err := toml.Unmarshal(text, &doc); err != nil {
		return nil, nil, fault.Client(fault.InvalidFileFormat, "%s is not a valid lockfile: %v", shown, err)
	}
	if v, ok := doc.Version.(int64); doc.Version != nil && (!ok || v < 1 || v > maxLockVersion) {
		return nil, nil, fault.Client(fault.UnsupportedFeature, "%s has the version %.20s; versions 1 to %d are supported", shown, fmt.Sprint(doc.Version), maxLockVersion)
	}
	if doc.Root != nil {
		doc.Packages = append(doc.Packages, *doc.Root)
	}
	for i := range doc.Packages {
		p := &doc.Packages[i]
		if p.Checksum == "" && p.Source != "" {
			p.Checksum, _ = doc.Metadata[fmt.Sprintf("checksum %s %s (%s)", p.Name, p.Version, p.Source)].(string)
		}
	}
	return doc.Packages, doc.Patch.Unused, nil
}

// maxLockVersion is the newest form of Cargo.lock.
const maxLockVersion = 4

// Crate is the package as one of a registry. Fault: InvalidFileFormat, client, when it has no checksum.
func (l Locked) Crate(shown string) (Crate, error) {
	digest, err := integrity.FromHex("sha256", strings.TrimSpace(l.Checksum))
	if err != nil || Check(l.Name, l.Version, shown) != nil {
		return Crate{}, fault.Client(fault.InvalidFileFormat, "%s: the crate %.100q %.100q has no usable name, version and checksum", shown, l.Name, l.Version)
	}
	return Crate{l.Name, l.Version, digest}, nil
}
