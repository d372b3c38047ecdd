package pip

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/integrity"
)

// crate is a Rust package of crates.io.
type crate struct {
	name, version string
	digest        integrity.Digest
}

// cratesIO are the names that lockfiles have for it.
var cratesIO = map[string]bool{
	"registry+https://github.com/rust-lang/crates.io-index": true,
	"sparse+https://index.crates.io/":                       true,
}

var (
	crateNamePattern    = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]{0,63}$`)
	crateVersionPattern = regexp.MustCompile(`^[0-9]+\.[0-9]+\.[0-9]+(?:[-+][0-9A-Za-z.+-]+)?$`)
)

// parseCargoLock reads the crates of a Cargo.lock that come from crates.io; elsewhere are those that do not,
// as "name version (source)".
//
//	[[package]]
//	name = "libc"
//	version = "0.2.150"
//	source = "registry+https://github.com/rust-lang/crates.io-index"
//	checksum = ".."
func parseCargoLock(text, shown string) (crates []crate, elsewhere []string, err error) {
	var doc struct {
		Packages []struct {
			Name     string `toml:"name"`
			Version  string `toml:"version"`
			Source   string `toml:"source"`
			Checksum string `toml:"checksum"`
		} `toml:"package"`
		Metadata map[string]any `toml:"metadata"` // of version 1: checksums
	}
	if err := toml.Unmarshal([]byte(text), &doc); err != nil {
		return nil, nil, fault.Client(fault.InvalidFileFormat, "%s is not a valid lockfile: %v", shown, err)
	}
	for _, p := range doc.Packages {
		switch {
		case p.Source == "": // of the sdist itself
			continue
		case !cratesIO[p.Source]:
			elsewhere = append(elsewhere, fmt.Sprintf("%s %s (%s)", p.Name, p.Version, withoutUserInfo(p.Source)))
			continue
		}
		if p.Checksum == "" {
			p.Checksum, _ = doc.Metadata[fmt.Sprintf("checksum %s %s (%s)", p.Name, p.Version, p.Source)].(string)
		}
		digest, err := integrity.FromHex("sha256", strings.TrimSpace(p.Checksum))
		if err != nil || !crateNamePattern.MatchString(p.Name) || !crateVersionPattern.MatchString(p.Version) {
			return nil, nil, fault.Client(fault.InvalidFileFormat, "%s: the crate %q %q has no usable name, version and checksum", shown, p.Name, p.Version)
		}
		crates = append(crates, crate{p.Name, p.Version, digest})
	}
	return crates, elsewhere, nil
}
