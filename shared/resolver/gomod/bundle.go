package gomod

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/module"
	"golang.org/x/mod/semver"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/purl"
	"github.com/cachito-serverless/cachito/shared/resolver"
)

// cacheFolder is go's download cache below deps/. In it the five kinds of files that an offline build
// needs: .info, .mod, .zip, .ziphash and list. Layout: https://go.dev/ref/mod#module-cache
const cacheFolder = "gomod/pkg/mod/cache/download"

// bundledCache lists the download cache as entries of the bundle, sorted by path. When vendoring it is
// an empty folder. Zips are named by their digest in the dependency cache; what could change with the
// proxy's answer of the day (.info, list) is made anew from what is locked.
func (r *run) bundledCache(ctx context.Context) ([]resolver.Entry, error) {
	out := []resolver.Entry{{Path: cacheFolder, Dir: true}}
	if r.vendoring {
		return out, nil
	}
	root, err := os.OpenRoot(filepath.Join(r.folders.modCache, "cache", "download"))
	if errors.Is(err, fs.ErrNotExist) {
		return out, nil // nothing was downloaded
	}
	if err != nil {
		return nil, err
	}
	defer root.Close()
	versions := map[string][]string{} // by folder of the module
	err = fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name == "sumdb" || name == toolchainModule {
				return fs.SkipDir
			}
			return ctx.Err()
		}
		if path.Base(path.Dir(name)) != "@v" || !d.Type().IsRegular() {
			return nil
		}
		e, err := r.cacheEntry(root, name)
		if err != nil || e.Path == "" {
			return err
		}
		out = append(out, e)
		if escaped, ok := strings.CutSuffix(path.Base(name), ".mod"); ok {
			v, err := module.UnescapeVersion(escaped)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			versions[path.Dir(name)] = append(versions[path.Dir(name)], v)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for folder, list := range versions {
		semver.Sort(list)
		out = append(out, resolver.Entry{
			Path: path.Join(cacheFolder, folder, "list"), Inline: []byte(strings.Join(list, "\n") + "\n"),
		})
	}
	slices.SortFunc(out, func(a, b resolver.Entry) int { return strings.Compare(a.Path, b.Path) })
	return out, nil
}

// cacheEntry is the entry for a file of go's cache; without a path for files that are left out (.lock,
// .partial, list).
func (r *run) cacheEntry(root *os.Root, name string) (resolver.Entry, error) {
	e := resolver.Entry{Path: path.Join(cacheFolder, name)}
	switch path.Ext(name) {
	case ".zip":
		f, known := r.proxy.known(name)
		if !known {
			return e, fault.ServerFinal(fault.GoModError, "The module cache holds %s, which was not fetched through the module proxy", describePath(name))
		}
		e.File = &f
		return e, nil
	case ".mod", ".ziphash", ".info":
		data, err := readFile(root, name, MaxGoModBytes)
		if err != nil {
			return e, err
		}
		if path.Ext(name) == ".info" {
			var info versionInfo
			if err := json.Unmarshal(data, &info); err != nil {
				return e, fault.Client(fault.InvalidFileFormat, "%s is not a version's description", describePath(name)).Because(err)
			}
			data = info.encode()
		}
		if data == nil {
			data = []byte{}
		}
		e.Inline = data
		return e, nil
	}
	return resolver.Entry{}, nil
}

// zipChecksums are the digests of the modules' zips, by purl.
func zipChecksums(deps []resolver.Entry) (map[string][]string, error) {
	sums := map[string][]string{}
	for _, e := range deps {
		name, ok := strings.CutSuffix(strings.TrimPrefix(e.Path, cacheFolder+"/"), ".zip")
		if !ok || e.File == nil {
			continue
		}
		escapedPath, escapedVersion, _ := strings.Cut(name, "/@v/")
		modulePath, err := module.UnescapePath(escapedPath)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.Path, err)
		}
		version, err := module.UnescapeVersion(escapedVersion)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.Path, err)
		}
		sums[purl.Golang(modulePath, version)] = []string{e.File.SHA256}
	}
	return sums, nil
}
