package javascript

import (
	"path"
	"regexp"
	"strings"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/integrity"
	"github.com/cachito-serverless/cachito/shared/request"
)

const (
	// maxNameBytes is npm's own limit for names.
	maxNameBytes = 214
	// maxVersionBytes is node-semver's limit.
	maxVersionBytes = 256
	// maxFileNameBytes is what common file systems take.
	maxFileNameBytes = 255
)

var (
	// Names of the registry, those of its early days included (upper case, "~'!()*"); each part becomes a
	// folder of the bundle. Other scripts' letters look like these and are not: they are refused.
	namePattern    = regexp.MustCompile(`^(?:@[A-Za-z0-9_~'!()*-][A-Za-z0-9._~'!()*-]*/)?[A-Za-z0-9_~'!()*-][A-Za-z0-9._~'!()*-]*$`)
	versionPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.+-]*$`)
)

// CheckName refuses a package name that is none, before it becomes a path. where names the file it is from.
func CheckName(where, name string) error {
	if len(name) > maxNameBytes {
		return fault.Client(fault.InvalidFileFormat, "%s: the package name %.40q... has %d characters, the limit is %d", where, name, len(name), maxNameBytes)
	}
	if !namePattern.MatchString(name) || path.Base(name) == "node_modules" {
		return fault.Client(fault.InvalidFileFormat, "%s: %q is not the name of a package", where, name)
	}
	return nil
}

// CheckVersion refuses a version that is none, before it becomes a path.
func CheckVersion(where, name, version string) error {
	if len(version) > maxVersionBytes || !versionPattern.MatchString(version) {
		return fault.Client(fault.InvalidFileFormat, "%s: %.300q is not a version of %s", where, version, name)
	}
	return nil
}

// RegistryPath is the place below deps/ of a registry tarball; manager is "npm" or "yarn".
//
//	@types/ms 0.7.34 -> npm/@types/ms/types-ms-0.7.34.tgz
func RegistryPath(manager, name, version string) string {
	return path.Join(manager, name, fileName(name, version))
}

// TarballPath is the place below deps/ of a tarball from anywhere else. version is that of the archive's
// package.json, d the digest that was wanted of it.
//
//	fecha 4.2.0 -> npm/external-fecha/fecha-4.2.0-external-sha512-<hex>.tgz
func TarballPath(manager, name, version string, d integrity.Digest) (string, error) {
	return external(manager, name, "external-"+name, version+"-external-"+d.Algorithm+"-"+d.Hex())
}

// GitPath is the place below deps/ of a packed git dependency. version is that of its package.json.
//
//	github:kevva/is-positive#<commit> -> npm/github/kevva/is-positive/is-positive-3.1.0-external-gitcommit-<commit>.tgz
//	git+https://host/ns/r.git#<commit> -> npm/external-r/r-1.0.0-external-gitcommit-<commit>.tgz
func GitPath(manager, name, version string, git GitSource) (string, error) {
	folder := git.Forge
	if folder == "" {
		folder = "external-" + name
	}
	return external(manager, name, folder, version+"-external-gitcommit-"+git.Commit)
}

func external(manager, name, folder, version string) (string, error) {
	file := fileName(name, version)
	if len(file) > maxFileNameBytes {
		return "", fault.Client(fault.UnsupportedFeature, "The file name %.60s... of the dependency %s has %d characters, the limit is %d", file, name, len(file), maxFileNameBytes)
	}
	return path.Join(manager, folder, file), nil
}

// fileName is the full name without a leading @ and with - for /, then the version.
func fileName(name, version string) string {
	return strings.ReplaceAll(strings.TrimPrefix(name, "@"), "/", "-") + "-" + version + ".tgz"
}

// Environment is what builds with the package manager get: install scripts of well-known packages would
// download browsers and compilers otherwise.
func Environment() map[string]request.EnvironmentVariable {
	return map[string]request.EnvironmentVariable{
		"CHROMEDRIVER_SKIP_DOWNLOAD":       {Value: "true", Kind: "literal"},
		"CYPRESS_INSTALL_BINARY":           {Value: "0", Kind: "literal"},
		"GECKODRIVER_SKIP_DOWNLOAD":        {Value: "true", Kind: "literal"},
		"SKIP_SASS_BINARY_DOWNLOAD_FOR_CI": {Value: "true", Kind: "literal"},
	}
}
