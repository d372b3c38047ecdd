package berry

import (
	"context"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"path/filepath"
	"strings"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/integrity"
	"github.com/cachito-serverless/cachito/shared/resolver"
	"github.com/cachito-serverless/cachito/shared/resolver/javascript"
	"github.com/cachito-serverless/cachito/shared/resolver/yarn/lines"
)

// overlays are the files of the repository that must be others in the bundle: as a rule none.
func (r *run) overlays(ctx context.Context, p *Project) ([]resolver.Entry, error) {
	out, err := r.unverifiedArchives(ctx, p)
	if err != nil {
		return nil, err
	}
	plugins, err := r.missingPlugins(ctx, p)
	if err != nil {
		return nil, err
	}
	out = append(out, plugins...)
	lock, changed, err := r.rewriteLockfile(ctx, p)
	if err != nil {
		return nil, err
	}
	if changed {
		out = append(out, lock)
	}
	if text, changed := p.config.overridden(p.ownCache); changed {
		r.in.Log.WarnContext(ctx, "Settings that would keep Yarn from the bundle's files are others in the bundle", "file", p.config.path)
		out = append(out, resolver.Entry{Path: p.config.path, Inline: text})
	}
	for i := range out {
		if out[i].Path, err = r.realPath(out[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// realPath is where a file really is. One that is removed may be a link itself, which goes and not what it leads to.
func (r *run) realPath(e resolver.Entry) (string, error) {
	follow, rest := e.Path, ""
	if e.Deleted {
		follow, rest = path.Split(e.Path)
	}
	real, err := javascript.RealPath(r.in.Source, path.Clean(follow))
	if err != nil {
		return "", fault.Client(fault.InvalidRepoStructure, "The path %s leads out of the repository", e.Path).Because(err)
	}
	return path.Join(real, rest), nil
}

// unverifiedArchives removes those archives of a zero-install from the bundle that are none whose checksum the lockfile
// has: Yarn would take some of them (packages with conditions have no checksum) as they are. It makes them again, of
// the bundle's files.
func (r *run) unverifiedArchives(ctx context.Context, p *Project) ([]resolver.Entry, error) {
	archives, err := r.cache(p)
	if err != nil {
		return nil, err
	}
	known := map[string]bool{}
	for _, e := range p.lock.entries {
		if c, ok := parseChecksum(e.checksum, p.lock.cacheKey); ok {
			known[c.want] = true
		}
	}
	var out []resolver.Entry
	p.ownCache = len(archives) > 0
	for _, name := range archives {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		sum, err := r.archiveSum(name)
		if err != nil {
			return nil, err
		}
		if known[sum] {
			continue
		}
		p.ownCache = false
		r.in.Log.WarnContext(ctx, "An archive in the repository is left out of the bundle: the lockfile has no such checksum", "file", name)
		out = append(out, resolver.Entry{Path: name, Deleted: true})
	}
	return out, nil
}

// archiveSum is the SHA-512 of an archive of the repository; "" for what is no file.
func (r *run) archiveSum(name string) (string, error) {
	info, err := r.in.Source.Lstat(name)
	if err != nil || !info.Mode().IsRegular() {
		return "", err
	}
	f, err := r.in.Source.Open(name)
	if err != nil {
		return "", fmt.Errorf("opening %s: %w", name, err)
	}
	defer f.Close()
	sum := sha512.New()
	if _, err := io.Copy(sum, f); err != nil {
		return "", fmt.Errorf("reading %s: %w", name, err)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// missingPlugins brings the plug-ins that Yarn itself would download: those with a URL whose file is not in the
// repository.
func (r *run) missingPlugins(ctx context.Context, p *Project) ([]resolver.Entry, error) {
	var out []resolver.Entry
	for _, plugin := range p.config.plugins {
		name := path.Join(p.Dir, plugin.Path)
		if plugin.Path == "" || path.IsAbs(plugin.Path) || !filepath.IsLocal(filepath.FromSlash(name)) {
			return nil, fault.Client(fault.InvalidRepoStructure, "The plugin %q of %s is no file of the repository", lines.Shorten(plugin.Path), p.config.path)
		}
		_, err := r.in.Source.Stat(name)
		if err == nil {
			continue
		}
		if !errors.Is(err, fs.ErrNotExist) || !strings.HasPrefix(plugin.Spec, "https://") && !strings.HasPrefix(plugin.Spec, "http://") {
			return nil, fault.Client(fault.InvalidRepoStructure, "The plugin %s, which %s names, must be a file of the repository", name, p.config.path).Because(err)
		}
		a := resolver.Artifact{URL: plugin.Spec, MaxBytes: maxReleaseBytes, Describe: name + " (" + p.config.path + ")"}
		if plugin.Checksum != "" {
			digest, err := integrity.FromHex("sha512", plugin.Checksum)
			if err != nil {
				return nil, fault.Client(fault.InvalidChecksum, "%s: the checksum of the plugin %s is none: %s", p.config.path, name, err).Because(err)
			}
			a.Want = []integrity.Digest{digest}
		} else {
			r.in.Log.WarnContext(ctx, "A plugin is fetched that no checksum vouches for", "file", p.config.path, "plugin", name)
		}
		file, err := r.in.Fetcher.Fetch(ctx, a)
		if err != nil {
			return nil, err
		}
		out = append(out, resolver.Entry{Path: name, File: &file})
	}
	return out, nil
}

// rewriteLockfile changes the checksums of git dependencies. Everything else stays as it is, byte for byte.
func (r *run) rewriteLockfile(ctx context.Context, p *Project) (resolver.Entry, bool, error) {
	var none resolver.Entry
	if len(p.moved) == 0 {
		return none, false, nil
	}
	content, err := r.in.Source.ReadFile(p.lock.path)
	if err != nil {
		return none, false, fmt.Errorf("reading %s: %w", p.lock.path, err)
	}
	byLine := map[int]*entry{}
	for e := range p.moved {
		byLine[e.checksumLine] = e
	}
	var text strings.Builder
	line := 0
	for l := range strings.Lines(string(content)) {
		line++
		if e := byLine[line]; e != nil {
			r.in.Log.WarnContext(ctx, "A git dependency is packed without its scripts: the lockfile of the bundle has the checksum of that", "dependency", e.locator.name, "file", p.lock.path)
			sum := p.moved[e]
			if key, _, keyed := strings.Cut(e.checksum, "/"); keyed {
				sum = key + "/" + sum
			}
			l = strings.Replace(l, e.checksum, sum, 1)
		}
		text.WriteString(l)
	}
	e, err := javascript.Changed(ctx, r.in.Fetcher, p.lock.path, strings.NewReader(text.String()), int64(text.Len()))
	return e, err == nil, err
}
