package pnpm

import (
	"context"
	"encoding/json"
	"fmt"
	"path"
	"regexp"
	"strconv"
	"strings"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/integrity"
	"github.com/cachito-serverless/cachito/shared/resolver"
	"github.com/cachito-serverless/cachito/shared/resolver/javascript"
)

// corepackHome is Corepack's cache below deps/: the pnpm that a package.json asks for lies there as Corepack
// itself would have unpacked it.
const corepackHome = "corepack"

// nativeMajor is the first pnpm that is a native program: its package only starts that of the platform, which is a
// package of its own.
const nativeMajor = 12

// tool is the release of pnpm that a package.json asks for.
type tool struct {
	version string
	digests []integrity.Digest
}

var (
	// "pnpm@10.33.0+sha512.<hex>", which Corepack writes; the hash may be in SRI form as well.
	packageManagerPattern = regexp.MustCompile(`^([a-z]+)@([0-9]+\.[0-9]+\.[0-9]+(?:-[0-9A-Za-z.-]+)?)(?:\+(.+))?$`)
	hexHashPattern        = regexp.MustCompile(`^(sha[0-9]+)\.([0-9a-fA-F]+)$`)
)

// wantedTool reads packageManager of a package.json, else devEngines.packageManager with an exact version. nil:
// it asks for none. Faults: InvalidFileFormat, InvalidChecksum.
func (r *run) wantedTool(ctx context.Context, where string, manifest []byte) (*tool, error) {
	text := textMember(manifest, "packageManager")
	if text == "" {
		if name, version := textMember(manifest, "devEngines", "packageManager", "name"), textMember(manifest, "devEngines", "packageManager", "version"); name == Name {
			text = name + "@" + version
			if !packageManagerPattern.MatchString(text) {
				return nil, nil // a range: any pnpm will do
			}
		}
	}
	if text == "" {
		return nil, nil
	}
	m := packageManagerPattern.FindStringSubmatch(text)
	if m == nil {
		return nil, fault.Client(fault.InvalidFileFormat, "%s: packageManager is %s, want pnpm@<version>, which may have +<algorithm>.<hex> behind it", where, quoted(text))
	}
	if m[1] != Name {
		r.in.Log.WarnContext(ctx, "The packageManager is another one: pnpm will refuse to build this", "file", where, "package_manager", text)
		return nil, nil
	}
	t := &tool{version: m[2]}
	if m[3] == "" {
		return t, nil
	}
	var err error
	if hex := hexHashPattern.FindStringSubmatch(m[3]); hex != nil && integrity.Strength(hex[1]) > 0 {
		var digest integrity.Digest
		digest, err = integrity.FromHex(hex[1], strings.ToLower(hex[2]))
		t.digests = []integrity.Digest{digest}
	} else {
		t.digests, err = integrity.ParseSRI(m[3])
	}
	if err != nil {
		return nil, fault.Client(fault.InvalidChecksum, "%s: the hash in packageManager, %s, cannot be used: %s", where, quoted(m[3]), err).Because(err)
	}
	return t, nil
}

// fetchTool brings the wanted pnpm: its archive into the bundle's registry, and unpacked where Corepack looks.
func (r *run) fetchTool(ctx context.Context, p *project) error {
	if p.tool == nil {
		return nil
	}
	major, err := strconv.Atoi(p.tool.version[:strings.IndexByte(p.tool.version, '.')])
	if err != nil {
		return fault.Client(fault.InvalidFileFormat, "%s: %s is not a version of pnpm", path.Join(p.dir, "package.json"), quoted(p.tool.version))
	}
	d, err := r.fetchRelease(ctx, p, Name, p.tool.version, p.tool.digests)
	if err != nil {
		return err
	}
	folder := path.Join(corepackHome, "v1", Name, p.tool.version)
	if r.tools[folder] != nil {
		return nil
	}
	entries, err := unpack(ctx, r.in.Fetcher, d.file, folder, d.source())
	if err != nil {
		return err
	}
	record, err := corepackRecord(p.tool.version, major, d.file, p.tool.digests)
	if err != nil {
		return err
	}
	entries = append(entries, resolver.Entry{Path: path.Join(folder, ".corepack"), Inline: record})
	if major >= nativeMajor {
		native, err := r.fetchNative(ctx, p, folder, d)
		if err != nil {
			return err
		}
		entries = append(entries, native...)
	}
	r.tools[folder] = entries
	return nil
}

