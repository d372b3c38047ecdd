package pnpm

import (
	"bytes"
	"context"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/packages"
	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/resolver"
	"github.com/cachito-serverless/cachito/shared/resolver/javascript"
)

const (
	// depsVariable is the absolute path of the bundle's registry.
	depsVariable = "CACHITO_PNPM_DEPS"
	// userConfig is a file below deps/; no package can have that name.
	userConfig = Name + "/.npmrc"
)

// environment of builds. The user's configuration is the only place where all pnpm versions read a registry whose
// URL depends on a variable (docs/package-managers/pnpm.md has what else was tried).
func environment() map[string]request.EnvironmentVariable {
	env := javascript.Environment()
	maps.Copy(env, map[string]request.EnvironmentVariable{
		depsVariable:            {Value: "deps/" + Name, Kind: "path"},
		"NPM_CONFIG_USERCONFIG": {Value: "deps/" + userConfig, Kind: "path"},
		// pnpm 11 and newer would look up in the registry what the lockfile has.
		"PNPM_CONFIG_TRUST_LOCKFILE": {Value: "true", Kind: "literal"},
		// Whatever pnpm there is builds: it would download the one that package.json names. This is for pnpm 11 and
		// newer; userConfigText has it for 9 and 10.
		"PNPM_CONFIG_PM_ON_FAIL": {Value: "ignore", Kind: "literal"},
		// Install scripts of well-known packages that download browsers.
		"PUPPETEER_SKIP_DOWNLOAD":          {Value: "true", Kind: "literal"},
		"PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD": {Value: "1", Kind: "literal"},
	})
	return env
}

// userConfigText names the bundle's registry, also for scopes with one of their own.
func userConfigText(scopes map[string]bool) []byte {
	const registry = "registry=file://${" + depsVariable + "}/\n"
	var b bytes.Buffer
	b.WriteString(registry)
	for _, scope := range slices.Sorted(maps.Keys(scopes)) {
		b.WriteString(scope + ":" + registry)
	}
	b.WriteString("manage-package-manager-versions=false\n")
	return b.Bytes()
}

// output puts together what was found. All its lists are sorted.
func (r *run) output(ctx context.Context, projects []*project) (resolver.Output, error) {
	out := resolver.Output{EnvironmentVariables: environment(), Checksums: map[string][]string{}}
	for _, p := range projects {
		p.pkg.Dependencies = reported(p.deps)
		out.Packages = append(out.Packages, p.pkg)
		if err := addArtifacts(&out, p.deps); err != nil {
			return out, err
		}
	}
	slices.Sort(out.Unverified)
	out.Unverified = slices.Compact(out.Unverified)
	for id, list := range out.Checksums {
		slices.Sort(list)
		out.Checksums[id] = slices.Compact(list)
	}
	for name, f := range r.placed {
		out.Deps = append(out.Deps, resolver.Entry{Path: name, File: &f})
	}
	for _, entries := range r.tools {
		out.Deps = append(out.Deps, entries...)
	}
	if len(r.tools) > 0 {
		out.EnvironmentVariables["COREPACK_HOME"] = request.EnvironmentVariable{Value: "deps/" + corepackHome, Kind: "path"}
		out.EnvironmentVariables["COREPACK_ENABLE_NETWORK"] = request.EnvironmentVariable{Value: "0", Kind: "literal"}
	}
	config := userConfigText(r.scopes)
	out.Deps = append(out.Deps, resolver.Entry{Path: userConfig, Inline: config})
	slices.SortFunc(out.Deps, byPath)
	out.ConfigFiles = []resolver.ConfigFile{{Path: "deps/" + userConfig, Content: config}}

	var err error
	if out.Overlays, err = r.changedFiles(ctx, projects); err != nil {
		return out, err
	}
	for _, e := range out.Overlays {
		if e.File == nil {
			out.ConfigFiles = append(out.ConfigFiles, resolver.ConfigFile{Path: "app/" + e.Path, Content: e.Inline})
		}
	}
	slices.SortFunc(out.ConfigFiles, func(a, b resolver.ConfigFile) int { return strings.Compare(a.Path, b.Path) })
	return out, nil
}

func byPath(a, b resolver.Entry) int { return strings.Compare(a.Path, b.Path) }

// addArtifacts notes checksums, and what no digest of a lockfile vouches for. A commit vouches for a git
// dependency, but not for the archive that a forge makes of it.
func addArtifacts(out *resolver.Output, deps []*dependency) error {
	for _, d := range deps {
		if d.kind == javascript.FromFile {
			continue
		}
		id, err := dependencyPURL(d.name, &d.version)
		if err != nil {
			return err
		}
		out.Checksums[id] = append(out.Checksums[id], d.file.SHA256)
		if d.kind != javascript.FromGit && len(d.digests) == 0 {
			out.Unverified = append(out.Unverified, id)
		}
	}
	return nil
}

// reported are the dependencies as the API shows them, sorted: once each.
func reported(deps []*dependency) []packages.Dependency {
	type key struct{ name, version string }
	at := map[key]int{}
	list := make([]packages.Dependency, 0, len(deps))
	for _, d := range deps {
		k := key{d.name, d.version}
		if i, ok := at[k]; ok {
			*list[i].Dev = *list[i].Dev && d.dev
			continue
		}
		at[k] = len(list)
		dev := d.dev
		list = append(list, packages.Dependency{Name: d.name, Type: Name, Version: &d.version, Dev: &dev, HasReplaces: true})
	}
	slices.SortFunc(list, func(a, b packages.Dependency) int {
		if c := strings.Compare(a.Name, b.Name); c != 0 {
			return c
		}
		return strings.Compare(*a.Version, *b.Version)
	})
	return list
}

// changedFiles are the files of the repository that must be others in the bundle, sorted. A file that two
// projects change must become the same for both.
func (r *run) changedFiles(ctx context.Context, projects []*project) ([]resolver.Entry, error) {
	byName := map[string]resolver.Entry{}
	for _, p := range projects {
		for name, content := range p.config.changed {
			byName[name] = resolver.Entry{Path: name, Inline: content}
		}
		e, changed, err := r.rewriteLockfile(ctx, p)
		if err != nil {
			return nil, err
		}
		if have, ok := byName[e.Path]; ok && changed && !bytes.Equal(have.Inline, e.Inline) {
			return nil, fault.Client(fault.UnsupportedFeature, "The file %s belongs to several paths of the request, and would have to be another for each", e.Path)
		}
		if changed {
			byName[e.Path] = e
		}
	}
	var out []resolver.Entry
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		out = append(out, byName[name])
	}
	return out, nil
}

// toDeps is the way from a folder below app/ to deps/.
func toDeps(dir string) string {
	up := "../"
	if dir = path.Clean(dir); dir != "." {
		up += strings.Repeat("../", strings.Count(dir, "/")+1)
	}
	return up + "deps/"
}
