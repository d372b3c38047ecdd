package berry

import (
	"context"
	"path"
	"slices"
	"strings"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/packages"
	"github.com/cachito-serverless/cachito/shared/purl"
	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/resolver"
	"github.com/cachito-serverless/cachito/shared/resolver/javascript"
)

// maxConfigFileBytes is up to which size a rewritten yarn.lock is a configuration file as well: those are kept
// in the request's result as they are.
const maxConfigFileBytes = 1 << 20

// Output puts together what was found in all projects, but for Packages, whose order is the request's: each
// project's Package has its dependencies then. classic says that the request has projects of Yarn 1 as well. All lists
// are sorted.
func (p *Projects) Output(ctx context.Context, classic bool) (resolver.Output, error) {
	out := resolver.Output{EnvironmentVariables: javascript.Environment(), Checksums: map[string][]string{}}
	deps := map[string]resolver.Entry{}
	for _, project := range p.list {
		project.Package.Dependencies = reported(project.deps)
		if err := addArtifacts(&out, deps, project.deps); err != nil {
			return out, err
		}
		addYarn(&out, deps, project.yarn)
		overlays, err := p.run.overlays(ctx, project)
		if err != nil {
			return out, err
		}
		out.Overlays = append(out.Overlays, overlays...)
	}
	plugin, err := p.plugin()
	if err != nil {
		return out, err
	}
	deps[pluginPath] = resolver.Entry{Path: pluginPath, Inline: plugin}
	for _, e := range deps {
		out.Deps = append(out.Deps, e)
	}
	root := p.rootRC(classic)
	out.Root = []resolver.Entry{{Path: rcName, Inline: root}}
	out.ConfigFiles = []resolver.ConfigFile{{Path: rcName, Content: root}}
	for _, e := range out.Overlays {
		if e.File == nil && !e.Deleted {
			out.ConfigFiles = append(out.ConfigFiles, resolver.ConfigFile{Path: "app/" + e.Path, Content: e.Inline})
		}
	}
	slices.SortFunc(out.Deps, byPath)
	slices.SortFunc(out.Overlays, byPath)
	slices.SortFunc(out.ConfigFiles, func(a, b resolver.ConfigFile) int { return strings.Compare(a.Path, b.Path) })
	slices.Sort(out.Unverified)
	out.Unverified = slices.Compact(out.Unverified)
	for id, list := range out.Checksums {
		slices.Sort(list)
		out.Checksums[id] = slices.Compact(list)
	}
	return out, nil
}

func byPath(a, b resolver.Entry) int { return strings.Compare(a.Path, b.Path) }

// addArtifacts adds the files, and notes which no digest of a lockfile vouches for. A commit vouches for a git
// dependency. Two different files for one path are the lockfiles' trouble.
func addArtifacts(out *resolver.Output, deps map[string]resolver.Entry, list []*dependency) error {
	for _, d := range list {
		if d.kind == javascript.FromFile {
			continue
		}
		id, err := purl.NPM(packageType, d.name, &d.version)
		if err != nil {
			return err
		}
		out.Checksums[id] = append(out.Checksums[id], d.file.SHA256)
		if d.kind != javascript.FromGit && !d.checked {
			out.Unverified = append(out.Unverified, id)
		}
		if have, ok := deps[d.place]; ok && have.File.SHA256 != d.file.SHA256 {
			return fault.Client(fault.InvalidChecksum, "The lockfiles name two different files for %s %s: sha256:%s and sha256:%s", d.name, d.version, have.File.SHA256, d.file.SHA256)
		}
		deps[d.place] = resolver.Entry{Path: d.place, File: &d.file}
	}
	return nil
}

// addYarn adds Yarn itself, where Corepack looks for it.
func addYarn(out *resolver.Output, deps map[string]resolver.Entry, yarn *bundledYarn) {
	if yarn == nil {
		return
	}
	folder := corepackFolder(yarn.version)
	for _, e := range []resolver.Entry{
		{Path: path.Join(folder, "yarn.js"), File: &yarn.file, Executable: true},
		{Path: path.Join(folder, ".corepack"), Inline: yarn.record},
	} {
		deps[e.Path] = e
	}
	out.EnvironmentVariables["COREPACK_HOME"] = request.EnvironmentVariable{Value: "deps/" + corepackHome, Kind: "path"}
	out.EnvironmentVariables["COREPACK_ENABLE_NETWORK"] = request.EnvironmentVariable{Value: "0", Kind: "literal"}
}

// rootRC is the .yarnrc.yml at the bundle's root. When all projects want the same Yarn, and the bundle has it, it names
// it as well, so that any Yarn that is installed will do; Yarn 1 would follow that for its own projects, too.
func (p *Projects) rootRC(classic bool) []byte {
	text := "# Made by Cachito, for all packages of this bundle.\nplugins:\n  - \"./deps/" + pluginPath + "\"\n"
	versions := map[string]bool{}
	for _, project := range p.list {
		version := ""
		if project.yarn != nil {
			version = project.yarn.version
		}
		versions[version] = true
	}
	if len(versions) == 1 && !versions[""] && !classic {
		text += "yarnPath: \"./deps/" + corepackFolder(p.list[0].yarn.version) + "/yarn.js\"\n"
	}
	return []byte(text)
}

// reported are the dependencies as the API shows them, sorted: once each, the same name and version may have
// several entries (an alias beside the real name).
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
		list = append(list, packages.Dependency{Name: d.name, Type: packageType, Version: &d.version, Dev: &d.dev, HasReplaces: true})
	}
	slices.SortFunc(list, func(a, b packages.Dependency) int {
		if c := strings.Compare(a.Name, b.Name); c != 0 {
			return c
		}
		return strings.Compare(*a.Version, *b.Version)
	})
	return list
}