// fetchRelease fetches a package that belongs to pnpm itself, and reports it as a dependency of development.
func (r *run) fetchRelease(ctx context.Context, p *project, name, version string, digests []integrity.Digest) (*dependency, error) {
	d := &dependency{name: name, version: version, dev: true, kind: javascript.FromRegistry, inTree: true, digests: digests}
	d.url = javascript.Registry{Base: r.registryOf(p, name)}.Tarball(name, version)
	if r.registry.Has(d.url) {
		var err error
		if d.url, err = r.registry.Mapped(name, d.url); err != nil {
			return nil, err
		}
	}
	a := resolver.Artifact{URL: d.url, Want: digests, Describe: name + "@" + version + " (package.json)"}
	a.Check = javascript.CheckArchive(ctx, d.source(), func(found javascript.PackageJSON) error { return found.CheckIdentity(d.url, name, version) })
	var err error
	if d.file, err = r.in.Fetcher.Fetch(ctx, a); err != nil {
		return nil, err
	}
	p.deps = append(p.deps, d)
	return d, r.placed.Put(treePath(name, version), name, version, d.file)
}

// nativePrefix begins the names of packages with a native pnpm; those for Linux are fetched.
const nativePrefix = "@pnpm/exe.linux-"

// fetchNative brings the programs of pnpm 12 and newer. Their versions are those that pnpm's own package names;
// nothing has their digests.
func (r *run) fetchNative(ctx context.Context, p *project, folder string, of *dependency) ([]resolver.Entry, error) {
	data, err := readMember(ctx, r.in.Fetcher, of.file, "package.json", of.source())
	if err != nil {
		return nil, err
	}
	var manifest struct {
		OptionalDependencies map[string]string `json:"optionalDependencies"`
	}
	if err := json.Unmarshal(data, &manifest); err != nil {
		return nil, fault.Client(fault.InvalidFileFormat, "Could not process dependency %s: package.json is not valid JSON", of.source()).Because(err)
	}
	var out []resolver.Entry
	for _, arch := range []string{"arm64", "x64"} {
		name := nativePrefix + arch
		version := manifest.OptionalDependencies[name]
		if version == "" {
			continue
		}
		where := "The package.json of " + of.source()
		if err := javascript.CheckVersion(where, name, version); err != nil {
			return nil, err
		}
		d, err := r.fetchRelease(ctx, p, name, version, r.lockedDigests(p, name, version))
		if err != nil {
			return nil, err
		}
		entries, err := unpack(ctx, r.in.Fetcher, d.file, path.Join(folder, "node_modules", name), d.source())
		if err != nil {
			return nil, err
		}
		out = append(out, entries...)
	}
	return out, nil
}

// lockedDigests are those that the lockfile has of a package, which it does when pnpm itself is locked.
func (r *run) lockedDigests(p *project, name, version string) []integrity.Digest {
	for _, d := range p.deps {
		if d.entry != nil && d.inTree && d.name == name && d.entry.version == version {
			return d.digests
		}
	}
	return nil
}

// corepackRecord is the file by which Corepack knows what it has unpacked
// (https://github.com/nodejs/corepack, sources/corepackUtils.ts).
func corepackRecord(version string, major int, file resolver.File, digests []integrity.Digest) ([]byte, error) {
	script := ".cjs"
	if major > 10 {
		script = ".mjs"
	}
	digest, err := integrity.FromHex("sha256", file.SHA256)
	if err != nil {
		return nil, fmt.Errorf("the digest of pnpm %s: %w", version, err)
	}
	if strongest := integrity.Strongest(digests); len(strongest) > 0 {
		digest = strongest[0]
	}
	return json.Marshal(map[string]any{
		"locator": map[string]string{"name": Name, "reference": version},
		"bin":     map[string]string{"pnpm": "./bin/pnpm" + script, "pnpx": "./bin/pnpx" + script},
		"hash":    digest.Algorithm + "." + digest.Hex(),
	})
}
