package javascript

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/klauspost/compress/gzip"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/resolver"
)

const (
	// MaxUnpackedBytes bounds what is unpacked of an archive on the way to its package.json.
	MaxUnpackedBytes = 2 << 30
	// maxUnpackedRatio bounds it against the archive's own size, above ratioFreeBytes.
	maxUnpackedRatio = 200
	ratioFreeBytes   = 16 << 20
	// MaxArchiveEntries bounds the members of an archive that are looked at.
	MaxArchiveEntries = 500_000
	// MaxPackageJSONBytes bounds one package.json.
	MaxPackageJSONBytes = 8 << 20
)

// PackageJSON is what is read of a package.json.
type PackageJSON struct {
	Name, Version string
	// Scripts by name.
	Scripts map[string]string
}

// ParsePackageJSON reads a package.json leniently: a member of another type than expected counts as
// missing. It is an error when the whole is no JSON object.
func ParsePackageJSON(data []byte) (PackageJSON, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")), &members); err != nil {
		return PackageJSON{}, err
	}
	if members == nil {
		return PackageJSON{}, errors.New("null instead of an object")
	}
	var p PackageJSON
	var scripts map[string]json.RawMessage
	for name, to := range map[string]any{"name": &p.Name, "version": &p.Version, "scripts": &scripts} {
		if raw, ok := members[name]; ok {
			// Of another type: stays empty, as documented.
			_ = json.Unmarshal(raw, to)
		}
	}
	for name, raw := range scripts {
		var text string
		if json.Unmarshal(raw, &text) == nil {
			if p.Scripts == nil {
				p.Scripts = map[string]string{}
			}
			p.Scripts[name] = text
		}
	}
	return p, nil
}

// ReadArchive reads the package.json of a package's archive in the cache, a tar that may be gzipped: the
// first member whose path is package.json once one leading folder, if any, is dropped. source names the
// dependency in the faults, which are the client's: InvalidRepoStructure when there is none or it is no
// file, InvalidFileFormat when it or the archive cannot be read.
func ReadArchive(ctx context.Context, fetcher resolver.Fetcher, file resolver.File, source string) (PackageJSON, error) {
	r, err := fetcher.Open(ctx, file)
	if err != nil {
		return PackageJSON{}, fmt.Errorf("opening the archive of %s: %w", withoutSecrets(source), err)
	}
	defer r.Close()
	return readArchive(ctx, r, file.Size, source)
}

// CheckArchive is the Check of an Artifact that no digest vouches for: the content must be an archive that
// ReadArchive can read, and check, when it is not nil, agrees with what it says. So a login page that a
// registry answers once is not remembered as the package.
func CheckArchive(ctx context.Context, source string, check func(PackageJSON) error) func(content io.ReaderAt, size int64) error {
	return func(content io.ReaderAt, size int64) error {
		found, err := readArchive(ctx, io.NewSectionReader(content, 0, size), size, source)
		if err != nil || check == nil {
			return err
		}
		return check(found)
	}
}

// CheckIdentity refuses an archive of a registry that holds another package than name, or another version than
// version (empty: any), where no digest vouches for it. Versions compare as the registry stores them. Fault:
// InvalidChecksum.
func (p PackageJSON) CheckIdentity(url, name, version string) error {
	if p.Name == name && (version == "" || plainVersion(p.Version) == plainVersion(version)) {
		return nil
	}
	return fault.Client(fault.InvalidChecksum, "The file %s holds %q %q instead of %s %s, and the lockfile has no integrity value for it",
		FileOf(url), p.Name, p.Version, name, version)
}

// plainVersion is a version as the registry stores it: without a leading v or =, blanks and build metadata.
func plainVersion(version string) string {
	version, _, _ = strings.Cut(strings.TrimSpace(version), "+")
	return strings.TrimLeft(version, "v= ")
}

func readArchive(ctx context.Context, r io.Reader, size int64, source string) (PackageJSON, error) {
	source = withoutSecrets(source)
	content, err := Unpacked(ctx, r, size)
	if err != nil {
		return PackageJSON{}, brokenArchive(source, err)
	}
	archive := tar.NewReader(content)
	for range MaxArchiveEntries {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return PackageJSON{}, fault.Client(fault.InvalidRepoStructure, "Could not process dependency %s: no package.json file", source)
		}
		if err != nil {
			return PackageJSON{}, brokenArchive(source, err)
		}
		if !isPackageJSON(header.Name) {
			continue
		}
		if header.Typeflag != tar.TypeReg {
			return PackageJSON{}, fault.Client(fault.InvalidRepoStructure, "Could not process dependency %s: package.json is not a regular file", source)
		}
		data, err := io.ReadAll(io.LimitReader(archive, MaxPackageJSONBytes+1))
		if err != nil {
			return PackageJSON{}, brokenArchive(source, err)
		}
		if len(data) > MaxPackageJSONBytes {
			return PackageJSON{}, fault.Client(fault.UnsupportedFeature, "Could not process dependency %s: package.json has more than %d bytes", source, MaxPackageJSONBytes)
		}
		p, err := ParsePackageJSON(data)
		if err != nil {
			return PackageJSON{}, fault.Client(fault.InvalidFileFormat, "Could not process dependency %s: package.json is not valid JSON", source).Because(err)
		}
		return p, nil
	}
	return PackageJSON{}, fault.Client(fault.UnsupportedFeature, "Could not process dependency %s: no package.json among the first %d members of the archive", source, MaxArchiveEntries)
}

// isPackageJSON: "package.json", "package/package.json", "./x/package.json".
func isPackageJSON(name string) bool {
	if strings.HasSuffix(name, "/") { // a folder of that name counts as well, and is refused
		name = strings.TrimRight(name, "/")
	}
	name = strings.TrimPrefix(path.Clean("/"+name), "/")
	if name == "package.json" {
		return true
	}
	folder, file, _ := strings.Cut(name, "/")
	return folder != "" && file == "package.json"
}

func brokenArchive(source string, err error) error {
	var f *fault.Error
	if errors.As(err, &f) || errors.Is(err, context.Canceled) {
		return err
	}
	return fault.Client(fault.InvalidFileFormat, "Could not process dependency %s: the archive cannot be read: %s", source, err).Because(err)
}

// Unpacked is the tar within a package's archive of size bytes, which may be gzipped. Reading it fails once it has unpacked to more than an
// archive of that size may (MaxUnpackedBytes), or ctx is done.
func Unpacked(ctx context.Context, r io.Reader, size int64) (io.Reader, error) {
	limit := min(int64(MaxUnpackedBytes), max(ratioFreeBytes, size*maxUnpackedRatio))
	buffered := bufio.NewReader(r)
	magic, err := buffered.Peek(2)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if string(magic) != "\x1f\x8b" {
		return &boundedReader{ctx: ctx, r: buffered, left: limit}, nil
	}
	unzipped, err := gzip.NewReader(buffered)
	if err != nil {
		return nil, err
	}
	return &boundedReader{ctx: ctx, r: unzipped, left: limit}, nil
}

// boundedReader is an error once more than left bytes were read, or the context is done.
type boundedReader struct {
	ctx  context.Context
	r    io.Reader
	left int64
}

func (b *boundedReader) Read(p []byte) (int, error) {
	if err := b.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := b.r.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, errors.New("it unpacks to more bytes than an archive of its size may")
	}
	return n, err
}
