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
		p.pkg.Dependencies = p.reported()
		out.Packages = append(out.Packages, p.pkg)
		if err := p.addArtifacts(&out); err != nil {
			return out, err
		}
	}
	out.Deps = r.placed.Entries()
	for _, entries := range r.tools {
		out.Deps = append(out.Deps, entries...)
	}
	if len(r.tools) > 0 {
		out.EnvironmentVariables["COREPACK_HOME"] = request.EnvironmentVariable{Value: "deps/" + corepackHome, Kind: "path"}
		out.EnvironmentVariables["COREPACK_ENABLE_NETWORK"] = request.EnvironmentVariable{Value: "0", Kind: "literal"}
	}
	config := userConfigText(r.scopes)
	out.Deps = append(out.Deps, resolver.Entry{Path: userConfig, Inline: config})
	out.ConfigFiles = []resolver.ConfigFile{{Path: "deps/" + userConfig, Content: config}}
	changed, err := r.changedFiles(ctx, projects)
	if err != nil {
		return out, err
	}
	javascript.AddOverlays(&out, changed...)
	javascript.Sort(&out)
	return out, nil
}

// addArtifacts notes checksums, and what no digest of a lockfile vouches for. A commit vouches for a git
// dependency, but not for the archive that a forge makes of it.
func (p *project) addArtifacts(out *resolver.Output) error {
	for _, d := range p.deps {
		if d.kind == javascript.FromFile {
			continue
		}
		id, err := dependencyPURL(d.name, &d.version)
		if err != nil {
			return err
		}
		javascript.AddArtifact(out, id, d.file, d.kind == javascript.FromGit || len(d.digests) > 0)
	}
	return nil
}

// reported are the dependencies as the API shows them.
func (p *project) reported() []packages.Dependency {
	list := make([]javascript.Dependency, len(p.deps))
	for i, d := range p.deps {
		list[i] = javascript.Dependency{Name: d.name, Version: d.version, Dev: d.dev}
	}
	return javascript.Reported(Name, list)
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
