package berry

import (
	"archive/tar"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/integrity"
	"github.com/cachito-serverless/cachito/shared/resolver"
	"github.com/cachito-serverless/cachito/shared/resolver/javascript"
)

const (
	// corepackHome is Corepack's cache, below deps/.
	corepackHome = "corepack"
	// releasePackage is Yarn's own package; releaseMember is Yarn in its archive.
	releasePackage = "@yarnpkg/cli-dist"
	releaseMember  = "package/bin/yarn.js"
	// maxReleaseBytes bounds Yarn, which has some 3 MB.
	maxReleaseBytes = 64 << 20
)

// corepackFolder is where Corepack looks for a version of Yarn, below deps/.
func corepackFolder(version string) string { return path.Join(corepackHome, "v1", "yarn", version) }

// fetchRelease brings the Yarn that packageManager names, as Corepack would have unpacked it. The hash that may stand
// there is of the one file that it is.
func (r *run) fetchRelease(ctx context.Context, p *Project) error {
	rel := p.release
	if !rel.named {
		return nil
	}
	if rel.algorithm != "" && integrity.New(rel.algorithm) == nil {
		return fault.Client(fault.InvalidChecksum, "Cannot perform checksum on yarn %s, Hash algorithm %s is unknown.", rel.version, rel.algorithm)
	}
	d := &dependency{
		name: releasePackage, version: rel.version, dev: true, kind: javascript.FromRegistry,
		url: r.registry.Tarball(releasePackage, rel.version), checked: rel.hash != "",
	}
	d.source = d.url
	check := javascript.CheckArchive(ctx, d.source, func(found javascript.PackageJSON) error {
		return found.CheckIdentity(d.url, d.name, d.version)
	})
	var err error
	d.file, err = r.in.Fetcher.Fetch(ctx, resolver.Artifact{URL: d.url, Describe: "yarn " + rel.version + " (packageManager)", Check: check})
	if err != nil {
		if f := fault.From(err); f.Type != fault.NetworkError || !fault.IsClient(err) {
			return err
		}
		// Not every release is there.
		r.in.Log.WarnContext(ctx, "The registry does not have the Yarn that packageManager names: the build must bring it", "version", rel.version, "reason", fault.From(err).Message)
		return nil
	}
	if p.yarn, err = r.unpackRelease(ctx, d, rel); err != nil {
		return err
	}
	p.deps = append(p.deps, d)
	return nil
}

// bundledYarn is a Yarn for Corepack's cache.
type bundledYarn struct {
	version string
	file    resolver.File
	// record is the file by which Corepack knows what it has unpacked (nodejs/corepack, sources/corepackUtils.ts).
	record []byte
}

func (r *run) unpackRelease(ctx context.Context, d *dependency, rel release) (*bundledYarn, error) {
	f, err := r.in.Fetcher.Open(ctx, d.file)
	if err != nil {
		return nil, fmt.Errorf("opening the archive of %s: %w", d.source, err)
	}
	defer f.Close()
	unpacked, err := javascript.Unpacked(ctx, f, d.file.Size)
	if err != nil {
		return nil, archiveFault(d.source, err)
	}
	archive := tar.NewReader(unpacked)
	for range javascript.MaxArchiveEntries {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, archiveFault(d.source, err)
		}
		if header.Name != releaseMember || header.Typeflag != tar.TypeReg {
			continue
		}
		if header.Size > maxReleaseBytes {
			return nil, fault.Client(fault.UnsupportedFeature, "The file %s of %s@%s has %d bytes, the limit is %d", releaseMember, d.name, d.version, header.Size, maxReleaseBytes)
		}
		return r.storeRelease(ctx, archive, rel)
	}
	return nil, fault.Client(fault.InvalidFileFormat, "Could not process dependency %s: it has no %s", d.source, releaseMember)
}

func (r *run) storeRelease(ctx context.Context, content io.Reader, rel release) (*bundledYarn, error) {
	algorithm := rel.algorithm
	if algorithm == "" {
		algorithm = "sha512"
	}
	sum := integrity.New(algorithm)
	file, err := r.in.Fetcher.Store(ctx, io.TeeReader(content, sum))
	if err != nil {
		return nil, fmt.Errorf("storing yarn %s: %w", rel.version, err)
	}
	got := hex.EncodeToString(sum.Sum(nil))
	if rel.hash != "" && got != rel.hash {
		return nil, fault.Client(fault.InvalidChecksum, "The file %s has an unexpected checksum value, expected %s but computed %s (%s of yarn %s, packageManager in package.json)",
			path.Base(releaseMember), rel.hash, got, algorithm, rel.version)
	}
	record, err := json.Marshal(map[string]any{
		"locator": map[string]string{"name": "yarn", "reference": rel.version},
		"bin":     []string{"yarn", "yarnpkg"},
		"hash":    algorithm + "." + got,
	})
	if err != nil {
		return nil, fmt.Errorf("writing Corepack's record of yarn %s: %w", rel.version, err)
	}
	return &bundledYarn{version: rel.version, file: file, record: record}, nil
}
