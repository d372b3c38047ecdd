package rubygems

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/resolver"
)

// MaxConfigBytes is the size of a .bundle/config of the repository.
const MaxConfigBytes = 1 << 20

// settingsFor are the keys of .bundle/config with which Bundler takes everything from the bundle. A relative path
// counts from the folder of the Gemfile, wherever bundle is called.
func settingsFor(dir string) [][2]string {
	return [][2]string{
		{"BUNDLE_ALLOW_OFFLINE_INSTALL", "true"},
		{"BUNDLE_CACHE_PATH", cachePath(dir)},
		{"BUNDLE_DEPLOYMENT", "true"},
		{"BUNDLE_DISABLE_VERSION_CHECK", "true"},
		{"BUNDLE_FORCE_RUBY_PLATFORM", "true"},
		{"BUNDLE_FROZEN", "true"},
		{"BUNDLE_NO_PRUNE", "true"},
		{"BUNDLE_VERSION", "system"},
	}
}

// localOverride is the key that makes Bundler take a git gem from a clone on the developer's machine.
func localOverride(gem string) string {
	return "BUNDLE_LOCAL__" + strings.ToUpper(strings.NewReplacer("-", "___", ".", "__").Replace(gem))
}

// mergeConfig lays our settings over a .bundle/config. Keys that are ours, or in drop, go; all other lines stay as they
// are. The format is Bundler's subset of YAML (bundler lib/bundler/yaml_serializer.rb): "KEY: value" at the beginning of
// a line, and lists whose lines begin with "- ".
func mergeConfig(existing []byte, ours [][2]string, drop map[string]bool) (merged []byte, dropped []string) {
	gone := map[string]bool{}
	for _, kv := range ours {
		gone[kv[0]] = true
	}
	var out bytes.Buffer
	if len(bytes.TrimSpace(existing)) == 0 {
		out.WriteString("---\n")
	}
	dropping := false
	for line := range bytes.Lines(existing) {
		if starts := len(line) > 0 && line[0] != ' ' && line[0] != '-' && line[0] != '\r' && line[0] != '\n'; starts {
			key, _, _ := strings.Cut(string(line), ":")
			dropping = gone[key] || drop[key]
			if drop[key] {
				dropped = append(dropped, key)
			}
		} else if bytes.HasPrefix(line, []byte("---")) {
			dropping = false
		}
		if !dropping {
			out.Write(line)
		}
	}
	if text := out.Bytes(); len(text) > 0 && text[len(text)-1] != '\n' {
		out.WriteByte('\n')
	}
	for _, kv := range ours {
		fmt.Fprintf(&out, "%s: %q\n", kv[0], kv[1])
	}
	return out.Bytes(), dropped
}

// config makes the .bundle/config of a package. dir is its folder's real place.
func (r *run) config(ctx context.Context, dir string, gems []gitGem) (resolver.ConfigFile, error) {
	existing, err := readConfig(r.in.Source, dir)
	if err != nil {
		return resolver.ConfigFile{}, err
	}
	drop := map[string]bool{}
	for _, g := range gems {
		drop[localOverride(g.name)] = true
	}
	name := path.Join(dir, ".bundle/config")
	content, dropped := mergeConfig(existing, settingsFor(dir), drop)
	if len(dropped) > 0 {
		r.in.Log.WarnContext(ctx, "Local overrides of git gems are left out of Bundler's configuration", "file", name, "keys", someOf(dropped))
	}
	return resolver.ConfigFile{Path: path.Join("app", name), Content: content}, nil
}

// readConfig reads .bundle/config; nil when there is none.
func readConfig(source *os.Root, dir string) ([]byte, error) {
	folder := path.Join(dir, ".bundle")
	name := path.Join(folder, "config")
	if info, err := source.Lstat(folder); err == nil && !info.IsDir() {
		return nil, fault.Client(fault.InvalidRepoStructure, "%s must be a folder: Cachito adds Bundler's configuration to it", folder)
	}
	f, err := source.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fault.Client(fault.InvalidRepoStructure, "%s cannot be read: it must be a regular file inside the repository", name).Because(err)
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fault.Client(fault.InvalidRepoStructure, "%s must be a regular file: Cachito adds its settings to it", name)
	case info.Size() > MaxConfigBytes:
		return nil, fault.Client(fault.UnsupportedFeature, "%s is larger than %d bytes", name, MaxConfigBytes)
	}
	return io.ReadAll(io.LimitReader(f, MaxConfigBytes))
}
