// Package crate is what everything that fetches Rust crates shares: names and checksums as a Cargo.lock has
// them, the verified download, and the local registry that cargo builds from without a network.
//
// A local registry (https://doc.rust-lang.org/cargo/reference/source-replacement.html#local-registry-sources)
// holds the crates as they were downloaded and an index of them. The index is made of the manifests in the
// crates, whose checksums are locked: it is the same whenever it is made, unlike the public one.
package crate

import (
	"regexp"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/integrity"
	"github.com/cachito-serverless/cachito/shared/purl"
)

// Type is the package type of Rust crates.
const Type = "cargo"

// Crate is a version of a Rust package in a registry.
type Crate struct {
	Name, Version string
	// Digest of the .crate file, SHA-256.
	Digest integrity.Digest
}

var (
	namePattern    = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]{0,63}$`)
	versionPattern = regexp.MustCompile(`^[0-9]+\.[0-9]+\.[0-9]+(?:[-+][0-9A-Za-z.+-]+)?$`)
)

// Check refuses names and versions that cargo would not take, among them all that are no names of files.
// Fault: InvalidFileFormat, client; shown is the lockfile.
func Check(name, version, shown string) error {
	if !namePattern.MatchString(name) || !versionPattern.MatchString(version) {
		return fault.Client(fault.InvalidFileFormat, "%s: the crate %.100q %.100q has no usable name and version", shown, name, version)
	}
	return nil
}

// FileName is the crate's name in a local registry: libc-0.2.150.crate.
func (c Crate) FileName() string { return c.Name + "-" + c.Version + ".crate" }

// PURL of a crate of crates.io: pkg:cargo/libc@0.2.150.
func PURL(name, version string) string {
	return "pkg:" + Type + "/" + name + "@" + purl.Escape(version, "")
}
