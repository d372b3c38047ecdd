package berry

import (
	"path"
	"regexp"
	"strconv"
	"strings"

	"golang.org/x/mod/semver"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/resolver/yarn/lines"
)

// Versions of Yarn. What our plug-in does was tried with 2.4 and newer.
const (
	minYarn = "v2.4.0"
	endYarn = "v5.0.0-0" // the first that is too new
	// brokenYarn fails to read what it fetches (ERR_STREAM_PREMATURE_CLOSE).
	brokenYarn = "v3.0.2"
)

// release is the Yarn that a project wants.
type release struct {
	version string
	// inRepository: the project brings it, at yarnPath.
	inRepository bool
	// named: packageManager names it, so that Corepack looks for it, and for the hash if there is one.
	named     bool
	algorithm string // of the hash: "sha512"; "" without one
	hash      string // lower-case hexadecimal digits
}

var (
	releaseFile    = regexp.MustCompile(`^yarn-(.+)\.[cm]?js$`)
	releaseVersion = regexp.MustCompile(`^[0-9]+\.[0-9]+\.[0-9]+(?:-[0-9A-Za-z.-]+)?$`)
	releaseHash    = regexp.MustCompile(`^(sha[0-9]+)\.([0-9a-fA-F]+)$`)
)

// findRelease reads which Yarn a project is for: from the name of the file at yarnPath, and from packageManager. The
// sentences are Hermeto's.
func findRelease(config rc, packageManager string) (release, error) {
	var fromPath string
	if config.yarnPath != "" {
		if m := releaseFile.FindStringSubmatch(path.Base(config.yarnPath)); m != nil && releaseVersion.MatchString(m[1]) {
			fromPath = m[1]
		}
	}
	r := release{version: fromPath, inRepository: config.yarnPath != ""}
	if packageManager != "" {
		name, version, ok := strings.Cut(packageManager, "@")
		if !ok || name == "" || version == "" {
			return r, fault.Client(fault.InvalidFileFormat, "could not parse packageManager spec in package.json (expected name@semver)")
		}
		if name != "yarn" {
			return r, fault.Client(fault.InvalidFileFormat, "packageManager in package.json must be yarn")
		}
		version, hash, hashed := strings.Cut(version, "+")
		if !releaseVersion.MatchString(version) {
			return r, fault.Client(fault.InvalidFileFormat, "%s is not a valid semver for packageManager in package.json", lines.Shorten(version))
		}
		if hashed {
			m := releaseHash.FindStringSubmatch(hash)
			if m == nil {
				return r, fault.Client(fault.InvalidFileFormat, "The hash %s of packageManager in package.json is none (expected algorithm.hexadecimal digits)", strconv.Quote(lines.Shorten(hash)))
			}
			r.algorithm, r.hash = m[1], strings.ToLower(m[2])
		}
		if fromPath != "" && fromPath != version {
			return r, fault.Client(fault.InvalidRepoStructure, "Mismatch between the yarn versions specified by yarnPath (yarn@%s) and packageManager (yarn@%s)", fromPath, version)
		}
		r.version, r.named = version, true
	}
	switch v := "v" + r.version; {
	case r.version == "":
		return r, fault.Client(fault.InvalidRepoStructure, "Unable to determine the yarn version to use to process the request")
	case semver.Compare(v, minYarn) < 0, semver.Compare(v, endYarn) >= 0, v == brokenYarn:
		return r, fault.Client(fault.UnsupportedFeature, "Unsupported Yarn version '%s' detected", r.version)
	}
	return r, nil
}
